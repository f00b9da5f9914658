#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "../../tools/age/header.h"
#include "../../tools/age/primitives.h"
#include "../../tools/age/ssh.h"
#include "../../tools/age/ssh_keys.h"

/* Made for this test by ssh-keygen, and a header that age 1.1.1 wrote for it. */
static const char own[] = "-----BEGIN OPENSSH PRIVATE KEY-----\n"
                          "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\n"
                          "QyNTUxOQAAACBLi2Q0a+OdyLnHBRw5iYc10JCb5MADQaGiaIM6nipt1wAAAIiMl20pjJdt\n"
                          "KQAAAAtzc2gtZWQyNTUxOQAAACBLi2Q0a+OdyLnHBRw5iYc10JCb5MADQaGiaIM6nipt1w\n"
                          "AAAECCLRCPHMGhUIsBgX+CefVnjqf6f/rw7cb+dKZsliqo7kuLZDRr453IuccFHDmJhzXQ\n"
                          "kJvkwANBoaJogzqeKm3XAAAAAAECAwQF\n"
                          "-----END OPENSSH PRIVATE KEY-----\n";
static const char own_to[] =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEuLZDRr453IuccFHDmJhzXQkJvkwANBoaJogzqeKm3X";
static const char foreign[] = "age-encryption.org/v1\n"
                              "-> ssh-ed25519 yFlZCA H7G69sp8mrYpJj8KFDannST5aWle4rwkYdnLvI/7jSk\n"
                              "bv1gkh6FCaVLR6sWa+9V4inFvpV5GxK/z4qa3wStkdI\n"
                              "--- DaKOvdZPK70v+MGaoY7IDonMhJtC8++/0tzuwyaRpQk\n";

#define KV_AUTO_RECIPIENT KV_CLEANUP(kv_age_recipient_free)
#define KV_AUTO_IDENTITY  KV_CLEANUP(kv_age_identity_free)

static enum kv_status open_text(const char *text, unsigned char ret_key[KV_AGE_FILE_KEY],
                                struct kv_error *err)
{
    KV_AUTO_AGE_HEADER struct kv_age_header header = { 0 };
    KV_AUTO_IDENTITY struct kv_age_identity identity = { 0 };
    assert_int_equal(kv_age_ssh_identity(own, &identity, NULL), KV_OK);
    KV_TRY(kv_age_header_parse(kv_view_text(text), &header, err));
    return kv_age_header_open(&header, &identity, 1, ret_key, err);
}

static void a_header_that_age_wrote_is_opened(void **state)
{
    unsigned char key[KV_AGE_FILE_KEY];
    assert_int_equal(open_text(foreign, key, NULL), KV_OK);
}

static void what_is_sealed_to_a_key_it_opens(void **state)
{
    KV_AUTO_RECIPIENT struct kv_age_recipient recipient = { 0 };
    KV_AUTO_BUFFER struct kv_buffer text = { 0 };
    unsigned char key[KV_AGE_FILE_KEY], found[KV_AGE_FILE_KEY];
    assert_int_equal(kv_age_random(key, sizeof key, NULL), KV_OK);
    assert_int_equal(kv_age_ssh_recipient(own_to, &recipient, NULL), KV_OK);
    assert_int_equal(kv_age_header_seal(&recipient, 1, key, &text, NULL), KV_OK);
    assert_int_equal(open_text((char *)text.bytes.data, found, NULL), KV_OK);
    assert_memory_equal(found, key, sizeof key);
}

static void numbers_that_are_on_no_point_are_refused(void **state)
{
    unsigned char zero[KV_AGE_POINT] = { 0 }, one[KV_AGE_POINT] = { 1 }, above[KV_AGE_POINT],
                  point[KV_AGE_POINT];
    memset(above, 0xff, sizeof above);
    assert_int_equal(kv_age_ed25519_point(zero, point, NULL), KV_OK); /* u = 1, of order 4 */
    assert_int_equal(point[0], 1);
    assert_int_equal(kv_age_ed25519_point(one, point, NULL), KV_BAD_DATA); /* the neutral element has none */
    assert_int_equal(kv_age_ed25519_point(above, point, NULL), KV_BAD_DATA); /* beyond the prime */
    int refused = 0;
    for (unsigned char y = 2; y < 66; y++) {
        unsigned char key[KV_AGE_POINT] = { y };
        refused += kv_age_ed25519_point(key, point, NULL) == KV_BAD_DATA;
    }
    assert_in_range(refused, 16, 48); /* half of all numbers are on no point */
}

