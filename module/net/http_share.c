#include "http_private.h"

static void lock(CURL *curl, curl_lock_data what, curl_lock_access access, void *user)
{
    struct kv_http_share *share = user;
    (void)curl;
    (void)access;
    pthread_mutex_lock(&share->locks[what]);
}

static void unlock(CURL *curl, curl_lock_data what, void *user)
{
    struct kv_http_share *share = user;
    (void)curl;
    pthread_mutex_unlock(&share->locks[what]);
}

bool kv_http_share_open(struct kv_http_share *share)
{
    for (size_t i = 0; i < KV_HTTP_SHARE_LOCKS; i++) {
        if (!pthread_mutex_init(&share->locks[i], NULL))
            continue;
        while (i--)
            pthread_mutex_destroy(&share->locks[i]);
        return false;
    }
    return true;
}

void kv_http_share_close(struct kv_http_share *share)
{
    curl_share_cleanup(share->curl);
    for (size_t i = 0; i < KV_HTTP_SHARE_LOCKS; i++)
        pthread_mutex_destroy(&share->locks[i]);
}

/* What a libcurl does not share is no error: then each handle keeps its own. */
static CURLSH *make(struct kv_http_share *share)
{
    CURLSH *curl = curl_share_init();
    if (!curl)
        return NULL;
    if (curl_share_setopt(curl, CURLSHOPT_LOCKFUNC, lock) ||
        curl_share_setopt(curl, CURLSHOPT_UNLOCKFUNC, unlock) ||
        curl_share_setopt(curl, CURLSHOPT_USERDATA, share) ||
        curl_share_setopt(curl, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION) == CURLSHE_NOMEM ||
        curl_share_setopt(curl, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS) == CURLSHE_NOMEM) {
        curl_share_cleanup(curl);
        return NULL;
    }
    return curl;
}

/* With the first handle, for before that nobody needs libcurl to be set up. */
bool kv_http_share_join(struct kv_http_share *share, CURL *curl)
{
    pthread_mutex_lock(&share->locks[CURL_LOCK_DATA_NONE]);
    if (!share->curl)
        share->curl = make(share);
    CURLSH *shared = share->curl;
    pthread_mutex_unlock(&share->locks[CURL_LOCK_DATA_NONE]);
    return shared && !curl_easy_setopt(curl, CURLOPT_SHARE, shared);
}
