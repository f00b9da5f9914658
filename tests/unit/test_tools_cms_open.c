#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include "base/encode.h"
#include "crew.h"
#include "mech/local.h"
#include "open.h"
#include "seal.h"
#include "../common/place.h"

#define COUNT(array) (sizeof(array) / sizeof(array[0]))

enum {
    SEQUENCE = 0x30,
    SET = 0x31,
    OCTETS = 0x04,
    OID = 0x06,
    INTEGER = 0x02,
    CONTENT = 0x80,
    OUTER = 0xa0,
    ATTRIBUTES = 0xa1
};

/* An envelope put together piece by piece, with attributes that its tag covers. */
struct parts {
    struct kv_bytes key;
    const char *attributes; /* hex of the contents of the SET; NULL: none */
    const char *other;      /* hex: what stands there instead of what the tag covers */
    const char *type;       /* hex of the content's type; NULL: data */
    size_t tag_len;
    size_t nonce_len;       /* 0: 12 */
    size_t announced;       /* bytes that the tag is said to have; 0: 16 */
    struct kv_view content; /* NULL: "the content" */
    size_t segment;         /* bytes; 0: in one piece of definite length */
};

static void add_hex(unsigned char tag, const char *hex, struct kv_buffer *ret)
{
    KV_AUTO_BYTES struct kv_bytes bytes = { 0 };
    assert_int_equal(kv_decode_hex(hex, &bytes), KV_OK);
    assert_int_equal(kv_der_add(tag, KV_VIEW(bytes), ret), KV_OK);
}

static void wrap(unsigned char tag, struct kv_buffer *contents, struct kv_buffer *ret)
{
    assert_int_equal(kv_der_add(tag, KV_VIEW(contents->bytes), ret), KV_OK);
    kv_buffer_free(contents);
}

static void encrypt(const struct parts *parts, struct kv_view nonce, struct kv_buffer *ret)
{
    CK_GCM_PARAMS gcm = { (CK_BYTE *)nonce.data, nonce.len, 8 * nonce.len, NULL, 0, 128 };
    KV_AUTO_BUFFER struct kv_buffer covered = { 0 };
    if (parts->attributes) {
        add_hex(SET, parts->attributes, &covered);
        gcm.pAAD = covered.bytes.data;
        gcm.ulAADLen = covered.bytes.len;
    }
    CK_MECHANISM mechanism = { CKM_AES_GCM, &gcm, sizeof(gcm) };
    struct kv_mech_key key = { .kind = KV_OCT, .bits = 256, .session = true };
    struct kv_mech_offer offer = { .session_ciphers = true };
    struct kv_mech_use use = { 0 };
    struct kv_cipher *cipher = NULL;
    struct kv_view content = parts->content.data ? parts->content : kv_view_text("the content");
    assert_int_equal(kv_mech_select(&mechanism, &key, KV_OP_ENCRYPT, &offer, &use), KV_OK);
    assert_int_equal(kv_cipher_open(&use, KV_VIEW(parts->key), true, &cipher), KV_OK);
    assert_int_equal(kv_cipher_update(cipher, content, ret), KV_OK);
    assert_int_equal(kv_cipher_final(cipher, ret), KV_OK);
    kv_cipher_free(cipher);
    kv_mech_use_free(&use);
}

static void add_content(const struct parts *parts, struct kv_view cipher, struct kv_buffer *ret)
{
    KV_AUTO_BUFFER struct kv_buffer segments = { 0 };
    if (!parts->segment) {
        assert_int_equal(kv_der_add(CONTENT, cipher, ret), KV_OK);
        return;
    }
    for (size_t at = 0; at < cipher.len; at += parts->segment) {
        size_t len = cipher.len - at < parts->segment ? cipher.len - at : parts->segment;
        assert_int_equal(kv_der_add(OCTETS, (struct kv_view){ cipher.data + at, len }, &segments), KV_OK);
    }
    wrap(OUTER, &segments, ret);
}

