#include "pipeline.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include "base/ossl.h"

enum {
    AHEAD =
        4096, /* read behind a batch to know whether anything follows: a page, so that reads of files stay on pages */
    PIPE_SIZE = 1024 * 1024
};

struct crew {
    const struct kv_age_pipeline *pipeline;
    const struct kv_age_stream *stream;
    /* Under `input`, which is held over reading. */
    pthread_mutex_t input;
    uint64_t next;
    bool ended;
    unsigned char *ahead;
    size_t ahead_len;
    bool waits; /* a read of this input may wait for long */
    /* Under `lock`. */
    pthread_mutex_t lock;
    pthread_cond_t turned;
    uint64_t turn;
    enum kv_status status;
    struct kv_error err;
    /* Nobody goes on; `wake` ends a wait for input. */
    atomic_bool stop;
    int wake;
    pthread_t threads[KV_AGE_THREADS_MAX];
    unsigned thread_count;
};

/* ---- reading ---- */

/* The places of a batch that are still empty, and room for what follows it. */
static int places(const struct crew *crew, const struct kv_age_batch *batch, struct iovec *ret)
{
    size_t piece = crew->pipeline->seal ? KV_AGE_CHUNK : KV_AGE_SEALED_CHUNK;
    int count = 0;
    for (size_t at = batch->filled; at < KV_AGE_BATCH * piece; at += ret[count++].iov_len)
        ret[count] =
            (struct iovec){ batch->data + at / piece * KV_AGE_SEALED_CHUNK + at % piece, piece - at % piece };
    ret[count++] = (struct iovec){ crew->ahead, AHEAD };
    return count;
}

static size_t room(const struct crew *crew, const struct kv_age_batch *batch)
{
    return KV_AGE_BATCH * (crew->pipeline->seal ? KV_AGE_CHUNK : KV_AGE_SEALED_CHUNK) - batch->filled;
}

/* False: somebody has failed meanwhile. */
static bool wait_for_input(const struct crew *crew)
{
    struct pollfd fds[] = { { crew->stream->in, POLLIN, 0 }, { crew->wake, POLLIN, 0 } };
    while (poll(fds, 2, -1) < 0 && errno == EINTR)
        ;
    return !atomic_load(&crew->stop);
}

/* 0: the end, or nobody wants it any more. */
static enum kv_status read_some(const struct crew *crew, const struct iovec *to, int count, ssize_t *ret,
                                struct kv_error *err)
{
    do {
        *ret = 0;
        if (crew->waits && !kv_age_stream_has(crew->stream) && !wait_for_input(crew))
            return KV_OK;
        KV_TRY(kv_age_stream_read(crew->stream, to, count, ret, err));
    } while (*ret < 0);
    return KV_OK;
}

/* What was read ahead stands in front. */
static void fill_ahead(struct crew *crew, struct kv_age_batch *batch)
{
    struct iovec to[KV_AGE_BATCH + 1];
    size_t done = 0;
    (void)places(crew, batch, to);
    for (size_t i = 0; done < crew->ahead_len; i++) {
        size_t len = crew->ahead_len - done < to[i].iov_len ? crew->ahead_len - done : to[i].iov_len;
        memcpy(to[i].iov_base, crew->ahead + done, len);
        done += len;
    }
    batch->filled = done;
    crew->ahead_len = 0;
}

/* A batch is whole when it is full and more is known to follow, or the input has ended. */
static enum kv_status fill(struct crew *crew, struct kv_age_batch *batch)
{
    fill_ahead(crew, batch);
    while (room(crew, batch) || !crew->ahead_len) {
        struct iovec to[KV_AGE_BATCH + 1];
        ssize_t got = 0;
        KV_TRY(read_some(crew, to, places(crew, batch, to), &got, &batch->err));
        if (!got && atomic_load(&crew->stop))
            return KV_OK;
        if (!got) {
            crew->ended = batch->last = true;
            return crew->stream->ended ? crew->stream->ended(crew->stream->state, &batch->err) : KV_OK;
        }
        size_t mine = (size_t)got < room(crew, batch) ? (size_t)got : room(crew, batch);
        batch->filled += mine;
        crew->ahead_len = (size_t)got - mine;
    }
    return KV_OK;
}

static bool take(struct crew *crew, struct kv_age_batch *batch)
{
    pthread_mutex_lock(&crew->input);
    bool more = !crew->ended && !atomic_load(&crew->stop);
    if (more) {
        *batch = (struct kv_age_batch){ .data = batch->data, .first = crew->next * KV_AGE_BATCH };
        batch->status = fill(crew, batch);
        crew->ended = crew->ended || batch->status != KV_OK;
        crew->next++;
    }
    pthread_mutex_unlock(&crew->input);
    return more && !atomic_load(&crew->stop);
}

/* ---- writing ---- */

static enum kv_status release(const struct kv_age_stream *stream, struct kv_age_batch *batch,
                              struct kv_error *err)
{
    for (int i = 0; stream->passing && i < batch->out_count; i++) {
        struct kv_view part = { batch->out[i].iov_base, batch->out[i].iov_len };
        KV_TRY(stream->passing(stream->state, part, err));
    }
    return kv_age_stream_write(stream, batch->out, batch->out_count, err);
}

/* Call with the lock. The first failure in the order of the stream is the one that is told, for only whose turn it is can fail. */
static void fail_all(struct crew *crew, enum kv_status status, const struct kv_error *err)
{
    crew->status = status;
    crew->err = *err;
    crew->err.status = status;
    atomic_store(&crew->stop, true);
    (void)eventfd_write(crew->wake, 1);
}

