/* Certificates as an application sees them: what they say, which searches find them, and at what price in requests. */
#include "certificates_help.h"

/* --- attributes --- */

static void test_it_says_what_stands_in_it(void **state)
{
    CK_OBJECT_HANDLE object = find_one(session, CKO_CERTIFICATE, "tls");
    struct bytes der = get(object, CKA_VALUE), part;
    X509 *certificate = parse(&der);
    unsigned char *encoded = NULL;
    const struct {
        CK_ATTRIBUTE_TYPE type;
        int len;
    } rows[] = {
        { CKA_SUBJECT, i2d_X509_NAME(X509_get_subject_name(certificate), NULL) },
        { CKA_ISSUER, i2d_X509_NAME(X509_get_issuer_name(certificate), NULL) },
        { CKA_SERIAL_NUMBER, i2d_ASN1_INTEGER(X509_get_serialNumber(certificate), NULL) },
        { CKA_PUBLIC_KEY_INFO, i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), NULL) },
    };
    for (size_t i = 0; i < 4; i++) {
        part = get(object, rows[i].type);
        assert_int_equal(part.len, rows[i].len);
        assert_non_null(memmem(der.data, der.len, part.data, part.len));
    }
    int len = i2d_X509_NAME(X509_get_subject_name(certificate), &encoded);
    part = get(object, CKA_SUBJECT);
    assert_memory_equal(part.data, encoded, (size_t)len);
    OPENSSL_free(encoded);
    unsigned char digest[20];
    assert_int_equal(EVP_Digest(der.data, der.len, digest, NULL, EVP_sha1(), NULL), 1);
    part = get(object, CKA_CHECK_VALUE);
    assert_int_equal(part.len, 3);
    assert_memory_equal(part.data, digest, 3);
    struct tm from, to;
    char dates[17];
    assert_int_equal(ASN1_TIME_to_tm(X509_get0_notBefore(certificate), &from), 1);
    assert_int_equal(ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &to), 1);
    strftime(dates, sizeof dates, "%Y%m%d", &from);
    strftime(dates + 8, sizeof dates - 8, "%Y%m%d", &to);
    assert_memory_equal(get(object, CKA_START_DATE).data, dates, 8);
    assert_memory_equal(get(object, CKA_END_DATE).data, dates + 8, 8);
    X509_free(certificate);
}

static void test_its_other_attributes(void **state)
{
    static const struct {
        CK_ATTRIBUTE_TYPE type;
        CK_ULONG value;
    } numbers[] = { { CKA_CLASS, CKO_CERTIFICATE },
                    { CKA_CERTIFICATE_TYPE, CKC_X_509 },
                    { CKA_CERTIFICATE_CATEGORY, 1 },
                    { CKA_JAVA_MIDP_SECURITY_DOMAIN, 0 },
                    { CKA_NAME_HASH_ALGORITHM, CKM_SHA_1 } };
    static const struct {
        CK_ATTRIBUTE_TYPE type;
        CK_BBOOL value;
    } truths[] = { { CKA_TOKEN, CK_TRUE },       { CKA_PRIVATE, CK_FALSE },  { CKA_TRUSTED, CK_FALSE },
                   { CKA_MODIFIABLE, CK_FALSE }, { CKA_COPYABLE, CK_FALSE }, { CKA_DESTROYABLE, CK_FALSE } };
    static const CK_ATTRIBUTE_TYPE empty[] = { CKA_URL, CKA_HASH_OF_SUBJECT_PUBLIC_KEY,
                                               CKA_HASH_OF_ISSUER_PUBLIC_KEY };
    static const CK_ATTRIBUTE_TYPE foreign[] = { CKA_KEY_TYPE, CKA_SENSITIVE, CKA_SIGN, CKA_MODULUS,
                                                 CKA_LOCAL };
    CK_OBJECT_HANDLE object = find_one(session, CKO_CERTIFICATE, "tls");
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        CK_ULONG number = 99;
        attribute(session, object, numbers[i].type, &number, sizeof number);
        assert_int_equal(number, numbers[i].value);
    }
    for (size_t i = 0; i < sizeof truths / sizeof *truths; i++)
        assert_int_equal(attribute_bool(session, object, truths[i].type), truths[i].value);
    for (size_t i = 0; i < sizeof empty / sizeof *empty; i++)
        assert_int_equal(get(object, empty[i]).len, 0);
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
        CK_ATTRIBUTE item = { foreign[i], NULL, 0 };
        expect(CKR_ATTRIBUTE_TYPE_INVALID, world.p11->C_GetAttributeValue(session, object, &item, 1));
        assert_int_equal(item.ulValueLen, CK_UNAVAILABLE_INFORMATION);
    }
    struct bytes id = get(object, CKA_UNIQUE_ID), kid = get(object, CKA_KVP11_KID);
    assert_int_equal(id.len, kid.len + strlen("#certificate"));
    assert_memory_equal(id.data + kid.len, "#certificate", 12);
    CK_ATTRIBUTE change = { CKA_LABEL, (void *)"x", 1 };
    expect(CKR_ACTION_PROHIBITED, world.p11->C_SetAttributeValue(session, object, &change, 1));
    expect(CKR_ACTION_PROHIBITED, world.p11->C_DestroyObject(session, object));
    CK_MECHANISM mechanism = { CKM_SHA256_RSA_PKCS, NULL, 0 };
    expect(CKR_KEY_HANDLE_INVALID, world.p11->C_SignInit(session, &mechanism, object));
    expect(CKR_KEY_HANDLE_INVALID, world.p11->C_VerifyInit(session, &mechanism, object));
    CK_OBJECT_HANDLE copy = CK_INVALID_HANDLE;
    expect(CKR_ACTION_PROHIBITED, world.p11->C_CopyObject(session, object, NULL, 0, &copy));
}

