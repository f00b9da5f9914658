/* The symmetric half of the contract's algorithms (§7.2 AES, §7.3 HMAC), and the sealing of backup blobs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include "material.h"

enum { AES_BLOCK = 16, GCM_NONCE = 12, GCM_TAG = 16 };

struct aes_call {
    const char *mode; /* OpenSSL's: "CBC", "GCM", "WRAP", "WRAP-PAD" */
    struct em_blob key, iv, aad;
    unsigned char *tag; /* GCM: made by encryption, checked by decryption */
    bool encrypt, padding;
};

static bool start(EVP_CIPHER_CTX *ctx, const struct aes_call *call)
{
    char name[32];
    int unused;
    snprintf(name, sizeof(name), "AES-%zu-%s", call->key.len * 8, call->mode);
    EM_AUTO(EVP_CIPHER) cipher = EVP_CIPHER_fetch(NULL, name, NULL);
    if (!cipher)
        return false;
    EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    if (EVP_CipherInit_ex2(ctx, cipher, call->key.data, call->iv.data, call->encrypt, NULL) <= 0)
        return false;
    EVP_CIPHER_CTX_set_padding(ctx, call->padding);
    if (call->tag && !call->encrypt &&
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, GCM_TAG, call->tag) <= 0)
        return false;
    return !call->aad.len || EVP_CipherUpdate(ctx, NULL, &unused, call->aad.data, (int)call->aad.len) > 0;
}

static bool aes(const struct aes_call *call, struct em_blob in, struct em_blob *ret)
{
    EM_AUTO(EVP_CIPHER_CTX) ctx = EVP_CIPHER_CTX_new();
    EM_AUTO_BLOB out = { 0 };
    int body = 0, tail = 0;
    /* Room for a wrap's 8 bytes on top of the round-up, or for a block of padding. */
    if (!ctx || in.len > INT32_MAX - 64 || !em_blob_make(&out, in.len + 2 * AES_BLOCK) || !start(ctx, call))
        return false;
    if (in.len && EVP_CipherUpdate(ctx, out.data, &body, in.data, (int)in.len) <= 0)
        return false;
    if (EVP_CipherFinal_ex(ctx, out.data + body, &tail) <= 0)
        return false;
    if (call->tag && call->encrypt &&
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, GCM_TAG, call->tag) <= 0)
        return false;
    *ret = (struct em_blob){ out.data, (size_t)body + (size_t)tail };
    out = (struct em_blob){ 0 };
    return true;
}

static bool is_encrypt(const struct em_op_in *in)
{
    return in->op == EM_ENCRYPT || in->op == EM_WRAP;
}

static bool undecryptable(struct em_refusal *refusal)
{
    ERR_clear_error();
    return em_bad_parameter(refusal, "Unable to decrypt specified value with this key");
}

static bool copy(struct em_blob from, struct em_blob *ret)
{
    if (!em_blob_make(ret, from.len))
        return false;
    memcpy(ret->data, from.data, from.len);
    return true;
}

bool em_aes_wrap(const struct em_alg *alg, const struct em_material *key, const struct em_op_in *in,
                 struct em_op_out *ret, struct em_refusal *refusal)
{
    bool encrypt = is_encrypt(in), padded = !strcmp(alg->mode, "WRAP-PAD");
    size_t len = in->value.len, least = encrypt ? (padded ? 1 : 16) : (padded ? 16 : 24);
    if (len < least || (len % 8 && !(encrypt && padded)))
        return em_bad_parameter(refusal, "Invalid length of 'value': %zu bytes. %s requires %s%zu bytes.",
                                len, alg->name,
                                encrypt && padded ? "at least " : "a multiple of 8 and at least ", least);
    struct aes_call call = { .mode = alg->mode, .key = key->oct, .encrypt = encrypt };
    return aes(&call, in->value, &ret->value) || undecryptable(refusal);
}

/* Contract §7.2: without padding the service fills the last block with zero bytes and gives them back. */
static bool zero_fill(struct em_blob value, struct em_blob *ret)
{
    if (!em_blob_make(ret, (value.len + AES_BLOCK - 1) / AES_BLOCK * AES_BLOCK))
        return false;
    memcpy(ret->data, value.data, value.len);
    return true;
}

bool em_aes_cbc(const struct em_alg *alg, const struct em_material *key, const struct em_op_in *in,
                struct em_op_out *ret, struct em_refusal *refusal)
{
    bool encrypt = is_encrypt(in), padded = !strcmp(alg->mode, "CBCPAD");
    EM_AUTO_BLOB filled = { 0 };
    if (in->iv.len != AES_BLOCK)
        return em_bad_parameter(refusal, "Invalid length of 'iv': %zu bytes. %s requires %d bytes.",
                                in->iv.len, alg->name, AES_BLOCK);
    if (!encrypt && in->value.len % AES_BLOCK)
        return em_bad_parameter(refusal,
                                "Invalid length of 'value': %zu bytes. %s requires a multiple of %d bytes.",
                                in->value.len, alg->name, AES_BLOCK);
    if (encrypt && !padded && !zero_fill(in->value, &filled))
        return em_internal_error(refusal, "out of memory");
    if (encrypt && !copy(in->iv, &ret->iv))
        return em_internal_error(refusal, "out of memory");
    struct aes_call call = {
        .mode = "CBC", .key = key->oct, .iv = in->iv, .encrypt = encrypt, .padding = padded
    };
    return aes(&call, filled.data ? filled : in->value, &ret->value) || undecryptable(refusal);
}

