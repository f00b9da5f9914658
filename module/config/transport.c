#include "settings.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <string.h>

static const char *const digits = "0123456789";

/* With its port, for libcurl's usual one (1080) is not what people expect of http. A name and password have no place in a file that others may
 * read: they can stand in the environment. */
enum kv_status kv_transport_proxy(const char *value, char **ret)
{
    static const char *const schemes[] = { "http", "socks5", "socks5h" };

    if (!strcmp(value, "environment") || !strcmp(value, "none"))
        return (*ret = kv_text_copy(value)) ? KV_OK : KV_NO_MEMORY;
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        KV_AUTO_TEXT char *url = NULL, *host = NULL;
        enum kv_status status = kv_url_normalise(value, schemes[i], &url, &host);
        if (status == KV_CONFIG)
            continue;
        if (status != KV_OK)
            return status;
        const char *port = strrchr(value, ':') + 1;
        if (*port == '/')
            return KV_CONFIG;
        *ret = kv_text_format("%s://%s:%.*s", schemes[i], host, (int)strspn(port, digits), port);
        return *ret ? KV_OK : KV_NO_MEMORY;
    }
    return KV_CONFIG;
}

/* Of 32 bytes: 43 characters and one to fill up. */
static bool is_pin(const char *word)
{
    static const char *const base64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    static const char head[] = "sha256//";
    enum { CHARACTERS = 43 };

    if (strncmp(word, head, strlen(head)) != 0)
        return false;
    word += strlen(head);
    return strspn(word, base64) == CHARACTERS && !strcmp(word + CHARACTERS, "=");
}

enum kv_status kv_transport_pins(const char *value, char **ret)
{
    KV_CLEANUP(kv_words_free) struct kv_pair_list list = { 0 };
    KV_AUTO_BUFFER struct kv_buffer text = { 0 };

    KV_TRY(kv_words_split(value, " \t\n,;", &list));
    for (size_t i = 0; i < list.count; i++) {
        if (!is_pin(list.items[i]))
            return KV_CONFIG;
        KV_TRY(kv_buffer_format(&text, "%s%s", i ? ";" : "", list.items[i]));
    }
    if (!list.count)
        return KV_CONFIG;
    return (*ret = kv_text_copy((const char *)text.bytes.data)) ? KV_OK : KV_NO_MEMORY;
}

enum kv_status kv_transport_interface(const char *value, char **ret)
{
    unsigned char address[sizeof(struct in6_addr)];
    bool is_name = *value && strlen(value) < IF_NAMESIZE && !strpbrk(value, "/:! \t");

    if (!is_name && inet_pton(AF_INET, value, address) != 1 && inet_pton(AF_INET6, value, address) != 1)
        return KV_CONFIG;
    return (*ret = kv_text_copy(value)) ? KV_OK : KV_NO_MEMORY;
}
