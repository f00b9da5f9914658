/* Lines of a .kvmap: what is written is read again, and nothing else is. The keys' own file of it, damaged as strangers would. */
#include "map_help.h"
#include "kvmap/kvmap.h"

static struct kv_version *make_public(int number, bool current)
{
    struct kv_version *version = make_version("k", number, current);
    EVP_PKEY *pkey = make_key(KV_EC, "P-256");
    version->kind = KV_EC;
    version->bits = 256;
    kv_text_fit(version->curve, sizeof version->curve, "P-256");
    version->spki = spki_of(pkey);
    version->retire_after = 9999;
    version->state = KV_STATE_EXPIRED;
    version->operations = KV_OP_SIGN | KV_OP_VERIFY;
    assert_int_equal(kv_version_identify(version), KV_OK);
    EVP_PKEY_free(pkey);
    return version;
}

static struct kv_kvmap_record read_line(const char *line)
{
    struct kv_kvmap_record record = { 0 };
    struct kv_error err = { 0 };
    if (kv_kvmap_read(kv_view_text(line), &record, &err))
        fail_msg("%s: %s", err.text, line);
    return record;
}

/* Twice through a line: what comes back is the same line. */
static void assert_round_trip(const struct kv_kvmap_record *record)
{
    KV_AUTO_TEXT char *line = kv_kvmap_line(record);
    assert_non_null(line);
    struct kv_kvmap_record back = read_line(line);
    assert_int_equal(back.type, record->type);
    KV_AUTO_TEXT char *again = kv_kvmap_line(&back);
    assert_string_equal(line, again);
    kv_kvmap_record_free(&back);
}

