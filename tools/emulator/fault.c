#include <string.h>
#include <strings.h>
#include "clock.h"
#include "fault.h"

static const struct {
    const char *name;
    bool bearer; /* waits for a request with a token */
} kinds[EM_FAULT_COUNT] = {
    [EM_FAULT_DELAY] = { "delay", false },
    [EM_FAULT_STATUS] = { "status", false },
    [EM_FAULT_BROKEN_JSON] = { "broken_json", false },
    [EM_FAULT_TRUNCATE] = { "truncate", false },
    [EM_FAULT_CUT_BEFORE] = { "cut_before", false },
    [EM_FAULT_CUT] = { "cut", false },
    [EM_FAULT_CLOSE] = { "close", false },
    [EM_FAULT_WRONG_KID] = { "wrong_kid", true },
    [EM_FAULT_WRONG_VERSION] = { "wrong_version", true },
    [EM_FAULT_EXPIRED_TOKEN] = { "expired_token", true },
    [EM_FAULT_UNKNOWN_MEMBERS] = { "unknown_members", true },
    [EM_FAULT_HTML] = { "html", false },
    [EM_FAULT_BAD_VALUE] = { "bad_value", true },
    [EM_FAULT_INSUFFICIENT_CLAIMS] = { "insufficient_claims", true },
};

void em_faults_init(struct em_faults *faults)
{
    pthread_mutex_init(&faults->lock, NULL);
    faults->queue = em_json(json_array());
}

void em_faults_free(struct em_faults *faults)
{
    json_decref(faults->queue);
    pthread_mutex_destroy(&faults->lock);
}

const char *em_fault_name(enum em_fault_kind kind)
{
    return kinds[kind].name;
}

static enum em_fault_kind kind_of(const char *name)
{
    for (int i = EM_FAULT_NONE + 1; name && i < EM_FAULT_COUNT; i++) {
        if (strcmp(kinds[i].name, name) == 0)
            return (enum em_fault_kind)i;
    }
    return EM_FAULT_NONE;
}

static json_int_t number(const json_t *order, const char *name, json_int_t otherwise)
{
    const json_t *value = json_object_get(order, name);
    return value ? json_integer_value(value) : otherwise;
}

static bool order_good(const json_t *order)
{
    static const struct {
        const char *name;
        json_type type;
    } members[] = {
        { "kind", JSON_STRING },    { "method", JSON_STRING },    { "host", JSON_STRING },
        { "path", JSON_STRING },    { "count", JSON_INTEGER },    { "skip", JSON_INTEGER },
        { "ms", JSON_INTEGER },     { "status", JSON_INTEGER },   { "body", JSON_STRING },
        { "headers", JSON_OBJECT }, { "operation", JSON_STRING }, { "percent", JSON_INTEGER },
        { "bearer", JSON_TRUE },    { "claims", JSON_OBJECT },
    };
    size_t known = 0;
    for (size_t i = 0; i < EM_COUNT(members); i++) {
        const json_t *value = json_object_get(order, members[i].name);
        if (value && json_typeof(value) != members[i].type &&
            !(members[i].type == JSON_TRUE && json_is_false(value)))
            return false;
        known += value != NULL;
    }
    enum em_fault_kind kind = kind_of(json_string_value(json_object_get(order, "kind")));
    json_int_t status = json_integer_value(json_object_get(order, "status"));
    json_int_t percent = number(order, "percent", 100);
    return known == json_object_size(order) && kind != EM_FAULT_NONE && percent >= 1 && percent <= 100 &&
           (kind != EM_FAULT_STATUS || (status >= 200 && status <= 599));
}

bool em_faults_queue(struct em_faults *faults, const json_t *orders, char ret_why[256])
{
    AUTO_JSON list =
        json_is_array(orders) ? json_deep_copy(orders) : em_json(json_pack("[o]", json_deep_copy(orders)));
    size_t i;
    json_t *order;
    json_array_foreach(list, i, order)
    {
        if (!order_good(order)) {
            snprintf(ret_why, 256, "fault %zu is malformed or its kind unknown", i + 1);
            return false;
        }
        json_object_set_new(order, "count", json_integer(number(order, "count", 1)));
        json_object_set_new(order, "skip", json_integer(number(order, "skip", 0)));
    }
    pthread_mutex_lock(&faults->lock);
    json_array_extend(faults->queue, list);
    pthread_mutex_unlock(&faults->lock);
    return true;
}

