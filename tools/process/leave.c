#include "leave.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>

static _Atomic(const char *) file;
static atomic_int file_folder, left_child;

/* Nothing in here but what a handler may do. */
static void leave(int signal_number)
{
    const char *name = atomic_load(&file);
    if (name)
        unlinkat(atomic_load(&file_folder), name, 0);
    if (atomic_load(&left_child) > 0)
        kill(atomic_load(&left_child), SIGTERM);
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

/* A signal that is ignored, as nohup does, stays so. */
static void watch(void)
{
    static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        struct sigaction before, ours = { .sa_handler = leave };
        if (!sigaction(signals[i], NULL, &before) && before.sa_handler == SIG_DFL)
            sigaction(signals[i], &ours, NULL);
    }
}

void kv_leave_file(int folder, const char *name)
{
    atomic_store(&file, NULL);
    atomic_store(&file_folder, folder);
    atomic_store(&file, name);
    watch();
}

void kv_leave_child(pid_t child)
{
    atomic_store(&left_child, child);
    watch();
}
