/* A certificate: the vault's document of one, or a file of them in PEM or DER. */
#include "fuzz.h"
#include "mech/certificate.h"
#include "mech/local.h"
#include "vault_private.h"

static void read_key(struct kv_view spki)
{
    struct kv_public *public = NULL;
    if (kv_public_from_spki(spki, &public, NULL) == KV_OK)
        kv_public_free(public);
}

static void read_der(struct kv_view der)
{
    struct kv_x509 found;
    char name[32];
    if (kv_x509_read(der, &found, NULL) != KV_OK)
        return;
    const struct kv_view inside[] = { found.subject, found.issuer, found.serial, found.spki };
    for (size_t i = 0; i < sizeof inside / sizeof *inside; i++)
        MUST(inside[i].data >= der.data && inside[i].data + inside[i].len <= der.data + der.len);
    struct kv_view bits = kv_x509_key_bits(found.spki);
    MUST(!bits.len ||
         (bits.data >= found.spki.data && bits.data + bits.len <= found.spki.data + found.spki.len));
    kv_x509_common_name(found.subject, name, sizeof name);
    MUST(strnlen(name, sizeof name) < sizeof name);
    read_key(found.spki);
}

static void read_document(const struct kv_json *json)
{
    struct kv_vault_certificate certificate = { 0 };
    if (kv_codec_read_certificate(json, FUZZ_KEY, FUZZ_VERSION, &certificate, NULL) == KV_OK) {
        MUST(certificate.der.len > 0);
        read_der(KV_VIEW(certificate.der));
    }
    kv_vault_certificate_free(&certificate);
}

static void read_file(struct kv_view rest)
{
    for (size_t left = rest.len + 1; rest.len < left;) {
        struct kv_bytes der = { 0 };
        left = rest.len;
        enum kv_status status = kv_x509_next(&rest, &der, NULL);
        if (status == KV_OK && der.data)
            read_der(KV_VIEW(der));
        bool more = der.data || status != KV_OK;
        kv_bytes_free(&der);
        if (!more)
            return;
        MUST(rest.len < left); /* every step is one forward, or a file never ends */
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kv_view text = { data, size };
    struct kv_json *json = NULL;
    if (size && data[0] == '{' && kv_json_parse(text, &json, NULL) == KV_OK)
        read_document(json);
    kv_json_free(json);
    read_der(text);
    read_file(text);
    return 0;
}
