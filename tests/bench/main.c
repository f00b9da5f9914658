#include "bench.h"

#include <stdbool.h>

#include <dlfcn.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void bench_die(const char *what, unsigned long code)
{
    fprintf(stderr, "bench: %s: 0x%lx\n", what, code);
    exit(1);
}

double bench_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

static bool same_label(const CK_TOKEN_INFO *info, const char *label)
{
    size_t len = strlen(label);
    return len <= sizeof info->label && !memcmp(info->label, label, len) &&
           (len == sizeof info->label || info->label[len] == ' ');
}

struct bench_module bench_open(const struct bench_args *args)
{
    struct bench_module module = { 0 };
    void *handle = dlopen(args->module, RTLD_NOW | RTLD_LOCAL);
    CK_C_GetFunctionList get = handle ? (CK_C_GetFunctionList)dlsym(handle, "C_GetFunctionList") : NULL;
    if (!get || get(&module.f) != CKR_OK)
        bench_die(handle ? "no C_GetFunctionList" : dlerror(), 0);
    CK_C_INITIALIZE_ARGS init = { .flags = CKF_OS_LOCKING_OK };
    CK_RV rv = module.f->C_Initialize(&init);
    if (rv != CKR_OK)
        bench_die("C_Initialize", rv);
    CK_SLOT_ID slots[16];
    CK_ULONG count = 16;
    rv = module.f->C_GetSlotList(CK_TRUE, slots, &count);
    for (CK_ULONG i = 0; rv == CKR_OK && i < count; i++) {
        CK_TOKEN_INFO info;
        module.slot = slots[i];
        if (module.f->C_GetTokenInfo(slots[i], &info) == CKR_OK && same_label(&info, args->token_label))
            return module;
    }
    bench_die("no such token", rv);
}

CK_SESSION_HANDLE bench_session(const struct bench_module *module)
{
    CK_SESSION_HANDLE session;
    CK_RV rv = module->f->C_OpenSession(module->slot, CKF_SERIAL_SESSION, NULL, NULL, &session);
    if (rv != CKR_OK)
        bench_die("C_OpenSession", rv);
    return session;
}

CK_OBJECT_HANDLE bench_find(const struct bench_module *module, CK_SESSION_HANDLE session,
                            CK_OBJECT_CLASS class, const char *label)
{
    CK_ATTRIBUTE template[] = { { CKA_CLASS, &class, sizeof class },
                                { CKA_LABEL, (void *)label, strlen(label) } };
    CK_OBJECT_HANDLE object;
    CK_ULONG found = 0;
    CK_RV rv = module->f->C_FindObjectsInit(session, template, 2);
    if (rv == CKR_OK)
        rv = module->f->C_FindObjects(session, &object, 1, &found);
    module->f->C_FindObjectsFinal(session);
    if (rv != CKR_OK || found != 1)
        bench_die("key not found", rv);
    return object;
}

static int measure(const struct bench_args *args, const char *what)
{
    static const struct {
        const char *name;
        bool bare_http; /* --url, --bearer and --ca are wanted */
        void (*run)(const struct bench_args *args);
    } benches[] = { { "sign", true, bench_sign },       { "verify", false, bench_verify },
                    { "cipher", false, bench_cipher },  { "load", false, bench_load },
                    { "find", false, bench_cold_find }, { "find-once", false, bench_find_once },
                    { "wrap", false, bench_wrap },      { "restore", false, bench_restore } };
    for (size_t i = 0; i < sizeof benches / sizeof *benches; i++)
        if (!strcmp(benches[i].name, what) &&
            (!benches[i].bare_http || (args->url && args->bearer && args->ca_file))) {
            benches[i].run(args);
            return 0;
        }
    bench_die("what to measure: sign (with --url, --bearer, --ca), verify, cipher, load, find, wrap or "
              "restore (with --blobs)",
              64);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "module", required_argument, NULL, 'm' }, { "token", required_argument, NULL, 't' },
        { "key", required_argument, NULL, 'k' },    { "url", required_argument, NULL, 'u' },
        { "bearer", required_argument, NULL, 'b' }, { "ca", required_argument, NULL, 'c' },
        { "blobs", required_argument, NULL, 'B' },  { "threads", required_argument, NULL, 'T' },
        { "count", required_argument, NULL, 'n' },  { "rounds", required_argument, NULL, 'r' },
        { "report", required_argument, NULL, 'R' }, { 0 },
    };
    struct bench_args args = { .threads = 1, .count = 200, .rounds = 5 };
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        const char **texts[] = {
            ['m'] = &args.module, ['t'] = &args.token_label, ['k'] = &args.key_label, ['u'] = &args.url,
            ['b'] = &args.bearer, ['c'] = &args.ca_file,     ['B'] = &args.blobs
        };
        unsigned *numbers[] = {
            ['T'] = &args.threads, ['n'] = &args.count, ['r'] = &args.rounds, ['R'] = &args.report
        };
        if (option == '?')
            return 64;
        if ((size_t)option < sizeof numbers / sizeof *numbers && option < 'u' && numbers[option])
            *numbers[option] = (unsigned)strtoul(optarg, NULL, 10);
        else
            *texts[option] = optarg;
    }
    if (optind + 1 != argc || !args.module || !args.token_label || !args.key_label || !args.threads ||
        !args.count || !args.rounds) {
        fprintf(stderr, "usage: bench --module SO --token LABEL --key LABEL [--url … --bearer … --ca …] "
                        "[--blobs FILE] [--threads N] [--count N] [--rounds N] "
                        "sign|verify|cipher|load|find|wrap|restore\n");
        return 64;
    }
    return measure(&args, argv[optind]);
}
