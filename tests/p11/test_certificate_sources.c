/* Where certificates come from, and what becomes of them without permission, without a vault that has any, and over restarts. */
#include "certificates_help.h"

/* --- settings and permissions --- */

static void test_none_is_none(void **state)
{
    settle("none", "certificates = none");
    assert_int_equal(find_all(session, CKO_CERTIFICATE, NULL, NULL, NULL, 0), 0);
    assert_int_equal(requests(NULL), 0);
    CK_OBJECT_HANDLE found[16];
    assert_int_equal(find_template(NULL, 0, found, 16), 8);
    assert_int_equal(requests("/certificates"), 0);
}

static void test_a_managed_hsm_has_none(void **state)
{
    settle("none", "");
    CK_SESSION_HANDLE other = open_session(HSM);
    assert_int_equal(find_all(other, CKO_CERTIFICATE, NULL, NULL, NULL, 0), 0);
    assert_int_equal(requests(NULL), 0);
    ok(world.p11->C_CloseSession(other));
}

static void test_a_refusal_is_no_failure(void **state)
{
    control_do("POST", "/identities",
               "{\"id\":\"keysonly\",\"secret\":\"keysonly-secret\",\"perms\":\"get,list,sign\"}");
    configure_as("keysonly", "refused.db", "");
    session = restart(PROD);
    clear_log();
    CK_OBJECT_HANDLE found[16];
    assert_int_equal(find_all(session, CKO_CERTIFICATE, NULL, NULL, NULL, 0), 0);
    assert_int_equal(find_template(NULL, 0, found, 16), 8);
    assert_int_equal(requests("/certificates"), 2);
    char *log = module_log();
    const char *told = strstr(log, "a certificate is left out");
    assert_non_null(told);
    assert_null(strstr(told + 1, "a certificate is left out")); /* once */
    free(log);
    settle("refused.db", ""); /* the refusal is remembered, also for another identity of the same map */
    assert_int_equal(find_all(session, CKO_CERTIFICATE, NULL, NULL, NULL, 0), 0);
    assert_int_equal(requests("/certificates"), 0);
}

static void test_a_broken_reply_is_left_out(void **state)
{
    settle("none", "");
    control_do("POST", "/faults",
               "{\"host\":\"prod\",\"path\":\"/certificates/\",\"kind\":\"html\",\"count\":1}");
    CK_OBJECT_HANDLE found[4];
    assert_in_range(find_all(session, CKO_CERTIFICATE, NULL, NULL, found, 4), 0, 1);
    assert_int_equal(find_all(session, CKO_PRIVATE_KEY, "tls", NULL, NULL, 0), 1);
    control_do("DELETE", "/faults", NULL);
}

/* --- a folder --- */

static void write_pem(const char *name, const struct bytes *der)
{
    char path[160];
    snprintf(path, sizeof path, "%s/certificates/%s", world.dir, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    X509 *certificate = parse(der);
    assert_int_equal(fchmod(fileno(file), 0644), 0);
    char *text = NULL;
    BIO *memory = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_X509(memory, certificate), 1);
    long len = BIO_get_mem_data(memory, &text);
    assert_int_equal(fwrite(text, 1, (size_t)len, file), len);
    BIO_free(memory);
    X509_free(certificate);
    fclose(file);
}

/* A certificate of an authority for a key of its own. */
static struct bytes authority(void)
{
    struct bytes der = { .len = 0 };
    create_certificate(
        "authority",
        "{\"policy\":{\"x509_props\":{\"subject\":\"CN=Test CA\",\"basic_constraints\":{\"ca\":true},"
        "\"key_usage\":[\"keyCertSign\",\"digitalSignature\"]}}}",
        NULL);
    settle("none", "");
    der = get(find_one(session, CKO_CERTIFICATE, "authority"), CKA_VALUE);
    control_do("POST", "/vaults/prod/certificates/authority/delete", NULL);
    control_do("POST", "/vaults/prod/certificates/authority/purge", NULL);
    return der;
}

