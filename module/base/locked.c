#include "base/locked.h"

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

/* Small blocks share a region of their size; what is larger than the last class has a region to itself. */
enum { SMALLEST = 32, LARGEST = 4096, SHARED = 65536 };

struct region {
    struct region *next;
    unsigned char *start; /* behind the guard page */
    size_t size, block, blocks;
    size_t free_count;
    uint16_t free[]; /* a stack of the blocks that are free */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct region *regions;
static struct region *parents; /* what children have left alone: pointed at, so that it is no leak */

/* The parent's blocks are zero here, its locks do not count, and another thread of it may have held ours. */
static void begin_anew_in_child(void)
{
    struct region **end = &parents;
    while (*end)
        end = &(*end)->next;
    *end = regions;
    lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    regions = NULL;
}

static void watch_forks(void)
{
    (void)pthread_atfork(NULL, NULL, begin_anew_in_child);
}

static size_t page_size(void)
{
    long size = sysconf(_SC_PAGESIZE);
    return size > 0 ? (size_t)size : 4096;
}

/* --- pages --- */

/* As many pages as the limit leaves: all at once, else one by one. */
static void lock_pages(unsigned char *start, size_t size)
{
    size_t page = page_size();
    if (!mlock(start, size))
        return;
    for (size_t at = 0; at < size && !mlock(start + at, page); at += page)
        ;
}

static unsigned char *map_pages(size_t size)
{
    size_t page = page_size();
    unsigned char *all =
        mmap(NULL, size + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (all == MAP_FAILED)
        return NULL;
    unsigned char *start = all + page;
    if (mprotect(start, size, PROT_READ | PROT_WRITE)) {
        munmap(all, size + 2 * page);
        return NULL;
    }
    (void)madvise(start, size, MADV_DONTDUMP);
    (void)madvise(start, size, MADV_WIPEONFORK);
    lock_pages(start, size);
    return start;
}

static void unmap_pages(unsigned char *start, size_t size)
{
    size_t page = page_size();
    munmap(start - page, size + 2 * page);
}

/* --- regions --- */

static size_t class_of(size_t len)
{
    size_t block = SMALLEST;
    while (block < len)
        block *= 2;
    return block;
}

static struct region *region_new(size_t len)
{
    size_t page = page_size(), block = class_of(len);
    size_t size = len > LARGEST ? (len + page - 1) / page * page : (SHARED + page - 1) / page * page;
    size_t blocks = len > LARGEST ? 1 : SHARED / block;
    struct region *region = calloc(1, sizeof *region + blocks * sizeof *region->free);
    if (!region)
        return NULL;
    *region = (struct region){ .size = size, .block = len > LARGEST ? size : block, .blocks = blocks };
    region->start = map_pages(size);
    if (!region->start) {
        free(region);
        return NULL;
    }
    for (size_t i = 0; i < blocks; i++)
        region->free[region->free_count++] = (uint16_t)(blocks - 1 - i);
    region->next = regions;
    regions = region;
    return region;
}

static void region_free(struct region *region)
{
    struct region **place = &regions;
    while (*place != region)
        place = &(*place)->next;
    *place = region->next;
    unmap_pages(region->start, region->size);
    free(region);
}

static struct region *region_with_room(size_t len)
{
    size_t block = class_of(len);
    for (struct region *region = regions; region; region = region->next)
        if (len <= LARGEST && region->block == block && region->free_count)
            return region;
    return region_new(len);
}

static struct region *region_of(const unsigned char *block)
{
    for (struct region *region = regions; region; region = region->next)
        if (block >= region->start && block < region->start + region->size)
            return region;
    return NULL;
}

static bool has_twin(const struct region *region)
{
    for (const struct region *other = regions; other; other = other->next)
        if (other != region && other->block == region->block && other->free_count)
            return true;
    return false;
}

/* --- blocks --- */

void *kv_locked_alloc(size_t len)
{
    if (len > SIZE_MAX / 2)
        return NULL;
    pthread_once(&once, watch_forks);
    pthread_mutex_lock(&lock);
    struct region *region = region_with_room(len);
    void *block = region ? region->start + region->free[--region->free_count] * region->block : NULL;
    pthread_mutex_unlock(&lock);
    return block;
}

void kv_locked_free(void *block)
{
    if (!block)
        return;
    pthread_mutex_lock(&lock);
    struct region *region = region_of(block);
    /* None: a block of the process that this one was forked from, zero already and forgotten. */
    if (region) {
        size_t i = (size_t)((unsigned char *)block - region->start) / region->block;
        kv_wipe(region->start + i * region->block, region->block);
        region->free[region->free_count++] = (uint16_t)i;
        /* One region of a size is kept for the next key. */
        if (region->free_count == region->blocks && (region->block > LARGEST || has_twin(region)))
            region_free(region);
    }
    pthread_mutex_unlock(&lock);
}

enum kv_status kv_bytes_alloc_locked(size_t len, struct kv_bytes *ret)
{
    unsigned char *data = kv_locked_alloc(len);
    if (!data)
        return KV_NO_MEMORY;
    *ret = (struct kv_bytes){ data, len, true };
    return KV_OK;
}

enum kv_status kv_bytes_copy_locked(struct kv_view from, struct kv_bytes *ret)
{
    struct kv_bytes copy;
    KV_TRY(kv_bytes_alloc_locked(from.len, &copy));
    if (from.len)
        memcpy(copy.data, from.data, from.len);
    *ret = copy;
    return KV_OK;
}
