/* RSA at its edges: signatures and ciphertexts built here byte by byte, as an honest signer would never make them, and the few odd ones that are
 * right all the same. Each valid one is accepted, each other refused with one and the same code. RFC 8017 §7, §8, §9. */
#include "edges.h"

#include <openssl/core_names.h>
#include <openssl/rand.h>
#include "reference.h"

enum { K = 256 }; /* bytes of the modulus */

static const struct matrix_key *key;
static CK_FUNCTION_LIST *p11;
static CK_MECHANISM raw_pkcs = { CKM_RSA_PKCS, NULL, 0 };

static int start(void **state)
{
    int rc = matrix_start(state);
    p11 = world.p11;
    key = matrix_find("m-rsa");
    return rc;
}

static CK_RV verify(CK_MECHANISM *mechanism, struct kv_view data, const struct result *signature)
{
    ok(p11->C_VerifyInit(key->session, mechanism, key->open));
    return p11->C_Verify(key->session, (CK_BYTE *)data.data, data.len, (CK_BYTE *)signature->data,
                         signature->len);
}

static void must(const char *what, CK_RV rv, CK_RV wanted)
{
    if (rv != wanted)
        fail_msg("%s: 0x%lx instead of 0x%lx", what, rv, wanted);
}

/* --- PSS: RFC 8017 §9.1.1, with a hand on every byte --- */

struct pss {
    const char *what;
    int salt;                           /* bytes */
    const char *md, *mgf;               /* NULL: SHA2-256 */
    unsigned char trailer, top;         /* the last byte, 0: 0xbc; bits set in the first */
    unsigned char padding, separator;   /* a byte of PS; the 0x01, 0xff: 0x00 */
    unsigned char salt_flip, hash_flip; /* after the hash was made */
    bool valid;
};

static const struct pss pss_rows[] = {
    { "the honest one", .salt = 32, .valid = true },
    { "a salt shorter by one", .salt = 31 },
    { "a salt longer by one", .salt = 33 },
    { "no salt", .salt = 0 },
    { "a salt of SHA-384's length", .salt = 48 },
    { "the longest salt", .salt = K - 32 - 2 },
    { "trailer 0xcc", .salt = 32, .trailer = 0xcc },
    { "trailer 0xbd", .salt = 32, .trailer = 0xbd },
    { "trailer 0x3c", .salt = 32, .trailer = 0x3c },
    { "the top bit set", .salt = 32, .top = 0x80 },
    { "PS with one bit", .salt = 32, .padding = 1 },
    { "separator 0x02", .salt = 32, .separator = 2 },
    { "separator 0x81", .salt = 32, .separator = 0x81 },
    { "no separator", .salt = 32, .separator = 0xff },
    { "another salt than was hashed", .salt = 32, .salt_flip = 1 },
    { "a hash with one bit more", .salt = 32, .hash_flip = 0x80 },
    { "MGF1 with SHA-1", .salt = 32, .mgf = "SHA1" },
    { "MGF1 with SHA-512", .salt = 32, .mgf = "SHA2-512" },
    { "hashed with SHA-384", .salt = 32, .md = "SHA2-384" },
    { "all of it SHA-384", .salt = 48, .md = "SHA2-384", .mgf = "SHA2-384" },
    { "SHA-1 inside", .salt = 32, .md = "SHA1" },
};

static bool encode_pss(const struct pss *row, const unsigned char *digest, size_t digest_len,
                       unsigned char em[K])
{
    const char *md = row->md ? row->md : "SHA2-256", *mgf = row->mgf ? row->mgf : "SHA2-256";
    unsigned char salt[K], input[2 * K] = { 0 };
    size_t salt_len = (size_t)row->salt;
    assert_int_equal(RAND_bytes(salt, sizeof salt), 1);
    memcpy(input + 8, digest, digest_len);
    memcpy(input + 8 + digest_len, salt, salt_len);
    struct result hash = reference_digest(md, BYTES(input, 8 + digest_len + salt_len));
    size_t db_len = K - hash.len - 1, one = db_len - salt_len - 1;
    memset(em, 0, K);
    em[one] = row->separator == 0xff ? 0 : row->separator ? row->separator : 1;
    if (one)
        em[one / 2 + 1 < one ? one / 2 + 1 : 0] ^= row->padding;
    memcpy(em + one + 1, salt, salt_len);
    if (salt_len)
        em[one + 1] ^= row->salt_flip;
    hash.data[0] ^= row->hash_flip;
    edges_mgf1(mgf, BYTES(hash.data, hash.len), em, db_len);
    em[0] = (unsigned char)((em[0] & 0x7f) | row->top);
    memcpy(em + db_len, hash.data, hash.len);
    em[K - 1] = row->trailer ? row->trailer : 0xbc;
    unsigned char n[K];
    edges_number(key->pkey, OSSL_PKEY_PARAM_RSA_N, 0, n, K);
    return memcmp(em, n, K) < 0;
}

