/* Where a command's result goes: a file that appears whole or not at all, or a stream (standard output, a pipe, a device), where every byte is given away as it is
 * written. The file has mode 0600 and no name before it is committed, so that nothing is left of it when the program dies; then it takes the place of
 * what was there. One thread. */
#ifndef KV_TOOLS_OUTPUT_H
#define KV_TOOLS_OUTPUT_H

#include "base/bytes.h"

struct kv_output;

/* `path` NULL or "-": the standard output. A link to a file is refused: whose place would be taken, the link's or the file's? KV_IO, KV_ARGUMENTS. */
KV_MUST_USE enum kv_status kv_output_open(const char *path, struct kv_output **ret, struct kv_error *err);
void kv_output_free(struct kv_output *output); /* what was not committed is gone; NULL is fine */
KV_DEFINE_CLEANUP(struct kv_output, kv_output_free)
#define KV_AUTO_OUTPUT KV_CLEANUP(kv_output_free_cleanup)

/* Does nobody see anything before the commit? False: a stream, which may only be given what may be released. */
bool kv_output_holds(const struct kv_output *output);
/* For those who write by themselves, and say so when it fails. */
int kv_output_fd(const struct kv_output *output);
const char *kv_output_name(const struct kv_output *output); /* its path; or "the standard output" */
uint64_t kv_output_written(const struct kv_output *output); /* bytes, by kv_output_write */
bool kv_output_is_terminal(const struct kv_output *output);
/* Before `part` is written by whoever does that: a file from somebody else could tell a terminal anything, so a terminal gets text alone. KV_ARGUMENTS. */
KV_MUST_USE enum kv_status kv_output_shows(struct kv_output *output, struct kv_view part,
                                           struct kv_error *err);
/* kv_output_shows is asked. */
KV_MUST_USE enum kv_status kv_output_write(struct kv_output *output, struct kv_view bytes,
                                           struct kv_error *err);
/* Forgets what was written: only where nobody has seen it. */
KV_MUST_USE enum kv_status kv_output_restart(struct kv_output *output, struct kv_error *err);
/* On disk with its folder, then in its place. Once; a stream has nothing left to do. */
KV_MUST_USE enum kv_status kv_output_commit(struct kv_output *output, struct kv_error *err);

#endif
