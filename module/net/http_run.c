#include "http_private.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>

enum { POLL_MS = 1000, CONNECT_POLL_MS = 20 };

static void wake(void *multi)
{
    (void)!curl_multi_wakeup(multi);
}

static CURLcode result_of(CURLM *multi)
{
    int left;
    const CURLMsg *message = curl_multi_info_read(multi, &left);
    return message && message->msg == CURLMSG_DONE ? message->data.result : CURLE_OUT_OF_MEMORY;
}

/* libcurl knows its own times, and wakes before POLL_MS. But 7.88 waits for no socket between two addresses of a host: when one refuses it goes on
 * to the next at its next timer, which may be half the deadline away. So it is asked again soon until it has a connection. */
static int poll_ms(CURL *curl)
{
    curl_off_t connected_us = 0;
    curl_easy_getinfo(curl, CURLINFO_PRETRANSFER_TIME_T, &connected_us);
    return connected_us ? POLL_MS : CONNECT_POLL_MS;
}

/* What curl_easy_perform does, but for the wish to cancel: it wakes us, and the half-done transfer takes its connection along. */
static CURLcode run(struct kv_http_handle *handle, struct kv_deadline deadline)
{
    int64_t left_ms = kv_deadline_left(deadline);
    if (curl_multi_add_handle(handle->multi, handle->curl))
        return CURLE_OUT_OF_MEMORY;
    int running = 1;
    CURLMcode code = CURLM_OK;
    do {
        code = curl_multi_perform(handle->multi, &running);
        if (running && !code)
            code = curl_multi_poll(handle->multi, NULL, 0, poll_ms(handle->curl), NULL);
    } while (running && !code && !kv_cancel_wished(deadline.cancel));
    CURLcode result = CURLE_ABORTED_BY_CALLBACK;
    if (code)
        result = CURLE_OUT_OF_MEMORY;
    else if (!running)
        result = result_of(handle->multi);
    if (!result)
        kv_http_socket_keep(handle->curl, left_ms);
    curl_multi_remove_handle(handle->multi, handle->curl);
    return result;
}

static CURLcode run_watched(struct kv_http_handle *handle, struct kv_deadline deadline)
{
    struct kv_cancel_watch watch = { .wake = wake, .user = handle->multi };
    kv_cancel_watch(deadline.cancel, &watch);
    CURLcode code = run(handle, deadline);
    kv_cancel_unwatch(deadline.cancel, &watch);
    return code;
}

/* libcurl writes with MSG_NOSIGNAL; TLS libraries need not. A SIGPIPE that the host had pending already, which it can only have while it blocks
 * the signal, stays. */
CURLcode kv_http_run(struct kv_http_handle *handle, struct kv_deadline deadline)
{
    sigset_t pipe, before, pending;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, &before);
    bool stays = sigismember(&before, SIGPIPE) && !sigpending(&pending) && sigismember(&pending, SIGPIPE);
    CURLcode code = run_watched(handle, deadline);
    static const struct timespec now = { 0 };
    while (!stays && sigtimedwait(&pipe, NULL, &now) < 0 && errno == EINTR)
        continue;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code;
}
