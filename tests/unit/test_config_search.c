#include "../../module/config/search.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

enum { NOBODY = 65534 };

static char folder[64], path[80], link_path[80];
static const char *home, *config_home;

static const char *lookup(const char *name)
{
    if (!strcmp(name, "HOME"))
        return home;
    return strcmp(name, "XDG_CONFIG_HOME") ? NULL : config_home;
}

static int set_up(void **state)
{
    snprintf(folder, sizeof folder, P_tmpdir "/test_search.XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/file", folder);
    snprintf(link_path, sizeof link_path, "%s/link", folder);
    home = config_home = NULL;
    return 0;
}

static int tear_down(void **state)
{
    unlink(path);
    unlink(link_path);
    return rmdir(folder);
}

static void write_file(const void *text, size_t len, mode_t mode)
{
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, len), (ssize_t)len);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static void assert_says(const struct kv_error *err, const char *named, const char *text)
{
    assert_int_equal(err->status, KV_CONFIG);
    if (strncmp(err->text, named, strlen(named)) || !strstr(err->text, text))
        fail_msg("'%s' says nothing of '%s' and '%s'", err->text, named, text);
}

static void assert_config_refused(const char *named, const char *text)
{
    KV_AUTO_SEARCH_FILE struct kv_search_file file = { 0 };
    struct kv_error err = { 0 };

    assert_int_equal(kv_search_read(named, lookup, &file, &err), KV_CONFIG);
    assert_null(file.path);
    assert_says(&err, named, text);
}

static void modes_of_a_configuration(void **state)
{
    static const struct {
        mode_t mode;
        bool good;
    } rows[] = {
        { 0600, true },  { 0644, true },  { 0640, true },  { 0444, true },
        { 0664, false }, { 0646, false }, { 0666, false }, { 0620, false },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        KV_AUTO_SEARCH_FILE struct kv_search_file file = { 0 };
        write_file("x", 1, rows[i].mode);
        if (!rows[i].good) {
            assert_config_refused(path, ": can be written by others than its owner (mode ");
            continue;
        }
        assert_int_equal(kv_search_read(path, lookup, &file, NULL), KV_OK);
        assert_string_equal(file.path, path);
        assert_string_equal((char *)file.text.data, "x");
    }
}

static void kinds_of_file(void **state)
{
    struct kv_config *config = NULL;
    write_file("", 0, 0600);
    assert_int_equal(symlink(path, link_path), 0);
    assert_int_equal(kv_config_load(&(struct kv_config_source){ .path = link_path }, &config, NULL),
                     KV_OK); /* a link of ours */
    kv_config_free(config);
    assert_config_refused(folder, ": is not a regular file");
    unlink(link_path);
    assert_config_refused(link_path,
                          ": cannot be opened: No such file or directory: make it, or name another file");
    assert_int_equal(mkfifo(link_path, 0600), 0);
    assert_config_refused(link_path, ": is not a regular file");
    write_file("a\0b", 3, 0600);
    assert_config_refused(path, ": has a NUL byte in it");
}

static void sizes(void **state)
{
    KV_AUTO_FREE char *lots = calloc(1, 256 * 1024 + 1);
    KV_AUTO_SEARCH_FILE struct kv_search_file file = { 0 };

    memset(lots, '\n', 256 * 1024 + 1);
    write_file(lots, 256 * 1024, 0600);
    assert_int_equal(kv_search_read(path, lookup, &file, NULL), KV_OK);
    assert_int_equal(file.text.len, 256 * 1024);
    write_file(lots, 256 * 1024 + 1, 0600);
    assert_config_refused(path, ": is larger than 262144 bytes");
}

static void owners(void **state)
{
    write_file("x", 1, 0600);
    if (geteuid()) { /* only root may give a file away; as somebody else look at one of root's */
        print_message("as root this test also looks at a file of another user\n");
        return;
    }
    assert_int_equal(chown(path, NOBODY, NOBODY), 0);
    assert_config_refused(path, ": belongs to user 65534, who is neither root nor the caller: chown root '");
    char *secret = NULL;
    struct kv_error err = { 0 };
    assert_int_equal(kv_config_secret_file(path, &secret, &err), KV_CONFIG);
    assert_says(&err, path, ": belongs to user 65534");
    write_file("x", 1, 0600);
    assert_int_equal(symlink(path, link_path), 0);
    assert_int_equal(lchown(link_path, NOBODY, NOBODY), 0);
    assert_int_equal(kv_config_secret_file(link_path, &secret, &err), KV_CONFIG);
    assert_says(&err, link_path, ": is a symbolic link of user 65534");
}

