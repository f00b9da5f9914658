#include "seal.h"

#include "ber.h"
#include "cipher.h"
#include "base/encode.h"
#include "mech/local.h"

enum { INNER = KV_BER_CONTEXT | KV_BER_CONSTRUCTED };

void kv_cms_sealed_key_free(struct kv_cms_sealed_key *sealed)
{
    kv_bytes_free(&sealed->issuer);
    kv_bytes_free(&sealed->serial);
    kv_bytes_free(&sealed->key);
}

void kv_cms_seal_free(struct kv_cms_seal *seal)
{
    kv_bytes_free(&seal->key);
    for (size_t i = 0; i < seal->count; i++)
        kv_cms_sealed_key_free(&seal->recipients[i]);
    seal->count = 0;
}

static enum kv_status no_memory(struct kv_error *err)
{
    return kv_fail(err, KV_NO_MEMORY, "out of memory");
}

enum kv_status kv_cms_seal_start(struct kv_cms_seal *ret, struct kv_error *err)
{
    *ret = (struct kv_cms_seal){ 0 };
    if (kv_bytes_alloc(kv_cms_aes256_gcm.key_len, &ret->key) != KV_OK)
        return no_memory(err);
    return kv_random_bytes(ret->key.data, ret->key.len) == KV_OK
               ? KV_OK
               : kv_fail(err, KV_INTERNAL, "no random bytes");
}

static enum kv_status add_small(unsigned char number, struct kv_buffer *ret)
{
    return kv_der_add(KV_BER_INTEGER, (struct kv_view){ &number, 1 }, ret);
}

/* KeyTransRecipientInfo: version 2 goes with a key identifier, version 0 with issuer and serial number. */
static enum kv_status add_recipient(const struct kv_cms_sealed_key *sealed, struct kv_buffer *ret)
{
    KV_AUTO_BUFFER struct kv_buffer names = { 0 }, members = { 0 };
    KV_AUTO_BYTES struct kv_bytes transport = { 0 };
    KV_TRY(kv_cms_transport_write(&transport));
    if (sealed->key_id_len) {
        KV_TRY(add_small(2, &members));
        KV_TRY(kv_der_add(KV_BER_CONTEXT, (struct kv_view){ sealed->key_id, sealed->key_id_len }, &members));
    } else {
        KV_TRY(kv_buffer_add(&names, KV_VIEW(sealed->issuer)));
        KV_TRY(kv_buffer_add(&names, KV_VIEW(sealed->serial)));
        KV_TRY(add_small(0, &members));
        KV_TRY(kv_der_add(KV_BER_SEQUENCE, KV_VIEW(names.bytes), &members));
    }
    KV_TRY(kv_buffer_add(&members, KV_VIEW(transport)));
    KV_TRY(kv_der_add(KV_BER_OCTETS, KV_VIEW(sealed->key), &members));
    return kv_der_add(KV_BER_SEQUENCE, KV_VIEW(members.bytes), ret);
}

/* EncryptedContentInfo and the tag behind it. */
static enum kv_status add_content(const struct kv_cms_seal *seal, struct kv_view plain, struct kv_buffer *ret,
                                  struct kv_error *err)
{
    unsigned char nonce[KV_CMS_NONCE], tag[KV_CMS_TAG_MAX];
    KV_AUTO_BUFFER struct kv_buffer members = { 0 };
    KV_AUTO_BYTES struct kv_bytes algorithm = { 0 }, cipher = { 0 };
    if (kv_random_bytes(nonce, sizeof(nonce)) != KV_OK)
        return kv_fail(err, KV_INTERNAL, "no random bytes");
    KV_TRY(kv_bytes_alloc(plain.len, &cipher));
    KV_TRY(kv_cms_seal_content(KV_VIEW(seal->key), nonce, plain, cipher.data, tag, err));
    KV_TRY(kv_cms_content_write((struct kv_view){ nonce, sizeof(nonce) }, &algorithm));
    KV_TRY(kv_der_add(KV_BER_OID, kv_cms_oid_view(&kv_cms_data), &members));
    KV_TRY(kv_buffer_add(&members, KV_VIEW(algorithm)));
    KV_TRY(kv_der_add(KV_BER_CONTEXT, KV_VIEW(cipher), &members));
    KV_TRY(kv_der_add(KV_BER_SEQUENCE, KV_VIEW(members.bytes), ret));
    return kv_der_add(KV_BER_OCTETS, (struct kv_view){ tag, sizeof(tag) }, ret);
}

static enum kv_status write_all(const struct kv_cms_seal *seal, struct kv_view plain, struct kv_buffer *ret,
                                struct kv_error *err)
{
    KV_AUTO_BUFFER struct kv_buffer recipients = { 0 }, body = { 0 }, inner = { 0 }, outer = { 0 };
    for (size_t i = 0; i < seal->count; i++)
        KV_TRY(add_recipient(&seal->recipients[i], &recipients));
    KV_TRY(add_small(0, &body));
    KV_TRY(kv_der_add(KV_BER_SET, KV_VIEW(recipients.bytes), &body));
    KV_TRY(add_content(seal, plain, &body, err));
    KV_TRY(kv_der_add(KV_BER_SEQUENCE, KV_VIEW(body.bytes), &inner));
    KV_TRY(kv_der_add(KV_BER_OID, kv_cms_oid_view(&kv_cms_auth_enveloped), &outer));
    KV_TRY(kv_der_add(INNER, KV_VIEW(inner.bytes), &outer));
    return kv_der_add(KV_BER_SEQUENCE, KV_VIEW(outer.bytes), ret);
}

enum kv_status kv_cms_seal_write(const struct kv_cms_seal *seal, struct kv_view plain, struct kv_bytes *ret,
                                 struct kv_error *err)
{
    KV_AUTO_BUFFER struct kv_buffer all = { 0 };
    enum kv_status status = write_all(seal, plain, &all, err);
    if (status == KV_NO_MEMORY)
        return no_memory(err);
    KV_TRY(status);
    *ret = kv_bytes_take(&all.bytes);
    return KV_OK;
}
