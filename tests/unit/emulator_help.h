/* What the tests of the emulator's cryptography share. They see its private header: the emulator is a program, not a library. */
#ifndef EMULATOR_HELP_H
#define EMULATOR_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "../../tools/emulator/material.h"
#include "../common/rsa_keys.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define KID      "https://prod.vault.localhost/keys/k/0123456789abcdef0123456789abcdef"
#define HELPER   static __attribute__((unused))

HELPER struct em_blob text(const char *s)
{
    return (struct em_blob){ (unsigned char *)s, strlen(s) };
}

HELPER struct em_blob hex(const char *s)
{
    struct em_blob blob = { 0 };
    assert_true(em_blob_make(&blob, strlen(s) / 2));
    for (size_t i = 0; i < blob.len; i++)
        assert_int_equal(sscanf(s + 2 * i, "%2hhx", &blob.data[i]), 1);
    return blob;
}

HELPER void assert_same(struct em_blob a, struct em_blob b)
{
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.data, b.data, a.len);
}

HELPER struct em_material *import_json(json_t *jwk)
{
    struct em_material *material = NULL;
    struct em_refusal refusal = { 0 };
    if (!em_material_import(jwk, &material, &refusal))
        fail_msg("%s", refusal.message);
    json_decref(jwk);
    return material;
}

HELPER struct em_material *import_oct(struct em_blob key)
{
    char *k = em_base64url(key.data, key.len);
    json_t *jwk = json_pack("{s:s, s:s}", "kty", "oct-HSM", "k", k);
    free(k);
    return import_json(jwk);
}

HELPER struct em_material *generate(const char *kty, int bits, const char *curve)
{
    struct em_material *material = NULL;
    struct em_refusal refusal = { 0 };
    if (!em_material_generate(kty, bits, 0, curve, &material, &refusal))
        fail_msg("%s", refusal.message);
    return material;
}

/* What generate() would make after longer than all else here takes. */
HELPER struct em_material *fixed_rsa(unsigned bits)
{
    struct em_material *material = calloc(1, sizeof *material);
    assert_non_null(material);
    material->kind = EM_RSA;
    material->pkey = rsa_key(NULL, bits, 0);
    return material;
}

HELPER void out_free(struct em_op_out *out)
{
    em_blob_free(&out->value);
    em_blob_free(&out->iv);
    em_blob_free(&out->tag);
}

HELPER struct em_op_out operate(const struct em_material *key, struct em_op_in in)
{
    struct em_op_out out = { 0 };
    struct em_refusal refusal = { 0 };
    if (!em_material_operate(key, &in, &out, &refusal))
        fail_msg("%s: %s", in.alg, refusal.message);
    return out;
}

HELPER void assert_refused(const struct em_material *key, struct em_op_in in, const char *message)
{
    struct em_op_out out = { 0 };
    struct em_refusal refusal = { 0 };
    in.kid = KID;
    assert_false(em_material_operate(key, &in, &out, &refusal));
    assert_int_equal(refusal.status, 400);
    assert_string_equal(refusal.code, "BadParameter");
    assert_null(refusal.inner);
    assert_string_equal(refusal.message, message);
    assert_null(out.value.data);
}

HELPER void flip(struct em_blob blob)
{
    blob.data[blob.len / 2] ^= 1;
}

#endif
