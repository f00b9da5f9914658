/* SSH keys as recipients and identities, as age has them: a line of authorized_keys, or id_ed25519.pub; and id_ed25519 itself where it has no passphrase. Any thread. */
#ifndef KV_TOOLS_AGE_SSH_H
#define KV_TOOLS_AGE_SSH_H

#include "stanza.h"

/* "ssh-ed25519 AAAA… comment", "ssh-rsa AAAA…". KV_UNSUPPORTED: another kind of key; KV_BAD_DATA, KV_KEY_SIZE. */
KV_MUST_USE enum kv_status kv_age_ssh_recipient(const char *text, struct kv_age_recipient *ret,
                                                struct kv_error *err);
/* "SHA256:…", as ssh-keygen -l shows it. */
enum { KV_AGE_SSH_FINGERPRINT = 64 };
KV_MUST_USE enum kv_status kv_age_ssh_fingerprint(const char *text, char ret[KV_AGE_SSH_FINGERPRINT],
                                                  struct kv_error *err);
/* What the stanzas of a key begin with, behind their type; and what binds the keys that "ssh-rsa" wraps to age. */
enum { KV_AGE_SSH_TAG = 8 };
KV_MUST_USE enum kv_status kv_age_ssh_tag(const char *text, char ret[KV_AGE_SSH_TAG], struct kv_error *err);
#define KV_AGE_SSH_RSA_LABEL "age-encryption.org/v1/ssh-rsa"
/* The whole of an OpenSSH private key file. KV_UNSUPPORTED: it has a passphrase, or is of another kind than Ed25519. */
KV_MUST_USE enum kv_status kv_age_ssh_identity(const char *text, struct kv_age_identity *ret,
                                               struct kv_error *err);

#endif
