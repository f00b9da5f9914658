/* A recipient stanza of age v1 (C2SP age.md, "Recipient stanza"): in headers of files, and as the words of the plugin protocol. And the two sides that
 * make and open stanzas. Who got a stanza frees it. One thread each. */
#ifndef KV_TOOLS_AGE_STANZA_H
#define KV_TOOLS_AGE_STANZA_H

#include "base/bytes.h"

enum {
    KV_AGE_FILE_KEY = 16,        /* bytes */
    KV_AGE_COLUMNS = 64,         /* of a full line of a body */
    KV_AGE_BODY_MAX = 48 * 1024, /* bytes of a body: no header has room for more */
    KV_AGE_ARG_LINE_MAX = 64 * 1024
};

struct kv_age_stanza {
    char **args; /* args[0] is the type; then arg_count - 1 more */
    size_t arg_count;
    struct kv_bytes body;
};

void kv_age_stanza_free(struct kv_age_stanza *stanza); /* contents, not the struct; NULL is fine */
void kv_age_stanzas_free(struct kv_age_stanza *stanzas, size_t count); /* each, and the array */
/* KV_ARGUMENTS: no argument, or one that is empty or holds anything but printable ASCII without blanks. */
KV_MUST_USE enum kv_status kv_age_stanza_make(const char *const *args, size_t arg_count, struct kv_view body,
                                              struct kv_age_stanza *ret, struct kv_error *err);
/* Appended as text: "-> args", the body in lines of 64 columns, the last one shorter, perhaps empty. */
KV_MUST_USE enum kv_status kv_age_stanza_add(const struct kv_age_stanza *stanza, struct kv_buffer *ret,
                                             struct kv_error *err);

/* Reads a stanza line by line, the line feeds taken off: zero the struct, feed it until *ret_whole, take the stanza; then it can read the next.
 * KV_BAD_DATA for every line that the grammar does not have. */
struct kv_age_reader {
    struct kv_age_stanza stanza;
    struct kv_buffer body;
};
KV_MUST_USE enum kv_status kv_age_reader_feed(struct kv_age_reader *reader, struct kv_view line,
                                              bool *ret_whole, struct kv_error *err);
struct kv_age_stanza kv_age_reader_take(struct kv_age_reader *reader);
void kv_age_reader_free(struct kv_age_reader *reader);
#define KV_AUTO_AGE_READER KV_CLEANUP(kv_age_reader_free)

/* Base64 as the format has it everywhere. KV_BAD_DATA for a NUL, too. */
KV_MUST_USE enum kv_status kv_age_decode(struct kv_view letters, struct kv_bytes *ret);

/* Whom a file is for: wraps its key into one stanza or several (kv_age_stanzas_free). */
struct kv_age_recipient {
    enum kv_status (*wrap)(void *state, const unsigned char file_key[KV_AGE_FILE_KEY],
                           struct kv_age_stanza **ret, size_t *ret_count, struct kv_error *err);
    void (*free)(void *state); /* NULL: nothing to free */
    void *state;
};
void kv_age_recipient_free(struct kv_age_recipient *recipient); /* zeroes it; NULL is fine */

/* Who may open a file: looks through all its stanzas. *ret_mine = false: none of them is for it, and the status is KV_OK. A stanza that is for it and cannot be
 * opened is *ret_mine = true and a failure. */
struct kv_age_identity {
    enum kv_status (*unwrap)(void *state, const struct kv_age_stanza *stanzas, size_t count,
                             unsigned char ret_file_key[KV_AGE_FILE_KEY], bool *ret_mine,
                             struct kv_error *err);
    void (*free)(void *state); /* NULL: nothing to free */
    void *state;
};
void kv_age_identity_free(struct kv_age_identity *identity); /* zeroes it; NULL is fine */

#endif