static void test_pss(void **state)
{
    CK_RSA_PKCS_PSS_PARAMS params = { CKM_SHA256, CKG_MGF1_SHA256, 32 };
    CK_MECHANISM mechanism = { CKM_RSA_PKCS_PSS, &params, sizeof params },
                 whole = { CKM_SHA256_RSA_PKCS_PSS, &params, sizeof params };
    struct result digest = reference_digest("SHA2-256", BYTES("kvp11", 5));
    for (size_t i = 0; i < sizeof pss_rows / sizeof *pss_rows; i++) {
        unsigned char em[K];
        while (!encode_pss(&pss_rows[i], digest.data, digest.len, em))
            ; /* above the modulus: with another salt */
        struct result signature = edges_rsa_private(key->pkey, em);
        CK_RV wanted = pss_rows[i].valid ? CKR_OK : CKR_SIGNATURE_INVALID;
        must(pss_rows[i].what, verify(&mechanism, BYTES(digest.data, 32), &signature), wanted);
        must(pss_rows[i].what, verify(&whole, BYTES("kvp11", 5), &signature), wanted);
        must(pss_rows[i].what, verify(&whole, BYTES("kvp12", 5), &signature), CKR_SIGNATURE_INVALID);
    }
}

/* The same bytes under the hash that made them. */
static void test_pss_with_its_own_hash(void **state)
{
    CK_RSA_PKCS_PSS_PARAMS params = { CKM_SHA384, CKG_MGF1_SHA384, 48 };
    CK_MECHANISM mechanism = { CKM_SHA384_RSA_PKCS_PSS, &params, sizeof params };
    struct result digest = reference_digest("SHA2-384", BYTES("kvp11", 5));
    struct pss rows[] = {
        { "SHA-384", .salt = 48, .md = "SHA2-384", .mgf = "SHA2-384", .valid = true },
        { "SHA-384, a salt of SHA-256's length", .salt = 32, .md = "SHA2-384", .mgf = "SHA2-384" },
        { "SHA-384, MGF1 with SHA-256", .salt = 48, .md = "SHA2-384" },
    };
    for (size_t i = 0; i < 3; i++) {
        unsigned char em[K];
        while (!encode_pss(&rows[i], digest.data, digest.len, em))
            ;
        struct result signature = edges_rsa_private(key->pkey, em);
        must(rows[i].what, verify(&mechanism, BYTES("kvp11", 5), &signature),
             rows[i].valid ? CKR_OK : CKR_SIGNATURE_INVALID);
    }
}

/* --- PKCS#1 v1.5 signatures: RFC 8017 §9.2 --- */

