/* Room in a header for a larger one: a spare stanza, which every age passes over, so that a later header takes exactly the place of this one. Any thread. */
#ifndef KV_TOOLS_AGE_SPARE_H
#define KV_TOOLS_AGE_SPARE_H

#include "stanza.h"

/* Of the text of a stanza. What a file gets when it is written: one more stanza of an RSA key of 4096 bits with a long kid fits, or a larger key and a break-glass recipient. */
enum { KV_AGE_SPARE = 1024, KV_AGE_SPARE_LEAST = 16 };

/* A stanza that nobody is a recipient by: this one, the mark of a sidecar (sidecar.h), or what rage writes so that readers do not get used to knowing every type. */
bool kv_age_spare_is(const struct kv_age_stanza *stanza);
/* Can the spare stanza's text be of this length? All from KV_AGE_SPARE_LEAST on can but one, 17, and those that no stanza has room for; 0 is no stanza. */
bool kv_age_spare_fits(size_t len);
/* Exactly so long. KV_ARGUMENTS: it cannot be, or 0. */
KV_MUST_USE enum kv_status kv_age_spare_make(size_t len, struct kv_age_stanza *ret, struct kv_error *err);
/* One of KV_AGE_SPARE, as a recipient beside the others. */
struct kv_age_recipient kv_age_spare_recipient(void);

#endif
