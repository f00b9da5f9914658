/* BER (X.690) read element by element from an input of any length: definite and indefinite lengths, octet strings in segments. Never deeper than
 * KV_BER_DEPTH, no element longer than the one around it, no tag above 30. Errors name the byte. The struct is a plain value: a copy of it and
 * kv_cms_input_return lead back to where it was taken. One thread. */
#ifndef KV_TOOLS_CMS_BER_H
#define KV_TOOLS_CMS_BER_H

#include "input.h"

enum { KV_BER_DEPTH = 16 };

/* Identifier octets as CMS uses them. */
enum {
    KV_BER_END = 0x00, /* no further element here */
    KV_BER_BOOLEAN = 0x01,
    KV_BER_INTEGER = 0x02,
    KV_BER_OCTETS = 0x04,
    KV_BER_NULL = 0x05,
    KV_BER_OID = 0x06,
    KV_BER_CONSTRUCTED = 0x20,
    KV_BER_SEQUENCE = 0x30,
    KV_BER_SET = 0x31,
    KV_BER_CONTEXT = 0x80, /* | number | KV_BER_CONSTRUCTED */
};

struct kv_ber {
    struct kv_cms_input *input;
    uint64_t budget; /* position that may not be passed outside kv_ber_stream_read; UINT64_MAX: any */
    struct {
        uint64_t end; /* of the innermost definite length */
        bool indefinite;
    } stack[KV_BER_DEPTH];
    size_t depth;
    unsigned char tag; /* of the element that was read last and whose contents were not */
    bool indefinite;
    uint64_t len;
    size_t floor;  /* of the octet string under way: see kv_ber_stream */
    uint64_t left; /* of its segment */
};

void kv_ber_open(struct kv_cms_input *input, struct kv_ber *ret);

/* The next element's identifier and length; KV_BER_END (once) where the constructed element, or the input, ends. KV_BAD_DATA, KV_IO. */
KV_MUST_USE enum kv_status kv_ber_next(struct kv_ber *ber, struct kv_error *err);
/* kv_ber_next, and it must be this one. `what` for the message: "the list of recipients". */
KV_MUST_USE enum kv_status kv_ber_expect(struct kv_ber *ber, unsigned char tag, const char *what,
                                         struct kv_error *err);
/* Into the constructed element that was just read; out of it after all that it has: KV_BAD_DATA when there is more. */
KV_MUST_USE enum kv_status kv_ber_enter(struct kv_ber *ber, struct kv_error *err);
KV_MUST_USE enum kv_status kv_ber_leave(struct kv_ber *ber, const char *what, struct kv_error *err);
/* Out of it where kv_ber_next has just said KV_BER_END. */
void kv_ber_left(struct kv_ber *ber);
KV_MUST_USE enum kv_status kv_ber_skip(struct kv_ber *ber, struct kv_error *err);

/* The contents of the element that was just read, which must be primitive; of a string, segments together. At most `limit` bytes. */
KV_MUST_USE enum kv_status kv_ber_bytes(struct kv_ber *ber, size_t limit, struct kv_bytes *ret,
                                        struct kv_error *err);
/* The whole element that was just read, identifier and length in their shortest form. KV_BAD_DATA when its length is indefinite. */
KV_MUST_USE enum kv_status kv_ber_whole(struct kv_ber *ber, size_t limit, struct kv_bytes *ret,
                                        struct kv_error *err);

/* The octet string that was just read, whatever its tag, in pieces: fills `to` as far as there is something; less than `room` only at its end. Afterwards
 * the reader is behind it. */
KV_MUST_USE enum kv_status kv_ber_stream(struct kv_ber *ber, struct kv_error *err);
KV_MUST_USE enum kv_status kv_ber_stream_read(struct kv_ber *ber, unsigned char *to, size_t room, size_t *ret,
                                              struct kv_error *err);

/* An error at the byte where the reader is. */
KV_MUST_USE enum kv_status kv_ber_fail(const struct kv_ber *ber, struct kv_error *err, const char *format,
                                       ...) __attribute__((format(printf, 3, 4)));

#endif
