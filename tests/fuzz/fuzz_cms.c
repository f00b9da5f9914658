/* An envelope's head, content and tail, as far as they are read without a key that fits. */
#include "fuzz.h"
#include "cipher.h"
#include "envelope.h"

static void look_at(const struct kv_cms_envelope *envelope, struct kv_view whole)
{
    MUST(envelope->recipient_count && envelope->recipient_count <= KV_CMS_RECIPIENTS_MAX);
    MUST(envelope->content.cipher->authenticated == envelope->authenticated);
    MUST(envelope->content.nonce_len <= KV_CMS_NONCE_MAX && envelope->content.tag_len <= KV_CMS_TAG_MAX);
    MUST(!envelope->authenticated || envelope->content.tag_len >= 12);
    for (size_t i = 0; i < envelope->recipient_count; i++) {
        const struct kv_cms_recipient *recipient = &envelope->recipients[i];
        const struct kv_cms_transport *transport = NULL;
        MUST(recipient->whole.len <= whole.len);
        if (recipient->kind != KV_BER_SEQUENCE)
            continue;
        MUST(!recipient->key_id.len == !!recipient->issuer.len);
        MUST(!recipient->issuer.len == !recipient->serial.len);
        if (kv_cms_transport_read(recipient->algorithm, &transport, NULL) == KV_OK)
            MUST(!transport->hash || transport->hash == CKM_SHA_1 || transport->hash == CKM_SHA256);
    }
}

/* In pieces of two sizes: the same bytes. */
static size_t read_content(struct kv_ber *ber, size_t piece, uint64_t *ret_sum)
{
    unsigned char bytes[64];
    size_t len = piece, all = 0;
    *ret_sum = 0;
    while (len == piece) {
        if (kv_ber_stream_read(ber, bytes, piece, &len, NULL) != KV_OK)
            return SIZE_MAX;
        for (size_t i = 0; i < len; i++)
            *ret_sum = *ret_sum * 31 + bytes[i];
        all += len;
    }
    return all;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kv_view whole = { data, size };
    KV_AUTO_CMS_INPUT struct kv_cms_input input;
    struct kv_ber ber, start;
    KV_AUTO_CMS_ENVELOPE struct kv_cms_envelope envelope = { 0 };
    struct kv_error err = { 0 };
    uint64_t first = 0, second = 0;
    kv_cms_input_memory(whole, &input);
    kv_ber_open(&input, &ber);
    if (kv_cms_envelope_head(&ber, &envelope, &err) != KV_OK) {
        MUST(*err.text && fuzz_is_line(err.text));
        return 0;
    }
    look_at(&envelope, whole);
    start = ber;
    uint64_t at = input.position;
    size_t len = read_content(&ber, 64, &first);
    ber = start;
    MUST(kv_cms_input_return(&input, at, NULL) == KV_OK);
    MUST(read_content(&ber, 7, &second) == len && (len == SIZE_MAX || first == second));
    MUST(len == SIZE_MAX || len < size);
    if (len == SIZE_MAX || kv_cms_envelope_tail(&ber, &envelope, &err) != KV_OK)
        return 0;
    MUST(input.text ? input.position < size : input.position == size); /* nothing can hide behind it */
    MUST(envelope.tag.len == envelope.content.tag_len);
    return 0;
}
