/* Operations that are really done, on random bytes: the only proof that they may be done. */
#include "doctor.h"

#include <stdio.h>
#include <string.h>

KV_DEFINE_CLEANUP(struct kv_public, kv_public_free)

enum { SECRET = 32 };

static const struct kv_mech *row_of(const struct kv_vault_key *key, const char *alg)
{
    for (size_t i = 0; i < kv_mech_count; i++) {
        const struct kv_mech *row = &kv_mech_table[i];
        bool curve = key->kind != KV_EC || (row->curve && !strcmp(row->curve, key->curve));
        bool named = row->alg && (alg ? !strcmp(row->alg, alg) : (row->operations & KV_OP_SIGN) != 0);
        if (row->kind == key->kind && curve && named && row->service == KV_ANY)
            return row;
    }
    return NULL;
}

static enum kv_status public_of(const struct kv_vault_key *key, struct kv_public **ret, struct kv_error *err)
{
    if (key->kind == KV_EC)
        return kv_public_from_ec(key->curve, KV_VIEW(key->x), KV_VIEW(key->y), ret, err);
    return kv_public_from_rsa(KV_VIEW(key->n), KV_VIEW(key->e), ret, err);
}

static enum kv_status ask(struct kv_doctor *doctor, struct kv_vault_op *op, const struct kv_vault_key *key,
                          struct kv_vault_result *ret, struct kv_error *err)
{
    struct kv_task task = kv_doctor_task(doctor);
    op->name = key->name;
    op->version = key->version;
    op->kind = key->kind;
    op->bits = key->bits > 0 ? (unsigned)key->bits : 0;
    op->hsm = key->hsm;
    return kv_vault_key_op(kv_core_vault(doctor->tool->core, doctor->vault), op, &task, ret, err);
}

static enum kv_status try_sign(struct kv_doctor *doctor, const struct kv_vault_key *key,
                               const struct kv_mech *row, struct kv_error *err)
{
    unsigned char digest[64];
    KV_CLEANUP(kv_vault_result_free) struct kv_vault_result result = { 0 };
    KV_CLEANUP(kv_public_free_cleanup) struct kv_public *public = NULL;
    const struct kv_curve *curve = key->kind == KV_EC ? kv_curve_find(key->curve) : NULL;
    struct kv_view bytes = { digest, curve ? curve->digest : SECRET };
    if (kv_random_bytes(digest, sizeof(digest)) != KV_OK)
        return kv_fail(err, KV_INTERNAL, "no random bytes");
    KV_TRY(public_of(key, &public, err));
    struct kv_vault_op op = { .operation = KV_OP_SIGN, .alg = row->alg, .value = bytes };
    KV_TRY(ask(doctor, &op, key, &result, err));
    if (kv_public_verify(public, row, bytes, KV_VIEW(result.value)) != KV_OK)
        return kv_fail(err, KV_BAD_SIGNATURE,
                       "the vault's signature is not one of this key: look for a proxy, and do not use it");
    return KV_OK;
}

static const struct {
    enum kv_kind kind;
    const char *alg;
} signs[] = { { KV_RSA, "RS256" }, { KV_EC, NULL } };

void kv_doctor_sign(struct kv_doctor *doctor, const struct kv_vault_key *key)
{
    struct kv_error why = { 0 };
    const struct kv_mech *row = NULL;
    for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++)
        row = signs[i].kind == key->kind ? row_of(key, signs[i].alg) : row;
    if (!(key->operations & KV_OP_SIGN) || !row)
        kv_doctor_skip(doctor, "sign", key->name, "this key is not for that");
    else if (try_sign(doctor, key, row, &why) != KV_OK)
        kv_doctor_refused(doctor, "sign", key->name, "sign", &why);
    else
        kv_doctor_ok(doctor, "sign", key->name, "a random digest, by %s, and the signature is right",
                     row->alg);
}

/* RSA: wrapped here, by the public key. Secret keys: in the vault. */
static enum kv_status seal(struct kv_doctor *doctor, const struct kv_vault_key *key, struct kv_vault_op *op,
                           struct kv_bytes *ret, struct kv_error *err)
{
    KV_CLEANUP(kv_vault_result_free) struct kv_vault_result result = { 0 };
    KV_CLEANUP(kv_public_free_cleanup) struct kv_public *public = NULL;
    const struct kv_mech *row = row_of(key, op->alg);
    if (key->kind == KV_RSA && row) {
        KV_TRY(public_of(key, &public, err));
        return kv_public_encrypt(public, row, op->value, ret);
    }
    op->operation = KV_OP_WRAP;
    KV_TRY(ask(doctor, op, key, &result, err));
    *ret = kv_bytes_take(&result.value);
    return KV_OK;
}

static enum kv_status try_unwrap(struct kv_doctor *doctor, const struct kv_vault_key *key,
                                 struct kv_vault_op op, struct kv_error *err)
{
    unsigned char secret[SECRET];
    KV_AUTO_BYTES struct kv_bytes sealed = { 0 };
    KV_CLEANUP(kv_vault_result_free) struct kv_vault_result result = { 0 };
    unsigned operation = op.operation;
    op.value = (struct kv_view){ secret, sizeof(secret) };
    if (kv_random_bytes(secret, sizeof(secret)) != KV_OK)
        return kv_fail(err, KV_INTERNAL, "no random bytes");
    KV_TRY(seal(doctor, key, &op, &sealed, err));
    op.operation = operation;
    op.value = KV_VIEW(sealed);
    KV_TRY(ask(doctor, &op, key, &result, err));
    if (!kv_view_equal_ct((struct kv_view){ secret, sizeof(secret) }, KV_VIEW(result.value)))
        return kv_fail(
            err, KV_BAD_WRAPPED_KEY,
            "the vault gave back other bytes than were wrapped: look for a proxy, and do not use it");
    return KV_OK;
}

static const char *wrap_alg(const struct kv_vault_key *key)
{
    if (key->kind == KV_RSA)
        return "RSA-OAEP-256";
    return key->bits == 128 ? "A128KW" : key->bits == 192 ? "A192KW" : "A256KW";
}

void kv_doctor_unwrap(struct kv_doctor *doctor, const struct kv_vault_key *key)
{
    struct kv_error why = { 0 };
    bool unwraps = key->operations & KV_OP_UNWRAP,
         decrypts = key->operations & KV_OP_DECRYPT && key->kind == KV_RSA;
    const char *check = unwraps || !decrypts ? "unwrap" : "decrypt";
    struct kv_vault_op op = { .operation = unwraps ? KV_OP_UNWRAP : KV_OP_DECRYPT, .alg = wrap_alg(key) };
    if (key->kind == KV_EC || (!unwraps && !decrypts))
        kv_doctor_skip(doctor, check, key->name, "this key is not for that");
    else if (try_unwrap(doctor, key, op, &why) != KV_OK)
        kv_doctor_refused(doctor, check, key->name, unwraps ? "unwrapKey" : "decrypt", &why);
    else
        kv_doctor_ok(doctor, check, key->name, "random bytes wrapped %s by %s come back",
                     key->kind == KV_RSA ? "here" : "there", op.alg);
}
