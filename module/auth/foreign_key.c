#include "foreign_key.h"

#include "base/ossl.h"
#include "pkcs11_uri.h"
#include "pss.h"

#include <dlfcn.h>
#include <errno.h>
#include <p11-kit/pkcs11.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* One visitor at a time: who initialised the module takes it down again, and a logout is everybody's. */
static pthread_mutex_t door = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* A visitor of the parent is none of the child's, and would never come out. */
static void renew_in_child(void)
{
    door = (pthread_mutex_t)PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
}

static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, renew_in_child);
}

/* One signature on its way. */
struct visit {
    const struct kv_foreign_job *job;
    struct kv_pkcs11_uri uri;
    const char *path; /* of the module */
    CK_FUNCTION_LIST *f;
    bool ours, session_open,
        logged_in; /* what has to be undone: `ours`, that it was we who initialised the module */
    CK_SLOT_ID slot;
    CK_SESSION_HANDLE session;
    CK_OBJECT_HANDLE key;
};

static void leave(struct visit *visit)
{
    if (visit->logged_in)
        visit->f->C_Logout(visit->session);
    if (visit->session_open)
        visit->f->C_CloseSession(visit->session);
    if (visit->ours)
        visit->f->C_Finalize(NULL);
}

static enum kv_status fail_call(const struct visit *visit, const char *call, CK_RV rv, struct kv_error *err)
{
    static const struct {
        CK_RV rv;
        const char *text;
    } known[] = {
        { CKR_PIN_INCORRECT, "the PIN is wrong; correct it in its file before the token locks itself" },
        { CKR_PIN_LOCKED, "the PIN is locked; unlock it with the token's own tool" },
        { CKR_PIN_LEN_RANGE, "the PIN has a wrong length; correct it in its file" },
        { CKR_TOKEN_NOT_PRESENT, "there is no token; put it in" },
        { CKR_DEVICE_REMOVED, "the token was taken out; put it in" },
        { CKR_KEY_FUNCTION_NOT_PERMITTED, "the key may not sign; name one that may" },
        { CKR_USER_NOT_LOGGED_IN,
          "the key needs a PIN; put it into a file and name that in `client_key_pin_file`" },
        { CKR_HOST_MEMORY, "memory is short" },
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (known[i].rv == rv)
            return kv_fail(err, KV_CREDENTIAL, "module '%s', %s: %s", visit->path, call, known[i].text);
    }
    return kv_fail(err, KV_CREDENTIAL, "module '%s': %s answers 0x%lx; see that module's own log",
                   visit->path, call, (unsigned long)rv);
}

/* ---- the module ---- */

/* One that leads back to us would wait for itself. */
static bool is_ours(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    return kv_text_match("libkvp11*", name) || kv_text_match("p11-kit-proxy*", name) ||
           kv_text_match("libp11-kit*", name);
}

