#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>
#include <microhttpd.h>
#include "http.h"

enum { BODY_MAX = 4 * 1024 * 1024, BIND_TRIES = 50, IDLE_SECONDS = 600, STACK_SIZE = 512 * 1024 };

struct em_http {
    struct em_http_setup setup;
    int port, socket4, socket6;
    struct MHD_Daemon *daemon4, *daemon6;
};

static atomic_uint_fast64_t connections;

const char *em_request_header(const struct em_request *request, const char *name)
{
    return em_fields_get(&request->headers, name);
}

const char *em_request_parameter(const struct em_request *request, const char *name)
{
    return em_fields_get(&request->parameters, name);
}

struct em_fields em_fields_parse(const char *text, bool plus)
{
    struct em_fields fields = { 0 };
    while (*text) {
        size_t length = strcspn(text, "&"), name_length = strcspn(text, "=&");
        AUTO_TEXT name = strndup(text, name_length);
        AUTO_TEXT value =
            name_length < length ? strndup(text + name_length + 1, length - name_length - 1) : strdup("");
        if (!name || !value)
            em_die("out of memory");
        em_unescape(name, plus);
        em_unescape(value, plus);
        if (length)
            em_fields_add(&fields, name, value);
        text += length + (text[length] == '&');
    }
    return fields;
}

const char *em_fields_get(const struct em_fields *fields, const char *name)
{
    for (size_t i = 0; i < fields->count; i++) {
        if (em_same(fields->item[i].name, name))
            return fields->item[i].value;
    }
    return NULL;
}

void em_fields_add(struct em_fields *fields, const char *name, const char *value)
{
    fields->item = em_grow(fields->item, fields->count, &fields->room, sizeof(*fields->item));
    fields->item[fields->count++] = (struct em_field){ em_copy(name), em_copy(value) };
}

void em_fields_free(struct em_fields *fields)
{
    for (size_t i = 0; i < fields->count; i++) {
        free(fields->item[i].name);
        free(fields->item[i].value);
    }
    free(fields->item);
    *fields = (struct em_fields){ 0 };
}

void em_reply_header(struct em_reply *reply, const char *name, const char *value)
{
    em_fields_add(&reply->headers, name, value);
}

void em_reply_json(struct em_reply *reply, int status, json_t *json)
{
    json_decref(reply->json);
    free(reply->text);
    reply->text = NULL;
    reply->json = json;
    reply->status = status;
}

void em_reply_text(struct em_reply *reply, int status, const char *type, const char *text)
{
    em_reply_json(reply, status, NULL);
    reply->text = em_copy(text);
    if (type)
        em_reply_header(reply, "Content-Type", type);
}

void em_reply_clear(struct em_reply *reply)
{
    json_decref(reply->json);
    free(reply->text);
    em_fields_free(&reply->headers);
    *reply = (struct em_reply){ 0 };
}

static void request_free(struct em_request *request)
{
    free(request->method);
    free(request->path);
    free(request->query);
    free(request->body);
    em_fields_free(&request->parameters);
    em_fields_free(&request->headers);
    free(request);
}

/* Called with the request line as sent, before libmicrohttpd decodes it: what it returns becomes the request's state. */
static void *request_begin(void *context, const char *uri, struct MHD_Connection *connection)
{
    struct em_request *request = em_alloc(sizeof(*request));
    size_t length = strcspn(uri, "?");
    request->path = strndup(uri, length);
    if (!request->path)
        em_die("out of memory");
    request->query = em_copy(uri[length] ? uri + length + 1 : "");
    request->parameters = em_fields_parse(request->query, false);
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    request->connection = info && info->socket_context ? *(uint64_t *)info->socket_context : 0;
    return request;
}

static void request_end(void *context, struct MHD_Connection *connection, void **state,
                        enum MHD_RequestTerminationCode why)
{
    struct em_request *request = *state;
    if (request && request->hang_up) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        if (info)
            shutdown(info->connect_fd, SHUT_RDWR);
    }
    if (request)
        request_free(request);
    *state = NULL;
}

static void connection_notify(void *context, struct MHD_Connection *connection, void **state,
                              enum MHD_ConnectionNotificationCode what)
{
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        uint64_t *number = em_alloc(sizeof(*number));
        *number = ++connections;
        *state = number;
        return;
    }
    free(*state);
    *state = NULL;
}

