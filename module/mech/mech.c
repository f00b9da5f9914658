#include "mech/mech.h"

#include <string.h>
#include <openssl/rsa.h>
#include "mech_private.h"

/* RSA as the service makes it (contract §7.1); secrets of the session in bits. */
enum { RSA_BITS_MIN = 2048, RSA_BITS_MAX = 4096, SECRET_BITS_MIN = 8, SECRET_BITS_MAX = 8 * KV_SECRET_MAX };

#define CURVE_FLAGS (CKF_EC_F_P | CKF_EC_NAMEDCURVE | CKF_EC_UNCOMPRESS)
#define KEYLESS     (KV_OP_DIGEST | KV_OP_GENERATE | KV_OP_PAIR)
#define MAKING      (KV_OP_GENERATE | KV_OP_PAIR | KV_OP_DERIVE)

static bool is_rsa1_5(const struct kv_mech *row)
{
    return row->padding == RSA_PKCS1_PADDING && (row->operations & KV_OP_DECRYPT);
}

static bool is_rsnull(const struct kv_mech *row)
{
    return row->padding == RSA_PKCS1_PADDING && (row->operations & KV_OP_SIGN) && !row->evp;
}

const struct kv_mech *kv_mech_rsnull(void)
{
    for (size_t i = 0; i < kv_mech_count; i++)
        if (is_rsnull(&kv_mech_table[i]))
            return &kv_mech_table[i];
    return NULL;
}

bool kv_mech_is_mac(const struct kv_mech *row)
{
    return row->kind == KV_OCT && (row->operations & KV_OP_SIGN);
}

bool kv_mech_proves(const struct kv_mech *row)
{
    return !is_rsa1_5(row) && row->type != CKM_AES_CBC && row->type != CKM_AES_CBC_PAD;
}

const struct kv_mech *kv_mech_sized(const struct kv_mech *row, unsigned bits)
{
    for (size_t i = 0; i < kv_mech_count; i++) {
        const struct kv_mech *other = &kv_mech_table[i];
        if (other->type == row->type && other->kind == row->kind && other->service == row->service &&
            other->key_bits == bits)
            return other;
    }
    return NULL;
}

static bool offered_in_session(const struct kv_mech *row, const struct kv_mech_offer *offer)
{
    if (row->operations & KV_OP_DIGEST)
        return offer->digests;
    return (row->operations & MAKING) || offer->session_ciphers;
}

bool kv_mech_offered(const struct kv_mech *row, const struct kv_mech_offer *offer)
{
    switch (row->service) {
    case KV_ANY:
        /* Decryption with PKCS#1 v1.5 is an oracle as soon as its errors can be told apart: only when asked for. */
        return is_rsnull(row) ? offer->rsnull : offer->rsa1_5 || !is_rsa1_5(row);
    case KV_MANAGED_HSM:
        return offer->managed_hsm && (offer->hsm_hmac || !kv_mech_is_mac(row));
    case KV_SESSION:
        return offered_in_session(row, offer);
    }
    return false;
}

bool kv_mech_makes_nonce(const struct kv_mech *row)
{
    return (row->operations & KV_OP_MESSAGE) && row->service != KV_SESSION;
}

const char *kv_mech_type_name(CK_MECHANISM_TYPE type)
{
    for (size_t i = 0; i < kv_mech_count; i++)
        if (kv_mech_table[i].type == type)
            return kv_mech_table[i].name;
    return NULL;
}

/* --- lists of types: the rows of a type stand together, so "distinct" is "unlike the last one taken" --- */

struct type_list {
    CK_MECHANISM_TYPE *items;
    size_t room, count;
    CK_MECHANISM_TYPE last;
};

static void add_type(struct type_list *list, CK_MECHANISM_TYPE type)
{
    if (list->count && list->last == type)
        return;
    if (list->items && list->count < list->room)
        list->items[list->count] = type;
    list->last = type;
    list->count++;
}

