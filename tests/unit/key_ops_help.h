/* What the tests of key_ops share: a key "kek" of three versions, mechanisms, and one operation as a session makes it. */
#ifndef TESTS_UNIT_KEY_OPS_HELP_H
#define TESTS_UNIT_KEY_OPS_HELP_H

#include "keys_help.h"

static inline int setup(void **state)
{
    struct world *world = world_new();

    world_key(world, "kek", "a1", 1000);
    world_key(world, "kek", "a2", 2000);
    world_key(world, "kek", "a3", 3000);
    *state = world;
    return 0;
}

static inline int teardown(void **state)
{
    world_free(*state);
    return 0;
}

/* --- mechanisms --- */
static CK_RSA_PKCS_OAEP_PARAMS oaep_params = { CKM_SHA256, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, NULL, 0 };
static const CK_MECHANISM __attribute__((unused))
oaep = { CKM_RSA_PKCS_OAEP, &oaep_params, sizeof(oaep_params) };
static const CK_MECHANISM __attribute__((unused)) rsa1_5 = { CKM_RSA_PKCS, NULL, 0 };
static const CK_MECHANISM __attribute__((unused)) rs256 = { CKM_SHA256_RSA_PKCS, NULL, 0 };
static const CK_MECHANISM __attribute__((unused)) ecdsa = { CKM_ECDSA, NULL, 0 };

/* One operation as a session makes it: the version at Init, the mechanism, the task. */
struct run {
    struct world *world;
    struct kv_version *version;
    struct kv_mech_use mech;
    struct kv_task task;
    struct kv_bytes out;
    struct kv_error err;
    bool exact;
};

static inline void run_free(struct run *run)
{
    kv_bytes_free(&run->out);
    kv_mech_use_free(&run->mech);
    kv_version_free(run->version);
}

typedef enum kv_status select_mechanism(const CK_MECHANISM *mechanism, const struct kv_mech_key *key,
                                        unsigned operation, const struct kv_mech_offer *offer,
                                        struct kv_mech_use *ret);

/* version NULL: the current one. */
static inline struct run start_by(select_mechanism *select, struct world *world, const char *version,
                                  const CK_MECHANISM *mechanism, unsigned operation)
{
    struct run run = { .world = world, .task = world_task(world) };
    struct kv_mech_offer offer = kv_keyring_offer(world->keyring);

    assert_int_equal(
        version ? kv_keyring_version(world->keyring, "kek", version, &run.task, &run.version, &run.err)
                : kv_keyring_current(world->keyring, "kek", &run.task, &run.version, &run.err),
        KV_OK);
    struct kv_mech_key key = kv_version_mech_key(run.version);
    assert_int_equal(select(mechanism, &key, operation, &offer, &run.mech), KV_OK);
    world->vault.log[0] = '\0';
    return run;
}

static inline struct run start(struct world *world, const char *version, const CK_MECHANISM *mechanism,
                               unsigned operation)
{
    return start_by(kv_mech_select, world, version, mechanism, operation);
}

static inline struct kv_key_use use_of(struct run *run)
{
    return (struct kv_key_use){ run->world->keyring, run->version, &run->mech, &run->task,
                                .exact = run->exact };
}

static inline enum kv_status wrap(struct run *run)
{
    struct kv_key_use use = use_of(run);

    return kv_key_encrypt(&use, KV_OP_WRAP, kv_view_text("secret"), &run->out, &run->err);
}

static inline enum kv_status unwrap(struct run *run, struct kv_view blob)
{
    struct kv_key_use use = use_of(run);

    return kv_key_decrypt(&use, KV_OP_UNWRAP, blob, &run->out, &run->err);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