static enum MHD_Result header_add(void *context, enum MHD_ValueKind kind, const char *name, const char *value)
{
    em_fields_add(context, name, value ? value : "");
    return MHD_YES;
}

static void host_parse(struct em_request *request, bool tls)
{
    const char *host = em_request_header(request, "Host");
    request->port = tls ? 443 : 80;
    if (!host)
        return;
    size_t length = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
    if (length > strlen(host) || length >= sizeof(request->host))
        return;
    memcpy(request->host, host, length);
    em_lower(request->host);
    if (host[length] == ':')
        request->port = (int)strtol(host + length + 1, NULL, 10);
}

static bool body_add(struct em_request *request, const char *data, size_t length)
{
    if (request->too_large || request->body_length + length > BODY_MAX) {
        request->too_large = true;
        return false;
    }
    char *longer = realloc(request->body, request->body_length + length + 1);
    if (!longer)
        em_die("out of memory");
    memcpy(longer + request->body_length, data, length);
    request->body = longer;
    request->body_length += length;
    longer[request->body_length] = '\0';
    return true;
}

struct half {
    char *data;
    size_t length;
};

static ssize_t half_read(void *context, uint64_t position, char *out, size_t room)
{
    const struct half *half = context;
    if (position >= half->length)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    size_t length = half->length - position < room ? half->length - position : room;
    memcpy(out, half->data + position, length);
    return (ssize_t)length;
}

static void half_free(void *context)
{
    struct half *half = context;
    free(half->data);
    free(half);
}

static struct MHD_Response *response_make(const struct em_reply *reply, char *body)
{
    size_t length = strlen(body);
    if (reply->ending != EM_TRUNCATED)
        return MHD_create_response_from_buffer(length, body, MHD_RESPMEM_MUST_FREE);
    struct half *half = em_alloc(sizeof(*half));
    *half = (struct half){ body, length / 2 };
    return MHD_create_response_from_callback(length, 4096, half_read, half, half_free);
}