json_t *em_faults_show(struct em_faults *faults)
{
    pthread_mutex_lock(&faults->lock);
    json_t *copy = em_json(json_deep_copy(faults->queue));
    pthread_mutex_unlock(&faults->lock);
    return copy;
}

void em_faults_clear(struct em_faults *faults)
{
    pthread_mutex_lock(&faults->lock);
    json_array_clear(faults->queue);
    pthread_mutex_unlock(&faults->lock);
}

/* "list", "versions", "get"; what changes a key by its method; everything that is posted by the last part of its path: "sign", "rotate", "token". */
static const char *operation_of(const struct em_request *request, char ret[32])
{
    static const char *const methods[][2] = {
        { "GET", "get" }, { "PUT", "import" }, { "PATCH", "update" }, { "DELETE", "delete" }
    };
    const char *last = strrchr(request->path, '/');
    snprintf(ret, 32, "%s", last ? last + 1 : "");
    if (em_same(request->method, "GET") && last == request->path)
        return "list";
    for (size_t i = 0; i < EM_COUNT(methods); i++) {
        if (em_same(request->method, methods[i][0]) && strcasecmp(ret, "versions") != 0 &&
            strcasecmp(ret, "token") != 0)
            return methods[i][1];
    }
    return ret;
}

static bool fits(const json_t *order, const struct em_request *request, const char *scope)
{
    const char *method = json_string_value(json_object_get(order, "method"));
    const char *host = json_string_value(json_object_get(order, "host"));
    const char *path = json_string_value(json_object_get(order, "path"));
    const char *authorization = em_request_header(request, "Authorization");
    bool bearer = authorization && strncasecmp(authorization, "Bearer ", 7) == 0;
    const char *operation = json_string_value(json_object_get(order, "operation"));
    const json_t *wanted = json_object_get(order, "bearer");
    enum em_fault_kind kind = kind_of(json_string_value(json_object_get(order, "kind")));
    char own[32];
    return (!method || em_same(method, request->method)) && (!host || em_same(host, scope)) &&
           (!path || strcasestr(request->path, path)) && (bearer || !kinds[kind].bearer) &&
           (!wanted || json_is_true(wanted) == bearer) &&
           (!operation || strcasecmp(operation, operation_of(request, own)) == 0);
}

static void set_number(json_t *order, const char *name, json_int_t value)
{
    json_object_set_new(order, name, json_integer(value));
}

/* The same run of choices in every process (Knuth's constants), so that a run can be repeated. Lock held. */
static bool chosen(struct em_faults *faults, json_int_t percent)
{
    if (percent >= 100)
        return true;
    faults->dice = faults->dice * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (json_int_t)((faults->dice >> 33) % 100) < percent;
}

struct em_fault em_faults_take(struct em_faults *faults, const struct em_request *request, const char *scope)
{
    struct em_fault fault = { 0 };
    size_t i;
    json_t *order;
    pthread_mutex_lock(&faults->lock);
    json_array_foreach(faults->queue, i, order)
    {
        json_int_t skip = number(order, "skip", 0), count = number(order, "count", 1);
        if (!fits(order, request, scope))
            continue;
        if (skip > 0) {
            set_number(order, "skip", skip - 1);
            continue;
        }
        if (!chosen(faults, number(order, "percent", 100)))
            continue;
        fault.kind = kind_of(json_string_value(json_object_get(order, "kind")));
        fault.order = em_json(json_deep_copy(order));
        set_number(order, "count", count - 1);
        if (count <= 1)
            json_array_remove(faults->queue, i);
        break;
    }
    pthread_mutex_unlock(&faults->lock);
    return fault;
}

void em_fault_free(struct em_fault *fault)
{
    json_decref(fault->order);
    *fault = (struct em_fault){ 0 };
}

static void answer_status(const json_t *order, struct em_reply *reply)
{
    const char *body = json_string_value(json_object_get(order, "body"));
    json_t *headers = json_object_get(order, "headers"), *value;
    const char *name;
    em_reply_text(reply, (int)number(order, "status", 500), NULL, body ? body : "");
    json_object_foreach(headers, name, value)
    {
        if (json_is_string(value))
            em_reply_header(reply, name, json_string_value(value));
    }
    if (!json_object_get(headers, "Content-Type"))
        em_reply_header(reply, "Content-Type", "application/json; charset=utf-8");
}

