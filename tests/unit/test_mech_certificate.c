/* Certificates: what is read out of one, what is refused, files of them, and those of our own making as OpenSSL sees them. */
#include "mech_help.h"

#include <openssl/ecdsa.h>
#include <openssl/x509v3.h>
#include <time.h>
#include "mech/certificate.h"

static struct kv_bytes spki;
static EVP_PKEY *key;
static const unsigned char id[20] = { 1, 2, 3 };

static int start(void **state)
{
    key = make_key(KV_EC, "P-256");
    spki = spki_of(key);
    return 0;
}

static int stop(void **state)
{
    EVP_PKEY_free(key);
    kv_bytes_free(&spki);
    return 0;
}

static struct kv_x509_draft draft(const char *name, int64_t created)
{
    return (struct kv_x509_draft){ .name = name,
                                   .spki = KV_VIEW(spki),
                                   .id = { id, sizeof id },
                                   .operations = KV_OP_SIGN,
                                   .created = created };
}

static struct kv_bytes container(const char *name, int64_t created)
{
    const struct kv_x509_draft wanted = draft(name, created);
    struct kv_bytes der = { 0 };
    assert_int_equal(kv_x509_container(&wanted, &der, NULL), KV_OK);
    return der;
}

static X509 *openssl_reads(struct kv_view der)
{
    const unsigned char *at = der.data;
    X509 *certificate = d2i_X509(NULL, &at, (long)der.len);
    assert_non_null(certificate);
    assert_ptr_equal(at, der.data + der.len);
    return certificate;
}

static void assert_name(const X509_NAME *name, const char *should)
{
    char *text = X509_NAME_oneline(name, NULL, 0);
    assert_string_equal(text, should);
    OPENSSL_free(text);
}

/* --- made here --- */

static void a_container_is_the_same_every_time(void **state)
{
    KV_AUTO_BYTES struct kv_bytes one = container("kek", 1700000000), two = container("kek", 1700000000),
                                  other = container("sig", 1700000000), later = container("kek", 1700000001);
    assert_bytes(KV_VIEW(one), KV_VIEW(two));
    assert_false(kv_view_equal(KV_VIEW(one), KV_VIEW(other)));
    struct kv_x509 a, b;
    assert_int_equal(kv_x509_read(KV_VIEW(one), &a, NULL), KV_OK);
    assert_int_equal(kv_x509_read(KV_VIEW(later), &b, NULL), KV_OK);
    assert_bytes(a.issuer, b.issuer);
    assert_false(kv_view_equal(a.serial, b.serial)); /* one issuer never numbers two alike */
}

static void openssl_reads_a_container(void **state)
{
    KV_AUTO_BYTES struct kv_bytes der = container("kek", 1700000000);
    X509 *certificate = openssl_reads(KV_VIEW(der));
    assert_int_equal(X509_get_version(certificate), 2);
    assert_name(X509_get_subject_name(certificate), "/CN=kek");
    assert_name(X509_get_issuer_name(certificate), "/CN=kvp11 container: this signature proves nothing");
    assert_int_equal(X509_get_key_usage(certificate), KU_DIGITAL_SIGNATURE);
    assert_int_equal(X509_check_ca(certificate), 0);
    const ASN1_OCTET_STRING *known = X509_get0_subject_key_id(certificate);
    assert_memory_equal(ASN1_STRING_get0_data(known), id, sizeof id);
    assert_int_equal(EVP_PKEY_eq(X509_get0_pubkey(certificate), key), 1);
    assert_int_equal(ASN1_TIME_cmp_time_t(X509_get0_notBefore(certificate), 1700000000), 0);
    assert_string_equal((const char *)ASN1_STRING_get0_data(X509_get0_notAfter(certificate)),
                        "99991231235959Z");
    assert_true(X509_verify(certificate, key) != 1); /* it is not signed by the key, and does not say so */
    X509_free(certificate);
}

