/* Everything every call owes its host, once: are we initialised in this process, whose OpenSSL context is this, whose errors are on the queue,
 * whose errno; then the session and its lock. kv_call_leave() puts all of it back and writes the log line. Lives on the stack of one entry. */
#ifndef KV_P11_CALL_H
#define KV_P11_CALL_H

#include "base/ossl.h"
#include "ckr.h"
#include "library.h"
#include "session.h"

enum kv_call_need {
    KV_NEED_NOTHING,
    KV_NEED_LIBRARY,
    KV_NEED_SESSION,
    KV_NEED_SESSION_CLOSED,    /* for good: a call under way in it is ended instead of waited for */
    KV_NEED_SESSION_CANCELLED, /* the same, when it does what `cancels` names; the session goes on */
};

struct kv_call {
    const char *name; /* "C_Sign" */
    CK_RV rv;
    struct kv_library *library; /* counted */
    struct kv_session *session; /* counted and locked */
    struct kv_error err;
    struct kv_ossl_guard guard;
    int host_errno;
    bool inside;
};

struct kv_call kv_call_enter(const char *name, enum kv_call_need need, CK_SESSION_HANDLE handle,
                             CK_FLAGS cancels);
void kv_call_leave(struct kv_call *call);

#define KV_CALL_AS(call, need, handle, cancels)                                                              \
    __attribute__((cleanup(kv_call_leave))) struct kv_call call =                                            \
        kv_call_enter(__func__, need, handle, cancels)
#define KV_CALL(call, handle)                 KV_CALL_AS(call, KV_NEED_SESSION, handle, 0)
#define KV_CALL_CLOSE(call, handle)           KV_CALL_AS(call, KV_NEED_SESSION_CLOSED, handle, 0)
#define KV_CALL_CANCEL(call, handle, cancels) KV_CALL_AS(call, KV_NEED_SESSION_CANCELLED, handle, cancels)
#define KV_CALL_LIBRARY(call)                 KV_CALL_AS(call, KV_NEED_LIBRARY, 0, 0)
#define KV_CALL_BARE(call)                    KV_CALL_AS(call, KV_NEED_NOTHING, 0, 0)

/* True once the process is being taken down: OpenSSL has begun its own end, and hosts still close sessions and finalize. */
bool kv_call_late(void);

/* The CK_RV of a status; a status that brought no text gets its standard one for the log. */
CK_RV kv_call_status(struct kv_call *call, enum kv_status status, unsigned operation);
/* A return value with its reason for the log. */
CK_RV kv_call_refuse(struct kv_call *call, CK_RV rv, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

struct kv_slot *kv_call_slot(struct kv_call *call); /* the session's */
struct kv_task kv_call_task(struct kv_call *call);  /* with that vault's time limit */

#endif
