#include "envelope.h"

#include "base/encode.h"

enum { CONTEXT = KV_BER_CONTEXT, INNER = KV_BER_CONTEXT | KV_BER_CONSTRUCTED };
enum { OID_BYTES = 64, ALGORITHM_BYTES = 1024, VERSION_BYTES = 4 };
/* Versions, RFC 5652 §6.1 and §6.2.1, RFC 5083 §2.1. */
enum { BY_NAME = 0, BY_KEY_ID = 2, ENVELOPED_MAX = 4, AUTH_ENVELOPED = 0 };

void kv_cms_envelope_free(struct kv_cms_envelope *envelope)
{
    for (size_t i = 0; i < envelope->recipient_count; i++)
        kv_bytes_free(&envelope->recipients[i].whole);
    free(envelope->recipients);
    kv_bytes_free(&envelope->attributes);
    kv_bytes_free(&envelope->tag);
    *envelope = (struct kv_cms_envelope){ 0 };
}

/* Binary, or text that is turned into it. */
static enum kv_status see_form(struct kv_cms_input *input, struct kv_error *err)
{
    enum { ENOUGH = 64 };
    struct kv_view start;
    KV_TRY(kv_cms_input_peek(input, ENOUGH, &start, err));
    if (!start.len)
        return kv_fail(err, KV_BAD_DATA, "'%s' is empty", input->name);
    return kv_cms_text_is(start) ? kv_cms_input_text(input, err) : KV_OK;
}

/* --- recipients --- */
static enum kv_status parse_transport(struct kv_cms_recipient *recipient)
{
    struct kv_view whole = KV_VIEW(recipient->whole), rest, version, names;
    KV_TRY(kv_der_read(&whole, KV_BER_SEQUENCE, &rest));
    KV_TRY(kv_der_read(&rest, KV_BER_INTEGER, &version));
    if (version.len != 1 || version.data[0] != (rest.len && rest.data[0] == CONTEXT ? BY_KEY_ID : BY_NAME))
        return KV_BAD_DATA;
    if (rest.len && rest.data[0] == CONTEXT) {
        KV_TRY(kv_der_read(&rest, CONTEXT, &recipient->key_id));
        if (!recipient->key_id.len)
            return KV_BAD_DATA;
    } else {
        KV_TRY(kv_der_read(&rest, KV_BER_SEQUENCE, &names));
        const unsigned char *start = names.data;
        struct kv_view contents;
        KV_TRY(kv_der_read(&names, KV_BER_SEQUENCE, &contents));
        recipient->issuer = (struct kv_view){ start, (size_t)(names.data - start) };
        recipient->serial = names;
        KV_TRY(kv_der_read(&names, KV_BER_INTEGER, &contents));
        if (names.len)
            return KV_BAD_DATA;
    }
    KV_TRY(kv_der_read(&rest, KV_BER_SEQUENCE, &recipient->algorithm));
    KV_TRY(kv_der_read(&rest, KV_BER_OCTETS, &recipient->key));
    return rest.len ? KV_BAD_DATA : KV_OK;
}

static enum kv_status add_recipient(struct kv_ber *ber, struct kv_cms_envelope *envelope,
                                    struct kv_error *err)
{
    if (envelope->recipient_count == KV_CMS_RECIPIENTS_MAX)
        return kv_ber_fail(ber, err, "more than %d recipients", KV_CMS_RECIPIENTS_MAX);
    struct kv_cms_recipient *recipient = &envelope->recipients[envelope->recipient_count];
    *recipient = (struct kv_cms_recipient){ .kind = ber->tag };
    if (recipient->kind != KV_BER_SEQUENCE) {
        envelope->recipient_count++;
        return kv_ber_skip(ber, err);
    }
    KV_TRY(kv_ber_whole(ber, KV_CMS_HEADER_MAX, &recipient->whole, err));
    envelope->recipient_count++;
    if (parse_transport(recipient) != KV_OK)
        return kv_ber_fail(ber, err, "the recipient before it is malformed");
    return KV_OK;
}