/* One identifier and one label for all three objects of a version; the keys name the subject. */
static void test_it_belongs_to_its_keys(void **state)
{
    CK_OBJECT_HANDLE certificate = find_one(session, CKO_CERTIFICATE, "tls");
    static const CK_OBJECT_CLASS classes[] = { CKO_PRIVATE_KEY, CKO_PUBLIC_KEY };
    struct bytes id = get(certificate, CKA_ID), subject = get(certificate, CKA_SUBJECT),
                 info = get(certificate, CKA_PUBLIC_KEY_INFO);
    for (size_t i = 0; i < 2; i++) {
        CK_OBJECT_HANDLE key = find_one(session, classes[i], "tls");
        struct bytes same = get(key, CKA_ID);
        assert_same(&id, &same);
        same = get(key, CKA_SUBJECT);
        assert_same(&subject, &same);
        same = get(key, CKA_PUBLIC_KEY_INFO);
        assert_same(&info, &same);
    }
    assert_int_equal(find_all(session, CKO_CERTIFICATE, NULL, id.data, NULL, 0), 1);
    assert_int_equal(get(find_one(session, CKO_PRIVATE_KEY, "maker"), CKA_SUBJECT).len, 0);
}

static void test_old_versions_have_theirs(void **state)
{
    char label[128];
    snprintf(label, sizeof label, "tls@%s", old_version);
    CK_OBJECT_HANDLE certificate = find_one(session, CKO_CERTIFICATE, label);
    struct bytes version = get(certificate, CKA_KVP11_VERSION), der = get(certificate, CKA_VALUE),
                 current = get(find_one(session, CKO_CERTIFICATE, "tls"), CKA_VALUE);
    assert_int_equal(version.len, strlen(old_version));
    assert_memory_equal(version.data, old_version, version.len);
    assert_true(der.len != current.len || memcmp(der.data, current.data, der.len));
}

static void test_what_protects_a_key(void **state)
{
    CK_OBJECT_HANDLE key = find_one(session, CKO_PRIVATE_KEY, "maker");
    struct bytes platform = get(key, CKA_KVP11_HSM_PLATFORM);
    assert_int_equal(platform.len, 1);
    assert_int_equal(platform.data[0], '0');
    assert_int_equal(attribute_bool(session, key, CKA_KVP11_HARDWARE), CK_FALSE);
    create_key("hsm", "hard", "{\"kty\":\"EC-HSM\",\"crv\":\"P-256\"}");
    CK_SESSION_HANDLE other = open_session(HSM);
    key = find_one(other, CKO_PRIVATE_KEY, "hard");
    CK_ATTRIBUTE item = { CKA_KVP11_HSM_PLATFORM, NULL, 0 };
    expect(CKR_ATTRIBUTE_TYPE_INVALID, world.p11->C_GetAttributeValue(other, key, &item, 1));
    assert_int_equal(attribute_bool(other, key, CKA_KVP11_HARDWARE), CK_TRUE);
    ok(world.p11->C_CloseSession(other));
}

/* --- searches --- */

