/* The rows of keys.c and what is done with them. Private to config. */
#ifndef KV_CONFIG_SETTINGS_H
#define KV_CONFIG_SETTINGS_H

#include "config/config.h"

enum kv_setting_kind {
    KV_SETTING_TEXT,      /* char *: letters, digits, '.', '-', '_' */
    KV_SETTING_WORD,      /* char *: one of the words of info.type */
    KV_SETTING_WORDS,     /* char *: one or more of them, in their order, with a space between */
    KV_SETTING_CHOICE,    /* enum: its number is the place among the words of info.type */
    KV_SETTING_FLAG,      /* bool */
    KV_SETTING_HSM,       /* bool; `auto` looks at the host, so its row stands behind that of `url` */
    KV_SETTING_SECONDS,   /* int64_t of milliseconds; least and most are milliseconds too */
    KV_SETTING_NUMBER,    /* int64_t */
    KV_SETTING_PATH,      /* char *: absolute, or one of the words before "path" in info.type */
    KV_SETTING_VAULT_URL, /* char *; sets the host too */
    KV_SETTING_AUTHORITY, /* char *: https; a bare host will do */
    KV_SETTING_ENDPOINT,  /* char *: https, or http on this machine and its link */
    KV_SETTING_SERVICE, /* char *: with a path; https, or http on this machine, its link or a private network */
    KV_SETTING_PATTERNS, /* kv_pair_list of key name patterns */
    KV_SETTING_RESOLVE,  /* kv_pair_list of host:port:address */
    KV_SETTING_TENANTS,  /* kv_pair_list of tenants, or "*" */
    KV_SETTING_SECTIONS, /* kv_pair_list of names of vaults, which may hold blanks, with a comma between */
    KV_SETTING_KEY,      /* char *: an absolute path or a pkcs11: URI without blanks */
    KV_SETTING_DATE,     /* int64_t of unix seconds; 0: unset */
    KV_SETTING_RATE,     /* int64_t: a number, `auto` or `off` */
    KV_SETTING_PROXY, /* char *: `environment`, `none`, or an address with its port and without a password */
    KV_SETTING_PINS, /* char *: one or more digests of public keys, with ';' between, as libcurl takes them */
    KV_SETTING_INTERFACE, /* char *: a name of an interface or an address */
    KV_SETTING_SECRET     /* char *: never in a file, never shown */
};

struct kv_setting {
    struct kv_setting_info info;
    enum kv_setting_kind kind;
    size_t offset; /* in kv_config or kv_vault_config, as info.section says */
    int64_t least, most;
    const char *example;  /* for the remedy; NULL: the standard */
    const char *fallback; /* the environment's word for it among Azure's own tools; NULL: none */
};

enum { KV_SETTING_ROOM = 128, KV_SECTION_MOST = 32 };

extern const struct kv_setting kv_settings[]; /* ends with a row without name */

bool kv_setting_is_vaults(const struct kv_setting *row);
const struct kv_setting *kv_setting_find(const char *name); /* NULL: unknown */
char *kv_setting_variable(const struct kv_setting *row);    /* "KVP11_TIMEOUT" for `timeout`; kv_text_free */
/* The row that a mistyped name was meant to be; NULL: nothing is near. */
const struct kv_setting *kv_setting_nearest(const char *name);

/* Reads `value` into the row's field of `base` (a kv_config or kv_vault_config) and drops what was there.
 * KV_CONFIG with the origin ("file:line"), what is wrong and what to write; KV_NO_MEMORY. */
KV_MUST_USE enum kv_status kv_setting_set(const struct kv_setting *row, const char *value, const char *origin,
                                          void *base, struct kv_error *err);
char *kv_setting_text(const struct kv_setting *row, const void *base); /* kv_text_free */
void kv_setting_clear(const struct kv_setting *row, void *base);
/* In locked memory, in place of what was there. KV_NO_MEMORY. */
KV_MUST_USE enum kv_status kv_setting_keep_secret(const char *text, char **secret);

/* "HTTPS://Host:443/" → "https://host" and "host". KV_CONFIG: another scheme, no host name, more than a slash
 * behind it. */
KV_MUST_USE enum kv_status kv_url_normalise(const char *text, const char *scheme, char **ret_url,
                                            char **ret_host);
bool kv_url_is_host(const char *host);
bool kv_url_is_local(const char *host); /* 127.0.0.0/8, 169.254.0.0/16, localhost */

/* The PIN of C_Login stands in place of this setting. */
bool kv_setting_is_pin(const struct kv_vault_config *vault, const char *name);
/* KV_CONFIG: a PIN that this credential would not look at. */
KV_MUST_USE enum kv_status kv_setting_check_pin(const struct kv_vault_config *vault, const char *origin,
                                                struct kv_error *err);
bool kv_url_is_private(const char *host); /* 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 */

/* ---- address.c: where something is ---- */

/* KV_CONFIG: no such address. kv_text_free. An authority is https, and a bare host will do; an endpoint is host and port alone, with plain http only on
 * this machine and its link; a service has a path, with plain http on a private network, too. */
KV_MUST_USE enum kv_status kv_address_authority(const char *value, char **ret);
KV_MUST_USE enum kv_status kv_address_endpoint(const char *value, char **ret);
KV_MUST_USE enum kv_status kv_address_service(const char *value, char **ret);
bool kv_address_is_resolve(const char *word); /* host:port:address */

/* ---- transport.c: what only connections know ---- */

/* KV_CONFIG: no address that libcurl would take as it was meant. kv_text_free. */
KV_MUST_USE enum kv_status kv_transport_proxy(const char *value, char **ret);
KV_MUST_USE enum kv_status kv_transport_pins(const char *value, char **ret);
KV_MUST_USE enum kv_status kv_transport_interface(const char *value, char **ret);

/* Names between commas, without the blanks around them. KV_CONFIG: an empty one, or more than KV_FAILOVER_MAX. */
KV_MUST_USE enum kv_status kv_sections_split(const char *value, struct kv_pair_list *ret);

/* ---- words.c ---- */

/* Letters, digits and these marks alone, at least one and at most so many. */
bool kv_word_is_made_of(const char *text, const char *marks, size_t most);
/* Words between spaces, tabs and, if asked for, commas. */
KV_MUST_USE enum kv_status kv_words_split(const char *text, const char *separators, struct kv_pair_list *ret);
void kv_words_free(struct kv_pair_list *list);

#endif