static struct kv_bytes envelope(const struct parts *parts)
{
    static const unsigned char bytes[16] = { 1, 2, 3 };
    struct kv_view nonce = { bytes, parts->nonce_len ? parts->nonce_len : 12 };
    KV_AUTO_BUFFER struct kv_buffer cipher = { 0 }, info = { 0 }, body = { 0 }, inner = { 0 }, outer = { 0 };
    KV_AUTO_BYTES struct kv_bytes algorithm = { 0 };
    struct kv_bytes whole;
    encrypt(parts, nonce, &cipher);
    size_t len = cipher.bytes.len - KV_CMS_TAG_MAX;
    assert_int_equal(kv_cms_content_write(nonce, &algorithm), KV_OK);
    algorithm.data[algorithm.len - 1] = (unsigned char)(parts->announced ? parts->announced : KV_CMS_TAG_MAX);
    add_hex(OID, parts->type ? parts->type : "2a864886f70d010701", &info);
    assert_int_equal(kv_buffer_add(&info, KV_VIEW(algorithm)), KV_OK);
    add_content(parts, (struct kv_view){ cipher.bytes.data, len }, &info);
    add_hex(INTEGER, "00", &body);
    add_hex(SET, "a303020105", &body); /* a recipient by password: nobody that is looked at here */
    wrap(SEQUENCE, &info, &body);
    if (parts->attributes)
        add_hex(ATTRIBUTES, parts->other ? parts->other : parts->attributes, &body);
    assert_int_equal(kv_der_add(OCTETS, (struct kv_view){ cipher.bytes.data + len, parts->tag_len }, &body),
                     KV_OK);
    wrap(SEQUENCE, &body, &inner);
    add_hex(OID, "2a864886f70d0109100117", &outer);
    wrap(OUTER, &inner, &outer);
    assert_int_equal(kv_der_wrap(SEQUENCE, KV_VIEW(outer.bytes), &whole), KV_OK);
    return whole;
}

static enum kv_status opened(struct kv_view whole, struct kv_view key, const char *out, struct kv_error *err)
{
    struct kv_cms_input input;
    KV_CLEANUP(kv_cms_opening_free) struct kv_cms_opening opening = { 0 };
    KV_AUTO_OUTPUT struct kv_output *output = NULL;
    kv_cms_input_memory(whole, &input);
    KV_TRY(kv_cms_open_head(&input, false, &opening, err));
    KV_TRY(kv_output_open(out, &output, err));
    KV_TRY(kv_cms_open_content(&opening, key, output, err));
    return kv_output_commit(output, err);
}

struct world {
    char folder[TEST_FOLDER], file[80], pipe[80];
    struct kv_bytes key;
};

static int setup(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    if (!test_folder(world->folder, "cms") || kv_bytes_alloc(32, &world->key) != KV_OK)
        return -1;
    snprintf(world->file, sizeof(world->file), "%s/file", world->folder);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    unlink(world->file);
    int done = rmdir(world->folder);
    kv_bytes_free(&world->key);
    free(world);
    return done;
}

/* The content in the file; empty: there is none. */
static void holds(const struct world *world, const char *expected)
{
    char text[64] = "";
    FILE *stream = fopen(world->file, "re");
    if (!stream) {
        assert_string_equal(expected, "");
        return;
    }
    size_t len = fread(text, 1, sizeof(text) - 1, stream);
    fclose(stream);
    text[len] = '\0';
    assert_string_equal(text, expected);
}

struct sentence {
    const char *text;
    const char *attributes, *other, *type;
    size_t tag_len;   /* 0: 16 */
    size_t nonce_len; /* 0: 12 */
    size_t announced; /* 0: 16 */
    enum kv_status status;
    const char *why;
};

