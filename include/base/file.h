/* Files that nobody else can have put there or changed: configuration, secrets, tokens. The path is walked folder by folder (openat, no link followed blindly)
 * and what is read is the descriptor that was looked at. On the way every folder and every link belongs to root or the caller, and no folder can be
 * written by others, unless it is sticky; so links as Kubernetes mounts them are followed and a link of somebody else is not. Any thread. */
#ifndef KV_BASE_FILE_H
#define KV_BASE_FILE_H

#include "base/bytes.h"

struct kv_file_rule {
    bool
        secret; /* others may not read it either; its group may, where root owns it and the caller is in that group */
    bool
        service; /* a service's file, right in that service's folder: whoever owns the folder counts as root does, its group may write, and neither is a link */
    size_t largest;        /* bytes */
    enum kv_status status; /* of every refusal but the next */
};

/* Opened for reading; the caller closes. KV_NOT_FOUND: there is none; KV_DENIED: the caller may not open it. The error begins with the path. */
KV_MUST_USE enum kv_status kv_file_open(const char *path, const struct kv_file_rule *rule, int *ret_fd,
                                        struct kv_error *err);
/* Would what was opened do for a secret, too? */
bool kv_file_private(int fd);
/* The whole of what was opened; one NUL follows. */
KV_MUST_USE enum kv_status kv_file_read_opened(int fd, const char *path, const struct kv_file_rule *rule,
                                               struct kv_bytes *ret, struct kv_error *err);
/* Both; one NUL follows. */
KV_MUST_USE enum kv_status kv_file_read(const char *path, const struct kv_file_rule *rule,
                                        struct kv_bytes *ret, struct kv_error *err);
/* The folder of a file that is opened by others (SQLite), by the same rules; the file's own name is not looked at. */
KV_MUST_USE enum kv_status kv_file_folder(const char *path, const struct kv_file_rule *rule,
                                          struct kv_error *err);

#endif
