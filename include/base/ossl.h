/* Our own corner of OpenSSL: an OSSL_LIB_CTX with the default provider only, never configured from the host's openssl.cnf, made once a
 * process and never torn down. kv_ossl_enter() makes it this thread's default and marks the error queue; kv_ossl_leave() puts both
 * back. Everything that may reach OpenSSL, libcurl included, happens between the two. Nesting is fine. */
#ifndef KV_BASE_OSSL_H
#define KV_BASE_OSSL_H

#include <openssl/types.h>

OSSL_LIB_CTX *kv_ossl_context(void); /* NULL when OpenSSL cannot start */

struct kv_ossl_guard {
    OSSL_LIB_CTX *host;
};
struct kv_ossl_guard kv_ossl_enter(void);
void kv_ossl_leave(struct kv_ossl_guard *guard);
/* The other way about, for foreign code that uses OpenSSL by itself: until kv_ossl_leave() the process's own context is this thread's default. */
struct kv_ossl_guard kv_ossl_step_aside(void);

#endif
