#include "key_backup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "base/encode.h"
#include "mech/local.h"
#include "output.h"

enum { JSON_MAX = 1 << 20, BLOB_MAX = KV_VAULT_BLOB_MAX, VERSIONS_MAX = 4096 };

void kv_key_backup_free(struct kv_key_backup *backup)
{
    kv_bytes_free(&backup->blob);
    free(backup->versions);
    *backup = (struct kv_key_backup){ 0 };
}

enum kv_status kv_key_backup_take(const struct kv_version_list *list, struct kv_key_backup *backup,
                                  struct kv_error *err)
{
    struct kv_key_backup_version *versions = calloc(list->count + 1, sizeof(*versions));
    if (!versions)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    backup->versions = versions;
    for (size_t i = 0; i < list->count; i++) {
        if (!kv_version_is_there(list->items[i]))
            continue;
        struct kv_key_backup_version *to = &versions[backup->count++];
        (void)kv_text_fit(to->version, sizeof(to->version), list->items[i]->version);
        memcpy(to->spki_sha256, list->items[i]->spki_sha256, sizeof(to->spki_sha256));
    }
    return KV_OK;
}

const struct kv_key_backup_version *kv_key_backup_find(const struct kv_key_backup *backup,
                                                       const char *version)
{
    for (size_t i = 0; i < backup->count; i++)
        if (kv_text_equal_case(backup->versions[i].version, version))
            return &backup->versions[i];
    return NULL;
}

/* --- FILE.json --- */

static void put_hex(struct kv_json *object, const char *member, struct kv_view bytes)
{
    char hex[65];
    kv_encode_hex((struct kv_view){ bytes.data, bytes.len < 32 ? bytes.len : 32 }, hex);
    kv_json_put_text(object, member, hex);
}

char *kv_key_backup_describe(const struct kv_key_backup *backup, struct kv_view digest)
{
    KV_AUTO_JSON struct kv_json *object = kv_json_object();
    struct kv_json *versions = kv_json_array();
    kv_json_put_text(object, "type", "key-backup");
    kv_json_put_int(object, "format", 1);
    kv_json_put_text(object, "vault", backup->vault);
    kv_json_put_text(object, "url", backup->url);
    kv_json_put_text(object, "name", backup->name);
    kv_json_put_bool(object, "managed_hsm", backup->managed_hsm);
    kv_json_put_text(object, "subscription", backup->subscription[0] ? backup->subscription : NULL);
    kv_json_put_text(object, "tenant", backup->tenant[0] ? backup->tenant : NULL);
    kv_json_put_int(object, "taken", backup->taken);
    kv_json_put_int(object, "size", (int64_t)backup->blob.len);
    put_hex(object, "sha256", digest);
    kv_json_put_int(object, "versions_limit", kv_key_backup_limit(backup->managed_hsm));
    for (size_t i = 0; i < backup->count; i++) {
        struct kv_json *version = kv_json_object();
        kv_json_put_text(version, "version", backup->versions[i].version);
        put_hex(version, "spki_sha256", (struct kv_view){ backup->versions[i].spki_sha256, 32 });
        kv_json_append(versions, version);
    }
    kv_json_put(object, "versions", versions);
    return kv_json_print(object, true);
}

