#include "base/bytes.h"

#include <stdio.h>
#include <string.h>

char *kv_text_copy(const char *text)
{
    return text ? kv_text_copy_n(text, strlen(text)) : NULL;
}

char *kv_text_copy_n(const char *text, size_t len)
{
    char *copy = len < SIZE_MAX ? malloc(len + 1) : NULL;

    if (!copy)
        return NULL;
    if (len)
        memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

char *kv_text_format(const char *format, ...)
{
    va_list args, again;

    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    char *text = len < 0 ? NULL : malloc((size_t)len + 1);
    if (text)
        vsnprintf(text, (size_t)len + 1, format, again);
    va_end(again);
    va_end(args);
    return text;
}

void kv_text_free(char *text)
{
    if (!text)
        return;
    kv_wipe(text, strlen(text));
    free(text);
}

bool kv_text_fit(char *ret, size_t size, const char *text)
{
    size_t len = text ? strlen(text) : 0;
    bool fits = len < size;

    if (!fits)
        len = 0;
    if (len)
        memcpy(ret, text, len);
    if (size)
        ret[len] = '\0';
    return fits;
}

/* Not tolower(3): what two names are must not hang on the host's locale. */
static unsigned char fold(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

bool kv_text_equal_case(const char *a, const char *b)
{
    if (!a || !b)
        return a == b;
    while (*a && fold(*a) == fold(*b))
        a++, b++;
    return fold(*a) == fold(*b);
}

/* Goes back to the last star only, so it takes no more than len(pattern) * len(text) steps. */
bool kv_text_match(const char *pattern, const char *text)
{
    const char *star = NULL, *retry = NULL;

    if (!pattern || !text)
        return false;
    while (*text) {
        if (*pattern == '*') {
            star = ++pattern;
            retry = text;
        } else if (*pattern && (*pattern == '?' || fold(*pattern) == fold(*text))) {
            pattern++, text++;
        } else if (star) {
            pattern = star;
            text = ++retry;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return !*pattern;
}

void kv_text_one_line(char *text)
{
    for (; *text; text++) {
        bool c1 = *text == '\xc2' && (unsigned char)text[1] >= 0x80 && (unsigned char)text[1] <= 0x9f;
        if ((unsigned char)*text < ' ' || *text == '\x7f' || c1)
            *text = '?';
        if (c1)
            *++text = '?';
    }
}

static bool is_plain(const char *name)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%_+=:,./-";

    return *name && !name[strspn(name, plain)];
}

/* Within ticks a shell leaves everything as it is but a tick. */
struct kv_word kv_word(const char *name)
{
    static const char tick[] = "'\\''";
    struct kv_word word = { "" };
    size_t len = 0;

    if (is_plain(name) && kv_text_fit(word.text, sizeof word.text, name))
        return word;
    word.text[len++] = '\'';
    for (; *name && len + sizeof tick < sizeof word.text; name++) {
        if (*name != '\'') {
            word.text[len++] = *name;
            continue;
        }
        memcpy(word.text + len, tick, sizeof tick - 1);
        len += sizeof tick - 1;
    }
    word.text[len] = '\'';
    return *name ? (struct kv_word){ "NAME" } : word;
}

/* By Unicode's table 3-7: shortest forms, no surrogates, nothing above U+10FFFF. */
size_t kv_view_character(struct kv_view text)
{
    static const struct {
        unsigned char first, last, second_first, second_last, len;
    } rows[] = {
        { 0x00, 0x7f, 0, 0, 1 },       { 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 },
        { 0xe1, 0xec, 0x80, 0xbf, 3 }, { 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 },
        { 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
    };
    const unsigned char *data = text.data;
    size_t row = 0, i = 2;

    while (text.len && row < sizeof rows / sizeof *rows &&
           (data[0] < rows[row].first || data[0] > rows[row].last))
        row++;
    if (!text.len || row == sizeof rows / sizeof *rows || rows[row].len > text.len)
        return 0;
    if (rows[row].len > 1 && (data[1] < rows[row].second_first || data[1] > rows[row].second_last))
        return 0;
    while (i < rows[row].len && (data[i] & 0xc0) == 0x80)
        i++;
    return rows[row].len < 3 || i == rows[row].len ? rows[row].len : 0;
}

void kv_text_utf8(char *text)
{
    for (struct kv_view left = kv_view_text(text); left.len;) {
        size_t len = kv_view_character(left);
        if (!len)
            *text = '?';
        len = len ? len : 1;
        text += len;
        left = (struct kv_view){ left.data + len, left.len - len };
    }
}
