#include "token.h"

#include <string.h>
#include "base/ossl.h"
#include "oaep.h"
#include "private.h"

bool kv_token_is(const char *text)
{
    return !strncmp(text, "pkcs11:", 7);
}

const struct kv_certificate *kv_token_certificate(const struct kv_token *token)
{
    return token->certificate;
}

enum kv_status kv_token_fail(const struct kv_token *token, const char *call, CK_RV rv, struct kv_error *err)
{
    static const struct {
        CK_RV rv;
        enum kv_status status;
        const char *text;
    } known[] = {
        { CKR_PIN_INCORRECT, KV_PIN_INCORRECT, "the PIN is wrong: it was tried once and is not tried again" },
        { CKR_PIN_LEN_RANGE, KV_PIN_INCORRECT, "the PIN has a wrong length" },
        { CKR_PIN_INVALID, KV_PIN_INCORRECT, "the PIN has letters that the token does not take" },
        { CKR_PIN_EXPIRED, KV_PIN_EXPIRED, "the PIN has expired: set a new one with the token's own tool" },
        { CKR_PIN_LOCKED, KV_NOT_LOGGED_IN, "the PIN is locked: unlock it with the token's own tool" },
        { CKR_USER_NOT_LOGGED_IN, KV_NOT_LOGGED_IN,
          "the key wants a PIN: add '?pin-source=FILE' to the URI" },
        { CKR_USER_PIN_NOT_INITIALIZED, KV_NOT_LOGGED_IN, "the token has no PIN yet" },
        { CKR_TOKEN_NOT_PRESENT, KV_INPUT, "there is no token: put it in" },
        { CKR_DEVICE_REMOVED, KV_INPUT, "the token was taken out: put it in" },
        { CKR_KEY_FUNCTION_NOT_PERMITTED, KV_KEY_OPERATION, "the key may not decrypt" },
        { CKR_ENCRYPTED_DATA_INVALID, KV_BAD_CIPHERTEXT, "what is to be decrypted is not for this key" },
        { CKR_ENCRYPTED_DATA_LEN_RANGE, KV_BAD_CIPHERTEXT, "what is to be decrypted is not for this key" },
        { CKR_HOST_MEMORY, KV_NO_MEMORY, "memory is short" },
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].rv == rv)
            return kv_fail(err, known[i].status, "'%s': %s", token->shown, known[i].text);
    return kv_fail(err, KV_INPUT, "'%s': %s of the token's module answers 0x%lx (%s)", token->shown, call,
                   (unsigned long)rv, p11_kit_strerror(rv));
}

/* ---- opening ---- */

/* A PIN may stand in the query. */
static enum kv_status read_uri(struct kv_token *token, const char *text, struct kv_error *err)
{
    token->shown = kv_text_copy_n(text, strcspn(text, "?"));
    token->uri = p11_kit_uri_new();
    if (!token->shown || !token->uri)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    int code = p11_kit_uri_parse(text, P11_KIT_URI_FOR_ANY, token->uri);
    if (code != P11_KIT_URI_OK)
        return kv_fail(err, KV_ARGUMENTS, "'%s' is no PKCS#11 URI: %s", token->shown,
                       p11_kit_uri_message(code));
    if (p11_kit_uri_any_unrecognized(token->uri))
        return kv_fail(
            err, KV_ARGUMENTS,
            "'%s' says something that is not known here: 'token=', 'serial=', 'manufacturer=', 'model=', "
            "'object=', 'id=' and 'type=' are; and behind '?', 'module-path=', 'pin-source=' and "
            "'pin-value='",
            token->shown);
    return KV_OK;
}

static enum kv_status open_inside(struct kv_token *token, struct kv_error *err)
{
    KV_TRY(kv_token_find(token, err));
    CK_RV rv = token->f->C_OpenSession(token->slot, CKF_SERIAL_SESSION, NULL, NULL, &token->session);
    if (rv != CKR_OK)
        return kv_token_fail(token, "C_OpenSession", rv, err);
    token->session_open = true;
    return kv_token_find_certificate(token, err);
}

