/* The certificates of a folder, by public key: read when they are first wanted and again when the folder changed. What cannot be used is told in the log, once
 * a reading, and skipped. One lock inside, held while files are read and over no request. Any thread. */
#ifndef KV_KEYS_CERTIFICATE_FOLDER_H
#define KV_KEYS_CERTIFICATE_FOLDER_H

#include "base/clock.h"
#include "base/log.h"
#include "keys/certificate.h"

struct kv_folder;
/* Nothing is read yet. `path` is borrowed. NULL when memory is short. */
struct kv_folder *kv_folder_new(const char *path, struct kv_log *log, const struct kv_clock *clock);
void kv_folder_free(struct kv_folder *folder);
/* Reads it if it is due; the answers of the others are as of the last time. KV_NO_MEMORY: it could not be read whole, and will be next time. */
KV_MUST_USE enum kv_status kv_folder_refresh(struct kv_folder *folder);
/* The one with this public key that began to be valid last, counted; NULL: none. */
struct kv_certificate *kv_folder_find(struct kv_folder *folder, const unsigned char spki_sha256[32]);
/* Those of authorities. */
KV_MUST_USE enum kv_status kv_folder_authorities(struct kv_folder *folder, struct kv_certificate_list *ret);

#endif
