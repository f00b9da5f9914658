/* A vault key as an age recipient, in text: "age1kvp111…" (Bech32 with the prefix "age1kvp11").
 *   0x01 ‖ SubjectPublicKeyInfo, DER      one version for ever: encrypts with nothing but this text
 *   0x02 ‖ "vault/name"                   whatever version is current when something is encrypted
 *   0x02 ‖ "vault/name@version"           one version of a secret key, which has no public key to put here
 * Whoever fills one frees it. Any thread. */
#ifndef KV_TOOLS_AGE_VAULT_TEXT_H
#define KV_TOOLS_AGE_VAULT_TEXT_H

#include "keys/key.h"

struct kv_vault_text {
    struct kv_bytes spki; /* empty: by name */
    char vault[33], name[KV_NAME_SIZE],
        version[KV_VERSION_SIZE]; /* vault "": the only one; version "": current */
};
void kv_vault_text_free(struct kv_vault_text *text); /* contents, not the struct */
#define KV_AUTO_VAULT_TEXT KV_CLEANUP(kv_vault_text_free)

/* Does it begin like one? */
bool kv_vault_text_is(const char *text);
/* KV_BAD_DATA. */
KV_MUST_USE enum kv_status kv_vault_text_read(const char *text, struct kv_vault_text *ret,
                                              struct kv_error *err);
/* "[VAULT/]NAME[@VERSION]", as people write it. KV_ARGUMENTS. */
KV_MUST_USE enum kv_status kv_vault_text_read_name(const char *text, struct kv_vault_text *ret,
                                                   struct kv_error *err);
/* NULL: memory is short, or it cannot be written. kv_text_free. */
char *kv_vault_text_write(const struct kv_vault_text *text);

/* "AGE-PLUGIN-KVP11-1…": an identity without content, the same for everybody: what opens a file is named in the file. kv_text_free. */
char *kv_vault_text_identity(void);
/* KV_BAD_DATA. */
KV_MUST_USE enum kv_status kv_vault_text_check_identity(const char *text, struct kv_error *err);

#endif
