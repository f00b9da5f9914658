/* Small helpers of the emulator: owned text, JSON access, GUIDs, percent decoding, files. Running out of memory ends
 * the program with a message: it is a test tool and has nothing to save but what is on disk already. Any thread. */
#ifndef EM_UTIL_H
#define EM_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <jansson.h>
#include "crypto.h"

static inline void em_clean_text(char **text)
{
    free(*text);
}

static inline void em_clean_json(json_t **json)
{
    json_decref(*json);
}

static inline void em_clean_file(FILE **file)
{
    if (*file)
        fclose(*file);
}

/* Locals that are released when their scope ends; some only own what others point into. */
#define AUTO_TEXT __attribute__((cleanup(em_clean_text), unused)) char *
#define AUTO_JSON __attribute__((cleanup(em_clean_json))) json_t *
#define AUTO_BLOB __attribute__((cleanup(em_blob_free))) struct em_blob
#define AUTO_FILE __attribute__((cleanup(em_clean_file))) FILE *

#define EM_COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { EM_GUID_SIZE = 37 };

/* One line on stderr, then exit 1. */
void em_die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
/* Never NULL: memory or the end. */
void *em_alloc(size_t size);
void *em_grow(void *array, size_t count, size_t *room, size_t size);
char *em_copy(const char *text);
char *em_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
json_t *em_json(json_t *json); /* the same, or the end when NULL */

bool em_same(const char *a, const char *b); /* ASCII case does not count */
bool em_starts(const char *text, const char *prefix);
/* Comma list: does it hold the word? */
bool em_listed(const char *list, const char *word);

void em_guid(char ret[EM_GUID_SIZE]);       /* random, version 4 */
void em_guid_timed(char ret[EM_GUID_SIZE]); /* version 1, as Managed HSM names its activities */
void em_guid_of(const char *text, char ret[EM_GUID_SIZE]); /* the same text, the same GUID */
void em_hex_random(char *ret, size_t digits);

/* %XX in place; plus: '+' means a blank (forms). */
void em_unescape(char *text, bool plus);
char *em_lower(char *text);

/* "P1Y2M3DT4H5M6S" added to a time, by the calendar in UTC; false when it is no ISO 8601 duration. */
bool em_duration_add(const char *duration, int64_t from, int64_t *ret);

/* The whole file, NUL-terminated; NULL with errno. */
char *em_file_read(const char *path, size_t *ret_len);
/* Written beside, synchronised when `durable`, renamed over; false with errno. */
bool em_file_write(const char *path, const char *data, unsigned mode, bool durable);
/* Every missing folder of the path, mode 0700. */
bool em_folder_make(const char *path);

#endif
