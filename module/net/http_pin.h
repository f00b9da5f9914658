/* A peer known by its certificate alone, as Service Fabric's is (contract §14.4). Nothing of such a connection is used again. */
#ifndef KV_NET_HTTP_PIN_H
#define KV_NET_HTTP_PIN_H

#include <curl/curl.h>
#include <stdbool.h>

/* `sha1`, in hex, is borrowed until kv_http_unpin. False: this libcurl cannot do it. */
bool kv_http_pin(CURL *curl, const char *sha1);
void kv_http_unpin(CURL *curl);

#endif
