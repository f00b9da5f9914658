/* A private key in a file, as somebody has who opens envelopes without any vault: RSA in PEM, and beside it the certificates that name it. One thread. */
#ifndef KV_TOOLS_CMS_PRIVATE_KEY_H
#define KV_TOOLS_CMS_PRIVATE_KEY_H

#include "envelope.h"
#include "keys/certificate.h"

struct kv_cms_private;
void kv_cms_private_free(struct kv_cms_private *key);

/* Is there such a key in the file? One of OpenSSH is not. */
bool kv_cms_private_is(struct kv_view file);
/* What --passphrase-file names: the file's line. `path` NULL: nothing. */
KV_MUST_USE enum kv_status kv_cms_passphrase(const char *path, struct kv_bytes *ret, struct kv_error *err);
/* KV_UNSUPPORTED: it has a passphrase and none was given, or is no RSA key; KV_PIN_INCORRECT: it has another; KV_BAD_DATA. */
KV_MUST_USE enum kv_status kv_cms_private_read(struct kv_view file, struct kv_view passphrase,
                                               struct kv_cms_private **ret, struct kv_error *err);
/* The content's key, if the envelope names this one: by its identifier, or by a certificate of the file. KV_NOT_FOUND: it does not. KV_BAD_CIPHERTEXT: it is not what it says. */
KV_MUST_USE enum kv_status kv_cms_private_open(const struct kv_cms_private *key,
                                               struct kv_cms_envelope *envelope, struct kv_bytes *ret,
                                               struct kv_error *err);

#endif
