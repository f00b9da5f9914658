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

/* How many bytes the character here has, by Unicode's table 3-7: shortest forms, no surrogates, nothing above U+10FFFF. 0: it is none. */
static size_t character_length(const struct scan *scan)
{
    static const struct {
        unsigned char first, last, second_first, second_last, len;
    } rows[] = {
        { 0x00, 0x7f, 0, 0, 1 },       { 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 },
        { 0xe1, 0xec, 0x80, 0xbf, 3 }, { 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 },
        { 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
    };
    const unsigned char *data = scan->text.data + scan->at;
    size_t left = scan->text.len - scan->at, row = 0, i = 2;

    while (row < sizeof rows / sizeof *rows && (data[0] < rows[row].first || data[0] > rows[row].last))
        row++;
    if (row == sizeof rows / sizeof *rows || rows[row].len > left)
        return 0;
    if (rows[row].len > 1 && (data[1] < rows[row].second_first || data[1] > rows[row].second_last))
        return 0;
    while (i < rows[row].len && (data[i] & 0xc0) == 0x80)
        i++;
    return rows[row].len < 3 || i == rows[row].len ? rows[row].len : 0;
}

/* From behind the opening quote to the closing one. */
static const char *scan_string(struct scan *scan)
{
    while (scan->at < scan->text.len) {
        unsigned char c = scan->text.data[scan->at];
        size_t len = character_length(scan);
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
