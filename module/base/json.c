#include "base/json.h"
#include "json_scan.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* cJSON keeps a node's kind in the low byte and two flags above it; this one is ours: something that belongs
 * in here is missing. */
enum { BROKEN = 1 << 16, KIND = 0xff };

static const cJSON *node_of(const struct kv_json *json)
{
    return (const cJSON *)json;
}

static cJSON *own_node_of(struct kv_json *json)
{
    return (cJSON *)json;
}

static bool is_kind(const struct kv_json *json, int kind)
{
    return json && (node_of(json)->type & KIND) == kind;
}

/* --- parsing --- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted, so that a reply of a hundred thousand members costs no quadratic time. */
static enum kv_status check_members(const cJSON *object, struct kv_error *err)
{
    size_t count = 0;

    for (const cJSON *child = object->child; child; child = child->next)
        count++;
    KV_AUTO_FREE const char **names = count ? calloc(count, sizeof *names) : NULL;
    if (count && !names)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    size_t i = 0;
    for (const cJSON *child = object->child; child; child = child->next)
        names[i++] = child->string;
    if (count)
        qsort(names, count, sizeof *names, compare_names);
    for (i = 1; i < count; i++)
        if (!strcmp(names[i - 1], names[i]))
            return kv_fail(err, KV_PROTOCOL, "JSON with the member '%.64s' twice", names[i]);
    return KV_OK;
}

/* Recursion is bounded by KV_JSON_DEPTH. */
static enum kv_status check_tree(const cJSON *node, struct kv_error *err)
{
    if (cJSON_IsObject(node))
        KV_TRY(check_members(node, err));
    for (const cJSON *child = node->child; child; child = child->next)
        KV_TRY(check_tree(child, err));
    return KV_OK;
}

/* cJSON has one answer for a text that is wrong and for memory that is short. What is wrong stays wrong when it is asked again. */
static struct kv_json *parse(struct kv_view text, const char **ret_end)
{
    cJSON *node = cJSON_ParseWithLengthOpts((const char *)text.data, text.len, ret_end, false);
    return (struct kv_json *)(node ? node
                                   : cJSON_ParseWithLengthOpts((const char *)text.data, text.len, ret_end,
                                                               false));
}

/* cJSON notes the place of a failure in a static that nobody reads: its only state shared by threads. */
enum kv_status kv_json_parse(struct kv_view text, struct kv_json **ret, struct kv_error *err)
{
    size_t at = 0;
    const char *wrong = text.len ? kv_json_scan(text, &at) : "empty", *end = NULL;

    if (wrong)
        return kv_fail(err, KV_PROTOCOL, "not JSON: %s at byte %zu", wrong, at);
    KV_AUTO_JSON struct kv_json *json = parse(text, &end);
    at = end ? (size_t)(end - (const char *)text.data) : 0;
    if (!json)
        return kv_fail(err, KV_PROTOCOL, "not JSON: malformed at byte %zu", at);
    while (at < text.len && text.data[at] <= ' ')
        at++;
    if (at < text.len)
        return kv_fail(err, KV_PROTOCOL, "not JSON: text behind the end at byte %zu", at);
    KV_TRY(check_tree(node_of(json), err));
    *ret = kv_take(json);
    return KV_OK;
}

static void wipe_tree(cJSON *node)
{
    for (; node; node = node->next) {
        if (node->valuestring)
            kv_wipe(node->valuestring, strlen(node->valuestring));
        wipe_tree(node->child);
    }
}

void kv_json_free(struct kv_json *json)
{
    if (!json)
        return;
    wipe_tree(own_node_of(json));
    cJSON_Delete(own_node_of(json));
}

/* --- reading --- */

const struct kv_json *kv_json_get(const struct kv_json *object, const char *name)
{
    if (!kv_json_is_object(object))
        return NULL;
    const struct kv_json *member =
        (const struct kv_json *)cJSON_GetObjectItemCaseSensitive(node_of(object), name);
    return is_kind(member, cJSON_NULL) ? NULL : member;
}

const char *kv_json_text(const struct kv_json *json)
{
    return is_kind(json, cJSON_String) ? node_of(json)->valuestring : NULL;
}

bool kv_json_int(const struct kv_json *json, int64_t *ret)
{
    const double beyond =
        9007199254740992.0; /* 2^53: the first that a double cannot tell from its neighbour */

    if (!is_kind(json, cJSON_Number))
        return false;
    double value = node_of(json)->valuedouble;
    if (!(value > -beyond && value < beyond) || value != (double)(int64_t)value)
        return false;
    *ret = (int64_t)value;
    return true;
}

