#include "common.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "temporary.h"

void kv_tool_free(struct kv_tool *tool)
{
    kv_core_close(tool->core);
    tool->core = NULL;
    kv_spool_free(&tool->out);
    kv_spool_free(&tool->aside);
}

enum kv_status kv_common_global(struct kv_tool *tool, char *const **next, bool *ret_known,
                                struct kv_error *err)
{
    const struct {
        const char *name;
        const char **value;
    } options[] = { { "--config", &tool->config_file }, { "--vault", &tool->vault } };
    const char *argument = **next;
    *ret_known = true;
    if (!strcmp(argument, "--json")) {
        tool->json = true;
        (*next)++;
        return KV_OK;
    }
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        size_t len = strlen(options[i].name);
        if (strncmp(argument, options[i].name, len) != 0 || (argument[len] && argument[len] != '='))
            continue;
        (*next)++;
        *options[i].value = argument[len] ? argument + len + 1 : **next ? *(*next)++ : "";
        if (!**options[i].value)
            return kv_fail(err, KV_ARGUMENTS, "option '%s' needs a value", options[i].name);
        return KV_OK;
    }
    *ret_known = false;
    return KV_OK;
}

/* Where an option's value is kept; NULL: the command has no such option. */
static const struct kv_option *option_find(const struct kv_command *command, const char *name, size_t len,
                                           size_t *ret)
{
    for (size_t i = 0; command->options && command->options[i].name; i++) {
        const char *known = command->options[i].name;
        if (strlen(known) == len && !strncmp(known, name, len)) {
            *ret = i;
            return &command->options[i];
        }
    }
    return NULL;
}

static enum kv_status option_parse(struct kv_tool *tool, char *const **next, struct kv_error *err)
{
    bool global = false;
    KV_TRY(kv_common_global(tool, next, &global, err));
    if (global)
        return KV_OK;
    const char *argument = *(*next)++, *equals = strchr(argument, '=');
    size_t at = 0, len = equals ? (size_t)(equals - argument) : strlen(argument);
    const struct kv_option *option = option_find(tool->command, argument, len, &at);
    if (!option)
        return kv_fail(err, KV_ARGUMENTS, "'%s' has no option '%.*s': see 'kvp11 help %s'",
                       tool->command->name, (int)len, argument, tool->command->name);
    if (!option->value && equals)
        return kv_fail(err, KV_ARGUMENTS, "option '%s' takes no value", option->name);
    if (!option->value) {
        tool->values[at] = "";
        return KV_OK;
    }
    tool->values[at] = equals ? equals + 1 : **next ? *(*next)++ : "";
    if (!*tool->values[at])
        return kv_fail(err, KV_ARGUMENTS, "option '%s' needs a value: %s %s", option->name, option->name,
                       option->value);
    if (!option->repeats)
        return KV_OK;
    if (tool->repeated_count == KV_TOOL_REPEATS)
        return kv_fail(err, KV_ARGUMENTS, "option '%s' is given too often: at most %d times", option->name,
                       KV_TOOL_REPEATS);
    tool->repeated[tool->repeated_count].option = option;
    tool->repeated[tool->repeated_count++].value = tool->values[at];
    return KV_OK;
}

enum kv_status kv_common_parse(struct kv_tool *tool, char *const *arguments, struct kv_error *err)
{
    const struct kv_command *command = tool->command;
    bool words_only = false;
    while (*arguments) {
        if (!words_only && !strcmp(*arguments, "--")) {
            words_only = true;
            arguments++;
            if (command->program && !*arguments)
                return kv_fail(err, KV_ARGUMENTS, "behind '--' stands no program: usage: kvp11 %s %s",
                               command->name, command->arguments);
            tool->program = command->program ? arguments : NULL;
            if (tool->program)
                break;
        } else if (!words_only && (*arguments)[0] == '-' && (*arguments)[1]) {
            KV_TRY(option_parse(tool, &arguments, err));
        } else if (tool->word_count == command->words_max) {
            return kv_fail(err, KV_ARGUMENTS, "'%s' is one argument too many: usage: kvp11 %s %s", *arguments,
                           command->name, command->arguments);
        } else {
            tool->words[tool->word_count++] = *arguments++;
        }
    }
    if (tool->word_count < command->words_min)
        return kv_fail(err, KV_ARGUMENTS, "an argument is missing: usage: kvp11 %s %s", command->name,
                       command->arguments);
    return KV_OK;
}

const char *kv_common_option(const struct kv_tool *tool, const char *name)
{
    size_t at = 0;
    return option_find(tool->command, name, strlen(name), &at) ? tool->values[at] : NULL;
}

const char *kv_common_each(const struct kv_tool *tool, const char *name, size_t *at)
{
    while (*at < tool->repeated_count) {
        size_t i = (*at)++;
        if (!strcmp(tool->repeated[i].option->name, name))
            return tool->repeated[i].value;
    }
    return NULL;
}

enum kv_status kv_common_number(const char *what, const char *text, int *ret, struct kv_error *err)
{
    char *end = NULL;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno || end == text || *end || value <= 0 || value > INT_MAX)
        return kv_fail(err, KV_ARGUMENTS, "%s '%s' is not a positive whole number", what, text);
    *ret = (int)value;
    return KV_OK;
}

