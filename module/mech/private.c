#include "private_private.h"

#include "base/encode.h"
#include "base/locked.h"
#include "mech_private.h"

enum {
    TAG_INTEGER = 2,
    TAG_BIT_STRING = 3,
    TAG_OCTET_STRING = 4,
    TAG_NULL = 5,
    TAG_OID = 6,
    TAG_SEQUENCE = 0x30,
    TAG_ATTRIBUTES = 0xa0,
    TAG_PARAMETERS = 0xa0,
    TAG_PUBLIC = 0xa1
};

static const unsigned char oid_rsa[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01 };
static const unsigned char oid_ec[] = { 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01 };
static const unsigned char zero[] = { 0 }, one[] = { 1 };
#define VIEW(array) ((struct kv_view){ array, sizeof array })

KV_DEFINE_CLEANUP(struct kv_public, kv_public_free)
KV_DEFINE_CLEANUP(struct kv_private, kv_private_free)

/* --- writing (RFC 5208 §5, RFC 8017 §A.1.2, RFC 5915 §3) --- */

static enum kv_status write_rsa(const struct kv_view parts[KV_PRIVATE_PARTS], struct kv_buffer *ret)
{
    KV_AUTO_BUFFER struct kv_buffer numbers = { .locked = true };
    KV_TRY(kv_der_add(TAG_INTEGER, VIEW(zero), &numbers));
    for (int i = 0; i < KV_RSA_PARTS; i++)
        KV_TRY(kv_der_add_unsigned(parts[i], &numbers));
    return kv_der_add(TAG_SEQUENCE, KV_VIEW(numbers.bytes), ret);
}

static enum kv_status write_ec(const struct kv_public *public, struct kv_view scalar, struct kv_buffer *ret)
{
    KV_AUTO_BUFFER struct kv_buffer fields = { .locked = true }, bits = { 0 }, tagged = { 0 };
    KV_TRY(kv_buffer_add(&bits, VIEW(zero)));
    KV_TRY(kv_buffer_add(&bits, kv_public_point(public)));
    KV_TRY(kv_der_add(TAG_BIT_STRING, KV_VIEW(bits.bytes), &tagged));
    KV_TRY(kv_der_add(TAG_INTEGER, VIEW(one), &fields));
    KV_TRY(kv_der_add(TAG_OCTET_STRING, scalar, &fields));
    KV_TRY(kv_der_add(TAG_PUBLIC, KV_VIEW(tagged.bytes), &fields));
    return kv_der_add(TAG_SEQUENCE, KV_VIEW(fields.bytes), ret);
}

static enum kv_status write_algorithm(const struct kv_public *public, struct kv_buffer *ret)
{
    const struct kv_curve *curve = kv_public_curve(public);
    KV_AUTO_BUFFER struct kv_buffer fields = { 0 };
    KV_TRY(kv_der_add(TAG_OID, curve ? VIEW(oid_ec) : VIEW(oid_rsa), &fields));
    KV_TRY(curve ? kv_buffer_add(&fields, (struct kv_view){ curve->params, curve->params_len })
                 : kv_der_add(TAG_NULL, (struct kv_view){ NULL, 0 }, &fields));
    return kv_der_add(TAG_SEQUENCE, KV_VIEW(fields.bytes), ret);
}

static enum kv_status write_pkcs8(const struct kv_public *public,
                                  const struct kv_view parts[KV_PRIVATE_PARTS], struct kv_bytes *ret)
{
    KV_AUTO_BUFFER struct kv_buffer all = { .locked = true }, key = { .locked = true },
                                    info = { .locked = true };
    KV_TRY(kv_public_kind(public) == KV_RSA ? write_rsa(parts, &key)
                                            : write_ec(public, parts[KV_PART_SCALAR], &key));
    KV_TRY(kv_der_add(TAG_INTEGER, VIEW(zero), &info));
    KV_TRY(write_algorithm(public, &info));
    KV_TRY(kv_der_add(TAG_OCTET_STRING, KV_VIEW(key.bytes), &info));
    KV_TRY(kv_der_add(TAG_SEQUENCE, KV_VIEW(info.bytes), &all));
    return kv_bytes_copy_locked(KV_VIEW(all.bytes), ret);
}

/* --- reading --- */

static enum kv_status read_number(struct kv_view *rest, struct kv_view *ret)
{
    KV_TRY(kv_der_read(rest, TAG_INTEGER, ret));
    if (!ret->len || ret->data[0] & 0x80)
        return KV_BAD_DATA;
    *ret = kv_view_minimal(*ret);
    return KV_OK;
}

/* A version that is this number, and nothing else. */
static enum kv_status read_version(struct kv_view *rest, unsigned char version)
{
    struct kv_view number;
    KV_TRY(kv_der_read(rest, TAG_INTEGER, &number));
    return number.len == 1 && number.data[0] == version ? KV_OK : KV_BAD_DATA;
}

static enum kv_status read_rsa(struct kv_view key, struct kv_view parts[KV_PRIVATE_PARTS])
{
    struct kv_view numbers;
    KV_TRY(kv_der_read(&key, TAG_SEQUENCE, &numbers));
    KV_TRY(read_version(&numbers, 0));
    for (int i = 0; i < KV_RSA_PARTS; i++)
        KV_TRY(read_number(&numbers, &parts[i]));
    return key.len || numbers.len ? KV_BAD_DATA : KV_OK;
}

