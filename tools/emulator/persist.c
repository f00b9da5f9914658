#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include "clock.h"
#include "persist.h"

static void set_time(json_t *object, const char *name, int64_t value)
{
    if (value != EM_NEVER)
        json_object_set_new(object, name, json_integer(value));
}

static int64_t get_time(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    return json_is_integer(value) ? json_integer_value(value) : EM_NEVER;
}

static json_t *version_document(const struct em_version *version)
{
    json_t *document = em_json(json_pack(
        "{s:s, s:s, s:b, s:b, s:I, s:I, s:I, s:O, s:o}", "id", version->id, "kty", version->kty, "enabled",
        version->enabled, "exportable", version->exportable, "created", (json_int_t)version->created,
        "updated", (json_int_t)version->updated, "sequence", (json_int_t)version->sequence, "key_ops",
        version->key_ops, "material", em_material_save(version->shared->material)));
    set_time(document, "nbf", version->nbf);
    set_time(document, "exp", version->exp);
    if (version->tags)
        json_object_set(document, "tags", version->tags);
    if (version->policy)
        json_object_set(document, "release_policy", version->policy);
    if (version->cer.len) {
        AUTO_TEXT cer = em_base64(version->cer.data, version->cer.len);
        json_object_set_new(document, "cer", em_json(json_string(cer)));
    }
    return document;
}

json_t *em_persist_document(const struct em_key *key)
{
    json_t *versions = em_json(json_array());
    for (size_t i = 0; i < key->count; i++)
        json_array_append_new(versions, version_document(key->versions[i]));
    json_t *document = em_json(json_pack("{s:s, s:I, s:I, s:I, s:I, s:o}", "name", key->name, "deleted",
                                         (json_int_t)key->deleted, "purge_at", (json_int_t)key->purge_at,
                                         "settled_ms", (json_int_t)key->settled_ms, "gone_ms",
                                         (json_int_t)key->gone_ms, "versions", versions));
    if (key->certificate)
        json_object_set(document, "certificate", key->certificate);
    const struct em_rotation *rotation = &key->rotation;
    if (rotation->actions)
        json_object_set_new(document, "rotation",
                            em_json(json_pack("{s:O, s:s?, s:I, s:I}", "actions", rotation->actions, "expiry",
                                              rotation->expiry, "created", (json_int_t)rotation->created,
                                              "updated", (json_int_t)rotation->updated)));
    return document;
}

static struct em_version *version_parse(const json_t *document)
{
    struct em_version *version = em_alloc(sizeof(*version));
    const char *id = NULL, *kty = NULL;
    int enabled = 0, exportable = 0;
    json_int_t created = 0, updated = 0, sequence = 0;
    json_t *ops = NULL, *saved = NULL;
    struct em_material *material = NULL;
    bool ok =
        json_unpack((json_t *)(uintptr_t)document, "{s:s, s:s, s:b, s:b, s:I, s:I, s:I, s:o, s:o}", "id", &id,
                    "kty", &kty, "enabled", &enabled, "exportable", &exportable, "created", &created,
                    "updated", &updated, "sequence", &sequence, "key_ops", &ops, "material", &saved) == 0 &&
        strlen(id) == EM_VERSION_DIGITS && strlen(kty) < sizeof(version->kty) && json_is_array(ops) &&
        em_material_load(saved, &material);
    if (!ok) {
        em_version_free(version);
        return NULL;
    }
    snprintf(version->id, sizeof(version->id), "%s", id);
    snprintf(version->kty, sizeof(version->kty), "%s", kty);
    version->shared = em_shared_new(material);
    version->enabled = enabled;
    version->exportable = exportable;
    version->created = created;
    version->updated = updated;
    version->sequence = (uint64_t)sequence;
    version->nbf = get_time(document, "nbf");
    version->exp = get_time(document, "exp");
    version->key_ops = json_incref(ops);
    version->tags = json_incref(json_object_get(document, "tags"));
    version->policy = json_incref(json_object_get(document, "release_policy"));
    const char *cer = json_string_value(json_object_get(document, "cer"));
    if (cer && !em_unbase64(cer, &version->cer)) {
        em_version_free(version);
        return NULL;
    }
    return version;
}

static void rotation_parse(const json_t *document, struct em_rotation *rotation)
{
    json_t *actions = json_object_get(document, "actions");
    const char *expiry = json_string_value(json_object_get(document, "expiry"));
    if (!json_is_array(actions))
        return;
    rotation->actions = json_incref(actions);
    rotation->expiry = expiry ? em_copy(expiry) : NULL;
    rotation->created = json_integer_value(json_object_get(document, "created"));
    rotation->updated = json_integer_value(json_object_get(document, "updated"));
}

struct em_key *em_persist_parse(struct em_store *store, const json_t *document)
{
    const char *name = json_string_value(json_object_get(document, "name"));
    json_t *versions = json_object_get(document, "versions");
    if (!name || !json_array_size(versions))
        return NULL;
    struct em_key *key = em_alloc(sizeof(*key));
    key->name = em_copy(name);
    key->deleted = json_integer_value(json_object_get(document, "deleted"));
    key->purge_at = json_integer_value(json_object_get(document, "purge_at"));
    key->settled_ms = json_integer_value(json_object_get(document, "settled_ms"));
    key->gone_ms = json_integer_value(json_object_get(document, "gone_ms"));
    key->certificate = json_incref(json_object_get(document, "certificate"));
    rotation_parse(json_object_get(document, "rotation"), &key->rotation);
    size_t i;
    json_t *item;
    json_array_foreach(versions, i, item)
    {
        struct em_version *version = version_parse(item);
        if (!version) {
            em_key_free(key);
            return NULL;
        }
        if (version->sequence >= store->sequence)
            store->sequence = version->sequence + 1;
        em_key_add(key, version);
    }
    return key;
}

