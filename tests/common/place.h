/* A folder of its own for a test: in TMPDIR; or in memory, where the machine has a place there for files, since what waits for a disk in a test checks nothing;
 * or in /tmp. Nothing can be executed there for certain. */
#ifndef KV_TESTS_PLACE_H
#define KV_TESTS_PLACE_H

#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TEST_FOLDER = 64 }; /* bytes that a name of test_folder takes at most */

/* A longer one leaves no room for the names of sockets. */
static inline const char *test_place(void)
{
    const char *wanted = getenv("TMPDIR");
    if (wanted && *wanted && strlen(wanted) <= 40)
        return wanted;
    return access("/dev/shm", R_OK | W_OK | X_OK) ? "/tmp" : "/dev/shm";
}

/* `what` is for people who find it left behind. */
static inline bool test_folder(char ret[TEST_FOLDER], const char *what)
{
    int len = snprintf(ret, TEST_FOLDER, "%s/kvp11-%s-XXXXXX", test_place(), what);
    return len < TEST_FOLDER && mkdtemp(ret);
}

static inline int test_folder_remove_one(const char *path, const struct stat *about, int kind,
                                         struct FTW *where)
{
    (void)about;
    (void)kind;
    (void)where;
    return remove(path);
}

static inline int test_folder_remove(const char *folder)
{
    return nftw(folder, test_folder_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