static bool gcm_encrypt(const struct em_material *key, const struct em_op_in *in, struct em_op_out *ret)
{
    if (!em_blob_make(&ret->iv, GCM_NONCE) || !em_blob_make(&ret->tag, GCM_TAG) ||
        !em_random(ret->iv.data, GCM_NONCE))
        return false;
    struct aes_call call = {
        .mode = "GCM", .key = key->oct, .iv = ret->iv, .aad = in->aad, .tag = ret->tag.data, .encrypt = true
    };
    return aes(&call, in->value, &ret->value);
}

/* The service makes the nonce (contract §7.2); a caller who brings one is refused rather than ignored. */
bool em_aes_gcm(const struct em_alg *alg, const struct em_material *key, const struct em_op_in *in,
                struct em_op_out *ret, struct em_refusal *refusal)
{
    if (is_encrypt(in) && in->iv.data)
        return em_bad_parameter(refusal, "Property 'iv' is not allowed: %s chooses its own nonce.",
                                alg->name);
    if (is_encrypt(in))
        return gcm_encrypt(key, in, ret) || em_internal_error(refusal, alg->name);
    if (in->iv.len != GCM_NONCE)
        return em_bad_parameter(refusal, "Invalid length of 'iv': %zu bytes. %s requires %d bytes.",
                                in->iv.len, alg->name, GCM_NONCE);
    if (in->tag.len != GCM_TAG)
        return em_bad_parameter(refusal, "Invalid length of 'tag': %zu bytes. %s requires %d bytes.",
                                in->tag.len, alg->name, GCM_TAG);
    struct aes_call call = {
        .mode = "GCM", .key = key->oct, .iv = in->iv, .aad = in->aad, .tag = in->tag.data
    };
    return aes(&call, in->value, &ret->value) || undecryptable(refusal);
}

/* The value is the message itself (contract §7.3, believed). */
bool em_hmac(const struct em_alg *alg, const struct em_material *key, const struct em_op_in *in,
             struct em_op_out *ret, struct em_refusal *refusal)
{
    EM_AUTO_BLOB mac = { 0 };
    struct em_blob message = in->op == EM_VERIFY ? in->digest : in->value;
    size_t len = 0;
    if (!em_blob_make(&mac, EVP_MAX_MD_SIZE) ||
        !EVP_Q_mac(NULL, "HMAC", NULL, alg->md, NULL, key->oct.data, key->oct.len, message.data, message.len,
                   mac.data, mac.len, &len))
        return em_internal_error(refusal, alg->name);
    mac.len = len;
    if (in->op == EM_VERIFY) {
        ret->verified = in->value.len == len && !CRYPTO_memcmp(in->value.data, mac.data, len);
        return true;
    }
    ret->value = mac;
    mac = (struct em_blob){ 0 };
    return true;
}

bool em_seal(const unsigned char key[32], struct em_blob plain, struct em_blob *ret)
{
    EM_AUTO_BLOB sealed = { 0 }, cipher = { 0 };
    unsigned char nonce[GCM_NONCE], tag[GCM_TAG];
    struct aes_call call = { .mode = "GCM",
                             .key = { (unsigned char *)key, 32 },
                             .iv = { nonce, sizeof(nonce) },
                             .tag = tag,
                             .encrypt = true };
    if (!em_random(nonce, sizeof(nonce)) || !aes(&call, plain, &cipher) ||
        !em_blob_make(&sealed, sizeof(nonce) + cipher.len + sizeof(tag)))
        return false;
    memcpy(sealed.data, nonce, sizeof(nonce));
    memcpy(sealed.data + sizeof(nonce), cipher.data, cipher.len);
    memcpy(sealed.data + sizeof(nonce) + cipher.len, tag, sizeof(tag));
    *ret = sealed;
    sealed = (struct em_blob){ 0 };
    return true;
}

bool em_open(const unsigned char key[32], struct em_blob sealed, struct em_blob *ret)
{
    if (sealed.len < GCM_NONCE + GCM_TAG)
        return false;
    struct em_blob cipher = { sealed.data + GCM_NONCE, sealed.len - GCM_NONCE - GCM_TAG };
    struct aes_call call = { .mode = "GCM",
                             .key = { (unsigned char *)key, 32 },
                             .iv = { sealed.data, GCM_NONCE },
                             .tag = sealed.data + sealed.len - GCM_TAG };
    bool opened = aes(&call, cipher, ret);
    ERR_clear_error();
    return opened;
}
