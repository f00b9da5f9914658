/* Client assertions by certificate (contract §14.2). An application has a certificate registered, which the assertion names by its thumbprint; or a
 * subject name and an authority ("SN+I"), and then the assertion brings its certificate and the chain with it (x5c). */
#ifndef EM_ASSERTION_H
#define EM_ASSERTION_H

#include "identity.h"

/* The claims; NULL with a line that says why not. Owned by the caller. */
json_t *em_assertion_verify(const struct em_identity *identity, const char *token, char ret_why[256]);

#endif