static enum kv_status read_recipients(struct kv_ber *ber, struct kv_cms_envelope *envelope,
                                      struct kv_error *err)
{
    envelope->recipients = calloc(KV_CMS_RECIPIENTS_MAX, sizeof(*envelope->recipients));
    if (!envelope->recipients)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    KV_TRY(kv_ber_enter(ber, err));
    for (;;) {
        KV_TRY(kv_ber_next(ber, err));
        if (ber->tag == KV_BER_END)
            break;
        KV_TRY(add_recipient(ber, envelope, err));
    }
    kv_ber_left(ber);
    return envelope->recipient_count ? KV_OK : kv_ber_fail(ber, err, "there is no recipient");
}

/* --- head --- */
static enum kv_status read_type(struct kv_ber *ber, struct kv_cms_envelope *envelope, struct kv_error *err)
{
    KV_AUTO_BYTES struct kv_bytes oid = { 0 };
    char text[128];
    KV_TRY(kv_ber_expect(ber, KV_BER_SEQUENCE, "an envelope (CMS ContentInfo)", err));
    KV_TRY(kv_ber_enter(ber, err));
    KV_TRY(kv_ber_expect(ber, KV_BER_OID, "the type of the envelope", err));
    KV_TRY(kv_ber_bytes(ber, OID_BYTES, &oid, err));
    envelope->authenticated = kv_cms_oid_is(&kv_cms_auth_enveloped, KV_VIEW(oid));
    if (envelope->authenticated || kv_cms_oid_is(&kv_cms_enveloped, KV_VIEW(oid)))
        return KV_OK;
    kv_cms_oid_text(KV_VIEW(oid), text, sizeof(text));
    return kv_fail(err, KV_UNSUPPORTED,
                   "'%s' is CMS of type %s, and neither EnvelopedData nor AuthEnvelopedData",
                   ber->input->name, text);
}

/* Version, originatorInfo, recipientInfos. */
static enum kv_status read_parties(struct kv_ber *ber, struct kv_cms_envelope *envelope, struct kv_error *err)
{
    KV_AUTO_BYTES struct kv_bytes version = { 0 };
    KV_TRY(kv_ber_expect(ber, INNER, "the body of the envelope", err));
    KV_TRY(kv_ber_enter(ber, err));
    KV_TRY(kv_ber_expect(ber, KV_BER_SEQUENCE, "the body of the envelope", err));
    KV_TRY(kv_ber_enter(ber, err));
    KV_TRY(kv_ber_expect(ber, KV_BER_INTEGER, "the version of the envelope", err));
    KV_TRY(kv_ber_bytes(ber, VERSION_BYTES, &version, err));
    if (version.len != 1 || version.data[0] > (envelope->authenticated ? AUTH_ENVELOPED : ENVELOPED_MAX))
        return kv_ber_fail(ber, err, "a version of the envelope that is not known");
    KV_TRY(kv_ber_next(ber, err));
    if (ber->tag == INNER) {
        KV_TRY(kv_ber_skip(ber, err));
        KV_TRY(kv_ber_next(ber, err));
    }
    if (ber->tag != KV_BER_SET)
        return kv_ber_fail(ber, err, "the list of recipients should stand here");
    return read_recipients(ber, envelope, err);
}

static enum kv_status read_content(struct kv_ber *ber, struct kv_cms_envelope *envelope, struct kv_error *err)
{
    KV_AUTO_BYTES struct kv_bytes type = { 0 }, algorithm = { 0 };
    struct kv_view rest, contents;
    KV_TRY(kv_ber_expect(ber, KV_BER_SEQUENCE, "the encrypted content", err));
    KV_TRY(kv_ber_enter(ber, err));
    KV_TRY(kv_ber_expect(ber, KV_BER_OID, "the type of the content", err));
    KV_TRY(kv_ber_bytes(ber, OID_BYTES, &type, err));
    envelope->is_data = kv_cms_oid_is(&kv_cms_data, KV_VIEW(type));
    KV_TRY(kv_ber_expect(ber, KV_BER_SEQUENCE, "the algorithm of the content", err));
    KV_TRY(kv_ber_whole(ber, ALGORITHM_BYTES, &algorithm, err));
    rest = KV_VIEW(algorithm);
    if (kv_der_read(&rest, KV_BER_SEQUENCE, &contents) != KV_OK)
        return kv_ber_fail(ber, err, "the algorithm of the content is malformed");
    KV_TRY(kv_cms_content_read(contents, &envelope->content, err));
    if (envelope->content.cipher->authenticated != envelope->authenticated)
        return kv_fail(err, KV_UNSUPPORTED, "%s does not belong into an envelope of this type",
                       envelope->content.cipher->name);
    KV_TRY(kv_ber_next(ber, err));
    if (ber->tag == KV_BER_END)
        return kv_fail(err, KV_UNSUPPORTED, "the envelope has no content: detached content is not read here");
    if (ber->tag != CONTEXT && ber->tag != INNER)
        return kv_ber_fail(ber, err, "the content should stand here");
    if (envelope->authenticated && ber->tag == CONTEXT && ber->len > KV_CMS_GCM_MAX)
        return kv_fail(err, KV_DATA_LENGTH, "the content is longer than AES-GCM can protect");
    return kv_ber_stream(ber, err);
}

