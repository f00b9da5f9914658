/* What each function answers when it is to fail. A row: the type it returns, its name, what it answers, parameters, arguments. */
#include "inject.h"

#include <curl/curl.h>
#include <cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/param_build.h>
#include <openssl/provider.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <search.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>

#define WRAP(type, name, failure, parameters, arguments)                                                     \
    type __real_##name parameters;                                                                           \
    type __wrap_##name parameters;                                                                           \
    type __wrap_##name parameters                                                                            \
    {                                                                                                        \
        return inject_here(#name) ? (failure) : __real_##name arguments;                                     \
    }

/* clang-format off */
WRAP(void *, malloc, NULL, (size_t size), (size))
WRAP(void *, calloc, NULL, (size_t count, size_t size), (count, size))
WRAP(void *, realloc, NULL, (void *old, size_t size), (old, size))
WRAP(void *, reallocarray, NULL, (void *old, size_t count, size_t size), (old, count, size))
WRAP(ssize_t, getrandom, (errno = ENOSYS, -1), (void *to, size_t len, unsigned flags), (to, len, flags))

WRAP(EVP_MD *, EVP_MD_fetch, NULL, (OSSL_LIB_CTX *c, const char *name, const char *query), (c, name, query))
WRAP(EVP_MD_CTX *, EVP_MD_CTX_new, NULL, (void), ())
WRAP(int, EVP_DigestInit_ex2, 0, (EVP_MD_CTX *c, const EVP_MD *md, const OSSL_PARAM *params), (c, md, params))
WRAP(int, EVP_DigestUpdate, 0, (EVP_MD_CTX *c, const void *data, size_t len), (c, data, len))
WRAP(int, EVP_DigestFinal_ex, 0, (EVP_MD_CTX *c, unsigned char *to, unsigned *len), (c, to, len))
WRAP(int, EVP_Digest, 0, (const void *data, size_t len, unsigned char *to, unsigned *to_len, const EVP_MD *md, ENGINE *e), (data, len, to, to_len, md, e))

WRAP(EVP_CIPHER *, EVP_CIPHER_fetch, NULL, (OSSL_LIB_CTX *c, const char *name, const char *query), (c, name, query))
WRAP(EVP_CIPHER_CTX *, EVP_CIPHER_CTX_new, NULL, (void), ())
WRAP(int, EVP_CipherInit_ex2, 0, (EVP_CIPHER_CTX *c, const EVP_CIPHER *cipher, const unsigned char *key, const unsigned char *iv, int enc, const OSSL_PARAM *params), (c, cipher, key, iv, enc, params))
WRAP(int, EVP_CipherUpdate, 0, (EVP_CIPHER_CTX *c, unsigned char *to, int *to_len, const unsigned char *from, int len), (c, to, to_len, from, len))
WRAP(int, EVP_CipherFinal_ex, 0, (EVP_CIPHER_CTX *c, unsigned char *to, int *len), (c, to, len))
WRAP(int, EVP_CIPHER_CTX_ctrl, 0, (EVP_CIPHER_CTX *c, int type, int arg, void *ptr), (c, type, arg, ptr))

WRAP(EVP_PKEY_CTX *, EVP_PKEY_CTX_new_from_pkey, NULL, (OSSL_LIB_CTX *c, EVP_PKEY *key, const char *query), (c, key, query))
WRAP(EVP_PKEY_CTX *, EVP_PKEY_CTX_new_from_name, NULL, (OSSL_LIB_CTX *c, const char *name, const char *query), (c, name, query))
WRAP(int, EVP_PKEY_fromdata_init, 0, (EVP_PKEY_CTX *c), (c))
WRAP(int, EVP_PKEY_fromdata, (ERR_raise(ERR_LIB_EVP, ERR_R_MALLOC_FAILURE), 0), (EVP_PKEY_CTX *c, EVP_PKEY **key, int selection, OSSL_PARAM *params), (c, key, selection, params))
WRAP(int, EVP_PKEY_up_ref, 0, (EVP_PKEY *key), (key))
WRAP(int, EVP_PKEY_verify_init, 0, (EVP_PKEY_CTX *c), (c))
WRAP(int, EVP_PKEY_verify, (ERR_raise(ERR_LIB_EVP, ERR_R_MALLOC_FAILURE), -1), (EVP_PKEY_CTX *c, const unsigned char *sig, size_t sig_len, const unsigned char *data, size_t len), (c, sig, sig_len, data, len))
WRAP(int, EVP_PKEY_encrypt_init, 0, (EVP_PKEY_CTX *c), (c))
WRAP(int, EVP_PKEY_encrypt, -1, (EVP_PKEY_CTX *c, unsigned char *to, size_t *to_len, const unsigned char *data, size_t len), (c, to, to_len, data, len))
WRAP(int, EVP_PKEY_CTX_set_signature_md, 0, (EVP_PKEY_CTX *c, const EVP_MD *md), (c, md))
WRAP(int, EVP_PKEY_CTX_set_rsa_padding, 0, (EVP_PKEY_CTX *c, int padding), (c, padding))
WRAP(int, EVP_PKEY_CTX_set_rsa_pss_saltlen, 0, (EVP_PKEY_CTX *c, int len), (c, len))
WRAP(int, EVP_PKEY_CTX_set_rsa_oaep_md, 0, (EVP_PKEY_CTX *c, const EVP_MD *md), (c, md))
WRAP(int, EVP_PKEY_CTX_set_rsa_mgf1_md, 0, (EVP_PKEY_CTX *c, const EVP_MD *md), (c, md))
WRAP(int, RAND_priv_bytes_ex, 0, (OSSL_LIB_CTX *c, unsigned char *to, size_t len, unsigned strength), (c, to, len, strength))
WRAP(int, i2d_PUBKEY, -1, (const EVP_PKEY *key, unsigned char **to), (key, to))
WRAP(BIGNUM *, BN_bin2bn, NULL, (const unsigned char *from, int len, BIGNUM *to), (from, len, to))
WRAP(OSSL_PARAM_BLD *, OSSL_PARAM_BLD_new, NULL, (void), ())
WRAP(OSSL_PARAM *, OSSL_PARAM_BLD_to_param, NULL, (OSSL_PARAM_BLD *b), (b))
WRAP(int, OSSL_PARAM_BLD_push_BN, 0, (OSSL_PARAM_BLD *b, const char *name, const BIGNUM *value), (b, name, value))
WRAP(int, OSSL_PARAM_BLD_push_utf8_string, 0, (OSSL_PARAM_BLD *b, const char *name, const char *text, size_t len), (b, name, text, len))
WRAP(int, OSSL_PARAM_BLD_push_octet_string, 0, (OSSL_PARAM_BLD *b, const char *name, const void *data, size_t len), (b, name, data, len))
WRAP(OSSL_LIB_CTX *, OSSL_LIB_CTX_new, NULL, (void), ())
WRAP(OSSL_PROVIDER *, OSSL_PROVIDER_load, NULL, (OSSL_LIB_CTX *c, const char *name), (c, name))

WRAP(EVP_KDF *, EVP_KDF_fetch, NULL, (OSSL_LIB_CTX *c, const char *name, const char *query), (c, name, query))
WRAP(EVP_KDF_CTX *, EVP_KDF_CTX_new, NULL, (EVP_KDF *kdf), (kdf))
WRAP(int, EVP_KDF_derive, 0, (EVP_KDF_CTX *c, unsigned char *to, size_t len, const OSSL_PARAM *params), (c, to, len, params))
WRAP(int, EVP_PKEY_sign_init, 0, (EVP_PKEY_CTX *c), (c))
WRAP(int, EVP_PKEY_sign, 0, (EVP_PKEY_CTX *c, unsigned char *to, size_t *to_len, const unsigned char *data, size_t len), (c, to, to_len, data, len))
WRAP(int, EVP_PKEY_keygen_init, 0, (EVP_PKEY_CTX *c), (c))
WRAP(int, EVP_PKEY_generate, 0, (EVP_PKEY_CTX *c, EVP_PKEY **key), (c, key))
WRAP(int, EVP_PKEY_get_bn_param, 0, (const EVP_PKEY *key, const char *name, BIGNUM **ret), (key, name, ret))
WRAP(EC_GROUP *, EC_GROUP_new_by_curve_name_ex, NULL, (OSSL_LIB_CTX *c, const char *query, int nid), (c, query, nid))
WRAP(EC_POINT *, EC_POINT_new, NULL, (const EC_GROUP *group), (group))
WRAP(int, EC_POINT_mul, 0, (const EC_GROUP *g, EC_POINT *r, const BIGNUM *n, const EC_POINT *q, const BIGNUM *m, BN_CTX *c), (g, r, n, q, m, c))
WRAP(size_t, EC_POINT_point2oct, 0, (const EC_GROUP *g, const EC_POINT *p, point_conversion_form_t form, unsigned char *to, size_t len, BN_CTX *c), (g, p, form, to, len, c))
WRAP(BN_CTX *, BN_CTX_new_ex, NULL, (OSSL_LIB_CTX *c), (c))
WRAP(BIGNUM *, BN_new, (ERR_raise(ERR_LIB_BN, ERR_R_MALLOC_FAILURE), NULL), (void), ())

WRAP(EVP_MAC *, EVP_MAC_fetch, NULL, (OSSL_LIB_CTX *c, const char *name, const char *query), (c, name, query))
WRAP(EVP_MAC_CTX *, EVP_MAC_CTX_new, NULL, (EVP_MAC *mac), (mac))
WRAP(int, EVP_MAC_init, 0, (EVP_MAC_CTX *c, const unsigned char *key, size_t len, const OSSL_PARAM *params), (c, key, len, params))
WRAP(int, EVP_MAC_update, 0, (EVP_MAC_CTX *c, const unsigned char *data, size_t len), (c, data, len))
WRAP(int, EVP_MAC_final, 0, (EVP_MAC_CTX *c, unsigned char *to, size_t *to_len, size_t room), (c, to, to_len, room))
WRAP(int, EVP_PKEY_verify_recover_init, 0, (EVP_PKEY_CTX *c), (c))
WRAP(int, EVP_PKEY_verify_recover, (ERR_raise(ERR_LIB_EVP, ERR_R_MALLOC_FAILURE), -1), (EVP_PKEY_CTX *c, unsigned char *to, size_t *to_len, const unsigned char *sig, size_t len), (c, to, to_len, sig, len))
WRAP(int, EVP_PKEY_decrypt_init, 0, (EVP_PKEY_CTX *c), (c))
WRAP(int, EVP_PKEY_decrypt, (ERR_raise(ERR_LIB_EVP, ERR_R_MALLOC_FAILURE), -1), (EVP_PKEY_CTX *c, unsigned char *to, size_t *to_len, const unsigned char *from, size_t len), (c, to, to_len, from, len))
WRAP(int, EVP_PKEY_CTX_set_params, 0, (EVP_PKEY_CTX *c, const OSSL_PARAM *params), (c, params))
WRAP(EVP_PKEY *, EVP_PKEY_new_raw_private_key_ex, NULL, (OSSL_LIB_CTX *c, const char *type, const char *query, const unsigned char *key, size_t len), (c, type, query, key, len))
WRAP(int, EVP_DigestSignInit_ex, 0, (EVP_MD_CTX *c, EVP_PKEY_CTX **pkey, const char *md, OSSL_LIB_CTX *lib, const char *query, EVP_PKEY *key, const OSSL_PARAM *params), (c, pkey, md, lib, query, key, params))
WRAP(int, EVP_DigestSign, 0, (EVP_MD_CTX *c, unsigned char *to, size_t *to_len, const unsigned char *data, size_t len), (c, to, to_len, data, len))
WRAP(BIGNUM *, BN_copy, (ERR_raise(ERR_LIB_BN, ERR_R_MALLOC_FAILURE), NULL), (BIGNUM *to, const BIGNUM *from), (to, from))
WRAP(int, BN_div, (ERR_raise(ERR_LIB_BN, ERR_R_MALLOC_FAILURE), 0), (BIGNUM *q, BIGNUM *r, const BIGNUM *a, const BIGNUM *b, BN_CTX *c), (q, r, a, b, c))
WRAP(int, BN_gcd, (ERR_raise(ERR_LIB_BN, ERR_R_MALLOC_FAILURE), 0), (BIGNUM *r, const BIGNUM *a, const BIGNUM *b, BN_CTX *c), (r, a, b, c))
WRAP(int, BN_mod_exp, (ERR_raise(ERR_LIB_BN, ERR_R_MALLOC_FAILURE), 0), (BIGNUM *r, const BIGNUM *a, const BIGNUM *p, const BIGNUM *m, BN_CTX *c), (r, a, p, m, c))
WRAP(BIGNUM *, BN_mod_inverse, (ERR_raise(ERR_LIB_BN, ERR_R_MALLOC_FAILURE), NULL), (BIGNUM *r, const BIGNUM *a, const BIGNUM *m, BN_CTX *c), (r, a, m, c))
WRAP(int, BN_mod_mul, (ERR_raise(ERR_LIB_BN, ERR_R_MALLOC_FAILURE), 0), (BIGNUM *r, const BIGNUM *a, const BIGNUM *b, const BIGNUM *m, BN_CTX *c), (r, a, b, m, c))
WRAP(int, BN_mod_sqr, (ERR_raise(ERR_LIB_BN, ERR_R_MALLOC_FAILURE), 0), (BIGNUM *r, const BIGNUM *a, const BIGNUM *m, BN_CTX *c), (r, a, m, c))
WRAP(int, BN_mul, (ERR_raise(ERR_LIB_BN, ERR_R_MALLOC_FAILURE), 0), (BIGNUM *r, const BIGNUM *a, const BIGNUM *b, BN_CTX *c), (r, a, b, c))
WRAP(int, BN_priv_rand_range_ex, (ERR_raise(ERR_LIB_BN, ERR_R_MALLOC_FAILURE), 0), (BIGNUM *r, const BIGNUM *range, unsigned strength, BN_CTX *c), (r, range, strength, c))
WRAP(int, BN_rshift, (ERR_raise(ERR_LIB_BN, ERR_R_MALLOC_FAILURE), 0), (BIGNUM *r, const BIGNUM *a, int n), (r, a, n))
WRAP(int, BN_sub, (ERR_raise(ERR_LIB_BN, ERR_R_MALLOC_FAILURE), 0), (BIGNUM *r, const BIGNUM *a, const BIGNUM *b), (r, a, b))
WRAP(int, BN_sub_word, (ERR_raise(ERR_LIB_BN, ERR_R_MALLOC_FAILURE), 0), (BIGNUM *a, BN_ULONG w), (a, w))

WRAP(DIR *, fdopendir, (errno = ENOMEM, NULL), (int fd), (fd))
WRAP(void *, tsearch, NULL, (const void *key, void **root, int (*compare)(const void *, const void *)), (key, root, compare))
WRAP(void *, mmap64, MAP_FAILED, (void *at, size_t len, int protection, int flags, int fd, off64_t from), (at, len, protection, flags, fd, from))
WRAP(int, mlock, (errno = EPERM, -1), (const void *at, size_t len), (at, len))

/* What fails within libcurl fails as its multi interface: its own memory is left alone. */
WRAP(CURLcode, curl_global_init_mem, CURLE_OUT_OF_MEMORY,
     (long flags, curl_malloc_callback m, curl_free_callback f, curl_realloc_callback r, curl_strdup_callback s, curl_calloc_callback c), (flags, __real_malloc, f, __real_realloc, strdup, __real_calloc))
WRAP(CURL *, curl_easy_init, NULL, (void), ())
WRAP(CURLSH *, curl_share_init, NULL, (void), ())
WRAP(CURLM *, curl_multi_init, NULL, (void), ())
WRAP(CURLMcode, curl_multi_add_handle, CURLM_OUT_OF_MEMORY, (CURLM *multi, CURL *c), (multi, c))
WRAP(CURLMcode, curl_multi_perform, CURLM_OUT_OF_MEMORY, (CURLM *multi, int *running), (multi, running))
WRAP(CURLMcode, curl_multi_poll, CURLM_OUT_OF_MEMORY, (CURLM *multi, struct curl_waitfd *more, unsigned count, int ms, int *ret), (multi, more, count, ms, ret))
WRAP(struct curl_slist *, curl_slist_append, NULL, (struct curl_slist *list, const char *text), (list, text))

WRAP(cJSON *, cJSON_ParseWithLengthOpts, NULL, (const char *text, size_t len, const char **end, cJSON_bool ends), (text, len, end, ends))
WRAP(cJSON *, cJSON_CreateObject, NULL, (void), ())
WRAP(cJSON *, cJSON_CreateArray, NULL, (void), ())
WRAP(cJSON *, cJSON_CreateString, NULL, (const char *text), (text))
WRAP(cJSON *, cJSON_CreateRaw, NULL, (const char *text), (text))
WRAP(cJSON_bool, cJSON_AddItemToObject, false, (cJSON *object, const char *name, cJSON *item), (object, name, item))

WRAP(cJSON_bool, cJSON_AddItemToArray, false, (cJSON *array, cJSON *item), (array, item))
WRAP(cJSON *, cJSON_CreateBool, NULL, (cJSON_bool truth), (truth))
WRAP(cJSON *, cJSON_CreateNull, NULL, (void), ())

WRAP(int, sqlite3_open_v2, SQLITE_CANTOPEN, (const char *file, sqlite3 **ret, int flags, const char *vfs), (file, ret, flags, vfs))
WRAP(int, sqlite3_exec, SQLITE_IOERR, (sqlite3 *db, const char *sql, int (*row)(void *, int, char **, char **), void *arg, char **err), (db, sql, row, arg, err))
WRAP(int, sqlite3_prepare_v2, SQLITE_NOMEM, (sqlite3 *db, const char *sql, int len, sqlite3_stmt **ret, const char **tail), (db, sql, len, ret, tail))
WRAP(int, sqlite3_prepare_v3, SQLITE_NOMEM, (sqlite3 *db, const char *sql, int len, unsigned flags, sqlite3_stmt **ret, const char **tail), (db, sql, len, flags, ret, tail))
WRAP(int, sqlite3_step, SQLITE_IOERR, (sqlite3_stmt *s), (s))
WRAP(int, sqlite3_bind_text, SQLITE_NOMEM, (sqlite3_stmt *s, int at, const char *text, int len, void (*end)(void *)), (s, at, text, len, end))
WRAP(int, sqlite3_bind_blob, SQLITE_NOMEM, (sqlite3_stmt *s, int at, const void *data, int len, void (*end)(void *)), (s, at, data, len, end))
WRAP(int, sqlite3_bind_int64, SQLITE_NOMEM, (sqlite3_stmt *s, int at, sqlite3_int64 value), (s, at, value))
/* clang-format on */

/* A file's mode follows only where one is made. */
int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return inject_here("open64") ? (errno = ENFILE, -1) : __real_open64(path, flags, mode);
}

