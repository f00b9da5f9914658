/* Handles are numbers looked up, never pointers and never used twice: a table from number to pointer. The table borrows the pointers.
 * One thread at a time: whoever owns the table locks it. PKCS#11 §5 ("handles"). */
#ifndef KV_P11_HANDLES_H
#define KV_P11_HANDLES_H

#include "base/bytes.h"

struct kv_handle_entry {
    uint64_t number; /* 0: an empty place */
    void *thing;
};

struct kv_handles {
    struct kv_handle_entry *entries;
    size_t room, count; /* room is 0 or a power of two */
};

/* `number` is not 0 and not in the table. */
KV_MUST_USE enum kv_status kv_handles_put(struct kv_handles *handles, uint64_t number, void *thing);
void *kv_handles_get(const struct kv_handles *handles, uint64_t number); /* NULL: none */
/* Puts another pointer under a number that is there; returns the former one, NULL when the number is unknown. */
void *kv_handles_swap(struct kv_handles *handles, uint64_t number, void *thing);
void *kv_handles_remove(struct kv_handles *handles, uint64_t number);
/* Walks the table in no order: *place starts at 0; NULL at the end. Nothing may be put or removed meanwhile. */
void *kv_handles_next(const struct kv_handles *handles, size_t *place);
void kv_handles_free(struct kv_handles *handles);

#endif
