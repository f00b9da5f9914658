/* A line of a .kvmap: what is taken is what would be written again, and nothing of it could upset a terminal or the map. */
#include <string.h>
#include "fuzz.h"
#include "kvmap/kvmap.h"

static void check_version(const struct kv_version *version)
{
    struct kv_version *again = kv_version_copy(version);
    MUST(again && kv_version_identify(again) == KV_OK);
    MUST(!memcmp(again->id, version->id, sizeof again->id));
    MUST(!memcmp(again->spki_sha256, version->spki_sha256, sizeof again->spki_sha256));
    MUST(!(version->operations & ~(unsigned)KV_OP_ALL) && version->kind <= KV_OCT &&
         version->state <= KV_STATE_UNREACHABLE);
    MUST(fuzz_is_line(version->vault) && fuzz_is_line(version->name) && fuzz_is_line(version->kid));
    kv_version_free(again);
}

static void check_backup(const struct kv_map_backup *backup)
{
    MUST(backup->recipient_count <= KV_BACKUP_RECIPIENTS_MAX && backup->size >= 0);
    for (size_t i = 0; i < backup->recipient_count; i++)
        MUST(backup->recipients[i].key_len <= sizeof backup->recipients[i].key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kv_kvmap_record record = { 0 }, back = { 0 };
    struct kv_error err = { 0 };
    if (kv_kvmap_read((struct kv_view){ data, size }, &record, &err) != KV_OK) {
        MUST(err.status == KV_BAD_DATA && err.text[0] && fuzz_is_line(err.text));
        return 0;
    }
    if (record.type == KV_KVMAP_VERSION)
        check_version(record.version);
    check_backup(&record.backup);
    char *line = kv_kvmap_line(&record);
    MUST(line && kv_kvmap_read(kv_view_text(line), &back, NULL) == KV_OK);
    char *again = kv_kvmap_line(&back);
    MUST(again && !strcmp(line, again));
    kv_text_free(line);
    kv_text_free(again);
    kv_kvmap_record_free(&record);
    kv_kvmap_record_free(&back);
    return 0;
}
