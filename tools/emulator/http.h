/* HTTP as the rest of the emulator sees it: a parsed request, a reply to fill in, and listening ports over
 * libmicrohttpd. A handler runs in the thread of its connection and owns its request and reply alone. */
#ifndef EM_HTTP_H
#define EM_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>
#include "util.h"

struct em_field {
    char *name, *value; /* percent-decoded */
};

struct em_fields {
    struct em_field *item;
    size_t count, room;
};

struct em_request {
    char *method, *path, *query; /* path and query as sent; query is "" when there is none */
    char host[256];              /* lower case, without the port */
    int port;                    /* that the client named; 443 or 80 when it named none */
    struct em_fields parameters; /* of the query */
    struct em_fields headers;
    char *body; /* NUL-terminated */
    size_t body_length;
    bool too_large, hang_up;
    uint64_t connection;
};

enum em_ending { EM_COMPLETE, EM_TRUNCATED, EM_CUT, EM_CLOSED /* after the whole reply, unannounced */ };

struct em_reply {
    int status;
    json_t *json;       /* the body, unless text is set */
    char *text;         /* raw body */
    bool sorted;        /* members in alphabetical order */
    bool length_always; /* Content-Length also where HTTP would leave it out (204) */
    struct em_fields headers;
    enum em_ending ending;
};

/* NULL when absent. Header names fold case. */
const char *em_request_header(const struct em_request *request, const char *name);
const char *em_request_parameter(const struct em_request *request, const char *name);

/* "a=1&b=2" in pieces; plus: as in a form. Freed with em_fields_free. */
struct em_fields em_fields_parse(const char *text, bool plus);
const char *em_fields_get(const struct em_fields *fields, const char *name);
void em_fields_add(struct em_fields *fields, const char *name, const char *value);
void em_fields_free(struct em_fields *fields);

void em_reply_header(struct em_reply *reply, const char *name, const char *value);
/* Takes the JSON. */
void em_reply_json(struct em_reply *reply, int status, json_t *json);
void em_reply_text(struct em_reply *reply, int status, const char *type, const char *text);
void em_reply_clear(struct em_reply *reply);

struct em_http; /* one port, on IPv4 and, where the machine has it, IPv6 */
struct em_http_setup {
    const char *address;
    int port;                      /* 0: any free one */
    const char *certificate, *key; /* PEM; NULL: plain HTTP */
    void (*handle)(void *context, struct em_request *request, struct em_reply *reply);
    void *context;
};

/* Binds the sockets, answers nothing yet. NULL with a line for the user. */
struct em_http *em_http_bind(const struct em_http_setup *setup, char ret_why[256]);
int em_http_port(const struct em_http *http);
bool em_http_start(struct em_http *http, char ret_why[256]);
/* Waits for the handlers that run. */
void em_http_free(struct em_http *http);

#endif