static void key_usage_follows_the_operations(void **state)
{
    static const struct {
        unsigned operations;
        uint32_t usage;
    } rows[] = {
        { KV_OP_SIGN | KV_OP_VERIFY, KU_DIGITAL_SIGNATURE },
        { KV_OP_DECRYPT, KU_KEY_ENCIPHERMENT | KU_DATA_ENCIPHERMENT },
        { KV_OP_UNWRAP | KV_OP_WRAP, KU_KEY_ENCIPHERMENT | KU_DATA_ENCIPHERMENT },
        { KV_OP_ALL, KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT | KU_DATA_ENCIPHERMENT },
        { KV_OP_VERIFY, UINT32_MAX }, /* no such extension */
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct kv_x509_draft wanted = draft("kek", 1);
        KV_AUTO_BYTES struct kv_bytes der = { 0 };
        wanted.operations = rows[i].operations;
        assert_int_equal(kv_x509_container(&wanted, &der, NULL), KV_OK);
        X509 *certificate = openssl_reads(KV_VIEW(der));
        assert_int_equal(X509_get_key_usage(certificate), rows[i].usage);
        X509_free(certificate);
    }
}

/* r‖s, as the vault would give it. */
static struct kv_bytes raw_signature(struct kv_view tbs)
{
    unsigned char der[80];
    size_t len = sizeof der;
    struct kv_bytes raw = { 0 };
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit_ex(context, NULL, "SHA256", kv_ossl_context(), NULL, key, NULL), 1);
    assert_int_equal(EVP_DigestSign(context, der, &len, tbs.data, tbs.len), 1);
    EVP_MD_CTX_free(context);
    assert_int_equal(kv_ecdsa_from_der((struct kv_view){ der, len }, 32, &raw), KV_OK);
    return raw;
}

static void one_that_its_own_key_signed_verifies(void **state)
{
    struct kv_x509_draft wanted = draft("signer", 1700000000);
    KV_AUTO_BYTES struct kv_bytes tbs = { 0 }, der = { 0 };
    wanted.alg = "ES256";
    assert_int_equal(kv_x509_draft(&wanted, &tbs), KV_OK);
    KV_AUTO_BYTES struct kv_bytes signature = raw_signature(KV_VIEW(tbs));
    assert_int_equal(kv_x509_seal(&wanted, KV_VIEW(tbs), KV_VIEW(signature), &der), KV_OK);
    X509 *certificate = openssl_reads(KV_VIEW(der));
    assert_int_equal(X509_verify(certificate, key), 1);
    assert_int_equal(X509_NAME_cmp(X509_get_subject_name(certificate), X509_get_issuer_name(certificate)), 0);
    X509_free(certificate);
    wanted.alg = "PS256";
    KV_AUTO_BYTES struct kv_bytes none = { 0 };
    assert_int_equal(kv_x509_draft(&wanted, &none), KV_MECHANISM);
}

static void dates_before_and_after_2050(void **state)
{
    static const int64_t times[] = { 1, 1700000000, INT64_C(2524607999), INT64_C(2524608000),
                                     INT64_C(4102444800) };
    for (size_t i = 0; i < COUNT(times); i++) {
        KV_AUTO_BYTES struct kv_bytes der = container("kek", times[i]);
        struct kv_x509 facts;
        assert_int_equal(kv_x509_read(KV_VIEW(der), &facts, NULL), KV_OK);
        assert_int_equal(facts.not_before, times[i]);
        assert_int_equal(facts.not_after, INT64_C(253402300799));
        X509 *certificate = openssl_reads(KV_VIEW(der));
        struct tm day; /* which is the same for all sizes of time_t */
        assert_int_equal(ASN1_TIME_to_tm(X509_get0_notBefore(certificate), &day), 1);
        assert_int_equal(timegm(&day), times[i]);
        X509_free(certificate);
    }
}

/* --- reading --- */

