#include "net/probe.h"

#include "base/ossl.h"
#include "http_memory.h"
#include "http_private.h"

#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

static int64_t seconds_of(const ASN1_TIME *time)
{
    struct tm parts;
    return time && ASN1_TIME_to_tm(time, &parts) ? timegm(&parts) : 0;
}

/* Printable or "?": it comes from a stranger and goes to a terminal. */
static void copy_printable(const unsigned char *text, size_t len, char *ret, size_t size)
{
    size_t at = 0;
    for (; at < len && at + 1 < size; at++)
        ret[at] = (char)(text[at] > ' ' - 1 && text[at] < 0x7f ? text[at] : '?');
    ret[at] = 0;
}

static void common_name(const X509_NAME *name, char *ret, size_t size)
{
    int at = name ? X509_NAME_get_index_by_NID(name, NID_commonName, -1) : -1;
    const ASN1_STRING *text = at < 0 ? NULL : X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
    if (text)
        copy_printable(ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text), ret, size);
}

static void dns_names(const X509 *certificate, char *ret, size_t size)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    size_t used = 0;
    for (int i = 0; names && i < sk_GENERAL_NAME_num(names); i++) {
        int type = 0;
        const ASN1_STRING *text = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &type);
        size_t len = type == GEN_DNS ? (size_t)ASN1_STRING_length(text) : 0;
        if (!len || used + len + 3 > size)
            continue;
        if (used) {
            memcpy(ret + used, ", ", 2);
            used += 2;
        }
        copy_printable(ASN1_STRING_get0_data(text), len, ret + used, size - used);
        used += len;
    }
    GENERAL_NAMES_free(names);
}

/* Called by OpenSSL at each step of the handshake. */
static void note_handshake(const SSL *ssl, int where, int value)
{
    struct kv_http_peer *peer = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    (void)value;
    if (!(where & SSL_CB_HANDSHAKE_DONE) || peer->shaken)
        return;
    X509 *certificate = SSL_get1_peer_certificate(ssl);
    peer->shaken = true;
    kv_text_fit(peer->tls, sizeof peer->tls, SSL_get_version(ssl));
    if (!certificate)
        return;
    common_name(X509_get_subject_name(certificate), peer->subject, sizeof peer->subject);
    common_name(X509_get_issuer_name(certificate), peer->issuer, sizeof peer->issuer);
    dns_names(certificate, peer->names, sizeof peer->names);
    peer->not_before = seconds_of(X509_get0_notBefore(certificate));
    peer->not_after = seconds_of(X509_get0_notAfter(certificate));
    X509_free(certificate);
}

static CURLcode watch(CURL *curl, void *context, void *user)
{
    SSL_CTX_set_app_data((SSL_CTX *)context, user);
    SSL_CTX_set_info_callback(context, note_handshake);
    return kv_http_memory_cleanse(curl, context, NULL);
}

/* Without verification: what is wrong with the certificate can only be told when it has been seen. */
static bool set_up(const struct kv_http_errand *errand, struct kv_http_peer *peer)
{
    CURL *c = errand->handle->curl;
    return kv_http_set_request(errand, kv_deadline_left(errand->deadline)) &&
           !curl_easy_setopt(c, CURLOPT_CONNECT_ONLY, 1L) &&
           !curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 0L) &&
           !curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 0L) &&
           !curl_easy_setopt(c, CURLOPT_SSL_CTX_DATA, peer) &&
           !curl_easy_setopt(c, CURLOPT_SSL_CTX_FUNCTION, watch);
}

static void note_way(const struct kv_http_handle *handle, CURLcode code, struct kv_http_peer *peer)
{
    double named = 0, connected = 0;
    char *address = NULL;
    curl_easy_getinfo(handle->curl, CURLINFO_NAMELOOKUP_TIME, &named);
    curl_easy_getinfo(handle->curl, CURLINFO_CONNECT_TIME, &connected);
    curl_easy_getinfo(handle->curl, CURLINFO_PRIMARY_IP, &address);
    peer->connected = connected > 0 || peer->shaken;
    peer->named = peer->connected || (named > 0 && code != CURLE_COULDNT_RESOLVE_HOST);
    if (address)
        kv_text_fit(peer->address, sizeof peer->address, address);
}

static enum kv_status probe(const struct kv_http_errand *errand, struct kv_http_peer *peer,
                            struct kv_error *err)
{
    if (!errand->handle || !set_up(errand, peer))
        return kv_fail(err, KV_NO_MEMORY, "a connection cannot be set up: out of memory");
    CURLcode code = curl_easy_perform(errand->handle->curl);
    note_way(errand->handle, code, peer);
    return code ? kv_http_fail_transfer(&(struct kv_http_failure){ errand, code, false }, err) : KV_OK;
}

enum kv_status kv_http_probe(struct kv_http *http, const char *url, struct kv_deadline deadline,
                             struct kv_http_peer *ret, struct kv_error *err)
{
    *ret = (struct kv_http_peer){ 0 };
    struct kv_ossl_guard guard = kv_ossl_enter();
    struct kv_http_request request = { .method = "GET", .url = url };
    struct kv_http_errand errand = { http, kv_http_handle_new(http), &request, deadline };
    enum kv_status status = probe(&errand, ret, err);
    kv_http_handle_free(errand.handle);
    kv_ossl_leave(&guard);
    return status;
}
