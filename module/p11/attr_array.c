#include "attr_array.h"

#include <stdlib.h>
#include <string.h>

/* Of an array that an application gave or keeps, aligned or not. */
static CK_ATTRIBUTE item_at(struct kv_view array, size_t i)
{
    CK_ATTRIBUTE item;
    memcpy(&item, array.data + i * sizeof item, sizeof item);
    return item;
}

static enum kv_status measure(struct kv_view array, size_t *ret)
{
    size_t count = array.len / sizeof(CK_ATTRIBUTE), bytes = 0;
    if (array.len % sizeof(CK_ATTRIBUTE))
        return KV_BAD_DATA;
    if (count > KV_ATTR_ARRAY_MAX)
        return KV_UNSUPPORTED;
    for (size_t i = 0; i < count; i++) {
        CK_ATTRIBUTE item = item_at(array, i);
        if (item.ulValueLen && !item.pValue)
            return KV_BAD_DATA;
        if (item.type & CKF_ARRAY_ATTRIBUTE || item.ulValueLen > KV_ATTR_ARRAY_BYTES - bytes)
            return KV_UNSUPPORTED;
        bytes += item.ulValueLen;
    }
    *ret = array.len + bytes;
    return KV_OK;
}

enum kv_status kv_attr_array_take(struct kv_view value, struct kv_attr_list *ret)
{
    size_t size = 0;
    KV_TRY(measure(value, &size));
    unsigned char *block = calloc(1, size ? size : 1);
    if (!block)
        return KV_NO_MEMORY;
    struct kv_attr_list list = { (CK_ATTRIBUTE *)(void *)block, value.len / sizeof(CK_ATTRIBUTE), size };
    unsigned char *at = block + value.len;
    for (CK_ULONG i = 0; i < list.count; i++) {
        CK_ATTRIBUTE item = item_at(value, i);
        if (item.ulValueLen)
            memcpy(at, item.pValue, item.ulValueLen);
        list.items[i] = (CK_ATTRIBUTE){ item.type, at, item.ulValueLen };
        at += item.ulValueLen;
    }
    kv_attr_array_free(ret);
    *ret = list;
    return KV_OK;
}

struct kv_view kv_attr_array_view(const struct kv_attr_list *list)
{
    return (struct kv_view){ (const unsigned char *)list->items, list->count * sizeof *list->items };
}

enum kv_status kv_attr_array_copy(const struct kv_attr_list *from, struct kv_attr_list *ret)
{
    return from->items ? kv_attr_array_take(kv_attr_array_view(from), ret) : KV_OK;
}

void kv_attr_array_free(struct kv_attr_list *list)
{
    kv_wipe(list->items, list->size);
    free(list->items);
    *list = (struct kv_attr_list){ 0 };
}

static CK_RV read_inner(CK_ATTRIBUTE from, CK_ATTRIBUTE *to)
{
    CK_ULONG room = to->ulValueLen;
    *to = (CK_ATTRIBUTE){ from.type, to->pValue, from.ulValueLen };
    if (!to->pValue)
        return CKR_OK;
    if (room < from.ulValueLen) {
        to->ulValueLen = CK_UNAVAILABLE_INFORMATION;
        return CKR_BUFFER_TOO_SMALL;
    }
    if (from.ulValueLen)
        memcpy(to->pValue, from.pValue, from.ulValueLen);
    return CKR_OK;
}

CK_RV kv_attr_array_read(struct kv_view value, CK_ATTRIBUTE *item)
{
    CK_ULONG room = item->ulValueLen;
    CK_RV first = CKR_OK;
    item->ulValueLen = value.len;
    if (!item->pValue)
        return CKR_OK;
    if (room < value.len) {
        item->ulValueLen = CK_UNAVAILABLE_INFORMATION;
        return CKR_BUFFER_TOO_SMALL;
    }
    for (size_t i = 0; i < value.len / sizeof(CK_ATTRIBUTE); i++) {
        unsigned char *place = (unsigned char *)item->pValue + i * sizeof(CK_ATTRIBUTE);
        CK_ATTRIBUTE inner;
        memcpy(&inner, place, sizeof inner);
        CK_RV rv = read_inner(item_at(value, i), &inner);
        memcpy(place, &inner, sizeof inner);
        first = first ? first : rv;
    }
    return first;
}

bool kv_attr_array_equal(struct kv_view a, struct kv_view b)
{
    size_t size;
    if (a.len != b.len || measure(a, &size) || measure(b, &size))
        return false;
    for (size_t i = 0; i < a.len / sizeof(CK_ATTRIBUTE); i++) {
        CK_ATTRIBUTE x = item_at(a, i), y = item_at(b, i);
        if (x.type != y.type || !kv_view_equal_ct((struct kv_view){ x.pValue, x.ulValueLen },
                                                  (struct kv_view){ y.pValue, y.ulValueLen }))
            return false;
    }
    return true;
}