/* What it says is shown to people, and stands in the commands that they are told to run. */
static bool read_text(const struct kv_json *object, const char *member, char *ret, size_t size)
{
    const char *text = kv_json_text(kv_json_get(object, member));
    for (const char *c = text; c && *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            return false;
    return text && kv_text_fit(ret, size, text);
}

static bool read_hex(const struct kv_json *object, const char *member, struct kv_bytes *ret)
{
    const char *text = kv_json_text(kv_json_get(object, member));
    return text && strlen(text) == 64 && kv_decode_hex(text, ret) == KV_OK;
}

static bool read_versions(const struct kv_json *list, struct kv_key_backup *backup)
{
    size_t count = kv_json_count(list);
    if (!kv_json_is_array(list) || count > VERSIONS_MAX)
        return false;
    backup->versions = calloc(count + 1, sizeof(*backup->versions));
    for (size_t i = 0; backup->versions && i < count; i++) {
        const struct kv_json *item = kv_json_at(list, i);
        struct kv_key_backup_version *to = &backup->versions[i];
        KV_AUTO_BYTES struct kv_bytes digest = { 0 };
        if (!read_text(item, "version", to->version, sizeof(to->version)) ||
            !read_hex(item, "spki_sha256", &digest))
            return false;
        memcpy(to->spki_sha256, digest.data, sizeof(to->spki_sha256));
        backup->count++;
    }
    return backup->versions;
}

enum kv_status kv_key_backup_parse(struct kv_view text, struct kv_key_backup *ret,
                                   struct kv_bytes *ret_digest, struct kv_error *err)
{
    KV_AUTO_JSON struct kv_json *object = NULL;
    KV_AUTO_KEY_BACKUP struct kv_key_backup backup = { 0 };
    int64_t format = 0;
    const char *type = NULL;
    if (kv_json_parse(text, &object, NULL) == KV_OK)
        type = kv_json_text(kv_json_get(object, "type"));
    if (!type || strcmp(type, "key-backup") != 0 || !kv_json_int(kv_json_get(object, "format"), &format))
        return kv_fail(err, KV_BAD_DATA, "it does not describe a backup of a key");
    if (format != 1)
        return kv_fail(err, KV_UNSUPPORTED, "it has format %lld, of a newer release", (long long)format);
    if (!read_text(object, "vault", backup.vault, sizeof(backup.vault)) ||
        !read_text(object, "url", backup.url, sizeof(backup.url)) ||
        !read_text(object, "name", backup.name, sizeof(backup.name)) ||
        !kv_json_bool(kv_json_get(object, "managed_hsm"), &backup.managed_hsm) ||
        !kv_json_int(kv_json_get(object, "taken"), &backup.taken) ||
        !read_versions(kv_json_get(object, "versions"), &backup) || !read_hex(object, "sha256", ret_digest))
        return kv_fail(err, KV_BAD_DATA, "a member of it is missing, or cannot be used");
    (void)read_text(object, "subscription", backup.subscription, sizeof(backup.subscription));
    (void)read_text(object, "tenant", backup.tenant, sizeof(backup.tenant));
    backup.is_described = true;
    *ret = backup;
    backup = (struct kv_key_backup){ 0 };
    return KV_OK;
}

/* --- files --- */

static enum kv_status write_file(const char *path, struct kv_view bytes, struct kv_error *err)
{
    KV_AUTO_OUTPUT struct kv_output *output = NULL;
    KV_TRY(kv_output_open(path, &output, err));
    KV_TRY(kv_output_write(output, bytes, err));
    return kv_output_commit(output, err);
}

enum kv_status kv_key_backup_write(const struct kv_key_backup *backup, const char *path, struct kv_error *err)
{
    KV_AUTO_BYTES struct kv_bytes digest = { 0 };
    KV_AUTO_TEXT char *beside = kv_text_format("%s.json", path);
    KV_TRY(kv_digest_once("SHA2-256", KV_VIEW(backup->blob), &digest));
    KV_AUTO_TEXT char *text = kv_key_backup_describe(backup, KV_VIEW(digest));
    KV_AUTO_TEXT char *line = text ? kv_text_format("%s\n", text) : NULL;
    if (!beside || !line)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    KV_TRY(write_file(path, KV_VIEW(backup->blob), err));
    enum kv_status status = write_file(beside, kv_view_text(line), err);
    return status == KV_OK
               ? KV_OK
               : kv_fail_in(
                     err, status,
                     "the key is backed up in '%s', but what it holds is not described beside it, and an "
                     "older description is another's: do it again, or remove that before a restore",
                     path);
}

static enum kv_status read_file(const char *path, size_t limit, struct kv_buffer *ret, struct kv_error *err)
{
    unsigned char part[16384];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return kv_fail(err, errno == ENOENT ? KV_NOT_FOUND : KV_INPUT, "cannot read '%s': %m", path);
    enum kv_status status = KV_OK;
    ssize_t len = 0;
    ret->limit = limit;
    while (status == KV_OK && (len = read(fd, part, sizeof(part))) > 0)
        status = kv_buffer_add(ret, (struct kv_view){ part, (size_t)len });
    if (len < 0)
        status = kv_fail(err, KV_INPUT, "cannot read '%s': %m", path);
    else if (status != KV_OK)
        status = kv_fail(err, KV_BAD_DATA, "'%s' is longer than a backup of a key can be", path);
    close(fd);
    return status;
}

static enum kv_status read_beside(const char *path, struct kv_key_backup *backup, struct kv_error *err)
{
    KV_AUTO_TEXT char *beside = kv_text_format("%s.json", path);
    KV_AUTO_BUFFER struct kv_buffer text = { 0 };
    KV_AUTO_BYTES struct kv_bytes told = { 0 }, is = { 0 };
    KV_AUTO_KEY_BACKUP struct kv_key_backup read = { 0 };
    if (!beside)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    enum kv_status status = read_file(beside, JSON_MAX, &text, err);
    if (status == KV_NOT_FOUND)
        return KV_OK;
    KV_TRY(status);
    status = kv_key_backup_parse(KV_VIEW(text.bytes), &read, &told, err);
    if (status != KV_OK)
        return kv_fail_in(err, status, "'%s'", beside);
    KV_TRY(kv_digest_once("SHA2-256", KV_VIEW(backup->blob), &is));
    read.is_intact = kv_view_equal(KV_VIEW(told), KV_VIEW(is));
    read.blob = kv_bytes_take(&backup->blob);
    *backup = read;
    read = (struct kv_key_backup){ 0 };
    return KV_OK;
}

enum kv_status kv_key_backup_read(const char *path, struct kv_key_backup *ret, struct kv_error *err)
{
    KV_AUTO_BUFFER struct kv_buffer blob = { 0 };
    KV_AUTO_KEY_BACKUP struct kv_key_backup backup = { 0 };
    enum kv_status status = read_file(path, BLOB_MAX, &blob, err);
    if (status != KV_OK)
        return status == KV_NOT_FOUND ? KV_INPUT : status;
    if (!blob.bytes.len)
        return kv_fail(err, KV_BAD_DATA, "'%s' is empty", path);
    backup.blob = kv_bytes_take(&blob.bytes);
    KV_TRY(read_beside(path, &backup, err));
    *ret = backup;
    backup = (struct kv_key_backup){ 0 };
    return KV_OK;
}
