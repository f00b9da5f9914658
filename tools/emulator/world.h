/* Everything that belongs to one running emulator. */
#ifndef EM_WORLD_H
#define EM_WORLD_H

#include "fault.h"
#include "identity.h"
#include "jwt.h"
#include "log.h"
#include "options.h"
#include "settings.h"
#include "store.h"

struct em_world {
    struct em_options options;
    struct em_settings settings;
    struct em_store store;
    struct em_identities identities;
    struct em_faults faults;
    struct em_log log;
    struct em_signer signer;
    int port, control_port, imds_port;
    const char *former_tenant; /* that the vaults belonged to before: it still gives tokens; NULL: none */
    char *authority;           /* "https://login.localhost:40001" */
};

/* The directory's tenant, which the control API may change while the emulator runs. Never freed, so that whoever reads it may keep it. */
static inline const char *em_tenant(const struct em_world *world)
{
    return __atomic_load_n(&world->options.tenant, __ATOMIC_ACQUIRE);
}

#endif
