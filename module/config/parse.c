#include "settings.h"

#include "base/clock.h"
#include "base/kinds.h"
#include "base/locked.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void *field_of(const struct kv_setting *row, void *base)
{
    return (char *)base + row->offset;
}

static enum kv_status take_text(char **field, char *fresh)
{
    if (!fresh)
        return KV_NO_MEMORY;
    kv_text_free(*field);
    *field = fresh;
    return KV_OK;
}

/* Its place among "a|b|c"; -1: none of them. */
static int place_of(const char *word, const char *words)
{
    size_t len = strlen(word);

    if (!len || strchr(word, '|'))
        return -1;
    for (int place = 0;; place++) {
        size_t size = strcspn(words, "|");
        if (size == len && !strncmp(words, word, len))
            return place;
        if (!words[size])
            return -1;
        words += size + 1;
    }
}

static enum kv_status set_text(const struct kv_setting *row, const char *value, void *base)
{
    if (!kv_word_is_made_of(value, ".-_", 128))
        return KV_CONFIG;
    return take_text(field_of(row, base), kv_text_copy(value));
}

static enum kv_status set_word(const struct kv_setting *row, const char *value, void *base)
{
    if (place_of(value, row->info.type) < 0)
        return KV_CONFIG;
    return take_text(field_of(row, base), kv_text_copy(value));
}

static enum kv_status set_several(const struct kv_setting *row, const char *value, void *base)
{
    KV_CLEANUP(kv_words_free) struct kv_pair_list list = { 0 };
    KV_AUTO_BUFFER struct kv_buffer text = { 0 };

    KV_TRY(kv_words_split(value, " \t\n,", &list));
    for (size_t i = 0; i < list.count; i++) {
        if (place_of(list.items[i], row->info.type) < 0)
            return KV_CONFIG;
        KV_TRY(kv_buffer_format(&text, "%s%s", i ? " " : "", list.items[i]));
    }
    if (!list.count)
        return KV_CONFIG;
    return take_text(field_of(row, base), kv_text_copy((const char *)text.bytes.data));
}

static enum kv_status set_choice(const struct kv_setting *row, const char *value, void *base)
{
    int place = place_of(value, row->info.type);

    if (place < 0)
        return KV_CONFIG;
    *(int *)field_of(row, base) = place;
    return KV_OK;
}

static enum kv_status set_flag(const struct kv_setting *row, const char *value, void *base)
{
    int place = place_of(value, "no|yes");

    if (place < 0)
        return KV_CONFIG;
    *(bool *)field_of(row, base) = place == 1;
    return KV_OK;
}

static enum kv_status set_hsm(const struct kv_setting *row, const char *value, void *base)
{
    const struct kv_vault_config *vault = base;

    if (strcmp(value, "auto"))
        return set_flag(row, value, base);
    const char *second = vault->host ? strchr(vault->host, '.') : NULL;
    *(bool *)field_of(row, base) = second && !strncmp(second, ".managedhsm.", strlen(".managedhsm."));
    return KV_OK;
}

/* Digits with at most `decimals` behind a point, as a whole number of the smallest unit. */
static bool get_number(const char *text, int decimals, int64_t *ret)
{
    size_t whole = strspn(text, "0123456789"), part = 0;
    int64_t number = 0;

    if (text[whole] == '.')
        part = strspn(text + whole + 1, "0123456789");
    if (!whole || whole > 12 || part > (size_t)decimals || text[whole + (part ? part + 1 : 0)])
        return false;
    for (size_t i = 0; i < whole; i++)
        number = number * 10 + (text[i] - '0');
    for (size_t i = 0; i < (size_t)decimals; i++)
        number = number * 10 + (i < part ? text[whole + 1 + i] - '0' : 0);
    *ret = number;
    return true;
}

static enum kv_status set_within(const struct kv_setting *row, const char *value, int decimals, void *base)
{
    int64_t number;

    if (!get_number(value, decimals, &number) || number < row->least || number > row->most)
        return KV_CONFIG;
    *(int64_t *)field_of(row, base) = number;
    return KV_OK;
}

static enum kv_status set_seconds(const struct kv_setting *row, const char *value, void *base)
{
    return set_within(row, value, 3, base);
}

static enum kv_status set_number(const struct kv_setting *row, const char *value, void *base)
{
    return set_within(row, value, 0, base);
}

