/* A key bundle, from its bytes to the public key. */
#include "fuzz.h"
#include "mech/local.h"
#include "vault_private.h"

static void check_public(const struct kv_vault_key *key)
{
    struct kv_public *public = NULL;
    enum kv_status status =
        key->kind == KV_RSA ? kv_public_from_rsa(KV_VIEW(key->n), KV_VIEW(key->e), &public, NULL)
                            : kv_public_from_ec(key->curve, KV_VIEW(key->x), KV_VIEW(key->y), &public, NULL);
    if (status != KV_OK)
        return;
    MUST(kv_public_kind(public) == key->kind);
    MUST(kv_public_spki(public).len > 0);
    MUST(kv_public_bits(public) == (unsigned)key->bits);
    kv_public_free(public);
}

static void check_key(const struct kv_vault_key *key)
{
    MUST(kv_kid_name_valid(key->name));
    MUST(kv_kid_version_valid(key->version));
    MUST(key->nbf >= 0 && key->exp >= 0 && key->created >= 0 && key->updated >= 0);
    MUST(key->bits >= 0 && key->bits <= 8192);
    MUST(!(key->operations & ~(unsigned)KV_OP_ALL));
    MUST(key->has_public == (key->kind != KV_OCT));
    if (key->has_public)
        check_public(key);
}

/* What was read once and written is read again. */
static void check_round_trip(const struct kv_json *json)
{
    struct kv_json *again = NULL;
    char *text = kv_json_print(json, false);
    MUST(text);
    if (kv_json_parse(kv_view_text(text), &again, NULL) == KV_OK)
        kv_json_free(again);
    kv_text_free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kv_json *json = NULL;
    struct kv_vault_key key = { 0 };
    struct kv_error err = { 0 };
    if (kv_json_parse((struct kv_view){ data, size }, &json, &err) != KV_OK) {
        MUST(err.status == KV_PROTOCOL && fuzz_is_line(err.text));
        return 0;
    }
    check_round_trip(json);
    if (kv_codec_read_key(json, &key, &err) == KV_OK)
        check_key(&key);
    else
        MUST(err.text[0] && fuzz_is_line(err.text));
    kv_vault_key_free(&key);
    kv_json_free(json);
    return 0;
}
