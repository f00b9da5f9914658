/* What a template may set on an object that lives in a session. */
#include "attr_get.h"

#include <string.h>

static enum kv_status keep(struct kv_bytes *place, struct kv_view value)
{
    struct kv_bytes copy = { 0 };
    KV_TRY(kv_bytes_copy(value, &copy));
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

KV_ATTR_PUT(class)
{
    return object && number_in(value) == CKO_SECRET_KEY ? KV_OK : KV_KEY_TYPE;
}

KV_ATTR_PUT(key_type)
{
    CK_KEY_TYPE type = number_in(value);
    if (type != CKK_AES && type != CKK_GENERIC_SECRET)
        return KV_KEY_TYPE;
    if (object->key_type != CK_UNAVAILABLE_INFORMATION && object->key_type != type)
        return KV_KEY_TYPE;
    object->key_type = type;
    return KV_OK;
}

KV_ATTR_PUT(label)
{
    return keep(&object->secret.label, value);
}

KV_ATTR_PUT(id)
{
    return keep(&object->secret.id, value);
}

KV_ATTR_PUT(start_date)
{
    return keep(&object->secret.start, value);
}

KV_ATTR_PUT(end_date)
{
    return keep(&object->secret.end, value);
}

KV_ATTR_PUT(value)
{
    return keep(&object->secret.value, value);
}

KV_ATTR_PUT(value_len)
{
    object->secret.wanted_len = number_in(value);
    return object->secret.wanted_len ? KV_OK : KV_KEY_SIZE;
}
