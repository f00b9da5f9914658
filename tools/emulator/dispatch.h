/* The three ports' entry points: faults, latency, the right service, the log. */
#ifndef EM_DISPATCH_H
#define EM_DISPATCH_H

#include "world.h"

/* Handlers for struct em_http_setup; context is the struct em_world. */
void em_dispatch_tls(void *context, struct em_request *request,
                     struct em_reply *reply); /* vaults, directory */
void em_dispatch_imds(void *context, struct em_request *request, struct em_reply *reply);

#endif