static const struct sentence sentences[] = {
    { "an envelope without attributes", .status = KV_OK },
    { "a nonce of 16 bytes", .nonce_len = 16, .status = KV_OK },
    { "a nonce of 8 bytes", .nonce_len = 8, .attributes = "3009060355040331020500", .status = KV_OK },
    { "a nonce of 7 bytes", .nonce_len = 7, .status = KV_BAD_DATA, .why = "the parameters of AES-256-GCM" },
    { "attributes that the tag covers", .attributes = "3009060355040331020500", .status = KV_OK },
    { "attributes that somebody changed", .attributes = "3009060355040331020500",
      .other = "3009060355040431020500", .status = KV_BAD_CIPHERTEXT, .why = "is not what its sender wrote" },
    { "another type of content without attributes", .type = "2a864886f70d010702", .status = KV_BAD_DATA,
      .why = "no attribute says so" },
    { "another type of content with them", .type = "2a864886f70d010702",
      .attributes = "3009060355040331020500", .status = KV_OK },
    { "a tag of 12 bytes", .tag_len = 12, .announced = 12, .status = KV_OK },
    { "a tag of 11 bytes", .tag_len = 11, .announced = 11, .status = KV_BAD_DATA,
      .why = "the parameters of" },
    { "a tag of 17 bytes", .announced = 17, .status = KV_BAD_DATA, .why = "the parameters of" },
    { "a tag that is longer than announced", .announced = 12, .status = KV_BAD_DATA,
      .why = "has 16 bytes, and 12" },
    { "a tag that is shorter than announced", .tag_len = 12, .status = KV_BAD_DATA,
      .why = "has 12 bytes, and 16" },
};

/* A stream is read twice, a file once: the outcome is the same. */
static void test_attributes(void **state)
{
    struct world *world = *state;
    for (size_t i = 0; i < COUNT(sentences); i++) {
        const struct sentence *sentence = &sentences[i];
        struct parts parts = { world->key,
                               sentence->attributes,
                               sentence->other,
                               sentence->type,
                               sentence->tag_len ? sentence->tag_len : KV_CMS_TAG_MAX,
                               sentence->nonce_len,
                               sentence->announced };
        KV_AUTO_BYTES struct kv_bytes whole = envelope(&parts);
        static const char *const outputs[] = { NULL, "/dev/null" };
        for (size_t j = 0; j < COUNT(outputs); j++) {
            struct kv_error err = { 0 };
            unlink(world->file);
            enum kv_status status =
                opened(KV_VIEW(whole), KV_VIEW(world->key), outputs[j] ? outputs[j] : world->file, &err);
            if (status != sentence->status || (sentence->why && !strstr(err.text, sentence->why)))
                fail_msg("%s: %s: %s", sentence->text, kv_status_name(status), err.text);
            holds(world, status == KV_OK && !outputs[j] ? "the content" : "");
        }
    }
}

/* What is written here is read here. */
static void test_round_trip(void **state)
{
    struct world *world = *state;
    KV_CLEANUP(kv_cms_seal_free) struct kv_cms_seal seal;
    KV_AUTO_BYTES struct kv_bytes whole = { 0 };
    assert_int_equal(kv_cms_seal_start(&seal, NULL), KV_OK);
    seal.count = 1;
    seal.recipients[0].key_id_len = 20;
    assert_int_equal(kv_bytes_alloc(256, &seal.recipients[0].key), KV_OK);
    assert_int_equal(kv_cms_seal_write(&seal, kv_view_text("a secret"), &whole, NULL), KV_OK);
    assert_int_equal(opened(KV_VIEW(whole), KV_VIEW(seal.key), world->file, NULL), KV_OK);
    holds(world, "a secret");
    unlink(world->file);
    seal.key.data[31] ^= 1;
    assert_int_equal(opened(KV_VIEW(whole), KV_VIEW(seal.key), world->file, NULL), KV_BAD_CIPHERTEXT);
    holds(world, "");
}

