#include "settings.h"

#include <arpa/inet.h>
#include <string.h>

enum { ADDRESS_MOST = 64, HOST_MOST = 256, PATH_MOST = 1000 };

static enum kv_status give(char *text, char **ret)
{
    *ret = text;
    return text ? KV_OK : KV_NO_MEMORY;
}

enum kv_status kv_address_authority(const char *value, char **ret)
{
    KV_AUTO_TEXT char *host = NULL;
    KV_AUTO_TEXT char *full = kv_text_format("%s%s", strstr(value, "://") ? "" : "https://", value);

    return full ? kv_url_normalise(full, "https", ret, &host) : KV_NO_MEMORY;
}

/* With https, or with http at a host that `without` admits. */
static enum kv_status get_head(const char *head, bool (*without)(const char *host), char **ret)
{
    KV_AUTO_TEXT char *host = NULL, *url = NULL;
    enum kv_status status = kv_url_normalise(head, "https", &url, &host);

    if (status == KV_CONFIG) {
        KV_TRY(kv_url_normalise(head, "http", &url, &host));
        status = without(host) ? KV_OK : KV_CONFIG;
    }
    if (status == KV_OK)
        *ret = kv_take(url);
    return status;
}

enum kv_status kv_address_endpoint(const char *value, char **ret)
{
    return get_head(value, kv_url_is_local, ret);
}

/* Which the platform may also have put on a private network without TLS. */
static bool is_near(const char *host)
{
    return kv_url_is_local(host) || kv_url_is_private(host);
}

enum kv_status kv_address_service(const char *value, char **ret)
{
    const char *host = strstr(value, "://");
    const char *path = host ? strchr(host + 3, '/') : NULL;

    if (path && !kv_word_is_made_of(path, "/-._~", PATH_MOST))
        return KV_CONFIG;
    KV_AUTO_TEXT char *head = kv_text_copy_n(value, path ? (size_t)(path - value) : strlen(value)),
                      *url = NULL;
    if (!head)
        return KV_NO_MEMORY;
    KV_TRY(get_head(head, is_near, &url));
    return give(kv_text_format("%s%s", url, path ? path : ""), ret);
}

/* ---- host:port:address ---- */

static bool is_address(const char *text)
{
    unsigned char address[sizeof(struct in6_addr)];
    char bare[ADDRESS_MOST];
    size_t len = strlen(text);

    if (inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1)
        return true;
    if (len < 3 || len > sizeof bare || text[0] != '[' || text[len - 1] != ']')
        return false;
    memcpy(bare, text + 1, len - 2);
    bare[len - 2] = '\0';
    return inet_pton(AF_INET6, bare, address) == 1;
}

static bool is_port(const char *text, size_t len)
{
    unsigned long port = len && len <= 5 && strspn(text, "0123456789") == len ? strtoul(text, NULL, 10) : 0;

    return port >= 1 && port <= 65535;
}

bool kv_address_is_resolve(const char *word)
{
    char host[HOST_MOST];
    size_t host_len = strcspn(word, ":");

    if (!word[host_len] || host_len >= sizeof host)
        return false;
    memcpy(host, word, host_len);
    host[host_len] = '\0';
    word += host_len + 1;
    size_t port_len = strcspn(word, ":");
    return word[port_len] && kv_url_is_host(host) && is_port(word, port_len) &&
           is_address(word + port_len + 1);
}
