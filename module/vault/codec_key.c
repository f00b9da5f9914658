#include "vault_private.h"

#include "base/encode.h"

#include <string.h>

enum { RSA_BYTES_MAX = 1024, RSA_BYTES_MIN = 128, EXPONENT_BYTES_MAX = 8, EC_BYTES_MAX = 66, OPS_MAX = 32 };
#define TIME_MAX INT64_C(253402300799) /* the end of the year 9999 */

#define bad(err, what) kv_fail(err, KV_PROTOCOL, "the reply's `%s` cannot be used", what)

/* ---- members ---- */

enum kv_status kv_codec_read_time(const struct kv_json *attributes, const char *name, int64_t *ret,
                                  struct kv_error *err)
{
    const struct kv_json *json = kv_json_get(attributes, name);
    int64_t value;
    if (!json)
        return KV_OK;
    if (!kv_json_int(json, &value) || value < 0 || value > TIME_MAX)
        return bad(err, name);
    *ret = value;
    return KV_OK;
}

static enum kv_status read_bool(const struct kv_json *object, const char *name, bool *ret,
                                struct kv_error *err)
{
    const struct kv_json *json = kv_json_get(object, name);
    if (json && !kv_json_bool(json, ret))
        return bad(err, name);
    return KV_OK;
}

static enum kv_status read_bytes(const struct kv_json *object, const char *name, size_t max,
                                 struct kv_bytes *ret, struct kv_error *err)
{
    const char *text = kv_json_text(kv_json_get(object, name));
    KV_AUTO_BYTES struct kv_bytes bytes = { 0 };
    if (!text || !*text || strlen(text) > (max * 4 + 2) / 3)
        return bad(err, name);
    enum kv_status status = kv_decode_base64url(text, &bytes);
    if (status == KV_NO_MEMORY)
        return kv_fail(err, status, "no memory for the reply's `%s`", name);
    if (status != KV_OK)
        return bad(err, name);
    *ret = kv_bytes_take(&bytes);
    return KV_OK;
}

/* Leading zeros are dropped: some writers put one before a high bit. */
static enum kv_status read_integer(const struct kv_json *object, const char *name, size_t max,
                                   struct kv_bytes *ret, struct kv_error *err)
{
    KV_AUTO_BYTES struct kv_bytes bytes = { 0 };
    KV_TRY(read_bytes(object, name, max + 1, &bytes, err));
    size_t zeros = 0;
    while (zeros < bytes.len && !bytes.data[zeros])
        zeros++;
    if (zeros == bytes.len || bytes.len - zeros > max)
        return bad(err, name);
    bytes.len -= zeros;
    memmove(bytes.data, bytes.data + zeros, bytes.len);
    *ret = kv_bytes_take(&bytes);
    return KV_OK;
}

/* ---- kinds ---- */

static int bits_of(const struct kv_bytes *number)
{
    int bits = (int)number->len * 8;
    for (unsigned char top = number->data[0]; !(top & 0x80); top = (unsigned char)(top << 1))
        bits--;
    return bits;
}

static enum kv_status read_rsa(const struct kv_json *jwk, struct kv_vault_key *key, struct kv_error *err)
{
    KV_TRY(read_integer(jwk, "n", RSA_BYTES_MAX, &key->n, err));
    KV_TRY(read_integer(jwk, "e", EXPONENT_BYTES_MAX, &key->e, err));
    bool odd_n = key->n.data[key->n.len - 1] & 1, odd_e = key->e.data[key->e.len - 1] & 1;
    if (!odd_n || key->n.len < RSA_BYTES_MIN)
        return bad(err, "n");
    if (!odd_e || (key->e.len == 1 && key->e.data[0] < 3))
        return bad(err, "e");
    key->bits = bits_of(&key->n);
    key->has_public = true;
    return KV_OK;
}

static const struct {
    const char *sent, *name;
    size_t width;
    int bits;
} curves[] = {
    { "P-256", "P-256", 32, 256 },   { "P-384", "P-384", 48, 384 },      { "P-521", "P-521", 66, 521 },
    { "P-256K", "P-256K", 32, 256 }, { "SECP256K1", "P-256K", 32, 256 }, /* of keys made before the standard name */
};

static enum kv_status read_ec(const struct kv_json *jwk, struct kv_vault_key *key, struct kv_error *err)
{
    const char *crv = kv_json_text(kv_json_get(jwk, "crv"));
    for (size_t i = 0; crv && i < sizeof curves / sizeof curves[0]; i++) {
        if (strcmp(crv, curves[i].sent) != 0)
            continue;
        KV_TRY(read_bytes(jwk, "x", EC_BYTES_MAX, &key->x, err));
        KV_TRY(read_bytes(jwk, "y", EC_BYTES_MAX, &key->y, err));
        if (key->x.len != curves[i].width)
            return bad(err, "x");
        if (key->y.len != curves[i].width)
            return bad(err, "y");
        kv_text_fit(key->curve, sizeof key->curve, curves[i].name);
        key->bits = curves[i].bits;
        key->has_public = true;
        return KV_OK;
    }
    return bad(err, "crv");
}