static void the_users_folder(void **state)
{
    char sub[96], conf[128], dot[96];
    KV_AUTO_SEARCH_FILE struct kv_search_file by_config = { 0 }, by_home = { 0 };

    snprintf(sub, sizeof sub, "%s/kvp11", folder);
    snprintf(conf, sizeof conf, "%s/kvp11.conf", sub);
    snprintf(dot, sizeof dot, "%s/.config", folder);
    write_file("x", 1, 0600);
    assert_int_equal(mkdir(sub, 0700), 0);
    assert_int_equal(rename(path, conf), 0);
    assert_int_equal(symlink(folder, dot), 0);

    config_home = folder;
    assert_int_equal(kv_search_read(NULL, lookup, &by_config, NULL), KV_OK);
    assert_string_equal(by_config.path, conf);
    config_home = "relative"; /* means nothing */
    home = folder;
    assert_int_equal(kv_search_read(NULL, lookup, &by_home, NULL), KV_OK);
    assert_non_null(strstr(by_home.path, "/.config/kvp11/kvp11.conf"));

    struct kv_search_file none = { 0 };
    struct kv_error err = { 0 };
    assert_int_equal(chmod(conf, 0666), 0);
    assert_int_equal(kv_search_read(NULL, lookup, &none, &err), KV_CONFIG);
    assert_non_null(strstr(err.text, "chmod go-w"));
    unlink(conf);
    unlink(dot);
    rmdir(sub);
}

/* What is found then is the host's own file or none, but never an error. */
static void nothing_there_is_no_error(void **state)
{
    KV_AUTO_SEARCH_FILE struct kv_search_file homeless = { 0 }, empty = { 0 }, file_as_home = { 0 };

    assert_int_equal(kv_search_read(NULL, lookup, &homeless, NULL), KV_OK);
    home = folder;
    assert_int_equal(kv_search_read(NULL, lookup, &empty, NULL), KV_OK);
    write_file("x", 1, 0600);
    home = path;
    assert_int_equal(kv_search_read(NULL, lookup, &file_as_home, NULL), KV_OK);
    bool host = access("/etc/kvp11/kvp11.conf", F_OK) == 0;
    assert_int_equal(homeless.path != NULL, host);
    assert_int_equal(empty.path != NULL, host);
    assert_int_equal(file_as_home.path != NULL, host);
}

static void a_home_of_somebody_else_is_passed_over(void **state)
{
    KV_AUTO_SEARCH_FILE struct kv_search_file file = { 0 };
    bool root = geteuid() == 0;

    home = folder;
    if (root)
        assert_int_equal(seteuid(NOBODY), 0);
    else
        assert_int_equal(chmod(folder, 0), 0);
    enum kv_status status = kv_search_read(NULL, lookup, &file, NULL);
    if (root)
        assert_int_equal(seteuid(0), 0);
    else
        assert_int_equal(chmod(folder, 0700), 0);
    assert_int_equal(status, KV_OK);
}

static void secrets(void **state)
{
    const struct {
        const char *text;
        mode_t mode;
        const char *secret, *reason; /* secret NULL: refused */
    } rows[] = {
        { "hunter2", 0600, "hunter2", NULL },
        { "hunter2\n", 0400, "hunter2", NULL },
        { "hunter2\r\n", 0600, "hunter2", NULL },
        { "a\n\n", 0600, "a\n", NULL },
        { " a ", 0600, " a ", NULL },
        { "hunter2", 0640, geteuid() ? NULL : "hunter2", /* root's, and of a group that root is in */
          ": can be read or written by others than its owner (mode 640): chmod 600" },
        { "hunter2", 0604, NULL, ": can be read or written by others" },
        { "hunter2", 0620, NULL, ": can be read or written by others" },
        { "hunter2", 0602, NULL, ": can be read or written by others" },
        { "", 0600, NULL, ": is empty: write the secret into it" },
        { "\n", 0600, NULL, ": is empty" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        KV_AUTO_TEXT char *secret = NULL;
        struct kv_error err = { 0 };
        write_file(rows[i].text, strlen(rows[i].text), rows[i].mode);
        enum kv_status status = kv_config_secret_file(path, &secret, &err);
        if (rows[i].secret) {
            assert_int_equal(status, KV_OK);
            assert_string_equal(secret, rows[i].secret);
            continue;
        }
        assert_null(secret);
        assert_says(&err, path, rows[i].reason);
        assert_null(strstr(err.text, "hunter2"));
    }
}

static void secrets_have_a_size_and_may_be_links(void **state)
{
    char lots[4098];
    char *secret = NULL;
    struct kv_error err = { 0 };

    memset(lots, 'x', sizeof lots);
    write_file(lots, 4097, 0600);
    assert_int_equal(kv_config_secret_file(path, &secret, &err), KV_CONFIG);
    assert_says(&err, path, ": is larger than 4096 bytes");
    write_file(lots, 4096, 0600);
    assert_int_equal(symlink(path, link_path), 0);
    assert_int_equal(kv_config_secret_file(link_path, &secret, NULL), KV_OK);
    assert_int_equal(strlen(secret), 4096);
    kv_text_free(secret);
    unlink(path);
    assert_int_equal(kv_config_secret_file(link_path, &secret, &err), KV_CONFIG);
    assert_says(&err, link_path, ": cannot be opened");
    assert_int_equal(kv_config_secret_file(folder, &secret, &err), KV_CONFIG);
    assert_says(&err, folder, ": is not a regular file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(modes_of_a_configuration, set_up, tear_down),
        cmocka_unit_test_setup_teardown(kinds_of_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sizes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(owners, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_users_folder, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_there_is_no_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_home_of_somebody_else_is_passed_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(secrets, set_up, tear_down),
        cmocka_unit_test_setup_teardown(secrets_have_a_size_and_may_be_links, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("config/search", tests, NULL, NULL);
}
