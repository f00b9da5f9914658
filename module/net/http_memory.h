/* What libraries keep of tokens and plaintexts is wiped when they let it go: the memory of libcurl, which never wipes, and the buffer of opened TLS records,
 * which OpenSSL keeps until the next one. Any thread. */
#ifndef KV_NET_HTTP_MEMORY_H
#define KV_NET_HTTP_MEMORY_H

#include <curl/curl.h>
#include <stdbool.h>

/* curl_global_init with memory that is wiped; where the host has initialized libcurl before, its memory stays as it was. */
CURLcode kv_http_memory_start(void);
/* For each handle; false: out of memory. */
bool kv_http_memory_set_up(CURL *curl);
/* The CURLOPT_SSL_CTX_FUNCTION that it sets, for one that takes its place. */
CURLcode kv_http_memory_cleanse(CURL *curl, void *context, void *user);

#endif
