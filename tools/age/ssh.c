#include "ssh.h"

#include <stdio.h>
#include <string.h>
#include "base/encode.h"
#include "primitives.h"
#include "ssh_keys.h"

static const char ed25519[] = "ssh-ed25519", rsa[] = "ssh-rsa";
static const char ed25519_info[] = "age-encryption.org/v1/ssh-ed25519", rsa_label[] = KV_AGE_SSH_RSA_LABEL;
enum { TAG = 4, BODY = KV_AGE_FILE_KEY + KV_AGE_TAG, WIRE_MAX = 8192 };

/* A public key, and of an identity the secret that belongs to it. */
struct ssh_key {
    struct kv_bytes wire;             /* as SSH sends it: RFC 4253 §6.6, RFC 8709 §4 */
    struct kv_view modulus, exponent; /* inside; empty: Ed25519 */
    char tag[KV_AGE_SSH_TAG];
    unsigned char point[KV_AGE_POINT], secret[KV_AGE_KEY], tweak[KV_AGE_KEY];
};

static void key_free(void *state)
{
    struct ssh_key *key = state;
    kv_bytes_free(&key->wire);
    kv_wipe(key, sizeof *key);
    free(key);
}

/* ---- reading keys ---- */

static bool read_string(struct kv_view *rest, struct kv_view *ret)
{
    if (rest->len < 4)
        return false;
    size_t len = (size_t)rest->data[0] << 24 | (size_t)rest->data[1] << 16 | (size_t)rest->data[2] << 8 |
                 rest->data[3];
    if (len > rest->len - 4)
        return false;
    *ret = (struct kv_view){ rest->data + 4, len };
    *rest = (struct kv_view){ rest->data + 4 + len, rest->len - 4 - len };
    return true;
}

/* The first bytes of the key's digest stand in the stanza; Ed25519 binds the key to SSH by a tweak of its own. */
static enum kv_status derive(struct ssh_key *key, struct kv_error *err)
{
    unsigned char digest[KV_AGE_KEY];
    KV_TRY(kv_age_sha256(KV_VIEW(key->wire), digest, err));
    KV_AUTO_TEXT char *tag = kv_encode_base64_raw((struct kv_view){ digest, TAG });
    if (!tag || !kv_text_fit(key->tag, sizeof key->tag, tag))
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    return key->modulus.len
               ? KV_OK
               : kv_age_hkdf((struct kv_view){ 0 }, KV_VIEW(key->wire), ed25519_info, key->tweak, err);
}

static enum kv_status read_wire(struct ssh_key *key, struct kv_error *err)
{
    struct kv_view rest = KV_VIEW(key->wire), type, point;
    if (!read_string(&rest, &type))
        return kv_fail(err, KV_BAD_DATA, "the SSH key is damaged");
    if (kv_view_equal(type, kv_view_text(rsa)) && read_string(&rest, &key->exponent) &&
        read_string(&rest, &key->modulus) && key->modulus.len && !rest.len)
        return derive(key, err);
    if (!kv_view_equal(type, kv_view_text(ed25519)) || !read_string(&rest, &point) ||
        point.len != KV_AGE_POINT || rest.len)
        return kv_fail(err, KV_BAD_DATA, "the SSH key is damaged, or of another kind than it says");
    KV_TRY(kv_age_ed25519_point(point.data, key->point, err));
    return derive(key, err);
}

static enum kv_status read_public(const char *text, struct ssh_key *key, struct kv_error *err)
{
    size_t type = strcspn(text, " \t");
    const char *letters = text + type + strspn(text + type, " \t");
    KV_AUTO_TEXT char *wire = kv_text_copy_n(letters, strcspn(letters, " \t\r\n"));
    bool known = (type == strlen(ed25519) && !strncmp(text, ed25519, type)) ||
                 (type == strlen(rsa) && !strncmp(text, rsa, type));
    if (!known)
        return kv_fail(err, KV_UNSUPPORTED,
                       "an SSH key '%.*s' cannot be encrypted to: only ssh-ed25519 and ssh-rsa can",
                       (int)type, text);
    if (!wire || kv_decode_base64(wire, &key->wire) != KV_OK || key->wire.len > WIRE_MAX)
        return kv_fail(err, KV_BAD_DATA, "the SSH key is damaged: was its line copied as a whole?");
    return read_wire(key, err);
}

