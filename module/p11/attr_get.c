#include "attr_get.h"

#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/encode.h"

static bool number(struct kv_attr_value *ret, CK_ULONG value)
{
    ret->store.number = value;
    ret->view = (struct kv_view){ ret->store.bytes, sizeof ret->store.number };
    return true;
}

static bool borrowed(struct kv_attr_value *ret, struct kv_view view)
{
    ret->view = view;
    return true;
}

static bool text(struct kv_attr_value *ret, const char *value)
{
    return borrowed(ret, kv_view_text(value));
}

/* NULL, too, when the key cannot be read now: that is no answer to a question for its attributes. One that can never be read has none. */
static const struct kv_public *public_of(const struct kv_object *object, struct kv_attr_value *ret)
{
    const struct kv_public *key = NULL;
    if (object->secret)
        return object->secret->public;
    enum kv_status status = object->version ? kv_version_public(object->version, &key, NULL) : KV_OK;
    if (status == KV_NO_MEMORY || status == KV_INTERNAL)
        ret->failure = status;
    return key;
}

KV_ATTR_GET(subject)
{
    if (object->certificate)
        return borrowed(ret, object->certificate->facts.subject);
    return borrowed(ret, object->secret ? KV_VIEW(object->secret->subject) : (struct kv_view){ NULL, 0 });
}

KV_ATTR_GET(class)
{
    return number(ret, object->type);
}

KV_ATTR_GET(key_type)
{
    return number(ret, object->key_type);
}

/* Of an authority: it belongs to no version. */
static const struct kv_certificate *lone(const struct kv_object *object)
{
    return object->version ? NULL : object->certificate;
}

KV_ATTR_GET(label)
{
    if (lone(object))
        return text(ret, object->certificate->name);
    return object->version ? text(ret, object->version->label)
                           : borrowed(ret, KV_VIEW(object->secret->label));
}

KV_ATTR_GET(id)
{
    if (lone(object))
        return borrowed(ret, (struct kv_view){ object->certificate->id, KV_ID_SIZE });
    return borrowed(ret, object->version ? (struct kv_view){ object->version->id, KV_ID_SIZE }
                                         : KV_VIEW(object->secret->id));
}

KV_ATTR_GET(unique_id)
{
    static const char *const parts[] = { [CKO_CERTIFICATE] = "certificate",
                                         [CKO_PUBLIC_KEY] = "public",
                                         [CKO_PRIVATE_KEY] = "private",
                                         [CKO_SECRET_KEY] = "secret" };
    char *to = (char *)ret->store.bytes;
    if (lone(object)) {
        kv_encode_hex((struct kv_view){ object->certificate->sha256, 32 }, to);
        return text(ret, to);
    }
    if (kv_object_is_fixed(object->handle)) {
        int length = snprintf(to, sizeof ret->store.bytes, "%s#0x%lx",
                              object->type == CKO_PROFILE ? "profile" : "mechanism", object->fixed);
        return length > 0 && borrowed(ret, (struct kv_view){ ret->store.bytes, (size_t)length });
    }
    int len = object->version
                  ? snprintf(to, sizeof ret->store.bytes, "%s#%s", object->version->kid, parts[object->type])
                  : snprintf(to, sizeof ret->store.bytes, "session#%lu", object->handle);
    return len > 0 && borrowed(ret, (struct kv_view){ ret->store.bytes, (size_t)len });
}

/* CK_DATE is eight digits, YYYYMMDD, in no time zone: UTC it is. */
static bool date(struct kv_attr_value *ret, int64_t at)
{
    if (!at)
        return borrowed(ret, (struct kv_view){ NULL, 0 });
    char clock[21];
    kv_clock_text(at, clock);
    memcpy(ret->store.bytes, clock, 4);
    memcpy(ret->store.bytes + 4, clock + 5, 2);
    memcpy(ret->store.bytes + 6, clock + 8, 2);
    return borrowed(ret, (struct kv_view){ ret->store.bytes, 8 });
}

