/* How a key's module is visited: by one at a time, and left as it was found. The module is one of our own, in this program. */
#include "../../module/auth/foreign_key.h"

#include <p11-kit/pkcs11.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

enum { THREADS = 4, VISITS = 50, PATIENCE = 200 };

/* Numbers are atomic. */
static struct {
    bool initialised;
    unsigned inside,
        met; /* visitors between C_GetSlotList and C_CloseSession, and how often one met another */
    unsigned initialisations, finalisations, visits;
    bool (*on_entry)(void); /* NULL: nothing */
    bool entry_held;
} module;

static CK_RV initialize(void *arguments)
{
    if (__atomic_exchange_n(&module.initialised, true, __ATOMIC_SEQ_CST))
        return CKR_CRYPTOKI_ALREADY_INITIALIZED;
    __atomic_add_fetch(&module.initialisations, 1, __ATOMIC_SEQ_CST);
    return CKR_OK;
}

static CK_RV finalize(void *reserved)
{
    __atomic_store_n(&module.initialised, false, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&module.finalisations, 1, __ATOMIC_SEQ_CST);
    return CKR_OK;
}

/* Stays for a while, so that another would be met. */
static CK_RV get_slot_list(unsigned char present, CK_SLOT_ID *slots, unsigned long *count)
{
    __atomic_add_fetch(&module.visits, 1, __ATOMIC_SEQ_CST);
    unsigned inside = __atomic_add_fetch(&module.inside, 1, __ATOMIC_SEQ_CST);
    for (int i = 0; i < PATIENCE && inside == 1; i++) {
        sched_yield();
        inside = __atomic_load_n(&module.inside, __ATOMIC_SEQ_CST);
    }
    if (inside != 1)
        __atomic_add_fetch(&module.met, 1, __ATOMIC_SEQ_CST);
    module.entry_held = module.on_entry && module.on_entry();
    slots[0] = 7;
    *count = 1;
    return CKR_OK;
}

static CK_RV get_token_info(CK_SLOT_ID slot, CK_TOKEN_INFO *ret)
{
    memset(ret, 0, sizeof *ret);
    memset(ret->label, ' ', sizeof ret->label);
    memcpy(ret->label, "other", 5);
    return CKR_OK;
}

static CK_RV open_session(CK_SLOT_ID slot, CK_FLAGS flags, void *context, CK_NOTIFY notify,
                          CK_SESSION_HANDLE *ret)
{
    *ret = 1;
    return CKR_OK;
}

static CK_RV close_session(CK_SESSION_HANDLE session)
{
    __atomic_sub_fetch(&module.inside, 1, __ATOMIC_SEQ_CST);
    return CKR_OK;
}

static CK_RV find_init(CK_SESSION_HANDLE session, CK_ATTRIBUTE *template, unsigned long count)
{
    return CKR_OK;
}

static CK_RV find(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE *ret, unsigned long most, unsigned long *count)
{
    *count = 0;
    return CKR_OK;
}

static CK_RV find_final(CK_SESSION_HANDLE session)
{
    return CKR_OK;
}

static CK_FUNCTION_LIST functions = {
    .C_Initialize = initialize,
    .C_Finalize = finalize,
    .C_GetSlotList = get_slot_list,
    .C_GetTokenInfo = get_token_info,
    .C_OpenSession = open_session,
    .C_CloseSession = close_session,
    .C_FindObjectsInit = find_init,
    .C_FindObjects = find,
    .C_FindObjectsFinal = find_final,
};

static CK_RV get_function_list(CK_FUNCTION_LIST **ret)
{
    *ret = &functions;
    return CKR_OK;
}

/* ---- what loads it ---- */

void *__real_dlopen(const char *path, int flags);
void *__wrap_dlopen(const char *path, int flags);
void *__real_dlsym(void *library, const char *name);
void *__wrap_dlsym(void *library, const char *name);

void *__wrap_dlopen(const char *path, int flags)
{
    return path && strcmp(path, "/fake.so") == 0 ? &functions : __real_dlopen(path, flags);
}

void *__wrap_dlsym(void *library, const char *name)
{
    CK_C_GetFunctionList list = get_function_list;
    void *symbol;
    if (library != &functions)
        return __real_dlsym(library, name);
    memcpy(&symbol, &list, sizeof symbol);
    return symbol;
}

/* ---- visits ---- */

/* What the visit is told, for it is never given a signature. */
static bool is_told(const char *text)
{
    struct kv_foreign_job job = { .uri = "pkcs11:token=other;object=client",
                                  .module = "/fake.so",
                                  .bits = 2048,
                                  .deadline = kv_deadline_in(&kv_clock_system, 60000) };
    KV_AUTO_BYTES struct kv_bytes signature = { 0 };
    struct kv_error err = { 0 };
    return kv_foreign_sign(&job, &signature, &err) == KV_CREDENTIAL && strstr(err.text, text) != NULL;
}

/* It finds its token, and no key on it. */
static bool visit(void)
{
    return is_told("module '/fake.so' has no private key that fits");
}

static int reset(void **state)
{
    memset(&module, 0, sizeof module);
    return 0;
}

static void *visits(void *context)
{
    for (int i = 0; i < VISITS; i++) {
        if (!visit())
            return context;
    }
    return NULL;
}

