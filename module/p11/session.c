#include "session.h"

#include <string.h>
#include "call.h"
#include "object.h"

static void session_free(struct kv_session *session)
{
    if (!session)
        return;
    kv_find_reset(&session->find);
    for (size_t i = 0; i < KV_OPERATION_KINDS; i++)
        kv_operation_reset(&session->operations[i]);
    for (size_t i = 0; i < KV_MESSAGE_KINDS; i++)
        kv_message_reset(&session->messages[i]);
    kv_handles_free(&session->objects);
    kv_lock_close(&session->lock);
    kv_cancel_close(&session->cancel);
    free(session);
}
KV_DEFINE_CLEANUP(struct kv_session, session_free)

static CK_RV session_new(const struct kv_library *library, struct kv_session **ret)
{
    struct kv_session *session = calloc(1, sizeof *session);
    if (!session || !kv_cancel_open(&session->cancel)) {
        free(session);
        return CKR_HOST_MEMORY;
    }
    CK_RV rv = kv_lock_open(library->means, &session->lock);
    if (rv) {
        kv_cancel_close(&session->cancel);
        free(session);
    } else {
        *ret = session;
    }
    /* The one code for it that the standard has is C_Initialize's. */
    return rv == CKR_CANT_LOCK ? CKR_GENERAL_ERROR : rv;
}

/* From here on the session is everybody's, and may be closed before its opener has heard of it. */
static enum kv_status enter(struct kv_library *library, struct kv_session *session, CK_SESSION_HANDLE *ret)
{
    KV_HOLD_LIBRARY(library);
    session->handle = ++library->last_handle;
    KV_TRY(kv_handles_put(&library->sessions, session->handle, session));
    *ret = session->handle;
    struct kv_slot *slot = &library->slots[session->slot];
    slot->sessions++;
    slot->rw_sessions += session->flags & CKF_RW_SESSION ? 1 : 0;
    return KV_OK;
}

CK_RV kv_session_open(struct kv_call *call, CK_SLOT_ID slot, CK_FLAGS flags, CK_SESSION_HANDLE *ret)
{
    if (slot >= call->library->slot_count)
        return CKR_SLOT_ID_INVALID;
    if (!ret)
        return CKR_ARGUMENTS_BAD;
    if (!(flags & CKF_SERIAL_SESSION))
        return CKR_SESSION_PARALLEL_NOT_SUPPORTED;
    KV_CLEANUP(session_free_cleanup) struct kv_session *session = NULL;
    CK_RV rv = session_new(call->library, &session);
    if (rv)
        return rv;
    session->slot = slot;
    session->flags = flags & (CKF_SERIAL_SESSION | CKF_RW_SESSION);
    session->references = 1;
    if (enter(call->library, session, ret))
        return CKR_HOST_MEMORY;
    session = NULL;
    return CKR_OK;
}

/* Under the library's lock: takes the session from the table; true when this was the last reference. */
static bool withdraw(struct kv_library *library, struct kv_session *session)
{
    if (session->closed)
        return false;
    kv_handles_remove(&library->sessions, session->handle);
    session->closed = true;
    struct kv_slot *slot = &library->slots[session->slot];
    slot->rw_sessions -= session->flags & CKF_RW_SESSION ? 1 : 0;
    if (--slot->sessions == 0) {
        slot->logged_in = false;
        kv_core_logout(library->core, session->slot);
    }
    return --session->references == 0;
}

static void end(struct kv_library *library, struct kv_session *session)
{
    size_t place = 0;
    for (void *object; (object = kv_handles_next(&session->objects, &place));)
        kv_object_drop(library, (CK_OBJECT_HANDLE)(uintptr_t)object);
    session_free(session);
}

CK_RV kv_session_close(struct kv_call *call)
{
    kv_library_lock(call->library);
    withdraw(call->library, call->session);
    kv_library_unlock(call->library);
    kv_keyring_flush(kv_call_slot(call)->keyring);
    return CKR_OK;
}

/* The next of the slot from *place on. What is taken out of the table lets another move to its place: that one is looked at again, and one that
 * moved to before *place is found when the walk begins anew. */
