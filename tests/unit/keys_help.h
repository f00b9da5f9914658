/* What the tests of the keys layer share: a clock that stands still, a map in a folder of its own, and a keyring on the fake vault. */
#ifndef TESTS_UNIT_KEYS_HELP_H
#define TESTS_UNIT_KEYS_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "fake_vault.h"
#include "keys/key_ops.h"
#include "../common/place.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static int64_t clock_seconds;

static int64_t help_unix(const struct kv_clock *clock)
{
    return clock_seconds;
}

static int64_t help_steady(const struct kv_clock *clock)
{
    return clock_seconds * 1000;
}

static void help_sleep(const struct kv_clock *clock, int64_t ms)
{
    clock_seconds += ms / 1000;
}

static double help_jitter(const struct kv_clock *clock)
{
    return 0.5;
}

static const struct kv_clock help_clock = { help_unix, help_steady, help_sleep, help_jitter };

/* A process that works with the vault "prod": opened and closed as often as the test likes, the map's file stays. */
struct world {
    char folder[TEST_FOLDER], path[96];
    struct kv_vault vault;
    struct kv_vault_config config;
    struct kv_map *map;
    struct kv_keyring *keyring;
};

static inline void world_start(struct world *world)
{
    struct kv_error err = { 0 };
    struct kv_keyring_parts parts = { &world->config, &world->vault, NULL, NULL, &help_clock };

    assert_int_equal(kv_map_open(world->path, &world->map, &err), KV_OK);
    parts.map = world->map;
    assert_int_equal(kv_keyring_open(&parts, &world->keyring, &err), KV_OK);
    world->vault.log[0] = '\0';
}

static inline void world_stop(struct world *world)
{
    kv_keyring_free(world->keyring);
    kv_map_free(world->map);
    world->keyring = NULL;
    world->map = NULL;
}

static inline void world_restart(struct world *world)
{
    world_stop(world);
    world_start(world);
}

static inline struct world *world_new(void)
{
    struct world *world = calloc(1, sizeof(*world));

    assert_non_null(world);
    clock_seconds = 1800000000;
    assert_true(test_folder(world->folder, "test"));
    snprintf(world->path, sizeof(world->path), "%s/map.db", world->folder);
    fake_vault_init(&world->vault);
    world->config = (struct kv_vault_config){ .name = "prod",
                                              .url = "https://prod.vault.localhost",
                                              .host = "prod.vault.localhost",
                                              .refresh_seconds = 300,
                                              .timeout_ms = 30000,
                                              .ledger = true,
                                              .decrypt_fallback = true,
                                              .decrypt_fallback_limit = 8,
                                              .rsa1_5 = true };
    world_start(world);
    return world;
}

static inline void world_free(struct world *world)
{
    world_stop(world);
    fake_vault_clear(&world->vault);
    test_folder_remove(world->folder);
    free(world);
}

static inline struct fake_key *world_key(struct world *world, const char *name, const char *version,
                                         int64_t created)
{
    struct fake_key *key = &world->vault.keys[world->vault.count++];

    *key = (struct fake_key){ .name = name, .version = version, .created = created };
    return key;
}

static inline struct kv_task world_task(const struct world *world)
{
    return (struct kv_task){ kv_deadline_in(&help_clock, world->config.timeout_ms), "test" };
}

/* What was asked of the vault since the last look. */
static inline void assert_requests(struct world *world, const char *should)
{
    char was[FAKE_LOG];

    snprintf(was, sizeof(was), "%s", world->vault.log);
    world->vault.log[0] = '\0';
    assert_string_equal(was, should);
}

/* "kek:enabled kek@a1:disabled" of a search. */
static inline char *world_find(struct world *world, const struct kv_keyring_query *query, char *ret,
                               size_t size)
{
    struct kv_version_list list = { 0 };
    struct kv_error err = { 0 };
    struct kv_task task = world_task(world);
    enum kv_status status = kv_keyring_find(world->keyring, query, &task, &list, NULL, &err);

    snprintf(ret, size, "%s", status == KV_OK ? "" : kv_status_name(status));
    for (size_t i = 0; i < list.count; i++) {
        size_t len = strlen(ret);
        snprintf(ret + len, size - len, "%s%s:%s", i ? " " : "", list.items[i]->label,
                 kv_state_name(list.items[i]->state));
    }
    kv_version_list_free(&list);
    return ret;
}

#define assert_finds(world, should, ...)                                                                     \
    do {                                                                                                     \
        char found[2048];                                                                                    \
        assert_string_equal(                                                                                 \
            world_find(world, &(struct kv_keyring_query){ __VA_ARGS__ }, found, sizeof(found)), should);     \
    } while (0)

#endif
