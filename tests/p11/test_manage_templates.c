/* Templates for a key pair in a vault that are refused: each with its code, and without a request. */
#include "manage_help.h"

static CK_SESSION_HANDLE session;

static int start(void **state)
{
    if (world_start(state))
        return -1;
    session = begin("operator", "manage = yes", PROD);
    return 0;
}

static const CK_ULONG bits_2048 = 2048, bits_1024 = 1024;
static const CK_BYTE exponent_3[] = { 3 };
static const CK_KEY_TYPE ec_type = CKK_EC;
static const CK_OBJECT_CLASS secret_class = CKO_SECRET_KEY;
#define LABEL TEXT(CKA_LABEL, "never-made")
#define RSA   ITEM(CKA_MODULUS_BITS, bits_2048)
#define TOKEN ITEM(CKA_TOKEN, yes)
static const struct {
    const char *sentence;
    CK_MECHANISM *mechanism;
    CK_ATTRIBUTE public[3], private[4];
    CK_ULONG public_count, private_count;
    CK_RV rv;
} refused[] = {
    { "no name", &rsa_pair, { RSA }, { TOKEN }, 1, 1, CKR_TEMPLATE_INCOMPLETE },
    { "an empty name", &rsa_pair, { RSA }, { TOKEN, { CKA_LABEL, NULL, 0 } }, 1, 2, CKR_TEMPLATE_INCOMPLETE },
    { "a name with a dot",
      &rsa_pair,
      { RSA },
      { TOKEN, TEXT(CKA_LABEL, "a.b") },
      1,
      2,
      CKR_ATTRIBUTE_VALUE_INVALID },
    { "the label of an old version",
      &rsa_pair,
      { RSA },
      { TOKEN, TEXT(CKA_LABEL, "a@00112233445566778899aabbccddeeff") },
      1,
      2,
      CKR_ATTRIBUTE_VALUE_INVALID },
    { "a name with a NUL",
      &rsa_pair,
      { RSA },
      { TOKEN, TEXT(CKA_LABEL, "a\0b") },
      1,
      2,
      CKR_ATTRIBUTE_VALUE_INVALID },
    { "two names",
      &rsa_pair,
      { RSA, TEXT(CKA_LABEL, "other") },
      { TOKEN, LABEL },
      2,
      2,
      CKR_TEMPLATE_INCONSISTENT },
    { "no size", &rsa_pair, { TOKEN }, { TOKEN, LABEL }, 1, 2, CKR_TEMPLATE_INCOMPLETE },
    { "a size that is not made",
      &rsa_pair,
      { ITEM(CKA_MODULUS_BITS, bits_1024) },
      { TOKEN, LABEL },
      1,
      2,
      CKR_ATTRIBUTE_VALUE_INVALID },
    { "another exponent",
      &rsa_pair,
      { RSA, ITEM(CKA_PUBLIC_EXPONENT, exponent_3) },
      { TOKEN, LABEL },
      2,
      2,
      CKR_ATTRIBUTE_VALUE_INVALID },
    { "a size in the private template",
      &rsa_pair,
      { TOKEN },
      { TOKEN, LABEL, RSA },
      1,
      3,
      CKR_ATTRIBUTE_READ_ONLY },
    { "no curve", &ec_pair, { TOKEN }, { TOKEN, LABEL }, 1, 2, CKR_TEMPLATE_INCOMPLETE },
    { "a curve that is not made",
      &ec_pair,
      { TEXT(CKA_EC_PARAMS, "\x06\x05\x2b\x81\x04\x00\x21") },
      { TOKEN, LABEL },
      1,
      2,
      CKR_CURVE_NOT_SUPPORTED },
    { "a modulus for a curve", &ec_pair, { RSA }, { TOKEN, LABEL }, 1, 2, CKR_ATTRIBUTE_TYPE_INVALID },
    { "a curve that is to decrypt",
      &ec_pair,
      { { CKA_EC_PARAMS, (void *)ec_names[0].params, 10 } },
      { TOKEN, LABEL, ITEM(CKA_DECRYPT, yes) },
      1,
      3,
      CKR_TEMPLATE_INCONSISTENT },
    { "a key that can be shown",
      &rsa_pair,
      { RSA },
      { TOKEN, LABEL, ITEM(CKA_SENSITIVE, no) },
      1,
      3,
      CKR_TEMPLATE_INCONSISTENT },
    { "a key that can leave",
      &rsa_pair,
      { RSA },
      { TOKEN, LABEL, ITEM(CKA_EXTRACTABLE, yes) },
      1,
      3,
      CKR_TEMPLATE_INCONSISTENT },
    { "a key that can be copied",
      &rsa_pair,
      { RSA },
      { TOKEN, LABEL, ITEM(CKA_COPYABLE, yes) },
      1,
      3,
      CKR_TEMPLATE_INCONSISTENT },
    { "a key that may do nothing",
      &rsa_pair,
      { RSA },
      { TOKEN, LABEL, ITEM(CKA_SIGN, no) },
      1,
      3,
      CKR_TEMPLATE_INCONSISTENT },
    { "a key of another type",
      &rsa_pair,
      { RSA },
      { TOKEN, LABEL, ITEM(CKA_KEY_TYPE, ec_type) },
      1,
      3,
      CKR_TEMPLATE_INCONSISTENT },
    { "an object of another class",
      &rsa_pair,
      { RSA },
      { TOKEN, LABEL, ITEM(CKA_CLASS, secret_class) },
      1,
      3,
      CKR_TEMPLATE_INCONSISTENT },
    { "what a vault does not keep",
      &rsa_pair,
      { RSA },
      { TOKEN, LABEL, TEXT(CKA_ALLOWED_MECHANISMS, "12345678") },
      1,
      3,
      CKR_TEMPLATE_INCONSISTENT },
    { "an attribute nobody knows",
      &rsa_pair,
      { RSA },
      { TOKEN, LABEL, TEXT(0x80001234UL, "x") },
      1,
      3,
      CKR_ATTRIBUTE_TYPE_INVALID },
    { "what the module says itself",
      &rsa_pair,
      { RSA },
      { TOKEN, LABEL, ITEM(CKA_LOCAL, yes) },
      1,
      3,
      CKR_ATTRIBUTE_READ_ONLY },
    { "the same thing twice", &rsa_pair, { RSA }, { TOKEN, LABEL, LABEL }, 1, 3, CKR_TEMPLATE_INCONSISTENT },
    { "half a truth",
      &rsa_pair,
      { RSA },
      { TOKEN, LABEL, TEXT(CKA_SIGN, "\x02") },
      1,
      3,
      CKR_ATTRIBUTE_VALUE_INVALID },
    { "a day that does not exist",
      &rsa_pair,
      { RSA },
      { TOKEN, LABEL, TEXT(CKA_END_DATE, "20990231") },
      1,
      3,
      CKR_ATTRIBUTE_VALUE_INVALID },
    { "a day of letters",
      &rsa_pair,
      { RSA },
      { TOKEN, LABEL, TEXT(CKA_END_DATE, "tomorrow") },
      1,
      3,
      CKR_ATTRIBUTE_VALUE_INVALID },
    { "an end before the beginning",
      &rsa_pair,
      { RSA },
      { TOKEN, LABEL, TEXT(CKA_START_DATE, "20300102"), TEXT(CKA_END_DATE, "20300101") },
      1,
      4,
      CKR_TEMPLATE_INCONSISTENT },
    { "a private half in the session",
      &rsa_pair,
      { RSA, TOKEN },
      { LABEL, ITEM(CKA_TOKEN, no) },
      2,
      2,
      CKR_TEMPLATE_INCONSISTENT },
    { "a private half that says nothing",
      &rsa_pair,
      { RSA, TOKEN },
      { LABEL },
      2,
      1,
      CKR_TEMPLATE_INCONSISTENT },
    { "a public half in the session",
      &rsa_pair,
      { RSA, ITEM(CKA_TOKEN, no) },
      { LABEL, TOKEN },
      2,
      2,
      CKR_TEMPLATE_INCONSISTENT },
};

