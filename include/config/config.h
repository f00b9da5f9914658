/* The configuration as plain values, already validated. One INI file: [kvp11] for what holds for all, a section a vault (its
 * name is the token label). Immutable once loaded; belongs to who loaded it; any thread may read it. The rows of every setting
 * (name, type, default, help) stand in module/config/keys.c, which the parser, `kvp11 config` and the man page read. */
#ifndef KV_CONFIG_CONFIG_H
#define KV_CONFIG_CONFIG_H

#include "base/bytes.h"

enum kv_adopt { KV_ADOPT_AUTO, KV_ADOPT_MANUAL };
enum kv_old_versions { KV_OLD_ALL, KV_OLD_OPEN_ONLY, KV_OLD_NONE };
enum kv_certificates { KV_CERTIFICATES_VAULT, KV_CERTIFICATES_NONE };
enum kv_random { KV_RANDOM_LOCAL, KV_RANDOM_HSM, KV_RANDOM_NONE };
enum kv_pin { KV_PIN_NONE, KV_PIN_CLIENT_SECRET, KV_PIN_PKCS12_PASSWORD };
enum kv_token_store { KV_TOKENS_MEMORY, KV_TOKENS_KEYRING };
enum kv_new_keys { KV_NEW_SOFTWARE, KV_NEW_HSM };
enum kv_assertion { KV_ASSERTION_PS256, KV_ASSERTION_RS256 };
enum kv_tls_min { KV_TLS_1_2, KV_TLS_1_3 };
enum kv_http_version { KV_HTTP_1_1, KV_HTTP_2, KV_HTTP_AUTO };
enum kv_address_family { KV_FAMILY_ANY, KV_FAMILY_IPV4, KV_FAMILY_IPV6 };
enum kv_cloud {
    KV_CLOUD_AUTO,
    KV_CLOUD_PUBLIC,
    KV_CLOUD_CHINA,
    KV_CLOUD_US_GOVERNMENT,
    KV_CLOUD_BLEU,
    KV_CLOUD_DELOS,
    KV_CLOUD_GOVSG
};

enum { KV_RATE_AUTO = -1, KV_RATE_OFF = 0 };
enum { KV_FAILOVER_MAX = 8 }; /* names of one `failover` */

struct kv_pair_list { /* "name=value" or plain words, in order */
    char **items;
    size_t count;
};

struct kv_vault_config {
    char *name;       /* section = token label, 1–32 bytes */
    char *url;        /* "https://prod.vault.azure.net[:port]": lower-case host, no path, no trailing slash */
    char *host;       /* "prod.vault.azure.net" */
    bool managed_hsm; /* by the host's second label ("managedhsm"), or set */
    char *api_version;        /* "7.6" */
    struct kv_pair_list keys; /* name patterns; empty: all */
    enum kv_old_versions old_versions;
    enum kv_adopt adopt;
    enum kv_certificates certificates;
    char *certificate_folder; /* NULL: none */
    bool self_signed;

    char *credential; /* names of kinds, one or more, or "default": "workload-identity managed-identity" */
    char *token_credentials; /* which of them "default" tries; NULL: all */

    char *tenant;        /* NULL: as the challenge says */
    char *client_id;     /* application or user-assigned identity; NULL: none */
    char *client_secret; /* from the file or the environment; secret */
    char *client_secret_file;
    int64_t client_secret_expires;     /* unix seconds, 0: not told */
    char *client_certificate;          /* path: PEM or PKCS#12 */
    char *client_certificate_password; /* from its file or the environment; secret */
    char *client_certificate_password_file;
    char *client_key; /* path of a PEM file, or a pkcs11: URI; NULL: beside the certificate */
    char *client_key_module, *client_key_pin_file;
    enum kv_assertion assertion_algorithm;
    bool send_certificate_chain;
    char *federated_token_file;
    char *token_file;
    char *authority; /* NULL: the challenge's, if its host is one of the cloud's */
    enum kv_cloud cloud;
    struct kv_pair_list additionally_allowed_tenants; /* "*": any */
    bool continuous_access;
    enum kv_pin pin; /* the secret of the credential is the PIN of C_Login */
    enum kv_token_store token_cache;
    char *imds_endpoint; /* "http://169.254.169.254" */
    bool disable_challenge_resource_verification;
    bool has_operator; /* [NAME.operator] is there */
    bool as_operator;  /* and the credential above is its */

    /* Of a managed identity: its other names, and what the host's environment says about who hands out its tokens; NULL where it does not. */
    char *object_id, *resource_id;
    char *identity_source; /* "auto", or the one service that is asked */
    char *identity_endpoint, *identity_thumbprint, *msi_endpoint, *ml_client_id;
    char *identity_header, *msi_secret; /* secret */
    char *arc_imds_endpoint;            /* that it is set is all that counts */