static enum kv_status load(struct visit *visit, struct kv_error *err)
{
    visit->path = visit->job->module ? visit->job->module : visit->uri.module_path;
    if (!visit->path || visit->path[0] != '/')
        return kv_fail(err, KV_CREDENTIAL,
                       "`client_key` needs the path of its token's module: set `client_key_module`");
    KV_AUTO_FREE char *real = realpath(visit->path, NULL);
    if (is_ours(visit->path) || (real && is_ours(real)))
        return kv_fail(err, KV_CREDENTIAL, "module '%s' leads back here; name the token's own module",
                       visit->path);
    /* Never closed: what a module leaves behind (handlers at exit, threads) may still need its code. */
    void *library = dlopen(visit->path, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return kv_fail(err, KV_CREDENTIAL, "module '%s' cannot be loaded: %s", visit->path, dlerror());
    CK_C_GetFunctionList list = NULL;
    void *symbol = dlsym(library, "C_GetFunctionList");
    memcpy(&list, &symbol, sizeof list);
    if (!list || list(&visit->f) != CKR_OK || !visit->f)
        return kv_fail(err, KV_CREDENTIAL, "'%s' is no PKCS#11 module; name the token's own module",
                       visit->path);
    return KV_OK;
}

/* The host may use the same module: then it stays as it is. */
static enum kv_status initialise(struct visit *visit, struct kv_error *err)
{
    CK_C_INITIALIZE_ARGS arguments = { .flags = CKF_OS_LOCKING_OK };
    CK_RV rv = visit->f->C_Initialize(&arguments);
    visit->ours = rv == CKR_OK;
    return rv == CKR_OK || rv == CKR_CRYPTOKI_ALREADY_INITIALIZED ? KV_OK
                                                                  : fail_call(visit, "C_Initialize", rv, err);
}

/* ---- the token ---- */

/* A field of fixed size, padded with blanks. */
static bool field_is(const unsigned char *field, size_t size, const char *wanted)
{
    while (size && (field[size - 1] == ' ' || !field[size - 1]))
        size--;
    return !wanted || kv_view_equal((struct kv_view){ field, size }, kv_view_text(wanted));
}

static bool fits(const struct visit *visit, CK_SLOT_ID slot, CK_TOKEN_INFO *ret)
{
    const struct kv_pkcs11_uri *uri = &visit->uri;
    char number[24];
    snprintf(number, sizeof number, "%lu", (unsigned long)slot);
    return (!uri->slot_id || strcmp(uri->slot_id, number) == 0) &&
           visit->f->C_GetTokenInfo(slot, ret) == CKR_OK &&
           field_is(ret->label, sizeof ret->label, uri->token) &&
           field_is(ret->manufacturerID, sizeof ret->manufacturerID, uri->manufacturer) &&
           field_is(ret->model, sizeof ret->model, uri->model) &&
           field_is(ret->serialNumber, sizeof ret->serialNumber, uri->serial);
}

static enum kv_status find_token(struct visit *visit, CK_TOKEN_INFO *ret, struct kv_error *err)
{
    enum { MOST = 256 };
    CK_SLOT_ID slots[MOST];
    CK_ULONG count = MOST;
    size_t found = 0;
    CK_RV rv = visit->f->C_GetSlotList(CK_TRUE, slots, &count);
    if (rv != CKR_OK)
        return fail_call(visit, "C_GetSlotList", rv, err);
    for (CK_ULONG i = 0; i < count; i++) {
        CK_TOKEN_INFO info;
        if (!fits(visit, slots[i], &info))
            continue;
        found++;
        visit->slot = slots[i];
        *ret = info;
    }
    if (found == 1)
        return KV_OK;
    return kv_fail(err, KV_CREDENTIAL, "module '%s' has %s that fits '%s'; %s", visit->path,
                   found ? "more than one token" : "no token", visit->job->uri,
                   found ? "add serial= to it" : "check token= in it");
}

static enum kv_status read_pin(const struct visit *visit, char **ret, struct kv_error *err)
{
    const char *path = visit->job->pin_file ? visit->job->pin_file : visit->uri.pin_source;
    if (!path)
        return KV_OK;
    if (strncmp(path, "file:", 5) == 0)
        path += strncmp(path + 5, "//", 2) == 0 ? 7 : 5;
    if (*path != '/')
        return kv_fail(err, KV_CREDENTIAL,
                       "`client_key`: pin-source is not the path of a file; write pin-source=/path");
    return kv_config_secret_file(path, ret, err);
}

/* A PIN is never tried when a wrong one would lock the token: this happens unattended, at each token request. */
static enum kv_status log_in(struct visit *visit, const CK_TOKEN_INFO *info, struct kv_error *err)
{
    KV_AUTO_TEXT char *pin = NULL;
    KV_TRY(read_pin(visit, &pin, err));
    if (!pin)
        return KV_OK;
    if (info->flags & CKF_USER_PIN_FINAL_TRY)
        return kv_fail(
            err, KV_CREDENTIAL,
            "module '%s': one more wrong PIN would lock the token; check the PIN with the token's own tool "
            "first",
            visit->path);
    CK_RV rv = visit->f->C_Login(visit->session, CKU_USER, (CK_UTF8CHAR *)pin, strlen(pin));
    visit->logged_in = rv == CKR_OK;
    return rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN ? KV_OK : fail_call(visit, "C_Login", rv, err);
}

static enum kv_status open_session(struct visit *visit, struct kv_error *err)
{
    CK_TOKEN_INFO info = { .flags = 0 };
    KV_TRY(find_token(visit, &info, err));
    CK_RV rv = visit->f->C_OpenSession(visit->slot, CKF_SERIAL_SESSION, NULL, NULL, &visit->session);
    if (rv != CKR_OK)
        return fail_call(visit, "C_OpenSession", rv, err);
    visit->session_open = true;
    return log_in(visit, &info, err);
}

/* ---- the key ---- */

static enum kv_status find_key(struct visit *visit, struct kv_error *err)
{
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    const struct kv_pkcs11_uri *uri = &visit->uri;
    CK_ATTRIBUTE template[3] = { { CKA_CLASS, &class, sizeof class } };
    CK_OBJECT_HANDLE found[2];
    CK_ULONG parts = 1, count = 0;
    if (uri->object)
        template[parts++] = (CK_ATTRIBUTE){ CKA_LABEL, uri->object, strlen(uri->object) };
    if (uri->id.len)
        template[parts++] = (CK_ATTRIBUTE){ CKA_ID, uri->id.data, uri->id.len };
    CK_RV rv = visit->f->C_FindObjectsInit(visit->session, template, parts);
    if (rv != CKR_OK)
        return fail_call(visit, "C_FindObjectsInit", rv, err);
    rv = visit->f->C_FindObjects(visit->session, found, 2, &count);
    visit->f->C_FindObjectsFinal(visit->session);
    if (rv != CKR_OK)
        return fail_call(visit, "C_FindObjects", rv, err);
    if (count != 1)
        return kv_fail(err, KV_CREDENTIAL, "module '%s' has %s that fits '%s'; %s", visit->path,
                       count ? "more than one private key" : "no private key", visit->job->uri,
                       count ? "add id= to it" : "check object= and id=, and whether it needs a PIN");
    visit->key = found[0];
    return KV_OK;
}

/* ---- signing ---- */

enum input { MESSAGE, DIGEST, DIGEST_INFO, ENCODED };

/* The ways to the same signature; the first that the token takes. Not every one knows PSS. */
static const struct way {
    enum kv_assertion algorithm;
    CK_MECHANISM_TYPE mechanism;
    enum input input;
    bool pss; /* has parameters */
} ways[] = {
    { KV_ASSERTION_PS256, CKM_RSA_PKCS_PSS, DIGEST, true },
    { KV_ASSERTION_PS256, CKM_SHA256_RSA_PKCS_PSS, MESSAGE, true },
    { KV_ASSERTION_PS256, CKM_RSA_X_509, ENCODED, false },
    { KV_ASSERTION_RS256, CKM_RSA_PKCS, DIGEST_INFO, false },
    { KV_ASSERTION_RS256, CKM_SHA256_RSA_PKCS, MESSAGE, false },
};

static enum kv_status make_input(const struct kv_foreign_job *job, enum input input, struct kv_bytes *ret)
{
    static const unsigned char sha256_info[] = { 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                                 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20 };
    KV_AUTO_BUFFER struct kv_buffer text = { 0 };
    if (input == ENCODED)
        return kv_pss_encode(job->digest, job->bits, ret);
    if (input == MESSAGE)
        return kv_bytes_copy(job->message, ret);
    if (input == DIGEST_INFO)
        KV_TRY(kv_buffer_add(&text, (struct kv_view){ sha256_info, sizeof sha256_info }));
    KV_TRY(kv_buffer_add(&text, (struct kv_view){ job->digest, sizeof job->digest }));
    *ret = kv_bytes_take(&text.bytes);
    return KV_OK;
}

static CK_RV sign_one(const struct visit *visit, const struct way *way, struct kv_bytes *input,
                      struct kv_bytes *ret)
{
    CK_RSA_PKCS_PSS_PARAMS pss = { CKM_SHA256, CKG_MGF1_SHA256, sizeof visit->job->digest };
    CK_MECHANISM mechanism = { way->mechanism, way->pss ? &pss : NULL, way->pss ? sizeof pss : 0 };
    CK_MECHANISM_INFO info;
    CK_ULONG len = ret->len;
    if (visit->f->C_GetMechanismInfo(visit->slot, way->mechanism, &info) != CKR_OK ||
        !(info.flags & CKF_SIGN))
        return CKR_MECHANISM_INVALID;
    CK_RV rv = visit->f->C_SignInit(visit->session, &mechanism, visit->key);
    if (rv == CKR_OK)
        rv = visit->f->C_Sign(visit->session, input->data, input->len, ret->data, &len);
    return rv == CKR_OK && len != ret->len ? CKR_SIGNATURE_LEN_RANGE : rv;
}

static bool not_offered(CK_RV rv)
{
    return rv == CKR_MECHANISM_INVALID || rv == CKR_MECHANISM_PARAM_INVALID ||
           rv == CKR_FUNCTION_NOT_SUPPORTED;
}

static enum kv_status sign(const struct visit *visit, struct kv_bytes *ret, struct kv_error *err)
{
    CK_RV rv = CKR_MECHANISM_INVALID;
    for (size_t i = 0; i < sizeof ways / sizeof ways[0] && not_offered(rv); i++) {
        KV_AUTO_BYTES struct kv_bytes input = { 0 };
        if (ways[i].algorithm != visit->job->algorithm)
            continue;
        enum kv_status status = make_input(visit->job, ways[i].input, &input);
        if (status != KV_OK)
            return kv_fail(err, status, "no input for the signature of '%s'", visit->job->uri);
        rv = sign_one(visit, &ways[i], &input, ret);
    }
    if (not_offered(rv))
        return kv_fail(err, KV_CREDENTIAL,
                       "module '%s' makes no signature of this kind with '%s'; change `assertion_algorithm`",
                       visit->path, visit->job->uri);
    return rv == CKR_OK ? KV_OK : fail_call(visit, "C_Sign", rv, err);
}

static const char *name_of(const struct visit *visit)
{
    return visit->job->module ? visit->job->module : visit->job->uri;
}

/* A call that is under way in the module cannot be ended: there is no thread that could watch it. But none is begun that comes too late. */
static enum kv_status still_wanted(const struct visit *visit, struct kv_error *err)
{
    if (kv_deadline_cancelled(visit->job->deadline))
        return kv_fail(err, KV_CANCELLED, "the application ended the call while module '%s' was at work",
                       name_of(visit));
    if (!kv_deadline_left(visit->job->deadline))
        return kv_fail(
            err, KV_TIMED_OUT,
            "module '%s' made no signature before the deadline; see what holds its token up, or raise "
            "`timeout`",
            name_of(visit));
    return KV_OK;
}

static enum kv_status visit_inside(struct visit *visit, struct kv_bytes *ret, struct kv_error *err)
{
    static enum kv_status (*const steps[])(struct visit *, struct kv_error *) = { load, initialise,
                                                                                  open_session, find_key };
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        KV_TRY(still_wanted(visit, err));
        KV_TRY(steps[i](visit, err));
    }
    KV_TRY(still_wanted(visit, err));
    KV_TRY(sign(visit, ret, err));
    return still_wanted(visit, err);
}

