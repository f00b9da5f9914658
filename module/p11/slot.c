#include "slot.h"

#include <string.h>
#include "base/encode.h"
#include "call.h"

#define MANUFACTURER "kvp11"

void kv_slot_pad(unsigned char *field, size_t size, const char *text)
{
    size_t len = strlen(text);
    if (len > size)
        for (len = size; len && ((unsigned char)text[len] & 0xc0) == 0x80;)
            len--;
    memset(field, ' ', size);
    memcpy(field, text, len);
}

enum kv_status kv_slot_open(struct kv_core *core, size_t i, struct kv_slot *ret)
{
    struct kv_slot slot = { .id = i, .keyring = kv_core_keyring(core, i) };
    slot.config = kv_keyring_config(slot.keyring);
    slot.offer = kv_keyring_offer(slot.keyring);
    slot.wants_pin = kv_core_wants_pin(core, i);
    slot.needs_person = kv_core_needs_person(core, i);
    KV_AUTO_BYTES struct kv_bytes digest = { 0 };
    KV_TRY(kv_digest_once("SHA2-256", kv_view_text(slot.config->host), &digest));
    kv_encode_hex((struct kv_view){ digest.data, 8 }, slot.serial);
    *ret = slot;
    return KV_OK;
}

static struct kv_slot *slot_of(struct kv_call *call, CK_SLOT_ID id)
{
    return id < call->library->slot_count ? &call->library->slots[id] : NULL;
}

CK_RV kv_slot_list(struct kv_call *call, CK_SLOT_ID_PTR list, CK_ULONG_PTR count)
{
    if (!count)
        return CKR_ARGUMENTS_BAD;
    bool fill;
    CK_RV rv = kv_out_room((struct kv_out){ (CK_BYTE_PTR)list, count }, call->library->slot_count, &fill);
    for (CK_ULONG i = 0; fill && i < *count; i++)
        list[i] = i;
    return rv;
}

CK_RV kv_slot_info(struct kv_call *call, CK_SLOT_ID id, CK_SLOT_INFO *ret)
{
    const struct kv_slot *slot = slot_of(call, id);
    if (!slot || !ret)
        return slot ? CKR_ARGUMENTS_BAD : CKR_SLOT_ID_INVALID;
    *ret = (CK_SLOT_INFO){ .flags = CKF_TOKEN_PRESENT,
                           .firmwareVersion = { KV_VERSION_MAJOR, KV_VERSION_MINOR } };
    kv_slot_pad(ret->slotDescription, sizeof ret->slotDescription, slot->config->host);
    kv_slot_pad(ret->manufacturerID, sizeof ret->manufacturerID, MANUFACTURER);
    return CKR_OK;
}

static CK_FLAGS random_flag(const struct kv_slot *slot)
{
    return slot->config->random == KV_RANDOM_HSM && slot->config->managed_hsm ? CKF_RNG : 0;
}

CK_FLAGS kv_slot_token_flags(const struct kv_slot *slot)
{
    /* LOGIN_REQUIRED stays clear where no PIN is needed: the only setting with which every client works without a PIN and a terminal. */
    CK_FLAGS flags = CKF_TOKEN_INITIALIZED | CKF_USER_PIN_INITIALIZED;
    flags |= slot->config->manage ? 0 : CKF_WRITE_PROTECTED;
    flags |= slot->wants_pin ? CKF_LOGIN_REQUIRED : 0;
    flags |= slot->needs_person ? CKF_PROTECTED_AUTHENTICATION_PATH : 0;
    return flags | random_flag(slot);
}

CK_RV kv_slot_token(struct kv_call *call, CK_SLOT_ID id, CK_TOKEN_INFO *ret)
{
    const struct kv_slot *slot = slot_of(call, id);
    if (!slot || !ret)
        return slot ? CKR_ARGUMENTS_BAD : CKR_SLOT_ID_INVALID;
    KV_HOLD_LIBRARY(call->library);
    *ret = (CK_TOKEN_INFO){
        .flags = kv_slot_token_flags(slot),
        .ulMaxSessionCount = CK_EFFECTIVELY_INFINITE,
        .ulSessionCount = slot->sessions,
        .ulMaxRwSessionCount = CK_EFFECTIVELY_INFINITE,
        .ulRwSessionCount = slot->rw_sessions,
        .ulMaxPinLen = KV_PIN_MAX,
        .ulTotalPublicMemory = CK_UNAVAILABLE_INFORMATION,
        .ulFreePublicMemory = CK_UNAVAILABLE_INFORMATION,
        .ulTotalPrivateMemory = CK_UNAVAILABLE_INFORMATION,
        .ulFreePrivateMemory = CK_UNAVAILABLE_INFORMATION,
        .firmwareVersion = { KV_VERSION_MAJOR, KV_VERSION_MINOR },
    };
    kv_slot_pad(ret->label, sizeof ret->label, slot->config->name);
    kv_slot_pad(ret->manufacturerID, sizeof ret->manufacturerID, MANUFACTURER);
    kv_slot_pad(ret->model, sizeof ret->model, slot->config->managed_hsm ? "Managed HSM" : "Key Vault");
    kv_slot_pad(ret->serialNumber, sizeof ret->serialNumber, slot->serial);
    kv_slot_pad((unsigned char *)ret->utcTime, sizeof ret->utcTime, "");
    return CKR_OK;
}

CK_RV kv_slot_mechanisms(struct kv_call *call, CK_SLOT_ID id, CK_MECHANISM_TYPE *list, CK_ULONG_PTR count)
{
    const struct kv_slot *slot = slot_of(call, id);
    if (!slot || !count)
        return slot ? CKR_ARGUMENTS_BAD : CKR_SLOT_ID_INVALID;
    bool fill;
    CK_RV rv =
        kv_out_room((struct kv_out){ (CK_BYTE_PTR)list, count }, kv_mech_types(&slot->offer, NULL, 0), &fill);
    if (fill)
        kv_mech_types(&slot->offer, list, *count);
    return rv;
}

CK_RV kv_slot_mechanism(struct kv_call *call, CK_SLOT_ID id, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *ret)
{
    const struct kv_slot *slot = slot_of(call, id);
    if (!slot || !ret)
        return slot ? CKR_ARGUMENTS_BAD : CKR_SLOT_ID_INVALID;
    return kv_ckr(kv_mech_info(&slot->offer, type, ret));
}

CK_RV kv_slot_wait(CK_FLAGS flags)
{
    /* Slots come and go only with the configuration. */
    return flags & CKF_DONT_BLOCK ? CKR_NO_EVENT : CKR_FUNCTION_NOT_SUPPORTED;
}
