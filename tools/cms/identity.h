/* A key that is given on the command line to open an envelope with, instead of a vault's: the private key of a certificate, in PEM, or in another PKCS#11 token by its URI. One thread. */
#ifndef KV_TOOLS_CMS_IDENTITY_H
#define KV_TOOLS_CMS_IDENTITY_H

#include "envelope.h"

/* The content's key, of the length that its cipher takes. KV_NOT_FOUND: the envelope does not name that key. The error begins with what was given, without a PIN. */
KV_MUST_USE enum kv_status kv_cms_identity_open(const char *given, struct kv_view passphrase,
                                                struct kv_cms_envelope *envelope, struct kv_bytes *ret,
                                                struct kv_error *err);

#endif
