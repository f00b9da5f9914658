#include "raw.h"

#include <string.h>

static void free_section(struct kv_raw_section *section)
{
    if (!section)
        return;
    for (size_t i = 0; i < KV_SETTING_ROOM; i++) {
        kv_text_free(section->values[i].text);
        kv_text_free(section->values[i].origin);
    }
    kv_text_free(section->name);
    kv_text_free(section->origin);
    free(section);
}

void kv_raw_free(struct kv_raw *raw)
{
    if (!raw)
        return;
    for (size_t i = 0; i < raw->count; i++)
        free_section(raw->sections[i]);
    free(raw->sections);
    free(raw);
}

/* `origin` NULL: not written yet. */
static enum kv_status append(struct kv_raw *raw, const char *name, const char *origin)
{
    struct kv_raw_section **sections = reallocarray(raw->sections, raw->count + 1, sizeof *sections);

    if (!sections)
        return KV_NO_MEMORY;
    raw->sections = sections;
    struct kv_raw_section *section = calloc(1, sizeof *section);
    if (!section)
        return KV_NO_MEMORY;
    sections[raw->count++] = section;
    section->name = kv_text_copy(name);
    section->origin = kv_text_copy(origin);
    return section->name && (section->origin || !origin) ? KV_OK : KV_NO_MEMORY;
}

enum kv_status kv_raw_make(struct kv_raw **ret)
{
    KV_AUTO_RAW struct kv_raw *raw = calloc(1, sizeof *raw);

    if (!raw)
        return KV_NO_MEMORY;
    KV_TRY(append(raw, "kvp11", NULL));
    *ret = kv_take(raw);
    return KV_OK;
}

static bool has_control(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == '\x7f')
            return true;
    return false;
}

static enum kv_status check_name(const char *name, const char *origin, struct kv_error *err);

/* The name of a vault in front. */
static enum kv_status check_operator(const char *name, const char *origin, struct kv_error *err)
{
    KV_AUTO_TEXT char *vault = kv_text_copy_n(name, strlen(name) - strlen("." KV_OPERATOR));

    return vault ? check_name(vault, origin, err) : kv_fail(err, KV_NO_MEMORY, "out of memory");
}

static enum kv_status check_name(const char *name, const char *origin, struct kv_error *err)
{
    if (!*name)
        return kv_fail(err, KV_CONFIG,
                       "%s: a section without a name: write [kvp11] or the vault's token label", origin);
    if (kv_text_equal_case(name, "kvp11"))
        return kv_fail(err, KV_CONFIG, "%s: [%s] is not the name of a vault: write [kvp11] in small letters",
                       origin, name);
    if (kv_raw_is_operator(name))
        return check_operator(name, origin, err);
    if (strchr(name, '.'))
        return kv_fail(err, KV_CONFIG, "%s: [%s]: names with a '.' are reserved: write '-' instead", origin,
                       name);
    if (strlen(name) > KV_SECTION_MOST)
        return kv_fail(err, KV_CONFIG, "%s: [%s] is longer than a token label of %d bytes: shorten it",
                       origin, name, KV_SECTION_MOST);
    if (has_control(name))
        return kv_fail(err, KV_CONFIG, "%s: [%s] has a control character in its name: take it out", origin,
                       name);
    return KV_OK;
}

static struct kv_raw_section *find_section(const struct kv_raw *raw, const char *name)
{
    for (size_t i = 0; i < raw->count; i++)
        if (!strcmp(raw->sections[i]->name, name))
            return raw->sections[i];
    return NULL;
}

enum kv_status kv_raw_begin(struct kv_raw *raw, const char *name, const char *origin,
                            struct kv_raw_section **ret, struct kv_error *err)
{
    struct kv_raw_section *section = find_section(raw, name);

    if (section && section->origin)
        return kv_fail(err, KV_CONFIG, "%s: [%s] is there already, from %s: make one section of the two",
                       origin, name, section->origin);
    if (section) {
        section->origin = kv_text_copy(origin);
        if (!section->origin)
            return kv_fail(err, KV_NO_MEMORY, "out of memory");
        *ret = section;
        return KV_OK;
    }
    KV_TRY(check_name(name, origin, err));
    if (append(raw, name, origin))
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    *ret = raw->sections[raw->count - 1];
    return KV_OK;
}

static enum kv_status fail_unknown(const struct kv_raw_section *section, const char *name, const char *origin,
                                   struct kv_error *err)
{
    const struct kv_setting *near = kv_setting_nearest(name);