    char *azure_cli;    /* "az", or its path */
    char *subscription; /* NULL: as the Azure CLI is set up */

    char *ca_file;               /* NULL: the system's store */
    struct kv_pair_list resolve; /* "host:port:address", as curl's --resolve */
    char *proxy;                 /* "environment", "none", or its address with its port */
    enum kv_tls_min tls_min;
    enum kv_http_version http_version;
    char *pin_certificate; /* "sha256//…;sha256//…"; NULL: any that is trusted */
    enum kv_address_family address_family;
    char *interface;                        /* its name, or an address of this host; NULL: as routes say */
    int64_t connect_timeout_ms, timeout_ms; /* timeout: the whole call */
    int64_t idle_ms;                        /* a connection idle for longer is not used again */
    int64_t max_connections;
    int64_t rate_limit;                   /* transactions in ten seconds, KV_RATE_AUTO or KV_RATE_OFF */
    struct kv_pair_list read_only_errors; /* patterns */
    struct kv_pair_list failover;         /* names of other vaults of this configuration */
    bool failover_secret_keys;
    int64_t failover_pause_ms;

    int64_t refresh_seconds;
    bool ledger, decrypt_fallback;
    int64_t decrypt_fallback_limit;
    bool rsa1_5, rsnull, hsm_hmac, session_ciphers, digests;
    bool manage, new_version;
    enum kv_new_keys new_keys;
    enum kv_random random;
};

struct kv_config {
    char *path; /* file it came from; NULL: environment alone */
    char *map;  /* path of the version map; "none": keep nothing */
    char *log, *audit;
    int log_level;      /* enum kv_log_level */
    char *surroundings; /* what of the environment may decide who a credential is; nothing secret */
    struct kv_vault_config *vaults;
    size_t vault_count;
};

/* Where to read: `reserved` is C_Initialize's pReserved (p11-kit's x-init-reserved): "config=/path" and further settings of [kvp11],
 * separated by spaces; NULL: none. `path` (the tool's --config) wins over everything; NULL: the search order
 * pReserved, KVP11_CONFIG, $XDG_CONFIG_HOME/kvp11/kvp11.conf (or ~/.config), /etc/kvp11/kvp11.conf. Neither file nor KVP11_VAULT_URL: zero vaults, KV_OK.
 * KV_CONFIG with "file:line: …, remedy" for an unknown key, a bad value, a duplicate, a file that others can write. */
struct kv_config_source {
    const char *path;
    const char *reserved;
    bool
        operators; /* vaults with a section [NAME.operator] get its credential; else its files are not even opened */
};
KV_MUST_USE enum kv_status kv_config_load(const struct kv_config_source *source, struct kv_config **ret,
                                          struct kv_error *err);
void kv_config_free(struct kv_config *config);
KV_DEFINE_CLEANUP(struct kv_config, kv_config_free)
#define KV_AUTO_CONFIG KV_CLEANUP(kv_config_free_cleanup)

/* A secret from its file: at most 4096 bytes, one newline at the end dropped. KV_CONFIG with the cause and the remedy: it cannot be read, or
 * others can (include/base/file.h). kv_text_free. kv_config_load reads client_secret_file and
 * client_certificate_password_file with it too, but a failure there only leaves the secret NULL: who needs a token calls this for the reason. */
KV_MUST_USE enum kv_status kv_config_secret_file(const char *path, char **ret, struct kv_error *err);

/* The same vault with the PIN of C_Login in the place that `pin` names. Shallow: it borrows from both and is not freed. */
void kv_config_put_pin(const struct kv_vault_config *vault, char *pin, struct kv_vault_config *ret);

/* Which settings make a credential: they may stand in [NAME.operator]. WHERE tells who is asked for a token, and holds for the operator, too, unless
 * it says otherwise; WHO tells whose token. */
enum kv_credential_part { KV_CREDENTIAL_NONE, KV_CREDENTIAL_WHERE, KV_CREDENTIAL_WHO };

/* A copy of the environment for a program of the host's that is to be run, without what is a secret here; ends with NULL. NULL: no memory. */
char **kv_config_child_environment(void);
void kv_config_child_environment_free(char **environment);

/* One setting, for `kvp11 config` and the lint: NULL past the last. */
struct kv_setting_info {
    const char *section; /* "kvp11" or "vault" */
    const char *name, *type, *standard, *help;
    bool secret;
    enum kv_credential_part credential;
};
const struct kv_setting_info *kv_config_setting(size_t i);
/* The value of a setting as text ("" where unset; secrets as "(set)"); `vault` NULL for [kvp11]. NULL: no such setting there. kv_text_free. */
char *kv_config_value(const struct kv_config *config, const struct kv_vault_config *vault, const char *name);

#endif
