/* The checks of `kvp11 doctor`: each ends as one row. What stands in a row says what was found, why that is so, and what mends it. One thread. */
#ifndef KV_TOOLS_DOCTOR_H
#define KV_TOOLS_DOCTOR_H

#include "common.h"
#include "core/probe.h"

struct kv_doctor {
    struct kv_tool *tool;
    struct kv_table *table;
    size_t vault;                         /* that is looked at */
    const struct kv_vault_config *config; /* of it; NULL: none */
    char identity[64];                    /* whose token the vault has taken, "" : none yet */
    size_t failed, warned;
    enum kv_status worst; /* of the first check that failed */
};

/* --- cmd_doctor.c: rows. `key` NULL: about no key --- */
void kv_doctor_ok(struct kv_doctor *doctor, const char *check, const char *key, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void kv_doctor_warn(struct kv_doctor *doctor, const char *check, const char *key, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void kv_doctor_skip(struct kv_doctor *doctor, const char *check, const char *key, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* `why` tells status and text; `remedy` is put behind it, NULL: the text has it already. */
void kv_doctor_fail(struct kv_doctor *doctor, const char *check, const char *key, const struct kv_error *why,
                    const char *remedy);
/* The same for an answer of the vault: a permission that is missing gets the commands that grant it. `action` as in access policies: "unwrapKey". */
void kv_doctor_refused(struct kv_doctor *doctor, const char *check, const char *key, const char *action,
                       const struct kv_error *why);
struct kv_task kv_doctor_task(const struct kv_doctor *doctor);

/* --- way.c: the way to the vault, its clock, its challenge, the token. False: nothing behind it can be tried --- */
bool kv_doctor_way(struct kv_doctor *doctor);

/* --- key.c: one key, as the identity may use it --- */
void kv_doctor_key(struct kv_doctor *doctor, const char *name);

/* --- use.c: an operation that is really done, and changes nothing --- */
void kv_doctor_sign(struct kv_doctor *doctor, const struct kv_vault_key *key);
void kv_doctor_unwrap(struct kv_doctor *doctor, const struct kv_vault_key *key);

#endif
