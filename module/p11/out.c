#include "out.h"

#include <string.h>

CK_RV kv_out_room(struct kv_out out, size_t need, bool *ret_fill)
{
    *ret_fill = false;
    if (!out.len)
        return CKR_ARGUMENTS_BAD;
    if (!out.data) {
        *out.len = need;
        return CKR_OK;
    }
    CK_ULONG room = *out.len;
    *out.len = need;
    *ret_fill = room >= need;
    return *ret_fill ? CKR_OK : CKR_BUFFER_TOO_SMALL;
}

CK_RV kv_out_bytes(struct kv_out out, struct kv_view bytes)
{
    bool fill;
    CK_RV rv = kv_out_room(out, bytes.len, &fill);
    if (fill && bytes.len)
        memcpy(out.data, bytes.data, bytes.len);
    return rv;
}

bool kv_out_query(struct kv_out out)
{
    return out.len && !out.data;
}
