/* Certificates and a private key out of files: PEM or PKCS#12. Any thread. */
#ifndef KV_AUTH_KEY_FILE_H
#define KV_AUTH_KEY_FILE_H

#include "file.h"

#include <openssl/types.h>
#include <openssl/x509.h>

struct kv_key_file {
    STACK_OF(X509) * certificates; /* in the file's order */
    EVP_PKEY *key;                 /* NULL: none was there */
    bool locked;                   /* what was read would not have opened with another password */
};
void kv_key_file_free(struct kv_key_file *file);

/* Adds what the file holds to *ret. `password` NULL: none. A file with a key must not be open to others; one with certificates alone may be read by all.
 * KV_CREDENTIAL. Between kv_ossl_enter and kv_ossl_leave. */
KV_MUST_USE enum kv_status kv_key_file_read(const char *path, const char *password, struct kv_key_file *ret,
                                            struct kv_error *err);

#endif
