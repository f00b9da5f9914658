#include "http_memory.h"

#include "base/bytes.h"

#include <malloc.h>
#include <openssl/ssl.h>
#include <string.h>

/* ---- libcurl's own memory ---- */

static void release(void *block)
{
    if (block)
        kv_wipe(block, malloc_usable_size(block));
    free(block);
}

/* realloc would move a block and leave the old one as it was. */
static void *resize(void *block, size_t size)
{
    size_t before = block ? malloc_usable_size(block) : 0;
    if (block && size && size <= before)
        return block;
    void *other = malloc(size ? size : 1);
    if (!other)
        return NULL;
    if (before)
        memcpy(other, block, before < size ? before : size);
    release(block);
    return other;
}

/* Not strdup: an allocator that the host brings along may replace malloc alone. */
static char *copy(const char *text)
{
    size_t size = strlen(text) + 1;
    char *other = malloc(size);
    return other ? memcpy(other, text, size) : NULL;
}

CURLcode kv_http_memory_start(void)
{
    return curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, release, resize, copy, calloc);
}

/* ---- what TLS has opened ---- */

CURLcode kv_http_memory_cleanse(CURL *curl, void *context, void *user)
{
    (void)curl;
    (void)user;
    SSL_CTX_set_options(context, SSL_OP_CLEANSE_PLAINTEXT);
    return CURLE_OK;
}

/* A libcurl that is built with another TLS library would hand over something else. */
bool kv_http_memory_set_up(CURL *curl)
{
    const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);
    if (!info || !info->ssl_version || strncmp(info->ssl_version, "OpenSSL/3.", strlen("OpenSSL/3.")) != 0)
        return true;
    return !curl_easy_setopt(curl, CURLOPT_SSL_CTX_FUNCTION, kv_http_memory_cleanse);
}
