/* What a full version map costs those who ask it: kvp11-bench-lookup MAP VAULT COUNT. JSON on stdout: the median of COUNT warm look-ups of each kind in
 * milliseconds, each of another version where there are several, and of the costly ones once; then the memory of this process. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include "keys/backup_map.h"

_Noreturn static void die(const char *what, const struct kv_error *err)
{
    fprintf(stderr, "bench-lookup: %s: %s\n", what, err ? err->text : "");
    exit(1);
}

struct world {
    struct kv_map *map;
    const char *vault;
    struct kv_version_list some; /* versions to ask for */
};

static void drop(struct kv_version_list *list)
{
    if (!list->count)
        die("nothing was found", NULL);
    kv_version_list_free(list);
}

static void by_name(struct world *world, const struct kv_version *version)
{
    const struct kv_map_query query = { .vault = world->vault, .name = version->name, .current_only = true };
    struct kv_version_list list = { 0 };
    struct kv_error err = { 0 };
    if (kv_map_find(world->map, &query, &list, &err))
        die("kv_map_find", &err);
    drop(&list);
}

static void by_id(struct world *world, const struct kv_version *version)
{
    const struct kv_map_query query = { .vault = world->vault, .id = { version->id, sizeof version->id } };
    struct kv_version_list list = { 0 };
    struct kv_error err = { 0 };
    if (kv_map_find(world->map, &query, &list, &err))
        die("kv_map_find", &err);
    drop(&list);
}

static void by_spki(struct world *world, const struct kv_version *version)
{
    const struct kv_map_query query = { .spki_sha256 = { version->spki_sha256, 32 } };
    struct kv_version_list list = { 0 };
    struct kv_error err = { 0 };
    if (kv_map_find(world->map, &query, &list, &err))
        die("kv_map_find", &err);
    drop(&list);
}

static void who_wrapped(struct world *world, const struct kv_version *version)
{
    struct kv_map_wrap wrap;
    if (kv_map_who_wrapped(world->map, version->spki_sha256, &wrap, NULL))
        die("kv_map_who_wrapped", NULL);
}

static void needed_by(struct world *world, const struct kv_version *version)
{
    struct kv_map_dependants needed;
    if (kv_map_dependants(world->map, kv_map_key_of(version), false, &needed, NULL) || !needed.backups)
        die("kv_map_dependants", NULL);
}

static void sole(struct world *world, const struct kv_version *version)
{
    struct kv_map_dependants needed;
    if (kv_map_dependants(world->map, kv_map_key_of(version), true, &needed, NULL))
        die("kv_map_dependants", NULL);
}

static void first_page(struct world *world, const struct kv_version *version)
{
    const struct kv_map_backup_query query = { .key = kv_map_key_of(version) };
    struct kv_map_backup_list list = { 0 };
    if (kv_map_backup_page(world->map, &query, &list, NULL) || !list.count)
        die("kv_map_backup_page", NULL);
    kv_map_backup_list_free(&list);
}

/* As a module does after every answer of the vault: nothing has changed but that it was seen. */
static void seen_again(struct world *world, const struct kv_version *version)
{
    KV_AUTO_VERSION struct kv_version *copy = kv_version_copy(version);
    struct kv_error err = { 0 };
    if (!copy)
        die("out of memory", NULL);
    copy->seen++;
    if (kv_map_store(world->map, &copy, 1, &err))
        die("kv_map_store", &err);
}

static void every_backup(struct world *world, const struct kv_version *version)
{
    struct kv_map_backup_query query = { .retired = true };
    for (;;) {
        struct kv_map_backup_list list = { 0 };
        if (kv_map_backup_page(world->map, &query, &list, NULL))
            die("kv_map_backup_page", NULL);
        if (!list.count)
            return;
        query.after = list.items[list.count - 1].row;
        kv_map_backup_list_free(&list);
    }
}

static void verify(struct world *world, const struct kv_version *version)
{
    struct kv_map_found found;
    struct kv_error err = { 0 };
    if (kv_map_verify(world->map, &found, &err))
        die("kv_map_verify", &err);
}

static const struct question {
    const char *name;
    void (*ask)(struct world *world, const struct kv_version *version);
    bool once, of_first; /* of the version that most depends on */
} questions[] = {
    { "current_of_a_name", by_name, false, false },
    { "by_id", by_id, false, false },
    { "by_spki", by_spki, false, false },
    { "ledger", who_wrapped, false, false },
    { "needed_by", needed_by, false, false },
    { "needed_by_the_most", needed_by, false, true },
    { "sole_of_the_most", sole, true, true },
    { "first_page_of_the_most", first_page, false, true },
    { "seen_again", seen_again, false, false },
    { "every_backup", every_backup, true, true },
    { "verify", verify, true, true },
};

static double now_ms(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec * 1e3 + (double)at.tv_nsec / 1e6;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(struct world *world, const struct question *question, size_t count)
{
    static double took[10001];
    size_t times = question->once ? 1 : count;
    for (size_t i = 0; i < times; i++) {
        const struct kv_version *version = world->some.items[question->of_first ? 0 : i % world->some.count];
        if (!i && !question->once)
            question->ask(world, version); /* warm */
        double start = now_ms();
        question->ask(world, version);
        took[i] = now_ms() - start;
    }
    qsort(took, times, sizeof *took, by_size);
    return took[times / 2];
}

int main(int argc, char **argv)
{
    struct world world = { 0 };
    struct kv_error err = { 0 };
    struct rusage usage;
    size_t count = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;
    if (!count || count > 10001) {
        fprintf(stderr, "usage: kvp11-bench-lookup MAP VAULT COUNT\n");
        return 64;
    }
    world.vault = argv[2];
    if (kv_map_open(argv[1], &world.map, &err))
        die(argv[1], &err);
    if (kv_map_find(world.map, &(struct kv_map_query){ .vault = argv[2], .limit = 200 }, &world.some, &err))
        die("kv_map_find", &err);
    printf("{");
    for (size_t i = 0; i < sizeof questions / sizeof *questions; i++)
        printf("\"%s\": %.4f, ", questions[i].name, median(&world, &questions[i], count));
    getrusage(RUSAGE_SELF, &usage);
    printf("\"resident_kib\": %ld}\n", usage.ru_maxrss);
    kv_version_list_free(&world.some);
    kv_map_free(world.map);
    return 0;
}
