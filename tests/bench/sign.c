/* Remote signatures: C_SignInit + C_Sign on warm sessions ÷ the same POST by a bare libcurl loop, as many threads each. */
#include "bench.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <curl/curl.h>

/* A worker signs `count` times between the two barriers; the clock runs from one to the other. */
struct worker {
    const struct bench_args *args;
    const struct bench_module *module;
    pthread_barrier_t *start, *end;
    CK_SESSION_HANDLE session;
    CK_OBJECT_HANDLE key;
    CURL *curl;
    struct curl_slist *headers;
    unsigned failures;
};

static const char body[] = "{\"alg\":\"RS256\",\"value\":\"RBNvo1WzZ4oRRq0W9-hknpT7T8If536DEMBg9hyq_4o\"}";

static size_t swallow(char *data __attribute__((unused)), size_t size, size_t count, void *filled)
{
    *(size_t *)filled += size * count;
    return size * count;
}

static void sign_ours(struct worker *w)
{
    static const CK_BYTE message[32] = { 1, 2, 3 };
    CK_MECHANISM mechanism = { CKM_SHA256_RSA_PKCS, NULL, 0 };
    CK_BYTE signature[512];
    CK_ULONG len = sizeof signature;
    CK_RV rv = w->module->f->C_SignInit(w->session, &mechanism, w->key);
    if (rv == CKR_OK)
        rv = w->module->f->C_Sign(w->session, (CK_BYTE_PTR)message, sizeof message, signature, &len);
    w->failures += rv != CKR_OK || len != 256;
}

static void sign_bare(struct worker *w)
{
    long status = 0;
    size_t filled = 0;
    curl_easy_setopt(w->curl, CURLOPT_WRITEDATA, &filled);
    CURLcode rc = curl_easy_perform(w->curl);
    curl_easy_getinfo(w->curl, CURLINFO_RESPONSE_CODE, &status);
    w->failures += rc != CURLE_OK || status != 200 || filled < 300;
}

static void *work(struct worker *w, void (*once)(struct worker *))
{
    once(w); /* connections and tokens are warm before the clock starts */
    pthread_barrier_wait(w->start);
    for (unsigned i = 0; i < w->args->count; i++)
        once(w);
    pthread_barrier_wait(w->end);
    return NULL;
}

static void *work_ours(void *worker)
{
    return work(worker, sign_ours);
}

static void *work_bare(void *worker)
{
    return work(worker, sign_bare);
}

static void open_bare(struct worker *w)
{
    char authorization[4096];
    snprintf(authorization, sizeof authorization, "Authorization: Bearer %s", w->args->bearer);
    w->headers = curl_slist_append(NULL, authorization);
    w->headers = curl_slist_append(w->headers, "Content-Type: application/json");
    w->headers = curl_slist_append(w->headers, "Accept: application/json");
    w->headers =
        curl_slist_append(w->headers, "x-ms-client-request-id: 7c0f9e52-33b1-4f0e-9a51-0d5f3c1f7a11");
    w->headers = curl_slist_append(w->headers, "User-Agent: kvp11-bench");
    w->curl = curl_easy_init();
    curl_easy_setopt(w->curl, CURLOPT_URL, w->args->url);
    curl_easy_setopt(w->curl, CURLOPT_HTTPHEADER, w->headers);
    curl_easy_setopt(w->curl, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(w->curl, CURLOPT_CAINFO, w->args->ca_file);
    curl_easy_setopt(w->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(w->curl, CURLOPT_WRITEFUNCTION, swallow);
}

/* Signatures a second of all threads together. */
static double round_of(struct worker *workers, unsigned threads, void *(*run)(void *))
{
    pthread_barrier_t start, end;
    pthread_t *ids = calloc(threads, sizeof *ids);
    if (!ids)
        bench_die("out of memory", 0);
    pthread_barrier_init(&start, NULL, threads + 1);
    pthread_barrier_init(&end, NULL, threads + 1);
    for (unsigned i = 0; i < threads; i++) {
        workers[i].start = &start;
        workers[i].end = &end;
        if (pthread_create(&ids[i], NULL, run, &workers[i]))
            bench_die("pthread_create", i);
    }
    pthread_barrier_wait(&start);
    double began = bench_now();
    pthread_barrier_wait(&end);
    double took = bench_now() - began;
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(ids[i], NULL);
        if (workers[i].failures)
            bench_die("operations failed", workers[i].failures);
    }
    pthread_barrier_destroy(&start);
    pthread_barrier_destroy(&end);
    free(ids);
    return threads * workers[0].args->count / took;
}

void bench_sign(const struct bench_args *args)
{
    struct bench_module module = bench_open(args);
    struct worker *workers = calloc(args->threads, sizeof *workers);
    double *ours = calloc(args->rounds, sizeof *ours), *bare = calloc(args->rounds, sizeof *bare);
    double *ratios = calloc(args->rounds, sizeof *ratios);
    if (!workers || !ours || !bare || !ratios)
        bench_die("out of memory", 0);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    for (unsigned i = 0; i < args->threads; i++) {
        workers[i] = (struct worker){ .args = args, .module = &module };
        workers[i].session = bench_session(&module);
        workers[i].key = bench_find(&module, workers[i].session, CKO_PRIVATE_KEY, args->key_label);
        open_bare(&workers[i]);
    }
    for (unsigned r = 0; r < args->rounds; r++) {
        ours[r] = round_of(workers, args->threads, work_ours);
        bare[r] = round_of(workers, args->threads, work_bare);
        ratios[r] = ours[r] / bare[r];
    }
    printf("{\"threads\":%u,\"ours_per_second\":%.1f,\"bare_per_second\":%.1f,\"ratio\":%.3f}\n",
           args->threads, bench_median(ours, args->rounds), bench_median(bare, args->rounds),
           bench_median(ratios, args->rounds));
    for (unsigned i = 0; i < args->threads; i++) {
        curl_easy_cleanup(workers[i].curl);
        curl_slist_free_all(workers[i].headers);
    }
    module.f->C_Finalize(NULL);
    free(workers);
    free(ours);
    free(bare);
    free(ratios);
}
