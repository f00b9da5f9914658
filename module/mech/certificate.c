/* Reading: a walk over the DER, with our own strict reader, since half of what OpenSSL would look at (the key, the extensions) is not our business. */
#include "mech/certificate.h"

#include <string.h>
#include <time.h>
#include "base/encode.h"

enum { DER_MAX = 65536 };
enum {
    TAG_BOOLEAN = 0x01,
    TAG_INTEGER = 0x02,
    TAG_BIT_STRING = 0x03,
    TAG_OCTET_STRING = 0x04,
    TAG_OID = 0x06,
    TAG_UTC_TIME = 0x17,
    TAG_GENERALIZED_TIME = 0x18,
    TAG_SEQUENCE = 0x30,
    TAG_SET = 0x31,
    TAG_VERSION = 0xa0,
    TAG_ISSUER_ID = 0x81,
    TAG_SUBJECT_ID = 0x82,
    TAG_EXTENSIONS = 0xa3
};

/* One element with its header; *ret_contents may be NULL. */
static enum kv_status take(struct kv_view *rest, unsigned char tag, struct kv_view *ret_whole,
                           struct kv_view *ret_contents)
{
    struct kv_view before = *rest, contents;

    KV_TRY(kv_der_read(rest, tag, &contents));
    if (ret_whole)
        *ret_whole = (struct kv_view){ before.data, before.len - rest->len };
    if (ret_contents)
        *ret_contents = contents;
    return KV_OK;
}

static enum kv_status skip_optional(struct kv_view *rest, unsigned char tag)
{
    return rest->len && rest->data[0] == tag ? take(rest, tag, NULL, NULL) : KV_OK;
}

/* --- times --- */

static bool two_digits(const unsigned char *text, int *ret)
{
    if (text[0] < '0' || text[0] > '9' || text[1] < '0' || text[1] > '9')
        return false;
    *ret = (text[0] - '0') * 10 + text[1] - '0';
    return true;
}

/* YYMMDDHHMMSSZ up to 2049, YYYYMMDDHHMMSSZ from 2050 on (RFC 5280 §4.1.2.5), which some writers use before that too. */
static enum kv_status read_time(struct kv_view *rest, int64_t *ret)
{
    enum { SHORT = 13, LONG = 15 };
    bool is_short = rest->len && rest->data[0] == TAG_UTC_TIME;
    struct kv_view text;
    int century, parts[6];

    KV_TRY(kv_der_read(rest, is_short ? TAG_UTC_TIME : TAG_GENERALIZED_TIME, &text));
    if (text.len != (is_short ? SHORT : LONG) || text.data[text.len - 1] != 'Z')
        return KV_BAD_DATA;
    if (!is_short && !two_digits(text.data, &century))
        return KV_BAD_DATA;
    for (int i = 0; i < 6; i++)
        if (!two_digits(text.data + (is_short ? 0 : 2) + 2 * i, &parts[i]))
            return KV_BAD_DATA;
    if (is_short)
        century = parts[0] < 50 ? 20 : 19;
    struct tm when = { .tm_year = century * 100 + parts[0] - 1900,
                       .tm_mon = parts[1] - 1,
                       .tm_mday = parts[2],
                       .tm_hour = parts[3],
                       .tm_min = parts[4],
                       .tm_sec = parts[5] };
    struct tm same = when;
    *ret = timegm(&same);
    /* The thirtieth of February would have become another day. */
    return same.tm_mon == when.tm_mon && same.tm_mday == when.tm_mday && same.tm_hour == when.tm_hour &&
                   same.tm_min == when.tm_min && same.tm_sec == when.tm_sec
               ? KV_OK
               : KV_BAD_DATA;
}

/* --- extensions --- */

static enum kv_status read_extension(struct kv_view *list, bool *ret_ca)
{
    static const unsigned char basic_constraints[] = { 0x55, 0x1d, 0x13 };
    struct kv_view extension, oid, value, constraints, truth;