enum kv_status kv_common_open_as(struct kv_tool *tool, bool operators, struct kv_error *err)
{
    KV_AUTO_CONFIG struct kv_config *config = NULL;
    struct kv_config_source source = { .path = tool->config_file, .operators = operators };
    KV_TRY(kv_config_load(&source, &config, err));
    if (!config->vault_count)
        return kv_fail(
            err, KV_CONFIG,
            "no vault is configured: write a section [NAME] with 'url = https://…' into '%s', or set "
            "KVP11_VAULT_URL",
            config->path ? config->path : "/etc/kvp11/kvp11.conf");
    return kv_core_open(kv_take(config), NULL, &tool->core, err);
}

enum kv_status kv_common_open(struct kv_tool *tool, struct kv_error *err)
{
    return kv_common_open_as(tool, tool->command->changes, err);
}

enum kv_status kv_common_open_map(struct kv_tool *tool, struct kv_error *err)
{
    KV_TRY(kv_common_open(tool, err));
    return kv_map_health(kv_core_map(tool->core), err);
}

enum kv_status kv_common_vault_word(struct kv_tool *tool, struct kv_error *err)
{
    if (tool->word_count && tool->vault && strcmp(tool->words[0], tool->vault) != 0)
        return kv_fail(err, KV_ARGUMENTS, "two vaults are named, '%s' and '%s': leave out one", tool->vault,
                       tool->words[0]);
    if (tool->word_count)
        tool->vault = tool->words[0];
    return KV_OK;
}

/* "'prod', 'dr'" for messages. */
static void vault_names(const struct kv_config *config, struct kv_buffer *ret)
{
    for (size_t i = 0; i < config->vault_count; i++) {
        if (kv_buffer_format(ret, "%s'%s'", i ? ", " : "", config->vaults[i].name) != KV_OK)
            return;
    }
}

enum kv_status kv_common_vaults(const struct kv_tool *tool, size_t *ret_first, size_t *ret_end,
                                struct kv_error *err)
{
    const struct kv_config *config = kv_core_config(tool->core);
    for (size_t i = 0; tool->vault && i < config->vault_count; i++) {
        if (!strcmp(config->vaults[i].name, tool->vault)) {
            *ret_first = i;
            *ret_end = i + 1;
            return KV_OK;
        }
    }
    if (tool->vault) {
        KV_AUTO_BUFFER struct kv_buffer names = { .limit = 512 };
        vault_names(config, &names);
        return kv_fail(err, KV_ARGUMENTS, "no vault '%s' is configured: there is %s", tool->vault,
                       names.bytes.data ? (const char *)names.bytes.data : "none");
    }
    *ret_first = 0;
    *ret_end = config->vault_count;
    return KV_OK;
}

enum kv_status kv_common_vault(const struct kv_tool *tool, size_t *ret, struct kv_error *err)
{
    size_t first = 0, end = 0;
    KV_TRY(kv_common_vaults(tool, &first, &end, err));
    if (end - first > 1) {
        KV_AUTO_BUFFER struct kv_buffer names = { .limit = 512 };
        vault_names(kv_core_config(tool->core), &names);
        return kv_fail(err, KV_ARGUMENTS, "several vaults are configured: say which with --vault: %s",
                       names.bytes.data ? (const char *)names.bytes.data : "");
    }
    *ret = first;
    return KV_OK;
}

struct kv_task kv_common_task(const struct kv_tool *tool, size_t vault)
{
    return kv_core_task(tool->core, vault, tool->caller);
}

struct kv_task kv_common_long_task(const struct kv_tool *tool, size_t vault)
{
    enum { LISTING_MS = 24 * 60 * 60 * 1000 }; /* only so that nothing waits for ever */
    struct kv_task task = kv_common_task(tool, vault);
    task.deadline = kv_deadline_in(kv_core_clock(tool->core), LISTING_MS);
    return task;
}

void kv_common_tell_aside(struct kv_tool *tool)
{
    (void)!kv_spool_write(&tool->aside, stderr);
    kv_spool_free(&tool->aside);
}

void kv_common_note(const char *format, ...)
{
    KV_AUTO_BUFFER struct kv_buffer line = { .limit = 4096 };
    va_list arguments;
    va_start(arguments, format);
    char text[2048];
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    kv_text_one_line(text);
    if (kv_buffer_format(&line, "kvp11: %s\n", text) == KV_OK)
        fwrite(line.bytes.data, 1, line.bytes.len, stderr);
}

enum kv_status kv_common_unprinted(enum kv_status status, struct kv_error *err)
{
    if (status == KV_IO)
        return kv_fail(
            err, status,
            "the result is too long for memory, and does not fit into a temporary file: make room in '%s'",
            kv_temporary_folder());
    return kv_fail(err, status, "cannot print the result");
}

enum kv_status kv_common_print(struct kv_tool *tool, struct kv_table *table, struct kv_error *err)
{
    enum kv_status status = kv_table_print(table, tool->json, &tool->out);
    return status == KV_OK ? KV_OK : kv_common_unprinted(status, err);
}
