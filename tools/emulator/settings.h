/* Numbers that the control API changes while the emulator runs, as a table. Any thread. */
#ifndef EM_SETTINGS_H
#define EM_SETTINGS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <jansson.h>
#include "options.h"

enum em_setting {
    EM_RETRY_AFTER,
    EM_PAGE_SIZE,
    EM_PAGE_HOLES,
    EM_DELETE_LATENCY,
    EM_PURGE_LATENCY,
    EM_RECOVER_LATENCY,
    EM_TOKEN_LIFETIME,
    EM_READONLY,
    EM_LATENCY_MS,
    EM_PUBLIC_OPS,
    EM_CERTIFICATE_LATENCY,
    EM_PURGE_PROTECTION,
    EM_SETTING_COUNT
};

struct em_settings {
    atomic_int value[EM_SETTING_COUNT];
};

void em_settings_init(struct em_settings *settings, const struct em_options *options);
/* All members are checked before any is set. False with a line for the caller. */
bool em_settings_change(struct em_settings *settings, const json_t *change, char ret_why[256]);
json_t *em_settings_show(const struct em_settings *settings);

#endif