    KV_TRY(kv_der_read(list, TAG_SEQUENCE, &extension));
    KV_TRY(kv_der_read(&extension, TAG_OID, &oid));
    KV_TRY(skip_optional(&extension, TAG_BOOLEAN));
    KV_TRY(kv_der_read(&extension, TAG_OCTET_STRING, &value));
    if (extension.len)
        return KV_BAD_DATA;
    if (!kv_view_equal(oid, (struct kv_view){ basic_constraints, sizeof basic_constraints }))
        return KV_OK;
    KV_TRY(kv_der_read(&value, TAG_SEQUENCE, &constraints));
    if (!constraints.len || constraints.data[0] != TAG_BOOLEAN)
        return KV_OK;
    KV_TRY(kv_der_read(&constraints, TAG_BOOLEAN, &truth));
    *ret_ca = truth.len == 1 && truth.data[0];
    return KV_OK;
}

static enum kv_status read_extensions(struct kv_view *rest, bool *ret_ca)
{
    struct kv_view explicit, list;

    if (!rest->len || rest->data[0] != TAG_EXTENSIONS)
        return KV_OK;
    KV_TRY(kv_der_read(rest, TAG_EXTENSIONS, &explicit));
    KV_TRY(kv_der_read(&explicit, TAG_SEQUENCE, &list));
    if (explicit.len)
        return KV_BAD_DATA;
    while (list.len)
        KV_TRY(read_extension(&list, ret_ca));
    return KV_OK;
}

/* --- the certificate --- */

static enum kv_status read_validity(struct kv_view *rest, struct kv_x509 *ret)
{
    struct kv_view validity;

    KV_TRY(kv_der_read(rest, TAG_SEQUENCE, &validity));
    KV_TRY(read_time(&validity, &ret->not_before));
    KV_TRY(read_time(&validity, &ret->not_after));
    return validity.len ? KV_BAD_DATA : KV_OK;
}

/* RFC 5280 §4.1.2; *ret_algorithm stands again beside the signature. */
static enum kv_status read_tbs(struct kv_view tbs, struct kv_x509 *ret, struct kv_view *ret_algorithm)
{
    struct kv_view number;

    KV_TRY(skip_optional(&tbs, TAG_VERSION));
    KV_TRY(take(&tbs, TAG_INTEGER, &ret->serial, &number));
    KV_TRY(take(&tbs, TAG_SEQUENCE, ret_algorithm, NULL));
    KV_TRY(take(&tbs, TAG_SEQUENCE, &ret->issuer, NULL));
    KV_TRY(read_validity(&tbs, ret));
    KV_TRY(take(&tbs, TAG_SEQUENCE, &ret->subject, NULL));
    KV_TRY(take(&tbs, TAG_SEQUENCE, &ret->spki, NULL));
    KV_TRY(skip_optional(&tbs, TAG_ISSUER_ID));
    KV_TRY(skip_optional(&tbs, TAG_SUBJECT_ID));
    KV_TRY(read_extensions(&tbs, &ret->ca));
    return tbs.len || !number.len || !kv_x509_key_bits(ret->spki).len ? KV_BAD_DATA : KV_OK;
}

static enum kv_status read_all(struct kv_view der, struct kv_x509 *ret)
{
    struct kv_view certificate, tbs, inner, outer, signature;

    if (der.len > DER_MAX)
        return KV_BAD_DATA;
    KV_TRY(kv_der_read(&der, TAG_SEQUENCE, &certificate));
    KV_TRY(kv_der_read(&certificate, TAG_SEQUENCE, &tbs));
    KV_TRY(take(&certificate, TAG_SEQUENCE, &outer, NULL));
    KV_TRY(kv_der_read(&certificate, TAG_BIT_STRING, &signature));
    if (der.len || certificate.len || signature.len < 2)
        return KV_BAD_DATA;
    KV_TRY(read_tbs(tbs, ret, &inner));
    return kv_view_equal(inner, outer) ? KV_OK : KV_BAD_DATA;
}

enum kv_status kv_x509_read(struct kv_view der, struct kv_x509 *ret, struct kv_error *err)
{
    struct kv_x509 read = { .ca = false };

    if (read_all(der, &read) != KV_OK)
        return kv_fail(err, KV_BAD_DATA, "not an X.509 certificate in DER");
    *ret = read;
    return KV_OK;
}

