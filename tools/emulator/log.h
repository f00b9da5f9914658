/* The request log that tests read. Any thread. */
#ifndef EM_LOG_H
#define EM_LOG_H

#include <pthread.h>
#include <stdbool.h>
#include "http.h"

struct em_log {
    pthread_mutex_t lock;
    json_t *entries;
    json_int_t number;
};

struct em_log_entry {
    const char *kind; /* vault, token, imds */
    const struct em_request *request;
    int status;                                /* 0: the connection was cut */
    const char *identity, *request_id, *fault; /* NULL: none */
    const char *claims;                        /* of a token request */
};

void em_log_init(struct em_log *log);
void em_log_free(struct em_log *log);
void em_log_add(struct em_log *log, const struct em_log_entry *entry);
/* A copy of the array, owned by the caller. */
json_t *em_log_get(struct em_log *log);
void em_log_clear(struct em_log *log);

#endif
