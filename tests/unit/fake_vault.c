#include "fake_vault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "base/encode.h"

static const char generator_x[] = "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296";
static const char generator_y[] = "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";

void fake_vault_init(struct kv_vault *vault)
{
    memset(vault, 0, sizeof(*vault));
    pthread_mutex_init(&vault->lock, NULL);
    pthread_cond_init(&vault->changed, NULL);
}

void fake_vault_clear(struct kv_vault *vault)
{
    for (size_t i = 0; i < vault->blob_count; i++)
        kv_bytes_free(&vault->blobs[i].bytes);
    vault->blob_count = 0;
}

void fake_vault_seals(struct kv_vault *vault, const char *version, struct kv_view blob)
{
    assert_true(vault->blob_count < FAKE_BLOBS);
    struct fake_blob *sealed = &vault->blobs[vault->blob_count++];
    sealed->version = version;
    assert_int_equal(kv_bytes_copy(blob, &sealed->bytes), KV_OK);
}

struct kv_bytes fake_vault_modulus(const char *version, unsigned variant)
{
    struct kv_bytes n = { 0 };

    assert_int_equal(kv_bytes_alloc(256, &n), KV_OK);
    for (size_t i = 0; i < n.len; i++)
        n.data[i] = (unsigned char)(version[i % strlen(version)] * 7 + (int)i + (int)variant);
    n.data[0] |= 0xc0;
    n.data[255] |= 1;
    return n;
}

void fake_vault_wait_inside(struct kv_vault *vault)
{
    pthread_mutex_lock(&vault->lock);
    while (!vault->inside)
        pthread_cond_wait(&vault->changed, &vault->lock);
    pthread_mutex_unlock(&vault->lock);
}

void fake_vault_open_gate(struct kv_vault *vault)
{
    pthread_mutex_lock(&vault->lock);
    vault->open = true;
    pthread_cond_broadcast(&vault->changed);
    pthread_mutex_unlock(&vault->lock);
}

static void pass_gate(struct kv_vault *vault)
{
    pthread_mutex_lock(&vault->lock);
    vault->inside = true;
    pthread_cond_broadcast(&vault->changed);
    while (vault->has_gate && !vault->open)
        pthread_cond_wait(&vault->changed, &vault->lock);
    pthread_mutex_unlock(&vault->lock);
}

/* Writes the request down; the failure that is due, if one is. */
static enum kv_status request(struct kv_vault *vault, const char *verb, const char *name, const char *version,
                              struct kv_error *err)
{
    pthread_mutex_lock(&vault->lock);
    size_t len = strlen(vault->log);
    snprintf(vault->log + len, sizeof(vault->log) - len, "%s%s%s%s%s%s", len ? ", " : "", verb,
             name ? " " : "", name ? name : "", version ? "@" : "", version ? version : "");
    pthread_mutex_unlock(&vault->lock);
    if (vault->down != KV_OK)
        return kv_fail(err, vault->down, "the vault is down");
    if (vault->requests_left && !--vault->requests_left) {
        vault->requests_left = 1;
        return kv_fail(err, KV_TIMED_OUT, "the deadline passed");
    }
    vault->is_taught = true;
    return KV_OK;
}

/* A change whose outcome the caller has to find out. */
static enum kv_status lost(struct kv_error *err, enum kv_status status, const char *text)
{
    status = kv_fail(err, status, "%s", text);
    if (err)
        err->maybe_done = true;
    return status;
}

static void fill(const struct fake_key *key, bool whole, struct kv_vault_key *ret)
{
    memset(ret, 0, sizeof(*ret));
    assert_true(kv_text_fit(ret->name, sizeof(ret->name), key->name));
    assert_true(
        kv_text_fit(ret->version, sizeof(ret->version), key->in_place ? key->in_place : key->version));
    ret->enabled = !key->disabled;
    ret->created = key->created;
    ret->updated = key->updated ? key->updated : key->created;
    ret->nbf = key->nbf;
    ret->exp = key->exp;
    ret->managed = key->managed;
    if (key->platform)
        assert_true(kv_text_fit(ret->hsm_platform, sizeof(ret->hsm_platform), key->platform));
    if (!whole)
        return;
    ret->has_public = key->kind != KV_OCT;
    ret->kind = key->kind;
    ret->operations = key->operations ? key->operations : KV_OP_ALL;
    ret->bits = key->kind == KV_RSA ? 2048 : key->kind == KV_OCT && key->oct_bits ? 0 : 256;
    if (key->kind == KV_RSA) {
        ret->n = fake_vault_modulus(key->like ? key->like : key->version, key->other_key);
        assert_int_equal(kv_bytes_copy(kv_view_text("\x01\x01\x01"), &ret->e), KV_OK);
    }
    if (key->kind == KV_EC) {
        assert_true(kv_text_fit(ret->curve, sizeof(ret->curve), "P-256"));
        assert_int_equal(kv_decode_hex(generator_x, &ret->x), KV_OK);
        assert_int_equal(kv_decode_hex(generator_y, &ret->y), KV_OK);
    }
}

