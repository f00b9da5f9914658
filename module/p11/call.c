#include "call.h"

#include <errno.h>
#include <stdio.h>
#include <openssl/crypto.h>

/* A call of ours that is on this thread's stack: OpenSSL or libcurl may come back to us through a provider of the host. */
static _Thread_local bool entered;

bool kv_call_late(void)
{
    /* Refused from the moment OPENSSL_cleanup begins, and for ever: the only sign of exit that needs no handler of our own. */
    return !OPENSSL_init_crypto(0, NULL);
}

static CK_RV enter_session(struct kv_call *call, CK_SESSION_HANDLE handle)
{
    call->session = kv_session_ref(call->library, handle);
    if (!call->session)
        return CKR_SESSION_HANDLE_INVALID;
    kv_lock_take(&call->session->lock);
    /* Another thread may have closed it while this one waited. */
    return kv_session_closed(call->library, call->session) ? CKR_SESSION_HANDLE_INVALID : CKR_OK;
}

struct kv_call kv_call_enter(const char *name, enum kv_call_need need, CK_SESSION_HANDLE handle)
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
    if (need == KV_NEED_SESSION)
        call.rv = enter_session(&call, handle);
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
    return kv_core_task(call->library->core, call->session->slot, call->name);
}