static enum kv_status set_date(const struct kv_setting *row, const char *value, void *base)
{
    int64_t at;

    if (!kv_clock_read(value, &at) || at <= 0)
        return KV_CONFIG;
    *(int64_t *)field_of(row, base) = at;
    return KV_OK;
}

static enum kv_status set_rate(const struct kv_setting *row, const char *value, void *base)
{
    if (strcmp(value, "auto") && strcmp(value, "off"))
        return set_within(row, value, 0, base);
    *(int64_t *)field_of(row, base) = strcmp(value, "off") ? KV_RATE_AUTO : KV_RATE_OFF;
    return KV_OK;
}

static enum kv_status set_path(const struct kv_setting *row, const char *value, void *base)
{
    bool is_word = strcmp(value, "path") && place_of(value, row->info.type) >= 0;

    if (!is_word && (value[0] != '/' || !value[1] || strlen(value) > 4000))
        return KV_CONFIG;
    return take_text(field_of(row, base), kv_text_copy(value));
}

static enum kv_status set_key(const struct kv_setting *row, const char *value, void *base)
{
    if (value[0] == '/')
        return set_path(row, value, base);
    if (strncmp(value, "pkcs11:", 7) != 0 || value[strcspn(value, " \t")] || strlen(value) > 4000)
        return KV_CONFIG;
    return take_text(field_of(row, base), kv_text_copy(value));
}

static enum kv_status set_vault_url(const struct kv_setting *row, const char *value, void *base)
{
    struct kv_vault_config *vault = base;
    char *url, *host;

    KV_TRY(kv_url_normalise(value, "https", &url, &host));
    KV_TRY(take_text(&vault->host, host));
    return take_text(field_of(row, base), url);
}

/* A text that has a reader of its own. */
static enum kv_status set_read(const struct kv_setting *row, const char *value, void *base);

static bool is_pattern(const char *word)
{
    return kv_word_is_made_of(word, "-*?", KV_NAME_SIZE - 1);
}

static bool is_tenant(const char *word)
{
    return !strcmp(word, "*") || kv_word_is_made_of(word, ".-", 63);
}

static enum kv_status set_words(const struct kv_setting *row, const char *value, void *base)
{
    bool tenants = row->kind == KV_SETTING_TENANTS;
    bool (*is_good)(const char *) = tenants                            ? is_tenant
                                    : row->kind == KV_SETTING_PATTERNS ? is_pattern
                                                                       : kv_address_is_resolve;
    KV_CLEANUP(kv_words_free) struct kv_pair_list list = { 0 };
    struct kv_pair_list *field = field_of(row, base), before = *field;

    KV_TRY(kv_words_split(value, tenants ? " \t\n,;" : " \t\n,", &list));
    for (size_t i = 0; i < list.count; i++)
        if (!is_good(list.items[i]))
            return KV_CONFIG;
    *field = list;
    list = before;
    return KV_OK;
}

static enum kv_status set_sections(const struct kv_setting *row, const char *value, void *base)
{
    struct kv_pair_list list = { 0 }, *field = field_of(row, base);

    KV_TRY(kv_sections_split(value, &list));
    kv_words_free(field);
    *field = list;
    return KV_OK;
}

enum kv_status kv_setting_keep_secret(const char *text, char **secret)
{
    size_t len = strlen(text);
    char *copy = kv_locked_alloc(len + 1);

    if (!copy)
        return KV_NO_MEMORY;
    memcpy(copy, text, len);
    kv_locked_free(*secret);
    *secret = copy;
    return KV_OK;
}

static enum kv_status set_secret(const struct kv_setting *row, const char *value, void *base)
{
    return *value ? kv_setting_keep_secret(value, field_of(row, base)) : KV_CONFIG;
}

