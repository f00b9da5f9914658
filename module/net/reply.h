/* The reply as it comes in: libcurl's callbacks, without libcurl. One thread a kv_reply. */
#ifndef KV_NET_REPLY_H
#define KV_NET_REPLY_H

#include "net/http.h"

struct kv_reply {
    struct kv_http_reply http;
    struct kv_buffer body; /* its limit is the caller's */
    size_t header_bytes;
    bool head_whole;        /* its blank line has come */
    enum kv_status refused; /* why a callback ended the transfer: KV_PROTOCOL (too large), KV_NO_MEMORY */
};
void kv_reply_free(struct kv_reply *reply);

/* CURLOPT_WRITEFUNCTION and CURLOPT_HEADERFUNCTION: the length given, or 0 to end the transfer. */
size_t kv_reply_body(char *data, size_t one, size_t len, void *reply);
size_t kv_reply_header(char *data, size_t one, size_t len, void *reply);

#endif
