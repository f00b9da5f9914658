/* X25519 recipients and identities (C2SP age.md, "The X25519 recipient type"): "age1…" and "AGE-SECRET-KEY-1…". Any thread. */
#ifndef KV_TOOLS_AGE_X25519_H
#define KV_TOOLS_AGE_X25519_H

#include "stanza.h"

/* KV_BAD_DATA: the text is none. */
KV_MUST_USE enum kv_status kv_age_x25519_recipient(const char *text, struct kv_age_recipient *ret,
                                                   struct kv_error *err);
/* The text is a secret: it never stands in an error. */
KV_MUST_USE enum kv_status kv_age_x25519_identity(const char *text, struct kv_age_identity *ret,
                                                  struct kv_error *err);

#endif
