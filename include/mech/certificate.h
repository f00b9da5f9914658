/* X.509 certificates as far as PKCS#11 shows them: the names, the serial number and the key in one, the certificates in a file, and one of our own making
 * for a key that has none. Only the form is looked at: whether to trust a certificate is the application's business. Any thread. RFC 5280. */
#ifndef KV_MECH_CERTIFICATE_H
#define KV_MECH_CERTIFICATE_H

#include <stdint.h>
#include "base/bytes.h"
#include "base/kinds.h"

/* What stands in a certificate. The views are whole DER elements inside the bytes that were read. */
struct kv_x509 {
    struct kv_view subject, issuer, serial, spki;
    int64_t not_before, not_after; /* unix seconds */
    bool ca;                       /* basicConstraints says so */
};
/* Strict DER, at most 64 KiB, nothing before or after. KV_BAD_DATA. */
KV_MUST_USE enum kv_status kv_x509_read(struct kv_view der, struct kv_x509 *ret, struct kv_error *err);
/* Contents of the BIT STRING in a SubjectPublicKeyInfo of any key type; empty: there is none. */
struct kv_view kv_x509_key_bits(struct kv_view spki);
/* The text of the last commonName of a subject or issuer, cut to `size`; "": it has none. */
void kv_x509_common_name(struct kv_view name, char *ret, size_t size);

/* The next certificate of a file, PEM or DER: *rest moves behind it. *ret stays empty when there is no further one. KV_BAD_DATA: something that begins
 * like a certificate and is none; *rest is behind it all the same. */
KV_MUST_USE enum kv_status kv_x509_next(struct kv_view *rest, struct kv_bytes *ret, struct kv_error *err);

/* A certificate for a public key, the same bytes for the same values. Its subject is CN=name, it is valid from `created` for ever. */
struct kv_x509_draft {
    const char *name;
    struct kv_view spki, id; /* id: the subject key identifier */
    unsigned operations;     /* KV_OP_*: they become the key usage */
    int64_t created;
    const char *alg; /* "RS256", "ES256"…: the key itself will sign */
};
/* What is to be signed, then the whole; `signature` as Key Vault gives it (EC: raw r‖s). KV_MECHANISM: no such algorithm in certificates. */
KV_MUST_USE enum kv_status kv_x509_draft(const struct kv_x509_draft *draft, struct kv_bytes *ret);
KV_MUST_USE enum kv_status kv_x509_seal(const struct kv_x509_draft *draft, struct kv_view tbs,
                                        struct kv_view signature, struct kv_bytes *ret);
/* A container: an issuer whose name says that the signature proves nothing signs it with a key that anybody can compute. For keys that cannot sign; `alg` is not looked at. */
KV_MUST_USE enum kv_status kv_x509_container(const struct kv_x509_draft *draft, struct kv_bytes *ret,
                                             struct kv_error *err);

#endif