/* The curve may stand here again and must then be the same; *ret_point stays empty without a public key. */
static enum kv_status read_ec(struct kv_view key, struct kv_view params, struct kv_view *ret_scalar,
                              struct kv_view *ret_point)
{
    struct kv_view fields, again, tagged, bits;
    KV_TRY(kv_der_read(&key, TAG_SEQUENCE, &fields));
    KV_TRY(read_version(&fields, 1));
    KV_TRY(kv_der_read(&fields, TAG_OCTET_STRING, ret_scalar));
    if (fields.len && fields.data[0] == TAG_PARAMETERS) {
        KV_TRY(kv_der_read(&fields, TAG_PARAMETERS, &again));
        if (!kv_view_equal(again, params))
            return KV_BAD_DATA;
    }
    if (fields.len) {
        KV_TRY(kv_der_read(&fields, TAG_PUBLIC, &tagged));
        KV_TRY(kv_der_read(&tagged, TAG_BIT_STRING, &bits));
        if (tagged.len || bits.len < 2 || bits.data[0])
            return KV_BAD_DATA;
        *ret_point = (struct kv_view){ bits.data + 1, bits.len - 1 };
    }
    return key.len || fields.len ? KV_BAD_DATA : KV_OK;
}

struct info {
    struct kv_view oid, params, key;
};

static enum kv_status read_info(struct kv_view der, struct info *ret)
{
    struct kv_view fields, algorithm, attributes;
    KV_TRY(kv_der_read(&der, TAG_SEQUENCE, &fields));
    KV_TRY(read_version(&fields, 0));
    KV_TRY(kv_der_read(&fields, TAG_SEQUENCE, &algorithm));
    KV_TRY(kv_der_read(&algorithm, TAG_OID, &ret->oid));
    ret->params = algorithm;
    KV_TRY(kv_der_read(&fields, TAG_OCTET_STRING, &ret->key));
    if (fields.len)
        KV_TRY(kv_der_read(&fields, TAG_ATTRIBUTES, &attributes));
    return der.len || fields.len ? KV_BAD_DATA : KV_OK;
}

static enum kv_status from_info_ec(const struct info *info, struct kv_private **ret, struct kv_error *err)
{
    const struct kv_curve *curve = kv_curve_by_params(info->params);
    struct kv_view scalar = { 0 }, point = { 0 };
    if (!curve)
        return kv_fail(err, KV_CURVE, "the EC key's curve is not one of P-256, P-384, P-521, P-256K");
    if (read_ec(info->key, info->params, &scalar, &point))
        return kv_fail(err, KV_BAD_DATA, "not an EC private key");
    KV_CLEANUP(kv_private_free_cleanup) struct kv_private *key = NULL;
    KV_TRY(kv_private_from_ec(curve, scalar, &key, err));
    if (point.len && !kv_view_equal(point, kv_public_point(key->public)))
        return kv_fail(err, KV_BAD_DATA, "the EC key's public half is not that of its private half");
    *ret = kv_take(key);
    return KV_OK;
}

enum kv_status kv_private_from_pkcs8(struct kv_view der, struct kv_private **ret, struct kv_error *err)
{
    struct info info = { 0 };
    struct kv_view parts[KV_PRIVATE_PARTS] = { 0 }, null;
    if (read_info(der, &info))
        return kv_fail(err, KV_BAD_DATA, "not a PKCS#8 PrivateKeyInfo");
    if (kv_view_equal(info.oid, VIEW(oid_ec)))
        return from_info_ec(&info, ret, err);
    if (!kv_view_equal(info.oid, VIEW(oid_rsa)))
        return kv_fail(err, KV_BAD_DATA, "the private key is neither RSA nor EC");
    if ((info.params.len && kv_der_read(&info.params, TAG_NULL, &null)) || info.params.len ||
        read_rsa(info.key, parts))
        return kv_fail(err, KV_BAD_DATA, "not an RSA private key");
    return kv_private_from_rsa(parts, ret, err);
}

/* What was written is read back: the views of the parts come from here alone. */
static enum kv_status find_parts(struct kv_private *key)
{
    struct info info = { 0 };
    struct kv_view point = { 0 };
    KV_TRY(read_info(KV_VIEW(key->pkcs8), &info));
    if (key->kind == KV_RSA)
        return read_rsa(info.key, key->parts);
    return read_ec(info.key, info.params, &key->parts[KV_PART_SCALAR], &point);
}

enum kv_status kv_private_join(struct kv_public *public, const struct kv_view parts[KV_PRIVATE_PARTS],
                               struct kv_private **ret, struct kv_error *err)
{
    KV_CLEANUP(kv_public_free_cleanup) struct kv_public *half = public;
    KV_CLEANUP(kv_private_free_cleanup) struct kv_private *key = calloc(1, sizeof *key);
    if (!key)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    *key = (struct kv_private){ .references = 1, .kind = kv_public_kind(half) };
    if (write_pkcs8(half, parts, &key->pkcs8))
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    if (find_parts(key))
        return kv_fail(err, KV_INTERNAL, "a private key cannot be read back");
    key->public = kv_take(half);
    *ret = kv_take(key);
    return KV_OK;
}

/* --- holding --- */

struct kv_private *kv_private_ref(struct kv_private *key)
{
    if (key)
        __atomic_add_fetch(&key->references, 1, __ATOMIC_RELAXED);
    return key;
}

void kv_private_free(struct kv_private *key)
{
    if (!key || __atomic_sub_fetch(&key->references, 1, __ATOMIC_ACQ_REL))
        return;
    kv_public_free(key->public);
    kv_bytes_free(&key->pkcs8);
    free(key);
}

struct kv_public *kv_private_public(const struct kv_private *key)
{
    return key->public;
}

struct kv_view kv_private_pkcs8(const struct kv_private *key)
{
    return KV_VIEW(key->pkcs8);
}

struct kv_view kv_private_part(const struct kv_private *key, enum kv_private_part part)
{
    return key->parts[part];
}
