/* Builds the world from a configuration, and takes it down: the only place that wires the layers. All that the module and the tool need. */
#ifndef KV_CORE_CORE_H
#define KV_CORE_CORE_H

#include "config/config.h"
#include "keys/key_ops.h"

struct kv_core;
/* No network. Takes over the configuration. A map that cannot be opened is told in the log (see kv_core_map); clock NULL: the system's. */
KV_MUST_USE enum kv_status kv_core_open(struct kv_config *config, const struct kv_clock *clock,
                                        struct kv_core **ret, struct kv_error *err);
void kv_core_close(struct kv_core *core);
/* In a forked child: drops everything without touching the parent's sockets and files. */
void kv_core_forget(struct kv_core *core);

const struct kv_config *kv_core_config(const struct kv_core *core);
struct kv_log *kv_core_log(struct kv_core *core);
const struct kv_clock *kv_core_clock(const struct kv_core *core);
struct kv_map *kv_core_map(struct kv_core *core);
size_t kv_core_vault_count(const struct kv_core *core);
struct kv_keyring *kv_core_keyring(struct kv_core *core, size_t i); /* same order as the configuration */
/* Does a token of this vault's credential need a person to be there? No network. */
bool kv_core_needs_person(const struct kv_core *core, size_t i);
/* `pin`: does the vault's credential wait for C_Login, and the login itself, which fetches a token: see kv_tokens_login. */
bool kv_core_wants_pin(const struct kv_core *core, size_t i);
KV_MUST_USE enum kv_status kv_core_login(struct kv_core *core, size_t i, struct kv_view pin,
                                         const struct kv_task *task, struct kv_error *err);
void kv_core_logout(struct kv_core *core, size_t i);
/* By token label; NULL: unknown. */
struct kv_keyring *kv_core_keyring_named(struct kv_core *core, const char *vault);
/* A task with this vault's own time limit. */
struct kv_task kv_core_task(struct kv_core *core, size_t i, const char *caller);

#endif
