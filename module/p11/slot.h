/* A slot is a vault, always with its token in it. Nothing here asks the network. PKCS#11 §5.5. */
#ifndef KV_P11_SLOT_H
#define KV_P11_SLOT_H

#include "mech/pkcs11.h"
#include "core/core.h"
#include "out.h"

enum { KV_PIN_MAX = 255 };

struct kv_call;
struct kv_object;

struct kv_slot {
    CK_SLOT_ID id;
    const struct kv_vault_config *config;
    struct kv_keyring *keyring;
    struct kv_mech_offer offer;
    bool wants_pin;          /* the PIN of C_Login is the credential's secret */
    bool needs_person;       /* the credential asks somebody, past the PIN of C_Login */
    char serial[17];         /* 16 hex digits of SHA-256 over the host: stable and unique */
    struct kv_object *fixed; /* what every slot has: object_fixed.c */
    size_t fixed_count;

    bool logged_in; /* these under the library's lock */
    unsigned sessions, rw_sessions;
};

KV_MUST_USE enum kv_status kv_slot_open(struct kv_core *core, size_t i, struct kv_slot *ret);

CK_RV kv_slot_list(struct kv_call *call, CK_SLOT_ID_PTR list, CK_ULONG_PTR count);
CK_RV kv_slot_info(struct kv_call *call, CK_SLOT_ID id, CK_SLOT_INFO *ret);
CK_RV kv_slot_token(struct kv_call *call, CK_SLOT_ID id, CK_TOKEN_INFO *ret);
CK_RV kv_slot_mechanisms(struct kv_call *call, CK_SLOT_ID id, CK_MECHANISM_TYPE *list, CK_ULONG_PTR count);
CK_RV kv_slot_mechanism(struct kv_call *call, CK_SLOT_ID id, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *ret);
CK_RV kv_slot_wait(CK_FLAGS flags);

/* The flags of CK_TOKEN_INFO, from the configuration alone. */
CK_FLAGS kv_slot_token_flags(const struct kv_slot *slot);
/* Text in a field of fixed size, padded with blanks, never cut inside a UTF-8 character. */
void kv_slot_pad(unsigned char *field, size_t size, const char *text);

#endif
