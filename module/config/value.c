#include "settings.h"

#include "base/clock.h"
#include "base/locked.h"

#include <inttypes.h>
#include <string.h>

bool kv_setting_is_vaults(const struct kv_setting *row)
{
    return !strcmp(row->info.section, "vault");
}

const struct kv_setting *kv_setting_find(const char *name)
{
    for (const struct kv_setting *row = kv_settings; row->info.name; row++)
        if (!strcmp(row->info.name, name))
            return row;
    return NULL;
}

const struct kv_setting_info *kv_config_setting(size_t i)
{
    for (const struct kv_setting *row = kv_settings; row->info.name; row++)
        if (!i--)
            return &row->info;
    return NULL;
}

/* ---- what a field holds, as text, and its end: by kind ---- */

static char *text_of_text(const struct kv_setting *row, const void *field)
{
    const char *text = *(char *const *)field;

    return kv_text_copy(text ? text : "");
}

static char *text_of_secret(const struct kv_setting *row, const void *field)
{
    return kv_text_copy(*(char *const *)field ? "(set)" : "");
}

static char *joined(const struct kv_pair_list *list, const char *between)
{
    KV_AUTO_BUFFER struct kv_buffer text = { 0 };

    if (!list->count)
        return kv_text_copy("");
    for (size_t i = 0; i < list->count; i++)
        if (kv_buffer_format(&text, "%s%s", i ? between : "", list->items[i]))
            return NULL;
    return kv_text_copy((const char *)text.bytes.data);
}

static char *text_of_list(const struct kv_setting *row, const void *field)
{
    return joined(field, " ");
}

static char *text_of_sections(const struct kv_setting *row, const void *field)
{
    return joined(field, ",");
}

static char *text_of_choice(const struct kv_setting *row, const void *field)
{
    const char *words = row->info.type;

    for (int place = *(const int *)field; place > 0; place--)
        words += strcspn(words, "|") + 1;
    return kv_text_copy_n(words, strcspn(words, "|"));
}

static char *text_of_flag(const struct kv_setting *row, const void *field)
{
    return kv_text_copy(*(const bool *)field ? "yes" : "no");
}

static char *text_of_seconds(const struct kv_setting *row, const void *field)
{
    int64_t ms = *(const int64_t *)field;

    if (ms % 1000 == 0)
        return kv_text_format("%" PRId64, ms / 1000);
    return kv_text_format("%" PRId64 ".%03" PRId64, ms / 1000, ms % 1000);
}

static char *text_of_number(const struct kv_setting *row, const void *field)
{
    return kv_text_format("%" PRId64, *(const int64_t *)field);
}

static char *text_of_date(const struct kv_setting *row, const void *field)
{
    int64_t at = *(const int64_t *)field;
    char text[21] = "";

    if (at)
        kv_clock_text(at, text);
    return kv_text_copy(text);
}

static char *text_of_rate(const struct kv_setting *row, const void *field)
{
    int64_t rate = *(const int64_t *)field;

    if (rate == KV_RATE_OFF || rate == KV_RATE_AUTO)
        return kv_text_copy(rate == KV_RATE_OFF ? "off" : "auto");
    return text_of_number(row, field);
}

static void clear_text(void *field)
{
    kv_text_free(*(char **)field);
    *(char **)field = NULL;
}

static void clear_secret(void *field)
{
    kv_locked_free(*(char **)field);
    *(char **)field = NULL;
}

static void clear_list(void *field)
{
    kv_words_free(field);
}

static void clear_date(void *field)
{
    *(int64_t *)field = 0;
}

static void clear_nothing(void *field)
{
}

static const struct {
    char *(*text)(const struct kv_setting *row, const void *field);
    void (*clear)(void *field);
} kinds[] = {
    [KV_SETTING_TEXT] = { text_of_text, clear_text },
    [KV_SETTING_WORD] = { text_of_text, clear_text },
    [KV_SETTING_WORDS] = { text_of_text, clear_text },
    [KV_SETTING_CHOICE] = { text_of_choice, clear_nothing },
    [KV_SETTING_FLAG] = { text_of_flag, clear_nothing },
    [KV_SETTING_HSM] = { text_of_flag, clear_nothing },
    [KV_SETTING_SECONDS] = { text_of_seconds, clear_nothing },
    [KV_SETTING_NUMBER] = { text_of_number, clear_nothing },
    [KV_SETTING_PATH] = { text_of_text, clear_text },
    [KV_SETTING_VAULT_URL] = { text_of_text, clear_text },
    [KV_SETTING_AUTHORITY] = { text_of_text, clear_text },
    [KV_SETTING_ENDPOINT] = { text_of_text, clear_text },
    [KV_SETTING_SERVICE] = { text_of_text, clear_text },
    [KV_SETTING_PATTERNS] = { text_of_list, clear_list },
    [KV_SETTING_RESOLVE] = { text_of_list, clear_list },
    [KV_SETTING_TENANTS] = { text_of_list, clear_list },
    [KV_SETTING_SECTIONS] = { text_of_sections, clear_list },
    [KV_SETTING_KEY] = { text_of_text, clear_text },
    [KV_SETTING_DATE] = { text_of_date, clear_date },
    [KV_SETTING_RATE] = { text_of_rate, clear_nothing },
    [KV_SETTING_PROXY] = { text_of_text, clear_text },
    [KV_SETTING_PINS] = { text_of_text, clear_text },
    [KV_SETTING_INTERFACE] = { text_of_text, clear_text },
    [KV_SETTING_SECRET] = { text_of_secret, clear_secret },
};

char *kv_setting_text(const struct kv_setting *row, const void *base)
{
    return kinds[row->kind].text(row, (const char *)base + row->offset);
}

void kv_setting_clear(const struct kv_setting *row, void *base)
{
    kinds[row->kind].clear((char *)base + row->offset);
}

char *kv_config_value(const struct kv_config *config, const struct kv_vault_config *vault, const char *name)
{
    const struct kv_setting *row = kv_setting_find(name);

    if (!row || kv_setting_is_vaults(row) != (vault != NULL))
        return NULL;
    return kv_setting_text(row, vault ? (const void *)vault : config);
}