bool kv_json_bool(const struct kv_json *json, bool *ret)
{
    bool yes = is_kind(json, cJSON_True);

    if (!yes && !is_kind(json, cJSON_False))
        return false;
    *ret = yes;
    return true;
}

bool kv_json_is_object(const struct kv_json *json)
{
    return is_kind(json, cJSON_Object);
}

bool kv_json_is_array(const struct kv_json *json)
{
    return is_kind(json, cJSON_Array);
}

size_t kv_json_count(const struct kv_json *array)
{
    return kv_json_is_array(array) ? (size_t)cJSON_GetArraySize(node_of(array)) : 0;
}

const struct kv_json *kv_json_at(const struct kv_json *array, size_t i)
{
    if (!kv_json_is_array(array) || i > INT_MAX)
        return NULL;
    return (const struct kv_json *)cJSON_GetArrayItem(node_of(array), (int)i);
}

struct kv_json *kv_json_take(struct kv_json *object, const char *name)
{
    if (!kv_json_is_object(object))
        return NULL;
    return (struct kv_json *)cJSON_DetachItemFromObjectCaseSensitive(own_node_of(object), name);
}

bool kv_json_is_empty(const struct kv_json *object)
{
    return kv_json_is_object(object) && !node_of(object)->child;
}

/* --- building --- */

struct kv_json *kv_json_object(void)
{
    return (struct kv_json *)cJSON_CreateObject();
}

struct kv_json *kv_json_array(void)
{
    return (struct kv_json *)cJSON_CreateArray();
}

static void add(struct kv_json *parent, const char *name, struct kv_json *child)
{
    bool broken = !child || own_node_of(child)->type & BROKEN, fits;

    if (!parent || own_node_of(parent)->type & BROKEN) {
        kv_json_free(child);
        return;
    }
    if (name)
        fits = kv_json_is_object(parent) && child &&
               cJSON_AddItemToObject(own_node_of(parent), name, own_node_of(child));
    else
        fits = kv_json_is_array(parent) && child &&
               cJSON_AddItemToArray(own_node_of(parent), own_node_of(child));
    if (!fits)
        kv_json_free(child);
    if (!fits || broken)
        own_node_of(parent)->type |= BROKEN;
}

void kv_json_put(struct kv_json *object, const char *name, struct kv_json *child)
{
    add(object, name ? name : "", child);
}

void kv_json_append(struct kv_json *array, struct kv_json *child)
{
    add(array, NULL, child);
}

static struct kv_json *text_node(const char *text)
{
    return (struct kv_json *)(text ? cJSON_CreateString(text) : cJSON_CreateNull());
}

void kv_json_append_text(struct kv_json *array, const char *text)
{
    kv_json_append(array, text_node(text));
}

void kv_json_put_text(struct kv_json *object, const char *name, const char *text)
{
    kv_json_put(object, name, text_node(text));
}

/* As text: cJSON prints a number of more than 15 digits only roughly. */
void kv_json_put_int(struct kv_json *object, const char *name, int64_t value)
{
    char digits[24];

    snprintf(digits, sizeof digits, "%" PRId64, value);
    kv_json_put(object, name, (struct kv_json *)cJSON_CreateRaw(digits));
}

void kv_json_put_bool(struct kv_json *object, const char *name, bool value)
{
    kv_json_put(object, name, (struct kv_json *)cJSON_CreateBool(value));
}

/* A child may have broken after it was put. */
static bool is_whole(const cJSON *node)
{
    if (node->type & BROKEN)
        return false;
    for (const cJSON *child = node->child; child; child = child->next)
        if (!is_whole(child))
            return false;
    return true;
}

/* Into a buffer of ours: cJSON's own grows by realloc and would leave pieces of secrets behind. */
char *kv_json_print(const struct kv_json *json, bool pretty)
{
    enum { FIRST = 2048, LAST = 1 << 28 };

    if (!json || !is_whole(node_of(json)))
        return NULL;
    for (int room = FIRST; room <= LAST; room *= 2) {
        char *text = calloc(1, (size_t)room);
        if (!text)
            return NULL;
        if (cJSON_PrintPreallocated((cJSON *)(uintptr_t)json, text, room, pretty))
            return text;
        kv_wipe(text, (size_t)room);
        free(text);
    }
    return NULL;
}
