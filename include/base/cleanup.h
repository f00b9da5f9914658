/* Ownership by scope: a variable declared KV_CLEANUP(fn) is released by fn when its scope ends, unless it was taken. */
#ifndef KV_BASE_CLEANUP_H
#define KV_BASE_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

#define KV_CLEANUP(fn) __attribute__((cleanup(fn)))

/* Moves a pointer out of its variable: `*ret = kv_take(key);` */
#define kv_take(pointer)                                                                                     \
    ({                                                                                                       \
        __typeof__(pointer) kv_taken = (pointer);                                                            \
        (pointer) = NULL;                                                                                    \
        kv_taken;                                                                                            \
    })

/* Makes `kv_x_cleanup(struct kv_x **)` out of `kv_x_free(struct kv_x *)`. */
#define KV_DEFINE_CLEANUP(type, free_fn)                                                                     \
    static inline void free_fn##_cleanup(type **pointer)                                                     \
    {                                                                                                        \
        free_fn(*pointer);                                                                                   \
    }

static inline void kv_free_cleanup(void *pointer)
{
    free(*(void **)pointer);
}

static inline void kv_fd_cleanup(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

#define KV_AUTO_FREE KV_CLEANUP(kv_free_cleanup)
#define KV_AUTO_FD   KV_CLEANUP(kv_fd_cleanup)

#endif