/* version NULL: the newest; among equals the one that was added last. */
static const struct fake_key *find(const struct kv_vault *vault, const char *name, const char *version)
{
    const struct fake_key *best = NULL;

    for (size_t i = 0; i < vault->count; i++) {
        const struct fake_key *key = &vault->keys[i];

        if (key->gone || strcmp(key->name, name) || (version && strcmp(key->version, version)))
            continue;
        if (!best || key->created >= best->created)
            best = key;
    }
    return best;
}

enum kv_status kv_vault_get_key(struct kv_vault *vault, const char *name, const char *version,
                                const struct kv_task *task, struct kv_vault_key *ret, struct kv_error *err)
{
    KV_TRY(request(vault, "GET", name, version, err));
    pass_gate(vault);
    if (vault->forbidden && !strcmp(vault->forbidden, name))
        return kv_fail(err, KV_DENIED, "permission denied");
    const struct fake_key *key = find(vault, name, version);
    if (key && vault->recovering) {
        vault->recovering--;
        key = NULL;
    }
    if (!key)
        return kv_fail(err, KV_NOT_FOUND, "no such key");
    fill(key, true, ret);
    return KV_OK;
}

enum kv_status kv_vault_get_deleted(struct kv_vault *vault, const char *name, const struct kv_task *task,
                                    struct kv_vault_deleted *ret, struct kv_error *err)
{
    KV_TRY(request(vault, "DELETED", name, NULL, err));
    if (!vault->purge)
        return kv_fail(err, KV_NOT_FOUND, "no such deleted key");
    *ret = (struct kv_vault_deleted){ 1, vault->purge };
    return KV_OK;
}

enum kv_status kv_vault_recover_key(struct kv_vault *vault, const char *name, const struct kv_task *task,
                                    struct kv_error *err)
{
    KV_TRY(request(vault, "RECOVER", name, NULL, err));
    if (!vault->purge)
        return kv_fail(err, KV_NOT_FOUND, "no such deleted key");
    vault->purge = 0;
    for (size_t i = 0; i < vault->count; i++)
        vault->keys[i].gone = vault->keys[i].gone && strcmp(vault->keys[i].name, name);
    if (!vault->loses_recovery)
        return KV_OK;
    enum kv_status status = kv_fail(err, KV_TIMED_OUT, "the reply is lost");
    if (err)
        err->maybe_done = true;
    return status;
}

enum kv_status kv_vault_get_certificate(struct kv_vault *vault, const char *name, const char *version,
                                        const struct kv_task *task, struct kv_vault_certificate *ret,
                                        struct kv_error *err)
{
    KV_AUTO_BYTES struct kv_bytes thumbprint = { 0 };

    KV_TRY(request(vault, "CERTIFICATE", name, version, err));
    if (vault->no_certificates)
        return kv_fail(err, KV_DENIED, "permission denied");
    const struct fake_key *key = find(vault, name, version);
    if (!key || !key->certificate.len)
        return kv_fail(err, KV_NOT_FOUND, "no such certificate");
    assert_int_equal(kv_digest_once("SHA1", key->certificate, &thumbprint), KV_OK);
    memcpy(ret->x5t, thumbprint.data, sizeof(ret->x5t));
    ret->x5t[0] ^= vault->wrong_thumbprint;
    return kv_bytes_copy(key->certificate, &ret->der);
}

void kv_vault_certificate_free(struct kv_vault_certificate *certificate)
{
    kv_bytes_free(&certificate->der);
}