static struct kv_session *next_of(struct kv_library *library, const CK_SLOT_ID *slot, size_t *place)
{
    struct kv_session *session;
    *place -= *place ? 1 : 0;
    while ((session = kv_handles_next(&library->sessions, place)) && slot && session->slot != *slot)
        ;
    return session;
}

void kv_session_close_all(struct kv_library *library, const CK_SLOT_ID *slot)
{
    size_t place = 0;
    for (bool more = true; more;) {
        kv_library_lock(library);
        struct kv_session *session = next_of(library, slot, &place);
        if (!session) {
            place = 0;
            session = next_of(library, slot, &place);
        }
        if (session)
            kv_session_interrupt(session, CKR_SESSION_CLOSED);
        bool last = session && withdraw(library, session);
        kv_library_unlock(library);
        if (last)
            end(library, session);
        more = session != NULL;
    }
}

CK_RV kv_session_close_slot(struct kv_call *call, CK_SLOT_ID slot)
{
    if (slot >= call->library->slot_count)
        return CKR_SLOT_ID_INVALID;
    kv_session_close_all(call->library, &slot);
    kv_keyring_flush(call->library->slots[slot].keyring);
    return CKR_OK;
}

CK_RV kv_session_info(struct kv_call *call, CK_SESSION_INFO *ret)
{
    if (!ret)
        return CKR_ARGUMENTS_BAD;
    const struct kv_session *session = call->session;
    /* Always a user's where there is no PIN: with a public state some clients ask for one that does not exist. */
    static const CK_STATE states[2][2] = { { CKS_RO_USER_FUNCTIONS, CKS_RW_USER_FUNCTIONS },
                                           { CKS_RO_PUBLIC_SESSION, CKS_RW_PUBLIC_SESSION } };
    bool writes = session->flags & CKF_RW_SESSION;
    *ret = (CK_SESSION_INFO){ .slotID = session->slot,
                              .flags = session->flags,
                              .state = states[kv_session_locked(call)][writes] };
    return CKR_OK;
}

/* A vault has no security officer. What would keep any out is said first, as the standard has it. */
static CK_RV refuse_officer(struct kv_call *call, const struct kv_slot *slot)
{
    if (slot->rw_sessions < slot->sessions)
        return CKR_SESSION_READ_ONLY_EXISTS;
    if (slot->logged_in)
        return CKR_USER_ANOTHER_ALREADY_LOGGED_IN;
    return kv_call_refuse(call, CKR_USER_TYPE_INVALID, "a vault has no security officer: log in as CKU_USER");
}

static bool logged_in(struct kv_call *call)
{
    KV_HOLD_LIBRARY(call->library);
    return kv_call_slot(call)->logged_in;
}

bool kv_session_locked(struct kv_call *call)
{
    return kv_call_slot(call)->wants_pin && !logged_in(call);
}

/* A secret is text. An empty one, and one with a NUL in it, cannot be right, so nobody is asked. */
static CK_RV check_pin(struct kv_call *call, struct kv_view pin)
{
    if (!pin.data)
        return CKR_ARGUMENTS_BAD;
    if (pin.len > KV_PIN_MAX)
        return kv_call_refuse(call, CKR_PIN_LEN_RANGE, "a PIN has at most %d bytes", KV_PIN_MAX);
    if (!pin.len || memchr(pin.data, 0, pin.len))
        return kv_call_refuse(call, CKR_PIN_INCORRECT, "the PIN is empty, or has a NUL in it");
    return CKR_OK;
}

/* The only login that asks the network: it fetches a token, without the library's lock. */
static CK_RV prove_pin(struct kv_call *call, struct kv_view pin)
{
    if (logged_in(call))
        return CKR_USER_ALREADY_LOGGED_IN;
    CK_RV rv = check_pin(call, pin);
    if (rv)
        return rv;
    struct kv_task task = kv_call_task(call);
    return kv_call_status(call,
                          kv_core_login(call->library->core, call->session->slot, pin, &task, &call->err), 0);
}