static void test_a_folder(void **state)
{
    char path[128], settings[256];
    CK_OBJECT_HANDLE found[8];
    struct bytes ca = authority();
    snprintf(path, sizeof path, "%s/certificates", world.dir);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(settings, sizeof settings, "certificates = none\ncertificate_folder = %s\nself_signed = yes",
             path);
    settle("folder.db", settings);
    struct bytes made = get(find_one(session, CKO_CERTIFICATE, "maker"), CKA_VALUE);
    write_pem("maker.pem", &made);
    write_pem("ca.crt", &ca);

    snprintf(settings, sizeof settings, "certificates = none\ncertificate_folder = %s", path);
    settle("none", settings);
    assert_int_equal(find_all(session, CKO_CERTIFICATE, NULL, NULL, found, 8), 2);
    struct bytes same = get(find_one(session, CKO_CERTIFICATE, "maker"), CKA_VALUE);
    assert_same(&made, &same);
    const CK_ATTRIBUTE by_value[] = { ITEM(CKA_CLASS, certificate_class), { CKA_VALUE, ca.data, ca.len } };
    assert_int_equal(find_template(by_value, 2, found, 8), 1);
    CK_ULONG category = 0;
    attribute(session, found[0], CKA_CERTIFICATE_CATEGORY, &category, sizeof category);
    assert_int_equal(category, 2);
    assert_int_equal(attribute_bool(session, found[0], CKA_TRUSTED), CK_FALSE);
    struct bytes label = get(found[0], CKA_LABEL);
    assert_int_equal(label.len, 7);
    assert_memory_equal(label.data, "Test CA", 7);
    assert_int_equal(get(found[0], CKA_ID).len, 20);
    assert_int_equal(get(found[0], CKA_UNIQUE_ID).len, 64);
    CK_ATTRIBUTE kid = { CKA_KVP11_KID, NULL, 0 };
    expect(CKR_ATTRIBUTE_TYPE_INVALID, world.p11->C_GetAttributeValue(session, found[0], &kid, 1));
    CK_ULONG size = 0;
    ok(world.p11->C_GetObjectSize(session, found[0], &size));
    assert_true(size > ca.len);
    CK_OBJECT_HANDLE again[2];
    assert_int_equal(find_template(by_value, 2, again, 2), 1);
    assert_int_equal(again[0], found[0]);
    assert_int_equal(requests("/certificates"), 0);
}

/* --- made here --- */

static void test_self_signed_once(void **state)
{
    settle("self.db", "self_signed = yes");
    CK_OBJECT_HANDLE object = find_one(session, CKO_CERTIFICATE, "maker");
    struct bytes der = get(object, CKA_VALUE);
    assert_int_equal(requests("/sign"), 1);
    X509 *certificate = parse(&der);
    assert_int_equal(X509_verify(certificate, X509_get0_pubkey(certificate)), 1);
    struct bytes id = get(find_one(session, CKO_PRIVATE_KEY, "maker"), CKA_ID);
    const ASN1_OCTET_STRING *known = X509_get0_subject_key_id(certificate);
    assert_memory_equal(ASN1_STRING_get0_data(known), id.data, 20);
    X509_free(certificate);
    settle("self.db", "self_signed = yes");
    struct bytes again = get(find_one(session, CKO_CERTIFICATE, "maker"), CKA_VALUE);
    assert_same(&der, &again);
    assert_int_equal(requests(NULL), 0);
    /* Key Vault's own goes before it. */
    struct bytes subject = get(find_one(session, CKO_CERTIFICATE, "tls"), CKA_SUBJECT);
    assert_non_null(memmem(subject.data, subject.len, "tls.example", 11));
}

static bool is_container(const struct bytes *der)
{
    return memmem(der->data, der->len, "proves nothing", 14) != NULL;
}

static void test_a_key_that_cannot_sign(void **state)
{
    settle("self.db", "self_signed = yes");
    struct bytes der = get(find_one(session, CKO_CERTIFICATE, "kek"), CKA_VALUE);
    assert_true(is_container(&der));
    assert_int_equal(requests("/sign"), 0);
    X509 *certificate = parse(&der);
    assert_int_equal(X509_get_key_usage(certificate), KU_KEY_ENCIPHERMENT | KU_DATA_ENCIPHERMENT);
    X509_free(certificate);
}

static void test_without_a_map_it_is_a_container(void **state)
{
    settle("none", "self_signed = yes");
    struct bytes one = get(find_one(session, CKO_CERTIFICATE, "maker"), CKA_VALUE);
    assert_true(is_container(&one));
    assert_int_equal(requests("/sign"), 0);
    settle("none", "self_signed = yes");
    struct bytes two = get(find_one(session, CKO_CERTIFICATE, "maker"), CKA_VALUE);
    assert_same(&one, &two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_none_is_none),
        cmocka_unit_test(test_a_managed_hsm_has_none),
        cmocka_unit_test(test_a_refusal_is_no_failure),
        cmocka_unit_test(test_a_broken_reply_is_left_out),
        cmocka_unit_test(test_self_signed_once),
        cmocka_unit_test(test_a_key_that_cannot_sign),
        cmocka_unit_test(test_without_a_map_it_is_a_container),
        cmocka_unit_test(test_a_folder),
    };
    return cmocka_run_group_tests(tests, start, world_stop);
}
