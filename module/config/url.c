#include "settings.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { HOST_MOST = 253, LABEL_MOST = 63 };

static bool is_label(const char *label, size_t len)
{
    if (!len || len > LABEL_MOST || label[0] == '-' || label[len - 1] == '-')
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = label[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-'))
            return false;
    }
    return true;
}

/* "1", "127.1" and "0x7f000001" are addresses to libcurl and names to others: only the form that nobody mistakes. */
static bool is_odd_address(const char *host)
{
    const char *dot = strrchr(host, '.'), *last = dot ? dot + 1 : host;
    struct in_addr address;

    bool hex = !strncasecmp(last, "0x", 2) && !last[2 + strspn(last + 2, "0123456789abcdefABCDEF")];
    return (hex || !last[strspn(last, "0123456789")]) && inet_pton(AF_INET, host, &address) != 1;
}

bool kv_url_is_host(const char *host)
{
    if (strlen(host) > HOST_MOST || is_odd_address(host))
        return false;
    for (;;) {
        size_t len = strcspn(host, ".");
        if (!is_label(host, len))
            return false;
        if (!host[len])
            return true;
        host += len + 1;
    }
}

bool kv_url_is_local(const char *host)
{
    struct in_addr address;

    if (inet_pton(AF_INET, host, &address) == 1) {
        uint32_t bits = ntohl(address.s_addr);
        return bits >> 24 == 127 || bits >> 16 == (169u << 8 | 254u);
    }
    return kv_text_equal_case(host, "localhost") || kv_text_match("*.localhost", host);
}

bool kv_url_is_private(const char *host)
{
    struct in_addr address;

    if (inet_pton(AF_INET, host, &address) != 1)
        return false;
    uint32_t bits = ntohl(address.s_addr);
    return bits >> 24 == 10 || bits >> 20 == (172u << 4 | 1u) || bits >> 16 == (192u << 8 | 168u);
}

/* "" or ":port", and at most one slash behind it. */
static bool get_port(const char *text, long *ret)
{
    size_t digits;

    *ret = 0;
    if (*text == ':') {
        digits = strspn(++text, "0123456789");
        if (!digits || digits > 5)
            return false;
        *ret = strtol(text, NULL, 10);
        if (*ret < 1 || *ret > 65535)
            return false;
        text += digits;
    }
    return !*text || !strcmp(text, "/");
}

static void to_lower(char *text)
{
    for (; *text; text++)
        if (*text >= 'A' && *text <= 'Z')
            *text += 'a' - 'A';
}

enum kv_status kv_url_normalise(const char *text, const char *scheme, char **ret_url, char **ret_host)
{
    size_t scheme_len = strlen(scheme);
    long port, usual = strcmp(scheme, "http") ? 443 : 80;

    if (strncasecmp(text, scheme, scheme_len) || strncmp(text + scheme_len, "://", 3))
        return KV_CONFIG;
    text += scheme_len + 3;
    size_t host_len = strcspn(text, ":/");
    if (!get_port(text + host_len, &port))
        return KV_CONFIG;
    KV_AUTO_TEXT char *host = kv_text_copy_n(text, host_len);
    if (!host)
        return KV_NO_MEMORY;
    if (!kv_url_is_host(host))
        return KV_CONFIG;
    to_lower(host);
    bool plain = !port || port == usual;
    char *url =
        plain ? kv_text_format("%s://%s", scheme, host) : kv_text_format("%s://%s:%ld", scheme, host, port);
    if (!url)
        return KV_NO_MEMORY;
    *ret_url = url;
    *ret_host = kv_take(host);
    return KV_OK;
}