#define SHA256_OID "\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01"
static const struct {
    const char *what, *head; /* what stands before the digest */
    size_t head_len, digest_len;
    const char *tail;
    size_t tail_len;
    int padding; /* bytes of 0xff: as many as fit, when 0; what stands behind is filled with 0x77 */
    unsigned char type, broken, zero; /* 0: 0x01; XORed into the middle of the padding; instead of the 0x00 */
    bool valid;
} pkcs1_rows[] = {
#define HEAD(text) text, sizeof text - 1
#define NONE       "", 0
    { "the honest one", HEAD("\x30\x31\x30\x0d" SHA256_OID "\x05\x00\x04\x20"), 32, NONE, .valid = true },
    { "no NULL", HEAD("\x30\x2f\x30\x0b" SHA256_OID "\x04\x20"), 32, NONE },
    { "a NULL with a byte", HEAD("\x30\x32\x30\x0e" SHA256_OID "\x05\x01\x00\x04\x20"), 32, NONE },
    { "a NULL of long form", HEAD("\x30\x32\x30\x0e" SHA256_OID "\x05\x81\x00\x04\x20"), 32, NONE },
    { "other parameters", HEAD("\x30\x31\x30\x0d" SHA256_OID "\x04\x00\x04\x20"), 32, NONE },
    { "outer length of long form", HEAD("\x30\x81\x31\x30\x0d" SHA256_OID "\x05\x00\x04\x20"), 32, NONE },
    { "inner length of long form", HEAD("\x30\x32\x30\x81\x0d" SHA256_OID "\x05\x00\x04\x20"), 32, NONE },
    { "digest length of long form", HEAD("\x30\x32\x30\x0d" SHA256_OID "\x05\x00\x04\x81\x20"), 32, NONE },
    { "outer length indefinite", HEAD("\x30\x80\x30\x0d" SHA256_OID "\x05\x00\x04\x20"), 32, HEAD("\0\0") },
    { "OID of SHA-384", HEAD("\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\x04\x20"),
      32, NONE },
    { "OID of SHA-224", HEAD("\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x04\x05\x00\x04\x20"),
      32, NONE },
    { "OID of SHA-1", HEAD("\x30\x2d\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00\x04\x20"), 32, NONE },
    { "a bare digest", NONE, 32, NONE },
    { "an octet string", HEAD("\x04\x20"), 32, NONE },
    { "a digest cut short", HEAD("\x30\x30\x30\x0d" SHA256_OID "\x05\x00\x04\x1f"), 31, NONE },
    { "garbage behind the DigestInfo", HEAD("\x30\x31\x30\x0d" SHA256_OID "\x05\x00\x04\x20"), 32,
      HEAD("\x77\x77") },
    { "garbage inside the DigestInfo", HEAD("\x30\x33\x30\x0d" SHA256_OID "\x05\x00\x04\x20"), 32,
      HEAD("\x05\x00") },
    { "eight bytes of padding", HEAD("\x30\x31\x30\x0d" SHA256_OID "\x05\x00\x04\x20"), 32, NONE,
      .padding = 8 },
    { "one byte of padding", HEAD("\x30\x31\x30\x0d" SHA256_OID "\x05\x00\x04\x20"), 32, NONE, .padding = 1 },
    { "all but one byte of padding", HEAD("\x30\x31\x30\x0d" SHA256_OID "\x05\x00\x04\x20"), 32, NONE,
      .padding = K - 3 - 51 - 1 },
    { "block type 0x02", HEAD("\x30\x31\x30\x0d" SHA256_OID "\x05\x00\x04\x20"), 32, NONE, .type = 2 },
    { "block type 0x00", HEAD("\x30\x31\x30\x0d" SHA256_OID "\x05\x00\x04\x20"), 32, NONE, .type = 0xff },
    { "padding with 0xfe", HEAD("\x30\x31\x30\x0d" SHA256_OID "\x05\x00\x04\x20"), 32, NONE, .broken = 1 },
    { "padding with 0x00", HEAD("\x30\x31\x30\x0d" SHA256_OID "\x05\x00\x04\x20"), 32, NONE, .broken = 0xff },
    { "no 0x00 behind the padding", HEAD("\x30\x31\x30\x0d" SHA256_OID "\x05\x00\x04\x20"), 32, NONE,
      .zero = 0xff },
};

static struct result encode_pkcs1(size_t i, const struct result *digest)
{
    unsigned char em[K], *at = em;
    size_t info = pkcs1_rows[i].head_len + pkcs1_rows[i].digest_len + pkcs1_rows[i].tail_len;
    size_t padding = pkcs1_rows[i].padding ? (size_t)pkcs1_rows[i].padding : K - 3 - info;
    memset(em, 0x77, sizeof em);
    *at++ = 0;
    *at++ = pkcs1_rows[i].type == 0xff ? 0 : pkcs1_rows[i].type ? pkcs1_rows[i].type : 1;
    memset(at, 0xff, padding);
    at[padding / 2] ^= pkcs1_rows[i].broken;
    at += padding;
    *at++ = pkcs1_rows[i].zero;
    memcpy(at, pkcs1_rows[i].head, pkcs1_rows[i].head_len);
    at += pkcs1_rows[i].head_len;
    memcpy(at, digest->data, pkcs1_rows[i].digest_len);
    memcpy(at + pkcs1_rows[i].digest_len, pkcs1_rows[i].tail, pkcs1_rows[i].tail_len);
    return edges_rsa_private(key->pkey, em);
}

