#include <strings.h>
#include "clock.h"
#include "log.h"

/* Some 1.5 kB each. */
enum { KEEP = 50000 };

void em_log_init(struct em_log *log)
{
    pthread_mutex_init(&log->lock, NULL);
    log->entries = em_json(json_array());
}

void em_log_free(struct em_log *log)
{
    json_decref(log->entries);
    pthread_mutex_destroy(&log->lock);
}

/* Text from the network may be no UTF-8. */
static json_t *text(const char *value)
{
    if (!value)
        return json_null();
    json_t *string = json_string(value);
    return string ? string : em_json(json_string("(not UTF-8)"));
}

void em_log_add(struct em_log *log, const struct em_log_entry *entry)
{
    const struct em_request *request = entry->request;
    const char *authorization = em_request_header(request, "Authorization");
    json_t *line = em_json(json_object());
    json_object_set_new(line, "n", json_null());
    json_object_set_new(line, "time", json_real((double)em_clock_ms() / 1000.0));
    json_object_set_new(line, "kind", text(entry->kind));
    json_object_set_new(line, "method", text(request->method));
    json_object_set_new(line, "host", text(request->host));
    json_object_set_new(line, "path", text(request->path));
    json_object_set_new(line, "query", text(request->query));
    json_object_set_new(line, "status", json_integer(entry->status));
    json_object_set_new(line, "identity", text(entry->identity));
    json_object_set_new(line, "has_body", json_boolean(request->body_length > 0));
    json_object_set_new(line, "bearer",
                        json_boolean(authorization && strncasecmp(authorization, "Bearer ", 7) == 0));
    json_object_set_new(line, "client_request_id",
                        text(em_request_header(request, "x-ms-client-request-id")));
    json_object_set_new(line, "request_id", text(entry->request_id));
    json_object_set_new(line, "connection", json_integer((json_int_t)request->connection));
    json_object_set_new(line, "user_agent", text(em_request_header(request, "User-Agent")));
    json_object_set_new(line, "fault", text(entry->fault));
    json_object_set_new(line, "claims", text(entry->claims));
    pthread_mutex_lock(&log->lock);
    json_object_set_new(line, "n", json_integer(++log->number));
    if (json_array_size(log->entries) >= KEEP)
        json_array_clear(log->entries);
    json_array_append_new(log->entries, line);
    pthread_mutex_unlock(&log->lock);
}

json_t *em_log_get(struct em_log *log)
{
    pthread_mutex_lock(&log->lock);
    json_t *copy = em_json(json_copy(log->entries));
    pthread_mutex_unlock(&log->lock);
    return copy;
}

void em_log_clear(struct em_log *log)
{
    pthread_mutex_lock(&log->lock);
    json_array_clear(log->entries);
    log->number = 0;
    pthread_mutex_unlock(&log->lock);
}
