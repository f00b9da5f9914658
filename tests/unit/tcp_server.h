/* A web server of a few lines on 127.0.0.1 for tests of the client's transport: plain http, a script of one step a request,
 * in the order they come.  What it saw may be read when it has stopped. */
#ifndef KV_TESTS_TCP_SERVER_H
#define KV_TESTS_TCP_SERVER_H

#include <stddef.h>

struct tcp_step {
    const char *reply;                           /* written as it is; NULL: none */
    enum { TCP_KEEP, TCP_CLOSE, TCP_HOLD } then; /* TCP_HOLD: silent until the server stops */
};

struct tcp_server;
struct tcp_server *tcp_server_start(const struct tcp_step *steps, size_t count);
int tcp_server_port(const struct tcp_server *server);
void tcp_server_wait(struct tcp_server *server, size_t requests); /* until so many have come */
/* Ends it and says what it saw; the texts live until tcp_server_free. */
struct tcp_seen {
    size_t requests, connections;
    const char *last; /* request, with its body */
};
struct tcp_seen tcp_server_stop(struct tcp_server *server);
void tcp_server_free(struct tcp_server *server);

#endif
