#include "http_pin.h"

#include "base/bytes.h"
#include "base/encode.h"
#include "http_memory.h"

#include <openssl/evp.h>
#include <openssl/ssl.h>

/* Takes the place of the whole verification: 1 for the certificate that was pinned. */
static int verify(X509_STORE_CTX *context, void *user)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    char hex[2 * EVP_MAX_MD_SIZE + 1];
    unsigned len = 0;
    const X509 *certificate = X509_STORE_CTX_get0_cert(context);
    bool same = false;
    if (certificate && X509_digest(certificate, EVP_sha1(), digest, &len)) {
        kv_encode_hex((struct kv_view){ digest, len }, hex);
        same = kv_text_equal_case(hex, user);
    }
    X509_STORE_CTX_set_error(context, same ? X509_V_OK : X509_V_ERR_CERT_REJECTED);
    return same;
}

static CURLcode set_context(CURL *curl, void *context, void *user)
{
    SSL_CTX_set_cert_verify_callback(context, verify, user);
    return kv_http_memory_cleanse(curl, context, NULL);
}

/* Without a session to resume, for resuming passes over the certificate. */
bool kv_http_pin(CURL *curl, const char *sha1)
{
    bool set = !curl_easy_setopt(curl, CURLOPT_SSL_CTX_FUNCTION, set_context) &&
               !curl_easy_setopt(curl, CURLOPT_SSL_CTX_DATA, sha1) &&
               !curl_easy_setopt(curl, CURLOPT_SSL_SESSIONID_CACHE, 0L) &&
               !curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, 1L) &&
               !curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
    if (!set)
        kv_http_unpin(curl);
    return set;
}

void kv_http_unpin(CURL *curl)
{
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(curl, CURLOPT_SSL_CTX_DATA, (void *)NULL);
    curl_easy_setopt(curl, CURLOPT_SSL_SESSIONID_CACHE, 1L);
    curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, 0L);
    curl_easy_setopt(curl, CURLOPT_SSL_CTX_FUNCTION, (curl_ssl_ctx_callback)NULL);
    (void)!kv_http_memory_set_up(curl);
}
