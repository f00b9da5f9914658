/* Wycheproof vectors (C2SP/wycheproof) through the module: a reader and a judge that the test_wycheproof_* programs share. The files are data that the
 * project does not hold: they are read from $KVP11_TEST_DATA/wycheproof. Where they are absent the run says so, and with CI=true fails. */
#ifndef KV_TESTS_P11_WYCHEPROOF_H
#define KV_TESTS_P11_WYCHEPROOF_H

#include "harness.h"

enum verdict {
    ACCEPTED,
    REFUSED, /* with the code that the standard names for bad data, a bad signature, a wrong length */
    NOT_OFFERED, /* the mechanism or its parameter is nothing that the module has, and the code says exactly that */
    DEVIATES /* told already, by `wanted` or `same` */
};

/* One test of a file, and the group that has its key. Borrowed for the length of a check. */
struct vector {
    const struct kv_json *group, *test;
    unsigned group_number; /* another for each group of all files, from 1 */
    int64_t id;
    bool valid, acceptable;
};

/* Runs `check` on every test of a file ("aes_gcm"). A valid vector must be ACCEPTED or NOT_OFFERED, an invalid one REFUSED or NOT_OFFERED; of an
 * acceptable one `acceptable` says what is right. Fails the test at the end when one deviates; prints one line of counts. */
void walk_vectors(const char *file, enum verdict acceptable, enum verdict (*check)(const struct vector *v));

struct kv_bytes vector_bytes(const struct kv_json *from, const char *name); /* hex; kv_bytes_free */
const char *vector_text(const struct kv_json *from, const char *name);

/* Says what is wrong, with the vector's number, and returns false. */
bool wanted(const struct vector *v, const char *what, CK_RV expected, CK_RV rv);
bool same(const struct vector *v, const char *what, struct kv_view expected, struct kv_view got);

/* One whole operation; the output in *ret. CKR_* of the first call that refuses. */
CK_RV run_encrypt(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, struct kv_view in,
                  struct result *ret);
CK_RV run_decrypt(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, struct kv_view in,
                  struct result *ret);

#endif
