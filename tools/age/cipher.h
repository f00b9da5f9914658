/* The cipher of an age payload (C2SP age.md, "Payload"): chunks of 64 KiB under ChaCha20-Poly1305, each with its number and whether it is the last in the nonce.
 * One cipher a thread, for one way; what is worked on stays where it is. */
#ifndef KV_TOOLS_AGE_CIPHER_H
#define KV_TOOLS_AGE_CIPHER_H

#include "primitives.h"

enum { KV_AGE_CHUNK = 64 * 1024, KV_AGE_SEALED_CHUNK = KV_AGE_CHUNK + KV_AGE_TAG };

struct kv_age_cipher;
struct kv_age_cipher *kv_age_cipher_open(const unsigned char key[KV_AGE_KEY],
                                         bool seal); /* NULL: memory is short */
void kv_age_cipher_free(struct kv_age_cipher *cipher);

/* The tag is written behind the `len` bytes. False: OpenSSL fails. */
bool kv_age_cipher_seal(struct kv_age_cipher *cipher, uint64_t number, bool last, unsigned char *data,
                        size_t len);
/* `len` is without the tag, which stands behind. False: these are not the bytes that were sealed so; then they are what they were. */
bool kv_age_cipher_unseal(struct kv_age_cipher *cipher, uint64_t number, bool last, unsigned char *data,
                          size_t len);

#endif