static void test_pkcs1(void **state)
{
    struct matrix_case it = { NULL, key, MATRIX_RSA, MATRIX_BARE };
    const struct kv_mech row = { .input = KV_DIGESTINFO, .digest = CKM_SHA256, .evp = "SHA2-256" };
    struct result digest = reference_digest("SHA2-256", BYTES("kvp11", 5));
    it.row = &row;
    struct result info = reference_input(&it, "kvp11");
    for (size_t i = 0; i < sizeof pkcs1_rows / sizeof *pkcs1_rows; i++) {
        struct result signature = encode_pkcs1(i, &digest);
        CK_RV wanted = pkcs1_rows[i].valid ? CKR_OK : CKR_SIGNATURE_INVALID;
        must(pkcs1_rows[i].what, verify(&rsa_sha256, BYTES("kvp11", 5), &signature), wanted);
        must(pkcs1_rows[i].what, verify(&raw_pkcs, BYTES(info.data, info.len), &signature), wanted);
    }
}

/* Numbers that are no signature at all. */
static void test_signatures_that_are_numbers(void **state)
{
    CK_RSA_PKCS_PSS_PARAMS params = { CKM_SHA256, CKG_MGF1_SHA256, 32 };
    CK_MECHANISM pss = { CKM_SHA256_RSA_PKCS_PSS, &params, sizeof params };
    CK_MECHANISM *const mechanisms[] = { &rsa_sha256, &pss };
    static const long adds[] = { 0, -1, -2, 1 };
    for (size_t m = 0; m < 2; m++) {
        struct result signature = { .len = K };
        for (int small = 0; small < 3; small++) {
            memset(signature.data, 0, K);
            signature.data[K - 1] = (CK_BYTE)small;
            must("a small number", verify(mechanisms[m], BYTES("kvp11", 5), &signature),
                 CKR_SIGNATURE_INVALID);
        }
        memset(signature.data, 0xff, K);
        must("all ones", verify(mechanisms[m], BYTES("kvp11", 5), &signature), CKR_SIGNATURE_INVALID);
        for (size_t i = 0; i < 4; i++) {
            edges_number(key->pkey, OSSL_PKEY_PARAM_RSA_N, adds[i], signature.data, K);
            must("the modulus or so", verify(mechanisms[m], BYTES("kvp11", 5), &signature),
                 CKR_SIGNATURE_INVALID);
        }
        static const CK_ULONG lengths[] = { 0, 1, K - 1, K + 1, 2 * K };
        struct result honest = sign(key->session, mechanisms[m], key->shut, "kvp11", 5);
        for (size_t i = 0; i < 5; i++) {
            struct result longer = { .len = lengths[i] };
            memcpy(longer.data + (lengths[i] > K ? lengths[i] - K : 0), honest.data, K); /* zeros in front */
            must("a length", verify(mechanisms[m], BYTES("kvp11", 5), &longer), CKR_SIGNATURE_LEN_RANGE);
        }
    }
}

/* What CKM_RSA_PKCS is asked to sign: a DigestInfo in DER of a hash that the service has, or nothing. */
static void test_what_is_no_digestinfo_is_not_signed(void **state)
{
    struct result digest = reference_digest("SHA2-256", BYTES("kvp11", 5)), signature;
    clear_log();
    for (size_t i = 1; i < sizeof pkcs1_rows / sizeof *pkcs1_rows; i++) {
        unsigned char input[128];
        size_t head = pkcs1_rows[i].head_len, len = head + pkcs1_rows[i].digest_len;
        bool differs =
            pkcs1_rows[i].tail_len || head != 19 || memcmp(pkcs1_rows[i].head, pkcs1_rows[0].head, 19);
        if (!differs)
            continue;
        memcpy(input, pkcs1_rows[i].head, head);
        memcpy(input + head, digest.data, pkcs1_rows[i].digest_len);
        memcpy(input + len, pkcs1_rows[i].tail, pkcs1_rows[i].tail_len);
        signature.len = sizeof signature.data;
        ok(p11->C_SignInit(key->session, &raw_pkcs, key->shut));
        must(pkcs1_rows[i].what,
             p11->C_Sign(key->session, input, len + pkcs1_rows[i].tail_len, signature.data, &signature.len),
             CKR_DATA_INVALID);
    }
    assert_int_equal(requests(NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pss),
        cmocka_unit_test(test_pss_with_its_own_hash),
        cmocka_unit_test(test_pkcs1),
        cmocka_unit_test(test_signatures_that_are_numbers),
        cmocka_unit_test(test_what_is_no_digestinfo_is_not_signed),
    };
    return cmocka_run_group_tests(tests, start, matrix_stop);
}
