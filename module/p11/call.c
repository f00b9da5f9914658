#include "call.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <openssl/crypto.h>

/* A call of ours that is on this thread's stack: OpenSSL or libcurl may come back to us through a provider of the host. */
static _Thread_local bool entered;

bool kv_call_late(void)
{
    /* Refused from the moment OPENSSL_cleanup begins, and for ever: the only sign of exit that needs no handler of our own. */
    return !OPENSSL_init_crypto(0, NULL);
}

/* What C_SessionCancel calls the work of a function; the first row that begins like its name. §5.6.8. */
static CK_FLAGS flags_of(const char *name)
{
    static const struct {
        const char *begin;
        CK_FLAGS flags;
    } works[] = {
        { "C_EncryptMessage", CKF_MESSAGE_ENCRYPT },
        { "C_MessageEncrypt", CKF_MESSAGE_ENCRYPT },
        { "C_DecryptMessage", CKF_MESSAGE_DECRYPT },
        { "C_MessageDecrypt", CKF_MESSAGE_DECRYPT },
        { "C_Encrypt", CKF_ENCRYPT },
        { "C_Decrypt", CKF_DECRYPT },
        { "C_Digest", CKF_DIGEST },
        { "C_Sign", CKF_SIGN },
        { "C_Verify", CKF_VERIFY },
        { "C_FindObjects", CKF_FIND_OBJECTS },
        { "C_GenerateKeyPair", CKF_GENERATE_KEY_PAIR },
        { "C_GenerateKey", CKF_GENERATE },
        { "C_WrapKey", CKF_WRAP },
        { "C_UnwrapKey", CKF_UNWRAP },
        { "C_DeriveKey", CKF_DERIVE },
    };
    for (size_t i = 0; i < sizeof works / sizeof *works; i++)
        if (strncmp(name, works[i].begin, strlen(works[i].begin)) == 0)
            return works[i].flags;
    return 0;
}

/* The session's lock is waited for only while the one who has it is on its way out. */
static void lock_session(struct kv_session *session, enum kv_call_need need, CK_FLAGS cancels)
{
    bool cancelling = need == KV_NEED_SESSION_CANCELLED && (session->under_way & cancels);
    if (need == KV_NEED_SESSION_CLOSED)
        kv_session_interrupt(session, CKR_SESSION_CLOSED);
    if (cancelling)
        kv_cancel_wish(&session->cancel);
    kv_lock_take(&session->lock);
    if (cancelling)
        kv_cancel_take_back(&session->cancel);
}

static CK_RV enter_session(struct kv_call *call, enum kv_call_need need, CK_SESSION_HANDLE handle,
                           CK_FLAGS cancels)
{
    call->session = kv_session_ref(call->library, handle);
    if (!call->session)
        return CKR_SESSION_HANDLE_INVALID;
    lock_session(call->session, need, cancels);
    /* Another thread may have closed it while this one waited. */
    if (kv_session_closed(call->library, call->session))
        return CKR_SESSION_HANDLE_INVALID;
    call->session->under_way = flags_of(call->name);
    return CKR_OK;
}

struct kv_call kv_call_enter(const char *name, enum kv_call_need need, CK_SESSION_HANDLE handle,
                             CK_FLAGS cancels)
{
    struct kv_call call = { .name = name, .host_errno = errno };
    if (entered) {
        call.rv = CKR_FUNCTION_FAILED;
        return call;
    }
    if (kv_call_late()) {
        call.rv = CKR_CRYPTOKI_NOT_INITIALIZED;
        return call;
    }
    if (need != KV_NEED_NOTHING) {
        call.library = kv_library_ref();
        /* Before OpenSSL is entered: a child forked beside busy threads can ask this much whatever state they left memory in. */
        if (!call.library) {
            call.rv = CKR_CRYPTOKI_NOT_INITIALIZED;
            return call;
        }
    }
    entered = call.inside = true;
    call.guard = kv_ossl_enter();
    if (need >= KV_NEED_SESSION)
        call.rv = enter_session(&call, need, handle, cancels);
    return call;
}

static void tell(const struct kv_call *call)
{
    if (!call->library || !call->err.text[0])
        return;
    struct kv_log *log = kv_core_log(call->library->core);
    enum kv_log_level level = call->rv ? KV_LOG_ERROR : KV_LOG_WARN;
    char service[160] = "";
    if (call->err.http)
        snprintf(service, sizeof service, " [http %d%s%s, request %s]", call->err.http,
                 call->err.code[0] ? " " : "", call->err.code,
                 call->err.request_id[0] ? call->err.request_id : "unknown");
    kv_log_line(log, level, "%s: %s: %s%s", call->name, kv_ckr_name(call->rv), call->err.text, service);
}

void kv_call_leave(struct kv_call *call)
{
    if (!call->inside)
        return;
    tell(call);
    if (call->session) {
        call->session->under_way = 0;
        kv_lock_give(&call->session->lock);
        kv_session_unref(call->library, call->session);
    }
    kv_library_unref(call->library);
    if (!kv_call_late())
        kv_ossl_leave(&call->guard);
    entered = false;
    errno = call->host_errno;
}

CK_RV kv_call_status(struct kv_call *call, enum kv_status status, unsigned operation)
{
    if (status && !call->err.text[0])
        status = kv_fail(&call->err, status, "%s", kv_status_text(status));
    /* Why it was ended is the session's to say. */
    if (status == KV_CANCELLED && call->session && call->session->ended)
        return call->session->ended;
    return kv_ckr_for(status, operation);
}

CK_RV kv_call_refuse(struct kv_call *call, CK_RV rv, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(call->err.text, sizeof call->err.text, format, arguments);
    va_end(arguments);
    return rv;
}

struct kv_slot *kv_call_slot(struct kv_call *call)
{
    return &call->library->slots[call->session->slot];
}

struct kv_task kv_call_task(struct kv_call *call)
{
    struct kv_task task = kv_core_task(call->library->core, call->session->slot, call->name);
    task.deadline.cancel = &call->session->cancel;
    return task;
}
