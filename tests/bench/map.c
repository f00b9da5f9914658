/* Makes a version map as years would: kvp11-bench-map MAP VAULT URL KEYS VERSIONS [BACKUPS]. Every version has an elliptic key of its own; the last one of
 * each name is current, and the vault was asked about all of them just now. Of the backups every tenth is opened by the very first version, the others by one
 * after the other; all of them by one break-glass key, too. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include "keys/backup_map.h"

_Noreturn static void die(const char *what, const struct kv_error *err)
{
    fprintf(stderr, "bench-map: %s: %s\n", what, err ? err->text : "");
    exit(1);
}

static void new_public_key(struct kv_bytes *ret)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    int len = key ? i2d_PUBKEY(key, &ret->data) : -1;
    if (len <= 0)
        die("EVP_EC_gen", NULL);
    ret->len = (size_t)len;
    EVP_PKEY_free(key);
}

struct place {
    const char *vault, *url;
    long versions;
    int64_t now;
};

static struct kv_version *make(const struct place *place, long key, long number)
{
    struct kv_version *version = kv_version_new();
    if (!version)
        die("out of memory", NULL);
    version->current = number + 1 == place->versions;
    version->kind = KV_EC;
    version->bits = 256;
    version->operations = KV_OP_SIGN | KV_OP_VERIFY;
    version->state = KV_STATE_ENABLED;
    version->enabled = true;
    version->created = place->now - 86400 * (place->versions - number);
    version->first_seen = version->created;
    version->seen = place->now;
    snprintf(version->name, sizeof version->name, "k%05ld", key);
    snprintf(version->version, sizeof version->version, "%016lx%016lx", (unsigned long)key + 1,
             (unsigned long)number + 1);
    snprintf(version->kid, sizeof version->kid, "%s/keys/%s/%s", place->url, version->name, version->version);
    if (!kv_text_fit(version->vault, sizeof version->vault, place->vault) ||
        !kv_text_fit(version->curve, sizeof version->curve, "P-256"))
        die("the vault's name is too long", NULL);
    new_public_key(&version->spki);
    if (kv_version_identify(version))
        die("kv_version_identify", NULL);
    return version;
}

enum { BATCH = 1000 };

static void store(struct kv_map *map, struct kv_version **versions, size_t count)
{
    struct kv_error err = { 0 };
    if (kv_map_store(map, versions, count, &err))
        die("kv_map_store", &err);
    for (size_t i = 0; i < count; i++)
        kv_version_free(versions[i]);
}

static void fill(struct kv_map *map, const struct place *place, long keys)
{
    static struct kv_version *batch[BATCH];
    struct kv_map_visit visit = { place->now, KV_OK };
    struct kv_error err = { 0 };
    size_t count = 0;
    for (long key = 0; key < keys; key++)
        for (long number = 0; number < place->versions; number++) {
            batch[count++] = make(place, key, number);
            if (count == BATCH || (key + 1 == keys && number + 1 == place->versions)) {
                store(map, batch, count);
                count = 0;
            }
        }
    if (kv_map_visit(map, place->vault, NULL, &visit, &err))
        die("kv_map_visit", &err);
}

static void make_backup(struct kv_map_backup *backup, const struct kv_version *version, long number,
                        int64_t now)
{
    snprintf(backup->id, sizeof backup->id, "pg-main/%08ld", number);
    snprintf(backup->object, sizeof backup->object, "2026/%08ld.age", number);
    (void)kv_text_fit(backup->store, sizeof backup->store, "azblob:account/container");
    memcpy(backup->header_sha256, &number, sizeof number);
    backup->has_header = true;
    backup->size = 1000000 + number;
    backup->created = now - number;
    backup->keep_until = now + number;
    backup->recipient_count = 2;
    if (!kv_map_recipient_of(version, "rsa-oaep-256", NULL, &backup->recipients[0]) ||
        !kv_text_fit(backup->recipients[1].kind, sizeof backup->recipients[1].kind, "x25519") ||
        !kv_text_fit(backup->recipients[1].text, sizeof backup->recipients[1].text, "age1breakglass"))
        die("a recipient is too long", NULL);
}

static void fill_backups(struct kv_map *map, const struct place *place, long backups)
{
    static struct kv_map_backup batch[BATCH];
    static struct kv_map_recipient recipients[BATCH][2];
    struct kv_version_list versions = { 0 };
    struct kv_error err = { 0 };
    size_t count = 0;
    if (kv_map_find(map, &(struct kv_map_query){ .vault = place->vault }, &versions, &err) || !versions.count)
        die("kv_map_find", &err);
    for (long number = 0; number < backups; number++) {
        size_t at = number % 10 ? (size_t)(number / 10 * 9 + number % 10) % versions.count : 0;
        batch[count].recipients = recipients[count];
        make_backup(&batch[count++], versions.items[at], number, place->now);
        if (count < BATCH && number + 1 < backups)
            continue;
        if (kv_map_backup_put(map, batch, count, place->now, &err))
            die("kv_map_backup_put", &err);
        count = 0;
    }
    kv_version_list_free(&versions);
}

int main(int argc, char **argv)
{
    struct kv_map *map = NULL;
    struct kv_error err = { 0 };
    bool enough = argc == 6 || argc == 7;
    long keys = enough ? strtol(argv[4], NULL, 10) : 0, versions = keys ? strtol(argv[5], NULL, 10) : 0;
    if (keys < 1 || versions < 1) {
        fprintf(stderr, "usage: kvp11-bench-map MAP VAULT URL KEYS VERSIONS [BACKUPS]\n");
        return 64;
    }
    if (kv_map_open(argv[1], &map, &err))
        die(argv[1], &err);
    const struct place place = { argv[2], argv[3], versions, time(NULL) };
    fill(map, &place, keys);
    if (argc == 7)
        fill_backups(map, &place, strtol(argv[6], NULL, 10));
    kv_map_free(map);
    return 0;
}