static char *folder_path(const struct em_store *store, const struct em_vault *vault)
{
    return em_format("%s/vaults/%s", store->directory, vault->host);
}

static char *key_path(const struct em_store *store, const struct em_vault *vault, const char *name)
{
    AUTO_TEXT folder = folder_path(store, vault);
    AUTO_TEXT folded = em_lower(em_copy(name));
    return em_format("%s/%s.json", folder, folded);
}

static struct em_key *file_parse(struct em_store *store, const char *path)
{
    AUTO_TEXT text = em_file_read(path, NULL);
    AUTO_JSON document = text ? json_loads(text, 0, NULL) : NULL;
    return document ? em_persist_parse(store, document) : NULL;
}

bool em_persist_save(struct em_store *store, struct em_vault *vault, struct em_key *key,
                     enum em_durability when)
{
    if (!store->directory)
        return true;
    AUTO_TEXT path = key_path(store, vault, key->name);
    AUTO_JSON document = em_persist_document(key);
    AUTO_TEXT text = json_dumps(document, JSON_COMPACT);
    if (text && em_file_write(path, text, 0600, when == EM_DURABLE))
        return true;
    fprintf(stderr, "kvp11-emulator: cannot write '%s': %s\n", path, strerror(errno));
    struct em_key *before = file_parse(store, path);
    if (before)
        em_store_put_key(vault, before);
    else
        em_store_drop_key(vault, key);
    return false;
}

bool em_persist_sync(struct em_store *store)
{
    if (!store->directory)
        return true;
    int fd = open(store->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && syncfs(fd) == 0;
    if (fd >= 0)
        close(fd);
    return ok;
}

bool em_persist_remove(struct em_store *store, struct em_vault *vault, struct em_key *key)
{
    bool ok = true;
    if (store->directory) {
        AUTO_TEXT path = key_path(store, vault, key->name);
        ok = unlink(path) == 0 || errno == ENOENT;
        AUTO_TEXT folder = folder_path(store, vault);
        int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd >= 0) {
            ok = fsync(fd) == 0 && ok;
            close(fd);
        }
    }
    if (ok)
        em_store_drop_key(vault, key);
    return ok;
}

static bool vault_load(struct em_store *store, struct em_vault *vault, char ret_why[256])
{
    AUTO_TEXT folder = folder_path(store, vault);
    DIR *directory = em_folder_make(folder) ? opendir(folder) : NULL;
    if (!directory) {
        snprintf(ret_why, 256, "cannot use '%.180s': %s", folder, strerror(errno));
        return false;
    }
    bool ok = true;
    const struct dirent *entry;
    while (ok && (entry = readdir(directory))) {
        size_t length = strlen(entry->d_name);
        if (length < 5 || strcmp(entry->d_name + length - 5, ".json") != 0)
            continue;
        AUTO_TEXT path = em_format("%s/%s", folder, entry->d_name);
        struct em_key *key = file_parse(store, path);
        ok = key != NULL;
        if (ok)
            em_store_put_key(vault, key);
        else
            snprintf(ret_why, 256, "'%.180s' is no key of an emulator; move it away", path);
    }
    closedir(directory);
    return ok;
}

/* Two emulators on one directory would overwrite each other's keys; the lock lives as long as the process. */
static bool directory_lock(const char *directory)
{
    AUTO_TEXT path = em_format("%s/lock", directory);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0;
}

static bool backup_key_load(struct em_store *store)
{
    AUTO_TEXT text = em_persist_get(store, "backup.key");
    AUTO_BLOB old = { 0 };
    if (text && em_unbase64url(text, &old) && old.len == sizeof(store->backup_key)) {
        memcpy(store->backup_key, old.data, old.len);
        return true;
    }
    if (text || !em_random(store->backup_key, sizeof(store->backup_key)))
        return false;
    AUTO_TEXT saved = em_base64url(store->backup_key, sizeof(store->backup_key));
    return em_persist_put(store, "backup.key", saved);
}

bool em_persist_load(struct em_store *store, const char *directory, char ret_why[256])
{
    if (directory && (!em_folder_make(directory) || !directory_lock(directory))) {
        snprintf(ret_why, 256, "cannot use '%.150s' (%s); does another emulator run on it?", directory,
                 strerror(errno));
        return false;
    }
    store->directory = directory ? em_copy(directory) : NULL;
    if (!backup_key_load(store)) {
        snprintf(ret_why, 256, "cannot read or write backup.key in '%.150s'", directory ? directory : "");
        return false;
    }
    for (size_t i = 0; directory && i < store->count; i++) {
        if (!vault_load(store, store->vaults[i], ret_why))
            return false;
    }
    AUTO_TEXT clock = em_persist_get(store, "clock");
    if (clock)
        em_clock_move(strtoll(clock, NULL, 10));
    return true;
}

char *em_persist_get(const struct em_store *store, const char *name)
{
    if (!store->directory)
        return NULL;
    AUTO_TEXT path = em_format("%s/%s", store->directory, name);
    return em_file_read(path, NULL);
}

bool em_persist_put(const struct em_store *store, const char *name, const char *text)
{
    if (!store->directory)
        return true;
    AUTO_TEXT path = em_format("%s/%s", store->directory, name);
    return em_file_write(path, text, 0600, true);
}
