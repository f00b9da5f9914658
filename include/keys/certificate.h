/* A certificate as objects and searches read it. Immutable and counted. Any thread. */
#ifndef KV_KEYS_CERTIFICATE_H
#define KV_KEYS_CERTIFICATE_H

#include "keys/key.h"
#include "mech/certificate.h"

struct kv_certificate {
    struct kv_bytes der;
    struct kv_x509 facts;         /* inside der */
    unsigned char id[KV_ID_SIZE]; /* subject key identifier of its key, as CKA_ID */
    unsigned char spki_sha256[32], sha256[32];
    char name[KV_NAME_SIZE]; /* the subject's common name, "": none */
    unsigned references;     /* atomic; private to certificate.c */
};

/* Copies the bytes. KV_BAD_DATA: not a certificate. */
KV_MUST_USE enum kv_status kv_certificate_new(struct kv_view der, struct kv_certificate **ret,
                                              struct kv_error *err);
struct kv_certificate *kv_certificate_ref(const struct kv_certificate *certificate); /* NULL is fine */
void kv_certificate_free(struct kv_certificate *certificate);                        /* drops one reference */
KV_DEFINE_CLEANUP(struct kv_certificate, kv_certificate_free)
#define KV_AUTO_CERTIFICATE KV_CLEANUP(kv_certificate_free_cleanup)
/* Has it this version's public key? */
bool kv_certificate_is_of(const struct kv_certificate *certificate, const struct kv_version *version);

/* Counted certificates in a list. */
struct kv_certificate_list {
    struct kv_certificate **items;
    size_t count;
};
void kv_certificate_list_free(struct kv_certificate_list *list);
KV_MUST_USE enum kv_status
kv_certificate_list_add(struct kv_certificate_list *list,
                        const struct kv_certificate *certificate); /* takes a reference of its own */

#endif
