/* What a template may set on an object that lives in a session. */
#include "attr_get.h"

#include <string.h>
#include "base/locked.h"

static enum kv_status keep(struct kv_bytes *place, struct kv_view value)
{
    struct kv_bytes copy = { 0 };
    KV_TRY(kv_bytes_copy(value, &copy));
    kv_bytes_free(place);
    *place = copy;
    return KV_OK;
}

static enum kv_status keep_locked(struct kv_bytes *place, struct kv_view value)
{
    struct kv_bytes copy = { 0 };
    KV_TRY(kv_bytes_copy_locked(value, &copy));
    kv_bytes_free(place);
    *place = copy;
    return KV_OK;
}

static CK_ULONG number_in(struct kv_view value)
{
    CK_ULONG parsed;
    memcpy(&parsed, value.data, sizeof parsed);
    return parsed;
}

/* Class and type are what an object is before its template is applied; the template may say so again. */
KV_ATTR_PUT(class)
{
    return number_in(value) == object->type ? KV_OK : KV_KEY_TYPE;
}

KV_ATTR_PUT(key_type)
{
    return number_in(value) == object->key_type ? KV_OK : KV_KEY_TYPE;
}

KV_ATTR_PUT(label)
{
    return keep(&object->secret->label, value);
}

KV_ATTR_PUT(id)
{
    return keep(&object->secret->id, value);
}

KV_ATTR_PUT(subject)
{
    return keep(&object->secret->subject, value);
}

KV_ATTR_PUT(check_value)
{
    return object && value.len <= 3 ? KV_OK : KV_BAD_DATA;
}

KV_ATTR_PUT(start_date)
{
    return keep(&object->secret->start, value);
}

KV_ATTR_PUT(end_date)
{
    return keep(&object->secret->end, value);
}

KV_ATTR_PUT(mechanisms)
{
    return value.len % sizeof(CK_MECHANISM_TYPE) ? KV_BAD_DATA : keep(&object->secret->allowed, value);
}

KV_ATTR_PUT(value)
{
    return keep_locked(&object->secret->value, value);
}

KV_ATTR_PUT(value_len)
{
    object->secret->wanted_len = number_in(value);
    return object->secret->wanted_len ? KV_OK : KV_BAD_DATA;
}

/* --- numbers that become a key when all of them are there --- */

static struct kv_raw *raw_of(struct kv_object *object)
{
    if (!object->secret->raw)
        object->secret->raw = calloc(1, sizeof *object->secret->raw);
    return object->secret->raw;
}

static enum kv_status put_part(struct kv_object *object, enum kv_private_part which, struct kv_view value)
{
    struct kv_raw *raw = raw_of(object);
    return raw ? keep_locked(&raw->parts[which], value) : KV_NO_MEMORY;
}

#define PART(name, which)                                                                                    \
    KV_ATTR_PUT(name)                                                                                        \
    {                                                                                                        \
        return put_part(object, which, value);                                                               \
    }
PART(modulus, KV_PART_MODULUS)
PART(exponent, KV_PART_EXPONENT)
PART(private_exponent, KV_PART_PRIVATE_EXPONENT)
PART(prime_1, KV_PART_PRIME_1)
PART(prime_2, KV_PART_PRIME_2)
PART(exponent_1, KV_PART_EXPONENT_1)
PART(exponent_2, KV_PART_EXPONENT_2)
PART(coefficient, KV_PART_COEFFICIENT)
PART(scalar, KV_PART_SCALAR)

KV_ATTR_PUT(modulus_bits)
{
    struct kv_raw *raw = raw_of(object);
    if (raw)
        raw->modulus_bits = number_in(value);
    return raw ? KV_OK : KV_NO_MEMORY;
}

KV_ATTR_PUT(ec_params)
{
    struct kv_raw *raw = raw_of(object);
    return raw ? keep(&raw->ec_params, value) : KV_NO_MEMORY;
}

KV_ATTR_PUT(ec_point)
{
    struct kv_raw *raw = raw_of(object);
    return raw ? keep(&raw->ec_point, value) : KV_NO_MEMORY;
}

KV_ATTR_PUT(public_key)
{
    struct kv_raw *raw = raw_of(object);
    return raw ? keep(&raw->public_info, value) : KV_NO_MEMORY;
}

/* --- templates --- */

KV_ATTR_PUT(wrap_template)
{
    return kv_attr_array_take(value, &object->secret->wrap);
}

KV_ATTR_PUT(unwrap_template)
{
    return kv_attr_array_take(value, &object->secret->unwrap);
}

KV_ATTR_PUT(derive_template)
{
    return kv_attr_array_take(value, &object->secret->derive);
}
