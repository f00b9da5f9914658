#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "../../tools/spool.h"

static void fill(struct kv_spool *spool, int texts)
{
    for (int i = 0; i < texts; i++) {
        char text[64];
        int len = snprintf(text, sizeof text, "text %d of some length", i);
        assert_int_equal(kv_spool_add(spool, (struct kv_view){ (unsigned char *)text, (size_t)len + 1 }),
                         KV_OK);
    }
}

static void holds(struct kv_spool *spool, int texts)
{
    assert_int_equal(kv_spool_rewind(spool), KV_OK);
    for (int i = 0; i < texts; i++) {
        char text[64];
        snprintf(text, sizeof text, "text %d of some length", i);
        assert_string_equal(kv_spool_text(spool), text);
    }
    assert_null(kv_spool_text(spool));
    assert_int_equal(spool->status, KV_OK);
}

static void is_read_as_it_was_written_as_often_as_one_likes(void **state)
{
    static const int sizes[] = { 0, 1, 1000, 100000 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        KV_AUTO_SPOOL struct kv_spool spool = { 0 };
        assert_true(kv_spool_is_empty(&spool));
        fill(&spool, sizes[i]);
        assert_int_equal(kv_spool_is_empty(&spool), !sizes[i]);
        holds(&spool, sizes[i]);
        holds(&spool, sizes[i]);
    }
}

static void much_is_in_a_file_and_not_in_memory(void **state)
{
    KV_AUTO_SPOOL struct kv_spool spool = { 0 };
    fill(&spool, 1000);
    assert_null(spool.file);
    fill(&spool, 100000);
    assert_non_null(spool.file);
    assert_int_equal(spool.memory.room, 0);
}

static void a_secret_stays_in_memory(void **state)
{
    KV_AUTO_SPOOL struct kv_spool spool = { .memory.locked = true };
    KV_AUTO_BYTES struct kv_bytes secret = { 0 };
    assert_int_equal(kv_bytes_alloc(KV_SPOOL_MEMORY + 1, &secret), KV_OK);
    (void)!kv_spool_add(&spool, KV_VIEW(secret)); /* how much can be locked is the host's choice */
    assert_null(spool.file);
}

static void comes_out_whole(void **state)
{
    static const int sizes[] = { 0, 10, 100000 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        KV_AUTO_SPOOL struct kv_spool spool = { 0 };
        char *out = NULL;
        size_t len = 0, at = 0;
        FILE *to = open_memstream(&out, &len);
        assert_non_null(to);
        for (int n = 0; n < sizes[i]; n++)
            assert_int_equal(kv_spool_format(&spool, "%d and more of it\n", n), KV_OK);
        assert_int_equal(kv_spool_write(&spool, to), KV_OK);
        assert_int_equal(fclose(to), 0);
        for (int n = 0; n < sizes[i]; n++) {
            char line[64];
            int size = snprintf(line, sizeof line, "%d and more of it\n", n);
            assert_memory_equal(out + at, line, (size_t)size);
            at += (size_t)size;
        }
        assert_int_equal(at, len);
        free(out);
    }
}

static void what_failed_stays_failed(void **state)
{
    KV_AUTO_SPOOL struct kv_spool spool = { 0 };
    fill(&spool, 100000);
    fclose(spool.file);
    spool.file = fopen("/dev/full", "r+");
    if (!spool.file)
        skip();
    enum kv_status status = KV_OK;
    for (int i = 0; i < 100000 && status == KV_OK; i++)
        status = kv_spool_format(&spool, "there is no room for text %d\n", i);
    assert_int_equal(status, KV_IO);
    assert_int_equal(kv_spool_format(&spool, "x"), KV_IO);
    assert_int_equal(kv_spool_rewind(&spool), KV_IO);
    assert_int_equal(kv_spool_write(&spool, stderr), KV_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_read_as_it_was_written_as_often_as_one_likes),
        cmocka_unit_test(much_is_in_a_file_and_not_in_memory),
        cmocka_unit_test(a_secret_stays_in_memory),
        cmocka_unit_test(comes_out_whole),
        cmocka_unit_test(what_failed_stays_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
