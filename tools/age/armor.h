/* The ASCII armor of age files (C2SP age.md, "ASCII armor"): PEM as strict as can be. Lines of 64 columns of canonical base64, the last one shorter or not; lines end with LF or CR LF;
 * blanks are passed over in front and behind, up to KV_AGE_ARMOR_BLANKS of them, and nowhere else. In constant memory. One thread at a time. */
#ifndef KV_TOOLS_AGE_ARMOR_H
#define KV_TOOLS_AGE_ARMOR_H

#include "base/bytes.h"

enum { KV_AGE_ARMOR_COLUMNS = 64, KV_AGE_ARMOR_BLANKS = 1024 };

/* What the first bytes of a file say. */
enum kv_age_armor_looks { KV_AGE_ARMOR_NONE, KV_AGE_ARMOR_MAYBE /* too few of them */, KV_AGE_ARMOR_YES };
enum kv_age_armor_looks kv_age_armor_look(struct kv_view start);

/* Taking it off. Zero it. */
struct kv_age_armor_reader {
    bool on; /* there is an armor: set by who has looked */
    enum { KV_AGE_ARMOR_BEFORE, KV_AGE_ARMOR_INSIDE, KV_AGE_ARMOR_LAST, KV_AGE_ARMOR_AFTER } place;
    struct kv_buffer text; /* of a line that has no end yet */
    size_t blanks;
    bool ended;            /* so has the text */
    struct kv_bytes bytes; /* what came out: from `at` on, for whoever reads */
    size_t at;
};
void kv_age_armor_reader_free(
    struct kv_age_armor_reader *reader); /* contents, not the struct; NULL is fine */
#define KV_AUTO_AGE_ARMOR_READER KV_CLEANUP(kv_age_armor_reader_free)
/* The next part of the text; `last`: there is no more. What it holds is put behind what is in `bytes` still. KV_BAD_DATA. */
KV_MUST_USE enum kv_status kv_age_armor_take(struct kv_age_armor_reader *reader, struct kv_view text,
                                             bool last, struct kv_error *err);
/* What the front of an armored file holds; `whole`: it is all of the file. KV_BAD_DATA. */
KV_MUST_USE enum kv_status kv_age_armor_front(struct kv_view text, bool whole, struct kv_bytes *ret,
                                              struct kv_error *err);

/* Putting it on. Zero it. Appended to *ret. KV_NO_MEMORY. */
struct kv_age_armor_writer {
    bool begun;
    unsigned char rest[KV_AGE_ARMOR_COLUMNS / 4 * 3]; /* what makes no full line yet */
    size_t rest_len;
    uint64_t written; /* bytes of text */
};
KV_MUST_USE enum kv_status kv_age_armor_put(struct kv_age_armor_writer *writer, struct kv_view bytes,
                                            struct kv_buffer *ret);
KV_MUST_USE enum kv_status kv_age_armor_end(struct kv_age_armor_writer *writer, struct kv_buffer *ret);

#endif