static enum kv_status read_oct(const struct kv_json *jwk, struct kv_vault_key *key, struct kv_error *err)
{
    return KV_OK;
}

static const struct {
    const char *kty;
    enum kv_kind kind;
    bool hsm;
    enum kv_status (*read)(const struct kv_json *jwk, struct kv_vault_key *key, struct kv_error *err);
} kinds[] = {
    { "RSA", KV_RSA, false, read_rsa }, { "RSA-HSM", KV_RSA, true, read_rsa },
    { "EC", KV_EC, false, read_ec },    { "EC-HSM", KV_EC, true, read_ec },
    { "oct", KV_OCT, false, read_oct }, { "oct-HSM", KV_OCT, true, read_oct },
};

static enum kv_status read_kind(const struct kv_json *jwk, struct kv_vault_key *key, struct kv_error *err)
{
    const char *kty = kv_json_text(kv_json_get(jwk, "kty"));
    for (size_t i = 0; kty && i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kty, kinds[i].kty) != 0)
            continue;
        key->kind = kinds[i].kind;
        key->hsm = kinds[i].hsm;
        return kinds[i].read(jwk, key, err);
    }
    return bad(err, "kty");
}

/* ---- key_ops ---- */

static const struct {
    const char *name;
    unsigned bit;
} ops[] = {
    { "encrypt", KV_OP_ENCRYPT }, { "decrypt", KV_OP_DECRYPT }, { "sign", KV_OP_SIGN },
    { "verify", KV_OP_VERIFY },   { "wrapKey", KV_OP_WRAP },    { "unwrapKey", KV_OP_UNWRAP },
};

/* A set in any order; words that are not ours ("deriveKey") say nothing to us. */
static enum kv_status read_ops(const struct kv_json *jwk, unsigned *ret, struct kv_error *err)
{
    const struct kv_json *list = kv_json_get(jwk, "key_ops");
    if (list && (!kv_json_is_array(list) || kv_json_count(list) > OPS_MAX))
        return bad(err, "key_ops");
    for (size_t i = 0; i < kv_json_count(list); i++) {
        const char *word = kv_json_text(kv_json_at(list, i));
        if (!word)
            return bad(err, "key_ops");
        for (size_t k = 0; k < sizeof ops / sizeof ops[0]; k++) {
            if (kv_text_equal_case(word, ops[k].name))
                *ret |= ops[k].bit;
        }
    }
    return KV_OK;
}

const char *kv_codec_op_name(size_t i, unsigned *ret_operation)
{
    if (i >= sizeof ops / sizeof ops[0])
        return NULL;
    *ret_operation = ops[i].bit;
    return ops[i].name;
}

static void put_ops(struct kv_json *object, unsigned operations)
{
    struct kv_json *list = kv_json_array();
    for (size_t k = 0; k < sizeof ops / sizeof ops[0]; k++) {
        if (operations & ops[k].bit)
            kv_json_append_text(list, ops[k].name);
    }
    kv_json_put(object, "key_ops", list);
}

/* ---- documents ---- */

static enum kv_status read_kid(const struct kv_json *object, struct kv_vault_key *key, struct kv_error *err)
{
    const char *text = kv_json_text(kv_json_get(object, "kid"));
    struct kv_kid kid;
    if (!text || !kv_text_fit(key->kid, sizeof key->kid, text))
        return bad(err, "kid");
    KV_TRY(kv_kid_parse(text, &kid, err));
    memcpy(key->name, kid.name, sizeof key->name);
    memcpy(key->version, kid.version, sizeof key->version);
    return KV_OK;
}

#define WORD "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-_."
/* A word of the service's, which is shown, stored and written into copies of the map; what is none is as if it were not told. */
static enum kv_status read_word(const struct kv_json *object, const char *name, char *ret, size_t size,
                                struct kv_error *err)
{
    const struct kv_json *member = kv_json_get(object, name);
    const char *text = kv_json_text(member);
    if (member && !text)
        return bad(err, name);
    if (text && !text[strspn(text, WORD)])
        kv_text_fit(ret, size, text);
    return KV_OK;
}

static enum kv_status read_attributes(const struct kv_json *document, struct kv_vault_key *key,
                                      struct kv_error *err)
{
    const struct kv_json *attributes = kv_json_get(document, "attributes");
    int64_t size = 0;
    if (attributes && !kv_json_is_object(attributes))
        return bad(err, "attributes");
    key->enabled = true;
    KV_TRY(read_bool(attributes, "enabled", &key->enabled, err));
    KV_TRY(kv_codec_read_time(attributes, "nbf", &key->nbf, err));
    KV_TRY(kv_codec_read_time(attributes, "exp", &key->exp, err));
    KV_TRY(kv_codec_read_time(attributes, "created", &key->created, err));
    KV_TRY(kv_codec_read_time(attributes, "updated", &key->updated, err));
    KV_TRY(read_bool(document, "managed", &key->managed, err));
    KV_TRY(read_bool(attributes, "exportable", &key->exportable, err));
    KV_TRY(read_word(attributes, "recoveryLevel", key->recovery_level, sizeof key->recovery_level, err));
    KV_TRY(read_word(attributes, "hsmPlatform", key->hsm_platform, sizeof key->hsm_platform, err));
    const struct kv_json *told = kv_json_get(attributes, "key_size");
    if (told && (!kv_json_int(told, &size) || size < 0 || size > RSA_BYTES_MAX * 8))
        return bad(err, "key_size");
    if (key->kind == KV_OCT)
        key->bits = (int)size;
    return KV_OK;
}