/* ---- recipients ---- */

/* X25519 with the point of the key, and once more with the tweak. */
static enum kv_status wrap_key(const struct ssh_key *key, const unsigned char *secret,
                               const unsigned char *peer, const unsigned char *share,
                               unsigned char ret[KV_AGE_KEY], struct kv_error *err)
{
    unsigned char shared[KV_AGE_KEY], tweaked[KV_AGE_KEY], salt[2 * KV_AGE_POINT];
    memcpy(salt, share, KV_AGE_POINT);
    memcpy(salt + KV_AGE_POINT, key->point, KV_AGE_POINT);
    enum kv_status status = kv_age_x25519(secret, peer, shared, err);
    if (status == KV_OK)
        status = kv_age_x25519(key->tweak, shared, tweaked, err);
    if (status == KV_OK)
        status = kv_age_hkdf((struct kv_view){ tweaked, sizeof tweaked },
                             (struct kv_view){ salt, sizeof salt }, ed25519_info, ret, err);
    kv_wipe(shared, sizeof shared);
    kv_wipe(tweaked, sizeof tweaked);
    return status;
}

static enum kv_status wrap_ed25519(const struct ssh_key *key, const unsigned char *file_key,
                                   struct kv_age_stanza *ret, struct kv_error *err)
{
    unsigned char ephemeral[KV_AGE_KEY], share[KV_AGE_POINT], wrapping[KV_AGE_KEY], body[BODY];
    KV_TRY(kv_age_random(ephemeral, sizeof ephemeral, err));
    enum kv_status status = kv_age_x25519_public(ephemeral, share, err);
    if (status == KV_OK)
        status = wrap_key(key, ephemeral, key->point, share, wrapping, err);
    if (status == KV_OK)
        status = kv_age_wrap(wrapping, (struct kv_view){ file_key, KV_AGE_FILE_KEY }, body, err);
    kv_wipe(ephemeral, sizeof ephemeral);
    kv_wipe(wrapping, sizeof wrapping);
    KV_TRY(status);
    KV_AUTO_TEXT char *letters = kv_encode_base64_raw((struct kv_view){ share, sizeof share });
    const char *args[] = { ed25519, key->tag, letters };
    return letters ? kv_age_stanza_make(args, 3, (struct kv_view){ body, sizeof body }, ret, err)
                   : kv_fail(err, KV_NO_MEMORY, "out of memory");
}

static enum kv_status wrap_rsa(const struct ssh_key *key, const unsigned char *file_key,
                               struct kv_age_stanza *ret, struct kv_error *err)
{
    KV_AUTO_BYTES struct kv_bytes body = { 0 };
    const char *args[] = { rsa, key->tag };
    KV_TRY(kv_age_rsa_wrap(key->modulus, key->exponent, rsa_label,
                           (struct kv_view){ file_key, KV_AGE_FILE_KEY }, &body, err));
    return kv_age_stanza_make(args, 2, KV_VIEW(body), ret, err);
}

static enum kv_status wrap(void *state, const unsigned char file_key[KV_AGE_FILE_KEY],
                           struct kv_age_stanza **ret, size_t *ret_count, struct kv_error *err)
{
    const struct ssh_key *key = state;
    KV_AUTO_FREE struct kv_age_stanza *made = calloc(1, sizeof *made);
    if (!made)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    KV_TRY(key->modulus.len ? wrap_rsa(key, file_key, made, err) : wrap_ed25519(key, file_key, made, err));
    *ret = kv_take(made);
    *ret_count = 1;
    return KV_OK;
}

