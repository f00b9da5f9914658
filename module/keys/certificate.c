#include "keys/certificate.h"

#include <string.h>

static enum kv_status identify(struct kv_certificate *certificate)
{
    KV_AUTO_BYTES struct kv_bytes id = { 0 }, spki = { 0 }, whole = { 0 };
    const struct kv_x509 *facts = &certificate->facts;

    KV_TRY(kv_digest_once("SHA1", kv_x509_key_bits(facts->spki), &id));
    KV_TRY(kv_digest_once("SHA2-256", facts->spki, &spki));
    KV_TRY(kv_digest_once("SHA2-256", KV_VIEW(certificate->der), &whole));
    memcpy(certificate->id, id.data, sizeof certificate->id);
    memcpy(certificate->spki_sha256, spki.data, sizeof certificate->spki_sha256);
    memcpy(certificate->sha256, whole.data, sizeof certificate->sha256);
    kv_x509_common_name(facts->subject, certificate->name, sizeof certificate->name);
    return KV_OK;
}

enum kv_status kv_certificate_new(struct kv_view der, struct kv_certificate **ret, struct kv_error *err)
{
    KV_AUTO_CERTIFICATE struct kv_certificate *certificate = calloc(1, sizeof *certificate);

    if (!certificate)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    certificate->references = 1;
    if (kv_bytes_copy(der, &certificate->der))
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    KV_TRY(kv_x509_read(KV_VIEW(certificate->der), &certificate->facts, err));
    enum kv_status status = identify(certificate);
    if (status)
        return kv_fail(err, status, "a certificate cannot be digested");
    *ret = kv_take(certificate);
    return KV_OK;
}

struct kv_certificate *kv_certificate_ref(const struct kv_certificate *certificate)
{
    struct kv_certificate *same = (struct kv_certificate *)certificate; /* the count is not part of it */

    if (same)
        __atomic_add_fetch(&same->references, 1, __ATOMIC_RELAXED);
    return same;
}

void kv_certificate_free(struct kv_certificate *certificate)
{
    if (!certificate || __atomic_sub_fetch(&certificate->references, 1, __ATOMIC_ACQ_REL))
        return;
    kv_bytes_free(&certificate->der);
    free(certificate);
}

bool kv_certificate_is_of(const struct kv_certificate *certificate, const struct kv_version *version)
{
    return version->spki.len && kv_view_equal(certificate->facts.spki, KV_VIEW(version->spki));
}

void kv_certificate_list_free(struct kv_certificate_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        kv_certificate_free(list->items[i]);
    free(list->items);
    *list = (struct kv_certificate_list){ 0 };
}

/* Room grows when the count reaches a power of two, so that a list needs no member for it. */
enum kv_status kv_certificate_list_add(struct kv_certificate_list *list,
                                       const struct kv_certificate *certificate)
{
    if ((list->count & (list->count - 1)) == 0) {
        size_t room = list->count ? list->count * 2 : 1;
        struct kv_certificate **items = reallocarray(list->items, room, sizeof(*items));

        if (!items)
            return KV_NO_MEMORY;
        list->items = items;
    }
    list->items[list->count++] = kv_certificate_ref(certificate);
    return KV_OK;
}