struct kv_view kv_x509_key_bits(struct kv_view spki)
{
    struct kv_view info, algorithm, bits, none = { NULL, 0 };

    if (kv_der_read(&spki, TAG_SEQUENCE, &info) != KV_OK ||
        kv_der_read(&info, TAG_SEQUENCE, &algorithm) != KV_OK ||
        kv_der_read(&info, TAG_BIT_STRING, &bits) != KV_OK || info.len || bits.len < 2 || bits.data[0])
        return none;
    return (struct kv_view){ bits.data + 1, bits.len - 1 };
}

/* One AttributeTypeAndValue, if it is a commonName of a string type whose bytes are ASCII or UTF-8. */
static bool read_common_name(struct kv_view set, struct kv_view *ret)
{
    static const unsigned char common_name[] = { 0x55, 0x04, 0x03 };
    static const unsigned char text_tags[] = { 0x0c, 0x13, 0x14, 0x16 };
    struct kv_view pair, oid;

    if (kv_der_read(&set, TAG_SEQUENCE, &pair) != KV_OK || kv_der_read(&pair, TAG_OID, &oid) != KV_OK ||
        !kv_view_equal(oid, (struct kv_view){ common_name, sizeof common_name }))
        return false;
    for (size_t i = 0; i < sizeof text_tags; i++)
        if (pair.len && pair.data[0] == text_tags[i])
            return kv_der_read(&pair, text_tags[i], ret) == KV_OK;
    return false;
}

void kv_x509_common_name(struct kv_view name, char *ret, size_t size)
{
    struct kv_view list, set, text = { NULL, 0 };

    ret[0] = 0;
    if (kv_der_read(&name, TAG_SEQUENCE, &list) != KV_OK)
        return;
    while (list.len && kv_der_read(&list, TAG_SET, &set) == KV_OK)
        (void)!read_common_name(set, &text);
    size_t len = text.len < size - 1 ? text.len : size - 1;
    for (size_t i = 0; i < len; i++)
        ret[i] = text.data[i] < ' ' || text.data[i] == 0x7f ? '?' : (char)text.data[i];
    ret[len] = 0;
}

/* --- files --- */

static const unsigned char *find(struct kv_view in, const char *words)
{
    return in.len ? memmem(in.data, in.len, words, strlen(words)) : NULL;
}

static enum kv_status decode_pem(struct kv_view text, struct kv_bytes *ret)
{
    KV_AUTO_BUFFER struct kv_buffer letters = { .limit = DER_MAX / 3 * 4 + 4 };

    for (size_t i = 0; i < text.len; i++)
        if (!strchr(" \t\r\n", text.data[i]))
            KV_TRY(kv_buffer_add(&letters, (struct kv_view){ text.data + i, 1 }));
        else if (!text.data[i])
            return KV_BAD_DATA;
    return letters.bytes.len ? kv_decode_base64((const char *)letters.bytes.data, ret) : KV_BAD_DATA;
}

enum kv_status kv_x509_next(struct kv_view *rest, struct kv_bytes *ret, struct kv_error *err)
{
    static const char begin[] = "-----BEGIN CERTIFICATE-----", end[] = "-----END CERTIFICATE-----";
    struct kv_view all = *rest, none = { NULL, 0 };
    const unsigned char *from = find(all, begin);

    *rest = none;
    if (all.len && all.data[0] == TAG_SEQUENCE)
        return all.len > DER_MAX ? kv_fail(err, KV_BAD_DATA, "too large for a certificate")
                                 : kv_bytes_copy(all, ret);
    if (!from)
        return KV_OK;
    from += sizeof begin - 1;
    struct kv_view body = { from, (size_t)(all.data + all.len - from) };
    const unsigned char *to = find(body, end);
    if (!to)
        return kv_fail(err, KV_BAD_DATA, "a certificate in PEM has no end");
    body.len = (size_t)(to - from);
    to += sizeof end - 1;
    *rest = (struct kv_view){ to, (size_t)(all.data + all.len - to) };
    enum kv_status status = decode_pem(body, ret);
    if (status == KV_OK || status == KV_NO_MEMORY)
        return status;
    return kv_fail(err, KV_BAD_DATA, "a certificate in PEM is not base64");
}
