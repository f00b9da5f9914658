/* Many threads that want a signature in the same instant. */
#include <pthread.h>

#include "driver.h"

enum { THREADS_MOST = 64 };

static pthread_barrier_t start;

struct signer {
    pthread_t thread;
    CK_SESSION_HANDLE session;
    struct answer answer;
};

static void *sign_once(void *argument)
{
    struct signer *signer = argument;
    unsigned char signature[512];
    CK_ULONG len = sizeof signature;
    pthread_barrier_wait(&start);
    signer->answer.rv = sign(signer->session, signature, &len);
    if (signer->answer.rv == CKR_OK)
        signer->answer.wrong = verify(signer->session, signature, len) != CKR_OK;
    return NULL;
}

/* The first failure, if there is one. */
struct answer run_storm(const char *number)
{
    static struct signer signers[THREADS_MOST];
    char *end = NULL;
    long count = number ? strtol(number, &end, 10) : 0;
    struct answer all = { CKR_OK, false };
    app_must("the number of threads",
             !end || *end || count < 1 || count > THREADS_MOST ? CKR_ARGUMENTS_BAD : CKR_OK);
    pthread_barrier_init(&start, NULL, (unsigned)count);
    for (long i = 0; i < count; i++) {
        signers[i].answer = (struct answer){ CKR_OK, false };
        app_must("C_OpenSession",
                 p11->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &signers[i].session));
        app_must("pthread_create", (CK_RV)pthread_create(&signers[i].thread, NULL, sign_once, &signers[i]));
    }
    for (long i = 0; i < count; i++) {
        pthread_join(signers[i].thread, NULL);
        app_must("C_CloseSession", p11->C_CloseSession(signers[i].session));
        if (all.rv == CKR_OK)
            all.rv = signers[i].answer.rv;
        all.wrong = all.wrong || signers[i].answer.wrong;
    }
    pthread_barrier_destroy(&start);
    return all;
}