static void lines_come_back(void **state)
{
    KV_AUTO_VERSION struct kv_version *oct = make_version("oct", 1, true), *ec = make_public(2, false);
    struct kv_map_recipient recipients[] = {
        { .kind = "rsa-oaep-256", .key = { 1 }, .key_len = 32, .removed = 7 },
        { .kind = "x25519", .text = "age1\"\\é" }
    };
    unsigned char der[] = { 0x30, 0 };
    const struct kv_kvmap_record rows[] = {
        { .type = KV_KVMAP_HEADER,
          .header = { .by = "kvp11", .made = 5, .entries = 7, .first = { 1 }, .last = { 2 } } },
        { .type = KV_KVMAP_VERSION, .version = oct },
        { .type = KV_KVMAP_VERSION, .version = ec },
        { .type = KV_KVMAP_LOCATION,
          .location = { .spki_sha256 = { 1 }, .kid = "https://a/keys/b/c", .accepted = 3 } },
        { .type = KV_KVMAP_CERTIFICATE,
          .certificate = { "prod", "k", "01", "self", { der, sizeof der, false }, 9 } },
        { .type = KV_KVMAP_BACKUP,
          .backup = { .id = "a",
                      .store = "s",
                      .has_header = true,
                      .header_sha256 = { 3 },
                      .size = INT64_C(1) << 50,
                      .recipients = recipients,
                      .recipient_count = 2 } },
        { .type = KV_KVMAP_BACKUP, .backup = { .id = "bare" } },
        { .type = KV_KVMAP_END, .end = { .lines = 9, .sha256 = { 4 } } },
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_round_trip(&rows[i]);
}

/* One change in a good line each, and what is said of it. */
static const struct {
    const char *sentence, *from, *to, *says;
} changes[] = {
    { "another format", "\"type\":\"version\"", "\"type\":\"vision\"", "'type'" },
    { "a member of another name", "\"wraps\"", "\"warps\"", "'wraps' is missing" },
    { "one more member", "\"wraps\"", "\"more\":1,\"wraps\"", "unknown" },
    { "a member twice", "\"wraps\":0", "\"wraps\":0,\"wraps\":0", "twice" },
    { "a text for a number", "\"wraps\":0", "\"wraps\":\"0\"", "'wraps'" },
    { "a number for a text", "\"vault\":\"prod\"", "\"vault\":7", "'vault'" },
    { "a number for a flag", "\"hsm\":true", "\"hsm\":1", "'hsm'" },
    { "a negative number", "\"wraps\":0", "\"wraps\":-1", "'wraps'" },
    { "a fraction", "\"wraps\":0", "\"wraps\":0.5", "'wraps'" },
    { "a number beyond all", "\"bits\":256", "\"bits\":70000", "'bits'" },
    { "bits of another key", "\"bits\":256", "\"bits\":384", "'kind' is not that of the public key" },
    { "a kind of another key", "\"kind\":\"EC\"", "\"kind\":\"RSA\"",
      "'kind' is not that of the public key" },
    { "a kind without key", "\"kind\":\"EC\"", "\"kind\":\"oct\"", "'spki'" },
    { "a kind of nothing", "\"kind\":\"EC\"", "\"kind\":\"DSA\"", "'kind'" },
    { "a state of mind", "\"state\":\"expired\"", "\"state\":\"tired\"", "'state'" },
    { "an operation of nothing", "\"verify\"", "\"certify\"", "'operations'" },
    { "operations of another kind", "[\"sign\",\"verify\"]", "7", "'operations'" },
    { "no vault", "\"vault\":\"prod\"", "\"vault\":\"\"", "'name'" },
    { "a line break", "\"vault\":\"prod\"", "\"vault\":\"pr\\nod\"", "'vault'" },
    { "an escape", "\"vault\":\"prod\"", "\"vault\":\"\\u001b[2J\"", "'vault'" },
    { "a vault that is too long", "\"vault\":\"prod\"", "\"vault\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"",
      "'vault'" },
    { "a name that is none", "\"name\":\"k\"", "\"name\":\"../k\"", "'name'" },
    { "a kid of another version", "/keys/k/", "/keys/l/", "'kid'" },
    { "a kid by another way", "https://prod", "http://prod", "'kid'" },
    { "a kid with a user", "https://prod", "https://user@prod", "'kid'" },
    { "an identity in base64", "\"cka_id\":\"", "\"cka_id\":\"==", "'cka_id'" },
    { "an identity that is longer", "\"cka_id\":\"", "\"cka_id\":\"00", "'cka_id'" },
    { "more that is settled than there is", "\"settled\":0", "\"settled\":1", "'settled'" },
    { "a key cut short", "\"spki\":\"MFkw", "\"spki\":\"Fkww", "'spki'" },
};

static char *replaced(const char *line, const char *from, const char *to)
{
    const char *at = strstr(line, from);
    if (!at)
        fail_msg("'%s' is not in %s", from, line);
    return kv_text_format("%.*s%s%s", (int)(at - line), line, to, at + strlen(from));
}

static void other_lines_are_refused(void **state)
{
    KV_AUTO_VERSION struct kv_version *ec = make_public(1, true);
    KV_AUTO_TEXT char *line =
        kv_kvmap_line(&(struct kv_kvmap_record){ .type = KV_KVMAP_VERSION, .version = ec });
    for (size_t i = 0; i < COUNT(changes); i++) {
        KV_AUTO_TEXT char *changed = replaced(line, changes[i].from, changes[i].to);
        struct kv_kvmap_record bad = { 0 };
        struct kv_error why = { 0 };
        if (kv_kvmap_read(kv_view_text(changed), &bad, &why) != KV_BAD_DATA ||
            !strstr(why.text, changes[i].says))
            fail_msg("%s: %s", changes[i].sentence, why.text);
        assert_null(bad.version);
    }
    KV_AUTO_TEXT char *older = replaced(line, ",\"settled\":0", ""); /* format 1 */
    struct kv_kvmap_record read = { 0 };
    assert_int_equal(kv_kvmap_read(kv_view_text(older), &read, NULL), KV_OK);
    assert_int_equal(read.version->settled, 0);
    kv_kvmap_record_free(&read);
    static const char location[] = "{\"type\":\"location\",\"spki_sha256\":\"\",\"kid\":\"https://a\","
                                   "\"first_seen\":0,\"seen\":0,\"accepted\":0}";
    ec->spki_sha256[7] ^= 1; /* of another key, but in the right place */
    struct kv_kvmap_record record = { 0 };
    struct kv_error err = { 0 };
    KV_AUTO_TEXT char *other =
        kv_kvmap_line(&(struct kv_kvmap_record){ .type = KV_KVMAP_VERSION, .version = ec });
    assert_int_equal(kv_kvmap_read(kv_view_text(other), &record, &err), KV_BAD_DATA);
    assert_non_null(strstr(err.text, "'spki_sha256'"));
    static const char *const others[] = {
        "",
        "[]",
        "{}",
        "{\"type\":\"end\",\"lines\":1,\"sha256\":\"00\"}",
        "{\"type\":\"backup\",\"id\":\"a\"}",
        "{\"type\":\"kvmap\",\"format\":3}",
        location,
    };
    for (size_t i = 0; i < COUNT(others); i++) {
        assert_int_equal(kv_kvmap_read(kv_view_text(others[i]), &record, NULL), KV_BAD_DATA);
    }
}

static void recipients_are_looked_at(void **state)
{
    struct kv_map_recipient recipient = { .kind = "x25519", .text = "age1", .key = { 1 }, .key_len = 32 };
    const struct kv_kvmap_record backup = {
        .type = KV_KVMAP_BACKUP, .backup = { .id = "a", .recipients = &recipient, .recipient_count = 1 }
    };
    KV_AUTO_TEXT char *line = kv_kvmap_line(&backup);
    static const char *const pairs[][2] = {
        { "\"added\":0", "\"added\":0,\"more\":0" },
        { "\"kind\":\"x25519\"", "\"kind\":\"a kind that is longer than any\"" },
        { "\"key\":\"01", "\"key\":\"0001" },
        { "[{", "[7,{" },
    };
    for (size_t i = 0; i < COUNT(pairs); i++) {
        KV_AUTO_TEXT char *changed = replaced(line, pairs[i][0], pairs[i][1]);
        struct kv_kvmap_record record = { 0 };
        if (kv_kvmap_read(kv_view_text(changed), &record, NULL) != KV_BAD_DATA)
            fail_msg("%s", changed);
        assert_null(record.backup.recipients);
    }
}

/* --- files --- */

static void save_to(struct kv_map *map, const char *to, const char *backup)
{
    const struct kv_kvmap_choice choice = { .by = "kvp11 test", .made = 77, .backup = backup };
    struct kv_error err = { 0 };
    FILE *file = fopen(to, "w");
    if (kv_kvmap_save(map, &choice, file, &err))
        fail_msg("%s", err.text);
    fclose(file);
}

static void fill(struct kv_map *map)
{
    KV_AUTO_VERSION struct kv_version *one = make_public(1, false), *two = make_public(2, true);
    struct kv_version *both[] = { one, two };
    struct kv_map_recipient recipient;
    struct kv_map_location place = { .kid = "https://dr/keys/k/1", .seen = 5, .accepted = 6 };
    assert_int_equal(kv_map_store(map, both, 2, NULL), KV_OK);
    memcpy(place.spki_sha256, one->spki_sha256, 32);
    assert_int_equal(kv_map_locate(map, &place, NULL), KV_OK);
    assert_true(kv_map_recipient_of(one, "rsa-oaep-256", NULL, &recipient));
    static struct kv_map_backup backups[300]; /* more than a page, and than a batch */
    for (size_t i = 0; i < COUNT(backups); i++) {
        backups[i] = (struct kv_map_backup){
            .store = "s", .size = (int64_t)i, .recipients = &recipient, .recipient_count = 1
        };
        snprintf(backups[i].id, sizeof backups[i].id, "b%zu", i);
    }
    assert_int_equal(kv_map_backup_put(map, backups, COUNT(backups), 8, NULL), KV_OK);
}

static void a_map_travels_whole(void **state)
{
    KV_AUTO_TEXT char *first = kv_text_format("%s/a", folder), *second = kv_text_format("%s/b", folder);
    char name[] = "here", url[] = "https://prod.vault.azure.net";
    struct kv_vault_config vault = { .name = name, .url = url };
    const struct kv_config config = { .vaults = &vault, .vault_count = 1 };
    struct kv_map *map = open_map(), *copy = NULL;
    struct kv_kvmap_header header;
    struct kv_map_imported came;
    struct kv_map_found found;
    struct kv_error err = { 0 };
    fill(map);
    save_to(map, first, NULL);
    if (kv_kvmap_load(first, &config, &copy, &header, &err))
        fail_msg("%s", err.text);
    assert_true(header.made == 77 && header.entries == 303);
    assert_int_equal(kv_map_verify(copy, &found, NULL), KV_OK);
    assert_true(found.versions == 2 && found.backups == 300);
    assert_int_equal(count(copy, &(struct kv_map_query){ .vault = "here" }),
                     2); /* by the host, not by what the file says */
    struct kv_map *fresh = NULL;
    assert_int_equal(kv_map_open("none", &fresh, NULL), KV_OK);
    assert_int_equal(kv_map_merge(fresh, copy, 100, &came, NULL), KV_OK);
    assert_true(came.versions == 2 && came.backups == 300 && came.locations == 1);
    assert_int_equal(kv_map_merge(fresh, copy, 200, &came, NULL), KV_OK);
    assert_true(came.versions == 0 && came.backups == 0 && came.locations == 0);
    assert_int_equal(kv_map_verify(fresh, &found, NULL), KV_OK);
    assert_true(found.entries == 303);
    save_to(fresh, second, "b7");
    kv_map_free(copy);
    assert_int_equal(kv_kvmap_load(second, &config, &copy, &header, NULL), KV_OK);
    assert_string_equal(header.backup, "b7");
    assert_int_equal(kv_map_verify(copy, &found, NULL), KV_OK);
    assert_true(found.versions == 1 && found.backups == 1);
    kv_map_free(copy);
    kv_map_free(fresh);
    kv_map_free(map);
}

/* Wherever a file is cut, whichever byte is another: it is refused, and only a change within a text could go unseen but for the digest. */
static void a_damaged_file_is_refused(void **state)
{
    KV_AUTO_TEXT char *good = kv_text_format("%s/a", folder), *bad = kv_text_format("%s/b", folder);
    const struct kv_config config = { 0 };
    struct kv_map *map = open_map(), *copy = NULL;
    struct kv_kvmap_header header;
    char text[8192];
    KV_AUTO_VERSION struct kv_version *oct = make_version("k", 1, true);
    assert_int_equal(kv_map_store(map, &oct, 1, NULL), KV_OK);
    save_to(map, good, NULL);
    kv_map_free(map);
    FILE *file = fopen(good, "r");
    size_t size = fread(text, 1, sizeof text, file);
    fclose(file);
    assert_true(size > 500 && size < sizeof text);
    for (size_t at = 0; at < size; at += 13) {
        for (int way = 0; way < 2; way++) { /* cut there; changed there */
            file = fopen(bad, "w");
            fwrite(text, 1, at, file);
            if (way) {
                fputc(text[at] ^ 1, file);
                fwrite(text + at + 1, 1, size - at - 1, file);
            }
            fclose(file);
            if (kv_kvmap_load(bad, &config, &copy, &header, NULL) != KV_BAD_DATA)
                fail_msg("%s at %zu", way ? "changed" : "cut", at);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lines_come_back),     TEST(other_lines_are_refused),   TEST(recipients_are_looked_at),
        TEST(a_map_travels_whole), TEST(a_damaged_file_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
