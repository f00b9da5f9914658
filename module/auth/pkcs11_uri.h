/* A PKCS#11 URI (RFC 7512) that names a private key. Any thread. */
#ifndef KV_AUTH_PKCS11_URI_H
#define KV_AUTH_PKCS11_URI_H

#include "base/bytes.h"

struct kv_pkcs11_uri { /* texts are decoded; NULL: not told */
    char *token, *manufacturer, *serial, *model, *slot_id, *object;
    struct kv_bytes id; /* data NULL: not told */
    char *type;
    char *module_path, *pin_source;
};
void kv_pkcs11_uri_free(struct kv_pkcs11_uri *uri);

/* KV_CREDENTIAL: not of this form, an attribute that cannot be honoured, a PIN in it, no key named. */
KV_MUST_USE enum kv_status kv_pkcs11_uri_parse(const char *text, struct kv_pkcs11_uri *ret,
                                               struct kv_error *err);

#endif