enum kv_status kv_cms_envelope_head(struct kv_ber *ber, struct kv_cms_envelope *ret, struct kv_error *err)
{
    KV_AUTO_CMS_ENVELOPE struct kv_cms_envelope envelope = { 0 };
    KV_TRY(see_form(ber->input, err));
    ber->budget = ber->input->position + KV_CMS_HEADER_MAX;
    KV_TRY(read_type(ber, &envelope, err));
    KV_TRY(read_parties(ber, &envelope, err));
    KV_TRY(read_content(ber, &envelope, err));
    ber->budget = UINT64_MAX;
    *ret = envelope;
    envelope = (struct kv_cms_envelope){ 0 };
    return KV_OK;
}

/* --- tail --- */

/* The tag covers them as a SET OF, whatever tag they have in the envelope (RFC 5083 §2.2). */
static enum kv_status read_attributes(struct kv_ber *ber, struct kv_cms_envelope *envelope,
                                      struct kv_error *err)
{
    KV_TRY(kv_ber_whole(ber, KV_CMS_ATTRIBUTES_MAX, &envelope->attributes, err));
    envelope->attributes.data[0] = KV_BER_SET;
    return kv_ber_next(ber, err);
}

static enum kv_status read_tag(struct kv_ber *ber, struct kv_cms_envelope *envelope, struct kv_error *err)
{
    kv_bytes_free(&envelope->attributes);
    kv_bytes_free(&envelope->tag);
    KV_TRY(kv_ber_next(ber, err));
    if (ber->tag == (INNER | 1))
        KV_TRY(read_attributes(ber, envelope, err));
    else if (!envelope->is_data)
        return kv_ber_fail(ber, err, "the content is of another type than data, and no attribute says so");
    if ((ber->tag & ~KV_BER_CONSTRUCTED) != KV_BER_OCTETS)
        return kv_ber_fail(ber, err, "the authentication tag should stand here");
    KV_TRY(kv_ber_bytes(ber, KV_CMS_TAG_MAX, &envelope->tag, err));
    return envelope->tag.len == envelope->content.tag_len
               ? KV_OK
               : kv_ber_fail(ber, err, "the authentication tag has %zu bytes, and %zu are announced",
                             envelope->tag.len, envelope->content.tag_len);
}

enum kv_status kv_cms_envelope_tail(struct kv_ber *ber, struct kv_cms_envelope *envelope,
                                    struct kv_error *err)
{
    bool end = false;
    unsigned char unprotected = envelope->authenticated ? INNER | 2 : INNER | 1;
    ber->budget = ber->input->position + 2 * (uint64_t)KV_CMS_ATTRIBUTES_MAX;
    KV_TRY(kv_ber_leave(ber, "the encrypted content", err));
    if (envelope->authenticated)
        KV_TRY(read_tag(ber, envelope, err));
    KV_TRY(kv_ber_next(ber, err));
    if (ber->tag == unprotected) {
        KV_TRY(kv_ber_skip(ber, err));
        KV_TRY(kv_ber_next(ber, err));
    }
    if (ber->tag != KV_BER_END)
        return kv_ber_fail(ber, err, "the envelope has more in it than it may");
    kv_ber_left(ber);
    KV_TRY(kv_ber_leave(ber, "the envelope", err));
    KV_TRY(kv_ber_leave(ber, "the envelope", err));
    KV_TRY(kv_cms_input_fill(ber->input, &end, err));
    return end ? KV_OK : kv_ber_fail(ber, err, "there are further bytes behind the envelope");
}
