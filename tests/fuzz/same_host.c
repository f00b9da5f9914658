#include "same_host.h"

#include <curl/curl.h>
#include <strings.h>

static bool part_is(CURLU *url, CURLUPart part, const char *wanted)
{
    char *text = NULL;
    bool same = !curl_url_get(url, part, &text, CURLU_DEFAULT_PORT) && strcasecmp(text, wanted) == 0;
    curl_free(text);
    return same;
}

bool fuzz_goes_to(const char *text, const char *host, const char *port)
{
    CURLU *url = curl_url();
    MUST(url);
    /* What libcurl does not take, it does not dial. */
    bool fine = curl_url_set(url, CURLUPART_URL, text, CURLU_GUESS_SCHEME) != CURLUE_OK ||
                (part_is(url, CURLUPART_SCHEME, "https") && part_is(url, CURLUPART_HOST, host) &&
                 part_is(url, CURLUPART_PORT, port));
    curl_url_cleanup(url);
    return fine;
}
