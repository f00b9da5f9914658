/* A key in another PKCS#11 module (a TPM, a smart card, SoftHSM), for client-certificate: the only place of this layer that speaks PKCS#11, and it speaks it to
 * others. The module is opened for one signature at a time: nothing of it is kept, so nothing of it reaches a forked child. Any thread. */
#ifndef KV_AUTH_FOREIGN_KEY_H
#define KV_AUTH_FOREIGN_KEY_H

#include "base/clock.h"
#include "config/config.h"

struct kv_foreign_job {
    const char *uri;      /* RFC 7512 */
    const char *module;   /* path; NULL: the URI's module-path */
    const char *pin_file; /* NULL: the URI's pin-source */
    enum kv_assertion algorithm;
    struct kv_view message;
    unsigned char digest[32]; /* SHA-256 of it */
    int bits;                 /* of the modulus */
    struct kv_deadline deadline;
};
/* ret is as long as the modulus. KV_CREDENTIAL with the cause and the remedy. KV_TIMED_OUT, KV_CANCELLED: between two calls of the module, or while
 * another visitor is inside; one call of it nobody can end. */
KV_MUST_USE enum kv_status kv_foreign_sign(const struct kv_foreign_job *job, struct kv_bytes *ret,
                                           struct kv_error *err);

#endif
