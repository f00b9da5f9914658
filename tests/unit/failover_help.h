/* What the tests of failover share: a key of vault "prod" with copies in "dr" and "west", which are vaults with one map. */
#ifndef TESTS_UNIT_FAILOVER_HELP_H
#define TESTS_UNIT_FAILOVER_HELP_H

#include "base/log.h"
#include "key_ops_help.h"

enum { PROD, DR, WEST, VAULTS };

/* "prod" is the world's own; the others share its map. */
struct three {
    struct world *world;
    struct kv_vault other[VAULTS]; /* [PROD] is not used */
    struct kv_vault_config config[VAULTS];
    struct kv_keyring *keyring[VAULTS];
    struct kv_log *log;
    char log_path[96];
};

static inline struct kv_vault *vault_of(struct three *three, int which)
{
    return which == PROD ? &three->world->vault : &three->other[which];
}

static inline void open_keyring(struct three *three, int which)
{
    struct kv_keyring_parts parts = { which == PROD ? &three->world->config : &three->config[which],
                                      vault_of(three, which), three->world->map, three->log, &help_clock };

    assert_int_equal(kv_keyring_open(&parts, &three->keyring[which], NULL), KV_OK);
}

static inline void start_keyrings(struct three *three)
{
    kv_keyring_free(three->world->keyring);
    for (int i = PROD; i < VAULTS; i++)
        open_keyring(three, i);
    three->world->keyring = three->keyring[PROD];
    kv_keyring_fail_over_to(three->keyring[PROD], three->keyring[DR]);
    kv_keyring_fail_over_to(three->keyring[PROD], three->keyring[WEST]);
}

static inline void stop_keyrings(struct three *three)
{
    kv_keyring_free(three->keyring[DR]);
    kv_keyring_free(three->keyring[WEST]);
}

static inline int setup_three(void **state)
{
    static const char *const names[] = { "prod", "dr", "west" };
    struct three *three = calloc(1, sizeof(*three));
    void *world;

    assert_non_null(three);
    setup(&world);
    three->world = world;
    snprintf(three->log_path, sizeof(three->log_path), "%s/log", three->world->folder);
    assert_int_equal(kv_log_open(three->log_path, KV_LOG_INFO, "none", &three->log, NULL), KV_OK);
    three->world->config.failover_pause_ms = 30000;
    for (int i = DR; i < VAULTS; i++) {
        three->config[i] = three->world->config;
        three->config[i].name = (char *)(size_t)names[i];
        three->config[i].url = i == DR ? "https://dr.vault.localhost" : "https://west.vault.localhost";
        three->config[i].host = i == DR ? "dr.vault.localhost" : "west.vault.localhost";
        fake_vault_init(&three->other[i]);
    }
    start_keyrings(three);
    *state = three;
    return 0;
}

static inline int teardown_three(void **state)
{
    struct three *three = *state;

    stop_keyrings(three);
    for (int i = DR; i < VAULTS; i++)
        fake_vault_clear(&three->other[i]);
    kv_log_free(three->log);
    world_free(three->world);
    free(three);
    return 0;
}

#define TEST3(name) cmocka_unit_test_setup_teardown(name, setup_three, teardown_three)

static inline struct fake_key *copy(struct three *three, int which, const char *name, const char *version)
{
    struct kv_vault *vault = vault_of(three, which);
    struct fake_key *key = &vault->keys[vault->count++];

    *key = (struct fake_key){ .name = name, .version = version, .created = 3000 };
    return key;
}

static const unsigned char blob_bytes[256] = { 1 };
static const struct kv_view blob = { blob_bytes, sizeof(blob_bytes) };

/* A restored copy of a3 in DR that opens the blob, as a3 itself does. */
static inline struct fake_key *restored(struct three *three, int which)
{
    fake_vault_seals(vault_of(three, PROD), "a3", blob);
    fake_vault_seals(vault_of(three, which), "a3", blob);
    return copy(three, which, "kek", "a3");
}

static inline struct run begin(struct three *three)
{
    struct run run = start(three->world, "a3", &oaep, KV_OP_UNWRAP);

    for (int i = PROD; i < VAULTS; i++)
        vault_of(three, i)->log[0] = '\0';
    return run;
}

static inline void assert_asked(struct three *three, const char *prod, const char *dr, const char *west)
{
    const char *should[] = { prod, dr, west };

    for (int i = PROD; i < VAULTS; i++) {
        assert_string_equal(vault_of(three, i)->log, should[i]);
        vault_of(three, i)->log[0] = '\0';
    }
}

/* How many lines of the log have this text. */
static inline size_t logged(struct three *three, const char *text)
{
    char line[2048];
    size_t count = 0;
    FILE *file = fopen(three->log_path, "r");

    assert_non_null(file);
    while (fgets(line, sizeof(line), file))
        count += strstr(line, text) != NULL;
    fclose(file);
    return count;
}

/* One unwrap in a run of its own. */
static inline enum kv_status open_once(struct three *three)
{
    struct run run = begin(three);
    enum kv_status status = unwrap(&run, blob);

    if (status == KV_OK)
        assert_true(kv_view_equal(KV_VIEW(run.out), kv_view_text("secret")));
    run_free(&run);
    return status;
}

#endif
