/* What the files of this layer share: parameters of a mechanism, OpenSSL's fetched algorithms. Any thread. */
#ifndef KV_MECH_PRIVATE_H
#define KV_MECH_PRIVATE_H

#include <openssl/types.h>
#include "mech/mech.h"

/* Checks the parameter of `mechanism` and copies it into *ret (row untouched); *ret_digest becomes the hash that it names, and stays as it is when it
 * names none. `padding` is that of the type's rows. KV_MECHANISM_PARAM, KV_NO_MEMORY; *ret may be filled in part on failure and is freed by the caller. */
KV_MUST_USE enum kv_status kv_param_read(const CK_MECHANISM *mechanism, int padding, struct kv_mech_use *ret,
                                         CK_MECHANISM_TYPE *ret_digest);

/* What GCM takes, in bytes: vectors as OpenSSL bounds them (PKCS#11 would allow 256), tags that are not too short to mean anything. */
enum { KV_GCM_IV_MAX = 128, KV_GCM_TAG_MIN = 12, KV_GCM_TAG_MAX = 16 };

/* The first row that serves; else the status tells how far the best one came. KV_MECHANISM, KV_KEY_TYPE, KV_KEY_SIZE. */
KV_MUST_USE enum kv_status kv_mech_find(CK_MECHANISM_TYPE type, const struct kv_mech_key *key,
                                        unsigned operation, const struct kv_mech_offer *offer,
                                        const struct kv_mech **ret);

/* Fetched once a process and never freed: a fetch costs a lock and a search of the providers. NULL: unknown to OpenSSL. */
const EVP_MD *kv_fetch_md(const char *evp);
const EVP_CIPHER *kv_fetch_cipher(const char *evp);

#endif
