/* Objects as PKCS#11 shows them (those that every slot has stand in object_fixed.c): for each version of a vault key a private and a public key (oct-HSM: a secret key) and its certificate if it has one,
 * certificates of authorities, and keys of every class that live in a session. Immutable and counted: a change makes another object and puts it under
 * the same handle. Any thread. PKCS#11 §4. */
#ifndef KV_P11_OBJECT_H
#define KV_P11_OBJECT_H

#include "mech/pkcs11.h"
#include "keys/certificate.h"
#include "mech/private.h"
#include "attr_array.h"

struct kv_call;
struct kv_library;
struct kv_slot;

/* Attributes that are yes or no. */
enum {
    KV_IS_TOKEN = 1 << 0,
    KV_IS_PRIVATE = 1 << 1,
    KV_IS_MODIFIABLE = 1 << 2,
    KV_IS_COPYABLE = 1 << 3,
    KV_IS_DESTROYABLE = 1 << 4,
    KV_IS_SENSITIVE = 1 << 5,
    KV_IS_EXTRACTABLE = 1 << 6,
    KV_IS_ALWAYS_SENSITIVE = 1 << 7,
    KV_IS_NEVER_EXTRACTABLE = 1 << 8,
    KV_IS_LOCAL = 1 << 9,
    KV_IS_TRUSTED = 1 << 10,
    KV_IS_WRAP_WITH_TRUSTED = 1 << 11,
    KV_CAN_ENCRYPT = 1 << 12,
    KV_CAN_DECRYPT = 1 << 13,
    KV_CAN_SIGN = 1 << 14,
    KV_CAN_VERIFY = 1 << 15,
    KV_CAN_WRAP = 1 << 16,
    KV_CAN_UNWRAP = 1 << 17,
    KV_CAN_DERIVE = 1 << 18,
    KV_NEVER = 0 /* an attribute that is always false */
};

/* The numbers of a template, until they are a key. */
struct kv_raw {
    struct kv_bytes parts[KV_PRIVATE_PARTS]; /* enum kv_private_part; locked */
    struct kv_bytes ec_params, ec_point, public_info;
    CK_ULONG modulus_bits;
};

/* What only a session's key has. */
struct kv_secret {
    struct kv_bytes value;      /* a secret key's; locked */
    struct kv_public *public;   /* of a pair: on both halves */
    struct kv_private *private; /* on the private half */
    struct kv_bytes label, id, subject;
    struct kv_bytes start, end;               /* CK_DATE, or empty */
    CK_MECHANISM_TYPE generated_by;           /* CK_UNAVAILABLE_INFORMATION: not here */
    struct kv_bytes allowed;                  /* CKA_ALLOWED_MECHANISMS; no data: all */
    struct kv_attr_list wrap, unwrap, derive; /* CKA_*_TEMPLATE */
    CK_ULONG wanted_len;                      /* CKA_VALUE_LEN of the template; 0: not given */
    struct kv_raw *raw;                       /* NULL once the key is made */
};

struct kv_object {
    CK_OBJECT_HANDLE handle;
    CK_SLOT_ID slot;
    CK_SESSION_HANDLE session; /* 0: a vault's */
    CK_OBJECT_CLASS type;      /* CKO_* */
    CK_KEY_TYPE key_type;
    unsigned flags;
    const struct kv_mech_offer *offer;  /* the slot's */
    struct kv_version *version;         /* vault; NULL: session, or the certificate of an authority */
    struct kv_certificate *certificate; /* the version's, on its keys too; NULL: none is known */
    struct kv_secret *secret;           /* session; NULL: vault */
    CK_ULONG fixed;                     /* of a profile its CKP_*, of a mechanism its CKM_* */
    unsigned references;                /* atomic; private to object.c */
};

struct kv_object *kv_object_ref(const struct kv_object *object);
void kv_object_free(struct kv_object *object); /* drops one reference; secrets are wiped with the last */
KV_DEFINE_CLEANUP(struct kv_object, kv_object_free)
#define KV_AUTO_OBJECT KV_CLEANUP(kv_object_free_cleanup)

/* The object that the session may see under this handle, counted; NULL: none. */
struct kv_object *kv_object_get(struct kv_call *call, CK_OBJECT_HANDLE handle);
/* Enters a vault's version; *ret: its objects, NULL where there are fewer. The same version has the same handles for the life of the library. */
enum { KV_VERSION_OBJECTS = 3 };
KV_MUST_USE enum kv_status kv_object_enter(struct kv_call *call, struct kv_version *version,
                                           struct kv_object *ret[KV_VERSION_OBJECTS]);
/* The same with what is known of its certificate (NULL: nothing), which is its third object. */
KV_MUST_USE enum kv_status kv_object_enter_certified(struct kv_call *call, struct kv_version *version,
                                                     const struct kv_certificate *certificate,
                                                     struct kv_object *ret[KV_VERSION_OBJECTS]);
/* The certificate of an authority that belongs to no version. */
KV_MUST_USE enum kv_status kv_object_enter_authority(struct kv_call *call,
                                                     const struct kv_certificate *certificate,
                                                     struct kv_object **ret);
/* The i-th profile or mechanism of the call's slot, counted; NULL past the last one. They are found only by who names their class: others want keys
 * and certificates, and take what they do not know for an error. */
struct kv_object *kv_object_fixed(struct kv_call *call, CK_OBJECT_CLASS type, size_t i);
bool kv_object_is_fixed(CK_OBJECT_HANDLE handle);
struct kv_object *kv_object_fixed_get(struct kv_call *call, CK_OBJECT_HANDLE handle); /* for object.c */
/* For library.c: with the slot where it stays, and with its end. */
KV_MUST_USE enum kv_status kv_object_fixed_open(struct kv_slot *slot);
void kv_object_fixed_close(struct kv_slot *slot);
/* What an object of this class of such a version is and may do, without what `manage` adds. */
unsigned kv_object_vault_flags(CK_OBJECT_CLASS type, const struct kv_version *version);
/* All session objects of the call's slot, counted; free() the array. */
KV_MUST_USE enum kv_status kv_object_session_list(struct kv_call *call, struct kv_object ***ret,
                                                  size_t *ret_count);

/* A key of this class for the call's session, not entered yet, its type still unknown: flags as a new one has them. */
KV_MUST_USE enum kv_status kv_object_new(struct kv_call *call, CK_OBJECT_CLASS type, struct kv_object **ret);
void kv_object_forget_raw(struct kv_object *object);
KV_MUST_USE enum kv_status kv_object_clone(const struct kv_object *from, struct kv_object **ret);
/* Takes over the object. */
KV_MUST_USE enum kv_status kv_object_add(struct kv_call *call, struct kv_object *object,
                                         CK_OBJECT_HANDLE *ret);
/* Puts a changed clone in the place of the object that has its handle; takes over. False: that one is gone. */
bool kv_object_replace(struct kv_library *library, struct kv_object *object);
/* Ends a session object; false: there is none. */
bool kv_object_drop(struct kv_library *library, CK_OBJECT_HANDLE handle);

CK_RV kv_object_destroy(struct kv_call *call, CK_OBJECT_HANDLE handle);
CK_RV kv_object_size(struct kv_call *call, CK_OBJECT_HANDLE handle, CK_ULONG_PTR ret);

#endif