/* What can be wrong with a key is found now, not when a backup is to be sealed. */
static enum kv_status try_it(struct ssh_key *key, struct kv_error *err)
{
    static const unsigned char file_key[KV_AGE_FILE_KEY];
    struct kv_age_stanza *made = NULL;
    size_t count = 0;
    KV_TRY(wrap(key, file_key, &made, &count, err));
    kv_age_stanzas_free(made, count);
    return KV_OK;
}

enum kv_status kv_age_ssh_recipient(const char *text, struct kv_age_recipient *ret, struct kv_error *err)
{
    struct ssh_key *key = calloc(1, sizeof *key);
    if (!key)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    enum kv_status status = read_public(text, key, err);
    if (status == KV_OK)
        status = try_it(key, err);
    if (status != KV_OK) {
        key_free(key);
        return status;
    }
    *ret = (struct kv_age_recipient){ .wrap = wrap, .free = key_free, .state = key };
    return KV_OK;
}

enum kv_status kv_age_ssh_fingerprint(const char *text, char ret[KV_AGE_SSH_FINGERPRINT],
                                      struct kv_error *err)
{
    struct ssh_key key = { 0 };
    unsigned char digest[KV_AGE_KEY];
    enum kv_status status = read_public(text, &key, err);
    if (status == KV_OK)
        status = kv_age_sha256(KV_VIEW(key.wire), digest, err);
    kv_bytes_free(&key.wire);
    KV_TRY(status);
    KV_AUTO_TEXT char *letters = kv_encode_base64_raw((struct kv_view){ digest, sizeof digest });
    if (!letters)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    snprintf(ret, KV_AGE_SSH_FINGERPRINT, "SHA256:%s", letters);
    return KV_OK;
}

enum kv_status kv_age_ssh_tag(const char *text, char ret[KV_AGE_SSH_TAG], struct kv_error *err)
{
    struct ssh_key key = { 0 };
    enum kv_status status = read_public(text, &key, err);
    kv_bytes_free(&key.wire);
    KV_TRY(status);
    memcpy(ret, key.tag, KV_AGE_SSH_TAG);
    return KV_OK;
}

/* ---- identities ---- */

/* KV_BAD_CIPHERTEXT: another key with the same tag. */
static enum kv_status unwrap_one(const struct ssh_key *key, const struct kv_age_stanza *stanza,
                                 unsigned char ret_file_key[KV_AGE_FILE_KEY], struct kv_error *err)
{
    KV_AUTO_BYTES struct kv_bytes share = { 0 };
    unsigned char wrapping[KV_AGE_KEY];
    if (stanza->arg_count != 3 || kv_decode_base64_raw(stanza->args[2], &share) != KV_OK ||
        share.len != KV_AGE_POINT || stanza->body.len != BODY)
        return kv_fail(err, KV_BAD_DATA, "a recipient stanza 'ssh-ed25519' of the file is malformed");
    KV_TRY(wrap_key(key, key->secret, share.data, share.data, wrapping, err));
    enum kv_status status = kv_age_unwrap(wrapping, KV_VIEW(stanza->body), ret_file_key, err);
    kv_wipe(wrapping, sizeof wrapping);
    return status;
}

static enum kv_status unwrap(void *state, const struct kv_age_stanza *stanzas, size_t count,
                             unsigned char ret_file_key[KV_AGE_FILE_KEY], bool *ret_mine,
                             struct kv_error *err)
{
    const struct ssh_key *key = state;
    *ret_mine = false;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(stanzas[i].args[0], ed25519) != 0 || stanzas[i].arg_count < 2 ||
            strcmp(stanzas[i].args[1], key->tag) != 0)
            continue;
        enum kv_status status = unwrap_one(key, &stanzas[i], ret_file_key, err);
        *ret_mine = status != KV_BAD_CIPHERTEXT;
        if (*ret_mine)
            return status;
    }
    return KV_OK;
}

