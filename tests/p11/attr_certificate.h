/* The certificate among the subjects of the attribute tests: made by the vault for a key of its own; what it says OpenSSL reads from its DER. */
#ifndef KV_TESTS_P11_ATTR_CERTIFICATE_H
#define KV_TESTS_P11_ATTR_CERTIFICATE_H

#include "attr_expect.h"

/* To be called before the session looks for it the first time; the label is that of the key. */
struct subject certificate_subject(CK_SESSION_HANDLE session);

void certificate_holder(const struct subject *subject, struct result *ret);
void certificate_issuer(const struct subject *subject, struct result *ret);
void certificate_serial(const struct subject *subject, struct result *ret);
void certificate_check(const struct subject *subject, struct result *ret);

#endif
