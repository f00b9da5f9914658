#include "mech/local.h"

#include <limits.h>
#include <openssl/evp.h>
#include "base/locked.h"
#include "mech_private.h"

enum { BLOCK = 16, SEMIBLOCK = 8, CHUNK = 1 << 20 };

/* How a mode treats lengths and when it gives up its output. */
struct mode {
    CK_MECHANISM_TYPE type;
    bool holds_encrypt, holds_decrypt; /* everything is kept until final */
    bool pads;
    size_t encrypt_unit, encrypt_min; /* of the plaintext */
    size_t decrypt_unit, decrypt_min; /* of the ciphertext, without GCM's tag */
};

static const struct mode modes[] = {
    /* type, holds enc, dec, pads, plaintext unit, min, ciphertext unit, min */
    { CKM_AES_GCM, false, true, false, 1, 0, 1, 0 },
    { CKM_AES_CBC, false, false, false, BLOCK, 0, BLOCK, 0 },
    { CKM_AES_CBC_PAD, false, false, true, 1, 0, BLOCK, BLOCK },
    { CKM_AES_CTR, false, false, false, 1, 0, 1, 0 },
    { CKM_AES_KEY_WRAP, true, true, false, SEMIBLOCK, 2 * SEMIBLOCK, SEMIBLOCK, 3 * SEMIBLOCK },
    { CKM_AES_KEY_WRAP_PAD, true, true, false, 1, 1, SEMIBLOCK, 2 * SEMIBLOCK },
    { CKM_AES_KEY_WRAP_KWP, true, true, false, 1, 1, SEMIBLOCK, 2 * SEMIBLOCK },
};

struct kv_cipher {
    const struct mode *mode;
    const struct kv_mech_use *use;
    EVP_CIPHER_CTX *context;
    bool encrypt;
    struct kv_buffer held;
    uint64_t taken, room; /* input bytes so far, and how many there may be */
};

KV_DEFINE_CLEANUP(struct kv_cipher, kv_cipher_free)

static bool holds(const struct kv_cipher *cipher)
{
    return cipher->encrypt ? cipher->mode->holds_encrypt : cipher->mode->holds_decrypt;
}

static bool is_gcm(const struct kv_cipher *cipher)
{
    return cipher->mode->type == CKM_AES_GCM;
}

/* Only the low counter_bits may count: a longer message would meet its own key stream again, or carry into the nonce (PKCS#11 3.0 §6.13.7). */
static uint64_t counter_room(const struct kv_mech_use *use)
{
    uint64_t high = 0, low = 0, all = UINT64_MAX;
    for (size_t i = 0; i < BLOCK / 2; i++) {
        high = high << 8 | use->iv.data[i];
        low = low << 8 | use->iv.data[BLOCK / 2 + i];
    }
    if (use->counter_bits < 64)
        all = (UINT64_C(1) << use->counter_bits) - 1;
    else if (use->counter_bits > 64) {
        uint64_t above =
            use->counter_bits == 128 ? UINT64_MAX : (UINT64_C(1) << (use->counter_bits - 64)) - 1;
        if ((high & above) != above)
            return UINT64_MAX;
    }
    uint64_t left = all - (low & all);
    return left >= UINT64_MAX / BLOCK ? UINT64_MAX : (left + 1) * BLOCK;
}

static const struct mode *find_mode(CK_MECHANISM_TYPE type)
{
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (modes[i].type == type)
            return &modes[i];
    return NULL;
}

static enum kv_status start(struct kv_cipher *cipher, const EVP_CIPHER *evp, struct kv_view key)
{
    EVP_CIPHER_CTX *context = cipher->context;
    const struct kv_mech_use *use = cipher->use;
    EVP_CIPHER_CTX_set_flags(context, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    if (EVP_CipherInit_ex2(context, evp, NULL, NULL, cipher->encrypt, NULL) != 1)
        return KV_INTERNAL;
    if (is_gcm(cipher) && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_IVLEN, (int)use->iv.len, NULL) != 1)
        return KV_INTERNAL; /* the parameter was looked at before */
    if (EVP_CipherInit_ex2(context, NULL, key.data, use->iv.data, cipher->encrypt, NULL) != 1 ||
        EVP_CIPHER_CTX_set_padding(context, cipher->mode->pads) != 1)
        return KV_INTERNAL;

