/* The version map as a file: what is refused, what goes on working when something breaks, processes and threads. */
#include "map_help.h"

#include <stdatomic.h>

/* --- the file --- */

static void the_file_is_private_and_so_is_its_folder(void **state)
{
    struct stat info;
    char deep[80];
    struct kv_map *map = NULL;
    snprintf(deep, sizeof deep, "%s/sub", folder);
    snprintf(path, sizeof path, "%s/map.db", deep);
    umask(0);
    assert_int_equal(kv_map_open(path, &map, NULL), KV_OK);
    umask(022);
    assert_true(kv_map_writable(map));
    kv_map_free(map);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_equal(stat(deep, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    unlink(path);
    snprintf(path, sizeof path, "%s/sub/map.db-journal", folder);
    unlink(path);
}

static void none_is_memory(void **state)
{
    struct kv_map *map = NULL;
    assert_int_equal(kv_map_open("none", &map, NULL), KV_OK);
    assert_true(kv_map_writable(map));
    store(map, "k", 1, true);
    assert_int_equal(count(map, &(struct kv_map_query){ 0 }), 1);
    assert_int_not_equal(access("none", F_OK), 0);
    kv_map_free(map);
    kv_map_free(NULL);
}

static void untrusted_files_are_refused(void **state)
{
    char link_path[160];
    kv_map_free(open_map());
    assert_int_equal(chmod(path, 0620), 0);
    assert_opens_in_memory(path, KV_CONFIG, "chmod go-w");
    assert_int_equal(chmod(path, 0602), 0);
    assert_opens_in_memory(path, KV_CONFIG, "chmod go-w");
    assert_int_equal(chmod(path, 0640), 0);
    kv_map_free(open_map());

    snprintf(link_path, sizeof link_path, "%s/link", folder);
    assert_int_equal(symlink(path, link_path), 0);
    assert_opens_in_memory(link_path, KV_CONFIG, "not a regular file");
    assert_opens_in_memory(folder, KV_CONFIG, "not a regular file");
    if (geteuid() == 0) {
        assert_int_equal(chown(path, 12345, 12345), 0);
        assert_opens_in_memory(path, KV_CONFIG, "belongs to user 12345");
    }
}

static void a_folder_that_others_can_write_is_refused(void **state)
{
    kv_map_free(open_map());
    assert_int_equal(chmod(folder, 0777), 0);
    assert_opens_in_memory(path, KV_CONFIG,
                           "can be written by others than its owner (mode 777): chmod go-w that folder");
    assert_int_equal(chmod(folder, 0700), 0);
}

/* Where others may make files they could make a journal, whatever the sticky bit keeps them from. */
static void a_folder_where_others_make_files_is_refused(void **state)
{
    char sub[160];
    kv_map_free(open_map());
    assert_int_equal(chmod(folder, 01777), 0);
    assert_opens_in_memory(path, KV_CONFIG,
                           "can be written by others than its owner (mode 1777): chmod go-w");
    assert_int_equal(chmod(folder, 01770), 0);
    assert_opens_in_memory(path, KV_CONFIG, "(mode 1770)");
    assert_int_equal(chmod(folder, 01777), 0); /* on the way there it is enough */
    snprintf(sub, sizeof sub, "%s/below", folder);
    assert_int_equal(mkdir(sub, 0755), 0);
    snprintf(sub, sizeof sub, "%s/below/map.db", folder);
    struct kv_map *map = NULL;
    assert_int_equal(kv_map_open(sub, &map, NULL), KV_OK);
    kv_map_free(map);
    assert_int_equal(chmod(folder, 0700), 0);
    unlink(sub);
    snprintf(sub, sizeof sub, "%s/below/map.db-journal", folder);
    unlink(sub);
    snprintf(sub, sizeof sub, "%s/below", folder);
    assert_int_equal(rmdir(sub), 0);
}

static void a_journal_of_others_is_not_played_back(void **state)
{
    static const char *const suffixes[] = { "-journal", "-wal", "-shm" };
    for (size_t i = 0; i < 3; i++) {
        char beside[160];
        struct stat info;
        kv_map_free(open_map());
        snprintf(beside, sizeof beside, "%s%s", path, suffixes[i]);
        unlink(beside);
        int fd = open(beside, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_int_equal(write(fd, "planted", 7), 7);
        assert_int_equal(fchmod(fd, 0662), 0);
        close(fd);
        assert_opens_in_memory(path, KV_CONFIG, "can be written by others");
        if (geteuid() == 0) {
            assert_int_equal(chmod(beside, 0600), 0);
            assert_int_equal(chown(beside, 12345, 12345), 0);
            assert_opens_in_memory(path, KV_CONFIG, "belongs to user 12345");
        }
        assert_int_equal(stat(beside, &info), 0);
        assert_int_equal(info.st_size, 7); /* and it is left as it was */
        unlink(beside);
        assert_int_equal(symlink("/dev/null", beside), 0);
        assert_opens_in_memory(path, KV_CONFIG, "not a regular file");
        unlink(beside);
        kv_map_free(open_map());
    }
}

static void a_folder_may_be_a_link(void **state)
{
    char link_path[160], sub[200];
    struct kv_map *map = open_map();
    store(map, "k", 1, true);
    kv_map_free(map);
    snprintf(link_path, sizeof link_path, "%s/link", folder);
    assert_int_equal(symlink(folder, link_path), 0);
    snprintf(sub, sizeof sub, "%s/map.db", link_path);
    assert_int_equal(kv_map_open(sub, &map, NULL), KV_OK);
    assert_int_equal(count(map, &(struct kv_map_query){ 0 }), 1);
    kv_map_free(map);
}

static void other_files_are_left_alone(void **state)
{
    static const char notes[] = "these are somebody's notes, quite a lot of them, surely more than a hundred "
                                "bytes of text that is no database";
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_int_equal(write(fd, notes, sizeof notes), sizeof notes);
    close(fd);
    assert_opens_in_memory(path, KV_MAP_CORRUPT, "not a version map");
    unlink(path);

    run_sql("CREATE TABLE photos (name TEXT)");
    assert_opens_in_memory(path, KV_MAP_CORRUPT, "not a version map");
    assert_int_equal(read_int(path, "SELECT count(*) FROM sqlite_schema"), 1);
}

static void a_newer_file_is_refused_and_kept(void **state)
{
    struct kv_map *map = open_map();
    store(map, "k", 1, true);
    kv_map_free(map);
    run_sql("PRAGMA user_version = 999");
    assert_opens_in_memory(path, KV_MAP_NEWER, "newer release (format 999");
    assert_int_equal(read_int(path, "SELECT count(*) FROM version"), 1);
}

static void an_older_file_is_copied_then_brought_up(void **state)
{
    char copy[200];
    struct stat info;
    run_sql(kv_map_steps[0]);
    run_sql("PRAGMA application_id = 1263939889; PRAGMA user_version = 1;"
            "INSERT INTO visit VALUES ('prod', 'k', 42, 'OK')");
    snprintf(copy, sizeof copy, "%s.step-1", path);
    int fd = open(copy, O_WRONLY | O_CREAT, 0644); /* what an attempt that was killed left */
    assert_int_equal(write(fd, "half", 4), 4);
    close(fd);
    assert_int_equal(chmod(path, 0600), 0);

    struct kv_map *map = open_map();
    struct kv_map_visit visit;
    assert_int_equal(kv_map_visited(map, "prod", "k", &visit, NULL), KV_OK);
    assert_int_equal(visit.at, 42);
    store(map, "k", 1, true);
    kv_map_free(map);
    assert_int_equal(read_int(path, "PRAGMA user_version"), kv_map_step_count);
    assert_int_equal(read_int(copy, "PRAGMA user_version"), 1);
    assert_int_equal(read_int(copy, "SELECT at FROM visit"), 42);
    assert_int_equal(stat(copy, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
}

/* A row that the last step's makers wrote, of a version that is long purged: it keeps what it says, and says nothing of what nobody asked then. */
static void a_file_without_certificates_is_brought_up(void **state)
{
    char copy[200];
    run_sql(kv_map_steps[0]);
    run_sql(kv_map_steps[1]);
    run_sql(
        "PRAGMA application_id = 1263939889; PRAGMA user_version = 2;"
        "INSERT INTO version VALUES (1, 'prod', 'k', '01', 'https://prod/keys/k/01', 1, 2, 1, 256, '', 48,"
        " zeroblob(20), zeroblob(32), x'', 'purged', 1, 0, 0, 7, 5, 6, 1, 2, 3, 4)");
    assert_int_equal(chmod(path, 0600), 0);
    struct kv_map *map = open_map();
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = find(map, &(struct kv_map_query){ 0 });
    assert_int_equal(list.count, 1);
    assert_int_equal(list.items[0]->state, KV_STATE_PURGED);
    assert_int_equal(list.items[0]->wraps, 4);
    assert_false(list.items[0]->managed);
    assert_string_equal(list.items[0]->hsm_platform, "");
    struct kv_map_certificate row = { .vault = "prod", .name = "K", .version = "01", .source = "vault" };
    assert_int_equal(kv_map_certificate(map, &row, NULL), KV_OK);
    assert_int_equal(row.at, 0);
    kv_map_free(map);
    snprintf(copy, sizeof copy, "%s.step-2", path);
    assert_int_equal(read_int(copy, "PRAGMA user_version"), 2);
    assert_int_equal(read_int(copy, "SELECT count(*) FROM version"), 1);
    assert_int_equal(read_int(path, "PRAGMA user_version"), kv_map_step_count);
}

static void tables_of_another_making_are_told_and_kept(void **state)
{
    struct kv_map *map = open_map();
    store(map, "k", 1, true);
    kv_map_free(map);
    run_sql("PRAGMA user_version = 1"); /* its second step meets tables that it wants to make */
    assert_opens_in_memory(path, KV_MAP_CORRUPT, "not those of its format");
    assert_int_equal(read_int(path, "SELECT count(*) FROM version"), 1);
    assert_int_equal(read_int(path, "PRAGMA user_version"), 1);
}

static void read_as_stranger(void)
{
    struct kv_map *map = NULL;
    struct kv_error err = { 0 };
    KV_AUTO_VERSION struct kv_version *version = make_version("k", 2, true);
    if (kv_map_open(path, &map, NULL) || kv_map_writable(map) || count(map, &(struct kv_map_query){ 0 }) != 1)
        _exit(3);
    if (kv_map_store(map, &version, 1, &err) != KV_READ_ONLY || !strstr(err.text, path))
        _exit(4);
    if (kv_map_visit(map, "prod", "k", &(struct kv_map_visit){ 1, KV_OK }, NULL) != KV_READ_ONLY ||
        count(map, &(struct kv_map_query){ 0 }) != 1)
        _exit(5);
    kv_map_free(map);
}

static void a_read_only_file_is_read(void **state)
{
    struct kv_map *map = open_map();
    store(map, "k", 1, true);
    kv_map_free(map);
    assert_int_equal(chmod(path, geteuid() == 0 ? 0644 : 0444), 0);
    assert_int_equal(chmod(folder, 0755), 0);
    without_root(read_as_stranger);
}

static void no_place_to_write(void)
{
    struct kv_map *map = NULL;
    struct kv_error err = { 0 };
    if (kv_map_open(path, &map, &err) != KV_IO || !strstr(err.text, "cannot make version map") || !map)
        _exit(3);
    kv_map_free(map);
}

static void a_folder_that_cannot_be_written(void **state)
{
    assert_int_equal(chmod(folder, geteuid() == 0 ? 0755 : 0555), 0);
    without_root(no_place_to_write);
    assert_int_equal(chmod(folder, 0755), 0);
}

/* RLIMIT_FSIZE stands for a full disk: writes behind it fail. */
static void a_full_disk_loses_nothing(void **state)
{
    struct kv_map *map = open_map();
    struct rlimit was, tight;
    struct stat info;
    struct kv_error err = { 0 };
    KV_AUTO_VERSION struct kv_version *big = make_version("big", 1, true);
    store(map, "k", 1, true);
    assert_int_equal(kv_bytes_alloc(300000, &big->spki), KV_OK);
    assert_int_equal(stat(path, &info), 0);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    tight = (struct rlimit){ (rlim_t)info.st_size + 8192, was.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    enum kv_status status = kv_map_store(map, &big, 1, &err);
    size_t known = count(map, &(struct kv_map_query){ 0 });
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    signal(SIGXFSZ, SIG_DFL);

    assert_int_equal(status, KV_IO);
    assert_non_null(strstr(err.text, path));
    assert_int_equal(known, 1);
    assert_int_equal(kv_map_store(map, &big, 1, NULL), KV_OK); /* space again: it goes on */
    assert_int_equal(count(map, &(struct kv_map_query){ 0 }), 2);
    kv_map_free(map);
}

static void a_scribbled_file_never_crashes(void **state)
{
    struct kv_map *map = open_map();
    struct stat info;
    for (int i = 0; i < 50; i++)
        store(map, "k", i, i == 49);
    kv_map_free(map);
    assert_int_equal(stat(path, &info), 0);
    for (off_t at = 100; at < info.st_size; at += 997) {
        unsigned char was[32], noise[32];
        int fd = open(path, O_RDWR);
        struct kv_version_list list = { 0 };
        struct kv_map_found found = { 0 };
        memset(noise, 0xa5, sizeof noise);
        ssize_t len = pread(fd, was, sizeof was, at);
        assert_int_equal(pwrite(fd, noise, (size_t)len, at), len);
        close(fd);
        enum kv_status opened = kv_map_open(path, &map, NULL);
        assert_true(opened == KV_OK || opened == KV_MAP_CORRUPT);
        enum kv_status listed = kv_map_find(map, &(struct kv_map_query){ 0 }, &list, NULL);
        assert_true(listed == KV_OK || listed == KV_MAP_CORRUPT);
        enum kv_status verified = kv_map_verify(map, &found, NULL);
        assert_true(verified == KV_OK || verified == KV_MAP_CORRUPT);
        kv_version_list_free(&list);
        kv_map_free(map);
        fd = open(path, O_RDWR);
        assert_int_equal(pwrite(fd, was, (size_t)len, at), len);
        close(fd);
    }
    map = open_map();
    assert_int_equal(count(map, &(struct kv_map_query){ 0 }), 50);
    kv_map_free(map);
}

/* --- processes and threads --- */

static void two_handles_share_the_file(void **state)
{
    struct kv_map *a = open_map(), *b = open_map();
    store(a, "k", 1, true);
    assert_int_equal(count(b, &(struct kv_map_query){ 0 }), 1);
    store(b, "k", 2, true);
    assert_int_equal(count(a, &(struct kv_map_query){ .current_only = true }), 1);
    kv_map_free(a);
    assert_int_equal(count(b, &(struct kv_map_query){ 0 }), 2);
    kv_map_free(b);
}

static void *write_many(void *argument)
{
    struct kv_map *map = argument;
    for (int i = 0; i < 20; i++) {
        struct kv_map_wrap wrap = make_wrap((unsigned char)i, 1, 10 + i);
        if (kv_map_wrapped(map, &wrap, 1, NULL) || kv_map_who_wrapped(map, wrap.digest, &wrap, NULL))
            return map;
    }
    return NULL;
}

static void threads_share_a_handle(void **state)
{
    pthread_t threads[4];
    struct kv_map *map = open_map();
    store(map, "k", 1, true);
    for (size_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, map), 0);
    for (size_t i = 0; i < COUNT(threads); i++) {
        void *failed = map;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = find(map, &(struct kv_map_query){ 0 });
    assert_int_equal(list.items[0]->wraps, 20);
    kv_map_free(map);
}

/* The child forgets, opens its own handle and writes; the parent goes on. */
static void a_forked_child_starts_anew(void **state)
{
    struct kv_map *map = open_map();
    int status = 0;
    store(map, "k", 1, true);
    pid_t child = fork();
    if (child == 0) {
        struct kv_map *own = NULL;
        KV_AUTO_VERSION struct kv_version *version = make_version("k", 2, true);
        kv_map_forget(map);
        if (kv_map_open(path, &own, NULL) || kv_map_store(own, &version, 1, NULL))
            _exit(2);
        kv_map_free(own);
        kv_map_free(map); /* frees memory, touches no file */
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    store(map, "k", 3, true);
    assert_int_equal(count(map, &(struct kv_map_query){ 0 }), 3);
    kv_map_free(map);
}

/* Forked while another thread was inside SQLite: the child must not touch it, and must not hang. */
static void a_child_of_a_fork_at_a_bad_moment(void **state)
{
    struct kv_map *map = open_map();
    int status = 0;
    kv_map_enter(map);
    pid_t child = _Fork(); /* without the handlers that would wait for a better one */
    if (child == 0) {
        struct kv_map *own = NULL;
        struct kv_version_list list = { 0 };
        struct kv_error err = { 0 };
        kv_map_forget(map);
        if (kv_map_open(path, &own, &err) != KV_IO || !own || !strstr(err.text, "forked"))
            _exit(2);
        if (kv_map_find(own, &(struct kv_map_query){ 0 }, &list, &err) || list.count)
            _exit(3);
        kv_map_free(own);
        _exit(0);
    }
    kv_map_leave(map);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    kv_map_free(map);
}

static atomic_bool enough;

static void *write_without_end(void *map)
{
    while (!enough)
        store(map, "k", 1, true);
    return NULL;
}

/* A fork waits until no thread is inside SQLite, and none goes in before it: every child has its map, however much is written. */
static void forks_come_at_a_good_moment(void **state)
{
    struct kv_map *map = open_map();
    pthread_t writer;
    enough = false;
    store(map, "k", 1, true);
    assert_int_equal(pthread_create(&writer, NULL, write_without_end, map), 0);
    for (int i = 0; i < 20; i++) {
        int status = 0;
        pid_t child = fork();
        if (child == 0) {
            kv_map_forget(map);
            _exit(kv_map_torn());
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
    enough = true;
    pthread_join(writer, NULL);
    kv_map_free(map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_file_is_private_and_so_is_its_folder),
        TEST(none_is_memory),
        TEST(untrusted_files_are_refused),
        TEST(a_folder_that_others_can_write_is_refused),
        TEST(a_folder_where_others_make_files_is_refused),
        TEST(a_journal_of_others_is_not_played_back),
        TEST(a_folder_may_be_a_link),
        TEST(other_files_are_left_alone),
        TEST(a_newer_file_is_refused_and_kept),
        TEST(an_older_file_is_copied_then_brought_up),
        TEST(a_file_without_certificates_is_brought_up),
        TEST(tables_of_another_making_are_told_and_kept),
        TEST(a_read_only_file_is_read),
        TEST(a_folder_that_cannot_be_written),
        TEST(a_full_disk_loses_nothing),
        TEST(a_scribbled_file_never_crashes),
        TEST(two_handles_share_the_file),
        TEST(threads_share_a_handle),
        TEST(a_forked_child_starts_anew),
        TEST(a_child_of_a_fork_at_a_bad_moment),
        TEST(forks_come_at_a_good_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
