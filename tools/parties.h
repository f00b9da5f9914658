/* Whom a file is for and who opens it, as the command line and files of lines name them. Whoever began it frees it. One thread. */
#ifndef KV_TOOLS_PARTIES_H
#define KV_TOOLS_PARTIES_H

#include "age/header.h"
#include "age/vault.h"
#include "common.h"

enum { KV_PARTIES_MAX = KV_AGE_STANZAS_MAX };

struct kv_parties {
    const struct kv_tool *tool;
    struct kv_age_vault vault; /* the world behind keys of vaults, when something has asked for it */
    bool opened;
    struct kv_age_recipient recipients[KV_PARTIES_MAX];
    size_t recipient_count;
    bool without_vault;              /* one of them opens the file without any vault */
    char *outsiders[KV_PARTIES_MAX]; /* those that do, as they were named */
    size_t outsider_count;
    struct kv_age_identity identities[KV_PARTIES_MAX];
    size_t identity_count;
};

struct kv_parties *kv_parties_begin(const struct kv_tool *tool); /* NULL: memory is short */
void kv_parties_free(struct kv_parties *parties);
KV_DEFINE_CLEANUP(struct kv_parties, kv_parties_free)
#define KV_AUTO_PARTIES KV_CLEANUP(kv_parties_free_cleanup)

/* "age1…", "age1kvp11…", or a key by name: "[VAULT/]NAME[@VERSION]". KV_ARGUMENTS, KV_BAD_DATA. */
KV_MUST_USE enum kv_status kv_parties_recipient(struct kv_parties *parties, const char *text,
                                                struct kv_error *err);
/* A line each; empty ones, and those with '#' in front, are passed over. */
KV_MUST_USE enum kv_status kv_parties_recipients(struct kv_parties *parties, const char *path,
                                                 struct kv_error *err);
/* All that -r, -R and --break-glass of the command line name. KV_ARGUMENTS: nobody, or nobody but vaults where that was not said to be meant. */
KV_MUST_USE enum kv_status kv_parties_gather(struct kv_parties *parties, struct kv_error *err);
/* Lines "AGE-SECRET-KEY-1…" and "AGE-PLUGIN-KVP11-1…". The file must be its owner's alone. */
KV_MUST_USE enum kv_status kv_parties_identities(struct kv_parties *parties, const char *path,
                                                 struct kv_error *err);
/* The version map of this host, to be written to. What is wrong with it, or with the configuration. */
KV_MUST_USE enum kv_status kv_parties_map(struct kv_parties *parties, struct kv_map **ret,
                                          struct kv_error *err);
/* Everything that the configured vaults can open. */
KV_MUST_USE enum kv_status kv_parties_vaults(struct kv_parties *parties, struct kv_error *err);

#endif