static const struct {
    enum kv_status (*set)(const struct kv_setting *row, const char *value, void *base);
    const char *wanted;
    enum kv_status (*read)(const char *value, char **ret); /* of set_read */
} kinds[] = {
    [KV_SETTING_TEXT] = { set_text, "of letters, digits, '.', '-' and '_'" },
    [KV_SETTING_WORD] = { set_word, NULL },
    [KV_SETTING_WORDS] = { set_several, NULL },
    [KV_SETTING_CHOICE] = { set_choice, NULL },
    [KV_SETTING_FLAG] = { set_flag, NULL },
    [KV_SETTING_HSM] = { set_hsm, NULL },
    [KV_SETTING_SECONDS] = { set_seconds, "a number of seconds" },
    [KV_SETTING_NUMBER] = { set_number, "a whole number" },
    [KV_SETTING_PATH] = { set_path, "an absolute path" },
    [KV_SETTING_VAULT_URL] = { set_vault_url, "an https address of host and port alone" },
    [KV_SETTING_AUTHORITY] = { set_read, "an https address of host and port alone", kv_address_authority },
    [KV_SETTING_ENDPOINT] = { set_read,
                              "an address of host and port alone, with https unless it is on 127.0.0.0/8 or "
                              "169.254.0.0/16",
                              kv_address_endpoint },
    [KV_SETTING_SERVICE] = { set_read,
                             "an address without a query, with https unless it is on this machine, its link, "
                             "or a private network",
                             kv_address_service },
    [KV_SETTING_PATTERNS] = { set_words,
                              "a list of key names (letters, digits, '-', and the marks * and ?)" },
    [KV_SETTING_RESOLVE] = { set_words, "a list of host:port:address" },
    [KV_SETTING_TENANTS] = { set_words, "a list of tenants, or *" },
    [KV_SETTING_SECTIONS] = { set_sections, "a list of at most 8 names of vaults with a comma between" },
    [KV_SETTING_KEY] = { set_key, "an absolute path or a URI 'pkcs11:…' without blanks" },
    [KV_SETTING_DATE] = { set_date, "a date, or a point in time of Greenwich: 2027-03-31T12:00:00Z" },
    [KV_SETTING_RATE] = { set_rate, "auto, off, or a whole number" },
    [KV_SETTING_PROXY] = { set_read,
                           "environment, none, or an address http://, socks5:// or socks5h:// with its port "
                           "and without a name and password",
                           kv_transport_proxy },
    [KV_SETTING_PINS] = { set_read, "a list of sha256//DIGEST, each a SHA-256 in base64", kv_transport_pins },
    [KV_SETTING_INTERFACE] = { set_read, "the name of a network interface or an address",
                               kv_transport_interface },
    [KV_SETTING_SECRET] = { set_secret, "a secret" },
};

static enum kv_status set_read(const struct kv_setting *row, const char *value, void *base)
{
    char *text = NULL;

    KV_TRY(kinds[row->kind].read(value, &text));
    return take_text(field_of(row, base), text);
}

/* "one of a, b, c", "a whole number from 1 to 100". */
static char *wanted_text(const struct kv_setting *row)
{
    const char *wanted = kinds[row->kind].wanted;
    char words[256];

    if (row->kind == KV_SETTING_SECONDS)
        return kv_text_format("%s from %g to %g", wanted, (double)row->least / 1000,
                              (double)row->most / 1000);
    if (row->kind == KV_SETTING_NUMBER || row->kind == KV_SETTING_RATE)
        return kv_text_format("%s from %" PRId64 " to %" PRId64, wanted, row->least, row->most);
    if (row->kind == KV_SETTING_PATH && strcmp(row->info.type, "path"))
        return kv_text_format("%s and none of the words in '%s'", wanted, row->info.type);
    if (wanted || !kv_text_fit(words, sizeof words, row->info.type))
        return kv_text_copy(wanted);
    for (char *bar; (bar = strchr(words, '|'));)
        *bar = ' ';
    return kv_text_format("one %sof the words %s", row->kind == KV_SETTING_WORDS ? "or more " : "", words);
}

enum kv_status kv_setting_set(const struct kv_setting *row, const char *value, const char *origin, void *base,
                              struct kv_error *err)
{
    enum kv_status status = kinds[row->kind].set(row, value, base);

    if (status == KV_NO_MEMORY)
        return kv_fail(err, status, "out of memory");
    if (status == KV_OK)
        return KV_OK;
    KV_AUTO_TEXT char *wanted = wanted_text(row);
    const char *name = row->info.name, *example = row->example ? row->example : row->info.standard;
    /* Also of who takes `pin` for the PIN itself. */
    bool hides = row->info.secret || !strcmp(name, "pin");
    const char *remark = strchr(value, '#') ? " (a remark behind a value starts with ' ;')" : "";
    return kv_fail(err, status, "%s: %s = '%s' is not %s: write %s = %s%s", origin, name, hides ? "…" : value,
                   wanted ? wanted : row->info.type, name, example, remark);
}
