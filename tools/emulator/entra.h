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

#endif
