#include "tcp_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 16 };

struct connection {
    struct tcp_server *server;
    int fd;
    pthread_t thread;
    char text[16384];
};

struct tcp_server {
    const struct tcp_step *steps;
    size_t count;
    int listener, port, stop[2];
    pthread_t thread;
    pthread_mutex_t lock; /* seen, last */
    pthread_cond_t more;
    struct tcp_seen seen;
    char last[16384];
    struct connection connections[CONNECTIONS_MAX];
};

/* False when the server is to stop first. */
static bool wait_readable(const struct tcp_server *server, int fd)
{
    struct pollfd fds[2] = { { .fd = server->stop[0], .events = POLLIN }, { .fd = fd, .events = POLLIN } };
    while (poll(fds, 2, -1) >= 0) {
        if (fds[0].revents)
            return false;
        if (fds[1].revents)
            return true;
    }
    return false;
}

static bool whole(const char *text)
{
    const char *end = strstr(text, "\r\n\r\n"), *length = strcasestr(text, "\r\nContent-Length:");
    return end && strlen(end + 4) >= (length ? strtoul(length + 17, NULL, 10) : 0);
}

/* False when the other side has closed, or the server is to stop. */
static bool read_request(struct connection *connection)
{
    size_t len = 0;
    connection->text[0] = 0;
    while (!whole(connection->text)) {
        if (!wait_readable(connection->server, connection->fd))
            return false;
        ssize_t got = recv(connection->fd, connection->text + len, sizeof connection->text - 1 - len, 0);
        if (got <= 0)
            return false;
        len += (size_t)got;
        connection->text[len] = 0;
    }
    return true;
}

static struct tcp_step next_step(struct connection *connection)
{
    struct tcp_server *server = connection->server;
    struct tcp_step step = { NULL, TCP_CLOSE };
    pthread_mutex_lock(&server->lock);
    size_t i = server->seen.requests++;
    if (i < server->count)
        step = server->steps[i];
    memcpy(server->last, connection->text, sizeof server->last);
    pthread_cond_broadcast(&server->more);
    pthread_mutex_unlock(&server->lock);
    return step;
}

static void *serve(void *user)
{
    struct connection *connection = user;
    while (read_request(connection)) {
        struct tcp_step step = next_step(connection);
        if (step.reply && send(connection->fd, step.reply, strlen(step.reply), MSG_NOSIGNAL) < 0)
            break;
        struct pollfd stop = { .fd = connection->server->stop[0], .events = POLLIN };
        if (step.then == TCP_HOLD)
            poll(&stop, 1, -1);
        if (step.then != TCP_KEEP)
            break;
    }
    shutdown(connection->fd, SHUT_RDWR);
    return NULL;
}

static void *run(void *user)
{
    struct tcp_server *server = user;
    while (server->seen.connections < CONNECTIONS_MAX && wait_readable(server, server->listener)) {
        int fd = accept(server->listener, NULL, NULL);
        if (fd < 0)
            continue;
        struct connection *connection = &server->connections[server->seen.connections];
        connection->server = server;
        connection->fd = fd;
        if (pthread_create(&connection->thread, NULL, serve, connection))
            abort();
        server->seen.connections++;
    }
    for (size_t i = 0; i < server->seen.connections; i++) {
        pthread_join(server->connections[i].thread, NULL);
        close(server->connections[i].fd);
    }
    return NULL;
}

struct tcp_server *tcp_server_start(const struct tcp_step *steps, size_t count)
{
    struct tcp_server *server = calloc(1, sizeof *server);
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof address;
    if (!server)
        abort();
    server->steps = steps;
    server->count = count;
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->more, NULL);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (pipe(server->stop) || bind(server->listener, (struct sockaddr *)&address, len) ||
        listen(server->listener, 16) || getsockname(server->listener, (struct sockaddr *)&address, &len) ||
        pthread_create(&server->thread, NULL, run, server))
        abort();
    server->port = ntohs(address.sin_port);
    return server;
}

int tcp_server_port(const struct tcp_server *server)
{
    return server->port;
}

void tcp_server_wait(struct tcp_server *server, size_t requests)
{
    pthread_mutex_lock(&server->lock);
    while (server->seen.requests < requests)
        pthread_cond_wait(&server->more, &server->lock);
    pthread_mutex_unlock(&server->lock);
}

struct tcp_seen tcp_server_stop(struct tcp_server *server)
{
    if (write(server->stop[1], "", 1) != 1)
        abort();
    pthread_join(server->thread, NULL);
    close(server->listener);
    close(server->stop[0]);
    close(server->stop[1]);
    server->seen.last = server->last;
    return server->seen;
}

void tcp_server_free(struct tcp_server *server)
{
    pthread_mutex_destroy(&server->lock);
    pthread_cond_destroy(&server->more);
    free(server);
}
