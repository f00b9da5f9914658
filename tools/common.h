/* What the commands of kvp11 share: their description, the command line, the world behind it. One thread. */
#ifndef KV_TOOLS_COMMON_H
#define KV_TOOLS_COMMON_H

#include "core/core.h"
#include "table.h"

enum { KV_TOOL_WORDS = 64, KV_TOOL_OPTIONS = 12, KV_TOOL_REPEATS = 256 };

struct kv_option {
    const char *name;  /* "--size"; NULL ends the list */
    const char *value; /* what it takes: "BITS"; NULL: nothing */
    const char *help;
    bool repeats; /* may stand there several times: see kv_common_each */
};

struct kv_tool;
struct kv_command {
    const char *name;      /* one word or two: "config check" */
    const char *arguments; /* as in the usage line */
    const char *summary;
    size_t words_min, words_max;
    const struct kv_option *options; /* NULL: none */
    enum kv_status (*run)(struct kv_tool *tool, struct kv_error *err);
    bool changes; /* something in the vault: done as its operator where one is configured */
    bool program; /* behind "--" stands a program to run, with its arguments */
};

struct kv_tool {
    const char *config_file, *vault; /* --config, --vault; NULL: not given */
    bool json;
    const struct kv_command *command;
    const char *words[KV_TOOL_WORDS];
    size_t word_count;
    const char *values[KV_TOOL_OPTIONS]; /* beside command->options: NULL not given, "" a switch */
    struct {
        const struct kv_option *option;
        const char *value;
    } repeated[KV_TOOL_REPEATS]; /* in the order of the command line */
    size_t repeated_count;
    char *const *program;  /* what stands behind "--"; NULL: nothing */
    char caller[64];       /* "kvp11 rotate", for the audit record */
    struct kv_core *core;  /* after kv_common_open */
    struct kv_spool out;   /* printed when the command succeeded: a failure leaves stdout empty */
    struct kv_spool aside; /* the same for the standard error: what is told of data on the standard output */
    bool findings;         /* `out` is what a check found, and is printed whatever that was */
};

void kv_tool_free(struct kv_tool *tool); /* contents, not the struct */

/* One of the options that every command knows, at **next, which is moved behind it. KV_ARGUMENTS when its value is missing. */
KV_MUST_USE enum kv_status kv_common_global(struct kv_tool *tool, char *const **next, bool *ret_known,
                                            struct kv_error *err);
/* The arguments after the command's name → words and values. KV_ARGUMENTS. */
KV_MUST_USE enum kv_status kv_common_parse(struct kv_tool *tool, char *const *arguments,
                                           struct kv_error *err);
const char *kv_common_option(const struct kv_tool *tool, const char *name); /* NULL: not given */
/* The next value of an option that repeats, in order, or NULL; *at is 0 before the first. */
const char *kv_common_each(const struct kv_tool *tool, const char *name, size_t *at);
KV_MUST_USE enum kv_status kv_common_number(const char *what, const char *text, int *ret,
                                            struct kv_error *err);

/* Loads the configuration and builds the world, as the operator for a command that changes something. KV_CONFIG when no vault is configured. */
KV_MUST_USE enum kv_status kv_common_open(struct kv_tool *tool, struct kv_error *err);
KV_MUST_USE enum kv_status kv_common_open_as(struct kv_tool *tool, bool operators, struct kv_error *err);
/* For commands whose one word is a vault: the same as --vault. */
KV_MUST_USE enum kv_status kv_common_vault_word(struct kv_tool *tool, struct kv_error *err);
/* The same for commands that stand on the version map: refuses one that is damaged, newer or unsafe. */
KV_MUST_USE enum kv_status kv_common_open_map(struct kv_tool *tool, struct kv_error *err);

/* The one vault that a command works on: --vault, or the only one configured. */
KV_MUST_USE enum kv_status kv_common_vault(const struct kv_tool *tool, size_t *ret, struct kv_error *err);
/* The vaults that a command looks at: that of --vault, or all: *ret_first up to *ret_end. */
KV_MUST_USE enum kv_status kv_common_vaults(const struct kv_tool *tool, size_t *ret_first, size_t *ret_end,
                                            struct kv_error *err);
struct kv_task kv_common_task(const struct kv_tool *tool, size_t vault);
/* The same with the patience that a listing of a large vault takes: as long as it gets answers, and no request gets more than `timeout`. */
struct kv_task kv_common_long_task(const struct kv_tool *tool, size_t vault);

void kv_common_tell_aside(struct kv_tool *tool); /* now: for a command that does not come back */
/* Lines for people, on stderr: "kvp11: …". */
void kv_common_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Why a table could not be printed. */
KV_MUST_USE enum kv_status kv_common_unprinted(enum kv_status status, struct kv_error *err);
KV_MUST_USE enum kv_status kv_common_print(struct kv_tool *tool, struct kv_table *table,
                                           struct kv_error *err);

/* Lists of versions look alike in every command: --- rows of versions ---
 * `role` stands in front ("old", "new") when the table was opened with roles. */
