/* Bytes travel as kv_view (borrowed) or kv_bytes (owned, wiped when freed); text that grows is a kv_buffer. Any thread. */
#ifndef KV_BASE_BYTES_H
#define KV_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/cleanup.h"
#include "base/status.h"

struct kv_view {
    const unsigned char *data;
    size_t len;
};

struct kv_bytes {
    unsigned char *data;
    size_t len;
    bool locked; /* in memory for key values: base/locked.h */
};

#define KV_VIEW(bytes) ((struct kv_view){ (bytes).data, (bytes).len })
#define KV_AUTO_BYTES  KV_CLEANUP(kv_bytes_free)

struct kv_view kv_view_text(const char *text);         /* without the NUL; NULL is empty */
struct kv_view kv_view_minimal(struct kv_view number); /* without the zeros in front */
bool kv_view_equal(struct kv_view a, struct kv_view b);
bool kv_view_equal_ct(struct kv_view a, struct kv_view b); /* constant time for equal lengths: secrets */

KV_MUST_USE enum kv_status kv_bytes_alloc(size_t len,
                                          struct kv_bytes *ret); /* zeroed; len 0 gives data != NULL */
KV_MUST_USE enum kv_status kv_bytes_copy(struct kv_view from, struct kv_bytes *ret);
void kv_bytes_free(struct kv_bytes *bytes); /* wipes, frees, zeroes the struct; NULL is fine */
struct kv_bytes kv_bytes_take(struct kv_bytes *bytes);
void kv_wipe(void *data, size_t len);

/* NULL when memory is short. kv_text_free wipes: for secrets as text. */
char *kv_text_copy(const char *text);
char *kv_text_copy_n(const char *text, size_t len);
char *kv_text_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
void kv_text_free(char *text);
static inline void kv_text_free_cleanup(char **text)
{
    kv_text_free(*text);
}
#define KV_AUTO_TEXT KV_CLEANUP(kv_text_free_cleanup)

/* Copies text into an array of `size` bytes; false (and an empty array) when it does not fit. */
bool kv_text_fit(char *ret, size_t size, const char *text);
bool kv_text_equal_case(const char *a, const char *b);     /* ASCII case-folded */
bool kv_text_match(const char *pattern, const char *text); /* `*` and `?`, ASCII case-folded */

/* Names from files and replies may stand in it: afterwards it is one line, and drives no terminal. */
void kv_text_one_line(char *text);
/* A name as a shell reads it: as it is, or in ticks, for a command that is printed to be pasted: kv_word(version->vault).text. */
struct kv_word {
    char text[1024]; /* of what is longer nothing is left but a hint */
};
struct kv_word kv_word(const char *name);
/* How many bytes the character at its front has, as UTF-8; 0: it is none. */
size_t kv_view_character(struct kv_view text);
/* What is no UTF-8 becomes '?': for JSON, which has nothing else. */
void kv_text_utf8(char *text);

/* Grows to `limit` at the most (0: no limit); after a failure every call fails and nothing is lost but the tail. */
struct kv_buffer {
    struct kv_bytes bytes; /* len is what is filled; one NUL always follows */
    size_t room, limit;
    bool failed;
    bool locked; /* set before the first byte: as in base/locked.h */
};
KV_MUST_USE enum kv_status kv_buffer_add(struct kv_buffer *buffer, struct kv_view more);
KV_MUST_USE enum kv_status kv_buffer_format(struct kv_buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void kv_buffer_free(struct kv_buffer *buffer);
#define KV_AUTO_BUFFER KV_CLEANUP(kv_buffer_free)

#endif
