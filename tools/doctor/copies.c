/* The other vaults of `failover`: would they open what this one cannot, with the same key? */
#include "doctor.h"

#include <string.h>

static const char check[] = "copy";

/* One of them, and what it is asked for. */
struct copy {
    struct kv_doctor *doctor;
    const struct kv_vault_key *own;
    size_t vault;
    const char *where; /* its section */
    char name[KV_NAME_SIZE], version[KV_VERSION_SIZE];
};

static bool find_vault(const struct kv_config *config, const char *name, size_t *ret)
{
    for (*ret = 0; *ret < config->vault_count; (*ret)++)
        if (!strcmp(config->vaults[*ret].name, name))
            return true;
    return false;
}

/* Where the version map has seen the same public key there; else the same name and version, as a restore leaves them. */
static void set_wanted(struct copy *copy)
{
    struct kv_map *map = kv_core_map(copy->doctor->tool->core);
    const struct kv_vault_key *own = copy->own;
    KV_CLEANUP(kv_version_list_free) struct kv_version_list here = { 0 }, there = { 0 };
    const struct kv_map_query query = { .vault = copy->doctor->config->name,
                                        .name = own->name,
                                        .version = own->version };
    memcpy(copy->name, own->name, sizeof copy->name);
    memcpy(copy->version, own->version, sizeof copy->version);
    if (own->kind == KV_OCT || kv_map_find(map, &query, &here, NULL) != KV_OK || !here.count)
        return;
    const struct kv_map_query same = { .vault = copy->where,
                                       .spki_sha256 = { here.items[0]->spki_sha256, 32 } };
    if (kv_map_find(map, &same, &there, NULL) != KV_OK || !there.count)
        return;
    memcpy(copy->name, there.items[0]->name, sizeof copy->name);
    memcpy(copy->version, there.items[0]->version, sizeof copy->version);
}

static bool same_number(const struct kv_bytes *a, const struct kv_bytes *b)
{
    return kv_view_equal(kv_view_minimal(KV_VIEW(*a)), kv_view_minimal(KV_VIEW(*b)));
}

static bool is_same(const struct kv_vault_key *a, const struct kv_vault_key *b)
{
    return a->kind == b->kind && same_number(&a->n, &b->n) && same_number(&a->e, &b->e) &&
           !strcmp(a->curve, b->curve) && same_number(&a->x, &b->x) && same_number(&a->y, &b->y);
}

static void judge(const struct copy *copy, const struct kv_vault_key *there)
{
    struct kv_doctor *doctor = copy->doctor;
    struct kv_error why = { 0 };
    if (!is_same(copy->own, there)) {
        (void)!kv_fail(
            &why, KV_WRONG_KEY,
            "in '%s': '%s' is another key and is never used: restore or import the same one there, or take "
            "the vault out of `failover`",
            copy->where, there->kid);
        kv_doctor_fail(doctor, check, copy->own->name, &why, NULL);
    } else if (!there->enabled)
        kv_doctor_warn(doctor, check, copy->own->name,
                       "in '%s': not usable: the same key, but disabled; az keyvault key set-attributes --id "
                       "'%s' --enabled true",
                       copy->where, there->kid);
    else if (!(there->operations & (KV_OP_UNWRAP | KV_OP_DECRYPT)))
        kv_doctor_warn(
            doctor, check, copy->own->name,
            "in '%s': not usable: the same key, but its key_ops let it open nothing; az keyvault key "
            "set-attributes --id '%s' --ops unwrapKey decrypt",
            copy->where, there->kid);
    else
        kv_doctor_ok(doctor, check, copy->own->name, "in '%s': usable: the same %s, enabled, '%s'",
                     copy->where, there->kind == KV_OCT ? "name and version" : "public key", there->kid);
}

static void look_at(struct copy *copy)
{
    struct kv_doctor *doctor = copy->doctor;
    KV_CLEANUP(kv_vault_key_free) struct kv_vault_key there = { 0 };
    struct kv_task task = kv_common_task(doctor->tool, copy->vault);
    struct kv_error why = { 0 };
    enum kv_status status = kv_vault_get_key(kv_core_vault(doctor->tool->core, copy->vault), copy->name,
                                             copy->version, &task, &there, &why);
    if (status == KV_OK)
        judge(copy, &there);
    else if (status == KV_NOT_FOUND)
        kv_doctor_warn(doctor, check, copy->own->name,
                       "in '%s': not usable: there is no version '%s'; kvp11 --vault %s key-backup %s, and "
                       "restore that there",
                       copy->where, copy->version, kv_word(doctor->config->name).text,
                       kv_word(copy->own->name).text);
    else
        kv_doctor_warn(doctor, check, copy->own->name, "in '%s': not usable now: %s", copy->where, why.text);
}

void kv_doctor_copies(struct kv_doctor *doctor, const struct kv_vault_key *key)
{
    const struct kv_config *config = kv_core_config(doctor->tool->core);
    const struct kv_pair_list *names = &doctor->config->failover;
    if (!(key->operations & (KV_OP_UNWRAP | KV_OP_DECRYPT)))
        return; /* nothing to be opened anywhere */
    for (size_t i = 0; i < names->count; i++) {
        struct copy copy = { .doctor = doctor, .own = key, .where = names->items[i] };
        if (!find_vault(config, copy.where, &copy.vault))
            continue;
        if (key->kind == KV_OCT && !doctor->config->failover_secret_keys) {
            kv_doctor_skip(doctor, check, key->name,
                           "in '%s': not used: a secret key has no public key to prove it by; see "
                           "`failover_secret_keys`",
                           copy.where);
            continue;
        }
        set_wanted(&copy);
        look_at(&copy);
    }
}