static void test_what_is_refused_costs_nothing(void **state)
{
    clear_log();
    for (size_t i = 0; i < COUNT(refused); i++) {
        struct pair pair = { 77, 78 };
        CK_RV rv = world.p11->C_GenerateKeyPair(
            session, refused[i].mechanism, (CK_ATTRIBUTE *)refused[i].public, refused[i].public_count,
            (CK_ATTRIBUTE *)refused[i].private, refused[i].private_count, &pair.public, &pair.private);
        if (rv != refused[i].rv || pair.public != 77 || pair.private != 78)
            fail_msg("%s: 0x%lx instead of 0x%lx", refused[i].sentence, rv, refused[i].rv);
    }
    CK_MECHANISM parameter = { CKM_RSA_PKCS_KEY_PAIR_GEN, (void *)"x", 1 },
                 other = { CKM_AES_KEY_GEN, NULL, 0 };
    CK_ATTRIBUTE private[] = { TOKEN, LABEL }, public[] = { RSA };
    CK_OBJECT_HANDLE a, b;
    expect(CKR_MECHANISM_PARAM_INVALID,
           world.p11->C_GenerateKeyPair(session, &parameter, public, 1, private, 2, &a, &b));
    expect(CKR_MECHANISM_INVALID,
           world.p11->C_GenerateKeyPair(session, &other, public, 1, private, 2, &a, &b));
    expect(CKR_ARGUMENTS_BAD, world.p11->C_GenerateKeyPair(session, NULL, public, 1, private, 2, &a, &b));
    expect(CKR_ARGUMENTS_BAD,
           world.p11->C_GenerateKeyPair(session, &rsa_pair, public, 1, private, 2, &a, NULL));
    expect(CKR_ARGUMENTS_BAD, world.p11->C_GenerateKeyPair(session, &rsa_pair, NULL, 1, private, 2, &a, &b));
    assert_int_equal(requests(NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_what_is_refused_costs_nothing) };
    return cmocka_run_group_tests(tests, start, world_stop);
}
