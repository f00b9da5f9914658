#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include "../../tools/age/cipher.h"
#include "../../tools/age/payload.h"

enum {
    CHUNK = KV_AGE_CHUNK,
    SEALED = KV_AGE_SEALED_CHUNK,
    BATCH = 8, /* chunks that a thread takes at a time */
    LARGE = 3 * BATCH * CHUNK
};

static const unsigned char file_key[KV_AGE_FILE_KEY] = "0123456789abcdef";
static unsigned char plain[LARGE + CHUNK];

static int setup(void **state)
{
    for (size_t i = 0; i < sizeof plain; i++)
        plain[i] = (unsigned char)(i * 7 + i / 251 + i / CHUNK);
    return 0;
}

static int holding(struct kv_view bytes)
{
    int fd = memfd_create("test", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes.data, bytes.len), (ssize_t)bytes.len);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

static void read_back(int fd, struct kv_bytes *ret)
{
    off_t len = lseek(fd, 0, SEEK_END);
    assert_true(len >= 0);
    assert_int_equal(kv_bytes_alloc((size_t)len, ret), KV_OK);
    assert_int_equal(pread(fd, ret->data, ret->len, 0), (ssize_t)ret->len);
}

typedef enum kv_status pass(const struct kv_age_stream *, const unsigned char *, struct kv_error *);

static enum kv_status through(pass *one, const struct kv_age_stream *like, struct kv_view from,
                              struct kv_bytes *ret, struct kv_error *err)
{
    KV_AUTO_FD int in = holding(from), out = holding((struct kv_view){ 0 });
    struct kv_age_stream stream = *like;
    stream.in = in;
    stream.out = out;
    stream.in_name = "the input";
    stream.out_name = "the output";
    enum kv_status status = one(&stream, file_key, err);
    read_back(out, ret);
    return status;
}

static const struct kv_age_stream alone = { .threads = 1 }, together = { .threads = 3 };

static void seal(size_t len, struct kv_bytes *ret)
{
    assert_int_equal(through(kv_age_payload_seal, &together, (struct kv_view){ plain, len }, ret, NULL),
                     KV_OK);
}

static void what_is_sealed_is_opened_again_whatever_its_size(void **state)
{
    static const size_t sizes[] = { 0,
                                    1,
                                    CHUNK - 1,
                                    CHUNK,
                                    CHUNK + 1,
                                    BATCH * CHUNK - 1,
                                    BATCH * CHUNK,
                                    BATCH * CHUNK + 1,
                                    BATCH * CHUNK + 4095,
                                    BATCH * CHUNK + 4096,
                                    BATCH * CHUNK + 4097,
                                    LARGE,
                                    LARGE + 17 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (unsigned threads = 1; threads <= 5; threads += 2) {
            KV_AUTO_BYTES struct kv_bytes sealed = { 0 }, opened = { 0 };
            const struct kv_age_stream like = { .threads = threads };
            size_t len = sizes[i], chunks = len ? (len + CHUNK - 1) / CHUNK : 1;
            struct kv_view from = { plain, len };
            assert_int_equal(through(kv_age_payload_seal, &like, from, &sealed, NULL), KV_OK);
            assert_int_equal(sealed.len, KV_AGE_NONCE + len + chunks * KV_AGE_TAG);
            assert_int_equal(through(kv_age_payload_open, &like, KV_VIEW(sealed), &opened, NULL), KV_OK);
            assert_int_equal(opened.len, len);
            assert_memory_equal(opened.data, plain, len);
        }
    }
}

static void no_two_files_are_sealed_alike(void **state)
{
    KV_AUTO_BYTES struct kv_bytes one = { 0 }, other = { 0 };
    seal(100, &one);
    seal(100, &other);
    assert_int_equal(one.len, other.len);
    assert_memory_not_equal(one.data, other.data, KV_AGE_NONCE);
    assert_memory_not_equal(one.data + KV_AGE_NONCE, other.data + KV_AGE_NONCE, 100);
}

/* ---- tampering ---- */

enum { FIRST = KV_AGE_NONCE };

