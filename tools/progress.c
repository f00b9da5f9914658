#include "progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { EVERY_MS = 200, WIDTH = 80, BAR = 24 };

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void size_text(double bytes, char *ret, size_t size)
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
    size_t unit = 0;
    while (bytes >= 1024 && unit + 1 < sizeof units / sizeof *units) {
        bytes /= 1024;
        unit++;
    }
    snprintf(ret, size, unit ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
}

static void amount_text(const struct kv_progress *progress, double amount, char *ret, size_t size)
{
    if (progress->unit)
        snprintf(ret, size, "%.0f %s", amount, progress->unit);
    else
        size_text(amount, ret, size);
}

/* "[#####     ]  42 %, 1:23 left", or nothing when the end is not known. */
static void bar_text(const struct kv_progress *progress, int64_t ms, char *ret, size_t size)
{
    char bar[BAR + 1];
    *ret = 0;
    if (!progress->total || !progress->done)
        return;
    uint64_t done = progress->done < progress->total ? progress->done : progress->total;
    double part = (double)done / (double)progress->total;
    memset(bar, ' ', BAR);
    memset(bar, '#', (size_t)(part * BAR));
    bar[BAR] = 0;
    int64_t left = (int64_t)((double)ms * (1 - part) / part / 1000);
    snprintf(ret, size, "[%s] %3d %%, %lld:%02lld left  ", bar, (int)(part * 100), (long long)left / 60,
             (long long)left % 60);
}

static void show(const struct kv_progress *progress, int64_t now)
{
    char done[32], rate[32], bar[80], line[sizeof bar + sizeof done + sizeof rate + 8];
    struct winsize window;
    int64_t ms = now - progress->began;
    int width = ioctl(STDERR_FILENO, TIOCGWINSZ, &window) || !window.ws_col ? WIDTH : window.ws_col;
    amount_text(progress, (double)progress->done, done, sizeof done);
    amount_text(progress, ms ? (double)progress->done * 1000 / (double)ms : 0, rate, sizeof rate);
    bar_text(progress, ms, bar, sizeof bar);
    snprintf(line, sizeof line, "%s%s, %s/s", bar, done, rate);
    /* The last column stays free: some terminals would begin a new line. */
    fprintf(stderr, "\r\033[K%.*s", width < WIDTH ? width - 1 : WIDTH, line);
    fflush(stderr);
}

void kv_progress_begin(struct kv_progress *progress, uint64_t total)
{
    int64_t now = now_ms();
    *progress =
        (struct kv_progress){ .shown = isatty(STDERR_FILENO), .total = total, .began = now, .told = now };
}

void kv_progress_begin_count(struct kv_progress *progress, uint64_t total, const char *unit)
{
    kv_progress_begin(progress, total);
    progress->unit = unit;
}

void kv_progress_add(struct kv_progress *progress, uint64_t bytes)
{
    progress->done += bytes;
    if (!progress->shown)
        return;
    int64_t now = now_ms();
    if (now - progress->told < EVERY_MS)
        return;
    progress->told = now;
    show(progress, now);
}

static void count_one(void *state)
{
    kv_progress_add(state, 1);
}

void kv_progress_watch(struct kv_progress *progress, struct kv_task *task)
{
    kv_progress_begin_count(progress, 0, "requests");
    task->answered = count_one;
    task->state = progress;
}

void kv_progress_hide(struct kv_progress *progress)
{
    if (progress->shown && progress->told != progress->began) {
        fprintf(stderr, "\r\033[K");
        fflush(stderr);
    }
}

void kv_progress_end(struct kv_progress *progress)
{
    kv_progress_hide(progress);
    progress->shown = false;
}
