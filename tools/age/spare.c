#include "spare.h"

#include <string.h>
#include "sidecar_mark.h"

static const char type[] = "kvp11-spare";
enum { LINE = KV_AGE_COLUMNS + 1, BYTES = KV_AGE_COLUMNS / 4 * 3, PADS = 4 };

bool kv_age_spare_is(const struct kv_age_stanza *stanza)
{
    static const char grease[] = "-grease";
    const char *is = stanza->arg_count ? stanza->args[0] : "";
    size_t len = strlen(is), tail = sizeof grease - 1;
    return !strcmp(is, type) || !strcmp(is, KV_AGE_SIDECAR_MARK) ||
           (len >= tail && !strcmp(is + len - tail, grease));
}

/* Base64 without padding has no line of 4n + 1 letters, and a full line is never the last one. Where the length asks for such a line, a short argument moves it:
 * *ret_pad is its length, 0: none. */
static bool shape(size_t len, size_t *ret_pad, size_t *ret_body)
{
    const size_t bare = sizeof "-> kvp11-spare\n" - 1 + 1; /* with the line feed of the last line */
    for (size_t pad = 0; pad < PADS; pad++) {
        size_t taken = bare + (pad ? pad + 1 : 0);
        if (len < taken)
            return false;
        size_t lines = (len - taken) / LINE, letters = (len - taken) % LINE;
        *ret_pad = pad;
        *ret_body = lines * BYTES + letters * 3 / 4;
        if (letters < KV_AGE_COLUMNS && letters % 4 != 1)
            return *ret_body <= KV_AGE_BODY_MAX;
    }
    return false;
}

bool kv_age_spare_fits(size_t len)
{
    size_t pad = 0, body = 0;
    return !len || shape(len, &pad, &body);
}

enum kv_status kv_age_spare_make(size_t len, struct kv_age_stanza *ret, struct kv_error *err)
{
    KV_AUTO_BYTES struct kv_bytes zeroes = { 0 };
    size_t pad = 0, body = 0;
    if (!shape(len, &pad, &body))
        return kv_fail(err, KV_ARGUMENTS, "no spare stanza is %zu bytes long", len);
    const char *args[] = { type, &"---"[PADS - 1 - pad] };
    if (kv_bytes_alloc(body, &zeroes) != KV_OK)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    return kv_age_stanza_make(args, pad ? 2 : 1, KV_VIEW(zeroes), ret, err);
}

static enum kv_status wrap(void *state, const unsigned char file_key[KV_AGE_FILE_KEY],
                           struct kv_age_stanza **ret, size_t *ret_count, struct kv_error *err)
{
    KV_AUTO_FREE struct kv_age_stanza *stanza = calloc(1, sizeof *stanza);
    if (!stanza)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    KV_TRY(kv_age_spare_make(KV_AGE_SPARE, stanza, err));
    *ret = kv_take(stanza);
    *ret_count = 1;
    return KV_OK;
}

struct kv_age_recipient kv_age_spare_recipient(void)
{
    return (struct kv_age_recipient){ .wrap = wrap };
}
