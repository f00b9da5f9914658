#include "json_scan.h"

#include <string.h>

struct scan {
    struct kv_view text;
    size_t at;
    int depth;
};

static bool starts_with(const struct scan *scan, const char *word)
{
    size_t len = strlen(word);

    return scan->text.len - scan->at >= len && !memcmp(scan->text.data + scan->at, word, len);
}

/* From behind the opening quote to the closing one. */
static const char *scan_string(struct scan *scan)
{
    while (scan->at < scan->text.len) {
        unsigned char c = scan->text.data[scan->at];
        size_t len =
            kv_view_character((struct kv_view){ scan->text.data + scan->at, scan->text.len - scan->at });
        if (c == '"')
            return NULL;
        if (c < ' ')
            return "control character in a string";
        if (starts_with(scan, "\\u0000"))
            return "NUL in a string";
        if (!len)
            return "a string that is not UTF-8";
        scan->at += len;
        if (c == '\\' && scan->at < scan->text.len && scan->text.data[scan->at] < 0x80)
            scan->at++;
    }
    return "string without end";
}

/* RFC 8259 §6 has no leading zeros and no bare point; strtod does. */
static const char *scan_number(struct scan *scan)
{
    const char *wrong = "malformed number";
    size_t start = scan->at, digits = 0, at = start;
    const unsigned char *data = scan->text.data;

    at += data[at] == '-';
    for (; at < scan->text.len && data[at] >= '0' && data[at] <= '9'; at++)
        digits++;
    if (!digits || (digits > 1 && data[at - digits] == '0'))
        return wrong;
    if (at < scan->text.len && data[at] == '.' &&
        (at + 1 == scan->text.len || data[at + 1] < '0' || data[at + 1] > '9'))
        return wrong;
    while (at < scan->text.len && data[at] && strchr("0123456789+-.eE", data[at]))
        at++;
    scan->at = at - 1;
    return NULL;
}

static const char *scan_token(struct scan *scan)
{
    unsigned char c = scan->text.data[scan->at];

    if (c == '"') {
        scan->at++;
        return scan_string(scan);
    }
    if ((c == '[' || c == '{') && ++scan->depth > KV_JSON_DEPTH)
        return "nested too deeply";
    if (c == ']' || c == '}')
        scan->depth--;
    if (c == '-' || (c >= '0' && c <= '9'))
        return scan_number(scan);
    if (c < ' ' && c != '\t' && c != '\n' && c != '\r')
        return "control character";
    return NULL;
}

const char *kv_json_scan(struct kv_view text, size_t *ret_at)
{
    struct scan scan = { .text = text };
    const char *wrong = NULL;

    for (; scan.at < text.len && !wrong; scan.at++)
        wrong = scan_token(&scan);
    *ret_at = scan.at;
    return wrong;
}
