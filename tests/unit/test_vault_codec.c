#include "../../module/vault/vault_private.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define KID "https://prod.vault.azure.net/keys/kek/0123456789abcdef0123456789abcdef"
/* 128 bytes, the highest bit set, odd. */
#define N                                                                                                    \
    "gQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB"       \
    "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE"
#define X256 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
#define Y256 "Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA"
#define RSA  "\"kty\":\"RSA\",\"n\":\"" N "\",\"e\":\"AQAB\""
#define EC   "\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X256 "\",\"y\":\"" Y256 "\""

static struct kv_json *parse(const char *text)
{
    struct kv_json *json = NULL;
    struct kv_error err = { 0 };
    if (kv_json_parse(kv_view_text(text), &json, &err) != KV_OK)
        fail_msg("%s: %s", text, err.text);
    return json;
}

static enum kv_status read_key(const char *text, struct kv_vault_key *ret, struct kv_error *err)
{
    KV_AUTO_JSON struct kv_json *json = parse(text);
    return kv_codec_read_key(json, ret, err);
}

static void reads_an_rsa_key(void **state)
{
    KV_CLEANUP(kv_vault_key_free) struct kv_vault_key key = { 0 };
    assert_int_equal(
        read_key("{\"key\":{\"kid\":\"" KID
                 "\",\"kty\":\"RSA-HSM\",\"key_ops\":[\"sign\",\"deriveKey\",\"unwrapKey\"],"
                 "\"n\":\"" N
                 "\",\"e\":\"AAEAAQ\",\"crv\":\"bogus\",\"new\":{}},\"attributes\":{\"enabled\":false,"
                 "\"nbf\":1,\"exp\":2524611661,\"created\":3,\"updated\":4,\"recoveryLevel\":\"Recoverable\","
                 "\"hsmPlatform\":\"2\",\"more\":[]},\"managed\":true,\"tags\":{\"a\":\"b\"},\"release_"
                 "policy\":{}}",
                 &key, NULL),
        KV_OK);
    assert_string_equal(key.name, "kek");
    assert_string_equal(key.version, "0123456789abcdef0123456789abcdef");
    assert_string_equal(key.kid, KID);
    assert_string_equal(key.hsm_platform, "2");
    assert_int_equal(key.kind, KV_RSA);
    assert_true(key.hsm && key.has_public && key.managed && !key.enabled);
    assert_int_equal(key.operations, KV_OP_SIGN | KV_OP_UNWRAP);
    assert_int_equal(key.bits, 1024);
    assert_int_equal(key.n.len, 128);
    assert_int_equal(key.e.len, 3); /* the leading zero is gone */
    assert_int_equal(key.nbf, 1);
    assert_int_equal(key.exp, 2524611661);
    assert_int_equal(key.created, 3);
    assert_int_equal(key.updated, 4);
    assert_string_equal(key.recovery_level, "Recoverable");
    assert_string_equal(key.curve, "");
}

