#include "base/ossl.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

/* Never freed: C_CloseSession and C_Finalize may arrive from inside OPENSSL_cleanup. */
static OSSL_LIB_CTX *context;
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

/* Another thread of the parent may have held a lock of its context, that of the random generator for one, and is not in the child to let go of it:
 * the child makes a context of its own at its first use. */
static void renew_in_child(void)
{
    gate = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    context = NULL;
}

static void watch_forks(void)
{
    static bool watched;

    if (!watched)
        watched = pthread_atfork(NULL, NULL, renew_in_child) == 0;
}

static OSSL_LIB_CTX *start(void)
{
    OSSL_LIB_CTX *fresh = OSSL_LIB_CTX_new();

    watch_forks();
    if (fresh && !OSSL_PROVIDER_load(fresh, "default")) {
        OSSL_LIB_CTX_free(fresh);
        fresh = NULL;
    }
    return fresh;
}

OSSL_LIB_CTX *kv_ossl_context(void)
{
    OSSL_LIB_CTX *here = __atomic_load_n(&context, __ATOMIC_ACQUIRE);

    if (here)
        return here;
    /* Not pthread_once: what memory was too short for is tried again. */
    pthread_mutex_lock(&gate);
    here = context ? context : start();
    __atomic_store_n(&context, here, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&gate);
    return here;
}

struct kv_ossl_guard kv_ossl_enter(void)
{
    OSSL_LIB_CTX *own;

    ERR_set_mark();
    own = kv_ossl_context();
    /* NULL would only ask which one is set, and changes nothing. */
    return (struct kv_ossl_guard){ .host = OSSL_LIB_CTX_set0_default(own) };
}

struct kv_ossl_guard kv_ossl_step_aside(void)
{
    ERR_set_mark();
    return (struct kv_ossl_guard){ .host = OSSL_LIB_CTX_set0_default(OSSL_LIB_CTX_get0_global_default()) };
}

/* An empty queue takes no mark, and a library that clears the queue takes ours with it; then popping to the
 * mark empties the queue, which is right in the first case and the best that can be had in the second. */
void kv_ossl_leave(struct kv_ossl_guard *guard)
{
    OSSL_LIB_CTX_set0_default(guard->host);
    ERR_pop_to_mark();
}
