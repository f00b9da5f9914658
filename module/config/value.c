#include "settings.h"

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

static char *word_at(const char *words, int place)
{
    for (; place > 0; place--)
        words += strcspn(words, "|") + 1;
    return kv_text_copy_n(words, strcspn(words, "|"));
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

static char *seconds_text(int64_t ms)
{
    if (ms % 1000 == 0)
        return kv_text_format("%" PRId64, ms / 1000);
    return kv_text_format("%" PRId64 ".%03" PRId64, ms / 1000, ms % 1000);
}

char *kv_setting_text(const struct kv_setting *row, const void *base)
{
    const void *field = (const char *)base + row->offset;
    const char *text;

    switch (row->kind) {
    case KV_SETTING_CHOICE:
        return word_at(row->info.type, *(const int *)field);
    case KV_SETTING_FLAG:
    case KV_SETTING_HSM:
        return kv_text_copy(*(const bool *)field ? "yes" : "no");
    case KV_SETTING_SECONDS:
        return seconds_text(*(const int64_t *)field);
    case KV_SETTING_NUMBER:
        return kv_text_format("%" PRId64, *(const int64_t *)field);
    case KV_SETTING_RATE:
        if (*(const int64_t *)field <= KV_RATE_OFF)
            return kv_text_copy(*(const int64_t *)field == KV_RATE_OFF ? "off" : "auto");
        return kv_text_format("%" PRId64, *(const int64_t *)field);
    case KV_SETTING_PATTERNS:
    case KV_SETTING_RESOLVE:
    case KV_SETTING_TENANTS:
        return joined(field, " ");
    case KV_SETTING_SECTIONS:
        return joined(field, ",");
    case KV_SETTING_SECRET:
        return kv_text_copy(*(char *const *)field ? "(set)" : "");
    case KV_SETTING_TEXT:
    case KV_SETTING_WORD:
    case KV_SETTING_WORDS:
    case KV_SETTING_PATH:
    case KV_SETTING_VAULT_URL:
    case KV_SETTING_AUTHORITY:
    case KV_SETTING_ENDPOINT:
    case KV_SETTING_SERVICE:
    case KV_SETTING_KEY:
    case KV_SETTING_PROXY:
    case KV_SETTING_PINS:
    case KV_SETTING_INTERFACE:
        text = *(char *const *)field;
        return kv_text_copy(text ? text : "");
    }
    return NULL;
}

char *kv_config_value(const struct kv_config *config, const struct kv_vault_config *vault, const char *name)
{
    const struct kv_setting *row = kv_setting_find(name);

    if (!row || kv_setting_is_vaults(row) != (vault != NULL))
        return NULL;
    return kv_setting_text(row, vault ? (const void *)vault : config);
}