    for (size_t at = 0; at < use->aad.len;) {
        int done = 0, more = (int)(use->aad.len - at < CHUNK ? use->aad.len - at : CHUNK);
        if (EVP_CipherUpdate(context, NULL, &done, use->aad.data + at, more) != 1)
            return KV_INTERNAL;
        at += (size_t)more;
    }
    return KV_OK;
}

enum kv_status kv_cipher_open(const struct kv_mech_use *use, struct kv_view key, bool encrypt,
                              struct kv_cipher **ret)
{
    const EVP_CIPHER *evp = kv_fetch_cipher(use->row->evp);
    const struct mode *mode = find_mode(use->row->type);
    if (!evp || !mode)
        return KV_INTERNAL;
    if (key.len != (size_t)EVP_CIPHER_get_key_length(evp))
        return KV_KEY_SIZE;

    KV_CLEANUP(kv_cipher_free_cleanup) struct kv_cipher *cipher = calloc(1, sizeof *cipher);
    if (!cipher)
        return KV_NO_MEMORY;
    *cipher = (struct kv_cipher){ .mode = mode, .use = use, .encrypt = encrypt, .room = UINT64_MAX };
    cipher->held.locked = encrypt; /* then it is a key that is to be wrapped */
    if (mode->type == CKM_AES_CTR)
        cipher->room = counter_room(use);
    cipher->context = EVP_CIPHER_CTX_new();
    if (!cipher->context)
        return KV_NO_MEMORY;
    KV_TRY(start(cipher, evp, key));
    *ret = kv_take(cipher);
    return KV_OK;
}

static enum kv_status bad_length(const struct kv_cipher *cipher)
{
    return cipher->encrypt ? KV_DATA_LENGTH : KV_CIPHERTEXT_LENGTH;
}

/* Feeds OpenSSL, whose lengths are ints, in pieces, and appends what comes out. KV_INTERNAL: OpenSSL refused. */
static enum kv_status push(struct kv_cipher *cipher, struct kv_view in, struct kv_buffer *ret)
{
    KV_AUTO_BYTES struct kv_bytes out = { 0 };
    size_t most = in.len < CHUNK || holds(cipher) ? in.len : CHUNK;
    if (most > INT_MAX - 2 * BLOCK)
        return bad_length(cipher);
    if (ret->locked)
        KV_TRY(kv_bytes_alloc_locked(most + 2 * BLOCK, &out));
    else
        KV_TRY(kv_bytes_alloc(most + 2 * BLOCK, &out));
    for (size_t at = 0; at < in.len; at += most) {
        int len = 0, more = (int)(in.len - at < most ? in.len - at : most);
        if (EVP_CipherUpdate(cipher->context, out.data, &len, in.data + at, more) != 1)
            return KV_INTERNAL;
        KV_TRY(kv_buffer_add(ret, (struct kv_view){ out.data, (size_t)len }));
    }
    return KV_OK;
}

enum kv_status kv_cipher_update(struct kv_cipher *cipher, struct kv_view in, struct kv_buffer *ret)
{
    if (in.len > cipher->room - cipher->taken)
        return bad_length(cipher);
    cipher->taken += in.len;
    if (in.len == 0)
        return KV_OK;
    if (holds(cipher))
        return kv_buffer_add(&cipher->held, in);
    return push(cipher, in, ret);
}

/* OpenSSL refuses buffers that overlap, but for one and the same in a mode without blocks. */
bool kv_cipher_streams_to(const struct kv_cipher *cipher, struct kv_view in, const unsigned char *out,
                          size_t room)
{
    bool blocks = cipher->mode->encrypt_unit > 1 || cipher->mode->pads;
    size_t most;
    if (holds(cipher) || __builtin_add_overflow(in.len, blocks ? BLOCK : 0, &most) || room < most)
        return false;
    uintptr_t from = (uintptr_t)in.data, to = (uintptr_t)out;
    bool apart = to >= from ? to - from >= in.len : from - to >= most;
    return apart || (from == to && !blocks);
}

