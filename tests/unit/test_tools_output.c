#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "../../tools/output.h"
#include "../common/place.h"

static int make_folder(void **state)
{
    char path[TEST_FOLDER];
    *state = test_folder(path, "output") ? kv_text_copy(path) : NULL;
    return *state && chdir(*state) == 0 ? 0 : -1;
}

static int remove_folder(void **state)
{
    int done = chdir("/") || test_folder_remove(*state);
    kv_text_free(*state);
    return done;
}

static void put(const char *path, const char *text)
{
    FILE *stream = fopen(path, "we");
    assert_non_null(stream);
    fputs(text, stream);
    assert_int_equal(fclose(stream), 0);
}

static void holds_text(const char *path, const char *expected)
{
    char text[64] = "";
    FILE *stream = fopen(path, "re");
    assert_non_null(stream);
    size_t len = fread(text, 1, sizeof(text) - 1, stream);
    fclose(stream);
    text[len] = '\0';
    assert_string_equal(text, expected);
}

static size_t entries(void)
{
    size_t count = 0;
    DIR *folder = opendir(".");
    assert_non_null(folder);
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder))
        count += entry->d_name[0] != '.' || strlen(entry->d_name) > 2;
    closedir(folder);
    return count;
}

static struct kv_output *opened(const char *path)
{
    struct kv_output *output = NULL;
    struct kv_error err = { 0 };
    assert_int_equal(kv_output_open(path, &output, &err), KV_OK);
    assert_int_equal(kv_output_write(output, kv_view_text("ne"), &err), KV_OK);
    assert_int_equal(kv_output_write(output, kv_view_text("w"), &err), KV_OK);
    return output;
}

static void a_file_is_as_it_was_until_the_commit_and_whole_after_it(void **state)
{
    struct stat stat_of;
    put("file", "old");
    assert_int_equal(chmod("file", 0644), 0);
    KV_AUTO_OUTPUT struct kv_output *output = opened("file");
    assert_true(kv_output_holds(output));
    holds_text("file", "old");
    assert_int_equal(kv_output_commit(output, NULL), KV_OK);
    holds_text("file", "new");
    assert_int_equal(stat("file", &stat_of), 0);
    assert_int_equal(stat_of.st_mode & 07777, 0600);
    assert_int_equal(entries(), 1);
}

static void what_is_not_committed_leaves_nothing(void **state)
{
    put("file", "old");
    kv_output_free(opened("file"));
    kv_output_free(opened("absent"));
    holds_text("file", "old");
    assert_int_equal(entries(), 1);
}

static void what_was_written_can_be_taken_back(void **state)
{
    KV_AUTO_OUTPUT struct kv_output *output = opened("file");
    assert_int_equal(kv_output_written(output), 3);
    assert_int_equal(kv_output_restart(output, NULL), KV_OK);
    assert_int_equal(kv_output_write(output, kv_view_text("x"), NULL), KV_OK);
    assert_int_equal(kv_output_written(output), 1);
    assert_int_equal(kv_output_commit(output, NULL), KV_OK);
    holds_text("file", "x");
    KV_AUTO_OUTPUT struct kv_output *stream = NULL;
    assert_int_equal(kv_output_open("/dev/null", &stream, NULL), KV_OK);
    assert_int_equal(kv_output_restart(stream, NULL), KV_IO);
}

static void a_name_in_another_folder_is_found(void **state)
{
    assert_int_equal(mkdir("sub", 0700), 0);
    KV_AUTO_OUTPUT struct kv_output *output = opened("sub/file");
    assert_int_equal(kv_output_commit(output, NULL), KV_OK);
    holds_text("sub/file", "new");
    assert_int_equal(entries(), 1);
}

static void a_pipe_is_written_as_it_comes(void **state)
{
    char text[8] = "";
    assert_int_equal(mkfifo("pipe", 0600), 0);
    int reader = open("pipe", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(reader >= 0);
    KV_AUTO_OUTPUT struct kv_output *output = opened("pipe");
    assert_false(kv_output_holds(output));
    assert_int_equal(read(reader, text, sizeof(text)), 3);
    assert_string_equal(text, "new");
    assert_int_equal(kv_output_commit(output, NULL), KV_OK);
    close(reader);
}

static void what_cannot_be_written_is_told(void **state)
{
    struct {
        const char *path, *word;
        enum kv_status status;
    } rows[] = {
        { "no/file", "its folder cannot be opened: No such file", KV_IO },
        { "link", "is a link to a file", KV_ARGUMENTS },
        { "dangling", "is a link to a file", KV_ARGUMENTS },
        { "sub", "Is a directory", KV_IO },
        { "sub/", "Is a directory", KV_IO },
        { "absent/", "is a folder: name the file", KV_ARGUMENTS },
    };
    put("file", "old");
    assert_int_equal(symlink("file", "link"), 0);
    assert_int_equal(symlink("nowhere", "dangling"), 0);
    assert_int_equal(mkdir("sub", 0700), 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct kv_output *output = NULL;
        struct kv_error err = { 0 };
        assert_int_equal(kv_output_open(rows[i].path, &output, &err), rows[i].status);
        assert_null(output);
        if (!strstr(err.text, rows[i].word))
            fail_msg("'%s' is not in: %s", rows[i].word, err.text);
    }
    holds_text("file", "old");
}

static void a_full_disk_is_told(void **state)
{
    KV_AUTO_OUTPUT struct kv_output *output = NULL;
    struct kv_error err = { 0 };
    assert_int_equal(kv_output_open("/dev/full", &output, &err), KV_OK);
    assert_int_equal(kv_output_write(output, kv_view_text("x"), &err), KV_IO);
    assert_non_null(strstr(err.text, "cannot write to '/dev/full': No space left"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_file_is_as_it_was_until_the_commit_and_whole_after_it, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(what_is_not_committed_leaves_nothing, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(what_was_written_can_be_taken_back, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_name_in_another_folder_is_found, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_pipe_is_written_as_it_comes, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(what_cannot_be_written_is_told, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_full_disk_is_told, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
