/* Configuration files for tests, in a world that sets nothing itself. */
#ifndef KV_TESTS_CONFIG_HELP_H
#define KV_TESTS_CONFIG_HELP_H

#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

/* Whatever the host's user has set for us or for Azure's tools. */
static inline void clear_environment(void)
{
    static const char *const prefixes[] = { "KVP11_", "AZURE_", "XDG_" };
    for (size_t i = 0; environ[i];) {
        KV_AUTO_TEXT char *name = kv_text_copy_n(environ[i], strcspn(environ[i], "="));
        bool ours = false;
        for (size_t p = 0; name && p < sizeof prefixes / sizeof *prefixes; p++)
            ours = ours || !strncmp(name, prefixes[p], strlen(prefixes[p]));
        if (ours)
            unsetenv(name); /* the next one takes its place */
        else
            i++;
    }
}

static inline void write_file(const char *path, const char *text, mode_t mode)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(path, mode), 0);
}

/* NULL: KV_CONFIG. */
static inline struct kv_config *load_file(const char *path, bool operators, struct kv_error *err)
{
    struct kv_config *config = NULL;
    struct kv_config_source source = { .path = path, .operators = operators };
    enum kv_status status = kv_config_load(&source, &config, err);
    assert_true(status == (config ? KV_OK : KV_CONFIG));
    return config;
}

#endif
