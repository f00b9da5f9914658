/* What PKCS#11 3.0 and design §7 want each class of object to say, restated here on purpose: the module's own rules may not be their own judge. Subjects are
 * objects whose material OpenSSL holds, too. One thread. */
#ifndef KV_TESTS_P11_ATTR_EXPECT_H
#define KV_TESTS_P11_ATTR_EXPECT_H

#include "matrix.h"

enum {
    ON_PRIVATE = 1 << 0,
    ON_PUBLIC = 1 << 1,
    ON_SECRET = 1 << 2,
    ON_CERTIFICATE = 1 << 3,
    ON_KEYS = ON_PRIVATE | ON_PUBLIC | ON_SECRET,
    ON_STORED = ON_KEYS | ON_CERTIFICATE,
    ON_PROFILE = 1 << 4,
    ON_MECHANISM = 1 << 5,
    ON_FIXED = ON_PROFILE | ON_MECHANISM, /* found only by who names their class */
    ON_CLASSES = ON_STORED | ON_FIXED,
    ON_PAIR = ON_PRIVATE | ON_PUBLIC,
    /* and only if: */
    ON_VAULT = 1 << 8,
    ON_SESSION = 1 << 9,
    ON_RSA = 1 << 10,
    ON_EC = 1 << 11
};

struct subject {
    const char *label;
    unsigned nature; /* one class and what holds of it */
    CK_SESSION_HANDLE session;
    CK_OBJECT_HANDLE object;
    const struct matrix_key *key; /* the material; its name is not the label */
    const char *name, *version;   /* in a vault */
    const char *start, *end;      /* CK_DATE, or "" */
};
size_t subjects(const struct subject **ret);
int subjects_start(void **state); /* group fixture; matrix_stop ends it */

/* How a value is known. */
enum expect_how {
    IS_FALSE,
    IS_TRUE,
    IS_VALUE,  /* `value` makes it */
    IS_SOME,   /* there, and not empty; looked at by a test of its own */
    IS_HIDDEN, /* CKR_ATTRIBUTE_SENSITIVE */
    IS_ABSENT, /* could be, and is not: CKR_ATTRIBUTE_TYPE_INVALID */
    IS_OPTION  /* may be left out; else as `value` makes it */
};
struct expected {
    CK_ATTRIBUTE_TYPE type;
    unsigned on;
    enum expect_how how;
    void (*value)(const struct subject *subject, struct result *ret);
};
size_t expectations(const struct expected **ret);
/* The row for this attribute of this object; NULL: it has no such attribute. */
const struct expected *expectation(const struct subject *subject, CK_ATTRIBUTE_TYPE type);
/* Its value; false where the row tells none. */
bool expected_value(const struct subject *subject, const struct expected *row, struct result *ret);

#endif