/* The keys (one item a name) or the versions of one, as indices. */
static size_t listed(const struct kv_vault *vault, const char *name, const struct fake_key **ret)
{
    size_t count = 0;

    for (size_t i = 0; i < vault->count; i++) {
        const struct fake_key *key = &vault->keys[i];

        if (key->gone || (name ? strcmp(key->name, name) != 0 : find(vault, key->name, NULL) != key))
            continue;
        ret[count++] = key;
    }
    return count;
}

enum kv_status kv_vault_list_page(struct kv_vault *vault, const struct kv_vault_list *list,
                                  const struct kv_task *task, struct kv_vault_page *ret, struct kv_error *err)
{
    const struct fake_key *keys[FAKE_KEYS];
    size_t start = list->next ? strtoul(list->next, NULL, 10) : 0;
    bool hole = vault->page_size && (!list->next || !strchr(list->next, 'x'));

    KV_TRY(request(vault, "LIST", list->name, NULL, err));
    if (vault->no_list)
        return kv_fail(err, KV_DENIED, "permission denied");
    size_t count = listed(vault, list->name, keys);
    size_t end = vault->page_size && start + vault->page_size < count ? start + vault->page_size : count;

    if (hole && start < count) {
        ret->next = kv_text_format("%zux", start);
        return KV_OK;
    }
    ret->items = calloc(end - start + 1, sizeof(*ret->items));
    for (size_t i = start; i < end; i++) {
        fill(keys[i], false, &ret->items[ret->count]);
        if (!list->name)
            ret->items[ret->count].version[0] = '\0';
        ret->count++;
    }
    if (end < count)
        ret->next = kv_text_format("%zu", end);
    return KV_OK;
}

/* A version that is newer than all there are; its reply or its request may be lost. */
static enum kv_status add_new(struct kv_vault *vault, const char *verb, const char *name,
                              struct kv_vault_key *ret, struct kv_error *err)
{
    static const char *const made[] = { "new1", "new2", "new3" };
    enum fake_rotation how = vault->rotation;
    const struct fake_key *old = find(vault, name, NULL);

    KV_TRY(request(vault, verb, name, NULL, err));
    vault->rotation = FAKE_ROTATES;
    if (how == FAKE_LOSES_REQUEST)
        return lost(err, KV_UNREACHABLE, "the connection was cut");
    vault->keys[vault->count++] = (struct fake_key){ .name = name,
                                                     .version = made[vault->rotated++ % 3],
                                                     .created = old ? old->created : 1800000000 };
    if (vault->also) {
        vault->keys[vault->count] = vault->keys[vault->count - 1];
        vault->keys[vault->count++].version = vault->also;
    }
    if (how == FAKE_LOSES_REPLY)
        return lost(err, KV_PROTOCOL, "the reply was cut");
    fill(&vault->keys[vault->count - 1], true, ret);
    return KV_OK;
}

enum kv_status kv_vault_create_key(struct kv_vault *vault, const struct kv_vault_create *create,
                                   const struct kv_task *task, struct kv_vault_key *ret, struct kv_error *err)
{
    return add_new(vault, "CREATE", create->name, ret, err);
}

enum kv_status kv_vault_import_key(struct kv_vault *vault, const struct kv_vault_import *import,
                                   const struct kv_task *task, struct kv_vault_key *ret, struct kv_error *err)
{
    return add_new(vault, "IMPORT", import->name, ret, err);
}

enum kv_status kv_vault_update_key(struct kv_vault *vault, const struct kv_vault_update *update,
                                   const struct kv_task *task, struct kv_vault_key *ret, struct kv_error *err)
{
    KV_TRY(request(vault, "PATCH", update->name, update->version, err));
    struct fake_key *key = (struct fake_key *)find(vault, update->name, update->version);
    if (!key)
        return kv_fail(err, KV_NOT_FOUND, "no such version");
    if (update->enabled)
        key->disabled = !*update->enabled;
    key->nbf = update->nbf ? *update->nbf : key->nbf;
    key->exp = update->exp ? *update->exp : key->exp;
    key->operations = update->operations ? *update->operations : key->operations;
    fill(key, true, ret);
    return KV_OK;
}

