/* Is the caller who its token says, and is the token for this vault? Contract §4. */
#ifndef EM_AUTH_H
#define EM_AUTH_H

#include "call.h"

/* Sets call->identity; false after a 401. */
bool em_auth_check(struct em_call *call);

struct em_grant {
    const char *identity, *audience;
    const char *tenant; /* NULL: the one there is */
    bool managed;       /* a managed identity's: no client credential in the claims */
    bool stale;         /* does not meet what was demanded: refused from the start */
};

/* A token of this emulator's; owned by the caller. NULL: the identity is unknown or signing failed. */
char *em_auth_issue(struct em_world *world, const struct em_grant *grant);

#endif
