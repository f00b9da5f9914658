/* What hands out the tokens of managed identities: one file each, and the table of managed_identity.c, which has them in the order in which
 * they are looked for (contract §14.4). Private to auth. Any thread. */
#ifndef KV_AUTH_MANAGED_H
#define KV_AUTH_MANAGED_H

#include "oauth.h"

enum kv_managed_by { KV_BY_CLIENT, KV_BY_OBJECT, KV_BY_RESOURCE, KV_BY_COUNT };

struct kv_managed_ask { /* borrowed */
    const struct kv_credential_request *request;
    const char *resource;       /* "https://vault.azure.net" */
    const char *parameter, *id; /* of a user-assigned identity; NULL: the machine's own */
    const char *key_folder;     /* where Azure Arc's agent puts its keys; tests have another one */
};

struct kv_managed_source {
    const char *name; /* the word of `identity_source` */
    const char *(*missing)(
        const struct kv_vault_config *config); /* NULL: this host has it; else what is not set */
    const char *(*endpoint)(const struct kv_vault_config *config); /* for people */
    const char *parameters[KV_BY_COUNT]; /* what it calls a user-assigned identity; NULL: takes none so */
    bool echo; /* a reply must name the user-assigned identity, for older ones pass over the parameter */
    /* KV_OK whenever a reply came, whatever its status. */
    enum kv_status (*ask)(const struct kv_managed_ask *ask, struct kv_http_reply *ret, struct kv_error *err);
};

/* One request: GET with everything in the query, or POST of a form when there is no api_version. */
struct kv_managed_form {
    const char *endpoint, *api_version;
    struct kv_http_header header;
    const char *authorization; /* NULL: none */
    const char *pin_sha1;
    const int *repeat;
    int64_t gone_ms, connect_timeout_ms;
    bool (*absent)(enum kv_status status, const struct kv_http_reply *reply);
};
KV_MUST_USE enum kv_status kv_managed_send(const struct kv_managed_ask *ask,
                                           const struct kv_managed_form *form, struct kv_http_reply *ret,
                                           struct kv_error *err);

/* The one of this configuration, or the first that this host has. KV_CREDENTIAL: the one that was named is not there. */
KV_MUST_USE enum kv_status kv_managed_choose(const struct kv_vault_config *config,
                                             const struct kv_managed_source **ret, struct kv_error *err);
/* A token from it: `key_folder` as above. */
KV_MUST_USE enum kv_status kv_managed_acquire(const struct kv_credential_request *request,
                                              const char *key_folder, struct kv_access_token *ret,
                                              struct kv_error *err);

#define KV_DEFINE_SOURCE(source) extern const struct kv_managed_source kv_managed_##source;
KV_DEFINE_SOURCE(service_fabric)
KV_DEFINE_SOURCE(app_service)
KV_DEFINE_SOURCE(azure_ml)
KV_DEFINE_SOURCE(cloud_shell)
KV_DEFINE_SOURCE(arc)
KV_DEFINE_SOURCE(imds)
#undef KV_DEFINE_SOURCE

#endif