static void flip_nonce(struct kv_bytes *file)
{
    file->data[0] ^= 1;
}
static void flip_first(struct kv_bytes *file)
{
    file->data[FIRST] ^= 0x80;
}
static void flip_tag_of_ninth(struct kv_bytes *file)
{
    file->data[FIRST + 9 * SEALED - 1] ^= 1;
}
static void flip_last(struct kv_bytes *file)
{
    file->data[file->len - 1] ^= 1;
}
static void cut_nonce(struct kv_bytes *file)
{
    file->len = KV_AGE_NONCE - 1;
}
static void cut_all(struct kv_bytes *file)
{
    file->len = KV_AGE_NONCE;
}
static void cut_at_border(struct kv_bytes *file)
{
    file->len = FIRST + 10 * SEALED;
}
static void cut_at_batch(struct kv_bytes *file)
{
    file->len = FIRST + BATCH * SEALED;
}
static void cut_mid_chunk(struct kv_bytes *file)
{
    file->len = FIRST + 10 * SEALED + 1000;
}
static void cut_in_tag(struct kv_bytes *file)
{
    file->len = FIRST + 10 * SEALED + KV_AGE_TAG - 1;
}
static void cut_one_byte(struct kv_bytes *file)
{
    file->len--;
}
static void swap_chunks(struct kv_bytes *file)
{
    static unsigned char held[SEALED];
    unsigned char *a = file->data + FIRST + 3 * SEALED, *b = a + SEALED;
    memcpy(held, a, SEALED);
    memcpy(a, b, SEALED);
    memcpy(b, held, SEALED);
}
static void leave_one_out(struct kv_bytes *file)
{
    unsigned char *a = file->data + FIRST + 3 * SEALED;
    memmove(a, a + SEALED, file->len - (size_t)(a - file->data) - SEALED);
    file->len -= SEALED;
}
static void append_byte(struct kv_bytes *file)
{
    file->data[file->len++] = 0;
}
static void append_zeroes(struct kv_bytes *file)
{
    file->len += SEALED;
}
/* Sealed by somebody who has the key: an end that is empty, behind other chunks, or an end within. */
static void make_chunk(struct kv_bytes *file, size_t number, bool last, size_t len)
{
    unsigned char key[KV_AGE_KEY];
    assert_int_equal(kv_age_hkdf((struct kv_view){ file_key, sizeof file_key },
                                 (struct kv_view){ file->data, KV_AGE_NONCE }, "payload", key, NULL),
                     KV_OK);
    struct kv_age_cipher *cipher = kv_age_cipher_open(key, true);
    unsigned char *at = file->data + FIRST + number * SEALED;
    memcpy(at, plain + number * CHUNK, len);
    assert_true(kv_age_cipher_seal(cipher, number, last, at, len));
    kv_age_cipher_free(cipher);
}
static void end_empty(struct kv_bytes *file)
{
    file->len = FIRST + 10 * SEALED + KV_AGE_TAG;
    make_chunk(file, 10, true, 0);
}
static void end_within(struct kv_bytes *file)
{
    make_chunk(file, 4, true, CHUNK);
}
static void no_end(struct kv_bytes *file)
{
    file->len = FIRST + 5 * SEALED;
    make_chunk(file, 4, false, CHUNK);
}

static void only_an_authenticated_prefix_leaves_a_file_that_was_touched(void **state)
{
    static const struct {
        const char *what;
        void (*touch)(struct kv_bytes *file);
        size_t released; /* chunks at the most */
        const char *word;
    } cases[] = {
        { "a bit of the nonce", flip_nonce, 0, "were changed" },
        { "a bit of the first chunk", flip_first, 0, "chunk 0 (at byte 0" },
        { "a bit of a tag in the second batch", flip_tag_of_ninth, 8, "chunk 8 (at byte 524288" },
        { "a bit of the last tag", flip_last, 24, "were changed" },
        { "cut within the nonce", cut_nonce, 0, "cut off" },
        { "cut behind the nonce", cut_all, 0, "last chunk is missing" },
        { "cut between chunks", cut_at_border, 9, "cut off behind it" },
        { "cut between batches", cut_at_batch, 7, "cut off behind it" },
        { "cut within a chunk", cut_mid_chunk, 10, "chunk 10" },
        { "cut within a tag", cut_in_tag, 10, "shorter than its tag" },
        { "the last byte is missing", cut_one_byte, 24, "chunk 24" },
        { "two chunks change places", swap_chunks, 3, "chunk 3" },
        { "a chunk is missing", leave_one_out, 3, "chunk 3" },
        { "a byte more", append_byte, 24, "chunk 24" },
        { "a chunk more", append_zeroes, 24, "chunk 24" },
        { "an empty end", end_empty, 10, "is empty" },
        { "an end within", end_within, 4, "goes on behind its end" },
        { "no end", no_end, 4, "cut off behind it" },
    };
    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        KV_AUTO_BYTES struct kv_bytes file = { 0 }, sealed = { 0 }, opened = { 0 };
        struct kv_error err = { 0 };
        seal(LARGE + 17, &sealed);
        assert_int_equal(kv_bytes_alloc(sealed.len + SEALED, &file), KV_OK);
        memcpy(file.data, sealed.data, sealed.len);
        file.len = sealed.len;
        cases[i / 2].touch(&file);
        enum kv_status status =
            through(kv_age_payload_open, i % 2 ? &alone : &together, KV_VIEW(file), &opened, &err);
        if (status != KV_BAD_DATA || opened.len > cases[i / 2].released * CHUNK || opened.len % CHUNK ||
            !strstr(err.text, cases[i / 2].word))
            fail_msg("%s: %s, %zu bytes: %s", cases[i / 2].what, kv_status_name(status), opened.len,
                     err.text);
        assert_memory_equal(opened.data, plain, opened.len);
    }
}