/* PROTOCOL.key of OpenSSH: cipher, kdf, its options, how many keys, the public one, and the private ones as one string. */
static enum kv_status read_private(struct kv_view rest, struct ssh_key *key, struct kv_error *err)
{
    static const char magic[] = "openssh-key-v1";
    struct kv_view cipher, kdf, options, public, private, type, point, pair;
    if (rest.len < sizeof magic || memcmp(rest.data, magic, sizeof magic) != 0)
        return kv_fail(err, KV_BAD_DATA, "the SSH key is damaged");
    rest = (struct kv_view){ rest.data + sizeof magic, rest.len - sizeof magic };
    if (!read_string(&rest, &cipher) || !read_string(&rest, &kdf) || !read_string(&rest, &options) ||
        rest.len < 4)
        return kv_fail(err, KV_BAD_DATA, "the SSH key is damaged");
    if (!kv_view_equal(cipher, kv_view_text("none")))
        return kv_fail(err, KV_UNSUPPORTED, "the SSH key has a passphrase: 'age -d -i' asks for it");
    rest = (struct kv_view){ rest.data + 4, rest.len - 4 };
    if (!read_string(&rest, &public) || !read_string(&rest, &private) || private.len < 8 ||
        kv_bytes_copy(public, &key->wire) != KV_OK)
        return kv_fail(err, KV_BAD_DATA, "the SSH key is damaged");
    private = (struct kv_view){ private.data + 8, private.len - 8 }; /* two equal check numbers */
    if (!read_string(&private, &type) || !kv_view_equal(type, kv_view_text(ed25519)))
        return kv_fail(err, KV_UNSUPPORTED,
                       "only SSH keys of kind ssh-ed25519 are offered here: 'age -d -i' knows more");
    if (!read_string(&private, &point) || !read_string(&private, &pair) || pair.len != 2 * KV_AGE_KEY)
        return kv_fail(err, KV_BAD_DATA, "the SSH key is damaged");
    KV_TRY(read_wire(key, err));
    return kv_age_ed25519_secret(pair.data, key->secret, err);
}

/* The letters between the two lines, without line ends. */
static enum kv_status take_armor_off(const char *text, struct kv_bytes *ret, struct kv_error *err)
{
    static const char begin[] = "-----BEGIN OPENSSH PRIVATE KEY-----",
                      end[] = "-----END OPENSSH PRIVATE KEY-----";
    const char *from = strstr(text, begin), *to = from ? strstr(from, end) : NULL;
    if (!to)
        return kv_fail(err, KV_BAD_DATA, "the SSH key is damaged");
    KV_AUTO_TEXT char *letters = kv_text_copy_n(from + strlen(begin), (size_t)(to - from) - strlen(begin));
    if (!letters)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    size_t len = 0;
    for (const char *at = letters; *at; at++)
        if (!strchr(" \r\n", *at))
            letters[len++] = *at;
    letters[len] = 0;
    return kv_decode_base64(letters, ret) == KV_OK ? KV_OK
                                                   : kv_fail(err, KV_BAD_DATA, "the SSH key is damaged");
}

enum kv_status kv_age_ssh_identity(const char *text, struct kv_age_identity *ret, struct kv_error *err)
{
    KV_AUTO_BYTES struct kv_bytes bytes = { 0 };
    KV_TRY(take_armor_off(text, &bytes, err));
    struct ssh_key *key = calloc(1, sizeof *key);
    if (!key)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    enum kv_status status = read_private(KV_VIEW(bytes), key, err);
    if (status != KV_OK) {
        key_free(key);
        return status;
    }
    *ret = (struct kv_age_identity){ .unwrap = unwrap, .free = key_free, .state = key };
    return KV_OK;
}