/* Nothing before the head is whole: each prefix is refused, and no byte of any is looked at beyond its end (sanitizers watch). */
static void test_every_prefix(void **state)
{
    struct world *world = *state;
    struct parts parts = { world->key, "3009060355040331020500", NULL, NULL, KV_CMS_TAG_MAX };
    KV_AUTO_BYTES struct kv_bytes whole = envelope(&parts);
    for (size_t len = 0; len < whole.len; len++) {
        KV_AUTO_BYTES struct kv_bytes prefix = { 0 };
        assert_int_equal(kv_bytes_copy((struct kv_view){ whole.data, len }, &prefix), KV_OK);
        assert_int_equal(opened(KV_VIEW(prefix), KV_VIEW(world->key), world->file, NULL), KV_BAD_DATA);
        holds(world, "");
    }
}

/* --- every length --- */
enum { ATTRIBUTES_MOST = 200 };

/* What a stream was given: the standard output is a file meanwhile. */
static enum kv_status opened_as_stream(const struct world *world, struct kv_view whole, struct kv_error *err)
{
    int file = open(world->file, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600), kept = dup(STDOUT_FILENO);
    assert_true(file >= 0 && kept >= 0);
    fflush(stdout);
    dup2(file, STDOUT_FILENO);
    enum kv_status status = opened(whole, KV_VIEW(world->key), NULL, err);
    dup2(kept, STDOUT_FILENO);
    close(kept);
    close(file);
    return status;
}

static void holds_bytes(const struct world *world, struct kv_view expected)
{
    KV_AUTO_BYTES struct kv_bytes found = { 0 };
    FILE *stream = fopen(world->file, "re");
    assert_non_null(stream);
    assert_int_equal(kv_bytes_alloc(expected.len + 1, &found), KV_OK);
    assert_int_equal(fread(found.data, 1, found.len, stream), expected.len);
    fclose(stream);
    assert_memory_equal(found.data, expected.data, expected.len);
}

/* Contents around the ends of blocks and pieces, attributes and tags of every length that there is, by keys that are new each time: what OpenSSL made in one piece comes
 * out, to a file and to a stream, and after one flipped bit in the content, the attributes or the tag nothing does. */
static void test_every_length(void **state)
{
    static const size_t lengths[] = {
        0, 1, 15, 16, 17, KV_CMS_PIECE - 1, KV_CMS_PIECE, KV_CMS_PIECE + 1, 2 * KV_CMS_PIECE + 5
    };
    struct world *world = *state;
    KV_AUTO_BYTES struct kv_bytes plain = { 0 };
    unsigned char choice[4], attributes[ATTRIBUTES_MOST];
    char hex[2 * ATTRIBUTES_MOST + 1];
    assert_int_equal(kv_bytes_alloc(lengths[COUNT(lengths) - 1], &plain), KV_OK);
    for (size_t i = 0; i < 2 * COUNT(lengths); i++) {
        plain.len = lengths[i % COUNT(lengths)];
        assert_int_equal(kv_random_bytes(world->key.data, world->key.len), KV_OK);
        assert_int_equal(kv_random_bytes(plain.data, plain.len), KV_OK);
        assert_int_equal(kv_random_bytes(choice, sizeof(choice)), KV_OK);
        assert_int_equal(kv_random_bytes(attributes, sizeof(attributes)), KV_OK);
        kv_encode_hex((struct kv_view){ attributes, 1 + choice[0] % ATTRIBUTES_MOST }, hex);
        size_t tag_len = 12 + i % 5;
        struct parts parts = { .key = world->key,
                               .attributes = i % 2 ? hex : NULL,
                               .tag_len = tag_len,
                               .announced = tag_len,
                               .content = KV_VIEW(plain),
                               .segment = i % 4 < 2 ? 1 + choice[1] * 300 : 0 };
        KV_AUTO_BYTES struct kv_bytes whole = envelope(&parts);
        struct kv_error err = { 0 };
        if (opened(KV_VIEW(whole), KV_VIEW(world->key), world->file, &err) != KV_OK)
            fail_msg("%zu bytes: %s", plain.len, err.text);
        holds_bytes(world, KV_VIEW(plain));
        assert_int_equal(opened_as_stream(world, KV_VIEW(whole), NULL), KV_OK);
        holds_bytes(world, KV_VIEW(plain));
        whole.data[whole.len - 1 - choice[2] % tag_len] ^= 1; /* in the tag */
        assert_int_equal(opened_as_stream(world, KV_VIEW(whole), NULL), KV_BAD_CIPHERTEXT);
        holds(world, "");
        plain.len = lengths[COUNT(lengths) - 1];
    }
}

