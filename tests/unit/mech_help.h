/* What the tests of the mechanism layer share: hex, mechanisms, keys made by OpenSSL, and a walk over Wycheproof files. */
#ifndef TESTS_UNIT_MECH_HELP_H
#define TESTS_UNIT_MECH_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include "base/encode.h"
#include "base/json.h"
#include "base/ossl.h"
#include "mech/local.h"
#include "../common/rsa_keys.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const struct kv_mech_offer offer_all = { true, true, true, true, true, true };

static inline struct kv_bytes from_hex(const char *hex)
{
    struct kv_bytes bytes = { 0 };
    assert_int_equal(kv_decode_hex(hex, &bytes), KV_OK);
    return bytes;
}

static inline void assert_bytes(struct kv_view is, struct kv_view should)
{
    assert_int_equal(is.len, should.len);
    if (is.len)
        assert_memory_equal(is.data, should.data, is.len);
}

static inline const struct kv_mech *find_row(CK_MECHANISM_TYPE type, const char *alg)
{
    for (size_t i = 0; i < kv_mech_count; i++)
        if (kv_mech_table[i].type == type && kv_mech_table[i].alg && !strcmp(kv_mech_table[i].alg, alg))
            return &kv_mech_table[i];
    fail_msg("no row for %s", alg);
    return NULL;
}

static inline EVP_PKEY *make_key(enum kv_kind kind, const char *curve)
{
    EVP_PKEY *key = kind == KV_RSA
                        ? rsa_key(kv_ossl_context(), 2048, 0)
                        : EVP_PKEY_Q_keygen(kv_ossl_context(), NULL, "EC", kv_curve_find(curve)->group);
    assert_non_null(key);
    return key;
}

static inline struct kv_bytes spki_of(EVP_PKEY *key)
{
    unsigned char *der = NULL;
    struct kv_bytes bytes;
    int len = i2d_PUBKEY(key, &der);
    assert_true(len > 0);
    assert_int_equal(kv_bytes_copy((struct kv_view){ der, (size_t)len }, &bytes), KV_OK);
    OPENSSL_free(der);
    return bytes;
}

KV_DEFINE_CLEANUP(struct kv_public, kv_public_free)

static inline struct kv_public *public_of(EVP_PKEY *key)
{
    KV_AUTO_BYTES struct kv_bytes spki = spki_of(key);
    struct kv_public *public = NULL;
    assert_int_equal(kv_public_from_spki(KV_VIEW(spki), &public, NULL), KV_OK);
    return public;
}

/* --- Wycheproof --- */

struct wycheproof_test {
    const struct kv_json *group, *test;
    bool valid, acceptable;
};

static inline struct kv_bytes wycheproof_hex(const struct kv_json *node, const char *name)
{
    return from_hex(kv_json_text(kv_json_get(node, name)));
}

static inline struct kv_bytes read_whole(const char *path)
{
    struct kv_buffer all = { 0 };
    char piece[4096];
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    for (size_t len; (len = fread(piece, 1, sizeof piece, file)) > 0;)
        assert_int_equal(kv_buffer_add(&all, (struct kv_view){ (unsigned char *)piece, len }), KV_OK);
    fclose(file);
    return all.bytes;
}

static inline void walk_tests(const struct kv_json *root, void (*check)(const struct wycheproof_test *test))
{
    const struct kv_json *groups = kv_json_get(root, "testGroups");
    assert_true(kv_json_count(groups) > 0);
    for (size_t i = 0; i < kv_json_count(groups); i++) {
        const struct kv_json *group = kv_json_at(groups, i), *tests = kv_json_get(group, "tests");
        for (size_t k = 0; k < kv_json_count(tests); k++) {
            const struct kv_json *test = kv_json_at(tests, k);
            const char *result = kv_json_text(kv_json_get(test, "result"));
            check(&(struct wycheproof_test){ group, test, !strcmp(result, "valid"),
                                             !strcmp(result, "acceptable") });
        }
    }
}

/* Without the files: one line, and in CI a failure. */
static inline void walk_wycheproof(const char *name, void (*check)(const struct wycheproof_test *test))
{
    const char *data = getenv("KVP11_TEST_DATA"), *ci = getenv("CI");
    char path[1024];
    snprintf(path, sizeof path, "%s/wycheproof/%s_test.json", data ? data : "", name);
    if (!data || access(path, R_OK)) {
        if (ci && !strcmp(ci, "true"))
            fail_msg("KVP11_TEST_DATA has no wycheproof/%s_test.json", name);
        print_message("not run: Wycheproof %s (KVP11_TEST_DATA does not have it)\n", name);
        skip();
    }
    KV_AUTO_BYTES struct kv_bytes text = read_whole(path);
    KV_AUTO_JSON struct kv_json *root = NULL;
    assert_int_equal(kv_json_parse(KV_VIEW(text), &root, NULL), KV_OK);
    walk_tests(root, check);
}

#endif
