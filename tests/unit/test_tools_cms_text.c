#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include "base/encode.h"
#include "input.h"
#include "mech/local.h"

#define COUNT(array) (sizeof(array) / sizeof(array[0]))

#define CMS(body)  "-----BEGIN CMS-----\n" body "-----END CMS-----\n"
#define MIME(body) "MIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\n" body

struct sentence {
    const char *text, *from, *bytes; /* bytes NULL: refused */
    const char *why;
};

/* "abc" is YWJj, "abcd" YWJjZA==. */
static const struct sentence sentences[] = {
    { "PEM", CMS("YWJj\n"), "abc", NULL },
    { "PEM with a padding", CMS("YWJj\nZA==\n"), "abcd", NULL },
    { "PEM of PKCS #7", "-----BEGIN PKCS7-----\nYWJj\n-----END PKCS7-----\n", "abc", NULL },
    { "lines that end as on other systems", "-----BEGIN CMS-----\r\nYWJj\r\n-----END CMS-----\r\n", "abc",
      NULL },
    { "lines of any length", CMS("Y\nW\nJ\nj\n"), "abc", NULL },
    { "white space", CMS(" YW Jj \n\n"), "abc", NULL },
    { "no end behind the last line", "-----BEGIN CMS-----\nYWJj\n-----END CMS-----", "abc", NULL },
    { "empty lines behind it", CMS("YWJj\n") "\n \n", "abc", NULL },
    { "nothing in it", CMS(""), "", NULL },
    { "another label", "-----BEGIN CERTIFICATE-----\nYWJj\n-----END CERTIFICATE-----\n", NULL,
      "begins with '-----BEGIN CERTIFICATE-----'" },
    { "a label that goes on", "-----BEGIN CMS----- x\nYWJj\n-----END CMS-----\n", NULL, "begins with" },
    { "the end of another", "-----BEGIN CMS-----\nYWJj\n-----END PKCS7-----\n", NULL,
      "does not end with '-----END CMS-----'" },
    { "no end", "-----BEGIN CMS-----\nYWJj\n", NULL, "it was cut" },
    { "half an end", "-----BEGIN CMS-----\nYWJj\n-----END CM", NULL, "does not end with" },
    { "cut in its first line", "-----BEGIN CMS", NULL, "it was cut" },
    { "three characters", CMS("YWJ\n"), NULL, "not base64" },
    { "another character", CMS("YWJj\nYW*j\n"), NULL, "not base64" },
    { "something behind the padding", CMS("ZA==\nYWJj\n"), NULL, "not base64" },
    { "a padding of three", CMS("Z===\n"), NULL, "not base64" },
    { "text behind the end", CMS("YWJj\n") "x", NULL, "further text" },
    { "two of them", CMS("YWJj\n") CMS("YWJj\n"), NULL, "further text" },
    { "S/MIME", MIME("YWJj\r\n"), "abc", NULL },
    { "S/MIME without an end of its last line", MIME("YWJj\r\nZA=="), "abcd", NULL },
    { "S/MIME in other letters, with more in its header",
      "To: x@example.org\nCONTENT-transfer-encoding:BASE64 \nContent-Type: application/pkcs7-mime;\n"
      "\tname=\"smime.p7m\"\n\nYWJj\n\n",
      "abc", NULL },
    { "S/MIME in another encoding", "MIME-Version: 1.0\nContent-Transfer-Encoding: binary\n\nabc", NULL,
      "does not say 'Content-Transfer-Encoding: base64'" },
    { "S/MIME without an encoding", "To: x@example.org\n\nYWJj\n", NULL, "smime.p7m" },
    { "S/MIME in parts", MIME("--boundary\r\n"), NULL, "not base64" },
    { "a hyphen in it", MIME("YWJj\r\n-\r\n"), NULL, "not base64" },
    { "only a header", "MIME-Version: 1.0\nContent-Transfer-Encoding: base64\n", NULL, "it was cut" },
};

/* All that the input gives. */
static enum kv_status read_all(struct kv_cms_input *input, struct kv_buffer *ret, struct kv_error *err)
{
    unsigned char part[64];
    struct kv_view start;
    bool end = false;
    size_t done = 0;
    KV_TRY(kv_cms_input_peek(input, 64, &start, err));
    assert_true(kv_cms_text_is(start));
    KV_TRY(kv_cms_input_text(input, err));
    for (;;) {
        KV_TRY(kv_cms_input_fill(input, &end, err));
        if (end)
            return KV_OK;
        KV_TRY(kv_cms_input_some(input, part, sizeof(part), &done, err));
        KV_TRY(kv_buffer_add(ret, (struct kv_view){ part, done }));
    }
}

static void through_a_pipe(const char *text, struct kv_cms_input *ret)
{
    int ends[2];
    char path[32];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(write(ends[1], text, strlen(text)), (ssize_t)strlen(text));
    close(ends[1]);
    snprintf(path, sizeof(path), "/dev/fd/%d", ends[0]);
    assert_int_equal(kv_cms_input_open(path, ret, NULL), KV_OK);
    close(ends[0]);
}

static void test_forms(void **state)
{
    for (size_t i = 0; i < 2 * COUNT(sentences); i++) {
        const struct sentence *sentence = &sentences[i / 2];
        KV_AUTO_CMS_INPUT struct kv_cms_input input;
        KV_AUTO_BUFFER struct kv_buffer all = { 0 };
        struct kv_error err = { 0 };
        if (i % 2)
            through_a_pipe(sentence->from, &input);
        else
            kv_cms_input_memory(kv_view_text(sentence->from), &input);
        enum kv_status status = read_all(&input, &all, &err);
        if ((status == KV_OK) != !!sentence->bytes || (sentence->why && !strstr(err.text, sentence->why)))
            fail_msg("%s: %s: %s", sentence->text, kv_status_name(status), err.text);
        if (sentence->bytes && !kv_view_equal(KV_VIEW(all.bytes), kv_view_text(sentence->bytes)))
            fail_msg("%s: %zu bytes came out", sentence->text, all.bytes.len);
    }
}

