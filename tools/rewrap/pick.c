#include "rewrap.h"

#include <string.h>
#include "age/vault_private.h"
#include "base/clock.h"

enum { DAY = 24 * 60 * 60 };

static void target_free(struct kv_rewrap_target *target)
{
    kv_version_free(target->version);
    kv_text_free(target->text);
}

void kv_rewrap_pick_free(struct kv_rewrap_pick *pick)
{
    for (size_t i = 0; i < pick->target_count; i++)
        target_free(&pick->targets[i]);
    free(pick->targets);
    free(pick->keys);
    free(pick->from_digests);
    *pick = (struct kv_rewrap_pick){ 0 };
}

/* ---- targets ---- */

static enum kv_status add_target(struct kv_rewrap_pick *pick, struct kv_rewrap_target target, size_t *ret,
                                 struct kv_error *err)
{
    struct kv_rewrap_target *more = reallocarray(pick->targets, pick->target_count + 1, sizeof *more);
    if (!more || !target.text) {
        pick->targets = more ? more : pick->targets;
        target_free(&target);
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    }
    pick->targets = more;
    pick->targets[ *ret = pick->target_count++] = target;
    return KV_OK;
}

/* The same version may be reached by several ways: one target. */
static enum kv_status target_version(struct kv_rewrap_pick *pick, struct kv_version *version, size_t *ret,
                                     struct kv_error *err)
{
    struct kv_rewrap_target target = { 0 };
    KV_TRY(kv_vault_stanza_of(version, &target.stanza, err));
    for (size_t i = 0; i < pick->target_count; i++)
        if (kv_vault_stanza_fits(&pick->targets[i].stanza, version)) {
            *ret = i;
            return KV_OK;
        }
    target.body = version->kind == KV_RSA ? version->bits / 8 : KV_AGE_FILE_KEY + 8;
    target.version = kv_version_ref(version);
    target.text = kv_text_format("%s/%s@%s", version->vault, version->name, version->version);
    return add_target(pick, target, ret, err);
}

/* A public key that nobody here has seen with its vault. */
static enum kv_status target_alone(struct kv_rewrap_pick *pick, const char *text, struct kv_view spki,
                                   struct kv_vault_stanza *stanza, size_t *ret, struct kv_error *err)
{
    struct kv_public *key = NULL;
    KV_TRY(kv_public_from_spki(spki, &key, err));
    struct kv_rewrap_target target = {
        .stanza = *stanza, .body = kv_public_bits(key) / 8, .proven = true, .text = kv_text_copy(text)
    };
    kv_public_free(key);
    return add_target(pick, target, ret, err);
}

static enum kv_status target_spki(struct kv_rewrap_pick *pick, const char *text, struct kv_view spki,
                                  size_t *ret, struct kv_error *err)
{
    KV_CLEANUP(kv_version_list_free) struct kv_version_list known = { 0 };
    KV_AUTO_BYTES struct kv_bytes digest = { 0 };
    struct kv_vault_stanza stanza = { .kind = KV_RSA };
    KV_TRY(kv_digest_once("SHA2-256", spki, &digest));
    memcpy(stanza.digest, digest.data, sizeof stanza.digest);
    KV_TRY(kv_age_vault_known(pick->vault, &stanza, &known, err));
    return known.count ? target_version(pick, known.items[0], ret, err)
                       : target_alone(pick, text, spki, &stanza, ret, err);
}

/* What the vault says is current, however lately it was asked: files shall not be rewrapped for a version that is old itself. One request a key and run. Where the vault cannot be reached,
 * what the map knows. */
static enum kv_status current_of(struct kv_rewrap_pick *pick, const char *vault, const char *name,
                                 struct kv_version **ret, struct kv_error *err)
{
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
    const struct kv_keyring_query query = { .label = name, .force = true };
    size_t i = 0;
    KV_TRY(kv_age_vault_index(pick->vault, vault, &i, err));
    struct kv_task task = kv_core_task(pick->vault->core, i, pick->vault->caller);
    KV_TRY(kv_keyring_find(kv_core_keyring(pick->vault->core, i), &query, &task, &list, NULL, err));
    for (size_t j = 0; j < list.count; j++)
        if (list.items[j]->current) {
            *ret = kv_version_ref(list.items[j]);
            return KV_OK;
        }
    return kv_fail(err, KV_NOT_FOUND, "key '%s' of vault '%s' has no current version", name, vault);
}