enum kv_status kv_vault_rotate_key(struct kv_vault *vault, const char *name, const struct kv_task *task,
                                   struct kv_vault_key *ret, struct kv_error *err)
{
    static const char *const made[] = { "rot1", "rot2", "rot3" };
    enum fake_rotation how = vault->rotation;

    KV_TRY(request(vault, "ROTATE", name, NULL, err));
    vault->rotation = FAKE_ROTATES;
    if (how == FAKE_LOSES_REQUEST)
        return lost(err, KV_UNREACHABLE, "the connection was cut");
    const struct fake_key *old = find(vault, name, NULL);
    vault->keys[vault->count++] = (struct fake_key){
        .name = name, .version = made[vault->rotated++ % 3], .created = old->created, .kind = old->kind
    };
    if (how == FAKE_LOSES_REPLY)
        return lost(err, KV_PROTOCOL, "the reply was cut");
    fill(&vault->keys[vault->count - 1], true, ret);
    return KV_OK;
}

static bool is_gcm(const struct kv_vault_op *op)
{
    return strstr(op->alg, "GCM") != NULL;
}

/* The nonce is the service's: twelve times 0x11; so is the tag, of 0x22. */
static enum kv_status seal_gcm(const struct kv_vault *vault, const struct kv_vault_op *op,
                               struct kv_vault_result *ret, struct kv_error *err)
{
    if (op->iv.data || op->tag.data)
        return kv_fail(err, KV_BAD_PARAMETER, "the service makes the nonce");
    assert_int_equal(kv_bytes_alloc(op->value.len, &ret->value), KV_OK);
    assert_int_equal(kv_bytes_alloc(12, &ret->iv), KV_OK);
    assert_int_equal(kv_bytes_alloc(vault->tag_len ? vault->tag_len : 16, &ret->tag), KV_OK);
    memset(ret->iv.data, 0x11, ret->iv.len);
    memset(ret->tag.data, 0x22, ret->tag.len);
    return KV_OK;
}

/* Blobs are kept as ciphertext and tag in one; nonce and associated data must be those of the sealing. */
static bool fits_gcm(const struct kv_vault *vault, const struct kv_vault_op *op, struct kv_view blob)
{
    static const unsigned char nonce[12] = { 0x11, 0x11, 0x11, 0x11, 0x11, 0x11,
                                             0x11, 0x11, 0x11, 0x11, 0x11, 0x11 };
    struct kv_view aad = kv_view_text(vault->aad), tag = op->tag;

    return kv_view_equal(op->iv, (struct kv_view){ nonce, sizeof(nonce) }) && kv_view_equal(op->aad, aad) &&
           !op->aad.data == !aad.data && blob.len == op->value.len + tag.len &&
           kv_view_equal((struct kv_view){ blob.data, op->value.len }, op->value) &&
           kv_view_equal((struct kv_view){ blob.data + op->value.len, tag.len }, tag);
}

static enum kv_status open_blob(const struct kv_vault *vault, const struct kv_vault_op *op,
                                struct kv_bytes *ret, struct kv_error *err)
{
    for (size_t i = 0; i < vault->blob_count; i++)
        if (!strcmp(vault->blobs[i].version, op->version) &&
            (is_gcm(op) ? fits_gcm(vault, op, KV_VIEW(vault->blobs[i].bytes))
                        : kv_view_equal(KV_VIEW(vault->blobs[i].bytes), op->value)))
            return kv_bytes_copy(kv_view_text("secret"), ret);
    return kv_fail(err, op->operation == KV_OP_UNWRAP ? KV_BAD_WRAPPED_KEY : KV_BAD_CIPHERTEXT,
                   "OAEP padding");
}

/* "A128CBC" is for keys of 128 bits, as its name says; names without a size are for all. */
static bool fits_size(const struct fake_key *key, const struct kv_vault_op *op)
{
    return key->kind != KV_OCT || !key->oct_bits || op->alg[0] != 'A' ||
           strtoul(op->alg + 1, NULL, 10) == key->oct_bits;
}

