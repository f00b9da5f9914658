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
