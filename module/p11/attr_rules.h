/* The rules of every attribute, as rows: who has it, what form it takes, who may set it and when, and where its value comes from. One function
 * walks them (attrs.c). Immutable; any thread. PKCS#11 §4, in particular the footnotes of its tables. */
#ifndef KV_P11_ATTR_RULES_H
#define KV_P11_ATTR_RULES_H

#include "kvp11.h"
#include "object.h"

/* ARRAY: of attributes (attr_array.h). */
enum kv_attr_form { KV_FORM_BOOL, KV_FORM_ULONG, KV_FORM_BYTES, KV_FORM_DATE, KV_FORM_ARRAY };

/* Which objects have it: a set of classes, and what else must hold of them. */
enum {
    KV_ON_PRIVATE = 1 << 0,
    KV_ON_PUBLIC = 1 << 1,
    KV_ON_SECRET = 1 << 2,
    KV_ON_CERTIFICATE = 1 << 3,
    KV_ON_PROFILE = 1 << 4,
    KV_ON_MECHANISM = 1 << 5,
    KV_ON_PAIR = KV_ON_PRIVATE | KV_ON_PUBLIC,
    KV_ON_KEYS = KV_ON_PAIR | KV_ON_SECRET,
    KV_ON_STORED = KV_ON_KEYS | KV_ON_CERTIFICATE,
    KV_ON_ALL = KV_ON_STORED | KV_ON_PROFILE | KV_ON_MECHANISM,

    KV_ON_VAULT = 1 << 8,   /* and only if it is a vault's */
    KV_ON_SESSION = 1 << 9, /* and only if it lives in a session */
    KV_ON_RSA = 1 << 10,    /* and only if it is of this kind */
    KV_ON_EC = 1 << 11
};

/* Room for the mechanisms of a slot, in CKA_ALLOWED_MECHANISMS and among the objects. */
enum { KV_MECHANISM_TYPES = 64 };

/* Who may name it in a template. */
enum {
    KV_SET_CREATE = 1 << 0,
    KV_SET_GENERATE = 1 << 1,
    KV_SET_UNWRAP = 1 << 2,
    KV_SET_COPY = 1 << 3,
    KV_SET_MODIFY = 1 << 4,
    KV_SET_NEW = KV_SET_CREATE | KV_SET_GENERATE | KV_SET_UNWRAP,
    KV_SET_ALWAYS = KV_SET_NEW | KV_SET_COPY | KV_SET_MODIFY,
    KV_SET_RAISE = 1 << 5,  /* copy and modify may only make it true */
    KV_SET_LOWER = 1 << 6,  /* copy and modify may only make it false */
    KV_SET_NEEDED = 1 << 7, /* C_CreateObject must have it */
    /* In a template that makes a vault's key; read by manage_wish.c, never put. What may be generated in a session may stand there, too. */
    KV_SET_VAULT_MAKE = 1 << 8
};

/* A value, borrowed from the object or standing in `store`. */
struct kv_attr_value {
    struct kv_view view;
    enum kv_status failure; /* why there is no value although the object has the attribute */
    union {
        CK_BBOOL truth;
        CK_ULONG number;
        CK_MECHANISM_TYPE mechanisms[KV_MECHANISM_TYPES];
        unsigned char bytes[KV_KID_SIZE + 16];
    } store;
};

struct kv_attr_rule {
    CK_ATTRIBUTE_TYPE type;
    enum kv_attr_form form;
    unsigned on, set;
    unsigned flag; /* form BOOL: the object's KV_IS_* or KV_CAN_*; KV_NEVER: always false */
    /* NULL for form BOOL; false: this object has no such attribute after all. */
    bool (*get)(const struct kv_object *object, struct kv_attr_value *ret);
    enum kv_status (*put)(struct kv_object *object, struct kv_view value); /* NULL: form BOOL, or never */
    bool hidden; /* never told while the object is sensitive or not extractable */
};

extern const struct kv_attr_rule kv_attr_rules[];
extern const size_t kv_attr_rule_count;

/* The rule of this attribute for this object; NULL: it has no such attribute. */
const struct kv_attr_rule *kv_attr_rule(const struct kv_object *object, CK_ATTRIBUTE_TYPE type);
/* Has any object of these classes (KV_ON_*) such an attribute? */
bool kv_attr_exists(unsigned classes, CK_ATTRIBUTE_TYPE type);

#endif
