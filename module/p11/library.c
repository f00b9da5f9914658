#include "library.h"

#include "call.h"
#include "object.h"

/* The gate guards this pointer and the count of its references, for a few instructions at a time; the door keeps two threads from opening
 * or closing at once and is held while a map is opened. A forked child gets both as new: whoever held them is not in it. */
static struct kv_library *library;
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t door = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* The numbers that earlier lives of the library gave to sessions and objects, under the door: an old handle never names something new. */
static uint64_t handles_spent;

/* What must stay in memory though nobody will use it again: a parent's library in its child, and the one that exit found open. */
static struct kv_library *volatile left_alone;

static void leave_alone(struct kv_library *here)
{
    here->older = left_alone;
    left_alone = here;
}

static void renew_in_child(void)
{
    gate = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    door = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}

static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, renew_in_child);
}

static void library_free(struct kv_library *gone)
{
    if (!gone)
        return;
    kv_session_close_all(gone, NULL);
    size_t place = 0;
    for (struct kv_object *object; (object = kv_handles_next(&gone->objects, &place));)
        kv_object_free(object);
    kv_handles_free(&gone->objects);
    kv_handles_free(&gone->living);
    kv_handles_free(&gone->identities);
    kv_handles_free(&gone->sessions);
    kv_core_close(gone->core);
    for (size_t i = 0; gone->slots && i < gone->slot_count; i++)
        kv_object_fixed_close(&gone->slots[i]);
    free(gone->slots);
    kv_lock_close(&gone->lock);
    free(gone);
}
KV_DEFINE_CLEANUP(struct kv_library, library_free)

/* A library that has nothing yet but its lock. */
static CK_RV begin(const CK_C_INITIALIZE_ARGS *args, struct kv_library **ret)
{
    struct kv_library *made = calloc(1, sizeof *made);
    if (!made)
        return CKR_HOST_MEMORY;
    made->pid = getpid();
    made->references = 1;
    made->last_handle = handles_spent;
    if (args && kv_lock_means_needed(args)) {
        made->given = *args;
        made->means = &made->given;
    }
    CK_RV rv = kv_lock_open(made->means, &made->lock);
    if (rv)
        free(made);
    else
        *ret = made;
    return rv;
}

static enum kv_status furnish(struct kv_library *made, const char *reserved, struct kv_error *err)
{
    struct kv_config_source source = { .reserved = reserved };
    struct kv_config *config = NULL;
    KV_TRY(kv_config_load(&source, &config, err));
    KV_TRY(kv_core_open(config, NULL, &made->core, err));

    made->slot_count = kv_core_vault_count(made->core);
    made->slots = calloc(made->slot_count + 1, sizeof *made->slots);
    if (!made->slots)
        return kv_fail(err, KV_NO_MEMORY, "no memory for %zu slots", made->slot_count);
    for (size_t i = 0; i < made->slot_count; i++) {
        KV_TRY(kv_slot_open(made->core, i, &made->slots[i]));
        KV_TRY(kv_object_fixed_open(&made->slots[i]));
    }
    return KV_OK;
}

static CK_RV make(const CK_C_INITIALIZE_ARGS *args, struct kv_library **ret, struct kv_error *err)
{
    KV_CLEANUP(library_free_cleanup) struct kv_library *made = NULL;
    CK_RV rv = begin(args, &made);
    if (rv)
        return rv;
    enum kv_status status = furnish(made, args ? args->pReserved : NULL, err);
    if (status)
        return status == KV_NO_MEMORY ? CKR_HOST_MEMORY : CKR_FUNCTION_FAILED;
    *ret = kv_take(made);
    return CKR_OK;
}

static struct kv_library *swap(struct kv_library *next)
{
    pthread_mutex_lock(&gate);
    struct kv_library *former = library;
    library = next;
    pthread_mutex_unlock(&gate);
    return former;
}

/* The parent's library in a child: the sockets and files behind it are the parent's, so it is left where it is. */
static bool drop_inherited(void)
{
    struct kv_library *here = library;
    if (!here || here->pid == getpid())
        return false;
    leave_alone(swap(NULL));
    kv_core_forget(here->core);
    return true;
}

CK_RV kv_library_open(const CK_C_INITIALIZE_ARGS *args, struct kv_error *err)
{
    pthread_once(&once, watch_forks);
    pthread_mutex_lock(&door);
    CK_RV rv = CKR_CRYPTOKI_ALREADY_INITIALIZED;
    drop_inherited();
    if (!library) {
        struct kv_library *made = NULL;
        rv = make(args, &made, err);
        if (!rv)
            swap(made);
    }
    pthread_mutex_unlock(&door);
    return rv;
}

static void spend_handles(struct kv_library *former)
{
    if (!former)
        return;
    KV_HOLD_LIBRARY(former);
    handles_spent = former->last_handle;
}

CK_RV kv_library_close(void)
{
    pthread_mutex_lock(&door);
    CK_RV rv = CKR_OK;
    if (!drop_inherited()) {
        struct kv_library *former = swap(NULL);
        rv = former ? CKR_OK : CKR_CRYPTOKI_NOT_INITIALIZED;
        spend_handles(former);
        if (former)
            kv_session_interrupt_all(former, CKR_CRYPTOKI_NOT_INITIALIZED);
        kv_library_unref(former);
    }
    pthread_mutex_unlock(&door);
    return rv;
}

CK_RV kv_library_abandon(void)
{
    /* No lock: other threads may be gone with theirs held. */
    if (library)
        leave_alone(library);
    library = NULL;
    return CKR_OK;
}

struct kv_library *kv_library_ref(void)
{
    pthread_mutex_lock(&gate);
    struct kv_library *here = library && library->pid == getpid() ? library : NULL;
    if (here)
        here->references++;
    pthread_mutex_unlock(&gate);
    return here;
}

void kv_library_unref(struct kv_library *mine)
{
    if (!mine)
        return;
    pthread_mutex_lock(&gate);
    bool last = --mine->references == 0;
    pthread_mutex_unlock(&gate);
    if (last && kv_call_late())
        leave_alone(mine);
    else if (last)
        library_free(mine);
}

void kv_library_lock(struct kv_library *mine)
{
    kv_lock_take(&mine->lock);
}

void kv_library_unlock(struct kv_library *mine)
{
    kv_lock_give(&mine->lock);
}

struct kv_library_hold kv_library_hold(struct kv_library *mine)
{
    kv_library_lock(mine);
    return (struct kv_library_hold){ mine };
}

void kv_library_release(struct kv_library_hold *hold)
{
    kv_library_unlock(hold->library);
}
