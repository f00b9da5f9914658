/* What was written, before anyone asks what it means: sections of values, each with its origin ("file:line",
 * "environment KVP11_LOG"). Private to config. */
#ifndef KV_CONFIG_RAW_H
#define KV_CONFIG_RAW_H

#include "settings.h"

struct kv_raw_value {
    char *text, *origin; /* both NULL: not written */
};

struct kv_raw_section {
    char *name, *origin;
    struct kv_raw_value values[KV_SETTING_ROOM]; /* by the row's place in kv_settings */
};

/* sections[0] is [kvp11], written or not. */
struct kv_raw {
    struct kv_raw_section **sections;
    size_t count;
};

/* The environment: what a name stands for, NULL or "" for nothing. */
typedef const char *kv_raw_lookup(const char *name);

KV_MUST_USE enum kv_status kv_raw_make(struct kv_raw **ret);
void kv_raw_free(struct kv_raw *raw);
KV_DEFINE_CLEANUP(struct kv_raw, kv_raw_free)
#define KV_AUTO_RAW KV_CLEANUP(kv_raw_free_cleanup)

/* KV_CONFIG: a name that no vault may have, or one that is there already. The section is borrowed. */
KV_MUST_USE enum kv_status kv_raw_begin(struct kv_raw *raw, const char *name, const char *origin,
                                        struct kv_raw_section **ret, struct kv_error *err);
/* KV_CONFIG: no such setting, not in this section, a secret, or set twice. */
KV_MUST_USE enum kv_status kv_raw_set(struct kv_raw_section *section, const char *name, const char *value,
                                      const char *origin, struct kv_error *err);
/* A line that continues the value of `name`. */
KV_MUST_USE enum kv_status kv_raw_continue(struct kv_raw_section *section, const char *name,
                                           const char *value, const char *origin, struct kv_error *err);
/* Puts a value in the place of another: the environment over the file. */
KV_MUST_USE enum kv_status kv_raw_replace(struct kv_raw_section *section, size_t row, const char *value,
                                          const char *origin);

/* The words of C_Initialize's pReserved but `config=`; and KVP11_<SETTING>, KVP11_VAULT_URL. */
KV_MUST_USE enum kv_status kv_raw_add_reserved(struct kv_raw *raw, const struct kv_pair_list *words,
                                               struct kv_error *err);
KV_MUST_USE enum kv_status kv_raw_add_environment(struct kv_raw *raw, kv_raw_lookup *lookup,
                                                  struct kv_error *err);

/* [NAME.operator]: the credential of the commands that change something in vault NAME. */
#define KV_OPERATOR "operator"
bool kv_raw_is_operator(const char *name);
const struct kv_raw_section *kv_raw_operator(const struct kv_raw *raw, const char *vault); /* NULL: none */
/* KV_CONFIG: one without its vault, or with a bad value. */
KV_MUST_USE enum kv_status kv_raw_check_operators(const struct kv_raw *raw, struct kv_error *err);

/* KV_CONFIG: a vault's `failover` names no other vault, or one twice. After all are built. */
KV_MUST_USE enum kv_status kv_raw_check_failover(const struct kv_raw *raw, const struct kv_config *config,
                                                 struct kv_error *err);

/* What of the environment may decide who a credential is: names and values, of secrets only that they are set. kv_text_free. */
char *kv_raw_surroundings(kv_raw_lookup *lookup);

/* What it means. With `operators`, of the vaults that have one, by their operator's credential. `*config` belongs to the caller, also after a failure. */
struct kv_raw_world {
    kv_raw_lookup *lookup;
    bool operators;
};
KV_MUST_USE enum kv_status kv_raw_build(const struct kv_raw *raw, const struct kv_raw_world *world,
                                        struct kv_config *config, struct kv_error *err);

#endif