KV_ATTR_GET(start_date)
{
    if (object->type == CKO_CERTIFICATE)
        return date(ret, object->certificate->facts.not_before);
    return object->version ? date(ret, object->version->nbf) : borrowed(ret, KV_VIEW(object->secret->start));
}

KV_ATTR_GET(end_date)
{
    if (object->type == CKO_CERTIFICATE)
        return date(ret, object->certificate->facts.not_after);
    return object->version ? date(ret, object->version->exp) : borrowed(ret, KV_VIEW(object->secret->end));
}

KV_ATTR_GET(generated_by)
{
    return number(ret, object->version ? CK_UNAVAILABLE_INFORMATION : object->secret->generated_by);
}

KV_ATTR_GET(mechanisms)
{
    static const struct {
        unsigned flag, operation;
    } pairs[] = { { KV_CAN_SIGN, KV_OP_SIGN },       { KV_CAN_VERIFY, KV_OP_VERIFY },
                  { KV_CAN_ENCRYPT, KV_OP_ENCRYPT }, { KV_CAN_DECRYPT, KV_OP_DECRYPT },
                  { KV_CAN_WRAP, KV_OP_WRAP },       { KV_CAN_UNWRAP, KV_OP_UNWRAP } };
    if (!object->version)
        return object->secret->allowed.data && borrowed(ret, KV_VIEW(object->secret->allowed));
    unsigned operations = 0;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        operations |= object->flags & pairs[i].flag ? pairs[i].operation : 0;
    struct kv_mech_key key = kv_version_mech_key(object->version);
    size_t room = sizeof ret->store.mechanisms / sizeof *ret->store.mechanisms;
    size_t count = kv_mech_allowed(&key, operations, object->offer, ret->store.mechanisms, room);
    count = count < room ? count : room;
    return borrowed(ret, (struct kv_view){ ret->store.bytes, count * sizeof *ret->store.mechanisms });
}

KV_ATTR_GET(modulus)
{
    const struct kv_public *key = public_of(object, ret);
    return key && borrowed(ret, kv_public_modulus(key));
}

KV_ATTR_GET(modulus_bits)
{
    const struct kv_public *key = object->secret ? object->secret->public : NULL;
    return object->version ? number(ret, object->version->bits) : key && number(ret, kv_public_bits(key));
}

KV_ATTR_GET(exponent)
{
    const struct kv_public *key = public_of(object, ret);
    return key && borrowed(ret, kv_public_exponent(key));
}

KV_ATTR_GET(ec_params)
{
    const struct kv_public *key = object->secret ? object->secret->public : NULL;
    const struct kv_curve *curve = object->version ? kv_curve_find(object->version->curve)
                                   : key           ? kv_public_curve(key)
                                                   : NULL;
    return curve && borrowed(ret, (struct kv_view){ curve->params, curve->params_len });
}

KV_ATTR_GET(ec_point)
{
    const struct kv_public *key = public_of(object, ret);
    KV_AUTO_BYTES struct kv_bytes der = { 0 };
    if (key)
        ret->failure = kv_der_wrap(0x04, kv_public_point(key), &der);
    if (!key || ret->failure || der.len > sizeof ret->store.bytes)
        return false;
    memcpy(ret->store.bytes, der.data, der.len);
    return borrowed(ret, (struct kv_view){ ret->store.bytes, der.len });
}

KV_ATTR_GET(public_key)
{
    const struct kv_public *key = object->secret ? object->secret->public : NULL;
    if (object->type == CKO_CERTIFICATE)
        return borrowed(ret, object->certificate->facts.spki);
    if (object->version)
        return borrowed(ret, KV_VIEW(object->version->spki));
    return key && borrowed(ret, kv_public_spki(key));
}

KV_ATTR_GET(value)
{
    return borrowed(ret, KV_VIEW(object->secret->value));
}

static bool part(const struct kv_object *object, enum kv_private_part which, struct kv_attr_value *ret)
{
    const struct kv_private *key = object->secret ? object->secret->private : NULL;
    return key && borrowed(ret, kv_private_part(key, which));
}

#define PART(name, which)                                                                                    \
    KV_ATTR_GET(name)                                                                                        \
    {                                                                                                        \
        return part(object, which, ret);                                                                     \
    }
