#include "vault_private.h"

#include "base/encode.h"

#include <string.h>

static enum kv_status add_member(struct kv_buffer *buffer, const char *name, const char *text)
{
    KV_TRY(kv_buffer_add(buffer, kv_view_text(name)));
    KV_TRY(kv_buffer_add(buffer, kv_view_text(text)));
    return kv_buffer_add(buffer, kv_view_text("\""));
}

static enum kv_status add_bytes(struct kv_buffer *buffer, const char *name, struct kv_view bytes)
{
    if (!bytes.data)
        return KV_OK;
    KV_AUTO_TEXT char *text = kv_encode_base64url(bytes);
    return text ? add_member(buffer, name, text) : KV_NO_MEMORY;
}

/* Written straight into one buffer: a tree of nodes would leave copies of a secret `value` behind. Nothing here needs escapes. */
enum kv_status kv_codec_write_op(const struct kv_vault_op *op, struct kv_buffer *ret)
{
    size_t len = strspn(op->alg, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");
    if (!len || op->alg[len] || !op->value.data || (op->operation == KV_OP_VERIFY) != !!op->digest.data)
        return KV_ARGUMENTS;
    KV_TRY(add_member(ret, "{\"alg\":\"", op->alg));
    KV_TRY(add_bytes(ret, ",\"value\":\"", op->value));
    KV_TRY(add_bytes(ret, ",\"digest\":\"", op->digest));
    KV_TRY(add_bytes(ret, ",\"iv\":\"", op->iv));
    KV_TRY(add_bytes(ret, ",\"aad\":\"", op->aad));
    KV_TRY(add_bytes(ret, ",\"tag\":\"", op->tag));
    return kv_buffer_add(ret, kv_view_text("}"));
}

/* ---- import ---- */

static enum kv_status add_ops(struct kv_buffer *buffer, unsigned operations)
{
    const char *name, *before = ",\"key_ops\":[\"";
    unsigned operation;
    for (size_t i = 0; (name = kv_codec_op_name(i, &operation)); i++) {
        if (!(operations & operation))
            continue;
        KV_TRY(kv_buffer_format(buffer, "%s%s\"", before, name));
        before = ",\"";
    }
    return operations ? kv_buffer_add(buffer, kv_view_text("]")) : KV_OK;
}

static enum kv_status add_attributes(struct kv_buffer *buffer, int64_t nbf, int64_t exp)
{
    const struct {
        const char *name;
        int64_t at;
    } times[] = { { "nbf", nbf }, { "exp", exp } };
    const char *before = ",\"attributes\":{";
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        if (!times[i].at)
            continue;
        KV_TRY(kv_buffer_format(buffer, "%s\"%s\":%lld", before, times[i].name, (long long)times[i].at));
        before = ",";
    }
    return nbf || exp ? kv_buffer_add(buffer, kv_view_text("}")) : KV_OK;
}

enum kv_status kv_codec_write_import(const struct kv_vault_import *import, struct kv_buffer *ret)
{
    static const char *const members[KV_JWK_MEMBERS] = {
        [KV_JWK_N] = ",\"n\":\"",   [KV_JWK_E] = ",\"e\":\"",   [KV_JWK_D] = ",\"d\":\"",
        [KV_JWK_P] = ",\"p\":\"",   [KV_JWK_Q] = ",\"q\":\"",   [KV_JWK_DP] = ",\"dp\":\"",
        [KV_JWK_DQ] = ",\"dq\":\"", [KV_JWK_QI] = ",\"qi\":\"", [KV_JWK_X] = ",\"x\":\"",
        [KV_JWK_Y] = ",\"y\":\"",   [KV_JWK_K] = ",\"k\":\"",
    };
    KV_TRY(add_member(ret, "{\"key\":{\"kty\":\"", import->kty));
    if (import->curve)
        KV_TRY(add_member(ret, ",\"crv\":\"", import->curve));
    KV_TRY(add_ops(ret, import->operations));
    for (size_t i = 0; i < KV_JWK_MEMBERS; i++)
        KV_TRY(add_bytes(ret, members[i], import->members[i]));
    KV_TRY(kv_buffer_add(ret, kv_view_text(import->hsm ? "},\"Hsm\":true" : "}")));
    KV_TRY(add_attributes(ret, import->nbf, import->exp));
    return kv_buffer_add(ret, kv_view_text("}"));
}

static enum kv_status read_member(const struct kv_json *document, const char *name, bool needed,
                                  struct kv_bytes *ret, struct kv_error *err)
{
    const struct kv_json *json = kv_json_get(document, name);
    const char *text = kv_json_text(json);
    if (!json && !needed)
        return KV_OK;
    enum kv_status status = text ? kv_decode_base64url(text, ret) : KV_BAD_DATA;
    if (status == KV_NO_MEMORY)
        return kv_fail(err, status, "no memory for the reply's `%s`", name);
    return status == KV_OK ? KV_OK : kv_fail(err, KV_PROTOCOL, "the reply's `%s` cannot be used", name);
}

enum kv_status kv_codec_read_result(const struct kv_json *document, struct kv_vault_result *ret,
                                    char ret_kid[KV_KID_SIZE], struct kv_error *err)
{
    KV_CLEANUP(kv_vault_result_free) struct kv_vault_result result = { 0 };
    const char *kid = kv_json_text(kv_json_get(document, "kid"));
    char copy[KV_KID_SIZE];
    if (!kid || !kv_text_fit(copy, sizeof copy, kid))
        return kv_fail(err, KV_PROTOCOL, "the reply's `kid` cannot be used");
    KV_TRY(read_member(document, "value", true, &result.value, err));
    KV_TRY(read_member(document, "iv", false, &result.iv, err));
    KV_TRY(read_member(document, "tag", false, &result.tag, err));
    memcpy(ret_kid, copy, sizeof copy);
    *ret = result;
    result = (struct kv_vault_result){ 0 };
    return KV_OK;
}

/* A vault answers with the verdict alone, a Managed HSM names the key, too (contract §5.4). */
enum kv_status kv_codec_read_verdict(const struct kv_json *document, struct kv_vault_result *ret,
                                     char ret_kid[KV_KID_SIZE], struct kv_error *err)
{
    const struct kv_json *kid = kv_json_get(document, "kid");
    char copy[KV_KID_SIZE] = "";
    bool verified = false;
    if (kid && (!kv_json_text(kid) || !kv_text_fit(copy, sizeof copy, kv_json_text(kid))))
        return kv_fail(err, KV_PROTOCOL, "the reply's `kid` cannot be used");
    if (!kv_json_bool(kv_json_get(document, "value"), &verified))
        return kv_fail(err, KV_PROTOCOL, "the reply's `value` cannot be used");
    memcpy(ret_kid, copy, sizeof copy);
    *ret = (struct kv_vault_result){ .verified = verified };
    return KV_OK;
}

char *kv_codec_write_random(size_t len)
{
    return kv_text_format("{\"count\":%zu}", len);
}

enum kv_status kv_codec_read_random(const struct kv_json *document, size_t len, struct kv_bytes *ret,
                                    struct kv_error *err)
{
    KV_AUTO_BYTES struct kv_bytes bytes = { 0 };
    KV_TRY(read_member(document, "value", true, &bytes, err));
    if (bytes.len != len)
        return kv_fail(err, KV_PROTOCOL, "%zu random bytes were asked for and %zu came", len, bytes.len);
    *ret = kv_bytes_take(&bytes);
    return KV_OK;
}