static void test_searches_as_clients_make_them(void **state)
{
    CK_OBJECT_HANDLE want = find_one(session, CKO_CERTIFICATE, "tls"), found[8];
    struct bytes subject = get(want, CKA_SUBJECT), issuer = get(want, CKA_ISSUER),
                 serial = get(want, CKA_SERIAL_NUMBER), value = get(want, CKA_VALUE), id = get(want, CKA_ID);
    const CK_ATTRIBUTE of_subject = { CKA_SUBJECT, subject.data, subject.len },
                       of_issuer = { CKA_ISSUER, issuer.data, issuer.len },
                       of_serial = { CKA_SERIAL_NUMBER, serial.data, serial.len },
                       of_value = { CKA_VALUE, value.data, value.len }, of_id = { CKA_ID, id.data, id.len },
                       of_class = ITEM(CKA_CLASS, certificate_class),
                       of_type = ITEM(CKA_CERTIFICATE_TYPE, x509_type), of_token = ITEM(CKA_TOKEN, yes),
                       of_trust = ITEM(CKA_TRUSTED, yes), of_doubt = ITEM(CKA_TRUSTED, no),
                       of_private = ITEM(CKA_CLASS, private_class),
                       of_label = { CKA_LABEL, (void *)"tls", 3 };
    const struct {
        const char *sentence;
        CK_ATTRIBUTE template[4];
        CK_ULONG count;
        size_t found;
        bool is_it; /* the one that is found is the current one's */
    } rows[] = {
        { "NSS: all of the token", { of_token, of_class }, 2, 2, false },
        { "NSS: by issuer and serial number", { of_class, of_issuer, of_serial }, 3, 1, true },
        { "NSS: without a class", { of_issuer, of_serial }, 2, 1, true },
        { "Java: the chain", { of_class, of_subject }, 2, 2, false },
        { "strongSwan: all X.509", { of_class, of_type }, 2, 2, false },
        { "systemd: by label and type", { of_label, of_class, of_type }, 3, 1, true },
        { "gnupg-pkcs11-scd: by identifier", { of_class, of_id }, 2, 1, true },
        { "GnuTLS: by value", { of_class, of_value }, 2, 1, true },
        { "GnuTLS: trusted ones", { of_class, of_trust }, 2, 0, false },
        { "untrusted ones", { of_class, of_doubt }, 2, 2, false },
        { "an identifier without a class", { of_id }, 1, 3, false },
        { "a private key of this subject", { of_private, of_subject }, 2, 2, false },
        { "a private key with an issuer", { of_private, of_issuer }, 2, 0, false },
        { "everything", { { 0 } }, 0, 10, false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CK_OBJECT_HANDLE all[16];
        size_t count = find_template(rows[i].template, rows[i].count, all, 16);
        if (count != rows[i].found || (rows[i].is_it && all[0] != want))
            fail_msg("%s: %zu found", rows[i].sentence, count);
    }
    assert_int_equal(find_template(&of_value, 1, found, 8), 1);
    assert_int_equal(found[0], want); /* handles stay */
}

static void test_only_searches_for_them_ask(void **state)
{
    CK_OBJECT_HANDLE found[16];
    settle("cost.db", "");
    find_all(session, CKO_PRIVATE_KEY, NULL, NULL, found, 16);
    find_one(session, CKO_PUBLIC_KEY, "tls");
    const CK_ATTRIBUTE can_sign[] = { ITEM(CKA_SIGN, yes) };
    find_template(can_sign, 1, found, 16);
    assert_int_equal(requests("/certificates"), 0);
    size_t before = vault_requests();
    assert_int_equal(find_all(session, CKO_CERTIFICATE, NULL, NULL, found, 16), 2);
    assert_int_equal(requests("/certificates"), 2);
    assert_int_equal(vault_requests(), before + 2); /* one a version, and no list */
    assert_int_equal(find_all(session, CKO_CERTIFICATE, NULL, NULL, found, 16), 2);
    find_template(NULL, 0, found, 16);
    assert_int_equal(requests("/certificates"), 2);
    settle("cost.db", ""); /* a cold process with a warm map */
    assert_int_equal(find_all(session, CKO_CERTIFICATE, NULL, NULL, found, 16), 2);
    CK_OBJECT_HANDLE key = find_one(session, CKO_PRIVATE_KEY, "tls");
    assert_true(get(key, CKA_SUBJECT).len > 10);
    assert_int_equal(requests(NULL), 0);
    assert_int_equal(requests("/secrets"), 0);
}

static void test_a_named_one_costs_two_requests(void **state)
{
    settle("none", "");
    find_one(session, CKO_CERTIFICATE, "tls");
    assert_int_equal(vault_requests(), 2); /* the key and its certificate */
    clear_log();
    assert_int_equal(find_all(session, CKO_CERTIFICATE, "maker", NULL, NULL, 0), 0);
    assert_int_equal(requests("/certificates"), 0); /* it backs none, says the key */
    assert_int_equal(vault_requests(), 1);
}

static void *look(void *result)
{
    CK_SESSION_HANDLE mine = open_session(PROD);
    *(size_t *)result = find_all(mine, CKO_CERTIFICATE, NULL, NULL, NULL, 0);
    ok(world.p11->C_CloseSession(mine));
    return NULL;
}

/* Eight threads of a process that knows nothing: one asks for each certificate, all see both. */
static void test_threads_ask_once(void **state)
{
    pthread_t threads[8];
    size_t found[8] = { 0 };
    settle("none", "");
    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, look, &found[i]), 0);
    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < 8; i++)
        assert_int_equal(found[i], 2);
    assert_int_equal(requests("/certificates"), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_says_what_stands_in_it),
        cmocka_unit_test(test_its_other_attributes),
        cmocka_unit_test(test_it_belongs_to_its_keys),
        cmocka_unit_test(test_old_versions_have_theirs),
        cmocka_unit_test(test_what_protects_a_key),
        cmocka_unit_test(test_searches_as_clients_make_them),
        cmocka_unit_test(test_only_searches_for_them_ask),
        cmocka_unit_test(test_a_named_one_costs_two_requests),
        cmocka_unit_test(test_threads_ask_once),
    };
    return cmocka_run_group_tests(tests, start, world_stop);
}