/* A file's last chunk may be full: then one more byte is one chunk more, and its own length one chunk less. */
static void a_full_last_chunk_is_the_last(void **state)
{
    for (int more = -1; more <= 1; more++) {
        KV_AUTO_BYTES struct kv_bytes sealed = { 0 }, file = { 0 }, opened = { 0 };
        seal(BATCH * CHUNK, &sealed);
        assert_int_equal(kv_bytes_alloc(sealed.len + 1, &file), KV_OK);
        memcpy(file.data, sealed.data, sealed.len);
        enum kv_status status =
            through(kv_age_payload_open, &together, (struct kv_view){ file.data, sealed.len + (size_t)more },
                    &opened, NULL);
        assert_int_equal(status, more ? KV_BAD_DATA : KV_OK);
        assert_true(more ? opened.len < BATCH * CHUNK : opened.len == BATCH * CHUNK);
    }
}

/* ---- descriptors that are no files ---- */

struct feed {
    int fd;
    struct kv_view bytes;
    size_t piece;
};

static void *feed(void *argument)
{
    struct feed *feed = argument;
    for (size_t at = 0; at < feed->bytes.len; at += feed->piece) {
        size_t len = feed->bytes.len - at < feed->piece ? feed->bytes.len - at : feed->piece;
        if (write(feed->fd, feed->bytes.data + at, len) != (ssize_t)len)
            break;
    }
    close(feed->fd);
    return NULL;
}

static void short_reads_make_no_difference(void **state)
{
    static const size_t pieces[] = { 1021, 4096, 65537 };
    for (size_t i = 0; i < 2 * sizeof pieces / sizeof *pieces; i++) {
        KV_AUTO_BYTES struct kv_bytes sealed = { 0 }, done = { 0 };
        int ends[2];
        pthread_t writer;
        pass *one = i % 2 ? kv_age_payload_open : kv_age_payload_seal;
        seal(LARGE + 5, &sealed);
        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        struct feed feeds = { ends[1], i % 2 ? KV_VIEW(sealed) : (struct kv_view){ plain, LARGE + 5 },
                              pieces[i / 2] };
        KV_AUTO_FD int in = ends[0], out = holding((struct kv_view){ 0 });
        const struct kv_age_stream stream = { .in = in, .out = out, .threads = 2 };
        assert_int_equal(pthread_create(&writer, NULL, feed, &feeds), 0);
        assert_int_equal(one(&stream, file_key, NULL), KV_OK);
        pthread_join(writer, NULL);
        read_back(out, &done);
        if (i % 2) {
            assert_int_equal(done.len, LARGE + 5);
            assert_memory_equal(done.data, plain, done.len);
            continue;
        }
        KV_AUTO_BYTES struct kv_bytes opened = { 0 };
        assert_int_equal(through(kv_age_payload_open, &together, KV_VIEW(done), &opened, NULL), KV_OK);
        assert_int_equal(opened.len, LARGE + 5);
        assert_memory_equal(opened.data, plain, opened.len);
    }
}

/* What the reader of the header took too much is the front of the payload. */
static void what_was_read_ahead_comes_first(void **state)
{
    static const size_t lens[] = { 1, KV_AGE_NONCE, KV_AGE_NONCE + 1, 60000 };
    KV_AUTO_BYTES struct kv_bytes sealed = { 0 };
    seal(LARGE, &sealed);
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        KV_AUTO_BYTES struct kv_bytes opened = { 0 };
        struct kv_age_stream like = together;
        like.ahead = (struct kv_view){ sealed.data, lens[i] };
        struct kv_view rest = { sealed.data + lens[i], sealed.len - lens[i] };
        assert_int_equal(through(kv_age_payload_open, &like, rest, &opened, NULL), KV_OK);
        assert_int_equal(opened.len, LARGE);
        assert_memory_equal(opened.data, plain, LARGE);
    }
}

static enum kv_status refuse(void *state, struct kv_error *err)
{
    (*(int *)state)++;
    return kv_fail(err, KV_INPUT, "the producer failed");
}

static void a_file_gets_no_end_when_its_producer_failed(void **state)
{
    for (size_t len = 0; len <= LARGE; len += LARGE / 2) {
        KV_AUTO_BYTES struct kv_bytes sealed = { 0 }, opened = { 0 };
        struct kv_error err = { 0 };
        int asked = 0;
        const struct kv_age_stream like = { .threads = 2, .ended = refuse, .state = &asked };
        assert_int_equal(through(kv_age_payload_seal, &like, (struct kv_view){ plain, len }, &sealed, &err),
                         KV_INPUT);
        assert_string_equal(err.text, "the producer failed");
        assert_int_equal(asked, 1);
        assert_int_equal(through(kv_age_payload_open, &together, KV_VIEW(sealed), &opened, NULL),
                         KV_BAD_DATA);
    }
}

