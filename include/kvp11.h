/* kvp11: what a caller may know of the module beyond PKCS#11 itself. Installed; needs a pkcs11.h before it.
 * The numbers are for ever: new ones are appended. */
#ifndef KVP11_H
#define KVP11_H

/* "KV" in the vendor range of PKCS#11 (§4.1 of the base specification: vendors pick an own block). */
#define KVP11_VENDOR(n) (0x80000000UL | 0x4b560000UL | (n))

/* Attributes of vault keys, all read-only. */
#define CKA_KVP11_KID     KVP11_VENDOR(0x01) /* UTF-8: the versioned key identifier, https://… */
#define CKA_KVP11_VERSION KVP11_VENDOR(0x02) /* UTF-8: the version, 32 hex digits */
#define CKA_KVP11_STATE                                                                                      \
    KVP11_VENDOR(                                                                                            \
        0x03) /* UTF-8: enabled, disabled, not-yet-valid, expired, deleted, purged, missing, unreachable */
#define CKA_KVP11_CREATED     KVP11_VENDOR(0x04) /* UTF-8: 2026-01-31T12:00:00Z */
#define CKA_KVP11_SPKI_SHA256 KVP11_VENDOR(0x05) /* 32 bytes: the key's long identity */
/* UTF-8, what protects the key as Key Vault says: "0" software, "1" FIPS 140-2 level 2, "2" FIPS 140-3 level 3; absent where it does not say */
#define CKA_KVP11_HSM_PLATFORM KVP11_VENDOR(0x06)
#define CKA_KVP11_HARDWARE     KVP11_VENDOR(0x07) /* CK_BBOOL: the key is of a kind that lives in an HSM */

/* Return values where the standard has no word of its own. */
#define CKR_KVP11_VERSION_DISABLED  KVP11_VENDOR(0x01) /* the version is disabled; enabling it mends it */
#define CKR_KVP11_VERSION_NOT_VALID KVP11_VENDOR(0x02) /* before nbf or after exp: no new signature or wrap */
#define CKR_KVP11_CREDENTIAL        KVP11_VENDOR(0x03) /* no token: wrong tenant, secret or identity */
#define CKR_KVP11_THROTTLED         KVP11_VENDOR(0x04) /* the vault's quota is used up, and the deadline with it */
#define CKR_KVP11_UNREACHABLE       KVP11_VENDOR(0x05) /* no connection to the vault */
#define CKR_KVP11_TIMED_OUT         KVP11_VENDOR(0x06) /* the deadline passed */
#define CKR_KVP11_TLS               KVP11_VENDOR(0x07) /* the peer's certificate is not trusted */

/* Environment. */
#define KVP11_ENV_CONFIG    "KVP11_CONFIG"    /* path of the configuration file */
#define KVP11_ENV_VAULT_URL "KVP11_VAULT_URL" /* a vault without a configuration file */

#endif
