/* Addresses: a nextLink, a kid, an address in the configuration. Each line of the input is one. */
#include "fuzz.h"
#include "same_host.h"
#include "settings.h"
#include "vault_private.h"

static void read_kid(const char *text)
{
    struct kv_kid kid;
    struct kv_error err = { 0 };
    if (kv_kid_parse(text, &kid, &err) != KV_OK) {
        MUST(err.text[0] && fuzz_is_line(err.text));
        return;
    }
    MUST(kv_kid_name_valid(kid.name));
    MUST(!kid.version[0] || kv_kid_version_valid(kid.version));
    MUST(*kid.host && !strpbrk(kid.host, "/?#@:%\\ "));
}

static void read_link(const char *text)
{
    static const struct {
        const char *vault, *host, *port;
    } vaults[] = { { FUZZ_VAULT, FUZZ_HOST, "443" }, { FUZZ_VAULT ":8443", FUZZ_HOST, "8443" } };
    for (size_t i = 0; i < sizeof vaults / sizeof *vaults; i++)
        if (kv_kid_same_origin(text, vaults[i].vault)) {
            MUST(fuzz_goes_to(text, vaults[i].host, vaults[i].port));
            MUST(!strpbrk(text, "\r\n\t \"<>\\")); /* it will stand in a request line */
        }
}

static void read_setting(const char *text)
{
    static const char *const schemes[] = { "https", "http" };
    for (size_t i = 0; i < 2; i++) {
        char *url = NULL, *host = NULL;
        if (kv_url_normalise(text, schemes[i], &url, &host) != KV_OK)
            continue;
        MUST(kv_url_is_host(host));
        const char *port = strchr(strstr(url, "://") + 3, ':');
        if (!i)
            MUST(fuzz_goes_to(url, host, port ? port + 1 : "443"));
        MUST(strlen(url) <= strlen(host) + strlen("https://:65535"));
        kv_text_free(url);
        kv_text_free(host);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    text[strcspn(text, "\n")] = 0;
    read_kid(text);
    read_link(text);
    read_setting(text);
    (void)kv_url_is_local(text);
    free(text);
    return 0;
}
