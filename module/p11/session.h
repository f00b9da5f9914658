/* Sessions: what is open, whose turn it is, and the operations under way in each. A session is locked for the length of a call, also over I/O; it is
 * counted, so that closing it from another thread waits for nobody and breaks nothing. PKCS#11 §5.6. */
#ifndef KV_P11_SESSION_H
#define KV_P11_SESSION_H

#include <stdatomic.h>
#include "base/cancel.h"
#include "find.h"
#include "handles.h"
#include "lock.h"
#include "message.h"
#include "operation.h"

struct kv_call;
struct kv_library;

struct kv_session {
    CK_SESSION_HANDLE handle;
    CK_SLOT_ID slot;
    CK_FLAGS flags;
    unsigned references; /* this and `closed` under the library's lock */
    bool closed;

    /* Reached without the lock, which is held over I/O: how another thread ends the call under way. */
    struct kv_cancel cancel;
    _Atomic CK_FLAGS
        under_way;       /* what that call does, as C_SessionCancel names it; 0: nothing of that kind */
    _Atomic CK_RV ended; /* what such a call answers when the session is gone for good; CKR_OK: it is not */

    struct kv_lock lock; /* what follows */
    struct kv_find find;
    struct kv_operation operations[KV_OPERATION_KINDS];
    struct kv_message messages[KV_MESSAGE_KINDS];
    struct kv_handles objects; /* its own session objects, as numbers; they end with it */
};

CK_RV kv_session_open(struct kv_call *call, CK_SLOT_ID slot, CK_FLAGS flags, CK_SESSION_HANDLE *ret);
CK_RV kv_session_close(struct kv_call *call);
CK_RV kv_session_close_slot(struct kv_call *call, CK_SLOT_ID slot);
CK_RV kv_session_info(struct kv_call *call, CK_SESSION_INFO *ret);
CK_RV kv_session_login(struct kv_call *call, CK_USER_TYPE user, struct kv_view pin);
/* The slot waits for a PIN, and nobody has given it. */
bool kv_session_locked(struct kv_call *call);
CK_RV kv_session_logout(struct kv_call *call);
CK_RV kv_session_cancel(struct kv_call *call, CK_FLAGS operations);

/* For call.c and library.c. */
struct kv_session *kv_session_ref(struct kv_library *library, CK_SESSION_HANDLE handle); /* NULL: none */
void kv_session_unref(struct kv_library *library, struct kv_session *session);
bool kv_session_closed(struct kv_library *library, const struct kv_session *session);
void kv_session_close_all(struct kv_library *library, const CK_SLOT_ID *slot); /* NULL: of every slot */

/* Ends what is under way and what may still begin; `rv` is what it answers. Without the session's lock. */
void kv_session_interrupt(struct kv_session *session, CK_RV rv);
void kv_session_interrupt_all(struct kv_library *library, CK_RV rv);

/* Remembers a session object that is to end with the session. */
KV_MUST_USE enum kv_status kv_session_own(struct kv_session *session, CK_OBJECT_HANDLE object);
void kv_session_disown(struct kv_session *session, CK_OBJECT_HANDLE object);

#endif
