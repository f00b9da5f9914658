/* Files that nobody else can have put there: the way to them, the links on it, and their own mode. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <fcntl.h>
#include <grp.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "../common/place.h"

enum { NOBODY = 65534, OTHER = 12345 };

static const struct kv_file_rule kept = { .largest = 100, .status = KV_CONFIG },
                                 secret = { .secret = true, .largest = 100, .status = KV_CREDENTIAL };
static char root[TEST_FOLDER];
static char place[4][256];

/* A path below the folder of the test, in one of four buffers. */
static const char *at(const char *name)
{
    static unsigned next;
    char *ret = place[next++ % 4];
    snprintf(ret, sizeof place[0], "%s/%s", root, name);
    return ret;
}

static void folder(const char *name, mode_t mode)
{
    assert_int_equal(mkdir(at(name), 0700), 0);
    assert_int_equal(chmod(at(name), mode), 0);
}

static void file(const char *name, mode_t mode)
{
    int fd = open(at(name), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "text", 4), 4);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static void link_to(const char *to, const char *name)
{
    assert_int_equal(symlink(to, at(name)), 0);
}

static int set_up(void **state)
{
    (void)state;
    return test_folder(root, "file") ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return test_folder_remove(root);
}

static void is_read(const char *name, const struct kv_file_rule *rule)
{
    KV_AUTO_BYTES struct kv_bytes bytes = { 0 };
    struct kv_error err = { 0 };
    if (kv_file_read(at(name), rule, &bytes, &err) != KV_OK)
        fail_msg("%s: %s", name, err.text);
    assert_int_equal(bytes.len, 4);
    assert_string_equal((char *)bytes.data, "text");
}

static void is_refused(const char *name, const struct kv_file_rule *rule, enum kv_status status,
                       const char *reason)
{
    KV_AUTO_BYTES struct kv_bytes bytes = { 0 };
    struct kv_error err = { 0 };
    enum kv_status got = kv_file_read(at(name), rule, &bytes, &err);
    if (got != status || !strstr(err.text, reason) || strncmp(err.text, root, strlen(root)) != 0)
        fail_msg("%s: %d, '%s' instead of %d, '%s'", name, got, err.text, status, reason);
    assert_null(bytes.data);
}

static void modes(void **state)
{
    static const struct {
        mode_t mode;
        bool kept_read, secret_read; /* the group is not one of ours */
    } rows[] = {
        { 0600, true, true },   { 0400, true, true },   { 0644, true, false },
        { 0640, true, false },  { 0604, true, false },  { 0620, false, false },
        { 0602, false, false }, { 0666, false, false }, { 0660, false, false },
    };
    file("f", 0600);
    if (geteuid() == 0)
        assert_int_equal(chown(at("f"), 0, OTHER), 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(chmod(at("f"), rows[i].mode), 0);
        if (rows[i].kept_read)
            is_read("f", &kept);
        else
            is_refused("f", &kept, KV_CONFIG, "can be written by others than its owner");
        if (rows[i].secret_read)
            is_read("f", &secret);
        else
            is_refused("f", &secret, KV_CREDENTIAL, "chmod 600 '");
    }
}

static void kinds(void **state)
{
    folder("d", 0700);
    file("f", 0600);
    assert_int_equal(mkfifo(at("fifo"), 0600), 0);
    is_refused("d", &kept, KV_CONFIG, "is not a regular file");
    is_refused("fifo", &kept, KV_CONFIG, "is not a regular file");
    is_refused("none", &kept, KV_NOT_FOUND, "cannot be opened: No such file");
    is_refused("f/x", &kept, KV_NOT_FOUND, "Not a directory");
    is_refused("none/x", &kept, KV_NOT_FOUND, "No such file");
    is_read("d/../f", &kept);
    is_read("./d//./..///f", &kept);
    assert_int_equal(truncate(at("f"), 101), 0);
    is_refused("f", &kept, KV_CONFIG, "is larger than 100 bytes");
}

/* As Kubernetes mounts a ConfigMap, a Secret, a projected token. */
static void mounted_links(void **state)
{
    folder("mount", 01777);
    folder("mount/..2026_01_01", 0755);
    file("mount/..2026_01_01/token", 0600);
    link_to("..2026_01_01", "mount/..data");
    link_to("..data/token", "mount/token");
    is_read("mount/token", &secret);
    link_to("mount/token", "relative");
    is_read("relative", &secret);
    link_to(at("mount"), "absolute");
    is_read("absolute/token", &secret);
    link_to("nowhere", "dangling");
    is_refused("dangling", &kept, KV_NOT_FOUND, "No such file");
    link_to("round", "round");
    is_refused("round", &kept, KV_CONFIG, "symbolic links");
}

