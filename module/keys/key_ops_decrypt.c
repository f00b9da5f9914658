#include "key_ops_private.h"

#include <string.h>

enum { TRIED_MAX = 64 };

/* One blob on its way through the versions of a key. */
struct opening {
    const struct kv_key_use *use;
    unsigned operation;
    struct kv_view cipher;
    const struct kv_version *tried[TRIED_MAX]; /* borrowed from use and siblings */
    size_t tried_count;
    struct kv_version_list siblings;
    struct kv_error doubt; /* status KV_OK: none */
};

static void opening_free(struct opening *opening)
{
    kv_version_list_free(&opening->siblings);
}

static bool is_same(const struct kv_version *a, const struct kv_version *b)
{
    return !strcmp(a->name, b->name) && !strcmp(a->version, b->version);
}

static bool was_tried(const struct opening *opening, const struct kv_version *version)
{
    for (size_t i = 0; i < opening->tried_count; i++)
        if (is_same(opening->tried[i], version))
            return true;
    return false;
}

/* What a wrong key looks like, and what nothing else does. */
static bool is_bad_data(enum kv_status status)
{
    return status == KV_BAD_CIPHERTEXT || status == KV_BAD_WRAPPED_KEY || status == KV_CIPHERTEXT_LENGTH;
}

/* Trying key after key on PKCS#1 v1.5 or CBC would hand out random bytes for a wrong key, and help Bleichenbacher and Vaudenay. */
static bool is_guesswork(const struct opening *opening)
{
    return !kv_mech_proves(opening->use->mech->row);
}

static bool fits(const struct opening *opening, const struct kv_version *version)
{
    return version->kind == opening->use->mech->row->kind &&
           (version->kind != KV_RSA || kv_key_ops_modulus(version) == opening->cipher.len);
}

/* What the padding leaves room for; of ciphers, all but the tag. */
static size_t plain_room(const struct opening *opening, const struct kv_version *version)
{
    const struct kv_mech_use *mech = opening->use->mech;
    const struct kv_public *key = NULL;
    if (version->kind == KV_RSA && kv_version_public(version, &key, NULL) == KV_OK)
        return kv_public_encrypt_max(key, mech->row);
    return opening->cipher.len - mech->tag_len;
}

static enum kv_status try_version(struct opening *opening, const struct kv_version *version,
                                  struct kv_bytes *ret, struct kv_error *err)
{
    struct kv_key_use use = *opening->use;
    struct kv_vault_op op = { .name = version->name,
                              .version = version->version,
                              .alg = use.mech->row->alg,
                              .value = opening->cipher,
                              .iv = KV_VIEW(use.mech->iv) };
    char name[KV_KEY_OPS_NAME];

    if (!fits(opening, version))
        return kv_fail(err, KV_CIPHERTEXT_LENGTH,
                       "version '%s' has a key of %u bits and opens %zu bytes; %zu were given",
                       kv_key_ops_name(version, name), version->bits, kv_key_ops_modulus(version),
                       opening->cipher.len);
    if (opening->tried_count < TRIED_MAX)
        opening->tried[opening->tried_count++] = version;
    use.version = version;
    KV_TRY(kv_key_ops_choose(version, opening->operation, &op.operation, err));
    kv_key_ops_split_tag(use.mech, &op);
    KV_AUTO_BYTES struct kv_bytes plain = { 0 };
    size_t plain_max = plain_room(opening, version);
    KV_TRY(kv_failover_open(&use, opening->operation, &op, &plain, err));
    if (plain.len > plain_max || (op.tag.data && plain.len != plain_max))
        return kv_fail(err, KV_PROTOCOL, "the vault made %zu bytes of plaintext out of %zu with '%s'",
                       plain.len, opening->cipher.len, kv_key_ops_name(version, name));
    *ret = kv_bytes_take(&plain);
    return KV_OK;
}

/* Public-key wraps are often made elsewhere, in software: what a version has opened, it is needed for. With PKCS#1 v1.5 and CBC a wrong key can
 * seem to open anything. What the ledger has already is not written again. */
static void learn_opened(const struct opening *opening, const struct kv_version *by)
{
    struct kv_keyring *keyring = opening->use->keyring;
    struct kv_map_wrap known = { 0 };

    if (!keyring->parts.config->ledger || opening->use->trial || is_guesswork(opening))
        return;
    if (kv_ledger_find(keyring->ledger, opening->cipher, &known, NULL) != KV_OK || !known.at)
        kv_ledger_note(keyring->ledger, by, opening->cipher);
}

