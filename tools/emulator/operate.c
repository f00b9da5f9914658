/* The operations that carry bytes (contract §6 rows 17–20, §8.2) and random numbers (row 23). */
#include <string.h>
#include "handlers.h"
#include "route.h"

static const struct {
    const char *key_op, *shown; /* in key_ops; in refusals */
    bool window;                /* refused outside nbf and exp */
    bool public;                /* needs no private key */
} rules[] = {
    [EM_ENCRYPT] = { "encrypt", "encrypt", true, true },
    [EM_DECRYPT] = { "decrypt", "decrypt", false, false },
    [EM_WRAP] = { "wrapKey", "wrapKey", true, true },
    [EM_UNWRAP] = { "unwrapKey", "unwrapKey", false, false },
    [EM_SIGN] = { "sign", "sign", true, false },
    [EM_VERIFY] = { "verify", "verify", false, true },
};

struct input {
    struct em_op_in in;
    struct em_blob value, digest, iv, aad, tag;
};

static void input_free(struct input *input)
{
    em_blob_free(&input->value);
    em_blob_free(&input->digest);
    em_blob_free(&input->iv);
    em_blob_free(&input->aad);
    em_blob_free(&input->tag);
}

static bool read_blob(struct em_call *call, const char *name, struct em_blob *ret)
{
    const char *text;
    if (!em_call_text(call, call->body, name, &text))
        return false;
    if (!text)
        return true;
    return em_unbase64url(text, ret) ? true : em_call_fail(call, EM_NOT_BASE64URL, name, name);
}

static bool need_blob(struct em_call *call, const char *name, struct em_blob *ret)
{
    if (!read_blob(call, name, ret))
        return false;
    return ret->data ? true : em_call_fail(call, EM_PROPERTY_MISSING, name);
}

/* As the contract names them (§6): sign has its digest in "value", verify in "digest" beside the signature. */
static bool read_input(struct em_call *call, struct input *input)
{
    struct em_op_in *in = &input->in;
    in->op = call->route->op;
    bool ok = em_call_required(call, call->body, "alg", &in->alg) &&
              need_blob(call, "value", &input->value) &&
              (in->op != EM_VERIFY || need_blob(call, "digest", &input->digest)) &&
              read_blob(call, "iv", &input->iv) && read_blob(call, "aad", &input->aad) &&
              read_blob(call, "tag", &input->tag);
    in->value = input->value;
    in->digest = input->digest;
    in->iv = input->iv;
    in->aad = input->aad;
    in->tag = input->tag;
    return ok;
}

static bool has_op(const json_t *ops, const char *name)
{
    size_t i;
    json_t *item;
    json_array_foreach(ops, i, item)
    {
        if (strcmp(json_string_value(item), name) == 0)
            return true;
    }
    return false;
}

static bool check_state(struct em_call *call, const struct em_version *version)
{
    enum em_op op = call->route->op;
    bool lenient = rules[op].public && call->world->settings.value[EM_PUBLIC_OPS];
    if (!has_op(version->key_ops, rules[op].key_op))
        return em_call_fail(call, EM_OPERATION_FORBIDDEN, rules[op].shown);
    if (!version->enabled && !lenient)
        return em_call_fail(call, EM_KEY_DISABLED, rules[op].shown);
    if (rules[op].window && version->nbf != EM_NEVER && call->now < version->nbf)
        return em_call_fail(call, EM_KEY_NOT_YET_VALID, rules[op].shown);
    if (rules[op].window && version->exp != EM_NEVER && call->now >= version->exp)
        return em_call_fail(call, EM_KEY_EXPIRED, rules[op].shown);
    return true;
}

/* A reference to the material of the version meant, so that the work itself runs without the lock. */
static bool choose(struct em_call *call, struct em_shared **ret, char ret_kid[512])
{
    READ_STORE(&call->world->store);
    const struct em_key *key = em_store_live(call->vault, call->name, call->now_ms);
    const struct em_version *version = key ? em_key_version(key, call->version) : NULL;
    if (!version)
        return em_call_not_found(call);
    if (!check_state(call, version))
        return false;
    *ret = em_shared_ref(version->shared);
    snprintf(ret_kid, 512, "%s/keys/%s/%s", call->base, key->name, version->id);
    return true;
}

static void set_blob(json_t *object, const char *name, struct em_blob blob)
{
    AUTO_TEXT text = em_base64url(blob.data, blob.len);
    json_object_set_new(object, name, em_json(json_string(text)));
}

static json_t *result(const struct em_call *call, const struct em_op_in *in, const struct em_op_out *out)
{
    json_t *reply = em_json(json_object());
    bool encrypts = in->op == EM_ENCRYPT || in->op == EM_WRAP;
    if (in->op != EM_VERIFY || call->vault->hsm)
        json_object_set_new(reply, "kid", em_json(json_string(in->kid)));
    if (call->vault->hsm)
        json_object_set_new(reply, "alg", em_json(json_string(in->alg)));
    if (in->op == EM_VERIFY)
        json_object_set_new(reply, "value", json_boolean(out->verified));
    else
        set_blob(reply, "value", out->value);
    if (out->iv.data)
        set_blob(reply, "iv", out->iv);
    if (out->tag.data)
        set_blob(reply, "tag", out->tag);
    if (encrypts && in->aad.data)
        set_blob(reply, "aad", in->aad);
    return reply;
}

static bool work(struct em_call *call, const struct em_material *material, const struct em_op_in *in)
{
    struct em_op_out out = { 0 };
    struct em_refusal refusal = { 0 };
    if (!em_material_operate(material, in, &out, &refusal))
        return em_call_refuse(call, &refusal);
    em_call_json(call, result(call, in, &out));
    em_blob_free(&out.value);
    em_blob_free(&out.iv);
    em_blob_free(&out.tag);
    return true;
}

bool em_operate(struct em_call *call)
{
    __attribute__((cleanup(input_free))) struct input input = { 0 };
    struct em_shared *shared = NULL;
    char kid[512];
    if (!read_input(call, &input) || !choose(call, &shared, kid))
        return false;
    input.in.kid = kid;
    bool ok = work(call, shared->material, &input.in);
    em_shared_free(shared);
    return ok;
}

bool em_operate_random(struct em_call *call)
{
    const json_t *count = json_object_get(call->body, "count");
    unsigned char bytes[128];
    if (!json_is_integer(count) || json_integer_value(count) < 1 ||
        json_integer_value(count) > (json_int_t)sizeof(bytes))
        return em_call_fail(call, EM_PROPERTY_BAD, "count");
    struct em_blob blob = { bytes, (size_t)json_integer_value(count) };
    if (!em_random(blob.data, blob.len))
        return em_call_fail(call, EM_INTERNAL);
    json_t *reply = em_json(json_object());
    set_blob(reply, "value", blob);
    em_call_json(call, reply);
    return true;
}
