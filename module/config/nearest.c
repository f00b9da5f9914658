#include "settings.h"

#include <string.h>

enum { LONGEST = 48 };

static size_t least_of(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;

    return least < c ? least : c;
}

/* How many letters have to be put in, taken out or changed (Levenshtein). Both are at most LONGEST long. */
static size_t distance(const char *a, const char *b)
{
    size_t row[LONGEST + 1], width = strlen(b);

    for (size_t j = 0; j <= width; j++)
        row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t corner = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < width; j++) {
            size_t above = row[j + 1];
            row[j + 1] = least_of(above + 1, row[j] + 1, corner + (a[i] != b[j]));
            corner = above;
        }
    }
    return row[width];
}

const struct kv_setting *kv_setting_nearest(const char *name)
{
    const struct kv_setting *nearest = NULL;
    size_t len = strlen(name), best = len / 3 + 2;

    if (len > LONGEST)
        return NULL;
    for (const struct kv_setting *row = kv_settings; row->info.name; row++) {
        size_t steps = distance(name, row->info.name);
        if (steps < best && steps < len) {
            best = steps;
            nearest = row;
        }
    }
    return nearest;
}
