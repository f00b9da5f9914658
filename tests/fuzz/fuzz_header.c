/* The head of a reply, line by line as libcurl hands it over: the challenge in it, and when to ask again. */
#include "fuzz.h"
#include "auth/challenge.h"
#include "net/retry.h"
#include "reply.h"
#include "same_host.h"

#include <strings.h>

static const char *host_of(const char *url, char *ret, size_t size)
{
    const char *from = strstr(url, "://");
    from = from ? from + 3 : url;
    size_t len = strcspn(from, ":/?#");
    MUST(len < size);
    memcpy(ret, from, len);
    ret[len] = 0;
    return ret;
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), size = strlen(end);
    return len > size && !strcasecmp(text + len - size, end);
}

/* A challenge that passes names one of Microsoft's authorities and a resource above this vault; contract §4.2. */
static void check_accepted(const struct kv_challenge *challenge)
{
    static const char *const known[] = {
        ".microsoftonline.com",  ".windows.net",          ".microsoft.com",     ".microsoftonline.cn",
        ".chinacloudapi.cn",     ".microsoftonline.us",   ".usgovcloudapi.net", ".sovcloud-identity.fr",
        ".sovcloud-identity.de", ".sovcloud-identity.sg",
    };
    char authority[256], resource[256];
    bool found = false;
    host_of(challenge->authority, authority, sizeof authority);
    host_of(challenge->scope, resource, sizeof resource);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        found = found || ends_with(authority, known[i]);
    MUST(found);
    MUST(fuzz_goes_to(challenge->authority, authority, "443"));
    size_t len = strlen(resource), whole = strlen(FUZZ_HOST);
    MUST(len < whole && FUZZ_HOST[whole - len - 1] == '.');
    MUST(kv_text_equal_case(&FUZZ_HOST[whole - len], resource));
    MUST(strspn(challenge->tenant, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") ==
         strlen(challenge->tenant));
}

static void read_challenge(const struct kv_http_reply *reply)
{
    struct kv_challenge challenge;
    struct kv_error err = { 0 };
    if (kv_challenge_parse(reply->challenges, reply->challenge_count, &challenge, &err) != KV_OK)
        return;
    struct kv_challenge_policy policy = { .request_host = FUZZ_HOST };
    if (kv_challenge_check(&challenge, &policy, &err) == KV_OK)
        check_accepted(&challenge);
    else
        MUST(err.text[0] && fuzz_is_line(err.text));
}

static void read_wait(const struct kv_http_reply *reply, int http)
{
    struct kv_retry_input input = {
        .attempt = 1,
        .idempotent = true,
        .http = http,
        .retry_after = reply->retry_after,
        .retry_after_ms = reply->retry_after_ms,
        .unix_seconds = 1800000000,
        .left_ms = 30000,
        .jitter = 0.5,
    };
    struct kv_retry_verdict verdict = kv_retry_decide(&input);
    MUST(verdict.wait_ms >= 0);
    MUST(!verdict.again || verdict.wait_ms < input.left_ms);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kv_reply reply = { .body.limit = 1024 };
    for (size_t at = 0; at < size;) {
        const uint8_t *end = memchr(data + at, '\n', size - at);
        size_t len = end ? (size_t)(end - data) + 1 - at : size - at;
        char *line = fuzz_text(data + at, len);
        size_t taken = kv_reply_header(line, 1, len, &reply);
        MUST(taken == len || reply.refused);
        free(line);
        at += len;
    }
    MUST(fuzz_is_line(reply.http.request_id));
    read_challenge(&reply.http);
    read_wait(&reply.http, 429);
    read_wait(&reply.http, 503);
    kv_reply_free(&reply);
    return 0;
}
