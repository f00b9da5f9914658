/* One scenario through all of the module, with calls of libc, OpenSSL, libcurl, cJSON and SQLite that fail as a seed says; each seed in a process of its
 * own, seeds 1…200 by default. What holds for every step and every seed: the answer is right, or an error that says what happened (memory, the vault, the
 * map: never that the caller's key, data or signature were bad); nothing crashes, nothing leaks; and the same step then succeeds on the same library.
 *
 *     test_inject [FIRST LAST]      KVP11_EMULATOR and KVP11_MODULE as for the p11 suite */
#include "../p11/harness.h"
#include "inject.h"
#include "scenario.h"
#include "../common/rsa_keys.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list);
CK_RV C_GetInterface(CK_UTF8CHAR *name, CK_VERSION *version, CK_INTERFACE **ret, CK_FLAGS flags);

static bool is_legal(CK_RV rv, CK_RV also)
{
    static const CK_RV everywhere[] = { CKR_HOST_MEMORY, CKR_GENERAL_ERROR, CKR_FUNCTION_FAILED,
                                        CKR_DEVICE_ERROR, CKR_DEVICE_MEMORY };
    for (size_t i = 0; i < sizeof everywhere / sizeof *everywhere; i++)
        if (rv == everywhere[i])
            return true;
    return (also && rv == also) || rv == CKR_KVP11_UNREACHABLE || rv == CKR_KVP11_TIMED_OUT ||
           rv == CKR_KVP11_TLS || rv == CKR_KVP11_CREDENTIAL;
}

static bool complain(unsigned seed, const struct step *step, const char *what, CK_RV rv)
{
    char *log = module_log();
    size_t len = strlen(log);
    fprintf(stderr, "seed %u, %s: %s 0x%lx after '%s' failed\n%s\n", seed, step->name, what, rv,
            inject_last() ? inject_last() : "nothing", log + (len > 2000 ? len - 2000 : 0));
    free(log);
    return false;
}

static bool run_step(unsigned seed, const struct step *step)
{
    inject_on();
    CK_RV rv = step->run();
    size_t failed = inject_off();
    if (rv == CKR_OK)
        return true;
    if (rv == WRONG || !failed)
        return complain(seed, step, "a wrong result,", rv);
    if (!is_legal(rv, step->also))
        return complain(seed, step, "a code that is not true,", rv);
    /* What failed on the way to the vault is not asked for again at once: the module remembers it for some seconds. What failed here must work now. */
    if (rv != CKR_HOST_MEMORY && rv != CKR_GENERAL_ERROR)
        inject_skip(10000);
    rv = step->run();
    return rv == CKR_OK || complain(seed, step, "the next call answers", rv);
}

/* All that can be set, so that all is passed through; this version of the protocol tells the size of an HSM key. */
static void configure_everything(const char *map)
{
    char settings[512];
    snprintf(
        settings, sizeof settings,
        "timeout = 5\napi_version = 2026-04-01\nmanage = yes\nrandom = hsm\nrsnull = yes\nself_signed = yes\n"
        "certificate_folder = %s/certificates",
        world.dir);
    configure_as("operator", map ? map : "map.db", settings);
}

/* Twice: from nothing, and with what the first life left in the map. */
static bool run_seed(unsigned seed)
{
    bool good = true;
    configure_everything(NULL);
    inject_seed(seed);
    for (int life = 0; life < 2 && good; life++)
        for (size_t i = 0; i < step_count && good; i++)
            good = run_step(seed, &steps[i]);
    return good;
}

/* --- seeds --- */

static unsigned first = 1, last = 200;
static size_t total_calls, total_failures;

static void tell_totals(int to)
{
    size_t totals[2];
    inject_totals(&totals[0], &totals[1]);
    if (write(to, totals, sizeof totals) != sizeof totals)
        _exit(2);
}

