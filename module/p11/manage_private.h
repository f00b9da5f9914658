/* What the files of manage share: reading what templates say, and making what they want. */
#ifndef KV_P11_MANAGE_PRIVATE_H
#define KV_P11_MANAGE_PRIVATE_H

#include "manage.h"
#include "slot.h"

/* --- manage.c --- */
/* May this session change the vault? */
CK_RV kv_manage_allowed(struct kv_call *call);
/* -1: the template does not name it, else 0 or 1. */
int kv_manage_said(struct kv_template template, CK_ATTRIBUTE_TYPE type);
/* CKA_START_DATE and CKA_END_DATE, the whole days of UTC; 0 where they are absent or empty. */
CK_RV kv_manage_dates(struct kv_call *call, struct kv_template template, int64_t *ret_nbf, int64_t *ret_exp);

/* The attributes of usage and what they mean for a vault: opens on a private key, closes on a public one, both on a secret one. */
struct kv_manage_usage {
    CK_ATTRIBUTE_TYPE opens, closes;
    unsigned open_operation, close_operation;
};
enum { KV_MANAGE_USAGES = 3 };
extern const struct kv_manage_usage kv_manage_usages[KV_MANAGE_USAGES];

/* --- manage_wish.c --- */
/* What the templates want of the new key, whatever its kind. */
struct kv_wish {
    enum kv_kind kind;
    CK_KEY_TYPE key_type;
    char name[KV_NAME_SIZE];
    unsigned operations; /* 0: the service's default */
    int64_t nbf, exp;
};

/* Does the template fit an object of this class, by the rule table and by what a vault's keys are? `how`: any of these KV_SET_*. */
CK_RV kv_manage_check(struct kv_call *call, struct kv_template template, CK_OBJECT_CLASS type,
                      const struct kv_wish *wish, unsigned how);
/* The key's name, which both templates of a pair may give. */
CK_RV kv_manage_read_name(struct kv_call *call, struct kv_template template, struct kv_template other,
                          char ret[KV_NAME_SIZE]);
/* Usage attributes into operations; one half of a usage speaks for the other when that is silent. */
CK_RV kv_manage_read_usage(struct kv_call *call, struct kv_template opening, struct kv_template closing,
                           struct kv_wish *wish);
CK_RV kv_manage_read_curve(struct kv_call *call, struct kv_template template, const struct kv_curve **ret);
CK_RV kv_manage_read_secret(struct kv_call *call, struct kv_template template, unsigned how,
                            struct kv_wish *ret);
CK_RV kv_manage_check_secret(struct kv_call *call, const char *attribute, CK_ULONG bytes);
/* A line in the log for what clients send by habit and a vault has no place for. */
void kv_manage_tell(struct kv_call *call, struct kv_template template);

/* "RSA-HSM": the service's word; a Managed HSM has no other than those in hardware. */
const char *kv_manage_kty(const struct kv_slot *slot, enum kv_kind kind, bool hsm);
bool kv_manage_in_hsm(const struct kv_slot *slot);
CK_RV kv_manage_make(struct kv_call *call, struct kv_keyring_new *what,
                     struct kv_object *ret[KV_VERSION_OBJECTS]);
/* The handle of the object of this class. */
void kv_manage_hand_over(struct kv_object *objects[KV_VERSION_OBJECTS], CK_OBJECT_CLASS type,
                         CK_OBJECT_HANDLE *ret);
void kv_manage_let_go(struct kv_object *objects[KV_VERSION_OBJECTS]);

#endif
