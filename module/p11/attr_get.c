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

static const struct kv_public *public_of(const struct kv_object *object)
{
    const struct kv_public *key = NULL;
    return object->version && !kv_version_public(object->version, &key, NULL) ? key : NULL;
}

KV_ATTR_GET(nothing)
{
    return object && borrowed(ret, (struct kv_view){ NULL, 0 });
}

KV_ATTR_GET(class)
{
    return number(ret, object->type);
}

KV_ATTR_GET(key_type)
{
    return number(ret, object->key_type);
}

KV_ATTR_GET(label)
{
    return object->version ? text(ret, object->version->label) : borrowed(ret, KV_VIEW(object->secret.label));
}

KV_ATTR_GET(id)
{
    return borrowed(ret, object->version ? (struct kv_view){ object->version->id, KV_ID_SIZE }
                                         : KV_VIEW(object->secret.id));
}

KV_ATTR_GET(unique_id)
{
    static const char *const parts[] = {
        [CKO_PUBLIC_KEY] = "public", [CKO_PRIVATE_KEY] = "private", [CKO_SECRET_KEY] = "secret"
    };
    char *to = (char *)ret->store.bytes;
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
    return object->version ? date(ret, object->version->nbf) : borrowed(ret, KV_VIEW(object->secret.start));
}

KV_ATTR_GET(end_date)
{
    return object->version ? date(ret, object->version->exp) : borrowed(ret, KV_VIEW(object->secret.end));
}

KV_ATTR_GET(generated_by)
{
    return number(ret, object->version ? CK_UNAVAILABLE_INFORMATION : object->secret.generated_by);
}

KV_ATTR_GET(mechanisms)
{
    static const struct {
        unsigned flag, operation;
    } pairs[] = { { KV_CAN_SIGN, KV_OP_SIGN },       { KV_CAN_VERIFY, KV_OP_VERIFY },
                  { KV_CAN_ENCRYPT, KV_OP_ENCRYPT }, { KV_CAN_DECRYPT, KV_OP_DECRYPT },
                  { KV_CAN_WRAP, KV_OP_WRAP },       { KV_CAN_UNWRAP, KV_OP_UNWRAP } };
    if (!object->version)
        return false;
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
    const struct kv_public *key = public_of(object);
    return key && borrowed(ret, kv_public_modulus(key));
}

KV_ATTR_GET(modulus_bits)
{
    return number(ret, object->version->bits);
}

KV_ATTR_GET(exponent)
{
    const struct kv_public *key = public_of(object);
    return key && borrowed(ret, kv_public_exponent(key));
}

KV_ATTR_GET(ec_params)
{
    const struct kv_curve *curve = kv_curve_find(object->version->curve);
    return curve && borrowed(ret, (struct kv_view){ curve->params, curve->params_len });
}

KV_ATTR_GET(ec_point)
{
    const struct kv_public *key = public_of(object);
    KV_AUTO_BYTES struct kv_bytes der = { 0 };
    if (!key || kv_der_wrap(0x04, kv_public_point(key), &der) || der.len > sizeof ret->store.bytes)
        return false;
    memcpy(ret->store.bytes, der.data, der.len);
    return borrowed(ret, (struct kv_view){ ret->store.bytes, der.len });
}

KV_ATTR_GET(public_key)
{
    return borrowed(ret, KV_VIEW(object->version->spki));
}

KV_ATTR_GET(value)
{
    return borrowed(ret, KV_VIEW(object->secret.value));
}

KV_ATTR_GET(value_len)
{
    size_t len = object->version ? object->version->bits / 8 : object->secret.value.len;
    return len && number(ret, len);
}

KV_ATTR_GET(kid)
{
    return text(ret, object->version->kid);
}

KV_ATTR_GET(version)
{
    return text(ret, object->version->version);
}

KV_ATTR_GET(state)
{
    return text(ret, kv_state_name(object->version->state));
}

KV_ATTR_GET(created)
{
    char *to = (char *)ret->store.bytes;
    kv_clock_text(object->version->created, to);
    return object->version->created && text(ret, to);
}

KV_ATTR_GET(spki_sha256)
{
    return object->version->spki.len &&
           borrowed(ret,
                    (struct kv_view){ object->version->spki_sha256, sizeof object->version->spki_sha256 });
}
