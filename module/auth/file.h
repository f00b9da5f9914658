/* The small files that credentials are made of, read safely: what is opened is what is checked. Any thread. */
#ifndef KV_AUTH_FILE_H
#define KV_AUTH_FILE_H

#include "base/bytes.h"

#include <sys/stat.h>

enum {
    KV_FILE_SECRET = S_IWGRP | S_IRWXO, /* bits that a file with a secret must not have */
    KV_FILE_PUBLIC = S_IWGRP | S_IWOTH, /* and one without */
};

struct kv_auth_file {
    const char *what; /* for people: "token file" */
    const char *path; /* through links, unless another user made the last of them */
    mode_t forbidden;
};
/* At most 64 KiB, of root or the caller; a NUL follows. KV_CREDENTIAL with the cause and the remedy. ret_mode: may be NULL. */
KV_MUST_USE enum kv_status kv_auth_file_read(const struct kv_auth_file *file, struct kv_bytes *ret,
                                             mode_t *ret_mode, struct kv_error *err);
/* A file that turned out to hold a secret. */
KV_MUST_USE enum kv_status kv_auth_file_private(const struct kv_auth_file *file, mode_t mode,
                                                struct kv_error *err);
/* The same as text, without white space around it; "" : nothing was there. kv_text_free. */
KV_MUST_USE enum kv_status kv_auth_file_text(const struct kv_auth_file *file, char **ret,
                                             struct kv_error *err);

#endif