/* A certificate that OpenSSL makes. */
static struct kv_bytes foreign(bool ca)
{
    X509 *certificate = X509_new();
    X509_NAME *name = X509_get_subject_name(certificate);
    unsigned char *der = NULL;
    struct kv_bytes bytes = { 0 };
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 0x1234);
    X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC, (const unsigned char *)"Example", -1, -1, 0);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"root", -1, -1, 0);
    X509_set_issuer_name(certificate, name);
    ASN1_TIME_set(X509_getm_notBefore(certificate), 1000000000);
    ASN1_TIME_set(X509_getm_notAfter(certificate), 1900000000);
    X509_set_pubkey(certificate, key);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints,
                                                    ca ? "critical,CA:TRUE,pathlen:0" : "CA:FALSE");
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    int len = i2d_X509(certificate, &der);
    assert_int_equal(kv_bytes_copy((struct kv_view){ der, (size_t)len }, &bytes), KV_OK);
    OPENSSL_free(der);
    X509_free(certificate);
    return bytes;
}

static void what_stands_in_one_is_read(void **state)
{
    KV_AUTO_BYTES struct kv_bytes der = foreign(true), leaf = foreign(false);
    X509 *certificate = openssl_reads(KV_VIEW(der));
    struct kv_x509 facts;
    unsigned char *encoded = NULL;
    char name[8];
    assert_int_equal(kv_x509_read(KV_VIEW(der), &facts, NULL), KV_OK);
    int len = i2d_X509_NAME(X509_get_subject_name(certificate), &encoded);
    assert_bytes(facts.subject, (struct kv_view){ encoded, (size_t)len });
    assert_bytes(facts.issuer, facts.subject);
    OPENSSL_free(encoded);
    assert_bytes(facts.serial, (struct kv_view){ (const unsigned char *)"\x02\x02\x12\x34", 4 });
    assert_bytes(facts.spki, KV_VIEW(spki));
    assert_int_equal(facts.not_before, 1000000000);
    assert_int_equal(facts.not_after, 1900000000);
    assert_true(facts.ca);
    kv_x509_common_name(facts.subject, name, sizeof name);
    assert_string_equal(name, "root");
    kv_x509_common_name(facts.subject, name, 3);
    assert_string_equal(name, "ro");
    assert_int_equal(kv_x509_key_bits(facts.spki).len, 65);
    X509_free(certificate);
    assert_int_equal(kv_x509_read(KV_VIEW(leaf), &facts, NULL), KV_OK);
    assert_false(facts.ca);
}

/* Every beginning of one is refused, and so is one more byte; what is changed anywhere is read or refused, never run past. */
static void broken_ones_are_refused(void **state)
{
    KV_AUTO_BYTES struct kv_bytes der = foreign(true), longer = { 0 };
    struct kv_x509 facts;
    for (size_t len = 0; len < der.len; len++) {
        unsigned char *exact = malloc(len ? len : 1); /* for the sanitizer */
        memcpy(exact, der.data, len);
        assert_int_equal(kv_x509_read((struct kv_view){ exact, len }, &facts, NULL), KV_BAD_DATA);
        free(exact);
    }
    assert_int_equal(kv_bytes_alloc(der.len + 1, &longer), KV_OK);
    memcpy(longer.data, der.data, der.len);
    assert_int_equal(kv_x509_read(KV_VIEW(longer), &facts, NULL), KV_BAD_DATA);
    size_t refused = 0;
    for (size_t i = 0; i < der.len; i++)
        for (int bit = 0; bit < 8; bit++) {
            der.data[i] ^= 1 << bit;
            if (kv_x509_read(KV_VIEW(der), &facts, NULL) == KV_BAD_DATA)
                refused++;
            der.data[i] ^= 1 << bit;
        }
    assert_in_range(refused, der.len, der.len * 8);
}

/* UTCTime and GeneralizedTime in the place of notBefore of a container, which has a UTCTime there. */
static void impossible_times_are_refused(void **state)
{
    static const struct {
        const char *text;
        bool good;
    } rows[] = { { "231114221320Z", true },  { "230229221320Z", false }, { "231314221320Z", false },
                 { "231114246000Z", false }, { "23111422132xZ", false }, { "2311142213200", false },
                 { "240229000000Z", true },  { "000101000000Z", true },  { "990101000000Z", true } };
    for (size_t i = 0; i < COUNT(rows); i++) {
        KV_AUTO_BYTES struct kv_bytes der = container("kek", 1700000000);
        unsigned char *at = memmem(der.data, der.len, "231114221320Z", 13);
        struct kv_x509 facts;
        assert_non_null(at);
        memcpy(at, rows[i].text, 13);
        if ((kv_x509_read(KV_VIEW(der), &facts, NULL) == KV_OK) != rows[i].good)
            fail_msg("%s", rows[i].text);
    }
}

