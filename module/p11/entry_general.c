/* PKCS#11 §5.4 general purpose, §5.5 slots and tokens, §5.15 parallel functions. */
#include "call.h"

#include "base/log.h"

/* Nobody else will tell: there is no library yet whose log this could go to. */
static void tell_syslog(const struct kv_error *err)
{
    struct kv_log *log = NULL;
    if (!err->text[0] || kv_log_open("syslog", KV_LOG_ERROR, "none", &log, NULL))
        return;
    kv_log_line(log, KV_LOG_ERROR, "C_Initialize: %s", err->text);
    kv_log_free(log);
}

/* §5.4 has pReserved NULL; p11-kit and others hand a text in it over. What they cannot mean, since nothing is ever mapped there, is a small number:
 * that is the standard's CKR_ARGUMENTS_BAD rather than a crash. */
static bool is_text(const void *reserved)
{
    return !reserved || (uintptr_t)reserved >= 4096;
}

CK_RV C_Initialize(void *init_args)
{
    const CK_C_INITIALIZE_ARGS *args = init_args;
    KV_CALL_BARE(call);
    if (call.rv)
        return call.rv;
    if (args && (!kv_lock_means_sound(args) || !is_text(args->pReserved)))
        return call.rv = CKR_ARGUMENTS_BAD;
    call.rv = kv_library_open(args, &call.err);
    if (call.rv)
        tell_syslog(&call.err);
    return call.rv;
}

CK_RV C_Finalize(void *reserved)
{
    if (kv_call_late())
        return kv_library_abandon();
    KV_CALL_BARE(call);
    if (!call.rv)
        call.rv = reserved ? CKR_ARGUMENTS_BAD : kv_library_close();
    return call.rv;
}

CK_RV C_GetInfo(CK_INFO *info)
{
    KV_CALL_LIBRARY(call);
    if (call.rv)
        return call.rv;
    if (!info)
        return call.rv = CKR_ARGUMENTS_BAD;
    *info =
        (CK_INFO){ .cryptokiVersion = { 3, 0 }, .libraryVersion = { KV_VERSION_MAJOR, KV_VERSION_MINOR } };
    kv_slot_pad(info->manufacturerID, sizeof info->manufacturerID, "kvp11");
    kv_slot_pad(info->libraryDescription, sizeof info->libraryDescription, "Azure Key Vault, all versions");
    return CKR_OK;
}

CK_RV C_GetSlotList(CK_BBOOL token_present, CK_SLOT_ID *list, CK_ULONG *count)
{
    KV_CALL_LIBRARY(call);
    (void)token_present;
    if (!call.rv)
        call.rv = kv_slot_list(&call, list, count);
    return call.rv;
}

CK_RV C_GetSlotInfo(CK_SLOT_ID slot, CK_SLOT_INFO *info)
{
    KV_CALL_LIBRARY(call);
    if (!call.rv)
        call.rv = kv_slot_info(&call, slot, info);
    return call.rv;
}

CK_RV C_GetTokenInfo(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
    KV_CALL_LIBRARY(call);
    if (!call.rv)
        call.rv = kv_slot_token(&call, slot, info);
    return call.rv;
}

CK_RV C_WaitForSlotEvent(CK_FLAGS flags, CK_SLOT_ID *slot, void *reserved)
{
    KV_CALL_LIBRARY(call);
    (void)slot;
    (void)reserved;
    if (!call.rv)
        call.rv = kv_slot_wait(flags);
    return call.rv;
}

CK_RV C_GetMechanismList(CK_SLOT_ID slot, CK_MECHANISM_TYPE *list, CK_ULONG *count)
{
    KV_CALL_LIBRARY(call);
    if (!call.rv)
        call.rv = kv_slot_mechanisms(&call, slot, list, count);
    return call.rv;
}

CK_RV C_GetMechanismInfo(CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *info)
{
    KV_CALL_LIBRARY(call);
    if (!call.rv)
        call.rv = kv_slot_mechanism(&call, slot, type, info);
    return call.rv;
}

CK_RV C_GetFunctionStatus(CK_SESSION_HANDLE h)
{
    KV_CALL(call, h);
    if (!call.rv)
        call.rv = CKR_FUNCTION_NOT_PARALLEL;
    return call.rv;
}

CK_RV C_CancelFunction(CK_SESSION_HANDLE h)
{
    KV_CALL(call, h);
    if (!call.rv)
        call.rv = CKR_FUNCTION_NOT_PARALLEL;
    return call.rv;
}
