/* One whole operation of a case of the matrix, input made and result checked by OpenSSL. */
#ifndef KV_TESTS_P11_EXERCISE_H
#define KV_TESTS_P11_EXERCISE_H

#include "reference.h"

/* `operation` is one KV_OP_*. Answers what the module answers; a wrong result, and an operation that goes on after its end, fail the test. */
CK_RV exercise(const struct matrix_case *it, unsigned operation);
const char *exercise_name(unsigned operation); /* "sign" */

/* A data key of the session, 32 bytes that are told: what is wrapped, and what unwrapping gives. */
struct kv_view exercise_value(void);
CK_OBJECT_HANDLE exercise_data_key(CK_SESSION_HANDLE session);
CK_RV exercise_unwrap(const struct matrix_case *it, CK_MECHANISM *mechanism, const struct result *blob,
                      CK_OBJECT_HANDLE *ret);
bool exercise_is_value(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key);

#endif
