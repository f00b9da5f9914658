/* JSON from strangers and for them. Parsing is bounded (size by the caller, depth 32, no NUL in strings, UTF-8, no trailing
 * text, no duplicate members at one level); readers are NULL-safe, so a chain of kv_json_get needs one check at its end. A tree belongs to who
 * parsed or made it; nodes inside are borrowed. One thread a tree. */
#ifndef KV_BASE_JSON_H
#define KV_BASE_JSON_H

#include "base/bytes.h"

struct kv_json;

KV_MUST_USE enum kv_status kv_json_parse(struct kv_view text, struct kv_json **ret,
                                         struct kv_error *err); /* KV_PROTOCOL */
void kv_json_free(struct kv_json *json);
KV_DEFINE_CLEANUP(struct kv_json, kv_json_free)
#define KV_AUTO_JSON KV_CLEANUP(kv_json_free_cleanup)

const struct kv_json *kv_json_get(const struct kv_json *object,
                                  const char *name);        /* exact name; NULL: absent or null */
const char *kv_json_text(const struct kv_json *json);       /* NULL: not a string */
bool kv_json_int(const struct kv_json *json, int64_t *ret); /* false: not a whole number within ±2^53 */
bool kv_json_bool(const struct kv_json *json, bool *ret);   /* false: not a boolean */
bool kv_json_is_object(const struct kv_json *json);
bool kv_json_is_array(const struct kv_json *json);
size_t kv_json_count(const struct kv_json *array);
const struct kv_json *kv_json_at(const struct kv_json *array, size_t i);

/* Takes a member out of its object, with its whole tree; NULL: there is none. */
struct kv_json *kv_json_take(struct kv_json *object, const char *name);
bool kv_json_is_empty(const struct kv_json *object); /* an object, and nothing is left in it */

/* Builders: a NULL tree or memory that ran out makes every later call a no-op and kv_json_print return NULL. `kv_json_put` and
 * `kv_json_append` take over the child. */
struct kv_json *kv_json_object(void);
struct kv_json *kv_json_array(void);
void kv_json_put(struct kv_json *object, const char *name, struct kv_json *child);
void kv_json_append(struct kv_json *array, struct kv_json *child);
void kv_json_append_text(struct kv_json *array, const char *text);
void kv_json_put_text(struct kv_json *object, const char *name, const char *text); /* NULL text: null */
void kv_json_put_int(struct kv_json *object, const char *name, int64_t value);
void kv_json_put_bool(struct kv_json *object, const char *name, bool value);
char *kv_json_print(const struct kv_json *json, bool pretty); /* kv_text_free; NULL when memory is short */

#endif
