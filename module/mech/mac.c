#include "mech/local.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include "base/ossl.h"
#include "mech_private.h"

struct kv_mac {
    EVP_MAC_CTX *context;
};

KV_DEFINE_CLEANUP(struct kv_mac, kv_mac_free)

/* Fetched once, as digests and ciphers are (fetch.c), and like them tried again when that failed. */
static EVP_MAC *fetch(void)
{
    static EVP_MAC *hmac;
    EVP_MAC *mac = __atomic_load_n(&hmac, __ATOMIC_ACQUIRE), *none = NULL;
    OSSL_LIB_CTX *context = mac ? NULL : kv_ossl_context();

    if (context && (mac = EVP_MAC_fetch(context, "HMAC", NULL)) &&
        !__atomic_compare_exchange_n(&hmac, &none, mac, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        EVP_MAC_free(mac);
        mac = none;
    }
    return mac;
}

enum kv_status kv_mac_open(const char *evp, struct kv_view key, struct kv_mac **ret)
{
    static const unsigned char nothing;
    OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)evp, 0),
                            OSSL_PARAM_construct_end() };

    EVP_MAC *hmac = fetch();
    if (!hmac || !kv_fetch_md(evp))
        return KV_INTERNAL;
    KV_CLEANUP(kv_mac_free_cleanup) struct kv_mac *mac = calloc(1, sizeof *mac);
    if (!mac)
        return KV_NO_MEMORY;
    mac->context = EVP_MAC_CTX_new(hmac);
    if (!mac->context)
        return KV_NO_MEMORY;
    /* A NULL key would mean "the one of before". */
    if (EVP_MAC_init(mac->context, key.data ? key.data : &nothing, key.len, params) != 1)
        return KV_INTERNAL;
    *ret = kv_take(mac);
    return KV_OK;
}

enum kv_status kv_mac_update(struct kv_mac *mac, struct kv_view data)
{
    return EVP_MAC_update(mac->context, data.data, data.len) == 1 ? KV_OK : KV_INTERNAL;
}

enum kv_status kv_mac_final(struct kv_mac *mac, struct kv_bytes *ret)
{
    unsigned char value[EVP_MAX_MD_SIZE];
    size_t len = 0;

    if (EVP_MAC_final(mac->context, value, &len, sizeof value) != 1)
        return KV_INTERNAL;
    enum kv_status status = kv_bytes_copy((struct kv_view){ value, len }, ret);
    kv_wipe(value, sizeof value);
    return status;
}

void kv_mac_free(struct kv_mac *mac)
{
    if (!mac)
        return;
    EVP_MAC_CTX_free(mac->context);
    free(mac);
}
