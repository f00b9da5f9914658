/* One-shot faults that tests queue through the control API, and what they do to a reply. Any thread. */
#ifndef EM_FAULT_H
#define EM_FAULT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include "http.h"

enum em_fault_kind {
    EM_FAULT_NONE,
    EM_FAULT_DELAY,
    EM_FAULT_STATUS,
    EM_FAULT_BROKEN_JSON,
    EM_FAULT_TRUNCATE,
    EM_FAULT_CUT_BEFORE,
    EM_FAULT_CUT,
    EM_FAULT_CLOSE,
    EM_FAULT_WRONG_KID,
    EM_FAULT_WRONG_VERSION,
    EM_FAULT_EXPIRED_TOKEN,
    EM_FAULT_UNKNOWN_MEMBERS,
    EM_FAULT_HTML,
    EM_FAULT_BAD_VALUE,
    EM_FAULT_INSUFFICIENT_CLAIMS,
    EM_FAULT_COUNT
};

struct em_fault {
    enum em_fault_kind kind;
    json_t *order; /* as it was queued; owned */
};

struct em_faults {
    pthread_mutex_t lock;
    json_t *queue;
    uint64_t dice; /* of faults that apply by chance */
};

void em_faults_init(struct em_faults *faults);
void em_faults_free(struct em_faults *faults);
/* One object or an array of them; nothing is queued unless all are good. False with a line for the caller. */
bool em_faults_queue(struct em_faults *faults, const json_t *orders, char ret_why[256]);
json_t *em_faults_show(struct em_faults *faults);
void em_faults_clear(struct em_faults *faults);

/* The first queued fault that fits the request, used up by one; kind EM_FAULT_NONE when there is none. `scope` is the
 * vault's name, "login" or "imds". Faults that only make sense for a processed request wait for one with a token. */
struct em_fault em_faults_take(struct em_faults *faults, const struct em_request *request, const char *scope);
void em_fault_free(struct em_fault *fault);
const char *em_fault_name(enum em_fault_kind kind); /* NULL for none */

/* Before the request is processed; true: the reply is complete and nothing else is to happen. */
bool em_fault_before(const struct em_fault *fault, struct em_reply *reply);
/* After it: spoils the reply. */
void em_fault_after(const struct em_fault *fault, struct em_reply *reply);

#endif