size_t kv_mech_types(const struct kv_mech_offer *offer, CK_MECHANISM_TYPE *ret, size_t room)
{
    struct type_list list = { ret, room };

    for (size_t i = 0; i < kv_mech_count; i++)
        if (kv_mech_offered(&kv_mech_table[i], offer))
            add_type(&list, kv_mech_table[i].type);
    return list.count;
}

/* --- C_GetMechanismInfo --- */

struct size_range {
    CK_ULONG min, max;
};

/* In the unit that PKCS#11 has for the mechanism: bits for RSA, EC and the making of generic secrets, bytes for AES and HMAC, nothing for a digest. */
static struct size_range row_sizes(const struct kv_mech *row)
{
    if (row->operations & KV_OP_DIGEST)
        return (struct size_range){ 0, 0 };
    if (row->kind == KV_RSA)
        return (struct size_range){ RSA_BITS_MIN, RSA_BITS_MAX };
    if (row->kind == KV_EC) {
        const struct kv_curve *curve = kv_curve_find(row->curve);
        return (struct size_range){ curve->bits, curve->bits };
    }
    if (row->key_bits)
        return (struct size_range){ row->key_bits / 8, row->key_bits / 8 };
    if (row->operations & MAKING)
        return (struct size_range){ SECRET_BITS_MIN, SECRET_BITS_MAX };
    if (kv_mech_is_mac(row))
        return (struct size_range){ SECRET_BITS_MIN / 8, SECRET_BITS_MAX / 8 };
    return (struct size_range){ 16, 32 };
}

static CK_FLAGS row_flags(const struct kv_mech *row)
{
    static const struct {
        unsigned operations; /* all of these */
        CK_FLAGS flag;
    } flags[] = {
        { KV_OP_ENCRYPT, CKF_ENCRYPT },
        { KV_OP_DECRYPT, CKF_DECRYPT },
        { KV_OP_SIGN, CKF_SIGN },
        { KV_OP_VERIFY, CKF_VERIFY },
        { KV_OP_WRAP, CKF_WRAP },
        { KV_OP_UNWRAP, CKF_UNWRAP },
        { KV_OP_DIGEST, CKF_DIGEST },
        { KV_OP_GENERATE, CKF_GENERATE },
        { KV_OP_DERIVE, CKF_DERIVE },
        { KV_OP_PAIR, CKF_GENERATE_KEY_PAIR },
        { KV_OP_MESSAGE | KV_OP_ENCRYPT, CKF_MESSAGE_ENCRYPT | CKF_MULTI_MESSAGE },
        { KV_OP_MESSAGE | KV_OP_DECRYPT, CKF_MESSAGE_DECRYPT | CKF_MULTI_MESSAGE },
    };
    CK_FLAGS all = row->kind == KV_EC ? CURVE_FLAGS : 0;

    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if ((row->operations & flags[i].operations) == flags[i].operations)
            all |= flags[i].flag;
    return kv_mech_makes_nonce(row) ? all & ~(CK_FLAGS)(CKF_ENCRYPT | CKF_WRAP) : all;
}

enum kv_status kv_mech_info(const struct kv_mech_offer *offer, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *ret)
{
    CK_MECHANISM_INFO info = { 0 };

    for (size_t i = 0; i < kv_mech_count; i++) {
        const struct kv_mech *row = &kv_mech_table[i];
        if (row->type != type || !kv_mech_offered(row, offer))
            continue;
        struct size_range sizes = row_sizes(row);
        if (!info.flags || sizes.min < info.ulMinKeySize)
            info.ulMinKeySize = sizes.min;
        if (sizes.max > info.ulMaxKeySize)
            info.ulMaxKeySize = sizes.max;
        info.flags |= row_flags(row);
    }
    if (!info.flags)
        return KV_MECHANISM;
    *ret = info;
    return KV_OK;
}

/* --- the choice of a row --- */

static bool serves_place(const struct kv_mech *row, bool session)
{
    switch (row->service) {
    case KV_ANY:
        return true;
    case KV_MANAGED_HSM:
        return !session;
    case KV_SESSION:
        return session;
    }
    return false;
}