bool em_fault_before(const struct em_fault *fault, struct em_reply *reply)
{
    static const char html[] = "<!DOCTYPE html><html><head><title>Sign in to the network</title></head>"
                               "<body><h1>Sign in</h1></body></html>";
    if (fault->kind == EM_FAULT_DELAY)
        em_clock_pause(number(fault->order, "ms", 1000));
    if (fault->kind == EM_FAULT_STATUS)
        answer_status(fault->order, reply);
    if (fault->kind == EM_FAULT_HTML)
        em_reply_text(reply, 200, "text/html; charset=utf-8", html);
    if (fault->kind == EM_FAULT_CUT_BEFORE)
        reply->ending = EM_CUT;
    return fault->kind == EM_FAULT_STATUS || fault->kind == EM_FAULT_HTML ||
           fault->kind == EM_FAULT_CUT_BEFORE;
}

static void break_json(struct em_reply *reply)
{
    char *text = reply->json ? json_dumps(reply->json, JSON_COMPACT) : em_copy("{\"value\":");
    if (!text)
        em_die("out of memory");
    text[strlen(text) * 2 / 3] = '\0';
    free(reply->text);
    reply->text = text;
}

static void set_text(json_t *object, const char *name, char *text)
{
    json_object_set_new(object, name, em_json(json_string(text)));
    free(text);
}

/* "https://host/keys/NAME/VERSION": another name, or a version with its first digit changed. */
static char *other_kid(const char *kid, bool version)
{
    const char *name = strstr(kid, "/keys/");
    if (!name)
        return em_copy(kid);
    name += strlen("/keys/");
    const char *slash = strchr(name, '/');
    if (!version || !slash)
        return em_format("%.*sanother-%s", (int)(name - kid), kid, name);
    return em_format("%.*s%c%s", (int)(slash + 1 - kid), kid, slash[1] == '0' ? '1' : '0', slash + 2);
}

static void change_kid(json_t *body, bool version)
{
    json_t *key = json_object_get(body, "key");
    json_t *holder = key ? key : body;
    const char *kid = json_string_value(json_object_get(holder, "kid"));
    if (kid)
        set_text(holder, "kid", other_kid(kid, version));
}

static void add_unknown(json_t *value)
{
    const char *name;
    size_t i;
    json_t *member;
    json_array_foreach(value, i, member) add_unknown(member);
    if (!json_is_object(value))
        return;
    json_object_foreach(value, name, member) add_unknown(member);
    json_object_update_new(
        value, em_json(json_pack("{s:s, s:i, s:f, s:b, s:n, s:[i,s], s:{s:{s:[]}}}", "zUnknownText", "x",
                                 "zUnknownNumber", -7, "zUnknownReal", 1.5, "zUnknownFlag", 1, "zUnknownNull",
                                 "zUnknownList", 1, "two", "zUnknownObject", "a", "b")));
}

static void flip_value(json_t *body)
{
    const json_t *value = json_object_get(body, "value");
    AUTO_BLOB bytes = { 0 };
    if (json_is_boolean(value))
        json_object_set_new(body, "value", json_boolean(!json_is_true(value)));
    if (!json_is_string(value) || !em_unbase64url(json_string_value(value), &bytes) || !bytes.len)
        return;
    bytes.data[bytes.len / 2] ^= 1;
    set_text(body, "value", em_base64url(bytes.data, bytes.len));
}

void em_fault_after(const struct em_fault *fault, struct em_reply *reply)
{
    if (fault->kind == EM_FAULT_BROKEN_JSON)
        break_json(reply);
    if (fault->kind == EM_FAULT_TRUNCATE)
        reply->ending = EM_TRUNCATED;
    if (fault->kind == EM_FAULT_CUT)
        reply->ending = EM_CUT;
    if (fault->kind == EM_FAULT_CLOSE)
        reply->ending = EM_CLOSED;
    if (fault->kind == EM_FAULT_WRONG_KID || fault->kind == EM_FAULT_WRONG_VERSION)
        change_kid(reply->json, fault->kind == EM_FAULT_WRONG_VERSION);
    if (fault->kind == EM_FAULT_UNKNOWN_MEMBERS && reply->json)
        add_unknown(reply->json);
    if (fault->kind == EM_FAULT_BAD_VALUE)
        flip_value(reply->json);
}
