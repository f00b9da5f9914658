/* The one global: what C_Initialize made and C_Finalize takes away. Counted: a call that is under way when another thread finalizes keeps it
 * alive to its own end. Any thread. PKCS#11 §5.4. */
#ifndef KV_P11_LIBRARY_H
#define KV_P11_LIBRARY_H

#include "mech/pkcs11.h"
#include "core/core.h"
#include "handles.h"
#include "lock.h"
#include "slot.h"

struct kv_library {
    pid_t pid;
    unsigned references; /* under the gate in library.c */
    struct kv_library *older;
    struct kv_core *core;
    struct kv_slot *slots;
    size_t slot_count;

    const CK_C_INITIALIZE_ARGS *means; /* whose mutexes the locks are made of */
    CK_C_INITIALIZE_ARGS given;
    struct kv_lock lock;        /* what follows, and the counters of the slots; never held over I/O */
    uint64_t last_handle;       /* sessions and objects share the numbers */
    struct kv_handles sessions; /* struct kv_session */
    struct kv_handles objects;  /* struct kv_object, by handle */
    struct kv_handles living;   /* those of them that live in sessions, by handle */
    struct kv_handles
        identities; /* vault objects again, by a hash of what they are: the same thing keeps its handle */
};

/* `args`: sound, or NULL; pReserved is a text or NULL. CKR_CRYPTOKI_ALREADY_INITIALIZED only in the process that did it. */
CK_RV kv_library_open(const CK_C_INITIALIZE_ARGS *args, struct kv_error *err);
/* Takes the library away from later calls; its memory goes with the last call that is under way. */
CK_RV kv_library_close(void);
/* Only marks: for a process that is on its way out, where nothing of OpenSSL or libcurl may be touched. */
CK_RV kv_library_abandon(void);

struct kv_library *kv_library_ref(void); /* NULL: not initialized in this process */
void kv_library_unref(struct kv_library *library);

void kv_library_lock(struct kv_library *library);
void kv_library_unlock(struct kv_library *library);

/* KV_HOLD_LIBRARY(library): locked to the end of the scope. */
struct kv_library_hold {
    struct kv_library *library;
};
struct kv_library_hold kv_library_hold(struct kv_library *library);
void kv_library_release(struct kv_library_hold *hold);
#define KV_HOLD_LIBRARY(library)                                                                             \
    __attribute__((cleanup(kv_library_release), unused)) struct kv_library_hold kv_held =                    \
        kv_library_hold(library)

#endif