static enum kv_status target_named(struct kv_rewrap_pick *pick, struct kv_vault_text *text, size_t *ret,
                                   struct kv_error *err)
{
    KV_AUTO_VERSION struct kv_version *named = NULL, *current = NULL;
    const char *vault = pick->parties->tool->vault;
    if (!text->vault[0] && vault && !kv_text_fit(text->vault, sizeof text->vault, vault))
        return kv_fail(err, KV_ARGUMENTS, "no vault '%s' is configured", vault);
    KV_TRY(kv_age_vault_named(pick->vault, text, &named, err));
    if (text->version[0])
        return target_version(pick, named, ret, err);
    KV_TRY(current_of(pick, named->vault, named->name, &current, err));
    return target_version(pick, current, ret, err);
}

static enum kv_status target_text(struct kv_rewrap_pick *pick, const char *text, struct kv_error *err)
{
    KV_AUTO_VAULT_TEXT struct kv_vault_text read = { 0 };
    size_t at = 0;
    if (kv_vault_text_is(text))
        KV_TRY(kv_vault_text_read(text, &read, err));
    else if (!strncmp(text, "age1", 4) || !strncmp(text, "ssh-", 4))
        return kv_fail(err, KV_ARGUMENTS,
                       "-r '%.40s' is no key of a vault: what opens files without one is named with "
                       "--break-glass",
                       text);
    else
        KV_TRY(kv_vault_text_read_name(text, &read, err));
    return read.spki.len ? target_spki(pick, text, KV_VIEW(read.spki), &at, err)
                         : target_named(pick, &read, &at, err);
}

/* ---- which stanzas ---- */

static enum kv_status add_from(struct kv_rewrap_pick *pick, const struct kv_version *version,
                               struct kv_error *err)
{
    struct kv_vault_stanza stanza = { 0 };
    if (kv_vault_stanza_of(version, &stanza, NULL) != KV_OK)
        return KV_OK; /* a key that opens nothing */
    void *more = reallocarray(pick->from_digests, pick->from_count + 1, sizeof *pick->from_digests);
    if (!more)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    pick->from_digests = more;
    memcpy(pick->from_digests[pick->from_count++], stanza.digest, KV_VAULT_DIGEST);
    return KV_OK;
}

/* "VERSION", "[VAULT/]NAME@VERSION" or a kid. The map tells which key that is, and so the same one in files that were sealed where it had another name. */
static enum kv_status read_from(struct kv_rewrap_pick *pick, struct kv_error *err)
{
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
    struct kv_vault_text text = { 0 };
    struct kv_kid kid = { 0 };
    if (!strncmp(pick->from, "https://", 8)) {
        if (kv_kid_parse(pick->from, &kid, NULL) != KV_OK)
            return kv_fail(err, KV_ARGUMENTS, "--from '%.200s' is no kid: https://HOST/keys/NAME/VERSION",
                           pick->from);
        if (!kv_text_fit(text.name, sizeof text.name, kid.name) ||
            !kv_text_fit(text.version, sizeof text.version, kid.version))
            return kv_fail(err, KV_ARGUMENTS, "--from '%.200s' is too long", pick->from);
    } else if (strchr(pick->from, '@')) {
        KV_TRY(kv_vault_text_read_name(pick->from, &text, err));
    } else if (!kv_text_fit(text.version, sizeof text.version, pick->from)) {
        return kv_fail(err, KV_ARGUMENTS, "--from '%.200s' is too long", pick->from);
    }
    if (!text.version[0] || text.version[strspn(text.version, "0123456789abcdefABCDEF")])
        return kv_fail(err, KV_ARGUMENTS,
                       "--from '%.200s' names no version: VERSION, [VAULT/]NAME@VERSION or a kid, as 'kvp11 "
                       "keys --all' prints them",
                       pick->from);
    const struct kv_map_query query = { .vault = text.vault[0] ? text.vault : NULL,
                                        .name = text.name[0] ? text.name : NULL,
                                        .version = text.version };
    memcpy(pick->from_name, text.name, sizeof pick->from_name);
    memcpy(pick->from_version, text.version, sizeof pick->from_version);
    KV_TRY(kv_map_find(kv_core_map(pick->vault->core), &query, &list, err));
    for (size_t i = 0; i < list.count; i++)
        KV_TRY(add_from(pick, list.items[i], err));
    return KV_OK;
}

static bool is_from(const struct kv_rewrap_pick *pick, const struct kv_vault_stanza *stanza)
{
    struct kv_kid kid;
    for (size_t i = 0; i < pick->from_count; i++)
        if (!memcmp(pick->from_digests[i], stanza->digest, KV_VAULT_DIGEST))
            return true;
    return stanza->kid[0] && kv_kid_parse(stanza->kid, &kid, NULL) == KV_OK &&
           kv_text_equal_case(kid.version, pick->from_version) &&
           (!pick->from_name[0] || kv_text_equal_case(kid.name, pick->from_name));
}