/* Once an hour and version is enough for "last used"; an older version that was needed is always written down. */
static void note_opened(const struct opening *opening, const struct kv_version *by, const char *how)
{
    struct kv_keyring *keyring = opening->use->keyring;
    int64_t now = kv_keyring_now(keyring);
    bool due = kv_keyring_note_unwrap(keyring, by, now);
    char asked[KV_KEY_OPS_NAME], opened[KV_KEY_OPS_NAME];
    enum kv_status status = KV_OK;

    if (how)
        kv_log_line(keyring->parts.log, KV_LOG_INFO, "%s: data for '%s' was opened by version '%s', %s",
                    opening->use->task->caller ? opening->use->task->caller : "kvp11",
                    kv_key_ops_name(opening->use->version, asked), kv_key_ops_name(by, opened), how);
    learn_opened(opening, by);
    if (how || due)
        status = kv_map_unwrapped(keyring->parts.map, by, now, NULL);
    if (status != KV_OK)
        kv_log_once(keyring->parts.log, KV_LOG_DEBUG, "map-unwrapped",
                    "last use of '%s' is not remembered: %s", kv_key_ops_name(by, opened),
                    kv_status_text(status));
}

static bool is_of_this_key(const struct opening *opening, const struct kv_map_wrap *wrap)
{
    const struct kv_version *named = opening->use->version;

    return wrap->at && !strcmp(wrap->vault, named->vault) && kv_text_equal_case(wrap->name, named->name);
}

/* The version that the ledger names for these bytes, when the caller said no more than "current". NULL: none, or the named one. */
static struct kv_version *from_ledger(const struct opening *opening)
{
    const struct kv_key_use *use = opening->use;
    struct kv_keyring *keyring = use->keyring;
    struct kv_map_wrap wrap = { 0 };
    struct kv_version *version = NULL;
    bool unreachable;

    if (!keyring->parts.config->ledger || !use->version->current || use->exact ||
        kv_ledger_find(keyring->ledger, opening->cipher, &wrap, NULL) != KV_OK ||
        !is_of_this_key(opening, &wrap) || kv_text_equal_case(wrap.version, use->version->version))
        return NULL;
    struct kv_look_version wanted = { use->version->name, wrap.version, INT64_MAX, false };
    if (kv_keyring_look_version(keyring, &wanted, use->task, &version, &unreachable, NULL) != KV_OK)
        return NULL;
    return version;
}

static bool is_candidate(const struct opening *opening, const struct kv_version *version)
{
    return kv_version_is_there(version) && version->state != KV_STATE_DISABLED && fits(opening, version) &&
           !was_tried(opening, version);
}

/* Tells of the first that could not be asked: it may be the right one. */
static void note_doubt(struct opening *opening, const struct kv_version *version, enum kv_status status,
                       const struct kv_error *why)
{
    char name[KV_KEY_OPS_NAME];

    if (is_bad_data(status) || opening->doubt.status)
        return;
    opening->doubt = *why;
    (void)!kv_fail_in(&opening->doubt, status, "it is not known whether version '%s' opens this data",
                      kv_key_ops_name(version, name));
}

/* The key's other versions, newest first. Answers KV_OK, the failure of the way to the vault, that of a version that could not be asked, or
 * KV_BAD_CIPHERTEXT when none opens it. */
static enum kv_status try_others(struct opening *opening, struct kv_bytes *ret, struct kv_error *err)
{
    struct kv_keyring *keyring = opening->use->keyring;
    int64_t left = keyring->parts.config->decrypt_fallback_limit;

    KV_TRY(kv_keyring_siblings(keyring, opening->use->version->name, opening->use->task, &opening->siblings,
                               err));
    for (size_t i = 0; i < opening->siblings.count && left > 0; i++) {
        const struct kv_version *version = opening->siblings.items[i];
        struct kv_error why = { 0 };

        if (!is_candidate(opening, version))
            continue;
        left--;
        enum kv_status status = try_version(opening, version, ret, &why);
        if (status == KV_OK) {
            note_opened(opening, version, "found by trying the key's versions (decrypt_fallback)");
            return KV_OK;
        }
        if (kv_keyring_is_vault_wide(status)) {
            if (err)
                *err = why;
            return status;
        }
        note_doubt(opening, version, status, &why);
    }
    if (opening->doubt.status && err)
        *err = opening->doubt;
    return opening->doubt.status ? opening->doubt.status : KV_BAD_CIPHERTEXT;
}