static bool child_passes(unsigned seed)
{
    int status = -1, totals_of[2];
    size_t totals[2] = { 0 };
    char path[96];
    assert_int_equal(pipe(totals_of), 0);
    snprintf(path, sizeof path, "%s/map.db", world.dir);
    unlink(path);
    pid_t child = fork();
    if (!child) {
        alarm(120);
        bool good = run_seed(seed);
        tell_totals(totals_of[1]);
        exit(good ? 0 : 1); /* not _exit: leaks are looked for */
    }
    close(totals_of[1]);
    if (read(totals_of[0], totals, sizeof totals) == sizeof totals) {
        total_calls += totals[0];
        total_failures += totals[1];
    }
    close(totals_of[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (status)
        print_message("seed %u: wait status 0x%x\n", seed, status);
    return status == 0;
}

/* --- what stands before the first seed --- */

/* The numbers of a key. */
static void prepare_numbers(struct prepared *ret)
{
    static const char *const names[] = { OSSL_PKEY_PARAM_RSA_N, OSSL_PKEY_PARAM_RSA_E,
                                         OSSL_PKEY_PARAM_RSA_D };
    EVP_PKEY *key = rsa_key(NULL, 2048, 0);
    for (size_t i = 0; i < 3; i++) {
        BIGNUM *number = NULL;
        assert_int_equal(EVP_PKEY_get_bn_param(key, names[i], &number), 1);
        ret->number_lens[i] = (CK_ULONG)BN_bn2bin(number, ret->numbers[i]);
        BN_free(number);
    }
    EVP_PKEY_free(key);
}

/* The certificate that the module makes for 'rsa' goes to the folder, where later lives find it. */
static void prepare_certificate(struct prepared *ret)
{
    char path[160];
    configure_everything("prepare.db");
    ok(p11->C_Initialize(NULL));
    CK_SESSION_HANDLE session;
    ok(p11->C_OpenSession(PROD, CKF_SERIAL_SESSION, NULL, NULL, &session));
    CK_OBJECT_CLASS type = CKO_CERTIFICATE;
    CK_ATTRIBUTE template[] = { { CKA_CLASS, &type, sizeof type }, { CKA_LABEL, "rsa", 3 } };
    CK_ATTRIBUTE value = { CKA_VALUE, ret->certificate, sizeof ret->certificate };
    CK_OBJECT_HANDLE found = 0;
    CK_ULONG count = 0;
    ok(p11->C_FindObjectsInit(session, template, 2));
    ok(p11->C_FindObjects(session, &found, 1, &count));
    assert_int_equal(count, 1);
    ok(p11->C_FindObjectsFinal(session));
    ok(p11->C_GetAttributeValue(session, found, &value, 1));
    ok(p11->C_Finalize(NULL));
    ret->certificate_len = value.ulValueLen;
    snprintf(path, sizeof path, "%s/certificates/rsa.der", world.dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, ret->certificate, ret->certificate_len), ret->certificate_len);
    close(fd);
}

/* In a process of its own: this one does not use OpenSSL before the seeds do. */
static int prepare(void)
{
    char path[128];
    int status = -1;
    struct prepared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(shared != MAP_FAILED);
    snprintf(path, sizeof path, "%s/certificates", world.dir);
    assert_int_equal(mkdir(path, 0700), 0);
    pid_t child = fork();
    if (!child) {
        prepare_numbers(shared);
        prepare_certificate(shared);
        _exit(0);
    }
    prepared = shared;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static int start(void **state)
{
    if (world_start(state))
        return -1;
    create_key("prod", "ec", "{\"kty\":\"EC\",\"crv\":\"P-256\"}");
    create_key("prod", "rsa", "{\"kty\":\"RSA\"}");
    create_key("hsm", "oct", "{\"kty\":\"oct-HSM\",\"key_size\":256}");
    create_key("hsm", "gcm", "{\"kty\":\"oct-HSM\",\"key_size\":256}");
    control_do("POST", "/vaults/hsm/keys/mac/import",
               "{\"key\":{\"kty\":\"oct-HSM\",\"k\":\"a25vd24gdG8gYm90aDogdGhpcnR5LXR3byBieXRlcyw\","
               "\"key_ops\":[\"sign\",\"verify\"]}}");
    control_do("POST", "/vaults/prod/certificates/tls/create",
               "{\"policy\":{\"x509_props\":{\"subject\":\"CN=tls.example, O=Test\"}}}");
    CK_INTERFACE *interface = NULL;
    CK_VERSION three = { 3, 0 };
    ok(C_GetInterface((CK_UTF8CHAR *)"PKCS 11", &three, &interface, 0));
    p11_3 = interface->pFunctionList;
    ok(C_GetFunctionList(&p11));
    return prepare();
}

static void test_the_scenario_works(void **state)
{
    configure_everything(NULL);
    for (size_t i = 0; i < step_count; i++)
        if (steps[i].run())
            fail_msg("%s", steps[i].name);
}

static void test_every_seed(void **state)
{
    unsigned bad = 0;
    for (unsigned seed = first; seed <= last; seed++)
        bad += !child_passes(seed);
    print_message("seeds %u to %u: %zu of %zu calls failed\n", first, last, total_failures, total_calls);
    assert_int_equal(bad, 0);
    /* Dice that never fall prove nothing. */
    assert_in_range(total_failures, total_calls / INJECT_ODDS / 2, total_calls / INJECT_ODDS * 2);
    assert_true(total_failures >= last - first + 1);
}

int main(int count, char **arguments)
{
    if (count == 3) {
        first = (unsigned)strtoul(arguments[1], NULL, 10);
        last = (unsigned)strtoul(arguments[2], NULL, 10);
    }
    /* Seeds first, from a process that has not used OpenSSL. */
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_every_seed),
                                        cmocka_unit_test(test_the_scenario_works) };
    return cmocka_run_group_tests(tests, start, world_stop);
}
