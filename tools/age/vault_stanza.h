/* The stanza of a vault key in an age file: the file key, wrapped by one version of one key, which the stanza names.
 *   -> kvp11-rsa-oaep-256 <SHA-256 of the version's SubjectPublicKeyInfo> [<kid>]   RSA-OAEP: SHA-256, MGF1 with SHA-256, no label
 *   -> kvp11-aes-kw <SHA-256 of name "/" version, in lower case> [<kid>]            RFC 3394, by a Managed HSM
 * Digests in base64 without padding. The digest is who can open it, for ever; the kid (https://host/keys/name/version) is where that key was when the file was
 * written: a hint, never dialled unless its host is a configured vault. Any thread. */
#ifndef KV_TOOLS_AGE_VAULT_STANZA_H
#define KV_TOOLS_AGE_VAULT_STANZA_H

#include "keys/key.h"
#include "stanza.h"

enum { KV_VAULT_DIGEST = 32 };

struct kv_vault_stanza {
    enum kv_kind kind; /* KV_RSA, KV_OCT */
    unsigned char digest[KV_VAULT_DIGEST];
    char kid[KV_KID_SIZE]; /* "": not told */
};

/* By its type alone. */
bool kv_vault_stanza_is(const struct kv_age_stanza *stanza);
/* KV_BAD_DATA: a stanza of ours that is not built like one. */
KV_MUST_USE enum kv_status kv_vault_stanza_read(const struct kv_age_stanza *stanza,
                                                struct kv_vault_stanza *ret, struct kv_error *err);
KV_MUST_USE enum kv_status kv_vault_stanza_make(const struct kv_vault_stanza *from, struct kv_view body,
                                                struct kv_age_stanza *ret, struct kv_error *err);

/* What a stanza for this version says. KV_KEY_TYPE: an EC key, which opens nothing. */
KV_MUST_USE enum kv_status kv_vault_stanza_of(const struct kv_version *version, struct kv_vault_stanza *ret,
                                              struct kv_error *err);
/* Is this the version, wherever it is found and whatever it is called there? */
bool kv_vault_stanza_fits(const struct kv_vault_stanza *stanza, const struct kv_version *version);

#endif
