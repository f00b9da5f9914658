#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <sys/mman.h>
#include "base/encode.h"
#include "../../tools/age/header.h"
#include "../../tools/age/payload.h"
#include "../../tools/age/primitives.h"
#include "../../tools/age/x25519.h"

/* Made for this test with age-keygen 1.1.1. */
#define OWN    "AGE-SECRET-KEY-18P0RDALZWM6ANZ02T6V0RSM0TER2CCCCM39K5SNVTWJ7Q4LXKTZQ9S4Y58"
#define OWN_TO "age1x3ndh638qxp2762efjzhrxxjhj8knk00n6ttjql7v0apur8kcuyq65hmxc"
/* The pair of the format's description. */
#define OTHER    "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"
#define OTHER_TO "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"
/* Written by age 1.1.1 for OWN_TO. */
static const char foreign[] = "age-encryption.org/v1\n"
                              "-> X25519 ipJxfu1a/3nLEIbH51042eSwe+HVvXZqeHVrUzvNd3k\n"
                              "3Wn+NsaybRjt7dUZwC3wsLMs3MNcm9o27NR0qMwOeOg\n"
                              "--- vozKOFN1/O1SVCcnLTuUWk3Xu1NmeFsstsrejq2st9E\n";

#define KV_AUTO_RECIPIENT KV_CLEANUP(kv_age_recipient_free)
#define KV_AUTO_IDENTITY  KV_CLEANUP(kv_age_identity_free)

static enum kv_status open_text(const char *text, const char *as, unsigned char ret_key[KV_AGE_FILE_KEY],
                                struct kv_error *err)
{
    KV_AUTO_AGE_HEADER struct kv_age_header header = { 0 };
    KV_AUTO_IDENTITY struct kv_age_identity identity = { 0 };
    assert_int_equal(kv_age_x25519_identity(as, &identity, NULL), KV_OK);
    KV_TRY(kv_age_header_parse(kv_view_text(text), &header, err));
    return kv_age_header_open(&header, &identity, 1, ret_key, err);
}

static void a_header_that_age_wrote_is_opened_by_its_identity_only(void **state)
{
    unsigned char key[KV_AGE_FILE_KEY];
    assert_int_equal(open_text(foreign, OWN, key, NULL), KV_OK);
    assert_int_equal(open_text(foreign, OTHER, key, NULL), KV_NOT_FOUND);
}

/* From the file key to the words, as age sealed them. */
static void a_payload_that_age_wrote_is_opened(void **state)
{
    KV_AUTO_BYTES struct kv_bytes payload = { 0 };
    unsigned char key[KV_AGE_FILE_KEY];
    char words[64] = "";
    KV_AUTO_FD int in = memfd_create("in", MFD_CLOEXEC), out = memfd_create("out", MFD_CLOEXEC);
    assert_int_equal(
        kv_decode_hex("09c93900fc86ca8340e5ce4e10ba9a98da761de086fce43f5249e77e02f9ce44d4accbac7252"
                      "a47e3e64f8dd94f2cb36d4c9595f",
                      &payload),
        KV_OK);
    assert_int_equal(pwrite(in, payload.data, payload.len, 0), (ssize_t)payload.len);
    const struct kv_age_stream stream = { .in = in, .out = out };
    assert_int_equal(open_text(foreign, OWN, key, NULL), KV_OK);
    assert_int_equal(kv_age_payload_open(&stream, key, NULL), KV_OK);
    assert_int_equal(pread(out, words, sizeof words, 0), 20);
    assert_string_equal(words, "written by age 1.1.1");
}

static void seal_to(const char *to, const unsigned char *key, struct kv_buffer *ret)
{
    KV_AUTO_RECIPIENT struct kv_age_recipient recipient = { 0 };
    assert_int_equal(kv_age_x25519_recipient(to, &recipient, NULL), KV_OK);
    assert_int_equal(kv_age_header_seal(&recipient, 1, key, ret, NULL), KV_OK);
}

static void what_is_sealed_to_a_recipient_its_identity_opens(void **state)
{
    static const char *const pairs[][2] = { { OWN_TO, OWN }, { OTHER_TO, OTHER } };
    for (size_t i = 0; i < 2; i++) {
        KV_AUTO_BUFFER struct kv_buffer one = { 0 }, again = { 0 };
        unsigned char key[KV_AGE_FILE_KEY], found[KV_AGE_FILE_KEY];
        assert_int_equal(kv_age_random(key, sizeof key, NULL), KV_OK);
        seal_to(pairs[i][0], key, &one);
        seal_to(pairs[i][0], key, &again);
        assert_string_not_equal(one.bytes.data, again.bytes.data);
        assert_int_equal(open_text((char *)one.bytes.data, pairs[i][1], found, NULL), KV_OK);
        assert_memory_equal(found, key, sizeof key);
        assert_int_equal(open_text((char *)one.bytes.data, pairs[!i][1], found, NULL), KV_NOT_FOUND);
    }
}

