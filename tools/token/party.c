#include "party.h"

#include <string.h>
#include "age/ssh.h"
#include "base/encode.h"
#include "mech/local.h"
#include "token.h"

static const char type[] = "ssh-rsa";

/* ---- recipients ---- */

static enum kv_status add_string(struct kv_buffer *ret, struct kv_view bytes)
{
    const unsigned char len[] = { (unsigned char)(bytes.len >> 24), (unsigned char)(bytes.len >> 16),
                                  (unsigned char)(bytes.len >> 8), (unsigned char)bytes.len };
    KV_TRY(kv_buffer_add(ret, (struct kv_view){ len, sizeof len }));
    return kv_buffer_add(ret, bytes);
}

/* RFC 4251 §5: never negative. */
static enum kv_status add_number(struct kv_buffer *ret, struct kv_view number)
{
    KV_AUTO_BUFFER struct kv_buffer text = { 0 };
    const unsigned char zero = 0;
    if (number.len && number.data[0] & 0x80)
        KV_TRY(kv_buffer_add(&text, (struct kv_view){ &zero, 1 }));
    KV_TRY(kv_buffer_add(&text, number));
    return add_string(ret, KV_VIEW(text.bytes));
}

static enum kv_status write_line(const struct kv_public *key, char **ret)
{
    KV_AUTO_BUFFER struct kv_buffer wire = { 0 };
    KV_TRY(add_string(&wire, kv_view_text(type)));
    KV_TRY(add_number(&wire, kv_public_exponent(key)));
    KV_TRY(add_number(&wire, kv_public_modulus(key)));
    KV_AUTO_TEXT char *letters = kv_encode_base64(KV_VIEW(wire.bytes));
    *ret = letters ? kv_text_format("%s %s", type, letters) : NULL;
    return *ret ? KV_OK : KV_NO_MEMORY;
}

static enum kv_status line_of(const struct kv_token *token, const char *uri, char **ret, struct kv_error *err)
{
    struct kv_public *key = NULL;
    enum kv_status status = kv_public_from_spki(kv_token_certificate(token)->facts.spki, &key, err);
    bool rsa = status == KV_OK && kv_public_kind(key) == KV_RSA;
    if (rsa)
        status = write_line(key, ret);
    kv_public_free(key);
    if (rsa)
        return status == KV_OK ? KV_OK : kv_fail(err, status, "out of memory");
    return kv_fail(
        err, KV_UNSUPPORTED,
        "'%.*s': the key of the certificate '%s' is no RSA key, and only those are offered here: put an "
        "RSA key with its certificate into the token, or name an age key ('age-keygen')",
        (int)strcspn(uri, "?"), uri, kv_token_certificate(token)->name);
}

enum kv_status kv_token_recipient(const char *uri, char **ret, struct kv_error *err)
{
    KV_AUTO_TOKEN struct kv_token *token = NULL;
    KV_TRY(kv_token_open(uri, &token, err));
    return line_of(token, uri, ret, err);
}

/* ---- identities ---- */

struct party {
    char *uri;
    struct kv_token *token; /* once something was to be opened with it */
    char tag[KV_AGE_SSH_TAG];
};

static void party_free(void *state)
{
    struct party *party = state;
    kv_token_free(party->token);
    kv_text_free(party->uri);
    free(party);
}

static enum kv_status open_token(struct party *party, struct kv_error *err)
{
    KV_AUTO_TOKEN struct kv_token *token = NULL;
    KV_AUTO_TEXT char *line = NULL;
    if (party->token)
        return KV_OK;
    KV_TRY(kv_token_open(party->uri, &token, err));
    KV_TRY(line_of(token, party->uri, &line, err));
    KV_TRY(kv_age_ssh_tag(line, party->tag, err));
    party->token = kv_take(token);
    return KV_OK;
}

static enum kv_status unwrap_one(struct party *party, const struct kv_age_stanza *stanza,
                                 unsigned char ret_file_key[KV_AGE_FILE_KEY], struct kv_error *err)
{
    KV_AUTO_BYTES struct kv_bytes plain = { 0 };
    KV_TRY(kv_token_decrypt(party->token, KV_AGE_SSH_RSA_LABEL, KV_VIEW(stanza->body), &plain, err));
    if (plain.len != KV_AGE_FILE_KEY)
        return kv_fail(err, KV_BAD_DATA, "a recipient stanza '%s' of the file is malformed", type);
    memcpy(ret_file_key, plain.data, KV_AGE_FILE_KEY);
    return KV_OK;
}

static enum kv_status unwrap(void *state, const struct kv_age_stanza *stanzas, size_t count,
                             unsigned char ret_file_key[KV_AGE_FILE_KEY], bool *ret_mine,
                             struct kv_error *err)
{
    struct party *party = state;
    *ret_mine = false;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(stanzas[i].args[0], type) != 0 || stanzas[i].arg_count != 2)
            continue;
        KV_TRY(open_token(party, err));
        if (strcmp(stanzas[i].args[1], party->tag) != 0)
            continue;
        enum kv_status status = unwrap_one(party, &stanzas[i], ret_file_key, err);
        *ret_mine = status != KV_BAD_CIPHERTEXT; /* another key with the same tag */
        if (*ret_mine)
            return status;
    }
    return KV_OK;
}

enum kv_status kv_token_identity(const char *uri, struct kv_age_identity *ret, struct kv_error *err)
{
    struct party *party = calloc(1, sizeof *party);
    if (!party || !(party->uri = kv_text_copy(uri))) {
        free(party);
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    }
    *ret = (struct kv_age_identity){ .unwrap = unwrap, .free = party_free, .state = party };
    return KV_OK;
}