/* --- files --- */

static struct kv_bytes file_of(const char *before, struct kv_view der, const char *after)
{
    struct kv_buffer text = { 0 };
    KV_AUTO_TEXT char *letters = kv_encode_base64(der);
    assert_int_equal(kv_buffer_format(&text, "%s-----BEGIN CERTIFICATE-----\n", before), KV_OK);
    for (const char *at = letters; *at; at += strnlen(at, 64))
        assert_int_equal(kv_buffer_format(&text, "%.64s\r\n", at), KV_OK);
    assert_int_equal(kv_buffer_format(&text, "-----END CERTIFICATE-----\n%s", after), KV_OK);
    return text.bytes;
}

static void pem_and_der_files(void **state)
{
    KV_AUTO_BYTES struct kv_bytes one = container("one", 1), two = container("two", 2), first = { 0 },
                                  again = { 0 }, plain = { 0 }, none = { 0 };
    KV_AUTO_BYTES struct kv_bytes pem = file_of("a remark\n", KV_VIEW(one), "");
    KV_AUTO_BYTES struct kv_bytes both = file_of((char *)pem.data, KV_VIEW(two), "end\n");
    struct kv_view rest = KV_VIEW(both);
    assert_int_equal(kv_x509_next(&rest, &first, NULL), KV_OK);
    assert_bytes(KV_VIEW(first), KV_VIEW(one));
    assert_int_equal(kv_x509_next(&rest, &again, NULL), KV_OK);
    assert_bytes(KV_VIEW(again), KV_VIEW(two));
    assert_int_equal(kv_x509_next(&rest, &none, NULL), KV_OK);
    assert_int_equal(none.len, 0);
    rest = KV_VIEW(one);
    assert_int_equal(kv_x509_next(&rest, &plain, NULL), KV_OK);
    assert_bytes(KV_VIEW(plain), KV_VIEW(one));
    assert_int_equal(rest.len, 0);
}

static void broken_pem_is_told_and_passed(void **state)
{
    static const char *const texts[] = { "-----BEGIN CERTIFICATE-----\nAAAA\n",
                                         "-----BEGIN CERTIFICATE-----\nA*AA\n-----END CERTIFICATE-----\n",
                                         "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n" };
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct kv_view rest = kv_view_text(texts[i]);
        KV_AUTO_BYTES struct kv_bytes der = { 0 };
        assert_int_equal(kv_x509_next(&rest, &der, NULL), KV_BAD_DATA);
        assert_in_range(rest.len, 0, 1);
        assert_int_equal(der.len, 0);
    }
    struct kv_view empty = { NULL, 0 };
    KV_AUTO_BYTES struct kv_bytes der = { 0 };
    assert_int_equal(kv_x509_next(&empty, &der, NULL), KV_OK);
    struct kv_view key_file = kv_view_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    assert_int_equal(kv_x509_next(&key_file, &der, NULL), KV_OK);
    assert_int_equal(der.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_container_is_the_same_every_time),
        cmocka_unit_test(openssl_reads_a_container),
        cmocka_unit_test(key_usage_follows_the_operations),
        cmocka_unit_test(one_that_its_own_key_signed_verifies),
        cmocka_unit_test(dates_before_and_after_2050),
        cmocka_unit_test(what_stands_in_one_is_read),
        cmocka_unit_test(broken_ones_are_refused),
        cmocka_unit_test(impossible_times_are_refused),
        cmocka_unit_test(pem_and_der_files),
        cmocka_unit_test(broken_pem_is_told_and_passed),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