static void folders_of_others(void **state)
{
    folder("open", 0777);
    file("open/f", 0600);
    is_refused("open/f", &kept, KV_CONFIG,
               "its folder 'open' can be written by others than its owner (mode 777): chmod go-w");
    is_refused("open/none", &kept, KV_NOT_FOUND, "No such file"); /* where nothing is, nothing is wrong */
    link_to("open/f", "link");
    is_refused("link", &kept, KV_CONFIG, "its folder 'open'");
    assert_int_equal(chmod(at("open"), 0770), 0);
    is_refused("open/f", &kept, KV_CONFIG, "its folder 'open'");
    assert_int_equal(chmod(at("open"), 01777), 0);
    is_read("open/f", &kept);
    assert_int_equal(chmod(at("open"), 0777), 0);
    folder("open/deep", 0700);
    file("open/deep/f", 0600);
    is_refused("open/deep/f", &kept, KV_CONFIG, "its folder 'open'");
    struct kv_error err = { 0 };
    assert_int_equal(kv_file_folder(at("open/deep/map.db"), &kept, &err), KV_CONFIG);
    assert_non_null(strstr(err.text, "its folder 'open'"));
    assert_int_equal(chmod(at("open"), 0755), 0);
    assert_int_equal(kv_file_folder(at("open/deep/map.db"), &kept, NULL), KV_OK);
    is_read("open/deep/f", &kept);
}

static void owners(void **state)
{
    if (geteuid() != 0)
        skip();
    file("f", 0600);
    assert_int_equal(chown(at("f"), OTHER, 0), 0);
    is_refused("f", &kept, KV_CONFIG,
               "belongs to user 12345, who is neither root nor the caller: chown root");
    folder("theirs", 0755);
    file("theirs/f", 0600);
    assert_int_equal(chown(at("theirs"), OTHER, 0), 0);
    is_refused("theirs/f", &kept, KV_CONFIG, "its folder 'theirs' belongs to user 12345");
    file("mine", 0600);
    link_to("mine", "link");
    assert_int_equal(lchown(at("link"), OTHER, OTHER), 0);
    is_refused("link", &kept, KV_CONFIG, "is a symbolic link of user 12345");
    is_read("mine", &kept);
}

/* In a child that is nobody: group 4321 beside its own. What it says, it says by its exit status. */
static int as_nobody(const char *path, const struct kv_file_rule *rule)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        gid_t groups[] = { 4321 };
        KV_AUTO_BYTES struct kv_bytes bytes = { 0 };
        if (setgroups(1, groups) || setgid(NOBODY) || setuid(NOBODY))
            _exit(100);
        _exit((int)kv_file_read(path, rule, &bytes, NULL));
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WEXITSTATUS(status);
}

static void groups(void **state)
{
    if (geteuid() != 0)
        skip();
    assert_int_equal(chmod(root, 0755), 0);
    file("f", 0640);
    assert_int_equal(chown(at("f"), 0, 4321), 0);
    assert_int_equal(as_nobody(at("f"), &secret), KV_OK); /* root's, for a group that we are in */
    assert_int_equal(chmod(at("f"), 0440), 0);
    assert_int_equal(as_nobody(at("f"), &secret), KV_OK);
    assert_int_equal(chmod(at("f"), 0660), 0);
    assert_int_equal(as_nobody(at("f"), &secret), KV_CREDENTIAL);
    assert_int_equal(chmod(at("f"), 0644), 0);
    assert_int_equal(as_nobody(at("f"), &secret), KV_CREDENTIAL);
    assert_int_equal(as_nobody(at("f"), &kept), KV_OK);
    assert_int_equal(chmod(at("f"), 0640), 0);
    assert_int_equal(chown(at("f"), NOBODY, 4321), 0); /* our own: nobody else has a reason to read it */
    assert_int_equal(as_nobody(at("f"), &secret), KV_CREDENTIAL);
    assert_int_equal(chown(at("f"), 0, 0), 0);
    assert_int_equal(as_nobody(at("f"), &secret), KV_DENIED);
}

