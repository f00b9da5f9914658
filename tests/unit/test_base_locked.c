#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/locked.h"

/* The sanitizers answer mlock themselves and lock nothing. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { MLOCK_IS_REAL = 0 };
#else
enum { MLOCK_IS_REAL = 1 };
#endif

static bool is_zero(const unsigned char *block, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (block[i])
            return false;
    return true;
}

/* The flags of the mapping that has this address, as the kernel names them: "rd wr ... lo dd". */
static void flags_of(const void *address, char *ret, size_t size)
{
    char line[1024];
    bool here = false;
    FILE *file = fopen("/proc/self/smaps", "r");
    assert_non_null(file);
    *ret = 0;
    while (!*ret && fgets(line, sizeof line, file)) {
        unsigned long start, end;
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
            here = (unsigned long)address >= start && (unsigned long)address < end;
        if (here && !strncmp(line, "VmFlags:", 8))
            snprintf(ret, size, "%.200s", line + 8);
    }
    fclose(file);
    assert_true(*ret);
}

static void test_blocks_are_zero_and_apart(void **state)
{
    static const size_t lengths[] = { 0, 1, 16, 32, 33, 100, 512, 4096, 4097, 100000 };
    unsigned char *blocks[sizeof lengths / sizeof *lengths];
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
            blocks[i] = kv_locked_alloc(lengths[i]);
            assert_non_null(blocks[i]);
            assert_true(is_zero(blocks[i], lengths[i]));
            assert_int_equal((uintptr_t)blocks[i] % 16, 0);
            memset(blocks[i], (int)i + 1, lengths[i]);
        }
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
            for (size_t k = 0; k < lengths[i]; k++)
                assert_int_equal(blocks[i][k], i + 1);
            kv_locked_free(blocks[i]);
        }
    }
    kv_locked_free(NULL);
    assert_null(kv_locked_alloc(SIZE_MAX - 5));
}

/* The place of a block that was given back stays mapped, as its neighbour is in use: it can be looked at. */
static void test_what_is_given_back_is_wiped(void **state)
{
    unsigned char *neighbour = kv_locked_alloc(32), *block = kv_locked_alloc(32);
    memset(block, 0x5a, 32);
    kv_locked_free(block);
    assert_true(is_zero(block, 32));
    assert_ptr_equal(kv_locked_alloc(32), block);
    kv_locked_free(block);
    kv_locked_free(neighbour);
}

static void test_pages_are_locked_and_not_dumped(void **state)
{
    struct kv_bytes secret = { 0 };
    char flags[256];
    assert_int_equal(kv_bytes_alloc_locked(32, &secret), KV_OK);
    flags_of(secret.data, flags, sizeof flags);
    assert_non_null(strstr(flags, " dd"));
    assert_non_null(strstr(flags, " wf"));
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &limit), 0);
    if (MLOCK_IS_REAL && limit.rlim_cur >= 1 << 20)
        assert_non_null(strstr(flags, " lo"));
    kv_bytes_free(&secret);
    assert_null(secret.data);
}

/* With a limit that is too small, memory is given all the same. */
static void test_a_limit_is_no_error(void **state)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        struct rlimit none = { 0, 0 };
        char flags[256];
        unsigned char *block = setrlimit(RLIMIT_MEMLOCK, &none) ? NULL : kv_locked_alloc(200);
        if (!block)
            _exit(1);
        flags_of(block, flags, sizeof flags);
        _exit(strstr(flags, " dd") ? 0 : 2);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void test_a_child_finds_zeroes_and_memory_of_its_own(void **state)
{
    unsigned char *block = kv_locked_alloc(64);
    memset(block, 0x77, 64);
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        bool empty = is_zero(block, 64);
        kv_locked_free(block);
        unsigned char *own = kv_locked_alloc(64);
        _exit(empty && own && own != block ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(block[63], 0x77);
    kv_locked_free(block);
}

/* A write just outside a large block meets the guard page. */
static void test_guard_pages(void **state)
{
    unsigned char *block = kv_locked_alloc(8192);
    static const long outside[] = { -1, 8192 };
    for (int i = 0; i < 2; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (!child) {
            signal(SIGSEGV, SIG_DFL);
            ((volatile unsigned char *)block)[outside[i]] = 1;
            _exit(0);
        }
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    }
    kv_locked_free(block);
}

static void test_buffers_grow_in_it(void **state)
{
    KV_AUTO_BUFFER struct kv_buffer buffer = { .locked = true };
    char flags[256];
    for (int i = 0; i < 1000; i++)
        assert_int_equal(kv_buffer_add(&buffer, kv_view_text("0123456789")), KV_OK);
    assert_int_equal(buffer.bytes.len, 10000);
    assert_true(buffer.bytes.locked);
    assert_memory_equal(buffer.bytes.data + 9990, "0123456789", 10);
    flags_of(buffer.bytes.data, flags, sizeof flags);
    assert_non_null(strstr(flags, " dd"));
}

enum { THREADS = 8, ROUNDS = 2000 };
static void *take_and_give(void *mark)
{
    unsigned char value = *(unsigned char *)mark;
    unsigned char *mine[16] = { NULL };
    size_t bad = 0;
    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned char **place = &mine[i % 16];
        for (size_t k = 0; *place && k < 40; k++)
            bad += (*place)[k] != value;
        kv_locked_free(*place);
        *place = kv_locked_alloc(40);
        bad += !*place || !is_zero(*place, 40);
        if (*place)
            memset(*place, value, 40);
    }
    for (int i = 0; i < 16; i++)
        kv_locked_free(mine[i]);
    return (void *)bad;
}

static void test_threads_do_not_meet(void **state)
{
    static unsigned char marks[THREADS] = { 1, 2, 3, 4, 5, 6, 7, 8 };
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_give, &marks[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        void *bad = NULL;
        assert_int_equal(pthread_join(threads[i], &bad), 0);
        assert_null(bad);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks_are_zero_and_apart),
        cmocka_unit_test(test_what_is_given_back_is_wiped),
        cmocka_unit_test(test_pages_are_locked_and_not_dumped),
        cmocka_unit_test(test_a_limit_is_no_error),
        cmocka_unit_test(test_a_child_finds_zeroes_and_memory_of_its_own),
        cmocka_unit_test(test_guard_pages),
        cmocka_unit_test(test_buffers_grow_in_it),
        cmocka_unit_test(test_threads_do_not_meet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