static void test_oids(void **state)
{
    static const struct {
        const char *hex, *text;
    } rows[] = { { "2a864886f70d010701", "1.2.840.113549.1.7.1" },
                 { "60864801650304012e", "2.16.840.1.101.3.4.1.46" },
                 { "883703", "2.999.3" },
                 { "2b0e03021a", "1.3.14.3.2.26" },
                 { "", "" },
                 { "2a86", "1.2" },
                 { "2affffffffffffffffffffff7f", "1.2" } };
    for (size_t i = 0; i < COUNT(rows); i++) {
        KV_AUTO_BYTES struct kv_bytes bytes = { 0 };
        char text[64];
        assert_int_equal(kv_decode_hex(rows[i].hex, &bytes), KV_OK);
        kv_cms_oid_text(KV_VIEW(bytes), text, sizeof(text));
        assert_string_equal(text, rows[i].text);
    }
}

struct transport {
    const char *text, *hex; /* contents of the AlgorithmIdentifier */
    enum kv_status status;
    CK_MECHANISM_TYPE hash;
};

#define OAEP    "06092a864886f70d010107"
#define MGF1    "06092a864886f70d010108"
#define HASH1   "06052b0e03021a"
#define HASH256 "0609608648016503040201"

static const struct transport transports[] = {
    { "empty parameters are SHA-1 throughout", OAEP "3000", KV_OK, CKM_SHA_1 },
    { "SHA-256 throughout", OAEP "302ba00d300b" HASH256 "a11a3018" MGF1 "300b" HASH256, KV_OK, CKM_SHA256 },
    { "with NULL beside the hashes", OAEP "302fa00f300d" HASH256 "0500a11c301a" MGF1 "300d" HASH256 "0500",
      KV_OK, CKM_SHA256 },
    { "SHA-1 said aloud", OAEP "300ba0093007" HASH1, KV_OK, CKM_SHA_1 },
    { "SHA-1 said aloud, with NULL", OAEP "300da00b3009" HASH1 "0500", KV_OK, CKM_SHA_1 },
    { "a hash that is longer than what has it", OAEP "300ba0093008" HASH1, KV_BAD_DATA, 0 },
    { "no parameters", OAEP, KV_BAD_DATA, 0 },
    { "NULL", OAEP "0500", KV_BAD_DATA, 0 },
    { "SHA-256 whose mask is left at SHA-1", OAEP "300fa00d300b" HASH256, KV_UNSUPPORTED, 0 },
    { "a mask of another kind", OAEP "302ba00d300b" HASH256 "a11a3018" OAEP "300b" HASH256, KV_UNSUPPORTED,
      0 },
    { "an empty label", OAEP "3013a211300f06092a864886f70d0101090402", KV_BAD_DATA, 0 },
    { "an empty label, whole", OAEP "3011a20f300d06092a864886f70d0101090400", KV_OK, CKM_SHA_1 },
    { "a label", OAEP "3012a210300e06092a864886f70d010109040161", KV_UNSUPPORTED, 0 },
    { "something behind the parameters", OAEP "30000500", KV_BAD_DATA, 0 },
    { "something behind the members", OAEP "30020500", KV_BAD_DATA, 0 },
    { "members in another order", OAEP "302ba11a3018" MGF1 "300b" HASH256 "a00d300b" HASH256, KV_BAD_DATA,
      0 },
    { "PKCS#1 v1.5", "06092a864886f70d0101010500", KV_OK, 0 },
    { "PKCS#1 v1.5 without NULL", "06092a864886f70d010101", KV_OK, 0 },
    { "PKCS#1 v1.5 with something else", "06092a864886f70d0101013000", KV_BAD_DATA, 0 },
    { "another algorithm", "06092a864886f70d01010a3000", KV_UNSUPPORTED, 0 },
    { "no identifier", "3000", KV_BAD_DATA, 0 },
};

