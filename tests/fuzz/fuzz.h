/* What the fuzz targets share. A target is one file fuzz_<name>.c with LLVMFuzzerTestOneInput: linked with libFuzzer it is fuzzed, linked with replay.c it
 * replays its seeds as a plain test. What must hold is said by MUST, which ends the program. */
#ifndef KV_TESTS_FUZZ_H
#define KV_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *count, char ***arguments) __attribute__((weak));

#define MUST(holds)                                                                                          \
    do {                                                                                                     \
        if (!(holds)) {                                                                                      \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #holds);                        \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

/* A copy of exactly this size with a NUL behind, so that a sanitizer sees every step too far. free(). */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    MUST(text);
    if (size)
        memcpy(text, data, size);
    text[size] = 0;
    return text;
}

/* Of a vault that every target asks. */
#define FUZZ_HOST    "prod.vault.azure.net"
#define FUZZ_VAULT   "https://" FUZZ_HOST
#define FUZZ_KEY     "backup-kek"
#define FUZZ_VERSION "0123456789abcdef0123456789abcdef"

static inline bool fuzz_is_line(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == '\x7f')
            return false;
    return true;
}

#endif