/* As Azure Arc's agent keeps its keys: its own user, in a folder of its own below a folder of its own. */
static void files_of_a_service(void **state)
{
    static const struct kv_file_rule service = { .service = true, .largest = 100, .status = KV_CREDENTIAL };
    folder("agent", 0755);
    folder("agent/tokens", 0770);
    file("agent/tokens/f", 0660);
    is_read("agent/tokens/f", &service);
    assert_int_equal(chmod(at("agent/tokens/f"), 0662), 0);
    is_refused("agent/tokens/f", &service, KV_CREDENTIAL, "can be written by others");
    assert_int_equal(chmod(at("agent/tokens/f"), 0644), 0);
    assert_int_equal(chmod(at("agent"), 0757), 0);
    is_refused("agent/tokens/f", &service, KV_CREDENTIAL, "its folder 'agent' can be written");
    assert_int_equal(chmod(at("agent"), 0755), 0);
    link_to("f", "agent/tokens/link");
    link_to("tokens", "agent/other");
    is_refused("agent/tokens/link", &service, KV_CREDENTIAL, "symbolic links");
    is_refused("agent/other/f", &service, KV_CREDENTIAL, "symbolic links");
    assert_int_equal(chmod(at("agent/tokens"), 0700), 0);
    is_read("agent/other/f", &kept);
    link_to("agent", "moved");
    is_read("moved/tokens/f", &service);
}

static void owners_of_a_service(void **state)
{
    enum { STRANGER = OTHER + 1 };
    static const struct kv_file_rule service = { .service = true, .largest = 100, .status = KV_CREDENTIAL };
    static const struct {
        const char *sentence;
        uid_t agent, tokens, file;
        const char *reason; /* NULL: read */
    } rows[] = {
        { "all the agent's", OTHER, OTHER, OTHER, NULL },
        { "its folder alone, a file of root's", 0, OTHER, 0, NULL },
        { "a file of somebody else", OTHER, OTHER, STRANGER, "belongs to user 12346" },
        { "a file of the agent in root's folder", 0, 0, OTHER, "belongs to user 12345" },
        { "somebody else on the way", STRANGER, OTHER, OTHER, "belongs to user 12345" },
        { "somebody else on the way to root's folder", STRANGER, 0, 0, "on the way belongs to user 12346" },
    };
    if (geteuid() != 0)
        skip();
    folder("agent", 0755);
    folder("agent/tokens", 0750);
    file("agent/tokens/f", 0640);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        print_message("%s\n", rows[i].sentence);
        assert_int_equal(chown(at("agent"), rows[i].agent, 0), 0);
        assert_int_equal(chown(at("agent/tokens"), rows[i].tokens, 0), 0);
        assert_int_equal(chown(at("agent/tokens/f"), rows[i].file, 0), 0);
        if (rows[i].reason)
            is_refused("agent/tokens/f", &service, KV_CREDENTIAL, rows[i].reason);
        else
            is_read("agent/tokens/f", &service);
        if (rows[i].tokens == OTHER)
            is_refused("agent/tokens/f", &kept, KV_CONFIG, "neither root nor the caller");
    }
}

static void a_file_for_all_is_no_secret(void **state)
{
    static const struct {
        mode_t mode;
        bool is_private;
    } rows[] = { { 0600, true }, { 0400, true }, { 0644, false }, { 0604, false } };
    file("f", 0600);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        KV_AUTO_FD int fd = -1;
        assert_int_equal(chmod(at("f"), rows[i].mode), 0);
        assert_int_equal(kv_file_open(at("f"), &kept, &fd, NULL), KV_OK);
        assert_int_equal(kv_file_private(fd), rows[i].is_private);
    }
    assert_false(kv_file_private(-1));
}

static void too_many_open_files_are_no_fault_of_the_file(void **state)
{
    struct rlimit before, none = { 0 };
    KV_AUTO_BYTES struct kv_bytes text = { 0 };
    struct kv_error err = { 0 };
    static const struct kv_file_rule rule = { .secret = true, .largest = 100, .status = KV_CREDENTIAL };
    file("plain", 0600);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none.rlim_max = before.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    enum kv_status status = kv_file_read(at("plain"), &rule, &text, &err);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(status, KV_NO_MEMORY);
    assert_non_null(strstr(err.text, "open files"));
    assert_int_equal(kv_file_read(at("plain"), &rule, &text, &err), KV_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(modes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(too_many_open_files_are_no_fault_of_the_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(kinds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(mounted_links, set_up, tear_down),
        cmocka_unit_test_setup_teardown(folders_of_others, set_up, tear_down),
        cmocka_unit_test_setup_teardown(owners, set_up, tear_down),
        cmocka_unit_test_setup_teardown(groups, set_up, tear_down),
        cmocka_unit_test_setup_teardown(files_of_a_service, set_up, tear_down),
        cmocka_unit_test_setup_teardown(owners_of_a_service, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_for_all_is_no_secret, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
