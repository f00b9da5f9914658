#include "x25519.h"

#include <string.h>
#include "base/encode.h"
#include "bech32.h"
#include "primitives.h"

static const char type[] = "X25519", info[] = "age-encryption.org/v1/X25519";
enum { BODY = KV_AGE_FILE_KEY + KV_AGE_TAG };

struct party {
    unsigned char secret[KV_AGE_KEY]; /* an identity's */
    unsigned char point[KV_AGE_POINT];
};

static void party_free(void *state)
{
    kv_wipe(state, sizeof(struct party));
    free(state);
}

/* The 32 bytes behind a prefix. */
static enum kv_status decode(const char *text, const char *prefix, unsigned char ret[KV_AGE_KEY])
{
    KV_AUTO_BYTES struct kv_bytes bytes = { 0 };
    char hrp[KV_BECH32_HRP_MAX + 1];
    KV_TRY(kv_bech32_decode(text, hrp, sizeof hrp, &bytes));
    if (strcmp(hrp, prefix) != 0 || bytes.len != KV_AGE_KEY)
        return KV_BAD_DATA;
    memcpy(ret, bytes.data, KV_AGE_KEY);
    return KV_OK;
}

/* Both sides derive it from the same three things. */
static enum kv_status wrap_key(const unsigned char *secret, const unsigned char *peer,
                               const unsigned char *salt, unsigned char ret[KV_AGE_KEY], struct kv_error *err)
{
    unsigned char shared[KV_AGE_KEY];
    KV_TRY(kv_age_x25519(secret, peer, shared, err));
    enum kv_status status = kv_age_hkdf((struct kv_view){ shared, sizeof shared },
                                        (struct kv_view){ salt, 2 * KV_AGE_POINT }, info, ret, err);
    kv_wipe(shared, sizeof shared);
    return status;
}

/* ---- recipients ---- */

static enum kv_status wrap_with(const struct party *to, const unsigned char *ephemeral,
                                const unsigned char *file_key, struct kv_age_stanza *ret,
                                struct kv_error *err)
{
    unsigned char salt[2 * KV_AGE_POINT], key[KV_AGE_KEY], body[BODY];
    KV_TRY(kv_age_x25519_public(ephemeral, salt, err));
    memcpy(salt + KV_AGE_POINT, to->point, KV_AGE_POINT);
    KV_TRY(wrap_key(ephemeral, to->point, salt, key, err));
    enum kv_status status = kv_age_wrap(key, (struct kv_view){ file_key, KV_AGE_FILE_KEY }, body, err);
    kv_wipe(key, sizeof key);
    KV_TRY(status);
    KV_AUTO_TEXT char *share = kv_encode_base64_raw((struct kv_view){ salt, KV_AGE_POINT });
    if (!share)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    const char *args[] = { type, share };
    return kv_age_stanza_make(args, 2, (struct kv_view){ body, sizeof body }, ret, err);
}

static enum kv_status wrap(void *state, const unsigned char file_key[KV_AGE_FILE_KEY],
                           struct kv_age_stanza **ret, size_t *ret_count, struct kv_error *err)
{
    unsigned char ephemeral[KV_AGE_KEY];
    KV_AUTO_FREE struct kv_age_stanza *made = calloc(1, sizeof *made);
    if (!made)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    KV_TRY(kv_age_random(ephemeral, sizeof ephemeral, err));
    enum kv_status status = wrap_with(state, ephemeral, file_key, made, err);
    kv_wipe(ephemeral, sizeof ephemeral);
    KV_TRY(status);
    *ret = kv_take(made);
    *ret_count = 1;
    return KV_OK;
}

enum kv_status kv_age_x25519_recipient(const char *text, struct kv_age_recipient *ret, struct kv_error *err)
{
    struct party *party = calloc(1, sizeof *party);
    if (!party)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    enum kv_status status = decode(text, "age", party->point);
    if (status != KV_OK) {
        free(party);
        return kv_fail(err, status, "'%s' is not a recipient 'age1…': was it copied as a whole?", text);
    }
    *ret = (struct kv_age_recipient){ .wrap = wrap, .free = party_free, .state = party };
    return KV_OK;
}

/* ---- identities ---- */

/* KV_BAD_CIPHERTEXT: the stanza is somebody else's. */
static enum kv_status unwrap_one(const struct party *own, const struct kv_age_stanza *stanza,
                                 unsigned char ret_file_key[KV_AGE_FILE_KEY], struct kv_error *err)
{
    KV_AUTO_BYTES struct kv_bytes share = { 0 };
    unsigned char salt[2 * KV_AGE_POINT], key[KV_AGE_KEY];
    if (stanza->arg_count != 2 || kv_decode_base64_raw(stanza->args[1], &share) != KV_OK ||
        share.len != KV_AGE_POINT || stanza->body.len != BODY)
        return kv_fail(err, KV_BAD_DATA, "a recipient stanza 'X25519' of the file is malformed");
    memcpy(salt, share.data, KV_AGE_POINT);
    memcpy(salt + KV_AGE_POINT, own->point, KV_AGE_POINT);
    KV_TRY(wrap_key(own->secret, share.data, salt, key, err));
    enum kv_status status = kv_age_unwrap(key, KV_VIEW(stanza->body), ret_file_key, err);
    kv_wipe(key, sizeof key);
    return status;
}

static enum kv_status unwrap(void *state, const struct kv_age_stanza *stanzas, size_t count,
                             unsigned char ret_file_key[KV_AGE_FILE_KEY], bool *ret_mine,
                             struct kv_error *err)
{
    *ret_mine = false;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(stanzas[i].args[0], type) != 0)
            continue;
        enum kv_status status = unwrap_one(state, &stanzas[i], ret_file_key, err);
        *ret_mine = status != KV_BAD_CIPHERTEXT;
        if (*ret_mine)
            return status;
    }
    return KV_OK;
}

enum kv_status kv_age_x25519_identity(const char *text, struct kv_age_identity *ret, struct kv_error *err)
{
    struct party *party = calloc(1, sizeof *party);
    if (!party)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    enum kv_status status = decode(text, "age-secret-key-", party->secret);
    if (status == KV_OK)
        status = kv_age_x25519_public(party->secret, party->point, err);
    else
        status =
            kv_fail(err, status, "an identity 'AGE-SECRET-KEY-1…' is damaged: was it copied as a whole?");
    if (status != KV_OK) {
        party_free(party);
        return status;
    }
    *ret = (struct kv_age_identity){ .unwrap = unwrap, .free = party_free, .state = party };
    return KV_OK;
}