static void give(struct crew *crew, struct kv_age_batch *batch)
{
    struct kv_error err = { 0 };
    pthread_mutex_lock(&crew->lock);
    while (crew->turn * KV_AGE_BATCH != batch->first && !atomic_load(&crew->stop))
        pthread_cond_wait(&crew->turned, &crew->lock);
    pthread_mutex_unlock(&crew->lock);
    if (atomic_load(&crew->stop))
        return;
    enum kv_status status = release(crew->stream, batch, &err);
    pthread_mutex_lock(&crew->lock);
    if (status != KV_OK)
        fail_all(crew, status, &err);
    else if (batch->status != KV_OK)
        fail_all(crew, batch->status, &batch->err);
    crew->turn++;
    pthread_cond_broadcast(&crew->turned);
    pthread_mutex_unlock(&crew->lock);
}

/* ---- the crew ---- */

static void fail_memory(struct crew *crew)
{
    struct kv_error err = { 0 };
    pthread_mutex_lock(&crew->lock);
    fail_all(crew, kv_fail(&err, KV_NO_MEMORY, "out of memory"), &err);
    pthread_mutex_unlock(&crew->lock);
}

static void work(struct crew *crew, struct kv_age_batch *batch, struct kv_age_cipher *cipher)
{
    if (batch->status == KV_OK)
        crew->pipeline->work(cipher, batch);
    give(crew, batch);
}

static void *member(void *argument)
{
    struct crew *crew = argument;
    struct kv_ossl_guard guard = kv_ossl_enter();
    struct kv_age_batch batch = { 0 };
    KV_AUTO_BYTES struct kv_bytes data = { 0 };
    struct kv_age_cipher *cipher = kv_age_cipher_open(crew->pipeline->key, crew->pipeline->seal);
    /* A member that cannot work leaves the work to the others. */
    if (cipher && kv_bytes_alloc(KV_AGE_BATCH * KV_AGE_SEALED_CHUNK, &data) == KV_OK) {
        batch.data = data.data;
        while (take(crew, &batch))
            work(crew, &batch, cipher);
    }
    kv_age_cipher_free(cipher);
    kv_ossl_leave(&guard);
    return NULL;
}

static unsigned wanted_threads(const struct kv_age_stream *stream)
{
    cpu_set_t cores;
    unsigned wanted = stream->threads;
    if (!wanted)
        wanted = sched_getaffinity(0, sizeof cores, &cores) ? 1 : (unsigned)CPU_COUNT(&cores);
    return wanted < KV_AGE_THREADS_MAX ? wanted : KV_AGE_THREADS_MAX;
}

/* Signals stay with the thread that was there before. */
static void hire(struct crew *crew)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (crew->thread_count + 1 < wanted_threads(crew->stream) &&
           !pthread_create(&crew->threads[crew->thread_count], NULL, member, crew))
        crew->thread_count++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* The caller's thread works, too; help is called when there is more than one batch. */
static void lead(struct crew *crew, struct kv_age_cipher *cipher, unsigned char *data)
{
    struct kv_age_batch batch = { .data = data };
    bool first = true;
    while (take(crew, &batch)) {
        if (first && !batch.last)
            hire(crew);
        first = false;
        work(crew, &batch, cipher);
    }
    for (unsigned i = 0; i < crew->thread_count; i++)
        pthread_join(crew->threads[i], NULL);
}

static void prepare(struct crew *crew)
{
    const struct kv_age_stream *stream = crew->stream;
    struct stat info;
    crew->waits = fstat(stream->in, &info) || !S_ISREG(info.st_mode);
    /* Fewer, larger reads; what the system does not allow is no loss. */
    (void)fcntl(stream->in, F_SETPIPE_SZ, PIPE_SIZE);
    (void)fcntl(stream->out, F_SETPIPE_SZ, PIPE_SIZE);
    (void)posix_fadvise(stream->in, 0, 0, POSIX_FADV_SEQUENTIAL);
    if (stream->ahead.len)
        memcpy(crew->ahead, stream->ahead.data, stream->ahead.len);
    crew->ahead_len = stream->ahead.len;
}

enum kv_status kv_age_pipeline_run(const struct kv_age_pipeline *pipeline, struct kv_error *err)
{
    struct crew crew = { .pipeline = pipeline,
                         .stream = pipeline->stream,
                         .input = PTHREAD_MUTEX_INITIALIZER,
                         .lock = PTHREAD_MUTEX_INITIALIZER,
                         .turned = PTHREAD_COND_INITIALIZER };
    KV_AUTO_BYTES struct kv_bytes data = { 0 }, ahead = { 0 };
    KV_AUTO_FD int wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    size_t ahead_size = pipeline->stream->ahead.len > AHEAD ? pipeline->stream->ahead.len : AHEAD;
    if (wake < 0)
        return kv_fail(err, KV_INTERNAL, "no event descriptor is to be had: %m");
    if (kv_bytes_alloc(KV_AGE_BATCH * KV_AGE_SEALED_CHUNK, &data) != KV_OK ||
        kv_bytes_alloc(ahead_size, &ahead) != KV_OK)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    struct kv_age_cipher *cipher = kv_age_cipher_open(pipeline->key, pipeline->seal);
    crew.wake = wake;
    crew.ahead = ahead.data;
    prepare(&crew);
    if (cipher)
        lead(&crew, cipher, data.data);
    else
        fail_memory(&crew);
    kv_age_cipher_free(cipher);
    if (crew.status != KV_OK && err)
        *err = crew.err;
    return crew.status;
}
