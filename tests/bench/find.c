/* A cold process to its first key: from before fork to the handle of the key that a label names, exec and loading included; and what the process has
 * in memory then. Each sample is a process of its own. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct found {
    double at;              /* bench_now() of the child: the clock is the system's */
    long resident, private; /* KiB: all that is mapped and touched, and what no other process shares */
};

/* In KiB, as "VmRSS:  1234 kB" says it. */
static long memory(const char *name)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    long value = -1;
    while (file && value < 0 && fgets(line, sizeof line, file))
        if (!strncmp(line, name, strlen(name)))
            value = strtol(line + strlen(name) + 1, NULL, 10);
    if (file)
        fclose(file);
    return value;
}

void bench_find_once(const struct bench_args *args)
{
    struct bench_module module = bench_open(args);
    CK_SESSION_HANDLE session = bench_session(&module);
    bench_find(&module, session, CKO_PRIVATE_KEY, args->key_label);
    struct found found = { bench_now(), memory("VmRSS"), memory("RssAnon") };
    if (write(args->report, &found, sizeof found) != (ssize_t)sizeof found)
        bench_die("no one reads the report", 0);
    module.f->C_Finalize(NULL);
}

static struct found sample(const struct bench_args *args)
{
    struct found found;
    int ends[2], status = -1;
    char report[16];
    if (pipe(ends))
        bench_die("pipe", 0);
    snprintf(report, sizeof report, "%d", ends[1]);
    double began = bench_now();
    pid_t child = fork();
    if (child == 0) {
        execl("/proc/self/exe", "kvp11-bench", "--module", args->module, "--token", args->token_label,
              "--key", args->key_label, "--report", report, "find-once", (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    if (child < 0 || read(ends[0], &found, sizeof found) != (ssize_t)sizeof found)
        bench_die("the cold process found nothing", 0);
    close(ends[0]);
    if (waitpid(child, &status, 0) != child || status)
        bench_die("the cold process failed", (unsigned long)status);
    found.at -= began;
    return found;
}

void bench_cold_find(const struct bench_args *args)
{
    double *times = calloc(args->count, sizeof *times), *resident = calloc(args->count, sizeof *resident);
    double *private = calloc(args->count, sizeof *private);
    if (!times || !resident || !private)
        bench_die("out of memory", 0);
    for (unsigned i = 0; i < args->count; i++) {
        struct found found = sample(args);
        times[i] = found.at * 1000;
        resident[i] = (double)found.resident;
        private[i] = (double)found.private;
    }
    printf("{\"processes\":%u,\"p50_ms\":%.2f,\"resident_kib\":%.0f,\"private_kib\":%.0f}\n", args->count,
           bench_median(times, args->count), bench_median(resident, args->count),
           bench_median(private, args->count));
    free(times);
    free(resident);
    free(private);
}
