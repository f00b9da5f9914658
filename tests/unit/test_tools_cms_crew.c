#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <string.h>
#include "crew.h"

#define COUNT(array) (sizeof(array) / sizeof(array[0]))

enum { NEVER = 1000 };

struct stream {
    uint64_t pieces; /* whole ones; then one of `rest` bytes */
    size_t rest;
    uint64_t no_read, no_work, no_give; /* where these fail */
    uint64_t read, given;
    pthread_mutex_t lock;
    pthread_cond_t worked;
    uint64_t works; /* how many pieces were worked on */
    bool overlap;   /* the first piece is kept back until another was worked on */
};

static enum kv_status read_one(void *state, unsigned char *to, size_t room, size_t *ret, struct kv_error *err)
{
    struct stream *stream = state;
    uint64_t number = stream->read++;
    if (number == stream->no_read)
        return kv_fail(err, KV_IO, "read %d", (int)number);
    *ret = number < stream->pieces ? room : stream->rest;
    to[0] = (unsigned char)number;
    return KV_OK;
}

static enum kv_status work_on(void *state, struct kv_cms_piece *piece, struct kv_error *err)
{
    struct stream *stream = state;
    pthread_mutex_lock(&stream->lock);
    stream->works++;
    pthread_cond_broadcast(&stream->worked);
    while (stream->overlap && !piece->number && stream->works < 2)
        pthread_cond_wait(&stream->worked, &stream->lock);
    pthread_mutex_unlock(&stream->lock);
    piece->mark[0] = (unsigned char)(piece->data[0] + 100);
    return piece->number == stream->no_work ? kv_fail(err, KV_BAD_DATA, "work %d", (int)piece->number)
                                            : KV_OK;
}

static enum kv_status give_one(void *state, struct kv_cms_piece *piece, struct kv_error *err)
{
    struct stream *stream = state;
    assert_int_equal(piece->number, stream->given);
    assert_int_equal(piece->data[0], piece->number);
    assert_int_equal(piece->mark[0], piece->number + 100);
    assert_int_equal(piece->last, piece->number == stream->pieces);
    assert_int_equal(piece->len, piece->last ? stream->rest : KV_CMS_PIECE);
    if (piece->number == stream->no_give)
        return kv_fail(err, KV_BAD_CIPHERTEXT, "give %d", (int)piece->number);
    stream->given++;
    return KV_OK;
}

struct sentence {
    const char *text;
    uint64_t pieces;
    size_t rest;
    uint64_t no_read, no_work, no_give;
    uint64_t given; /* of all */
    const char *why;
};

static const struct sentence sentences[] = {
    { "nothing", 0, 0, NEVER, NEVER, NEVER, 1, NULL },
    { "less than a piece", 0, 7, NEVER, NEVER, NEVER, 1, NULL },
    { "one piece and nothing", 1, 0, NEVER, NEVER, NEVER, 2, NULL },
    { "many", 40, 3, NEVER, NEVER, NEVER, 41, NULL },
    { "a read that fails", 20, 0, 9, NEVER, NEVER, 9, "read 9" },
    { "the first read fails", 20, 0, 0, NEVER, NEVER, 0, "read 0" },
    { "work that fails", 20, 0, NEVER, 9, NEVER, 9, "work 9" },
    { "giving fails", 20, 0, NEVER, NEVER, 9, 9, "give 9" },
    { "the end fails", 20, 5, NEVER, NEVER, 20, 20, "give 20" },
    { "the first in the stream is told", 20, 0, 7, 6, 5, 5, "give 5" },
    { "although work comes before giving", 20, 0, NEVER, 5, 6, 5, "work 5" },
    { "although a read comes before either", 20, 0, 5, 6, 6, 5, "read 5" },
};

/* In order, each once, nothing behind a failure; by one thread, by two, by as many as there can be. */
static void test_order(void **state)
{
    for (size_t i = 0; i < 3 * COUNT(sentences); i++) {
        const struct sentence *sentence = &sentences[i / 3];
        struct stream stream = { .pieces = sentence->pieces,
                                 .rest = sentence->rest,
                                 .no_read = sentence->no_read,
                                 .no_work = sentence->no_work,
                                 .no_give = sentence->no_give,
                                 .lock = PTHREAD_MUTEX_INITIALIZER,
                                 .worked = PTHREAD_COND_INITIALIZER };
        struct kv_cms_crew crew = { &stream, read_one, work_on, give_one, i % 3 ? 2 * (i % 3) : 1 };
        struct kv_error err = { 0 };
        enum kv_status status = kv_cms_crew_run(&crew, &err);
        if ((status == KV_OK) != !sentence->why || (sentence->why && strcmp(err.text, sentence->why) != 0) ||
            stream.given != sentence->given)
            fail_msg("%s: %s: %s, %d given", sentence->text, kv_status_name(status), err.text,
                     (int)stream.given);
    }
}

/* Two pieces are under way at once, and the second waits for its turn. */
static void test_side_by_side(void **state)
{
    struct stream stream = { .pieces = 8,
                             .no_read = NEVER,
                             .no_work = NEVER,
                             .no_give = NEVER,
                             .lock = PTHREAD_MUTEX_INITIALIZER,
                             .worked = PTHREAD_COND_INITIALIZER,
                             .overlap = true };
    struct kv_cms_crew crew = { &stream, read_one, work_on, give_one, 2 };
    assert_int_equal(kv_cms_crew_run(&crew, NULL), KV_OK);
    assert_int_equal(stream.given, 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_side_by_side),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
