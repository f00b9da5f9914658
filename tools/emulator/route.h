/* Requests to a vault: from path and method to a handler, with all checks that come before it. Contract §2, §3, §6. */
#ifndef EM_ROUTE_H
#define EM_ROUTE_H

#include "call.h"

struct em_route {
    const char *method, *pattern;
    const char *perm;                /* of the identities' PERMS */
    const char *action, *hsm_action; /* as the refusals name it */
    unsigned flags;
    bool (*handle)(struct em_call *call);
    enum em_op op; /* for em_operate */
};

/* Answers the call completely, headers included. */
void em_route_run(struct em_call *call);

#endif