enum kv_status kv_cipher_stream(struct kv_cipher *cipher, struct kv_view in, unsigned char *out,
                                size_t *ret_len)
{
    size_t filled = 0;
    if (in.len > cipher->room - cipher->taken)
        return bad_length(cipher);
    cipher->taken += in.len;
    for (size_t at = 0; at < in.len;) {
        int len = 0, more = (int)(in.len - at < CHUNK ? in.len - at : CHUNK);
        if (EVP_CipherUpdate(cipher->context, out + filled, &len, in.data + at, more) != 1)
            return KV_INTERNAL;
        filled += (size_t)len;
        at += (size_t)more;
    }
    *ret_len = filled;
    return KV_OK;
}

static enum kv_status check_length(const struct kv_cipher *cipher)
{
    const struct mode *mode = cipher->mode;
    size_t unit = cipher->encrypt ? mode->encrypt_unit : mode->decrypt_unit;
    size_t min = cipher->encrypt ? mode->encrypt_min : mode->decrypt_min;
    if (is_gcm(cipher) && !cipher->encrypt)
        min = cipher->use->tag_len;
    return cipher->taken < min || cipher->taken % unit ? bad_length(cipher) : KV_OK;
}

static enum kv_status finish(struct kv_cipher *cipher, struct kv_buffer *ret)
{
    unsigned char last[2 * BLOCK];
    int len = 0;
    if (EVP_CipherFinal_ex(cipher->context, last, &len) != 1)
        return cipher->encrypt ? KV_INTERNAL : KV_BAD_CIPHERTEXT;
    enum kv_status status = kv_buffer_add(ret, (struct kv_view){ last, (size_t)len });
    kv_wipe(last, sizeof last);
    return status;
}

static enum kv_status add_tag(struct kv_cipher *cipher, struct kv_buffer *ret)
{
    unsigned char tag[BLOCK];
    if (EVP_CIPHER_CTX_ctrl(cipher->context, EVP_CTRL_AEAD_GET_TAG, (int)cipher->use->tag_len, tag) != 1)
        return KV_INTERNAL;
    return kv_buffer_add(ret, (struct kv_view){ tag, cipher->use->tag_len });
}

/* What was held goes through a buffer of its own and is handed on only when OpenSSL has said yes to all of it. */
static enum kv_status release(struct kv_cipher *cipher, struct kv_buffer *ret)
{
    KV_AUTO_BUFFER struct kv_buffer out = { .locked = ret->locked };
    struct kv_view in = KV_VIEW(cipher->held.bytes);
    if (is_gcm(cipher)) {
        in.len -= cipher->use->tag_len;
        if (EVP_CIPHER_CTX_ctrl(cipher->context, EVP_CTRL_AEAD_SET_TAG, (int)cipher->use->tag_len,
                                cipher->held.bytes.data + in.len) != 1)
            return KV_INTERNAL;
    }
    enum kv_status status = push(cipher, in, &out);
    if (status == KV_INTERNAL && !cipher->encrypt)
        return KV_BAD_CIPHERTEXT;
    KV_TRY(status);
    KV_TRY(finish(cipher, &out));
    return kv_buffer_add(ret, KV_VIEW(out.bytes));
}

enum kv_status kv_cipher_final(struct kv_cipher *cipher, struct kv_buffer *ret)
{
    KV_TRY(check_length(cipher));
    if (holds(cipher))
        return release(cipher, ret);
    KV_TRY(finish(cipher, ret));
    return is_gcm(cipher) ? add_tag(cipher, ret) : KV_OK;
}

void kv_cipher_free(struct kv_cipher *cipher)
{
    if (!cipher)
        return;
    EVP_CIPHER_CTX_free(cipher->context);
    kv_buffer_free(&cipher->held);
    free(cipher);
}

/* What may come out beside the input that is not out yet: a block that OpenSSL may hold, and a tag, a padding or KWP's length at the most. Nothing
 * where all input went straight through, in whole blocks if at all. */
static size_t surplus(const struct kv_cipher *cipher)
{
    const struct mode *mode = cipher->mode;
    bool plain = mode->type == CKM_AES_CBC || mode->type == CKM_AES_CTR;
    return plain && cipher->taken % mode->encrypt_unit == 0 ? 0 : 2 * BLOCK;
}

size_t kv_cipher_bound(const struct kv_cipher *cipher, size_t more)
{
    size_t bound;
    if (__builtin_add_overflow(more, cipher->held.bytes.len + surplus(cipher), &bound))
        return SIZE_MAX;
    return bound;
}
