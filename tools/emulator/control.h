/* The control API that tests and rehearsals use: plain HTTP and JSON on a port of its own, no authentication. */
#ifndef EM_CONTROL_H
#define EM_CONTROL_H

#include "world.h"

/* Handler for struct em_http_setup; context is the struct em_world. */
void em_control_handle(void *context, struct em_request *request, struct em_reply *reply);

#endif