#define V1    "age-encryption.org/v1\n"
#define END   "--- AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
#define SHARE "ipJxfu1a/3nLEIbH51042eSwe+HVvXZqeHVrUzvNd3k"
#define BODY  "3Wn+NsaybRjt7dUZwC3wsLMs3MNcm9o27NR0qMwOeOg\n"

static void malformed_stanzas_are_refused_and_foreign_ones_passed_over(void **state)
{
    static const struct {
        const char *what, *text;
        enum kv_status status;
        const char *word;
    } cases[] = {
        { "no share", V1 "-> X25519\n" BODY END, KV_BAD_DATA, "malformed" },
        { "an argument more", V1 "-> X25519 " SHARE " x\n" BODY END, KV_BAD_DATA, "malformed" },
        { "a share too short",
          V1 "-> X25519 "
             "AAAA\n" BODY END,
          KV_BAD_DATA, "malformed" },
        { "a share with stray bits", V1 "-> X25519 ipJxfu1a/3nLEIbH51042eSwe+HVvXZqeHVrUzvNd3l\n" BODY END,
          KV_BAD_DATA, "malformed" },
        { "a share that is padded", V1 "-> X25519 " SHARE "=\n" BODY END, KV_BAD_DATA, "malformed" },
        { "a body too long", V1 "-> X25519 " SHARE "\n3Wn+NsaybRjt7dUZwC3wsLMs3MNcm9o27NR0qMwOeOgA\n" END,
          KV_BAD_DATA, "malformed" },
        { "a body too short", V1 "-> X25519 " SHARE "\nAAAA\n" END, KV_BAD_DATA, "malformed" },
        { "a share of zeroes", V1 "-> X25519 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n" BODY END,
          KV_BAD_DATA, "small order" },
        { "a type in other letters", V1 "-> x25519 " SHARE "\n" BODY END, KV_NOT_FOUND, "1 recipients" },
        { "a foreign body", V1 "-> X25519 " SHARE "\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n" END,
          KV_NOT_FOUND, "no identity" },
        { "another MAC", V1 "-> X25519 " SHARE "\n" BODY END, KV_BAD_DATA, "MAC is wrong" },
        { "a stranger in front", V1 "-> grease\n\n-> X25519 " SHARE "\n" BODY END, KV_BAD_DATA,
          "MAC is wrong" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned char key[KV_AGE_FILE_KEY];
        struct kv_error err = { 0 };
        enum kv_status status = open_text(cases[i].text, OWN, key, &err);
        if (status != cases[i].status || !strstr(err.text, cases[i].word))
            fail_msg("%s: %s: %s", cases[i].what, kv_status_name(status), err.text);
    }
}

static void texts_that_are_no_keys_are_refused(void **state)
{
    static const char *const texts[] = {
        "", "age1", "age1x3ndh638qxp2762efjzhrxxjhj8knk00n6ttjql7v0apur8kcuyq65hmxd",
        "AGE-SECRET-KEY-18P0RDALZWM6ANZ02T6V0RSM0TER2CCCCM39K5SNVTWJ7Q4LXKTZQ9S4Y59"
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct kv_age_recipient recipient = { 0 };
        struct kv_age_identity identity = { 0 };
        struct kv_error err = { 0 };
        assert_int_equal(kv_age_x25519_recipient(texts[i], &recipient, NULL), KV_BAD_DATA);
        assert_int_equal(kv_age_x25519_identity(texts[i], &identity, &err), KV_BAD_DATA);
        assert_null(recipient.wrap);
        assert_null(identity.unwrap);
        assert_null(strstr(err.text, "8P0RDALZWM"));
    }
    struct kv_age_recipient recipient = { 0 };
    struct kv_age_identity identity = { 0 };
    assert_int_equal(kv_age_x25519_recipient(OWN, &recipient, NULL), KV_BAD_DATA);
    assert_int_equal(kv_age_x25519_identity(OWN_TO, &identity, NULL), KV_BAD_DATA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_that_age_wrote_is_opened_by_its_identity_only),
        cmocka_unit_test(a_payload_that_age_wrote_is_opened),
        cmocka_unit_test(what_is_sealed_to_a_recipient_its_identity_opens),
        cmocka_unit_test(malformed_stanzas_are_refused_and_foreign_ones_passed_over),
        cmocka_unit_test(texts_that_are_no_keys_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