struct kv_versions;
struct kv_versions *kv_versions_open(struct kv_tool *tool, bool roles, struct kv_error *err); /* NULL: *err */
void kv_versions_free(struct kv_versions *versions);
KV_DEFINE_CLEANUP(struct kv_versions, kv_versions_free)
void kv_versions_add(struct kv_versions *versions, const char *role, const struct kv_version *version);
KV_MUST_USE enum kv_status kv_versions_print(struct kv_versions *versions, struct kv_error *err);

/* --- the commands, one file each; main.c has their rows --- */
extern const struct kv_option kv_cmd_login_check_options[];
extern const struct kv_option kv_cmd_keys_options[], kv_cmd_create_options[], kv_cmd_resolve_options[];
extern const struct kv_option kv_cmd_rotate_options[];
extern const struct kv_option kv_cmd_recipient_options[], kv_cmd_explain_options[];
extern const struct kv_option kv_cmd_wrap_options[], kv_cmd_unwrap_options[], kv_cmd_run_options[];
enum kv_status kv_cmd_config_check(struct kv_tool *tool, struct kv_error *err);
enum kv_status kv_cmd_login_check(struct kv_tool *tool, struct kv_error *err);
extern const struct kv_option kv_cmd_doctor_options[];
enum kv_status kv_cmd_doctor(struct kv_tool *tool, struct kv_error *err);
enum kv_status kv_cmd_keys(struct kv_tool *tool, struct kv_error *err);
enum kv_status kv_cmd_mechs(struct kv_tool *tool, struct kv_error *err);
enum kv_status kv_cmd_create(struct kv_tool *tool, struct kv_error *err);
enum kv_status kv_cmd_rotate(struct kv_tool *tool, struct kv_error *err);
extern const struct kv_option kv_cmd_key_backup_options[], kv_cmd_key_backup_check_options[];
enum kv_status kv_cmd_key_backup(struct kv_tool *tool, struct kv_error *err);
enum kv_status kv_cmd_key_backup_check(struct kv_tool *tool, struct kv_error *err);
enum kv_status kv_cmd_key_backup_restore(struct kv_tool *tool, struct kv_error *err);
extern const struct kv_option kv_cmd_policy_options[];
enum kv_status kv_cmd_policy(struct kv_tool *tool, struct kv_error *err);
enum kv_status kv_cmd_recover(struct kv_tool *tool, struct kv_error *err);
enum kv_status kv_cmd_resolve(struct kv_tool *tool, struct kv_error *err);
enum kv_status kv_cmd_explain(struct kv_tool *tool, struct kv_error *err);
extern const struct kv_option kv_cmd_sync_options[];
enum kv_status kv_cmd_sync(struct kv_tool *tool, struct kv_error *err);
enum kv_status kv_cmd_recipient(struct kv_tool *tool, struct kv_error *err);
enum kv_status kv_cmd_wrap(struct kv_tool *tool, struct kv_error *err);
enum kv_status kv_cmd_unwrap(struct kv_tool *tool, struct kv_error *err);
enum kv_status kv_cmd_run(struct kv_tool *tool, struct kv_error *err);
enum kv_status kv_cmd_identity(struct kv_tool *tool, struct kv_error *err);
extern const struct kv_option kv_cmd_cms_open_options[], kv_cmd_cms_seal_options[];
enum kv_status kv_cmd_cms_seal(struct kv_tool *tool, struct kv_error *err);
enum kv_status kv_cmd_cms_open(struct kv_tool *tool, struct kv_error *err);
extern const struct kv_option kv_cmd_seal_options[], kv_cmd_open_options[];
enum kv_status kv_cmd_seal(struct kv_tool *tool, struct kv_error *err);
enum kv_status kv_cmd_open(struct kv_tool *tool, struct kv_error *err);
extern const struct kv_option kv_cmd_scan_options[], kv_cmd_retire_check_options[];
extern const struct kv_option kv_cmd_coverage_options[], kv_cmd_drill_options[];
enum kv_status kv_cmd_scan(struct kv_tool *tool, struct kv_error *err);
enum kv_status kv_cmd_retire_check(struct kv_tool *tool, struct kv_error *err);
enum kv_status kv_cmd_retire(struct kv_tool *tool, struct kv_error *err);
enum kv_status kv_cmd_coverage(struct kv_tool *tool, struct kv_error *err);
enum kv_status kv_cmd_drill(struct kv_tool *tool, struct kv_error *err);
extern const struct kv_option kv_cmd_rewrap_options[];
enum kv_status kv_cmd_rewrap(struct kv_tool *tool, struct kv_error *err);
enum kv_status kv_cmd_map_show(struct kv_tool *tool, struct kv_error *err);
extern const struct kv_option kv_cmd_map_export_options[], kv_cmd_map_relocate_options[],
    kv_cmd_map_rebuild_options[];
enum kv_status kv_cmd_map_export(struct kv_tool *tool, struct kv_error *err);
enum kv_status kv_cmd_map_import(struct kv_tool *tool, struct kv_error *err);
enum kv_status kv_cmd_map_compare(struct kv_tool *tool, struct kv_error *err);
enum kv_status kv_cmd_map_relocate(struct kv_tool *tool, struct kv_error *err);
enum kv_status kv_cmd_map_rebuild(struct kv_tool *tool, struct kv_error *err);
enum kv_status kv_cmd_map_verify(struct kv_tool *tool, struct kv_error *err);

#endif
