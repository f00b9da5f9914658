/* A header that lies beside its file, as "<file>.kvp11-header": a plain age header, so that it and the file's payload together are a whole age file. There are two kinds:
 *   one that stays, for a file that cannot be changed. It names that file, by a stanza of its own:
 *       -> kvp11-sidecar <SHA-256 of the header in the file, base64 without padding>
 *     When the header in the file is another one, it was written anew after the sidecar, which is then out of date, or another file's.
 *   one that a change in place puts on the disk before it touches the file, and takes away when it is done. Where it is found, that change did not end: the header in the file may be the old one, the
 *     new one, or neither; this one is whole, is as long, and is the new one.
 * Who got one frees it. One thread. */
#ifndef KV_TOOLS_AGE_SIDECAR_H
#define KV_TOOLS_AGE_SIDECAR_H

#include "header.h"

#define KV_AGE_SIDECAR_SUFFIX ".kvp11-header"

struct kv_age_sidecar {
    struct kv_age_header header;
    bool stays;
};
void kv_age_sidecar_free(struct kv_age_sidecar *sidecar); /* contents, not the struct; NULL is fine */
#define KV_AUTO_AGE_SIDECAR KV_CLEANUP(kv_age_sidecar_free)

char *kv_age_sidecar_path(const char *path); /* NULL: memory is short. kv_text_free */
bool kv_age_sidecar_is_name(const char *name);
/* KV_NOT_FOUND: there is none. KV_BAD_DATA: it is no header. KV_INPUT: it cannot be read. */
KV_MUST_USE enum kv_status kv_age_sidecar_read(const char *path, struct kv_age_sidecar *ret,
                                               struct kv_error *err);
/* The mark of one that stays. */
KV_MUST_USE enum kv_status kv_age_sidecar_mark(struct kv_view header_in_file, struct kv_age_stanza *ret,
                                               struct kv_error *err);
/* One that stays: is it this file's? */
bool kv_age_sidecar_is_of(const struct kv_age_sidecar *sidecar, struct kv_view header_in_file);

#endif
