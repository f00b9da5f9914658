#include "cloud.h"

#include <string.h>

/* clang-format off */
static const struct kv_cloud_row clouds[] = {
    [KV_CLOUD_PUBLIC] = { "public", "vault.azure.net", "managedhsm.azure.net",
        { "login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net" } },
    [KV_CLOUD_CHINA] = { "china", "vault.azure.cn", "managedhsm.azure.cn",
        { "login.partner.microsoftonline.cn", "login.chinacloudapi.cn" } },
    [KV_CLOUD_US_GOVERNMENT] = { "us-government", "vault.usgovcloudapi.net", "managedhsm.usgovcloudapi.net",
        { "login.microsoftonline.us", "login.usgovcloudapi.net" } },
    [KV_CLOUD_BLEU] = { "bleu", NULL, NULL, { "login.sovcloud-identity.fr" } },
    [KV_CLOUD_DELOS] = { "delos", NULL, NULL, { "login.sovcloud-identity.de" } },
    [KV_CLOUD_GOVSG] = { "govsg", NULL, NULL, { "login.sovcloud-identity.sg" } },
};
/* clang-format on */

enum { FIRST = KV_CLOUD_PUBLIC, COUNT = sizeof clouds / sizeof *clouds };

static bool below(const char *host, const char *suffix)
{
    size_t len = strlen(host), end = suffix ? strlen(suffix) : 0;
    return end && len > end + 1 && host[len - end - 1] == '.' && kv_text_equal_case(host + len - end, suffix);
}

const struct kv_cloud_row *kv_cloud_find(enum kv_cloud cloud, const char *vault_host)
{
    if (cloud != KV_CLOUD_AUTO)
        return &clouds[cloud];
    for (int i = FIRST; i < COUNT; i++) {
        if (below(vault_host, clouds[i].vault_suffix) || below(vault_host, clouds[i].hsm_suffix))
            return &clouds[i];
    }
    return NULL;
}

bool kv_cloud_has_authority(const struct kv_cloud_row *cloud, const char *host)
{
    for (int i = FIRST; !cloud && i < COUNT; i++) {
        if (kv_cloud_has_authority(&clouds[i], host))
            return true;
    }
    for (size_t i = 0; cloud && cloud->authorities[i]; i++) {
        if (kv_text_equal_case(cloud->authorities[i], host))
            return true;
    }
    return false;
}
