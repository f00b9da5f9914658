/* The small files that credentials are made of, read by the rules of include/base/file.h. Any thread. */
#ifndef KV_AUTH_FILE_H
#define KV_AUTH_FILE_H

#include "base/bytes.h"

struct kv_auth_file {
    const char *what; /* for people: "token file" */
    const char *path;
    bool secret; /* others may not read it either */
};
/* At most 64 KiB; a NUL follows. KV_CREDENTIAL with the cause and the remedy. ret_private: would it do for a secret; may be NULL. */
KV_MUST_USE enum kv_status kv_auth_file_read(const struct kv_auth_file *file, struct kv_bytes *ret,
                                             bool *ret_private, struct kv_error *err);
/* A file that turned out to hold a secret, and others can read it. */
KV_MUST_USE enum kv_status kv_auth_file_fail_open(const struct kv_auth_file *file, struct kv_error *err);
/* The same as text, without white space around it; "" : nothing was there. kv_text_free. */
KV_MUST_USE enum kv_status kv_auth_file_text(const struct kv_auth_file *file, char **ret,
                                             struct kv_error *err);

#endif