#define V1   "age-encryption.org/v1\n"
#define END  "--- AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
#define BODY "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"

static void malformed_stanzas_are_refused_and_foreign_ones_passed_over(void **state)
{
    char tag[8] = "", text[512];
    static const struct {
        const char *what, *format;
        enum kv_status status;
    } cases[] = {
        { "no share", V1 "-> ssh-ed25519 %s\n" BODY END, KV_BAD_DATA },
        { "a share too short", V1 "-> ssh-ed25519 %s AAAA\n" BODY END, KV_BAD_DATA },
        { "an argument more", V1 "-> ssh-ed25519 %s ipJxfu1a/3nLEIbH51042eSwe+HVvXZqeHVrUzvNd3k x\n" BODY END,
          KV_BAD_DATA },
        { "a body too short", V1 "-> ssh-ed25519 %s ipJxfu1a/3nLEIbH51042eSwe+HVvXZqeHVrUzvNd3k\nAAAA\n" END,
          KV_BAD_DATA },
        { "a share of zeroes", V1 "-> ssh-ed25519 %s AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n" BODY END,
          KV_BAD_DATA },
        { "another key of the same tag",
          V1 "-> ssh-ed25519 %s ipJxfu1a/3nLEIbH51042eSwe+HVvXZqeHVrUzvNd3k\n" BODY END, KV_NOT_FOUND },
        { "another tag", V1 "-> ssh-ed25519 x%.4s ipJxfu1a/3nLEIbH51042eSwe+HVvXZqeHVrUzvNd3k\n" BODY END,
          KV_NOT_FOUND },
        { "no tag", V1 "-> ssh-ed25519\n" BODY END, KV_NOT_FOUND },
    };
    const char *from = strstr(foreign, "ssh-ed25519 ") + strlen("ssh-ed25519 ");
    memcpy(tag, from, strcspn(from, " "));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned char key[KV_AGE_FILE_KEY];
        struct kv_error err = { 0 };
        snprintf(text, sizeof text, cases[i].format, tag);
        enum kv_status status = open_text(text, key, &err);
        if (status != cases[i].status)
            fail_msg("%s: %s: %s", cases[i].what, kv_status_name(status), err.text);
    }
}

static void keys_that_are_damaged_are_refused(void **state)
{
    static const struct {
        const char *text;
        enum kv_status status;
    } cases[] = {
        { "ssh-ed25519", KV_BAD_DATA },
        { "ssh-ed25519 AAAA", KV_BAD_DATA },
        { "ssh-ed25519 !", KV_BAD_DATA },
        { "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIA==", KV_BAD_DATA },
        { "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAAQU=", KV_KEY_SIZE },
        { "ssh-dss AAAA", KV_UNSUPPORTED },
        { "ssh-ed25519-cert-v01@openssh.com AAAA", KV_UNSUPPORTED },
        { "", KV_UNSUPPORTED },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct kv_age_recipient recipient = { 0 };
        struct kv_error err = { 0 };
        enum kv_status status = kv_age_ssh_recipient(cases[i].text, &recipient, &err);
        if (status != cases[i].status || !err.text[0] || recipient.wrap)
            fail_msg("'%s': %s: %s", cases[i].text, kv_status_name(status), err.text);
    }
    /* Cut anywhere, a private key is none. */
    for (size_t len = 0; len + 2 < sizeof own; len += 7) {
        KV_AUTO_IDENTITY struct kv_age_identity identity = { 0 };
        KV_AUTO_TEXT char *cut = kv_text_copy_n(own, len);
        assert_int_equal(kv_age_ssh_identity(cut, &identity, NULL), KV_BAD_DATA);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_that_age_wrote_is_opened),
        cmocka_unit_test(what_is_sealed_to_a_key_it_opens),
        cmocka_unit_test(numbers_that_are_on_no_point_are_refused),
        cmocka_unit_test(malformed_stanzas_are_refused_and_foreign_ones_passed_over),
        cmocka_unit_test(keys_that_are_damaged_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
