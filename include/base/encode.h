/* Text and DER forms of bytes. Strict decoders: no white space, no foreign character, no stray bits. Any thread. */
#ifndef KV_BASE_ENCODE_H
#define KV_BASE_ENCODE_H

#include "base/bytes.h"

/* base64url without padding (RFC 4648 §5), standard base64 with padding (§4), lower-case hex. Encoders: NULL when memory is short. */
char *kv_encode_base64url(struct kv_view bytes);
KV_MUST_USE enum kv_status kv_decode_base64url(const char *text, struct kv_bytes *ret); /* KV_BAD_DATA */
char *kv_encode_base64(struct kv_view bytes);
KV_MUST_USE enum kv_status kv_decode_base64(const char *text, struct kv_bytes *ret);
/* The standard alphabet without padding, as age writes it. */
char *kv_encode_base64_raw(struct kv_view bytes);
KV_MUST_USE enum kv_status kv_decode_base64_raw(const char *text, struct kv_bytes *ret);
void kv_encode_hex(struct kv_view bytes, char *ret); /* ret has room for 2 * len + 1 */
KV_MUST_USE enum kv_status kv_decode_hex(const char *text, struct kv_bytes *ret);
/* application/x-www-form-urlencoded and path segments: everything but A–Z a–z 0–9 - . _ ~ becomes %XX. */
char *kv_encode_percent(const char *text);

/* One DER element: header and contents (X.690). */
KV_MUST_USE enum kv_status kv_der_wrap(unsigned char tag, struct kv_view contents, struct kv_bytes *ret);
/* The same, appended; an unsigned big-endian number as an INTEGER: shortest, and never negative. */
KV_MUST_USE enum kv_status kv_der_add(unsigned char tag, struct kv_view contents, struct kv_buffer *ret);
KV_MUST_USE enum kv_status kv_der_add_unsigned(struct kv_view number, struct kv_buffer *ret);
/* Reads one element with this tag from the front of *rest and moves *rest behind it; definite, minimal lengths only. KV_BAD_DATA. */
KV_MUST_USE enum kv_status kv_der_read(struct kv_view *rest, unsigned char tag, struct kv_view *ret_contents);

/* ECDSA signatures: raw r‖s, each `width` bytes (PKCS#11 §6.3.12), to and from the DER SEQUENCE of OpenSSL. */
KV_MUST_USE enum kv_status kv_ecdsa_to_der(struct kv_view raw, struct kv_bytes *ret);
KV_MUST_USE enum kv_status kv_ecdsa_from_der(struct kv_view der, size_t width, struct kv_bytes *ret);

#endif