static void test_transports(void **state)
{
    for (size_t i = 0; i < COUNT(transports); i++) {
        KV_AUTO_BYTES struct kv_bytes bytes = { 0 };
        const struct kv_cms_transport *transport = NULL;
        struct kv_error err = { 0 };
        assert_int_equal(kv_decode_hex(transports[i].hex, &bytes), KV_OK);
        enum kv_status status = kv_cms_transport_read(KV_VIEW(bytes), &transport, &err);
        if (status != transports[i].status)
            fail_msg("%s: %s: %s", transports[i].text, kv_status_name(status), err.text);
        if (status == KV_OK && transport->hash != transports[i].hash)
            fail_msg("%s: %s", transports[i].text, transport->name);
    }
}

/* 2^36 - 32 bytes and not one more: what a definite length announces is refused before anything is read. */
static void test_gcm_is_bounded(void **state)
{
    struct world *world = *state;
    struct parts parts = { world->key, NULL, NULL, NULL, KV_CMS_TAG_MAX };
    KV_AUTO_BYTES struct kv_bytes whole = envelope(&parts), altered = { 0 };
    struct kv_error err = { 0 };
    const unsigned char announced[] = { 0x30, 0x80, 0x06, 0x0b, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d,
                                        0x01, 0x09, 0x10, 0x01, 0x17, 0xa0, 0x80, 0x30, 0x80 };
    const unsigned char length[] = { 0x80, 0x85, 0x0f, 0xff, 0xff, 0xff, 0xe1 };
    KV_AUTO_BUFFER struct kv_buffer all = { 0 };
    const unsigned char *content = memmem(whole.data, whole.len, "\x80\x0b", 2);
    const unsigned char *info =
        memmem(whole.data, whole.len, "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01", 11);
    assert_non_null(content);
    assert_non_null(info);
    assert_int_equal(kv_buffer_add(&all, (struct kv_view){ announced, sizeof(announced) }), KV_OK);
    add_hex(INTEGER, "00", &all);
    add_hex(SET, "a303020105", &all);
    assert_int_equal(kv_buffer_add(&all, (struct kv_view){ (const unsigned char *)"\x30\x80", 2 }), KV_OK);
    assert_int_equal(kv_buffer_add(&all, (struct kv_view){ info, (size_t)(content - info) }), KV_OK);
    assert_int_equal(kv_buffer_add(&all, (struct kv_view){ length, sizeof(length) }), KV_OK);
    assert_int_equal(opened(KV_VIEW(all.bytes), KV_VIEW(world->key), world->file, &err), KV_DATA_LENGTH);
    all.bytes.data[all.bytes.len -
                   1]--; /* the longest that there is: only that it is not there is wrong with it */
    assert_int_equal(opened(KV_VIEW(all.bytes), KV_VIEW(world->key), world->file, &err), KV_BAD_DATA);
    assert_non_null(strstr(err.text, "it was cut"));
    kv_bytes_free(&altered);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_attributes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_prefix, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_length, setup, teardown),
        cmocka_unit_test(test_oids),
        cmocka_unit_test(test_transports),
        cmocka_unit_test_setup_teardown(test_gcm_is_bounded, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
