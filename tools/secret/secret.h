/* Secrets in small age files, for the commands that hand them to programs. What is read is in locked memory and is wiped. One thread. */
#ifndef KV_TOOLS_SECRET_H
#define KV_TOOLS_SECRET_H

#include "parties.h"

/* Everything of a file, or of the standard input ("-"), up to `largest` bytes. KV_INPUT; KV_DATA_LENGTH: there is more. */
KV_MUST_USE enum kv_status kv_secret_read(const char *path, size_t largest, struct kv_bytes *ret,
                                          struct kv_error *err);
/* The identities of -i, then the configured vaults. */
KV_MUST_USE enum kv_status kv_secret_identities(struct kv_parties *parties, struct kv_error *err);
/* Seconds that --cache gives, 0: none. */
KV_MUST_USE enum kv_status kv_secret_cache_seconds(const struct kv_tool *tool, int *ret,
                                                   struct kv_error *err);
/* What the age file at `path` holds. With `cache` it may come from the kernel's keyring, where it is then left for so many seconds. The error begins with the path. */
KV_MUST_USE enum kv_status kv_secret_open(struct kv_parties *parties, const char *path, int cache,
                                          struct kv_bytes *ret, struct kv_error *err);
/* Can it be the value of an environment variable, and of a line that a program reads? Printable, not empty, one line. KV_BAD_DATA says what it is instead. */
KV_MUST_USE enum kv_status kv_secret_check_line(struct kv_view secret, struct kv_error *err);

/* --- cache.c: the caller's own keyring in the kernel; whatever does not work is as if nothing were there --- */
/* By the bytes of the file that holds the secret: another file is another secret. */
bool kv_secret_cached(struct kv_view file, struct kv_bytes *ret);
void kv_secret_cache(struct kv_view file, struct kv_view secret, int seconds);

#endif