/* --- why it failed --- */

/* The ledger is asked here even where it is turned off: it is not used, only named. */
static enum kv_status explain_ledger(const struct opening *opening, const struct kv_map_wrap *wrap,
                                     enum kv_status status, struct kv_error *err)
{
    struct kv_keyring *keyring = opening->use->keyring;
    char named[KV_KEY_OPS_NAME], at[21];
    KV_AUTO_VERSION struct kv_version *right = NULL;
    KV_AUTO_ROWS struct kv_rows rows = { 0 };

    if (is_of_this_key(opening, wrap) && kv_keyring_rows(keyring, wrap->name, &rows, NULL) == KV_OK &&
        kv_merge_find(&rows.list, wrap->version))
        right = kv_version_ref(kv_merge_find(&rows.list, wrap->version));
    KV_AUTO_TEXT char *uri = right ? kv_version_uri(right) : NULL;

    kv_clock_text(wrap->at, at);
    return kv_fail_in(err, status,
                      "version '%s'%s cannot open this data; it was wrapped under '%s/%s@%s' (known here "
                      "since %s): use %s%s",
                      kv_key_ops_name(opening->use->version, named),
                      opening->use->version->current ? " (current)" : "", wrap->vault, wrap->name,
                      wrap->version, at, uri ? uri : "that version",
                      right && right->state == KV_STATE_DISABLED ? " after enabling it" : "");
}

/* Among versions that were not tried: the one with the latest wrap, else the newest. */
static const struct kv_version *likely(const struct opening *opening, const struct kv_version_list *list,
                                       size_t *ret_count)
{
    const struct kv_version *best = NULL;

    *ret_count = 0;
    for (size_t i = 0; i < list->count; i++) {
        const struct kv_version *version = list->items[i];

        if (was_tried(opening, version) || !kv_version_is_there(version) || !fits(opening, version))
            continue;
        ++*ret_count;
        if (!best || version->last_wrap > best->last_wrap)
            best = version;
    }
    return best;
}

static enum kv_status explain_others(const struct opening *opening, enum kv_status status,
                                     struct kv_error *err)
{
    const struct kv_version *named = opening->use->version;
    char asked[KV_KEY_OPS_NAME], other[KV_KEY_OPS_NAME];
    KV_CLEANUP(kv_version_list_free) struct kv_version_list others = { 0 };
    size_t count = 0;

    /* A refusal is rare enough to be worth a look at what other versions there are. */
    if (kv_keyring_siblings(opening->use->keyring, named->name, opening->use->task, &others, NULL) != KV_OK)
        return status;
    const struct kv_version *best = likely(opening, &others, &count);
    const char *current = named->current ? " (current)" : "";

    kv_key_ops_name(named, asked);
    if (best) {
        KV_AUTO_TEXT char *uri = kv_version_uri(best);

        return kv_fail_in(
            err, status,
            "version '%s'%s cannot open this data; it was probably wrapped under another version: %zu "
            "more exist, most likely '%s'%s: use %s",
            asked, current, count, kv_key_ops_name(best, other),
            best->state == KV_STATE_DISABLED ? " (disabled)" : "", uri ? uri : "it");
    }
    if (opening->tried_count > 1)
        return kv_fail_in(err, status,
                          "none of %zu versions of '%s/%s' opens this data, the named '%s' neither",
                          opening->tried_count, named->vault, named->name, asked);
    return kv_fail_in(err, status,
                      "version '%s'%s cannot open this data, and no other version of the key is known here",
                      asked, current);
}

static enum kv_status explain(const struct opening *opening, enum kv_status status, struct kv_error *err)
{
    struct kv_map_wrap wrap = { 0 };

    if (kv_ledger_find(opening->use->keyring->ledger, opening->cipher, &wrap, NULL) == KV_OK && wrap.at &&
        !kv_text_equal_case(wrap.version, opening->use->version->version))
        return explain_ledger(opening, &wrap, status, err);
    return explain_others(opening, status, err);
}

/* --- the order of things --- */
static enum kv_status open_blob(struct opening *opening, const struct kv_version *hint, struct kv_bytes *ret,
                                struct kv_error *err)
{
    const struct kv_version *named = opening->use->version;
    char name[KV_KEY_OPS_NAME];