/* Heads have an end: neither a line nor all of them grow without one. */
static void test_bounds(void **state)
{
    KV_AUTO_BUFFER struct kv_buffer line = { 0 }, lines = { 0 };
    KV_AUTO_BUFFER struct kv_buffer nothing = { 0 };
    for (size_t i = 0; i < 300; i++)
        assert_int_equal(kv_buffer_format(&line, "To: x"), KV_OK);
    for (size_t i = 0; i < 20000; i++)
        assert_int_equal(kv_buffer_format(&lines, "To: x\n"), KV_OK);
    const struct kv_buffer *all[] = { &line, &lines };
    for (size_t i = 0; i < COUNT(all); i++) {
        KV_AUTO_CMS_INPUT struct kv_cms_input input;
        struct kv_error err = { 0 };
        kv_cms_input_memory(KV_VIEW(all[i]->bytes), &input);
        assert_int_equal(read_all(&input, &nothing, &err), KV_BAD_DATA);
        assert_non_null(strstr(err.text, "too long, or too many"));
    }
}

/* --- reading twice --- */
enum { LENGTH = 700001, LINE = 48 };

static void make_text(struct kv_view bytes, struct kv_buffer *ret)
{
    assert_int_equal(kv_buffer_format(ret, "-----BEGIN CMS-----\n"), KV_OK);
    for (size_t at = 0; at < bytes.len; at += LINE) {
        size_t len = bytes.len - at < LINE ? bytes.len - at : LINE;
        KV_AUTO_TEXT char *line = kv_encode_base64((struct kv_view){ bytes.data + at, len });
        assert_non_null(line);
        assert_int_equal(kv_buffer_format(ret, "%s\n", line), KV_OK);
    }
    assert_int_equal(kv_buffer_format(ret, "-----END CMS-----\n"), KV_OK);
}

static void same(struct kv_cms_input *input, struct kv_view bytes)
{
    KV_AUTO_BYTES struct kv_bytes part = { 0 };
    bool end = false;
    size_t done = 0;
    assert_int_equal(kv_bytes_alloc(KV_CMS_WINDOW, &part), KV_OK);
    for (size_t i = 0; bytes.len; i++) {
        /* Now through the window, now past it. */
        assert_int_equal(kv_cms_input_some(input, part.data, i % 3 ? part.len : 1 + i, &done, NULL), KV_OK);
        assert_true(done <= bytes.len);
        assert_memory_equal(part.data, bytes.data, done);
        bytes = (struct kv_view){ bytes.data + done, bytes.len - done };
    }
    assert_int_equal(kv_cms_input_fill(input, &end, NULL), KV_OK);
    assert_true(end);
}

static void read_twice(struct kv_cms_input *input, struct kv_view bytes)
{
    enum { HEAD = 5000 };
    unsigned char head[HEAD];
    struct kv_view start, rest = { bytes.data + HEAD, bytes.len - HEAD };
    size_t done = 0;
    assert_int_equal(kv_cms_input_peek(input, 64, &start, NULL), KV_OK);
    assert_int_equal(kv_cms_input_text(input, NULL), KV_OK);
    for (size_t len = 0; len < HEAD; len += done)
        assert_int_equal(kv_cms_input_some(input, head + len, HEAD - len, &done, NULL), KV_OK);
    assert_memory_equal(head, bytes.data, HEAD);
    assert_int_equal(kv_cms_input_keep(input, NULL), KV_OK);
    same(input, rest);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(kv_cms_input_return(input, HEAD, NULL), KV_OK);
        same(input, rest);
    }
}

/* From memory, from a file behind what is none of it, and from a pipe, which is kept. */
static void test_return(void **state)
{
    KV_AUTO_BYTES struct kv_bytes bytes = { 0 };
    KV_AUTO_BUFFER struct kv_buffer text = { 0 };
    assert_int_equal(kv_bytes_alloc(LENGTH, &bytes), KV_OK);
    assert_int_equal(kv_random_bytes(bytes.data, bytes.len), KV_OK);
    make_text(KV_VIEW(bytes), &text);
    KV_AUTO_CMS_INPUT struct kv_cms_input memory;
    kv_cms_input_memory(KV_VIEW(text.bytes), &memory);
    read_twice(&memory, KV_VIEW(bytes));

    char path[] = "/tmp/kvp11-text-XXXXXX";
    int fd = mkostemp(path, O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text.bytes.data, text.bytes.len), (ssize_t)text.bytes.len);
    close(fd);
    KV_AUTO_CMS_INPUT struct kv_cms_input file;
    assert_int_equal(kv_cms_input_open(path, &file, NULL), KV_OK);
    read_twice(&file, KV_VIEW(bytes));

    char command[64];
    snprintf(command, sizeof(command), "cat %s", path);
    FILE *cat = popen(command, "re");
    assert_non_null(cat);
    snprintf(command, sizeof(command), "/dev/fd/%d", fileno(cat));
    KV_AUTO_CMS_INPUT struct kv_cms_input piped;
    assert_int_equal(kv_cms_input_open(command, &piped, NULL), KV_OK);
    read_twice(&piped, KV_VIEW(bytes));
    assert_int_equal(pclose(cat), 0);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_return),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