/* By the wall clock, for not every C library knows another way: in steps so short that it may be set meanwhile. */
static int wait_a_moment(int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    return pthread_mutex_timedlock(&door, &until);
}

/* Who is inside may be held up by the module for as long as it likes; who waits here is not. */
static enum kv_status come_in(const struct visit *visit, struct kv_error *err)
{
    int held = pthread_mutex_trylock(&door);
    while (held == EBUSY || held == ETIMEDOUT) {
        held = wait_a_moment(kv_deadline_look(visit->job->deadline));
        if (held == ETIMEDOUT)
            KV_TRY(still_wanted(visit, err));
    }
    if (held == 0)
        return KV_OK;
    /* By way of it we have come back to ourselves. */
    return kv_fail(err, KV_CREDENTIAL, "module '%s' leads back here; name the token's own module",
                   name_of(visit));
}

static enum kv_status visit_module(struct visit *visit, struct kv_bytes *ret, struct kv_error *err)
{
    pthread_once(&once, watch_forks);
    KV_TRY(come_in(visit, err));
    enum kv_status status = visit_inside(visit, ret, err);
    leave(visit);
    pthread_mutex_unlock(&door);
    return status;
}

enum kv_status kv_foreign_sign(const struct kv_foreign_job *job, struct kv_bytes *ret, struct kv_error *err)
{
    struct visit visit = { .job = job };
    KV_AUTO_BYTES struct kv_bytes signature = { 0 };
    KV_TRY(kv_pkcs11_uri_parse(job->uri, &visit.uri, err));
    enum kv_status status = kv_bytes_alloc(((size_t)job->bits + 7) / 8, &signature);
    struct kv_ossl_guard guard = kv_ossl_step_aside();
    if (status == KV_OK)
        status = visit_module(&visit, &signature, err);
    kv_pkcs11_uri_free(&visit.uri);
    kv_ossl_leave(&guard);
    if (status == KV_OK)
        *ret = kv_bytes_take(&signature);
    return status;
}