static enum MHD_Result reply_send(struct MHD_Connection *connection, const struct em_reply *reply)
{
    if (reply->ending == EM_CUT)
        return MHD_NO;
    size_t flags = JSON_COMPACT | (reply->sorted ? JSON_SORT_KEYS : 0) | JSON_ENCODE_ANY;
    char *body = reply->text   ? em_copy(reply->text)
                 : reply->json ? json_dumps(reply->json, flags)
                               : em_copy("");
    if (!body)
        em_die("out of memory");
    struct MHD_Response *response = response_make(reply, body);
    if (!response)
        return MHD_NO;
    for (size_t i = 0; i < reply->headers.count; i++)
        MHD_add_response_header(response, reply->headers.item[i].name, reply->headers.item[i].value);
    if (reply->length_always) {
        MHD_set_response_options(response, MHD_RF_INSANITY_HEADER_CONTENT_LENGTH, MHD_RO_END);
        MHD_add_response_header(response, "Content-Length", "0");
    }
    enum MHD_Result result = MHD_queue_response(connection, (unsigned)reply->status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data, size_t *length,
                                  void **state)
{
    struct em_http *http = context;
    struct em_request *request = *state;
    if (!request->method) {
        request->method = em_copy(method);
        MHD_get_connection_values(connection, MHD_HEADER_KIND, header_add, &request->headers);
        host_parse(request, http->setup.certificate != NULL);
        return MHD_YES;
    }
    if (*length) {
        body_add(request, data, *length);
        *length = 0;
        return MHD_YES;
    }
    struct em_reply reply = { .status = 500 };
    if (request->too_large)
        em_reply_text(&reply, 413, "text/plain", "request body too large\n");
    else
        http->setup.handle(http->setup.context, request, &reply);
    request->hang_up = reply.ending == EM_CLOSED;
    enum MHD_Result result = reply_send(connection, &reply);
    em_reply_clear(&reply);
    return result;
}

static int socket_bind(const struct sockaddr *address, socklen_t length)
{
    int one = 1;
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (address->sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
    if (bind(fd, address, length) == 0 && listen(fd, 256) == 0)
        return fd;
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

static int bind4(const char *address, int port, int *ret_port)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    socklen_t length = sizeof(in);
    errno = EINVAL;
    int fd =
        inet_pton(AF_INET, address, &in.sin_addr) == 1 ? socket_bind((struct sockaddr *)&in, sizeof(in)) : -1;
    if (fd >= 0 && getsockname(fd, (struct sockaddr *)&in, &length) == 0)
        *ret_port = ntohs(in.sin_port);
    return fd;
}

/* ::1 goes with 127.0.0.1 only. -1 with EADDRINUSE: try another port; any other error: the machine has no IPv6. */
static int bind6(const char *address, int port)
{
    struct sockaddr_in6 in = { .sin6_family = AF_INET6,
                               .sin6_port = htons((uint16_t)port),
                               .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    errno = EAFNOSUPPORT;
    return strcmp(address, "127.0.0.1") == 0 ? socket_bind((struct sockaddr *)&in, sizeof(in)) : -1;
}

struct em_http *em_http_bind(const struct em_http_setup *setup, char ret_why[256])
{
    struct em_http *http = em_alloc(sizeof(*http));
    *http = (struct em_http){ .setup = *setup, .socket4 = -1, .socket6 = -1 };
    for (int i = 0; i < BIND_TRIES; i++) {
        http->socket4 = bind4(setup->address, setup->port, &http->port);
        if (http->socket4 < 0)
            break;
        http->socket6 = bind6(setup->address, http->port);
        if (http->socket6 >= 0 || errno != EADDRINUSE)
            return http;
        close(http->socket4);
        http->socket4 = -1;
        errno = EADDRINUSE;
        if (setup->port)
            break;
    }
    snprintf(ret_why, 256, "cannot listen on %s port %d: %s", setup->address, setup->port, strerror(errno));
    em_http_free(http);
    return NULL;
}

int em_http_port(const struct em_http *http)
{
    return http->port;
}

static struct MHD_Daemon *daemon_start(struct em_http *http, int fd, bool six)
{
    const struct MHD_OptionItem tls[] = {
        { MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)http->setup.certificate },
        { MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)http->setup.key },
        { MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t) "NORMAL:-VERS-TLS1.0:-VERS-TLS1.1" },
        { MHD_OPTION_END, 0, NULL },
    };
    const struct MHD_OptionItem none[] = { { MHD_OPTION_END, 0, NULL } };
    unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL |
                     MHD_USE_SUPPRESS_DATE_NO_CLOCK | (http->setup.certificate ? MHD_USE_TLS : 0) |
                     (six ? MHD_USE_IPv6 : 0);
    return MHD_start_daemon(flags, 0, NULL, NULL, on_request, http, MHD_OPTION_LISTEN_SOCKET, fd,
                            MHD_OPTION_URI_LOG_CALLBACK, request_begin, NULL, MHD_OPTION_NOTIFY_COMPLETED,
                            request_end, NULL, MHD_OPTION_NOTIFY_CONNECTION, connection_notify, NULL,
                            MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS,
                            MHD_OPTION_THREAD_STACK_SIZE, (size_t)STACK_SIZE, MHD_OPTION_CONNECTION_LIMIT,
                            2000u, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)131072, MHD_OPTION_ARRAY,
                            http->setup.certificate ? tls : none, MHD_OPTION_END);
}

bool em_http_start(struct em_http *http, char ret_why[256])
{
    http->daemon4 = daemon_start(http, http->socket4, false);
    if (http->daemon4)
        http->socket4 = -1;
    if (http->socket6 >= 0) {
        http->daemon6 = daemon_start(http, http->socket6, true);
        http->socket6 = http->daemon6 ? -1 : http->socket6;
    }
    if (http->daemon4)
        return true;
    snprintf(ret_why, 256, "cannot start the server on port %d", http->port);
    return false;
}

void em_http_free(struct em_http *http)
{
    if (!http)
        return;
    if (http->daemon4)
        MHD_stop_daemon(http->daemon4);
    if (http->daemon6)
        MHD_stop_daemon(http->daemon6);
    if (http->socket4 >= 0)
        close(http->socket4);
    if (http->socket6 >= 0)
        close(http->socket6);
    free(http);
}