    if (near)
        return kv_fail(err, KV_CONFIG, "%s: unknown setting '%s' in [%s]: did you mean '%s'?", origin, name,
                       section->name, near->info.name);
    return kv_fail(err, KV_CONFIG, "%s: unknown setting '%s' in [%s]: kvp11.conf(5) has the list of settings",
                   origin, name, section->name);
}

/* KV_OK: a setting, and one that may stand in this section. */
static enum kv_status check_place(const struct kv_raw_section *section, const char *name, const char *origin,
                                  struct kv_error *err)
{
    const struct kv_setting *row = kv_setting_find(name);
    bool is_library = !strcmp(section->name, "kvp11");

    if (!row)
        return fail_unknown(section, name, origin, err);
    if (row->info.secret)
        return kv_fail(
            err, KV_CONFIG,
            "%s: '%s': a secret must not stand here: put it in a file that only its owner can read "
            "and write client_secret_file = /etc/kvp11/secret",
            origin, name);
    if (kv_raw_is_operator(section->name) && !row->info.credential)
        return kv_fail(err, KV_CONFIG,
                       "%s: '%s' is no setting of a credential, and nothing else stands in [%s]: move it to "
                       "the vault's section",
                       origin, name, section->name);
    if (!is_library && !kv_setting_is_vaults(row))
        return kv_fail(err, KV_CONFIG, "%s: '%s' is not a setting of one vault: move it from [%s] to [kvp11]",
                       origin, name, section->name);
    if (is_library && row->kind == KV_SETTING_VAULT_URL)
        return kv_fail(
            err, KV_CONFIG,
            "%s: '%s' in [kvp11]: give the vault a section of its own, whose name is the token label", origin,
            name);
    return KV_OK;
}

enum kv_status kv_raw_set(struct kv_raw_section *section, const char *name, const char *value,
                          const char *origin, struct kv_error *err)
{
    KV_TRY(check_place(section, name, origin, err));
    size_t i = (size_t)(kv_setting_find(name) - kv_settings);
    if (section->values[i].text)
        return kv_fail(err, KV_CONFIG, "%s: '%s' is set twice in [%s], first at %s: remove one", origin, name,
                       section->name, section->values[i].origin);
    if (kv_raw_replace(section, i, value, origin))
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    return KV_OK;
}

enum kv_status kv_raw_continue(struct kv_raw_section *section, const char *name, const char *value,
                               const char *origin, struct kv_error *err)
{
    const struct kv_setting *row = kv_setting_find(name);
    struct kv_raw_value *held = &section->values[row - kv_settings];

    if (row->kind != KV_SETTING_PATTERNS && row->kind != KV_SETTING_RESOLVE &&
        row->kind != KV_SETTING_TENANTS && row->kind != KV_SETTING_SECTIONS &&
        row->kind != KV_SETTING_WORDS && row->kind != KV_SETTING_PINS)
        return kv_fail(
            err, KV_CONFIG,
            "%s: '%s' starts with white space and so continues '%s' of %s, which is not a list: remove "
            "the white space",
            origin, value, name, held->origin);
    char *both = kv_text_format("%s %s", held->text, value);
    if (!both)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    kv_text_free(held->text);
    held->text = both;
    return KV_OK;
}

enum kv_status kv_raw_replace(struct kv_raw_section *section, size_t row, const char *value,
                              const char *origin)
{
    KV_AUTO_TEXT char *text = kv_text_copy(value), *from = kv_text_copy(origin);

    if (!text || !from)
        return KV_NO_MEMORY;
    struct kv_raw_value *held = &section->values[row];
    kv_text_free(held->text);
    kv_text_free(held->origin);
    held->text = kv_take(text);
    held->origin = kv_take(from);
    return KV_OK;
}

enum kv_status kv_raw_add_reserved(struct kv_raw *raw, const struct kv_pair_list *words, struct kv_error *err)
{
    const char *origin = "pReserved";

    for (size_t i = 0; i < words->count; i++) {
        const char *word = words->items[i], *value = strchr(word, '=');
        if (!value)
            return kv_fail(err, KV_CONFIG, "%s: '%s' is not name=value: write \"config=/path name=value …\"",
                           origin, word);
        KV_AUTO_TEXT char *name = kv_text_copy_n(word, (size_t)(value - word));
        if (!name)
            return kv_fail(err, KV_NO_MEMORY, "out of memory");
        if (!strcmp(name, "config"))
            continue;
        KV_TRY(check_place(raw->sections[0], name, origin, err));
        if (kv_raw_replace(raw->sections[0], (size_t)(kv_setting_find(name) - kv_settings), value + 1,
                           origin))
            return kv_fail(err, KV_NO_MEMORY, "out of memory");
    }
    return KV_OK;
}
