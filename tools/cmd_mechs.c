/* kvp11 mechs: the mechanism table as a vault's keys offer it. */
#include "common.h"

static const struct kv_column columns[] = {
    { "MECHANISM", "mechanism" }, { "KEY", "key" },      { "CURVE", "curve" },
    { "MIN", "min_bits" },        { "MAX", "max_bits" }, { "ALGORITHM", "algorithm" },
    { "IN THE VAULT", "vault" },  { "HERE", "local" },
};

static const struct {
    unsigned operation;
    const char *name;
    bool remote; /* with a vault key: needs what only the vault has */
} operations[] = {
    { KV_OP_SIGN, "sign", true },         { KV_OP_VERIFY, "verify", false },
    { KV_OP_ENCRYPT, "encrypt", false },  { KV_OP_DECRYPT, "decrypt", true },
    { KV_OP_WRAP, "wrap", false },        { KV_OP_UNWRAP, "unwrap", true },
    { KV_OP_DIGEST, "digest", false },    { KV_OP_GENERATE, "generate", false },
    { KV_OP_DERIVE, "derive", false },    { KV_OP_PAIR, "generate-pair", false },
    { KV_OP_MESSAGE, "messages", false },
};

static const char *key_name(const struct kv_mech *row)
{
    if (row->operations & KV_OP_DIGEST)
        return NULL;
    switch (row->kind) {
    case KV_RSA:
        return "RSA";
    case KV_EC:
        return "EC";
    case KV_OCT:
        return row->service == KV_SESSION ? "session" : "oct-HSM";
    }
    return NULL;
}

/* Encryption with a nonce of the service is message-based alone. */
static bool is_classic(const struct kv_mech *row, unsigned operation)
{
    return !kv_mech_makes_nonce(row) || !(operation & (KV_OP_ENCRYPT | KV_OP_WRAP));
}

/* Public-key work is done here; everything with a secret key in a vault is done there. */
static void add_operations(struct kv_table *table, const struct kv_mech *row, bool remote)
{
    char text[128] = "";
    size_t len = 0;
    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
        bool there = row->service != KV_SESSION && !(row->operations & KV_OP_DIGEST) &&
                     (operations[i].remote || row->kind == KV_OCT);
        if (!(row->operations & operations[i].operation) || there != remote ||
            !is_classic(row, operations[i].operation))
            continue;
        const char *name = operations[i].name;
        if (len)
            text[len++] = ' ';
        while (*name && len < sizeof(text) - 1)
            text[len++] = *name++;
    }
    kv_table_text(table, text);
}

static enum kv_status add_row(struct kv_table *table, const struct kv_mech_offer *offer,
                              const struct kv_mech *row, struct kv_error *err)
{
    CK_MECHANISM_INFO info = { 0 };
    enum kv_status status = kv_mech_info(offer, row->type, &info);
    if (status != KV_OK)
        return kv_fail(err, status, "mechanism '%s' has no information", row->name);
    kv_table_text(table, row->name);
    kv_table_text(table, key_name(row));
    kv_table_text(table, row->curve);
    kv_table_int(table, row->key_bits ? (int64_t)row->key_bits : (int64_t)info.ulMinKeySize);
    kv_table_int(table, row->key_bits ? (int64_t)row->key_bits : (int64_t)info.ulMaxKeySize);
    kv_table_text(table, row->alg);
    add_operations(table, row, true);
    add_operations(table, row, false);
    return KV_OK;
}

enum kv_status kv_cmd_mechs(struct kv_tool *tool, struct kv_error *err)
{
    size_t vault = 0;
    KV_TRY(kv_common_open(tool, err));
    KV_TRY(kv_common_vault(tool, &vault, err));
    struct kv_mech_offer offer = kv_keyring_offer(kv_core_keyring(tool->core, vault));
    KV_AUTO_TABLE struct kv_table *table = kv_table_open(columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; i < kv_mech_count; i++) {
        if (kv_mech_offered(&kv_mech_table[i], &offer))
            KV_TRY(add_row(table, &offer, &kv_mech_table[i], err));
    }
    return kv_common_print(tool, table, err);
}
