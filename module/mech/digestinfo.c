#include "mech/local.h"

#include <string.h>
#include "base/encode.h"

/* RFC 8017 §9.2, notes; the digest follows. */
static const struct digest_info {
    const char *alg;
    unsigned char oid;
    size_t size;
} digest_infos[] = { { "RS256", 1, 32 }, { "RS384", 2, 48 }, { "RS512", 3, 64 } };

static const struct kv_mech *find_digestinfo_row(const char *alg)
{
    for (size_t i = 0; i < kv_mech_count; i++) {
        const struct kv_mech *row = &kv_mech_table[i];
        if (row->input == KV_DIGESTINFO && strcmp(row->alg, alg) == 0)
            return row;
    }
    return NULL;
}

/* The parameters are NULL (RFC 8017 §A.2.4), which is what the service puts into its signatures. Without it these are other bytes to sign. */
enum kv_status kv_mech_digestinfo(struct kv_view data, const struct kv_mech **ret_row,
                                  struct kv_view *ret_digest)
{
    static const unsigned char arc[] = { 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02 };
    struct kv_view info, algorithm, oid, null, digest;
    KV_TRY(kv_der_read(&data, 0x30, &info));
    KV_TRY(kv_der_read(&info, 0x30, &algorithm));
    KV_TRY(kv_der_read(&algorithm, 0x06, &oid));
    KV_TRY(kv_der_read(&algorithm, 0x05, &null));
    KV_TRY(kv_der_read(&info, 0x04, &digest));
    if (data.len || info.len || algorithm.len || null.len || oid.len != sizeof arc + 1 ||
        !kv_view_equal((struct kv_view){ oid.data, sizeof arc }, (struct kv_view){ arc, sizeof arc }))
        return KV_BAD_DATA;

    for (size_t i = 0; i < sizeof digest_infos / sizeof *digest_infos; i++) {
        const struct digest_info *row = &digest_infos[i];
        if (row->oid == oid.data[sizeof arc] && row->size == digest.len) {
            *ret_row = find_digestinfo_row(row->alg);
            *ret_digest = digest;
            return KV_OK;
        }
    }
    return KV_BAD_DATA;
}

enum kv_status kv_mech_bare_digest(const struct kv_mech_use *use, struct kv_mech_input *input,
                                   struct kv_bytes *ret_fitted, struct kv_error *err)
{
    const struct kv_mech *row = use->row;
    struct kv_view bare = input->given;

    if (use->any_digest && kv_mech_digestinfo(input->given, &row, &bare) != KV_OK) {
        if (!use->any_bytes)
            return kv_fail(
                err, KV_BAD_DATA,
                "CKM_RSA_PKCS signs a DER DigestInfo of SHA-256, SHA-384 or SHA-512; %zu bytes of something "
                "else were given, which only `rsnull = yes` lets through",
                input->given.len);
        row = kv_mech_rsnull();
    }
    if (row->kind == KV_EC) {
        enum kv_status status = kv_mech_fit_digest(row, input->given, ret_fitted);
        if (status != KV_OK)
            return kv_fail(err, status, "%s: %s", row->alg, kv_status_text(status));
        bare = KV_VIEW(*ret_fitted);
    }
    if (row->kind == KV_RSA && row->evp && bare.len != kv_digest_size(row->evp))
        return kv_fail(err, KV_DATA_LENGTH, "%s takes a digest of %zu bytes; %zu were given", row->alg,
                       kv_digest_size(row->evp), bare.len);
    input->row = row;
    input->bare = bare;
    return KV_OK;
}
