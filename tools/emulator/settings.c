#include <limits.h>
#include <stdio.h>
#include <string.h>
#include "settings.h"
#include "util.h"

static const struct {
    const char *name;
    bool flag;
    int min, max;
} table[EM_SETTING_COUNT] = {
    [EM_RETRY_AFTER] = { "retry_after", true, 0, 1 },
    [EM_PAGE_SIZE] = { "page_size", false, 1, 25 },
    [EM_PAGE_HOLES] = { "page_holes", true, 0, 1 },
    [EM_DELETE_LATENCY] = { "delete_latency", false, 0, INT_MAX },
    [EM_PURGE_LATENCY] = { "purge_latency", false, 0, INT_MAX },
    [EM_RECOVER_LATENCY] = { "recover_latency", false, 0, INT_MAX },
    [EM_TOKEN_LIFETIME] = { "token_lifetime", false, 1, INT_MAX },
    [EM_READONLY] = { "readonly", true, 0, 1 },
    [EM_LATENCY_MS] = { "latency_ms", false, 0, INT_MAX },
    [EM_PUBLIC_OPS] = { "disabled_public_ops", true, 0, 1 },
    [EM_CERTIFICATE_LATENCY] = { "certificate_latency", false, 0, INT_MAX },
    [EM_PURGE_PROTECTION] = { "purge_protection", true, 0, 1 },
};

void em_settings_init(struct em_settings *settings, const struct em_options *options)
{
    settings->value[EM_PAGE_SIZE] = options->page_size;
    settings->value[EM_PAGE_HOLES] = options->page_holes;
    settings->value[EM_DELETE_LATENCY] = options->delete_latency;
    settings->value[EM_PURGE_LATENCY] = options->purge_latency;
    settings->value[EM_RECOVER_LATENCY] = options->recover_latency;
    settings->value[EM_TOKEN_LIFETIME] = 3599;
    settings->value[EM_READONLY] = options->readonly;
    settings->value[EM_PUBLIC_OPS] = strcmp(options->public_ops, "allow") == 0;
}

static int find(const char *name)
{
    for (int i = 0; i < EM_SETTING_COUNT; i++) {
        if (strcmp(table[i].name, name) == 0)
            return i;
    }
    return -1;
}

static bool fits(int setting, const json_t *value)
{
    if (table[setting].flag)
        return json_is_boolean(value);
    return json_is_integer(value) && json_integer_value(value) >= table[setting].min &&
           json_integer_value(value) <= table[setting].max;
}

bool em_settings_change(struct em_settings *settings, const json_t *change, char ret_why[256])
{
    const char *name;
    json_t *value;
    json_t *members = (json_t *)(uintptr_t)change;
    json_object_foreach(members, name, value)
    {
        int setting = find(name);
        if (setting < 0 || !fits(setting, value)) {
            snprintf(ret_why, 256, "setting '%.100s' is unknown or its value not allowed", name);
            return false;
        }
    }
    json_object_foreach(members, name, value) settings->value[find(name)] =
        json_is_boolean(value) ? json_is_true(value) : (int)json_integer_value(value);
    return true;
}

json_t *em_settings_show(const struct em_settings *settings)
{
    json_t *show = em_json(json_object());
    for (int i = 0; i < EM_SETTING_COUNT; i++)
        json_object_set_new(show, table[i].name,
                            table[i].flag ? json_boolean(settings->value[i])
                                          : json_integer(settings->value[i]));
    return show;
}
