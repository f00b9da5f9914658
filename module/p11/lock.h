/* Locks around what one application's threads share: the library and its sessions. The system's mutex always; where C_Initialize was given mutex functions
 * and not CKF_OS_LOCKING_OK, the application's mutex is taken around it, so that its scheduler has its say and a function that fails costs no safety.
 * Locks below this layer are the system's: they wait with a deadline, for which PKCS#11 has no function. PKCS#11 §5.4 C_Initialize, §3.7. */
#ifndef KV_P11_LOCK_H
#define KV_P11_LOCK_H

#include <pthread.h>
#include <stdbool.h>
#include "mech/pkcs11.h"

struct kv_lock {
    const CK_C_INITIALIZE_ARGS *means; /* borrowed; NULL: the system's alone */
    void *theirs;                      /* the application's mutex */
    bool theirs_taken;                 /* under `own` */
    pthread_mutex_t own;
};

/* False when some of the four mutex functions are given and others are not. */
bool kv_lock_means_sound(const CK_C_INITIALIZE_ARGS *args);
/* Must the application's functions be used? Not where it leaves the choice. */
bool kv_lock_means_needed(const CK_C_INITIALIZE_ARGS *args);

/* CKR_HOST_MEMORY or CKR_CANT_LOCK when the application gives no mutex; then there is nothing to close. */
CK_RV kv_lock_open(const CK_C_INITIALIZE_ARGS *means, struct kv_lock *ret);
void kv_lock_close(struct kv_lock *lock);
void kv_lock_take(struct kv_lock *lock);
void kv_lock_give(struct kv_lock *lock);

#endif
