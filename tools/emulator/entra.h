/* The directory's token endpoint (client secret, client assertion), its discovery documents, and the instance
 * metadata service. Contract §14. */
#ifndef EM_ENTRA_H
#define EM_ENTRA_H

#include "world.h"

/* Each answers the request completely; ret_identity (128 bytes) is who asked, for the log. */
void em_entra_handle(struct em_world *world, const struct em_request *request, struct em_reply *reply,
                     char ret_identity[128]);
void em_imds_handle(struct em_world *world, const struct em_request *request, struct em_reply *reply,
                    char ret_identity[128]);

/* For the metadata service's likes: a token of this identity, or a refusal. */
void em_imds_grant(struct em_world *world, struct em_reply *reply, const char *identity,
                   const char *resource);
/* App Service and the others of machine.c. False: it is none of theirs. */
bool em_machine_handle(struct em_world *world, const struct em_request *request, struct em_reply *reply,
                       char ret_identity[128]);

#endif