PART(private_exponent, KV_PART_PRIVATE_EXPONENT)
PART(prime_1, KV_PART_PRIME_1)
PART(prime_2, KV_PART_PRIME_2)
PART(exponent_1, KV_PART_EXPONENT_1)
PART(exponent_2, KV_PART_EXPONENT_2)
PART(coefficient, KV_PART_COEFFICIENT)
PART(scalar, KV_PART_SCALAR)

static bool array(const struct kv_attr_list *list, struct kv_attr_value *ret)
{
    return list->items && borrowed(ret, kv_attr_array_view(list));
}

KV_ATTR_GET(check_value)
{
    return !object && borrowed(ret, (struct kv_view){ NULL, 0 });
}

KV_ATTR_GET(wrap_template)
{
    return array(&object->secret->wrap, ret);
}

KV_ATTR_GET(unwrap_template)
{
    return array(&object->secret->unwrap, ret);
}

KV_ATTR_GET(derive_template)
{
    return array(&object->secret->derive, ret);
}

KV_ATTR_GET(value_len)
{
    size_t len = object->version ? object->version->bits / 8 : object->secret->value.len;
    return len && number(ret, len);
}

KV_ATTR_GET(fixed)
{
    return number(ret, object->fixed);
}

KV_ATTR_GET(kid)
{
    return object->version && text(ret, object->version->kid);
}

KV_ATTR_GET(version)
{
    return object->version && text(ret, object->version->version);
}

KV_ATTR_GET(state)
{
    return object->version && text(ret, kv_state_name(object->version->state));
}

KV_ATTR_GET(created)
{
    char *to = (char *)ret->store.bytes;
    if (!object->version || !object->version->created)
        return false;
    kv_clock_text(object->version->created, to);
    return text(ret, to);
}

KV_ATTR_GET(spki_sha256)
{
    if (object->type == CKO_CERTIFICATE)
        return borrowed(ret, (struct kv_view){ object->certificate->spki_sha256, 32 });
    return object->version->spki.len &&
           borrowed(ret,
                    (struct kv_view){ object->version->spki_sha256, sizeof object->version->spki_sha256 });
}

KV_ATTR_GET(hsm_platform)
{
    return *object->version->hsm_platform && text(ret, object->version->hsm_platform);
}

KV_ATTR_GET(hardware)
{
    ret->store.truth = object->version->hsm ? CK_TRUE : CK_FALSE;
    return borrowed(ret, (struct kv_view){ ret->store.bytes, sizeof ret->store.truth });
}

/* --- certificates --- */

KV_ATTR_GET(nothing)
{
    return object && borrowed(ret, (struct kv_view){ NULL, 0 });
}

KV_ATTR_GET(certificate_type)
{
    return object->certificate && number(ret, CKC_X_509);
}

/* 1: a certificate of the token's user; 2: of an authority. */
KV_ATTR_GET(category)
{
    return number(ret, object->certificate->facts.ca ? 2 : 1);
}

KV_ATTR_GET(der)
{
    return borrowed(ret, KV_VIEW(object->certificate->der));
}

KV_ATTR_GET(issuer)
{
    return borrowed(ret, object->certificate->facts.issuer);
}

KV_ATTR_GET(serial)
{
    return borrowed(ret, object->certificate->facts.serial);
}

/* The first three bytes of its SHA-1 (PKCS#11 §4.6.3). */
KV_ATTR_GET(thumbprint)
{
    enum { LEN = 3 };
    KV_AUTO_BYTES struct kv_bytes digest = { 0 };
    ret->failure = kv_digest_once("SHA1", KV_VIEW(object->certificate->der), &digest);
    if (ret->failure)
        return false;
    memcpy(ret->store.bytes, digest.data, LEN);
    return borrowed(ret, (struct kv_view){ ret->store.bytes, LEN });
}

KV_ATTR_GET(name_hash)
{
    return object->certificate && number(ret, CKM_SHA_1);
}

KV_ATTR_GET(zero)
{
    return object && number(ret, 0);
}
