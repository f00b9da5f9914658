#include "wycheproof.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/encode.h"

static const char *walked; /* the file, for what is told */

static struct kv_bytes read_whole(const char *path)
{
    struct kv_buffer all = { 0 };
    char piece[65536];
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    for (size_t len; (len = fread(piece, 1, sizeof piece, file)) > 0;)
        assert_int_equal(kv_buffer_add(&all, BYTES(piece, len)), KV_OK);
    fclose(file);
    return all.bytes;
}

/* Ends the test, by a failure or as skipped, when the file is not there. */
static struct kv_json *read_file(const char *file)
{
    const char *data = getenv("KVP11_TEST_DATA"), *ci = getenv("CI");
    char path[1024];
    struct kv_json *root = NULL;
    snprintf(path, sizeof path, "%s/wycheproof/%s_test.json", data ? data : "", file);
    if (!data || access(path, R_OK)) {
        if (ci && !strcmp(ci, "true"))
            fail_msg("KVP11_TEST_DATA has no wycheproof/%s_test.json", file);
        print_message("not run: Wycheproof %s (KVP11_TEST_DATA does not have it)\n", file);
        skip();
    }
    KV_AUTO_BYTES struct kv_bytes text = read_whole(path);
    if (kv_json_parse(KV_VIEW(text), &root, NULL))
        fail_msg("'%s' is not JSON", path);
    return root;
}

struct kv_bytes vector_bytes(const struct kv_json *from, const char *name)
{
    struct kv_bytes bytes = { 0 };
    const char *text = kv_json_text(kv_json_get(from, name));
    if (!text || kv_decode_hex(text, &bytes))
        fail_msg("%s: '%s' is not hex", walked, name);
    return bytes;
}

const char *vector_text(const struct kv_json *from, const char *name)
{
    const char *text = kv_json_text(kv_json_get(from, name));
    if (!text)
        fail_msg("%s: '%s' is no text", walked, name);
    return text;
}

static bool tell(const struct vector *v, const char *what)
{
    const char *comment = kv_json_text(kv_json_get(v->test, "comment"));
    print_error("%s: vector %d (%s; %s): %s\n", walked, (int)v->id, vector_text(v->test, "result"),
                comment ? comment : "", what);
    return false;
}

bool wanted(const struct vector *v, const char *what, CK_RV expected, CK_RV rv)
{
    char text[256];
    snprintf(text, sizeof text, "%s gives 0x%lx instead of 0x%lx", what, rv, expected);
    return rv == expected || tell(v, text);
}

bool same(const struct vector *v, const char *what, struct kv_view expected, struct kv_view got)
{
    char text[256];
    snprintf(text, sizeof text, "%s gives other bytes (%zu instead of %zu)", what, got.len, expected.len);
    return kv_view_equal(expected, got) || tell(v, text);
}

static bool is_right(const struct vector *v, enum verdict acceptable, enum verdict verdict)
{
    static const char *const names[] = { "accepted", "refused", "not offered", "deviates" };
    enum verdict right = v->acceptable ? acceptable : v->valid ? ACCEPTED : REFUSED;
    char text[64];
    snprintf(text, sizeof text, "is %s", names[verdict]);
    return verdict == DEVIATES ? false : verdict == right || verdict == NOT_OFFERED || tell(v, text);
}

struct tally {
    size_t verdicts[DEVIATES + 1];
};

static void judge(const struct vector *v, enum verdict acceptable, enum verdict verdict, struct tally *tally)
{
    tally->verdicts[is_right(v, acceptable, verdict) ? verdict : DEVIATES]++;
}

static void walk_group(const struct kv_json *group, enum verdict acceptable,
                       enum verdict (*check)(const struct vector *v), struct tally *tally)
{
    static unsigned number;
    const struct kv_json *tests = kv_json_get(group, "tests");
    assert_true(kv_json_count(tests) > 0);
    number++;
    for (size_t i = 0; i < kv_json_count(tests); i++) {
        struct vector v = { .group = group, .group_number = number, .test = kv_json_at(tests, i) };
        const char *result = vector_text(v.test, "result");
        v.valid = !strcmp(result, "valid");
        v.acceptable = !strcmp(result, "acceptable");
        assert_true(kv_json_int(kv_json_get(v.test, "tcId"), &v.id));
        judge(&v, acceptable, check(&v), tally);
    }
}

void walk_vectors(const char *file, enum verdict acceptable, enum verdict (*check)(const struct vector *v))
{
    struct tally tally = { 0 };
    int64_t count = 0;
    walked = file;
    KV_AUTO_JSON struct kv_json *root = read_file(file);
    const struct kv_json *groups = kv_json_get(root, "testGroups");
    for (size_t i = 0; i < kv_json_count(groups); i++)
        walk_group(kv_json_at(groups, i), acceptable, check, &tally);
    const size_t *n = tally.verdicts;
    print_message("%s: %zu accepted, %zu refused, %zu not offered, %zu deviate\n", file, n[ACCEPTED],
                  n[REFUSED], n[NOT_OFFERED], n[DEVIATES]);
    assert_true(kv_json_int(kv_json_get(root, "numberOfTests"), &count));
    assert_int_equal(n[ACCEPTED] + n[REFUSED] + n[NOT_OFFERED] + n[DEVIATES], count);
    assert_int_equal(n[DEVIATES], 0);
}

CK_RV run_encrypt(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, struct kv_view in,
                  struct result *ret)
{
    ret->len = sizeof ret->data;
    CK_RV rv = world.p11->C_EncryptInit(session, mechanism, key);
    return rv ? rv : world.p11->C_Encrypt(session, (CK_BYTE *)in.data, in.len, ret->data, &ret->len);
}

CK_RV run_decrypt(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, struct kv_view in,
                  struct result *ret)
{
    ret->len = sizeof ret->data;
    CK_RV rv = world.p11->C_DecryptInit(session, mechanism, key);
    return rv ? rv : world.p11->C_Decrypt(session, (CK_BYTE *)in.data, in.len, ret->data, &ret->len);
}