static bool serves_kind(const struct kv_mech *row, const struct kv_mech_key *key)
{
    if (row->operations & KEYLESS)
        return true;
    return key && row->kind == key->kind && serves_place(row, key->session);
}

static bool serves_size(const struct kv_mech *row, const struct kv_mech_key *key)
{
    if (row->operations & KEYLESS)
        return true;
    if (row->kind == KV_RSA)
        return key->bits >= RSA_BITS_MIN && key->bits <= RSA_BITS_MAX;
    if (row->kind == KV_EC)
        return key->curve && strcmp(row->curve, key->curve) == 0;
    return row->key_bits == 0 || row->key_bits == key->bits;
}

/* The vault did not tell the size of its key: any row may be the one, and who sends the request finds out (contract §5.3). */
static bool may_serve_size(const struct kv_mech *row, const struct kv_mech_key *key)
{
    return row->service == KV_MANAGED_HSM && key->bits == 0;
}

enum kv_status kv_mech_find(CK_MECHANISM_TYPE type, const struct kv_mech_key *key, unsigned operation,
                            const struct kv_mech_offer *offer, const struct kv_mech **ret)
{
    enum kv_status reached = KV_MECHANISM;
    const struct kv_mech *guess = NULL;

    for (size_t i = 0; i < kv_mech_count; i++) {
        const struct kv_mech *row = &kv_mech_table[i];
        if (row->type != type || !(row->operations & operation) || !kv_mech_offered(row, offer))
            continue;
        if (serves_kind(row, key) && serves_size(row, key)) {
            *ret = row;
            return KV_OK;
        }
        if (serves_kind(row, key) && may_serve_size(row, key))
            guess = row;
        if (serves_kind(row, key))
            reached = KV_KEY_SIZE;
        else if (reached == KV_MECHANISM)
            reached = KV_KEY_TYPE;
    }
    if (guess)
        *ret = guess;
    return guess ? KV_OK : reached;
}

/* Among the rows of a type, from `row` on, the one with the digest that the parameter names. */
static const struct kv_mech *narrow(const struct kv_mech *row, CK_MECHANISM_TYPE digest)
{
    const struct kv_mech *end = kv_mech_table + kv_mech_count;
    CK_MECHANISM_TYPE type = row->type;

    while (row < end && row->type == type && digest && row->digest != digest)
        row++;
    return row < end && row->type == type ? row : NULL;
}

enum kv_status kv_mech_select(const CK_MECHANISM *mechanism, const struct kv_mech_key *key,
                              unsigned operation, const struct kv_mech_offer *offer, struct kv_mech_use *ret)
{
    KV_CLEANUP(kv_mech_use_free) struct kv_mech_use use = { 0 };
    const struct kv_mech *row = NULL;
    CK_MECHANISM_TYPE digest = 0;

    KV_TRY(kv_mech_find(mechanism->mechanism, key, operation, offer, &row));
    KV_TRY(kv_param_read(mechanism, row->padding, &use, &digest));
    use.row = narrow(row, digest);
    if (!use.row)
        return KV_MECHANISM_PARAM;
    use.any_digest = use.row->input == KV_DIGESTINFO;
    use.any_bytes = use.any_digest && offer->rsnull;
    *ret = use;
    use = (struct kv_mech_use){ 0 };
    return KV_OK;
}

void kv_mech_use_free(struct kv_mech_use *use)
{
    if (!use)
        return;
    kv_bytes_free(&use->iv);
    kv_bytes_free(&use->aad);
    *use = (struct kv_mech_use){ 0 };
}

size_t kv_mech_allowed(const struct kv_mech_key *key, unsigned operations, const struct kv_mech_offer *offer,
                       CK_MECHANISM_TYPE *ret, size_t room)
{
    struct type_list list = { ret, room };

    for (size_t i = 0; i < kv_mech_count; i++) {
        const struct kv_mech *row = &kv_mech_table[i];
        if ((row->operations & operations & KV_OP_ALL) && kv_mech_offered(row, offer) &&
            serves_kind(row, key) && (serves_size(row, key) || may_serve_size(row, key)))
            add_type(&list, row->type);
    }
    return list.count;
}
