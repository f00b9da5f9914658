/* PKCS#11 §5.6 sessions. */
#include "call.h"

CK_RV C_OpenSession(CK_SLOT_ID slot, CK_FLAGS flags, void *application, CK_NOTIFY notify,
                    CK_SESSION_HANDLE *session)
{
    KV_CALL_LIBRARY(call);
    (void)application;
    (void)notify;
    if (!call.rv)
        call.rv = kv_session_open(&call, slot, flags, session);
    return call.rv;
}

CK_RV C_CloseSession(CK_SESSION_HANDLE h)
{
    if (kv_call_late())
        return CKR_OK;
    KV_CALL_CLOSE(call, h);
    if (!call.rv)
        call.rv = kv_session_close(&call);
    return call.rv;
}

CK_RV C_CloseAllSessions(CK_SLOT_ID slot)
{
    if (kv_call_late())
        return CKR_OK;
    KV_CALL_LIBRARY(call);
    if (!call.rv)
        call.rv = kv_session_close_slot(&call, slot);
    return call.rv;
}

CK_RV C_GetSessionInfo(CK_SESSION_HANDLE h, CK_SESSION_INFO *info)
{
    KV_CALL(call, h);
    if (!call.rv)
        call.rv = kv_session_info(&call, info);
    return call.rv;
}

CK_RV C_Login(CK_SESSION_HANDLE h, CK_USER_TYPE user, CK_UTF8CHAR *pin, CK_ULONG pin_len)
{
    KV_CALL(call, h);
    if (!call.rv)
        call.rv = kv_session_login(&call, user, (struct kv_view){ pin, pin_len });
    return call.rv;
}

/* The credential knows its identity: a user's name has nothing to choose. */
CK_RV C_LoginUser(CK_SESSION_HANDLE h, CK_USER_TYPE user, CK_UTF8CHAR *pin, CK_ULONG pin_len,
                  CK_UTF8CHAR *name, CK_ULONG name_len)
{
    KV_CALL(call, h);
    if (!call.rv)
        call.rv = name_len && !name ? CKR_ARGUMENTS_BAD
                                    : kv_session_login(&call, user, (struct kv_view){ pin, pin_len });
    return call.rv;
}

CK_RV C_Logout(CK_SESSION_HANDLE h)
{
    KV_CALL(call, h);
    if (!call.rv)
        call.rv = kv_session_logout(&call);
    return call.rv;
}

CK_RV C_SessionCancel(CK_SESSION_HANDLE h, CK_FLAGS flags)
{
    KV_CALL_CANCEL(call, h, flags);
    if (!call.rv)
        call.rv = kv_session_cancel(&call, flags);
    return call.rv;
}