/* "90d", "18m", "1y". */
static enum kv_status read_age(struct kv_rewrap_pick *pick, const char *text, struct kv_error *err)
{
    static const struct {
        char unit;
        int days;
    } units[] = { { 'd', 1 }, { 'w', 7 }, { 'm', 30 }, { 'y', 365 } };
    size_t len = strlen(text);
    KV_AUTO_TEXT char *number = kv_text_copy_n(text, len ? len - 1 : 0);
    int count = 0, days = 0;
    for (size_t i = 0; len && i < sizeof units / sizeof *units; i++)
        days = text[len - 1] == units[i].unit ? units[i].days : days;
    if (!number || !days || kv_common_number("--older-than", number, &count, NULL) != KV_OK)
        return kv_fail(err, KV_ARGUMENTS, "--older-than '%s' is no age: 90d, 12w, 18m or 1y", text);
    const struct kv_clock *clock = kv_core_clock(pick->vault->core);
    pick->before = clock->unix_seconds(clock) - (int64_t)count * days * DAY;
    return KV_OK;
}

enum kv_status kv_rewrap_pick_begin(struct kv_rewrap_pick *pick, struct kv_parties *parties,
                                    struct kv_error *err)
{
    const struct kv_tool *tool = parties->tool;
    const char *text, *age = kv_common_option(tool, "--older-than");
    pick->parties = parties;
    pick->vault = &parties->vault;
    pick->from = kv_common_option(tool, "--from");
    if (pick->from && age)
        return kv_fail(err, KV_ARGUMENTS, "--from and --older-than: one of them");
    if (pick->from)
        KV_TRY(read_from(pick, err));
    if (age)
        KV_TRY(read_age(pick, age, err));
    for (size_t at = 0; (text = kv_common_each(tool, "-r", &at));)
        KV_TRY(target_text(pick, text, err));
    pick->named = pick->target_count;
    return KV_OK;
}

/* ---- a stanza ---- */

/* The version is looked for only where something depends on it that the stanza does not say. */
static enum kv_status decide(struct kv_rewrap_pick *pick, struct kv_rewrap_key *key, struct kv_error *err)
{
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
    KV_AUTO_VERSION struct kv_version *current = NULL;
    key->goes = !pick->from || is_from(pick, &key->stanza);
    if (!key->goes || (pick->named && !pick->before))
        return KV_OK;
    KV_TRY(kv_age_vault_known(pick->vault, &key->stanza, &list, err));
    if (!list.count)
        KV_TRY(kv_age_vault_ask(pick->vault, &key->stanza, &list, err));
    const struct kv_version *version = list.items[0];
    key->goes = !pick->before || version->created < pick->before;
    if (!key->goes || pick->named)
        return KV_OK;
    KV_TRY(current_of(pick, version->vault, version->name, &current, err));
    KV_TRY(target_version(pick, current, &key->target, err));
    if (pick->from && kv_vault_stanza_fits(&key->stanza, current))
        return kv_fail(
            err, KV_ARGUMENTS,
            "version '%s' is still the current one of its key: rotate the key first (kvp11 --vault %s "
            "rotate %s), or name another one with -r",
            current->kid, kv_word(current->vault).text, kv_word(current->name).text);
    return KV_OK;
}

bool kv_rewrap_same(const struct kv_vault_stanza *a, const struct kv_vault_stanza *b)
{
    return a->kind == b->kind && !memcmp(a->digest, b->digest, KV_VAULT_DIGEST);
}

enum kv_status kv_rewrap_pick_key(struct kv_rewrap_pick *pick, const struct kv_vault_stanza *stanza,
                                  const struct kv_rewrap_key **ret, struct kv_error *err)
{
    size_t i = 0;
    while (i < pick->key_count && !kv_rewrap_same(&pick->keys[i].stanza, stanza))
        i++;
    if (i == pick->key_count) {
        struct kv_rewrap_key *more = reallocarray(pick->keys, i + 1, sizeof *more);
        if (!more)
            return kv_fail(err, KV_NO_MEMORY, "out of memory");
        pick->keys = more;
        pick->keys[i] = (struct kv_rewrap_key){ .stanza = *stanza };
        pick->keys[i].status = decide(pick, &pick->keys[i], &pick->keys[i].why);
        pick->key_count++;
    }
    *ret = &pick->keys[i];
    if ((*ret)->status != KV_OK && err)
        *err = (*ret)->why;
    return (*ret)->status;
}