/* A copy of the map with a control character in it would be refused by everybody. */
static void words_of_the_service_are_words(void **state)
{
    static const struct {
        const char *json, *level, *platform;
    } cases[] = {
        { "\"recoveryLevel\":\"Recoverable+Purgeable\",\"hsmPlatform\":\"2\"", "Recoverable+Purgeable", "2" },
        { "\"recoveryLevel\":\"a\\u001b[2J\",\"hsmPlatform\":\"1\\n\"", "", "" },
        { "\"recoveryLevel\":\"\",\"hsmPlatform\":\"\u00e9\"", "", "" },
        { "\"hsmPlatform\":\"1\"", "", "1" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        KV_CLEANUP(kv_vault_key_free) struct kv_vault_key key = { 0 };
        KV_AUTO_FREE char *text =
            kv_text_format("{\"attributes\":{%s},\"key\":{" EC ",\"kid\":\"" KID "\"}}", cases[i].json);
        assert_int_equal(read_key(text, &key, NULL), KV_OK);
        assert_string_equal(key.recovery_level, cases[i].level);
        assert_string_equal(key.hsm_platform, cases[i].platform);
    }
}

static void reads_an_ec_key_and_an_oct_key(void **state)
{
    struct kv_vault_key key = { 0 };
    assert_int_equal(read_key("{\"attributes\":{},\"key\":{" EC ",\"kid\":\"" KID "\"}}", &key, NULL), KV_OK);
    assert_int_equal(key.kind, KV_EC);
    assert_string_equal(key.curve, "P-256");
    assert_int_equal(key.x.len, 32);
    assert_int_equal(key.y.data[0], 0x1f);
    assert_int_equal(key.bits, 256);
    assert_true(key.enabled);
    kv_vault_key_free(&key);
    assert_int_equal(read_key("{\"key\":{\"kty\":\"oct-HSM\",\"kid\":\"" KID
                              "\"},\"attributes\":{\"key_size\":256}}",
                              &key, NULL),
                     KV_OK);
    assert_int_equal(key.kind, KV_OCT);
    assert_int_equal(key.bits, 256);
    assert_false(key.has_public);
    kv_vault_key_free(&key);
}

struct hostile {
    const char *member; /* the text must name it */
    const char *document;
};

#define KEY(jwk, attributes) "{\"key\":{\"kid\":\"" KID "\"," jwk "},\"attributes\":" attributes "}"

static const struct hostile hostile[] = {
    { "key", "{}" },
    { "key", "[]" },
    { "key", "\"key\"" },
    { "key", "{\"key\":null}" },
    { "key", "{\"key\":[]}" },
    { "key", "{\"key\":\"x\",\"attributes\":{}}" },
    { "kid", "{\"key\":{" RSA "}}" },
    { "kid", "{\"key\":{\"kid\":7," RSA "}}" },
    { "identifier", "{\"key\":{\"kid\":\"x\"," RSA "}}" },
    { "kid", "{\"key\":{\"kid\":\"https://h/keys/kek\"," RSA "}}" },
    { "kty", KEY("\"kty\":null", "{}") },
    { "kty", KEY("\"kty\":7", "{}") },
    { "kty", KEY("\"kty\":\"AKP\"", "{}") },
    { "n", KEY("\"kty\":\"RSA\",\"e\":\"AQAB\"", "{}") },
    { "n", KEY("\"kty\":\"RSA\",\"n\":1,\"e\":\"AQAB\"", "{}") },
    { "n", KEY("\"kty\":\"RSA\",\"n\":\"\",\"e\":\"AQAB\"", "{}") },
    { "n", KEY("\"kty\":\"RSA\",\"n\":\"AAAA\",\"e\":\"AQAB\"", "{}") },
    { "n", KEY("\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"", "{}") },
    { "n", KEY("\"kty\":\"RSA\",\"n\":\"" N "=\",\"e\":\"AQAB\"", "{}") },
    { "n", KEY("\"kty\":\"RSA\",\"n\":\"+/+/\",\"e\":\"AQAB\"", "{}") },
    { "e", KEY("\"kty\":\"RSA\",\"n\":\"" N "\"", "{}") },
    { "e", KEY("\"kty\":\"RSA\",\"n\":\"" N "\",\"e\":\"AA\"", "{}") },
    { "e", KEY("\"kty\":\"RSA\",\"n\":\"" N "\",\"e\":\"AQ\"", "{}") },
    { "e", KEY("\"kty\":\"RSA\",\"n\":\"" N "\",\"e\":\"AQAA\"", "{}") },
    { "e", KEY("\"kty\":\"RSA\",\"n\":\"" N "\",\"e\":\"AQEBAQEBAQEB\"", "{}") },
    { "crv", KEY("\"kty\":\"EC\",\"x\":\"" X256 "\",\"y\":\"" Y256 "\"", "{}") },
    { "crv", KEY("\"kty\":\"EC\",\"crv\":\"P-255\",\"x\":\"" X256 "\",\"y\":\"" Y256 "\"", "{}") },
    { "crv", KEY("\"kty\":\"EC\",\"crv\":{},\"x\":\"" X256 "\",\"y\":\"" Y256 "\"", "{}") },
    { "x", KEY("\"kty\":\"EC\",\"crv\":\"P-256\",\"y\":\"" Y256 "\"", "{}") },
    { "x", KEY("\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"" X256 "\",\"y\":\"" Y256 "\"", "{}") },
    { "x", KEY("\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAECAw\",\"y\":\"" Y256 "\"", "{}") },
    { "y", KEY("\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X256 "\",\"y\":\"AAECAw\"", "{}") },
    { "y", KEY("\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X256 "\",\"y\":[]", "{}") },
    { "key_ops", KEY(RSA ",\"key_ops\":\"sign\"", "{}") },
    { "key_ops", KEY(RSA ",\"key_ops\":[1]", "{}") },
    { "key_ops", KEY(RSA ",\"key_ops\":[[]]", "{}") },
    { "attributes", KEY(RSA, "[]") },
    { "attributes", KEY(RSA, "\"x\"") },
    { "enabled", KEY(RSA, "{\"enabled\":1}") },
    { "enabled", KEY(RSA, "{\"enabled\":\"true\"}") },
    { "nbf", KEY(RSA, "{\"nbf\":\"1\"}") },
    { "nbf", KEY(RSA, "{\"nbf\":-1}") },
    { "exp", KEY(RSA, "{\"exp\":1.5}") },
    { "exp", KEY(RSA, "{\"exp\":253402300800}") },
    { "exp", KEY(RSA, "{\"exp\":1e300}") },
    { "created", KEY(RSA, "{\"created\":{}}") },
    { "updated", KEY(RSA, "{\"updated\":true}") },
    { "recoveryLevel", KEY(RSA, "{\"recoveryLevel\":7}") },
    { "key_size", KEY("\"kty\":\"oct-HSM\"", "{\"key_size\":-1}") },
    { "key_size", KEY("\"kty\":\"oct-HSM\"", "{\"key_size\":\"256\"}") },
    { "managed", "{\"key\":{\"kid\":\"" KID "\"," RSA "},\"managed\":\"yes\"}" },
};

static void hostile_documents_are_refused(void **state)
{
    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
        struct kv_vault_key key = { 0 };
        struct kv_error err = { 0 };
        enum kv_status status = read_key(hostile[i].document, &key, &err);
        if (status != KV_PROTOCOL || !strstr(err.text, hostile[i].member) || key.kid[0] || key.n.data)
            fail_msg("%s: status %d, '%s'", hostile[i].document, status, err.text);
    }
}

static void a_huge_modulus_is_refused(void **state)
{
    char text[4096];
    int len =
        snprintf(text, sizeof text, "{\"key\":{\"kid\":\"" KID "\",\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"");
    memset(text + len, '_', 1400);
    snprintf(text + len + 1400, 16, "\"}}");
    struct kv_vault_key key = { 0 };
    assert_int_equal(read_key(text, &key, NULL), KV_PROTOCOL);
}

static void lists_leave_out_what_is_broken(void **state)
{
    KV_CLEANUP(kv_vault_page_free) struct kv_vault_page page = { 0 };
    KV_AUTO_JSON struct kv_json *json = parse(
        "{\"value\":[{\"kid\":\"" KID "\",\"attributes\":{\"enabled\":true,\"created\":5}},"
        "{\"kid\":\"nonsense\"},7,{\"attributes\":{}},{\"kid\":\"https://h/keys/other/v1\"},"
        "{\"kid\":\"https://h/keys/kek/v2\",\"attributes\":{\"exp\":\"x\"}},{\"kid\":\"https://h/keys/kek\"},"
        "{\"kid\":\"https://h/keys/KEK/v3\"}],\"nextLink\":\"https://h/keys?x\"}");
    assert_int_equal(kv_codec_read_page(json, "kek", &page, NULL), KV_OK);
    assert_int_equal(page.count, 2);
    assert_int_equal(page.broken, 6);
    assert_int_equal(page.items[0].created, 5);
    assert_false(page.items[0].has_public);
    assert_string_equal(page.items[1].version, "v3");
    assert_string_equal(page.next, "https://h/keys?x");
}

static void lists_end_in_several_ways(void **state)
{
    static const struct {
        const char *text;
        enum kv_status status;
        bool next;
    } rows[] = {
        { "{\"value\":[],\"nextLink\":null}", KV_OK, false },
        { "{\"value\":[]}", KV_OK, false },
        { "{\"value\":[],\"nextLink\":\"\"}", KV_OK, false },
        { "{\"value\":[],\"nextLink\":\"https://h/k\"}", KV_OK, true },
        { "{\"value\":[{\"kid\":\"https://h/keys/a\"}]}", KV_OK, false },
        { "{\"value\":[],\"nextLink\":7}", KV_PROTOCOL, false },
        { "{\"value\":{}}", KV_PROTOCOL, false },
        { "{\"value\":null}", KV_PROTOCOL, false },
        { "[]", KV_PROTOCOL, false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        KV_CLEANUP(kv_vault_page_free) struct kv_vault_page page = { 0 };
        KV_AUTO_JSON struct kv_json *json = parse(rows[i].text);
        if (kv_codec_read_page(json, NULL, &page, NULL) != rows[i].status || !page.next == rows[i].next)
            fail_msg("%s", rows[i].text);
    }
}

static void results_are_checked(void **state)
{
    static const struct {
        const char *text;
        enum kv_status status;
    } rows[] = {
        { "{\"kid\":\"" KID "\",\"value\":\"AQID\"}", KV_OK },
        { "{\"alg\":\"A256GCM\",\"kid\":\"" KID
          "\",\"value\":\"AQID\",\"iv\":\"AQ\",\"tag\":\"Ag\",\"aad\":7}",
          KV_OK },
        { "{\"kid\":\"" KID "\",\"value\":\"\"}", KV_OK }, /* the decryption of nothing */
        { "{\"value\":\"AQID\"}", KV_PROTOCOL },
        { "{\"kid\":7,\"value\":\"AQID\"}", KV_PROTOCOL },
        { "{\"kid\":\"" KID "\"}", KV_PROTOCOL },
        { "{\"kid\":\"" KID "\",\"value\":true}", KV_PROTOCOL },
        { "{\"kid\":\"" KID "\",\"value\":\"AQI=\"}", KV_PROTOCOL },
        { "{\"kid\":\"" KID "\",\"value\":\"AQID\",\"iv\":7}", KV_PROTOCOL },
        { "{\"kid\":\"" KID "\",\"value\":\"AQID\",\"tag\":\"*\"}", KV_PROTOCOL },
        { "[]", KV_PROTOCOL },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        KV_CLEANUP(kv_vault_result_free) struct kv_vault_result result = { 0 };
        char kid[KV_KID_SIZE] = "";
        KV_AUTO_JSON struct kv_json *json = parse(rows[i].text);
        if (kv_codec_read_result(json, &result, kid, NULL) != rows[i].status ||
            (rows[i].status == KV_OK) != (strcmp(kid, KID) == 0))
            fail_msg("%s", rows[i].text);
    }
}

static void verdicts_are_read(void **state)
{
    static const struct {
        const char *text, *kid;
        enum kv_status status;
        bool verified;
    } rows[] = {
        { "{\"value\":true}", "", KV_OK, true },
        { "{\"value\":false}", "", KV_OK, false },
        { "{\"alg\":\"HS256\",\"kid\":\"" KID "\",\"value\":true}", KID, KV_OK, true },
        { "{\"kid\":7,\"value\":true}", "", KV_PROTOCOL, false },
        { "{\"value\":\"true\"}", "", KV_PROTOCOL, false },
        { "{\"value\":1}", "", KV_PROTOCOL, false },
        { "{}", "", KV_PROTOCOL, false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        KV_AUTO_JSON struct kv_json *json = NULL;
        struct kv_vault_result result = { 0 };
        char kid[KV_KID_SIZE] = "";
        assert_int_equal(kv_json_parse(kv_view_text(rows[i].text), &json, NULL), KV_OK);
        if (kv_codec_read_verdict(json, &result, kid, NULL) != rows[i].status ||
            result.verified != rows[i].verified || strcmp(kid, rows[i].kid))
            fail_msg("%s", rows[i].text);
    }
}

static void random_bytes_are_counted(void **state)
{
    static const struct {
        const char *text;
        size_t len;
        enum kv_status status;
    } rows[] = {
        { "{\"value\":\"-_8B\"}", 3, KV_OK },        { "{\"value\":\"-_8B\"}", 4, KV_PROTOCOL },
        { "{\"value\":\"-_8B\"}", 2, KV_PROTOCOL },  { "{\"value\":\"\"}", 3, KV_PROTOCOL },
        { "{\"value\":\"-_8B+\"}", 3, KV_PROTOCOL }, { "{}", 3, KV_PROTOCOL },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        KV_AUTO_JSON struct kv_json *json = NULL;
        KV_AUTO_BYTES struct kv_bytes bytes = { 0 };
        assert_int_equal(kv_json_parse(kv_view_text(rows[i].text), &json, NULL), KV_OK);
        if (kv_codec_read_random(json, rows[i].len, &bytes, NULL) != rows[i].status ||
            (rows[i].status == KV_OK) != (bytes.len == 3))
            fail_msg("%s", rows[i].text);
    }
    KV_AUTO_TEXT char *body = kv_codec_write_random(128);
    assert_string_equal(body, "{\"count\":128}");
}

static void bodies_are_written(void **state)
{
    static const unsigned char value[] = { 0xfb, 0xff, 1 }, none[] = { 0 };
    KV_AUTO_BUFFER struct kv_buffer plain = { 0 }, full = { 0 }, refused = { 0 };
    struct kv_vault_op op = { .operation = KV_OP_SIGN, .alg = "RSA-OAEP-256", .value = { value, 3 } };
    assert_int_equal(kv_codec_write_op(&op, &plain), KV_OK);
    assert_string_equal((char *)plain.bytes.data, "{\"alg\":\"RSA-OAEP-256\",\"value\":\"-_8B\"}");
    op.iv = op.tag = (struct kv_view){ value, 1 };
    op.aad = (struct kv_view){ none, 0 };
    op.alg = "CKM_AES_KEY_WRAP";
    assert_int_equal(kv_codec_write_op(&op, &full), KV_OK);
    assert_string_equal((char *)full.bytes.data,
                        "{\"alg\":\"CKM_AES_KEY_WRAP\",\"value\":\"-_8B\",\"iv\":\"-w\",\"aad\":"
                        "\"\",\"tag\":\"-w\"}");
    KV_AUTO_BUFFER struct kv_buffer verify = { 0 };
    struct kv_vault_op check = { .operation = KV_OP_VERIFY, .alg = "HS256", .value = { value, 3 } };
    assert_int_equal(kv_codec_write_op(&check, &refused), KV_ARGUMENTS);
    check.digest = (struct kv_view){ none, 0 };
    assert_int_equal(kv_codec_write_op(&check, &verify), KV_OK);
    assert_string_equal((char *)verify.bytes.data, "{\"alg\":\"HS256\",\"value\":\"-_8B\",\"digest\":\"\"}");
    check.operation = KV_OP_SIGN;
    assert_int_equal(kv_codec_write_op(&check, &refused), KV_ARGUMENTS);
    op.alg = "A\",\"x\":\"";
    assert_int_equal(kv_codec_write_op(&op, &refused), KV_ARGUMENTS);

    KV_AUTO_TEXT char *create = kv_codec_write_create(&(struct kv_vault_create){
        .name = "k", .kty = "EC", .curve = "P-384", .operations = KV_OP_SIGN | KV_OP_VERIFY });
    assert_string_equal(create, "{\"kty\":\"EC\",\"crv\":\"P-384\",\"key_ops\":[\"sign\",\"verify\"]}");
    KV_AUTO_TEXT char *dated =
        kv_codec_write_create(&(struct kv_vault_create){ .name = "k", .kty = "RSA", .nbf = 5, .exp = 9 });
    assert_string_equal(dated, "{\"kty\":\"RSA\",\"attributes\":{\"nbf\":5,\"exp\":9}}");
    bool enabled = false;
    int64_t exp = 99;
    KV_AUTO_TEXT char *update =
        kv_codec_write_update(&(struct kv_vault_update){ .enabled = &enabled, .exp = &exp });
    assert_string_equal(update, "{\"attributes\":{\"enabled\":false,\"exp\":99}}");
}

static void imports_are_written(void **state)
{
    static const unsigned char one[] = { 0xfb, 0xff, 1 };
    struct kv_view number = { one, 3 };
    struct kv_vault_import rsa = {
        .name = "k", .kty = "RSA", .hsm = true, .operations = KV_OP_SIGN | KV_OP_VERIFY, .nbf = 5, .exp = 9
    };
    struct kv_vault_import ec = { .name = "k", .kty = "EC", .curve = "P-256", .exp = 7 };
    struct kv_vault_import oct = { .name = "k", .kty = "oct-HSM", .operations = KV_OP_WRAP };
    KV_AUTO_BUFFER struct kv_buffer first = { 0 }, second = { 0 }, third = { 0 };
    for (int i = KV_JWK_N; i <= KV_JWK_QI; i++)
        rsa.members[i] = number;
    ec.members[KV_JWK_D] = ec.members[KV_JWK_X] = ec.members[KV_JWK_Y] = number;
    oct.members[KV_JWK_K] = number;
    assert_int_equal(kv_codec_write_import(&rsa, &first), KV_OK);
    assert_string_equal(
        (char *)first.bytes.data,
        "{\"key\":{\"kty\":\"RSA\",\"key_ops\":[\"sign\",\"verify\"],\"n\":\"-_8B\",\"e\":\"-_8B\","
        "\"d\":\"-_8B\",\"p\":\"-_8B\",\"q\":\"-_8B\",\"dp\":\"-_8B\",\"dq\":\"-_8B\",\"qi\":\"-_8B\"},"
        "\"Hsm\":true,\"attributes\":{\"nbf\":5,\"exp\":9}}");
    assert_int_equal(kv_codec_write_import(&ec, &second), KV_OK);
    assert_string_equal(
        (char *)second.bytes.data,
        "{\"key\":{\"kty\":\"EC\",\"crv\":\"P-256\",\"d\":\"-_8B\",\"x\":\"-_8B\",\"y\":\"-_8B\"},"
        "\"attributes\":{\"exp\":7}}");
    assert_int_equal(kv_codec_write_import(&oct, &third), KV_OK);
    assert_string_equal((char *)third.bytes.data,
                        "{\"key\":{\"kty\":\"oct-HSM\",\"key_ops\":[\"wrapKey\"],\"k\":\"-_8B\"}}");
}

/* ---- recorded documents of the real service ---- */

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    KV_AUTO_BUFFER struct kv_buffer text = { 0 };
    unsigned char part[4096];
    size_t got;
    while ((got = fread(part, 1, sizeof part, file)) > 0)
        assert_int_equal(kv_buffer_add(&text, (struct kv_view){ part, got }), KV_OK);
    fclose(file);
    return kv_text_copy_n((const char *)text.bytes.data, text.bytes.len);
}

/* Each 200 body with `key` must be read, each list too; returns how many were. */
static size_t check_record(const struct kv_json *call, const char *file)
{
    const struct kv_json *reply = kv_json_get(call, "Response");
    const char *status = kv_json_text(kv_json_get(reply, "STATUS_CODE")),
               *body = kv_json_text(kv_json_get(reply, "BODY"));
    struct kv_error err = { 0 };
    if (!status || strcmp(status, "200") != 0 || !body)
        return 0;
    KV_AUTO_JSON struct kv_json *document = parse(body);
    KV_CLEANUP(kv_vault_key_free) struct kv_vault_key key = { 0 };
    KV_CLEANUP(kv_vault_page_free) struct kv_vault_page page = { 0 };
    if (kv_json_get(document, "key")) {
        if (kv_codec_read_key(document, &key, &err) != KV_OK)
            fail_msg("%s: %s", file, err.text);
        assert_true(key.created > 0 && key.operations);
        return 1;
    }
    if (kv_json_is_array(kv_json_get(document, "value")) && !strstr(file, "Deleted")) {
        if (kv_codec_read_page(document, NULL, &page, &err) != KV_OK)
            fail_msg("%s: %s", file, err.text);
        assert_int_equal(page.broken, 0);
        return 1;
    }
    return 0;
}

static void recorded_documents_are_read(void **state)
{
    const char *data = getenv("KVP11_TEST_DATA"), *ci = getenv("CI");
    char folder[4096], path[8192];
    snprintf(folder, sizeof folder, "%s/recordings/keys", data ? data : "");
    DIR *dir = data ? opendir(folder) : NULL;
    if (!dir && ci && strcmp(ci, "true") == 0)
        fail_msg("KVP11_TEST_DATA names no folder with recordings");
    if (!dir) {
        print_message("not run: recorded documents, as KVP11_TEST_DATA names no folder with recordings\n");
        return;
    }
    size_t read = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (!strstr(entry->d_name, ".json"))
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        KV_AUTO_TEXT char *text = read_file(path);
        KV_AUTO_JSON struct kv_json *json = parse(text);
        const struct kv_json *calls = kv_json_get(json, "networkCallRecords");
        for (size_t i = 0; i < kv_json_count(calls); i++)
            read += check_record(kv_json_at(calls, i), entry->d_name);
    }
    closedir(dir);
    assert_true(read >= 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_an_rsa_key),
        cmocka_unit_test(words_of_the_service_are_words),
        cmocka_unit_test(reads_an_ec_key_and_an_oct_key),
        cmocka_unit_test(hostile_documents_are_refused),
        cmocka_unit_test(a_huge_modulus_is_refused),
        cmocka_unit_test(lists_leave_out_what_is_broken),
        cmocka_unit_test(lists_end_in_several_ways),
        cmocka_unit_test(results_are_checked),
        cmocka_unit_test(verdicts_are_read),
        cmocka_unit_test(random_bytes_are_counted),
        cmocka_unit_test(bodies_are_written),
        cmocka_unit_test(imports_are_written),
        cmocka_unit_test(recorded_documents_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
