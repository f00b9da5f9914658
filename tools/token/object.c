#include <string.h>
#include "private.h"

/* The first two that fit. */
static enum kv_status find(const struct kv_token *token, CK_ATTRIBUTE *template, CK_ULONG parts,
                           CK_OBJECT_HANDLE ret[2], CK_ULONG *ret_count, struct kv_error *err)
{
    CK_RV rv = token->f->C_FindObjectsInit(token->session, template, parts);
    if (rv != CKR_OK)
        return kv_token_fail(token, "C_FindObjectsInit", rv, err);
    rv = token->f->C_FindObjects(token->session, ret, 2, ret_count);
    token->f->C_FindObjectsFinal(token->session);
    return rv == CKR_OK ? KV_OK : kv_token_fail(token, "C_FindObjects", rv, err);
}

static enum kv_status get(const struct kv_token *token, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type,
                          struct kv_bytes *ret, struct kv_error *err)
{
    enum { LARGEST = 64 * 1024 };
    KV_AUTO_BYTES struct kv_bytes value = { 0 };
    CK_ATTRIBUTE attribute = { type, NULL, 0 };
    CK_RV rv = token->f->C_GetAttributeValue(token->session, object, &attribute, 1);
    if (rv == CKR_OK && attribute.ulValueLen > LARGEST)
        return kv_fail(err, KV_BAD_DATA, "'%s': an object is longer than %d bytes", token->shown, LARGEST);
    if (rv == CKR_OK && kv_bytes_alloc(attribute.ulValueLen, &value) != KV_OK)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    attribute.pValue = value.data;
    if (rv == CKR_OK)
        rv = token->f->C_GetAttributeValue(token->session, object, &attribute, 1);
    if (rv != CKR_OK || attribute.ulValueLen > value.len)
        return kv_token_fail(token, "C_GetAttributeValue", rv, err);
    value.len = attribute.ulValueLen;
    *ret = kv_bytes_take(&value);
    return KV_OK;
}

static CK_ULONG add_named(const struct kv_token *token, CK_ATTRIBUTE *template, CK_ULONG parts,
                          CK_ATTRIBUTE_TYPE type)
{
    const CK_ATTRIBUTE *named = p11_kit_uri_get_attribute(token->uri, type);
    if (named)
        template[parts] = *named;
    return parts + (named != NULL);
}

/* `type=` of the URI is not looked at: who names the key means the certificate beside it. */
enum kv_status kv_token_find_certificate(struct kv_token *token, struct kv_error *err)
{
    CK_OBJECT_CLASS class = CKO_CERTIFICATE;
    CK_CERTIFICATE_TYPE x509 = CKC_X_509;
    CK_ATTRIBUTE template[4] = { { CKA_CLASS, &class, sizeof class },
                                 { CKA_CERTIFICATE_TYPE, &x509, sizeof x509 } };
    CK_OBJECT_HANDLE found[2];
    CK_ULONG parts = 2, count = 0;
    KV_AUTO_BYTES struct kv_bytes der = { 0 };
    parts = add_named(token, template, parts, CKA_LABEL);
    parts = add_named(token, template, parts, CKA_ID);
    KV_TRY(find(token, template, parts, found, &count, err));
    if (count != 1)
        return kv_fail(err, count ? (enum kv_status)KV_ARGUMENTS : (enum kv_status)KV_NOT_FOUND,
                       "'%s': the token has %s that fits: %s", token->shown,
                       count ? "more than one certificate" : "no certificate",
                       count ? "add 'id=' to it"
                             : "see what it has with 'p11tool --list-all-certs' or 'pkcs11-tool -O'");
    KV_TRY(get(token, found[0], CKA_VALUE, &der, err));
    KV_TRY(get(token, found[0], CKA_ID, &token->id, err));
    enum kv_status status = kv_certificate_new(KV_VIEW(der), &token->certificate, err);
    return status == KV_OK ? KV_OK : kv_fail_in(err, status, "'%s'", token->shown);
}

enum kv_status kv_token_find_key(struct kv_token *token, struct kv_error *err)
{
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    CK_ATTRIBUTE template[2] = { { CKA_CLASS, &class, sizeof class },
                                 { CKA_ID, token->id.data, token->id.len } };
    CK_OBJECT_HANDLE found[2];
    CK_ULONG count = 0;
    if (token->key_found)
        return KV_OK;
    KV_TRY(find(token, template, 2, found, &count, err));
    if (count != 1)
        return kv_fail(err, KV_NOT_FOUND, "'%s': the token has the certificate, but %s with its id: %s",
                       token->shown, count ? "more than one private key" : "no private key",
                       count ? "give each an id of its own"
                             : "the key is elsewhere, or was deleted; another copy of the token may have it");
    token->key = found[0];
    token->key_found = true;
    return KV_OK;
}
