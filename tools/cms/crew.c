#include "crew.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include "base/ossl.h"

struct crew {
    const struct kv_cms_crew *job;
    /* Under `input`, which is held over reading. */
    pthread_mutex_t input;
    uint64_t next;
    bool ended;
    /* Under `order`, which is held over giving. */
    pthread_mutex_t order;
    pthread_cond_t turned;
    uint64_t turn;
    enum kv_status status;
    struct kv_error err;
    atomic_bool stop; /* nobody goes on */
    pthread_t threads[KV_CMS_CREW_MAX];
    unsigned thread_count;
};

/* What became of a piece on its way to its turn. */
struct outcome {
    enum kv_status status;
    struct kv_error err;
};

/* Reading a piece takes less time than it takes to fall asleep and be woken: it is waited for awake, for a while. */
static void lock_input(struct crew *crew)
{
    enum { LOOKS = 100 };
    for (unsigned i = 0; i < LOOKS; i++) {
        if (!pthread_mutex_trylock(&crew->input))
            return;
        sched_yield();
    }
    pthread_mutex_lock(&crew->input);
}

static bool take(struct crew *crew, struct kv_cms_piece *piece, struct outcome *ret)
{
    lock_input(crew);
    bool more = !crew->ended && !atomic_load(&crew->stop);
    if (more) {
        *ret = (struct outcome){ .status = KV_OK };
        piece->number = crew->next++;
        piece->len = 0;
        ret->status = crew->job->read(crew->job->state, piece->data, KV_CMS_PIECE, &piece->len, &ret->err);
        piece->last = piece->len < KV_CMS_PIECE;
        crew->ended = piece->last || ret->status != KV_OK;
    }
    pthread_mutex_unlock(&crew->input);
    return more;
}

static void give(struct crew *crew, struct kv_cms_piece *piece, struct outcome *outcome)
{
    pthread_mutex_lock(&crew->order);
    while (crew->turn != piece->number && !atomic_load(&crew->stop))
        pthread_cond_wait(&crew->turned, &crew->order);
    if (!atomic_load(&crew->stop)) {
        if (outcome->status == KV_OK)
            outcome->status = crew->job->give(crew->job->state, piece, &outcome->err);
        if (outcome->status != KV_OK) {
            crew->status = outcome->status;
            crew->err = outcome->err;
            atomic_store(&crew->stop, true);
        }
        crew->turn++;
        pthread_cond_broadcast(&crew->turned);
    }
    pthread_mutex_unlock(&crew->order);
}

static void finish(struct crew *crew, struct kv_cms_piece *piece, struct outcome *outcome)
{
    if (outcome->status == KV_OK && crew->job->work)
        outcome->status = crew->job->work(crew->job->state, piece, &outcome->err);
    give(crew, piece, outcome);
}

static void *member(void *argument)
{
    struct crew *crew = argument;
    struct kv_ossl_guard guard = kv_ossl_enter();
    KV_AUTO_BYTES struct kv_bytes data = { 0 };
    struct kv_cms_piece piece = { 0 };
    struct outcome outcome;
    /* A member that cannot work leaves the work to the others. */
    if (kv_bytes_alloc(KV_CMS_PIECE, &data) == KV_OK) {
        piece.data = data.data;
        while (take(crew, &piece, &outcome))
            finish(crew, &piece, &outcome);
    }
    kv_ossl_leave(&guard);
    return NULL;
}

static unsigned wanted(const struct kv_cms_crew *job)
{
    cpu_set_t cores;
    unsigned threads = job->threads;
    if (!threads)
        threads = sched_getaffinity(0, sizeof(cores), &cores) ? 1 : (unsigned)CPU_COUNT(&cores);
    return threads < KV_CMS_CREW_MAX ? threads : KV_CMS_CREW_MAX;
}

/* Signals stay with the thread that was there before. */
static void hire(struct crew *crew)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (crew->thread_count + 1 < wanted(crew->job) &&
           !pthread_create(&crew->threads[crew->thread_count], NULL, member, crew))
        crew->thread_count++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

enum kv_status kv_cms_crew_run(const struct kv_cms_crew *job, struct kv_error *err)
{
    struct crew crew = { .job = job,
                         .input = PTHREAD_MUTEX_INITIALIZER,
                         .order = PTHREAD_MUTEX_INITIALIZER,
                         .turned = PTHREAD_COND_INITIALIZER };
    KV_AUTO_BYTES struct kv_bytes data = { 0 };
    struct outcome outcome;
    if (kv_bytes_alloc(KV_CMS_PIECE, &data) != KV_OK)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    struct kv_cms_piece piece = { .data = data.data };
    while (take(&crew, &piece, &outcome)) {
        if (!piece.number && !piece.last && outcome.status == KV_OK)
            hire(
                &crew); /* the caller's thread works, too; help is called when there is more than one piece */
        finish(&crew, &piece, &outcome);
    }
    for (unsigned i = 0; i < crew.thread_count; i++)
        pthread_join(crew.threads[i], NULL);
    if (crew.status != KV_OK && err)
        *err = crew.err;
    return crew.status;
}
