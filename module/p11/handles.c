#include "handles.h"

/* Numbers are handed out one by one or are hashes already; the multiplication spreads the former. */
static size_t place_of(const struct kv_handles *handles, uint64_t number)
{
    return (size_t)((number * UINT64_C(0x9e3779b97f4a7c15)) >> 20) & (handles->room - 1);
}

static struct kv_handle_entry *find(const struct kv_handles *handles, uint64_t number)
{
    if (!number || !handles->room)
        return NULL;
    for (size_t i = place_of(handles, number); handles->entries[i].number; i = (i + 1) & (handles->room - 1))
        if (handles->entries[i].number == number)
            return &handles->entries[i];
    return NULL;
}

static void place(struct kv_handles *handles, struct kv_handle_entry entry)
{
    size_t i = place_of(handles, entry.number);
    while (handles->entries[i].number)
        i = (i + 1) & (handles->room - 1);
    handles->entries[i] = entry;
}

static enum kv_status grow(struct kv_handles *handles)
{
    struct kv_handles larger = { .room = handles->room ? handles->room * 2 : 16, .count = handles->count };
    larger.entries = calloc(larger.room, sizeof *larger.entries);
    if (!larger.entries)
        return KV_NO_MEMORY;
    for (size_t i = 0; i < handles->room; i++)
        if (handles->entries[i].number)
            place(&larger, handles->entries[i]);
    free(handles->entries);
    *handles = larger;
    return KV_OK;
}

enum kv_status kv_handles_put(struct kv_handles *handles, uint64_t number, void *thing)
{
    if (!number || find(handles, number))
        return KV_INTERNAL;
    if (handles->count + 1 > handles->room / 4 * 3)
        KV_TRY(grow(handles));
    place(handles, (struct kv_handle_entry){ number, thing });
    handles->count++;
    return KV_OK;
}

void *kv_handles_get(const struct kv_handles *handles, uint64_t number)
{
    struct kv_handle_entry *entry = find(handles, number);
    return entry ? entry->thing : NULL;
}

void *kv_handles_swap(struct kv_handles *handles, uint64_t number, void *thing)
{
    struct kv_handle_entry *entry = find(handles, number);
    if (!entry)
        return NULL;
    void *former = entry->thing;
    entry->thing = thing;
    return former;
}

void *kv_handles_remove(struct kv_handles *handles, uint64_t number)
{
    struct kv_handle_entry *entry = find(handles, number);
    if (!entry)
        return NULL;
    void *thing = entry->thing;
    *entry = (struct kv_handle_entry){ 0 };
    handles->count--;
    /* A hole would hide what was pushed behind it: those that follow without a gap are placed anew. */
    size_t mask = handles->room - 1;
    for (size_t i = ((size_t)(entry - handles->entries) + 1) & mask; handles->entries[i].number;
         i = (i + 1) & mask) {
        struct kv_handle_entry moved = handles->entries[i];
        handles->entries[i] = (struct kv_handle_entry){ 0 };
        place(handles, moved);
    }
    return thing;
}

void *kv_handles_next(const struct kv_handles *handles, size_t *place_ret)
{
    while (*place_ret < handles->room) {
        const struct kv_handle_entry *entry = &handles->entries[(*place_ret)++];
        if (entry->number)
            return entry->thing;
    }
    return NULL;
}

void kv_handles_free(struct kv_handles *handles)
{
    free(handles->entries);
    *handles = (struct kv_handles){ 0 };
}