enum kv_status kv_token_open(const char *uri, struct kv_token **ret, struct kv_error *err)
{
    KV_AUTO_TOKEN struct kv_token *token = calloc(1, sizeof *token);
    if (!token)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    KV_TRY(read_uri(token, uri, err));
    struct kv_ossl_guard guard = kv_ossl_step_aside();
    enum kv_status status = open_inside(token, err);
    kv_ossl_leave(&guard);
    KV_TRY(status);
    *ret = kv_take(token);
    return KV_OK;
}

void kv_token_free(struct kv_token *token)
{
    if (!token)
        return;
    struct kv_ossl_guard guard = kv_ossl_step_aside();
    if (token->logged_in)
        token->f->C_Logout(token->session);
    if (token->session_open)
        token->f->C_CloseSession(token->session);
    kv_token_leave_modules(token);
    kv_ossl_leave(&guard);
    kv_certificate_free(token->certificate);
    kv_bytes_free(&token->id);
    if (token->uri)
        p11_kit_uri_free(token->uri);
    kv_text_free(token->shown);
    free(token);
}

/* ---- decrypting ---- */

static bool not_offered(CK_RV rv)
{
    return rv == CKR_MECHANISM_INVALID || rv == CKR_MECHANISM_PARAM_INVALID || rv == CKR_ARGUMENTS_BAD ||
           rv == CKR_FUNCTION_NOT_SUPPORTED;
}

static CK_RV decrypt_one(const struct kv_token *token, CK_MECHANISM *mechanism, struct kv_view in,
                         struct kv_bytes *into)
{
    CK_ULONG len = into->len;
    CK_RV rv = token->f->C_DecryptInit(token->session, mechanism, token->key);
    if (rv == CKR_OK)
        rv = token->f->C_Decrypt(token->session, (CK_BYTE *)in.data, in.len, into->data, &len);
    if (rv == CKR_OK)
        into->len = len;
    return rv;
}

/* Not every token knows OAEP with SHA-256, or with a label; then it does the number, and the padding is taken off here. */
static enum kv_status decrypt(const struct kv_token *token, const char *label, struct kv_view in,
                              struct kv_bytes *ret, struct kv_error *err)
{
    CK_RSA_PKCS_OAEP_PARAMS oaep = { CKM_SHA256, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED,
                                     *label ? (void *)(uintptr_t)label : NULL, strlen(label) };
    CK_MECHANISM padded = { CKM_RSA_PKCS_OAEP, &oaep, sizeof oaep }, bare = { CKM_RSA_X_509, NULL, 0 };
    KV_AUTO_BYTES struct kv_bytes plain = { 0 };
    if (kv_bytes_alloc(in.len, &plain) != KV_OK)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    CK_RV rv = decrypt_one(token, &padded, in, &plain);
    if (rv == CKR_OK) {
        *ret = kv_bytes_take(&plain);
        return KV_OK;
    }
    if (not_offered(rv))
        rv = decrypt_one(token, &bare, in, &plain);
    if (not_offered(rv))
        return kv_fail(err, KV_UNSUPPORTED,
                       "'%s': the token decrypts neither by RSA-OAEP with SHA-256 nor by bare RSA",
                       token->shown);
    if (rv != CKR_OK)
        return kv_token_fail(token, "C_Decrypt", rv, err);
    enum kv_status status = kv_token_unpad(KV_VIEW(plain), in.len, label, ret, err);
    return status == KV_OK ? KV_OK : kv_fail_in(err, status, "'%s'", token->shown);
}

enum kv_status kv_token_decrypt(struct kv_token *token, const char *label, struct kv_view in,
                                struct kv_bytes *ret, struct kv_error *err)
{
    struct kv_ossl_guard guard = kv_ossl_step_aside();
    enum kv_status status = kv_token_log_in(token, err);
    if (status == KV_OK)
        status = kv_token_find_key(token, err);
    if (status == KV_OK)
        status = decrypt(token, label, in, ret, err);
    kv_ossl_leave(&guard);
    return status;
}
