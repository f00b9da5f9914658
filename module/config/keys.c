#include "settings.h"
#include "base/log.h"

/* One row a setting: the parser, `kvp11 config`, the check of the manual page and the environment
 * (KVP11_<NAME>) read it. */
#define KVP11(name, type, standard, help) .info = { "kvp11", name, type, standard, help, false }
#define VAULT(name, type, standard, help) .info = { "vault", name, type, standard, help, false }
#define WHO(name, type, standard, help)                                                                      \
    .info = { "vault", name, type, standard, help, false, KV_CREDENTIAL_WHO }
#define WHERE(name, type, standard, help)                                                                    \
    .info = { "vault", name, type, standard, help, false, KV_CREDENTIAL_WHERE }
#define IN_KVP11(field) .offset = offsetof(struct kv_config, field)
#define IN_VAULT(field) .offset = offsetof(struct kv_vault_config, field)

/* clang-format off */
/* KV_CREDENTIAL_WORDS: "default" and the kinds that module/auth/meson.build lists. */
const struct kv_setting kv_settings[] = {
    { KVP11("map", "none|path", "",
            "file of the version map; unset: /var/lib/kvp11/map.db for root, else one of the user's own"),
      KV_SETTING_PATH, IN_KVP11(map), .example = "/var/lib/kvp11/map.db" },
    { KVP11("log", "none|stderr|syslog|path", "none", "where lines for people go"),
      KV_SETTING_PATH, IN_KVP11(log), .example = "/var/log/kvp11.log" },
    { KVP11("log_level", "error|warn|info|debug", "warn", "the least important line that is still written"),
      KV_SETTING_CHOICE, IN_KVP11(log_level) },
    { KVP11("audit", "none|path", "none",
            "file of the audit record, one JSON object for each attempt at a vault"),
      KV_SETTING_PATH, IN_KVP11(audit), .example = "/var/log/kvp11-audit.json" },

    { VAULT("url", "url", "", "the vault's address, as the portal shows it"),
      KV_SETTING_VAULT_URL, IN_VAULT(url), .example = "https://NAME.vault.azure.net" },
    { VAULT("managed_hsm", "auto|yes|no", "auto", "whether this is a Managed HSM; auto: by the host name"),
      KV_SETTING_HSM, IN_VAULT(managed_hsm) },
    { VAULT("api_version", "text", "7.6", "the api-version of every request"),
      KV_SETTING_TEXT, IN_VAULT(api_version) },
    { VAULT("keys", "patterns", "", "names of the keys to show, with * and ?; unset: all"),
      KV_SETTING_PATTERNS, IN_VAULT(keys), .example = "backup-* signing" },
    { VAULT("old_versions", "all|open-only|none", "all",
            "older versions: all, only for decrypt, unwrap and verify, or none"),
      KV_SETTING_CHOICE, IN_VAULT(old_versions) },
    { VAULT("certificates", "vault|none", "vault",
            "whether the certificates that the vault keeps beside its keys are shown"),
      KV_SETTING_CHOICE, IN_VAULT(certificates) },
    { VAULT("certificate_folder", "path", "",
            "folder of certificates in PEM or DER for keys of this vault, and of their issuers"),
      KV_SETTING_PATH, IN_VAULT(certificate_folder), .example = "/etc/kvp11/certificates" },
    { VAULT("self_signed", "yes|no", "no",
            "make a certificate, once, for each version that has no other"),
      KV_SETTING_FLAG, IN_VAULT(self_signed) },

    { WHO("credential", KV_CREDENTIAL_WORDS, "default",
            "how to get an access token: one way, or several to try in this order"),
      KV_SETTING_WORDS, IN_VAULT(credential) },
    { WHO("token_credentials", "text", "",
            "which of the ways `default` tries: prod, dev, or the name of one; unset: all"),
      KV_SETTING_TEXT, IN_VAULT(token_credentials), .example = "prod", .fallback = "AZURE_TOKEN_CREDENTIALS" },
    { WHERE("tenant", "text", "", "tenant of the application; unset: as the vault says"),
      KV_SETTING_TEXT, IN_VAULT(tenant), .example = "11111111-2222-3333-4444-555555555555",
      .fallback = "AZURE_TENANT_ID" },
    { WHO("client_id", "text", "", "application, or user-assigned identity"),
      KV_SETTING_TEXT, IN_VAULT(client_id), .example = "11111111-2222-3333-4444-555555555555",
      .fallback = "AZURE_CLIENT_ID" },
    { .info = { "vault", "client_secret", "secret", "",
            "from client_secret_file or the environment; a secret never stands in this file", true,
              KV_CREDENTIAL_WHO },
      KV_SETTING_SECRET, IN_VAULT(client_secret) },
    { WHO("client_secret_file", "path", "",
            "file that holds the application's secret and that only its owner can read"),
      KV_SETTING_PATH, IN_VAULT(client_secret_file), .example = "/etc/kvp11/secret" },
    { WHO("token_file", "path", "", "file that holds an access token, for static-token"),
      KV_SETTING_PATH, IN_VAULT(token_file), .example = "/run/kvp11/token" },
    { WHERE("authority", "url", "",
            "where tokens come from; unset: as the vault says, if it is one of Microsoft's"),
      KV_SETTING_AUTHORITY, IN_VAULT(authority), .example = "https://login.microsoftonline.com",
      .fallback = "AZURE_AUTHORITY_HOST" },
    { WHO("imds_endpoint", "url", "http://169.254.169.254",
            "where a machine asks for the token of its managed identity"),
      KV_SETTING_ENDPOINT, IN_VAULT(imds_endpoint) },
    { VAULT("pin", "none|client-secret|pkcs12-password", "none",
            "what the PIN of C_Login is: nothing, or a secret of the credential"),
      KV_SETTING_CHOICE, IN_VAULT(pin) },
    { VAULT("token_cache", "memory|keyring", "memory",
            "where tokens are kept: for all processes of the user in the kernel, or in this one"),
      KV_SETTING_CHOICE, IN_VAULT(token_cache) },
    { VAULT("disable_challenge_resource_verification", "yes|no", "no",
            "accept a token audience that is not the vault's own domain"),
      KV_SETTING_FLAG, IN_VAULT(disable_challenge_resource_verification) },

    { VAULT("ca_file", "path", "", "certificates to trust; unset: those of the system"),
      KV_SETTING_PATH, IN_VAULT(ca_file), .example = "/etc/kvp11/ca.pem" },
    { VAULT("resolve", "host:port:address", "", "addresses to use instead of a name look-up"),
      KV_SETTING_RESOLVE, IN_VAULT(resolve), .example = "NAME.vault.azure.net:443:10.0.0.4" },
    { VAULT("connect_timeout", "seconds", "5", "how long a connection may take"),
      KV_SETTING_SECONDS, IN_VAULT(connect_timeout_ms), .least = 1, .most = 600000 },
    { VAULT("timeout", "seconds", "30", "how long a call may take, with its token, waits and retries"),
      KV_SETTING_SECONDS, IN_VAULT(timeout_ms), .least = 1, .most = 3600000 },
    { VAULT("idle", "seconds", "60", "a connection that was idle for longer is not used again"),
      KV_SETTING_SECONDS, IN_VAULT(idle_ms), .least = 0, .most = 3600000 },
    { VAULT("max_connections", "number", "64", "connections to the vault at one time"),
      KV_SETTING_NUMBER, IN_VAULT(max_connections), .least = 1, .most = 1024 },

    { VAULT("refresh_seconds", "number", "300",
            "how long the map's word on a key is taken without asking the vault"),
      KV_SETTING_NUMBER, IN_VAULT(refresh_seconds), .least = 0, .most = 31536000 },
    { VAULT("ledger", "yes|no", "yes", "note in the map, as digests, which version wrapped what"),
      KV_SETTING_FLAG, IN_VAULT(ledger) },
    { VAULT("decrypt_fallback", "yes|no", "yes",
            "try other versions of the key when the one named refuses the data"),
      KV_SETTING_FLAG, IN_VAULT(decrypt_fallback) },
    { VAULT("decrypt_fallback_limit", "number", "8", "how many other versions are tried"),
      KV_SETTING_NUMBER, IN_VAULT(decrypt_fallback_limit), .least = 1, .most = 100 },
    { VAULT("rsa1_5", "yes|no", "no", "offer RSA PKCS#1 v1.5 decryption, which padding oracles threaten"),
      KV_SETTING_FLAG, IN_VAULT(rsa1_5) },
    { VAULT("rsnull", "yes|no", "no",
            "sign bytes that are no DigestInfo with CKM_RSA_PKCS, by an algorithm that the service reserves"),
      KV_SETTING_FLAG, IN_VAULT(rsnull) },
    { VAULT("hsm_hmac", "yes|no", "yes", "offer HMAC with the keys of a Managed HSM"),
      KV_SETTING_FLAG, IN_VAULT(hsm_hmac) },
    { VAULT("session_ciphers", "yes|no", "yes", "offer AES and HMAC with keys that live in the session only"),
      KV_SETTING_FLAG, IN_VAULT(session_ciphers) },
    { VAULT("digests", "yes|no", "yes", "offer plain digests"),
      KV_SETTING_FLAG, IN_VAULT(digests) },
    { VAULT("random", "local|hsm|none", "local", "where random bytes come from"),
      KV_SETTING_CHOICE, IN_VAULT(random) },
    { VAULT("manage", "yes|no", "no",
            "let applications create, import and disable keys, where the identity may"),
      KV_SETTING_FLAG, IN_VAULT(manage) },
    { VAULT("new_version", "yes|no", "no",
            "a key made under a name that exists becomes its next version; no: it is refused"),
      KV_SETTING_FLAG, IN_VAULT(new_version) },
    { VAULT("new_keys", "software|hsm", "software",
            "where a vault keeps the keys made through it; a Managed HSM has no choice"),
      KV_SETTING_CHOICE, IN_VAULT(new_keys) },
    { .info = { 0 } },
};
/* clang-format on */

_Static_assert(sizeof kv_settings / sizeof *kv_settings <= KV_SETTING_ROOM, "KV_SETTING_ROOM has to grow");
_Static_assert(KV_LOG_ERROR == 0 && KV_LOG_WARN == 1 && KV_LOG_INFO == 2 && KV_LOG_DEBUG == 3,
               "words in order");
_Static_assert(KV_OLD_ALL == 0 && KV_OLD_OPEN_ONLY == 1 && KV_OLD_NONE == 2, "words in order");
_Static_assert(KV_CERTIFICATES_VAULT == 0 && KV_CERTIFICATES_NONE == 1, "words in order");
_Static_assert(KV_RANDOM_LOCAL == 0 && KV_RANDOM_HSM == 1 && KV_RANDOM_NONE == 2, "words in order");
_Static_assert(KV_PIN_NONE == 0 && KV_PIN_CLIENT_SECRET == 1 && KV_PIN_PKCS12_PASSWORD == 2,
               "words in order");
_Static_assert(KV_TOKENS_MEMORY == 0 && KV_TOKENS_KEYRING == 1, "words in order");
_Static_assert(KV_NEW_SOFTWARE == 0 && KV_NEW_HSM == 1, "words in order");