static size_t result_size(const struct fake_key *key, const struct kv_vault_op *op)
{
    if (key->kind != KV_OCT)
        return key->kind == KV_RSA ? 256 : 64;
    if (op->operation == KV_OP_SIGN)
        return strtoul(op->alg + 2, NULL, 10) / 8; /* "HS256" */
    return strstr(op->alg, "CBC") ? (op->value.len + (strstr(op->alg, "PAD") ? 16 : 0)) / 16 * 16
                                  : (op->value.len + 15) / 8 * 8 /* RFC 5649 */;
}

/* A code of zeroes, as SIGN makes it, is the right one. */
static bool is_zero(struct kv_view bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        if (bytes.data[i])
            return false;
    return true;
}

enum kv_status kv_vault_random(struct kv_vault *vault, size_t len, const struct kv_task *task,
                               struct kv_bytes *ret, struct kv_error *err)
{
    char count[24];

    snprintf(count, sizeof(count), "%zu", len);
    KV_TRY(request(vault, "RNG", count, NULL, err));
    KV_TRY(kv_bytes_alloc(len, ret));
    for (size_t i = 0; i < len; i++)
        ret->data[i] = (unsigned char)++vault->random;
    return KV_OK;
}

enum kv_status kv_vault_key_op(struct kv_vault *vault, const struct kv_vault_op *op,
                               const struct kv_task *task, struct kv_vault_result *ret, struct kv_error *err)
{
    static const struct {
        unsigned operation;
        const char *verb;
    } verbs[] = { { KV_OP_SIGN, "SIGN" },       { KV_OP_DECRYPT, "DECRYPT" }, { KV_OP_UNWRAP, "UNWRAP" },
                  { KV_OP_ENCRYPT, "ENCRYPT" }, { KV_OP_WRAP, "WRAP" },       { KV_OP_VERIFY, "VERIFY" } };
    const char *verb = "?";

    for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
        if (verbs[i].operation == op->operation)
            verb = verbs[i].verb;
    vault->left_ms = kv_deadline_left(task->deadline);
    vault->elsewhere = task->elsewhere;
    KV_TRY(request(vault, verb, op->name, op->version, err));
    if (vault->hangs) {
        task->deadline.clock->sleep_ms(task->deadline.clock, vault->left_ms);
        return kv_fail(err, KV_TIMED_OUT, "the deadline passed");
    }
    const struct fake_key *key = find(vault, op->name, op->version);
    if (!key)
        return kv_fail(err, KV_NOT_FOUND, "no such version");
    if (key->disabled)
        return kv_fail(err, KV_DISABLED, "the version is disabled");
    if (key->garbled)
        return kv_fail(err, KV_PROTOCOL, "the reply names another version");
    bool opens = op->operation == KV_OP_DECRYPT || op->operation == KV_OP_UNWRAP;
    if (!fits_size(key, op))
        return kv_fail(err, opens ? KV_BAD_CIPHERTEXT : KV_BAD_PARAMETER, "the key has %u bits",
                       key->oct_bits);
    if (opens)
        return open_blob(vault, op, &ret->value, err);
    if (is_gcm(op))
        return seal_gcm(vault, op, ret, err);
    if (op->operation == KV_OP_VERIFY) {
        ret->verified = is_zero(op->value);
        return KV_OK;
    }
    /* A signature or ciphertext of the right size; the test reads in the log what was sent. */
    return kv_bytes_alloc(result_size(key, op), &ret->value);
}

bool kv_vault_challenge(struct kv_vault *vault, struct kv_challenge *ret)
{
    if (vault->is_taught)
        *ret = vault->challenge;
    return vault->is_taught;
}

enum kv_status kv_vault_teach(struct kv_vault *vault, const struct kv_challenge *challenge,
                              struct kv_error *err)
{
    vault->challenge = *challenge;
    vault->is_taught = true;
    return KV_OK;
}

void kv_vault_key_free(struct kv_vault_key *key)
{
    kv_bytes_free(&key->n);
    kv_bytes_free(&key->e);
    kv_bytes_free(&key->x);
    kv_bytes_free(&key->y);
}

void kv_vault_page_free(struct kv_vault_page *page)
{
    for (size_t i = 0; i < page->count; i++)
        kv_vault_key_free(&page->items[i]);
    free(page->items);
    kv_text_free(page->next);
}

void kv_vault_result_free(struct kv_vault_result *result)
{
    kv_bytes_free(&result->value);
    kv_bytes_free(&result->iv);
    kv_bytes_free(&result->tag);
}
