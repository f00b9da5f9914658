/* Bech32 (BIP 173) as age uses it: no limit of 90 characters, only one of our own; text of one case, the checksum over its lower case. Any thread. */
#ifndef KV_TOOLS_AGE_BECH32_H
#define KV_TOOLS_AGE_BECH32_H

#include "base/bytes.h"

/* A recipient with the public key of a version in it has some 700 characters. */
enum { KV_BECH32_TEXT_MAX = 8192, KV_BECH32_HRP_MAX = 83 };

/* `hrp` (the part before the separator "1") in lower case. NULL: a prefix that BIP 173 does not allow, a text that would be too long, or memory is short.
 * kv_text_free. */
char *kv_bech32_encode(const char *hrp, struct kv_view data, bool upper);
/* KV_BAD_DATA: letters, case, checksum, stray bits, length. `ret_hrp` comes in lower case. */
KV_MUST_USE enum kv_status kv_bech32_decode(const char *text, char *ret_hrp, size_t hrp_size,
                                            struct kv_bytes *ret);

#endif