int __real_openat64(int folder, const char *path, int flags, ...);
int __wrap_openat64(int folder, const char *path, int flags, ...);
int __wrap_openat64(int folder, const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return inject_here("openat64") ? (errno = ENFILE, -1) : __real_openat64(folder, path, flags, mode);
}

/* A transfer fails in many ways, of which it tells when it is over. */
CURLMsg *__real_curl_multi_info_read(CURLM *multi, int *left);
CURLMsg *__wrap_curl_multi_info_read(CURLM *multi, int *left);
CURLMsg *__wrap_curl_multi_info_read(CURLM *multi, int *left)
{
    static const CURLcode codes[] = { CURLE_OUT_OF_MEMORY,     CURLE_COULDNT_CONNECT,
                                      CURLE_RECV_ERROR,        CURLE_OPERATION_TIMEDOUT,
                                      CURLE_SSL_CONNECT_ERROR, CURLE_COULDNT_RESOLVE_HOST,
                                      CURLE_GOT_NOTHING };
    static unsigned next;
    CURLMsg *message = __real_curl_multi_info_read(multi, left);
    if (message && inject_here("curl_multi_info_read"))
        message->data.result = codes[next++ % (sizeof codes / sizeof *codes)];
    return message;
}

/* Its third argument is a curl_off_t, as the option's number tells, or a pointer or a long: of one size, and passed in one way, where this is built. */
_Static_assert(sizeof(long) == sizeof(void *), "");
CURLcode __real_curl_easy_setopt(CURL *c, CURLoption option, ...);
CURLcode __wrap_curl_easy_setopt(CURL *c, CURLoption option, ...);
#undef curl_easy_setopt
CURLcode __wrap_curl_easy_setopt(CURL *c, CURLoption option, ...)
{
    va_list arguments;
    va_start(arguments, option);
    bool is_wide = option > CURLOPTTYPE_OFF_T && option < CURLOPTTYPE_BLOB;
    curl_off_t wide = is_wide ? va_arg(arguments, curl_off_t) : 0;
    void *value = is_wide ? NULL : va_arg(arguments, void *);
    va_end(arguments);
    if (inject_here("curl_easy_setopt"))
        return CURLE_OUT_OF_MEMORY;
    return is_wide ? __real_curl_easy_setopt(c, option, wide) : __real_curl_easy_setopt(c, option, value);
}

/* --- time --- */

static int64_t skipped_ms;

void inject_skip(int64_t ms)
{
    skipped_ms += ms;
}

int __real_clock_gettime(clockid_t clock, struct timespec *ret);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret)
{
    int result = __real_clock_gettime(clock, ret);
    int64_t ns = ret->tv_nsec + skipped_ms % 1000 * 1000000;
    ret->tv_sec += skipped_ms / 1000 + ns / 1000000000;
    ret->tv_nsec = ns % 1000000000;
    return result;
}

/* The module waits until a point in time, and by one clock. */
int __wrap_clock_nanosleep(clockid_t clock, int flags, const struct timespec *until, struct timespec *left);
int __wrap_clock_nanosleep(clockid_t clock, int flags, const struct timespec *until, struct timespec *left)
{
    struct timespec now;
    (void)flags;
    (void)left;
    __wrap_clock_gettime(clock, &now);
    int64_t ms = (until->tv_sec - now.tv_sec) * 1000 + (until->tv_nsec - now.tv_nsec) / 1000000 + 1;
    inject_skip(ms > 0 ? ms : 0);
    return 0;
}
