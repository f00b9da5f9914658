/* The pairs of the matrix that live in a session: OpenSSL's key brought in by C_CreateObject, both halves, told and extractable. */
#ifndef KV_TESTS_P11_MATRIX_SESSION_H
#define KV_TESTS_P11_MATRIX_SESSION_H

#include "matrix.h"

/* Makes both objects in the key's session, with CKA_LABEL and CKA_ID (NULL: none). */
void matrix_session_pair(struct matrix_key *key, const char *label, const char *id);

#endif
