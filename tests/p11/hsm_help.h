/* What the tests of a Managed HSM's secret keys share: keys whose bytes are known on both sides. */
#ifndef KV_TESTS_P11_HSM_HELP_H
#define KV_TESTS_P11_HSM_HELP_H

#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <openssl/evp.h>
#include "base/bytes.h"
#include "base/encode.h"

/* The first bytes are the key of every test; 16, 24 or 32 of them. */
static const CK_BYTE __attribute__((unused)) known[64] =
    "known to both: thirty-two bytes, and as many again for HMAC keys";

/* Imports `len` bytes as an oct-HSM key or its next version; `ops` as in JSON: "\"sign\",\"verify\"". */
static inline const char *import_bytes(const char *name, const CK_BYTE *bytes, size_t len, const char *ops)
{
    static char ids[8][KV_VERSION_SIZE];
    static unsigned next;
    char path[128], body[512], *id = ids[next++ % 8];
    char *k = kv_encode_base64url((struct kv_view){ bytes, len });
    snprintf(path, sizeof path, "/vaults/hsm/keys/%s/import", name);
    snprintf(body, sizeof body, "{\"key\":{\"kty\":\"oct-HSM\",\"k\":\"%s\",\"key_ops\":[%s]}}", k, ops);
    kv_text_free(k);
    struct kv_json *bundle = control("POST", path, body);
    const char *kid = kv_json_text(kv_json_get(kv_json_get(bundle, "key"), "kid"));
    assert_true(kv_text_fit(id, KV_VERSION_SIZE, strrchr(kid, '/') + 1));
    kv_json_free(bundle);
    return id;
}

#define CIPHER_OPS "\"encrypt\",\"decrypt\",\"wrapKey\",\"unwrapKey\""

static inline const char *import_aes(const char *name, unsigned bits)
{
    return import_bytes(name, known, bits / 8, CIPHER_OPS);
}

struct aes {
    const CK_BYTE *key, *iv;
    unsigned bits;
    bool pads, encrypt;
};

/* The same by OpenSSL alone. */
static inline struct result openssl_cbc(const struct aes *aes, const CK_BYTE *in, size_t len)
{
    struct result out = { .len = 0 };
    char name[24];
    int body = 0, tail = 0;
    snprintf(name, sizeof name, "AES-%u-CBC", aes->bits);
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, name, NULL);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    assert_int_equal(EVP_CipherInit_ex2(context, cipher, aes->key, aes->iv, aes->encrypt, NULL), 1);
    EVP_CIPHER_CTX_set_padding(context, aes->pads);
    assert_int_equal(EVP_CipherUpdate(context, out.data, &body, in, (int)len), 1);
    assert_int_equal(EVP_CipherFinal_ex(context, out.data + body, &tail), 1);
    out.len = (CK_ULONG)(body + tail);
    EVP_CIPHER_CTX_free(context);
    EVP_CIPHER_free(cipher);
    return out;
}

static inline struct result openssl_hmac(const char *md, struct kv_view key, struct kv_view message)
{
    struct result out = { .len = 0 };
    size_t len = 0;
    assert_non_null(EVP_Q_mac(NULL, "HMAC", NULL, md, NULL, key.data, key.len, message.data, message.len,
                              out.data, sizeof out.data, &len));
    out.len = len;
    return out;
}

static inline void same(const struct result *a, const struct result *b)
{
    assert_int_equal(a->len, b->len);
    assert_memory_equal(a->data, b->data, a->len);
}

#endif