struct tally {
    size_t bytes, stop_at;
};

static enum kv_status count(void *state, struct kv_view part, struct kv_error *err)
{
    struct tally *tally = state;
    assert_memory_equal(part.data, plain + tally->bytes, part.len);
    tally->bytes += part.len;
    return tally->bytes > tally->stop_at ? kv_fail(err, KV_UNSUPPORTED, "enough") : KV_OK;
}

static void what_passes_is_seen_in_order_and_can_be_stopped(void **state)
{
    KV_AUTO_BYTES struct kv_bytes sealed = { 0 }, opened = { 0 }, part = { 0 };
    struct kv_error err = { 0 };
    struct tally all = { .stop_at = SIZE_MAX }, some = { .stop_at = 10 * CHUNK };
    struct kv_age_stream like = { .threads = 4, .passing = count, .state = &all };
    seal(LARGE, &sealed);
    assert_int_equal(through(kv_age_payload_open, &like, KV_VIEW(sealed), &opened, NULL), KV_OK);
    assert_int_equal(all.bytes, LARGE);
    like.state = &some;
    assert_int_equal(through(kv_age_payload_open, &like, KV_VIEW(sealed), &part, &err), KV_UNSUPPORTED);
    assert_string_equal(err.text, "enough");
    assert_true(part.len <= 10 * CHUNK);
}

static void trouble_with_descriptors_names_them(void **state)
{
    struct kv_error err = { 0 };
    KV_AUTO_FD int folder = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
                   full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    KV_AUTO_FD int in = holding((struct kv_view){ plain, LARGE }), out = holding((struct kv_view){ 0 });
    const struct kv_age_stream unread = { .in = folder, .out = out, .in_name = "the folder", .threads = 2 };
    const struct kv_age_stream unwritten = {
        .in = in, .out = full, .out_name = "the full disk", .threads = 2
    };
    assert_int_equal(kv_age_payload_seal(&unread, file_key, &err), KV_INPUT);
    assert_non_null(strstr(err.text, "the folder: cannot be read: Is a directory"));
    assert_int_equal(kv_age_payload_seal(&unwritten, file_key, &err), KV_IO);
    assert_non_null(strstr(err.text, "the full disk: cannot be written: No space left"));
}

/* Comes back when the other thread has read all that there is, and so waits for more. */
static enum kv_status until_empty(void *state, struct kv_view part, struct kv_error *err)
{
    int left = 1;
    while (left > 0 && !ioctl(*(int *)state, FIONREAD, &left))
        sched_yield();
    return KV_OK;
}

/* Nobody waits for an input that will not come when the file is known to be bad. */
static void a_failure_ends_the_wait_for_more_input(void **state)
{
    int ends[2];
    pthread_t writer;
    struct kv_error err = { 0 };
    KV_AUTO_BYTES struct kv_bytes sealed = { 0 };
    seal(LARGE, &sealed);
    sealed.data[FIRST + SEALED] ^= 1;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    int kept = fcntl(ends[1], F_DUPFD_CLOEXEC, 0); /* so that the pipe never ends */
    struct feed feeds = { ends[1], { sealed.data, FIRST + BATCH * SEALED + 8192 }, 65536 };
    KV_AUTO_FD int in = ends[0], out = holding((struct kv_view){ 0 });
    const struct kv_age_stream stream = {
        .in = in, .out = out, .threads = 2, .passing = until_empty, .state = &in
    };
    assert_int_equal(pthread_create(&writer, NULL, feed, &feeds), 0);
    assert_int_equal(kv_age_payload_open(&stream, file_key, &err), KV_BAD_DATA);
    pthread_join(writer, NULL);
    close(kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sealed_is_opened_again_whatever_its_size),
        cmocka_unit_test(no_two_files_are_sealed_alike),
        cmocka_unit_test(only_an_authenticated_prefix_leaves_a_file_that_was_touched),
        cmocka_unit_test(a_full_last_chunk_is_the_last),
        cmocka_unit_test(short_reads_make_no_difference),
        cmocka_unit_test(what_was_read_ahead_comes_first),
        cmocka_unit_test(a_file_gets_no_end_when_its_producer_failed),
        cmocka_unit_test(what_passes_is_seen_in_order_and_can_be_stopped),
        cmocka_unit_test(trouble_with_descriptors_names_them),
        cmocka_unit_test(a_failure_ends_the_wait_for_more_input),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