static enum kv_status fill_key(const struct kv_json *bundle, struct kv_vault_key *key, struct kv_error *err)
{
    const struct kv_json *jwk = kv_json_get(bundle, "key");
    if (!kv_json_is_object(jwk))
        return bad(err, "key");
    KV_TRY(read_kid(jwk, key, err));
    if (!key->version[0])
        return bad(err, "kid");
    KV_TRY(read_kind(jwk, key, err));
    KV_TRY(read_ops(jwk, &key->operations, err));
    return read_attributes(bundle, key, err);
}

enum kv_status kv_codec_read_key(const struct kv_json *bundle, struct kv_vault_key *ret, struct kv_error *err)
{
    struct kv_vault_key key = { 0 };
    enum kv_status status = fill_key(bundle, &key, err);
    if (status != KV_OK)
        kv_vault_key_free(&key);
    else
        *ret = key;
    return status;
}

static enum kv_status read_item(const struct kv_json *item, const char *name, struct kv_vault_key *ret)
{
    struct kv_vault_key key = { 0 };
    if (!kv_json_is_object(item))
        return KV_PROTOCOL;
    KV_TRY(read_kid(item, &key, NULL));
    if (name && (!kv_text_equal_case(key.name, name) || !key.version[0]))
        return KV_PROTOCOL;
    KV_TRY(read_attributes(item, &key, NULL));
    *ret = key;
    return KV_OK;
}

enum kv_status kv_codec_read_list(const struct kv_json *document, const struct kv_json **ret_items,
                                  char **ret_next, struct kv_error *err)
{
    const struct kv_json *items = kv_json_get(document, "value"), *link = kv_json_get(document, "nextLink");
    const char *next = kv_json_text(link);
    if (!kv_json_is_array(items))
        return bad(err, "value");
    if (link && !next)
        return bad(err, "nextLink");
    if (next && *next && !(*ret_next = kv_text_copy(next)))
        return kv_fail(err, KV_NO_MEMORY, "no memory for a list of keys");
    *ret_items = items;
    return KV_OK;
}

enum kv_status kv_codec_read_page(const struct kv_json *document, const char *name, struct kv_vault_page *ret,
                                  struct kv_error *err)
{
    KV_CLEANUP(kv_vault_page_free) struct kv_vault_page page = { 0 };
    const struct kv_json *list = NULL;
    KV_TRY(kv_codec_read_list(document, &list, &page.next, err));
    size_t count = kv_json_count(list);
    page.items = calloc(count ? count : 1, sizeof *page.items);
    if (!page.items)
        return kv_fail(err, KV_NO_MEMORY, "no memory for a list of keys");
    for (size_t i = 0; i < count; i++) {
        if (read_item(kv_json_at(list, i), name, &page.items[page.count]) == KV_OK)
            page.count++;
        else
            page.broken++;
    }
    *ret = page;
    page = (struct kv_vault_page){ 0 };
    return KV_OK;
}

char *kv_codec_write_create(const struct kv_vault_create *create)
{
    KV_AUTO_JSON struct kv_json *body = kv_json_object();
    kv_json_put_text(body, "kty", create->kty);
    if (create->bits)
        kv_json_put_int(body, "key_size", create->bits);
    if (create->curve)
        kv_json_put_text(body, "crv", create->curve);
    if (create->operations)
        put_ops(body, create->operations);
    if (create->nbf || create->exp) {
        struct kv_json *attributes = kv_json_object();
        if (create->nbf)
            kv_json_put_int(attributes, "nbf", create->nbf);
        if (create->exp)
            kv_json_put_int(attributes, "exp", create->exp);
        kv_json_put(body, "attributes", attributes);
    }
    return kv_json_print(body, false);
}

char *kv_codec_write_update(const struct kv_vault_update *update)
{
    KV_AUTO_JSON struct kv_json *body = kv_json_object();
    struct kv_json *attributes = kv_json_object();
    if (update->enabled)
        kv_json_put_bool(attributes, "enabled", *update->enabled);
    if (update->nbf)
        kv_json_put_int(attributes, "nbf", *update->nbf);
    if (update->exp)
        kv_json_put_int(attributes, "exp", *update->exp);
    if (update->operations)
        put_ops(body, *update->operations);
    kv_json_put(body, "attributes", attributes);
    return kv_json_print(body, false);
}
