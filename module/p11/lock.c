#include "lock.h"

bool kv_lock_means_sound(const CK_C_INITIALIZE_ARGS *args)
{
    int given = !!args->CreateMutex + !!args->DestroyMutex + !!args->LockMutex + !!args->UnlockMutex;
    return given == 0 || given == 4;
}

bool kv_lock_means_needed(const CK_C_INITIALIZE_ARGS *args)
{
    return args->LockMutex && !(args->flags & CKF_OS_LOCKING_OK);
}

CK_RV kv_lock_open(const CK_C_INITIALIZE_ARGS *means, struct kv_lock *ret)
{
    struct kv_lock lock = { .means = means };
    CK_RV rv = means ? means->CreateMutex(&lock.theirs) : CKR_OK;
    if (rv)
        return rv == CKR_HOST_MEMORY ? CKR_HOST_MEMORY : CKR_CANT_LOCK;
    *ret = lock;
    pthread_mutex_init(&ret->own, NULL);
    return CKR_OK;
}

void kv_lock_close(struct kv_lock *lock)
{
    if (lock->means)
        lock->means->DestroyMutex(lock->theirs);
    pthread_mutex_destroy(&lock->own);
}

void kv_lock_take(struct kv_lock *lock)
{
    bool taken = lock->means && lock->means->LockMutex(lock->theirs) == CKR_OK;
    pthread_mutex_lock(&lock->own);
    lock->theirs_taken = taken;
}

void kv_lock_give(struct kv_lock *lock)
{
    bool taken = lock->theirs_taken;
    pthread_mutex_unlock(&lock->own);
    if (taken)
        lock->means->UnlockMutex(lock->theirs);
}
