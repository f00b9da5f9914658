/* The key of a certificate in another token as one of age's parties. Its stanza is the one that age itself has for RSA keys of SSH, so that whoever has the private key in a file needs neither the
 * token nor kvp11: `age -d -i key.pem`. One thread. */
#ifndef KV_TOOLS_TOKEN_PARTY_H
#define KV_TOOLS_TOKEN_PARTY_H

#include "age/stanza.h"

/* "ssh-rsa AAAA…": the certificate's key as age and SSH write it. Nobody logs in. KV_UNSUPPORTED: it is no RSA key; or as kv_token_open. kv_text_free. */
KV_MUST_USE enum kv_status kv_token_recipient(const char *uri, char **ret, struct kv_error *err);
/* The token is opened when a file first has a stanza that may be for it, and stays so. KV_ARGUMENTS. */
KV_MUST_USE enum kv_status kv_token_identity(const char *uri, struct kv_age_identity *ret,
                                             struct kv_error *err);

#endif
