/* What the tests of certificates share: a vault with two versions of a certificate, a key to sign with and one to unwrap with. */
#ifndef KV_TESTS_P11_CERTIFICATES_HELP_H
#define KV_TESTS_P11_CERTIFICATES_HELP_H

#include "harness.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

static CK_SESSION_HANDLE session;
static char old_version[65], new_version[65];
static const CK_OBJECT_CLASS certificate_class = CKO_CERTIFICATE, private_class = CKO_PRIVATE_KEY;
static const CK_CERTIFICATE_TYPE x509_type = CKC_X_509;
static const CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
#define ITEM(type, value)                                                                                    \
    {                                                                                                        \
        type, (void *)&(value), sizeof(value)                                                                \
    }

static inline void create_certificate(const char *name, const char *body, char ret_version[65])
{
    char path[256];
    snprintf(path, sizeof path, "/vaults/prod/certificates/%s/create", name);
    struct kv_json *bundle = control("POST", path, body);
    const char *kid = kv_json_text(kv_json_get(bundle, "kid"));
    assert_non_null(kid);
    if (ret_version)
        assert_true(kv_text_fit(ret_version, 65, strrchr(kid, '/') + 1));
    kv_json_free(bundle);
}

static inline int start(void **state)
{
    if (world_start(state))
        return -1;
    create_certificate(
        "tls", "{\"policy\":{\"x509_props\":{\"subject\":\"CN=tls.example, O=Test\",\"validity_months\":6}}}",
        old_version);
    create_certificate("tls", NULL, new_version);
    create_key("prod", "maker", "{\"kty\":\"EC\",\"crv\":\"P-384\"}");
    create_key("prod", "kek", "{\"kty\":\"RSA\",\"key_ops\":[\"unwrapKey\",\"wrapKey\"]}");
    initialize();
    session = open_session(PROD);
    return 0;
}

static inline void settle(const char *map, const char *settings)
{
    configure(map, settings);
    session = restart(PROD);
    clear_log();
}

struct bytes {
    CK_BYTE data[2048];
    size_t len;
};

static inline struct bytes get(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type)
{
    struct bytes bytes;
    bytes.len = attribute(session, object, type, bytes.data, sizeof bytes.data);
    return bytes;
}

static inline void assert_same(const struct bytes *a, const struct bytes *b)
{
    assert_int_equal(a->len, b->len);
    assert_memory_equal(a->data, b->data, a->len);
}

static inline X509 *parse(const struct bytes *der)
{
    const unsigned char *at = der->data;
    X509 *certificate = d2i_X509(NULL, &at, (long)der->len);
    assert_non_null(certificate);
    assert_ptr_equal(at, der->data + der->len);
    return certificate;
}

static inline size_t find_template(const CK_ATTRIBUTE *template, CK_ULONG count, CK_OBJECT_HANDLE *ret,
                                   CK_ULONG room)
{
    CK_ULONG got = 0;
    ok(world.p11->C_FindObjectsInit(session, (CK_ATTRIBUTE *)template, count));
    ok(world.p11->C_FindObjects(session, ret, room, &got));
    ok(world.p11->C_FindObjectsFinal(session));
    return got;
}

#endif
