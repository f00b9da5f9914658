/* Whose envelope is it? A recipient is one of ours when its key identifier is the CKA_ID of a version, or its issuer and serial number are those of a certificate
 * that is known here. No key is ever tried on what does not name it. One thread. */
#ifndef KV_TOOLS_CMS_RECIPIENT_H
#define KV_TOOLS_CMS_RECIPIENT_H

#include "common.h"
#include "envelope.h"

/* The key of the content, by one request. After a refusal to use a version (disabled, gone, forbidden, out of reach) the next of our recipients is asked, if there
 * is one, and no more than KV_CMS_ASK_MAX in all. With PKCS#1 v1.5 a key that cannot be unwrapped is no error: *ret is random then, and the log has the reason. */
enum { KV_CMS_ASK_MAX = 8 };
KV_MUST_USE enum kv_status kv_cms_recipient_key(struct kv_tool *tool, const struct kv_cms_envelope *envelope,
                                                struct kv_bytes *ret, struct kv_error *err);

#endif
