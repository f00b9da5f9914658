/* What the tests of the version map share: a folder of its own for each test, a map in it, versions to put there. */
#ifndef TESTS_UNIT_MAP_HELP_H
#define TESTS_UNIT_MAP_HELP_H

#include "mech_help.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "keys/version_map.h"
#include "../../module/keys/version_map_private.h"
#include "../common/place.h"

static char folder[TEST_FOLDER], path[160];

static inline int setup(void **state)
{
    assert_true(test_folder(folder, "map"));
    snprintf(path, sizeof path, "%s/map.db", folder);
    return 0;
}

static inline int teardown(void **state)
{
    char name[512];
    DIR *dir = opendir(folder);
    for (struct dirent *entry; (entry = readdir(dir));) {
        snprintf(name, sizeof name, "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] != '.' && unlink(name))
            rmdir(name);
    }
    closedir(dir);
    return rmdir(folder);
}

static inline struct kv_map *open_map(void)
{
    struct kv_map *map = NULL;
    struct kv_error err = { 0 };
    if (kv_map_open(path, &map, &err) != KV_OK)
        fail_msg("%s", err.text);
    return map;
}

/* Whatever is wrong: a map that works, in memory, and says why. */
static inline void assert_opens_in_memory(const char *at, enum kv_status why, const char *text)
{
    struct kv_map *map = NULL;
    struct kv_error err = { 0 };
    struct kv_version_list none = { 0 };
    assert_int_equal(kv_map_open(at, &map, &err), why);
    assert_non_null(map);
    if (!strstr(err.text, text))
        fail_msg("'%s' does not say '%s'", err.text, text);
    assert_int_equal(kv_map_health(map, NULL), why);
    assert_int_equal(kv_map_find(map, &(struct kv_map_query){ 0 }, &none, NULL), KV_OK);
    assert_int_equal(none.count, 0);
    assert_int_equal(kv_map_visit(map, "prod", "k", &(struct kv_map_visit){ 5, KV_OK }, NULL), KV_OK);
    kv_map_free(map);
}

static inline struct kv_version *make_version(const char *name, int number, bool current)
{
    struct kv_version *version = kv_version_new();
    kv_text_fit(version->vault, sizeof version->vault, "prod");
    kv_text_fit(version->name, sizeof version->name, name);
    snprintf(version->version, sizeof version->version, "%032x", (unsigned)number);
    snprintf(version->kid, sizeof version->kid, "https://prod.vault.azure.net/keys/%s/%s", name,
             version->version);
    version->kind = KV_OCT;
    version->hsm = true;
    version->bits = 256;
    version->operations = KV_OP_WRAP | KV_OP_UNWRAP;
    version->enabled = true;
    version->current = current;
    version->created = 1000 + number;
    version->first_seen = version->seen = 5000;
    assert_int_equal(kv_version_identify(version), KV_OK);
    return version;
}

static inline void store(struct kv_map *map, const char *name, int number, bool current)
{
    KV_AUTO_VERSION struct kv_version *version = make_version(name, number, current);
    assert_int_equal(kv_map_store(map, &version, 1, NULL), KV_OK);
}

static inline struct kv_version_list find(struct kv_map *map, const struct kv_map_query *query)
{
    struct kv_version_list list = { 0 };
    struct kv_error err = { 0 };
    if (kv_map_find(map, query, &list, &err) != KV_OK)
        fail_msg("%s", err.text);
    return list;
}

static inline size_t count(struct kv_map *map, const struct kv_map_query *query)
{
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = find(map, query);
    return list.count;
}

static inline struct kv_map_wrap make_wrap(unsigned char first, int number, int64_t at)
{
    struct kv_map_wrap wrap = {
        .digest = { first }, .vault = "prod", .name = "k", .at = at, .program = "restic"
    };
    snprintf(wrap.version, sizeof wrap.version, "%032x", (unsigned)number);
    return wrap;
}

/* SQL of a stranger's. */
static inline void run_sql(const char *sql)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sqlite3_errmsg(db), sql);
    sqlite3_close(db);
}

static inline int read_int(const char *file, const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_open_v2(file, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int value = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return value;
}

/* As another user would see it: root may write everything. */
static inline void without_root(void (*body)(void))
{
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (geteuid() == 0 && (setegid(12345) || seteuid(12345)))
            _exit(2);
        body();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
