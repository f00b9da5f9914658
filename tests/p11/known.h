/* Keys whose secret half the tests hold, too: made by OpenSSL (now, or long ago: rsa_keys.h) and imported into a vault, so that what the module and the vault
 * make of them can be compared with what OpenSSL makes. One thread. */
#ifndef KV_TESTS_P11_KNOWN_H
#define KV_TESTS_P11_KNOWN_H

#include "harness.h"

#include <openssl/evp.h>

EVP_PKEY *known_ec(const char *crv);      /* JWK name of the curve; EVP_PKEY_free */
const char *known_group(const char *crv); /* as OpenSSL names it */

/* Imports it as a JWK: `ops` is a list of key_ops with commas, NULL for what the vault grants by default. Answers the version like create_key(). */
const char *known_import(const char *vault, const char *name, const EVP_PKEY *key, const char *ops);
const char *known_import_secret(const char *vault, const char *name, struct kv_view value, const char *ops);

#endif