/* Without `pin` in the configuration any PIN, none and an empty one are right: the credential stands there. It is not even looked at, so it cannot leak. */
CK_RV kv_session_login(struct kv_call *call, CK_USER_TYPE user, struct kv_view pin)
{
    if (user == CKU_CONTEXT_SPECIFIC)
        return CKR_OPERATION_NOT_INITIALIZED;
    if (user != CKU_USER && user != CKU_SO)
        return CKR_USER_TYPE_INVALID;
    CK_RV rv = CKR_OK;
    if (user == CKU_USER && kv_call_slot(call)->wants_pin)
        rv = prove_pin(call, pin);
    if (rv)
        return rv;
    KV_HOLD_LIBRARY(call->library);
    struct kv_slot *slot = kv_call_slot(call);
    if (user == CKU_SO)
        return refuse_officer(call, slot);
    rv = slot->logged_in ? CKR_USER_ALREADY_LOGGED_IN : CKR_OK;
    slot->logged_in = true;
    return rv;
}

CK_RV kv_session_logout(struct kv_call *call)
{
    KV_HOLD_LIBRARY(call->library);
    struct kv_slot *slot = kv_call_slot(call);
    /* Fine without a login where no PIN is needed: some clients log out before they log in. */
    CK_RV rv = slot->wants_pin && !slot->logged_in ? CKR_USER_NOT_LOGGED_IN : CKR_OK;
    slot->logged_in = false;
    kv_core_logout(call->library->core, call->session->slot);
    return rv;
}

/* §5.6: a flag of what is not under way is ignored, and so is one of what does not exist here. Nothing of ours cannot be cancelled. */
CK_RV kv_session_cancel(struct kv_call *call, CK_FLAGS operations)
{
    static const CK_FLAGS classic[KV_OPERATION_KINDS] = {
        [KV_ENCRYPTION] = CKF_ENCRYPT, [KV_DECRYPTION] = CKF_DECRYPT,  [KV_DIGESTION] = CKF_DIGEST,
        [KV_SIGNING] = CKF_SIGN,       [KV_VERIFICATION] = CKF_VERIFY,
    };
    static const CK_FLAGS messages[KV_MESSAGE_KINDS] = {
        [KV_MESSAGE_ENCRYPTION] = CKF_MESSAGE_ENCRYPT,
        [KV_MESSAGE_DECRYPTION] = CKF_MESSAGE_DECRYPT,
    };
    struct kv_session *session = call->session;

    for (size_t i = 0; i < KV_OPERATION_KINDS; i++)
        if (operations & classic[i])
            kv_operation_reset(&session->operations[i]);
    for (size_t i = 0; i < KV_MESSAGE_KINDS; i++)
        if (operations & messages[i])
            kv_message_reset(&session->messages[i]);
    if (operations & CKF_FIND_OBJECTS)
        kv_find_reset(&session->find);
    return CKR_OK;
}

/* The first to end it says how. */
void kv_session_interrupt(struct kv_session *session, CK_RV rv)
{
    CK_RV none = CKR_OK;
    atomic_compare_exchange_strong(&session->ended, &none, rv);
    kv_cancel_wish(&session->cancel);
}

void kv_session_interrupt_all(struct kv_library *library, CK_RV rv)
{
    KV_HOLD_LIBRARY(library);
    size_t place = 0;
    for (struct kv_session *session; (session = kv_handles_next(&library->sessions, &place));)
        kv_session_interrupt(session, rv);
}

struct kv_session *kv_session_ref(struct kv_library *library, CK_SESSION_HANDLE handle)
{
    KV_HOLD_LIBRARY(library);
    struct kv_session *session = kv_handles_get(&library->sessions, handle);
    if (session)
        session->references++;
    return session;
}

void kv_session_unref(struct kv_library *library, struct kv_session *session)
{
    kv_library_lock(library);
    bool last = --session->references == 0;
    kv_library_unlock(library);
    if (last)
        end(library, session);
}

bool kv_session_closed(struct kv_library *library, const struct kv_session *session)
{
    KV_HOLD_LIBRARY(library);
    return session->closed;
}

enum kv_status kv_session_own(struct kv_session *session, CK_OBJECT_HANDLE object)
{
    return kv_handles_put(&session->objects, object, (void *)(uintptr_t)object);
}

void kv_session_disown(struct kv_session *session, CK_OBJECT_HANDLE object)
{
    kv_handles_remove(&session->objects, object);
}