    if (hint) {
        enum kv_status status = try_version(opening, hint, ret, err);
        if (status == KV_OK)
            note_opened(opening, hint, "which the ledger names for it");
        else if (!is_bad_data(status))
            return kv_fail_in(err, status, "this data was wrapped under version '%s'",
                              kv_key_ops_name(hint, name));
        if (status == KV_OK || is_guesswork(opening))
            return status;
    }
    enum kv_status status = try_version(opening, named, ret, err);
    if (status == KV_OK)
        note_opened(opening, named, NULL);
    if (!is_bad_data(status))
        return status;
    if (opening->use->exact)
        return kv_fail_in(err, status, "version '%s', which the data name, cannot open them",
                          kv_key_ops_name(named, name));
    if (opening->use->keyring->parts.config->decrypt_fallback && !is_guesswork(opening)) {
        struct kv_error why = { 0 };
        enum kv_status others = try_others(opening, ret, &why);

        if (others != KV_OK && others != KV_BAD_CIPHERTEXT && err)
            *err = why;
        if (others != KV_BAD_CIPHERTEXT)
            return others;
    }
    return explain(opening, status, err);
}

/* "decrypt" sent as "unwrapKey" is still a decrypt to the caller. */
static enum kv_status in_words_of(unsigned operation, enum kv_status status)
{
    if (status == KV_BAD_WRAPPED_KEY && operation == KV_OP_DECRYPT)
        return KV_BAD_CIPHERTEXT;
    if (status == KV_BAD_CIPHERTEXT && operation == KV_OP_UNWRAP)
        return KV_BAD_WRAPPED_KEY;
    return status;
}

/* Key wrap works on blocks of eight bytes: RFC 3394 on two and more, RFC 5649 on one and more, and the wrapped key has one more. */
static bool is_wrapped_length(const struct kv_mech *row, size_t len)
{
    enum { BLOCK = 8 };
    bool wraps = row->type == CKM_AES_KEY_WRAP,
         pads = row->type == CKM_AES_KEY_WRAP_PAD || row->type == CKM_AES_KEY_WRAP_KWP;
    return !(wraps || pads) || (len % BLOCK == 0 && len >= (pads ? 2 : 3) * (size_t)BLOCK);
}

enum kv_status kv_key_decrypt(const struct kv_key_use *use, unsigned operation, struct kv_view cipher,
                              struct kv_bytes *ret, struct kv_error *err)
{
    KV_CLEANUP(opening_free)
    struct opening opening = { .use = use, .operation = operation, .cipher = cipher };
    unsigned chosen;

    if (!is_wrapped_length(use->mech->row, cipher.len))
        return kv_fail(err, KV_CIPHERTEXT_LENGTH, "%s: no wrapped key has %zu bytes", use->mech->row->name,
                       cipher.len);
    if (cipher.len < use->mech->tag_len)
        return kv_fail(err, KV_CIPHERTEXT_LENGTH, "%zu bytes are given, and the tag alone has %zu",
                       cipher.len, use->mech->tag_len);
    KV_TRY(kv_key_ops_check_blocks(use->mech->row, false, cipher.len, err));
    kv_ledger_tick(use->keyring->ledger);
    KV_TRY(kv_key_ops_choose(use->version, operation, &chosen, err));
    if (!cipher.len && kv_key_ops_is_cbc(use->mech->row))
        return kv_bytes_alloc(0, ret);
    KV_AUTO_VERSION struct kv_version *hint = from_ledger(&opening);
    enum kv_status status = open_blob(&opening, hint, ret, err);
    enum kv_status told = in_words_of(operation, status);
    if (err && status != KV_OK)
        err->status = told;
    return told;
}

enum kv_status kv_key_resolve(struct kv_keyring *keyring, struct kv_view blob, const struct kv_task *task,
                              struct kv_version **ret, struct kv_error *err)
{
    struct kv_map_wrap wrap = { 0 };
    KV_AUTO_VERSION struct kv_version *row = NULL;
    bool unreachable;

    KV_TRY(kv_ledger_find(keyring->ledger, blob, &wrap, err));
    if (!wrap.at || strcmp(wrap.vault, keyring->parts.config->name)) {
        *ret = NULL;
        return KV_OK;
    }
    struct kv_look_version wanted = { wrap.name, wrap.version, INT64_MAX, false };
    KV_TRY(kv_keyring_look_version(keyring, &wanted, task, &row, &unreachable, err));
    return kv_keyring_hand_out(keyring, row, unreachable, ret);
}