static void one_comes_at_a_time(void **state)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, visits, state), 0);
    for (int i = 0; i < THREADS; i++) {
        void *wrong = state;
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
    assert_int_equal(module.visits, THREADS * VISITS);
    assert_int_equal(module.met, 0);
    assert_int_equal(module.initialisations, THREADS * VISITS);
    assert_int_equal(module.finalisations, THREADS * VISITS);
}

static void what_the_host_uses_stays(void **state)
{
    module.initialised = true;
    assert_true(visit());
    assert_true(module.initialised);
    assert_int_equal(module.finalisations, 0);
    assert_int_equal(module.inside, 0);
}

static bool comes_back(void)
{
    return is_told("module '/fake.so' leads back here");
}

/* Under another name, or through a proxy. */
static void a_module_that_leads_back_is_told(void **state)
{
    module.on_entry = comes_back;
    assert_true(visit());
    assert_true(module.entry_held);
    assert_int_equal(module.visits, 1);
}

static void *until_told(void *context)
{
    const bool *end = context;
    while (!__atomic_load_n(end, __ATOMIC_SEQ_CST)) {
        if (!visit())
            return context;
    }
    return NULL;
}

/* A child made while another thread is inside comes in all the same. */
static void a_child_does_not_wait(void **state)
{
    pthread_t thread;
    bool end = false;
    void *wrong = state;
    int status = -1;
    assert_true(visit());
    assert_int_equal(pthread_create(&thread, NULL, until_told, &end), 0);
    while (!__atomic_load_n(&module.inside, __ATOMIC_SEQ_CST))
        sched_yield();
    pid_t child = fork();
    if (child == 0) {
        alarm(10);
        _exit(visit() ? 0 : 1);
    }
    __atomic_store_n(&end, true, __ATOMIC_SEQ_CST);
    assert_int_equal(pthread_join(thread, &wrong), 0);
    assert_null(wrong);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* ---- time ---- */

static int64_t now_ms;
static sem_t entered, go;

static int64_t fake_steady(const struct kv_clock *clock)
{
    return now_ms;
}

static bool takes_a_second(void)
{
    now_ms += 1000;
    return true;
}

/* No call of the module is begun when the time is over, and what was begun is undone. */
static void no_call_comes_too_late(void **state)
{
    static const struct {
        int64_t left_ms;
        unsigned initialisations, visits;
        enum kv_status status;
    } rows[] = { { 0, 0, 0, KV_TIMED_OUT },
                 { 1, 1, 1, KV_TIMED_OUT },
                 { 1000, 1, 1, KV_TIMED_OUT },
                 { 1001, 1, 1, KV_CREDENTIAL } }; /* there is no such key */
    struct kv_clock clock = kv_clock_system;
    clock.steady_ms = fake_steady;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kv_foreign_job job = { .uri = "pkcs11:token=other;object=client",
                                      .module = "/fake.so",
                                      .bits = 2048,
                                      .deadline = kv_deadline_in(&clock, rows[i].left_ms) };
        KV_AUTO_BYTES struct kv_bytes signature = { 0 };
        struct kv_error err = { 0 };
        reset(state);
        module.on_entry = takes_a_second;
        assert_int_equal(kv_foreign_sign(&job, &signature, &err), rows[i].status);
        assert_int_equal(module.initialisations, rows[i].initialisations);
        assert_int_equal(module.finalisations, rows[i].initialisations);
        assert_int_equal(module.visits, rows[i].visits);
        assert_int_equal(module.inside, 0);
        assert_non_null(strstr(err.text, "/fake.so"));
    }
}

static bool hangs(void)
{
    sem_post(&entered);
    sem_wait(&go);
    return true;
}

static void *visit_once(void *context)
{
    return visit() ? NULL : context;
}

/* Who waits for one whom the module holds up keeps to a time of his own. */
static void another_visitor_does_not_hang(void **state)
{
    pthread_t thread;
    void *wrong = state;
    struct kv_foreign_job job = { .uri = "pkcs11:token=other;object=client",
                                  .module = "/fake.so",
                                  .bits = 2048,
                                  .deadline = kv_deadline_in(&kv_clock_system, 20) };
    KV_AUTO_BYTES struct kv_bytes signature = { 0 };
    struct kv_error err = { 0 };
    sem_init(&entered, 0, 0);
    sem_init(&go, 0, 0);
    module.on_entry = hangs;
    assert_int_equal(pthread_create(&thread, NULL, visit_once, state), 0);
    sem_wait(&entered);
    assert_int_equal(kv_foreign_sign(&job, &signature, &err), KV_TIMED_OUT);
    assert_non_null(strstr(err.text, "`timeout`"));
    assert_int_equal(module.visits, 1);
    sem_post(&go);
    assert_int_equal(pthread_join(thread, &wrong), 0);
    assert_null(wrong);
    module.on_entry = NULL;
    assert_true(visit());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(one_comes_at_a_time, reset),
        cmocka_unit_test_setup(what_the_host_uses_stays, reset),
        cmocka_unit_test_setup(a_module_that_leads_back_is_told, reset),
        cmocka_unit_test_setup(a_child_does_not_wait, reset),
        cmocka_unit_test_setup(no_call_comes_too_late, reset),
        cmocka_unit_test_setup(another_visitor_does_not_hang, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
