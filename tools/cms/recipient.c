#include "recipient.h"

#include <string.h>
#include "age/vault.h"
#include "base/encode.h"
#include "mech/local.h"

enum { LOOKS_MAX = 4, CERTIFICATES_MAX = 4096 };

/* A recipient and the version that it names. */
struct match {
    const struct kv_cms_recipient *recipient;
    struct kv_version *version;
    size_t vault;
};

struct search {
    struct kv_tool *tool;
    const struct kv_cms_envelope *envelope;
    size_t first, end; /* vaults */
    struct match matches[KV_CMS_ASK_MAX];
    size_t count;
};

static void search_free(struct search *search)
{
    for (size_t i = 0; i < search->count; i++)
        kv_version_free(search->matches[i].version);
}

static bool is_key_transport(const struct kv_cms_recipient *recipient)
{
    return recipient->kind == KV_BER_SEQUENCE;
}

/* The same version twice is asked once: what it says will not change. */
static void add_match(struct search *search, const struct kv_cms_recipient *recipient, size_t vault,
                      const struct kv_version *version)
{
    if (search->count == KV_CMS_ASK_MAX || version->kind != KV_RSA ||
        kv_keyring_check_name(kv_core_keyring(search->tool->core, vault), version->name, NULL) != KV_OK)
        return;
    for (size_t i = 0; i < search->count; i++) {
        const struct match *other = &search->matches[i];
        if (other->vault == vault && !strcmp(other->version->name, version->name) &&
            !strcmp(other->version->version, version->version))
            return;
    }
    search->matches[search->count++] = (struct match){ recipient, kv_version_ref(version), vault };
}

static void add_matches(struct search *search, const struct kv_cms_recipient *recipient,
                        const struct kv_version_list *list)
{
    const struct kv_config *config = kv_core_config(search->tool->core);
    for (size_t vault = search->first; vault < search->end; vault++)
        for (size_t i = 0; i < list->count; i++)
            if (!strcmp(list->items[i]->vault, config->vaults[vault].name))
                add_match(search, recipient, vault, list->items[i]);
}

/* --- by key identifier --- */
static bool names_id(const struct kv_cms_recipient *recipient)
{
    return is_key_transport(recipient) && recipient->key_id.len == KV_ID_SIZE;
}

static enum kv_status from_map(struct search *search, struct kv_error *err)
{
    for (size_t i = 0; i < search->envelope->recipient_count; i++) {
        const struct kv_cms_recipient *recipient = &search->envelope->recipients[i];
        KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
        struct kv_map_query query = { .id = recipient->key_id };
        if (!names_id(recipient))
            continue;
        KV_TRY(kv_map_find(kv_core_map(search->tool->core), &query, &list, err));
        add_matches(search, recipient, &list);
    }
    return KV_OK;
}

/* What the map does not know, the vaults may: one bounded look a vault and identifier. A vault that cannot be asked is told when nobody else knew. */
static enum kv_status from_vaults(struct search *search, struct kv_error *err)
{
    enum kv_status failure = KV_OK;
    size_t looks = 0;
    for (size_t i = 0; i < search->envelope->recipient_count && !search->count; i++) {
        const struct kv_cms_recipient *recipient = &search->envelope->recipients[i];
        if (!names_id(recipient) || looks++ == LOOKS_MAX)
            continue;
        for (size_t vault = search->first; vault < search->end; vault++) {
            KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
            struct kv_keyring_query query = { .id = recipient->key_id };
            struct kv_task task = kv_common_task(search->tool, vault);
            struct kv_error why = { 0 };
            enum kv_status status =
                kv_keyring_find(kv_core_keyring(search->tool->core, vault), &query, &task, &list, NULL, &why);
            if (status != KV_OK && failure == KV_OK) {
                failure = status;
                if (err)
                    *err = why;
            }
            add_matches(search, recipient, &list);
        }
    }
    if (search->count || failure == KV_OK)
        return KV_OK;
    return kv_fail_in(err, failure,
                      "the version map knows none of the recipients, and not every vault could be asked");
}

/* --- by issuer and serial number --- */
static bool names_certificate(const struct kv_cms_recipient *recipient)
{
    return is_key_transport(recipient) && recipient->issuer.len;
}

static bool is_certificate(const struct kv_cms_recipient *recipient, const struct kv_certificate *certificate)
{
    return names_certificate(recipient) && kv_view_equal(recipient->issuer, certificate->facts.issuer) &&
           kv_view_equal(recipient->serial, certificate->facts.serial);
}

enum kv_status kv_cms_recipient_is(struct kv_cms_envelope *envelope, const struct kv_certificate *certificate,
                                   struct kv_error *err)
{
    for (size_t i = 0; i < envelope->recipient_count; i++) {
        struct kv_cms_recipient *recipient = &envelope->recipients[i];
        if (!is_certificate(recipient, certificate))
            continue;
        recipient->key_id = (struct kv_view){ certificate->id, KV_ID_SIZE };
        return KV_OK;
    }
    return kv_fail(err, KV_NOT_FOUND,
                   "the envelope names no certificate with this issuer and serial number: '%s'",
                   certificate->name);
}

static void match_certificate(struct search *search, size_t vault, const struct kv_version *version,
                              const struct kv_certificate *certificate)
{
    for (size_t i = 0; certificate && i < search->envelope->recipient_count; i++) {
        const struct kv_cms_recipient *recipient = &search->envelope->recipients[i];
        if (is_certificate(recipient, certificate))
            add_match(search, recipient, vault, version);
    }
}

/* Certificates that this host has already: nothing is asked for, nothing is signed. */
static enum kv_status from_certificates(struct search *search, size_t vault, struct kv_error *err)
{
    const struct kv_config *config = kv_core_config(search->tool->core);
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
    struct kv_map_query query = { .vault = config->vaults[vault].name, .limit = CERTIFICATES_MAX };
    struct kv_task task = kv_common_task(search->tool, vault);
    KV_TRY(kv_map_find(kv_core_map(search->tool->core), &query, &list, err));
    struct kv_certificate **certificates = calloc(list.count + 1, sizeof(struct kv_certificate *));
    enum kv_status status = KV_NO_MEMORY;
    if (certificates)
        status = kv_keyring_certificates(kv_core_keyring(search->tool->core, vault), &list, false, &task,
                                         certificates);
    for (size_t i = 0; certificates && i < list.count; i++) {
        if (status == KV_OK)
            match_certificate(search, vault, list.items[i], certificates[i]);
        kv_certificate_free(certificates[i]);
    }
    free(certificates);
    return status;
}

static enum kv_status from_all_certificates(struct search *search, struct kv_error *err)
{
    bool any = false;
    for (size_t i = 0; i < search->envelope->recipient_count; i++)
        any |= names_certificate(&search->envelope->recipients[i]);
    for (size_t vault = search->first; any && vault < search->end; vault++)
        KV_TRY(from_certificates(search, vault, err));
    return KV_OK;
}

/* --- nobody --- */
static void tell_recipient(const struct kv_cms_recipient *recipient, struct kv_buffer *ret)
{
    enum { SHOWN = 24 };
    char hex[2 * SHOWN + 1], name[64];
    const char *between = ret->bytes.len ? ", " : "";
    struct kv_view id = recipient->key_id;
    if (!is_key_transport(recipient)) {
        (void)!kv_buffer_format(ret, "%sone that is not by RSA", between);
        return;
    }
    if (id.len) {
        kv_encode_hex((struct kv_view){ id.data, id.len < SHOWN ? id.len : SHOWN }, hex);
        (void)!kv_buffer_format(ret, "%skey id %s", between, hex);
        return;
    }
    kv_x509_common_name(recipient->issuer, name, sizeof(name));
    (void)!kv_buffer_format(ret, "%sa certificate of '%s'", between, name);
}

static enum kv_status nobody(const struct search *search, struct kv_error *err)
{
    enum { SHOWN = 6 };
    KV_AUTO_BUFFER struct kv_buffer names = { .limit = 600 };
    bool by_certificate = false;
    for (size_t i = 0; i < search->envelope->recipient_count; i++) {
        by_certificate |= names_certificate(&search->envelope->recipients[i]);
        if (i < SHOWN)
            tell_recipient(&search->envelope->recipients[i], &names);
    }
    return kv_fail(
        err, KV_NOT_FOUND, "none of the recipients is a key that this host knows: %s%s%s",
        names.bytes.data ? (const char *)names.bytes.data : "",
        search->envelope->recipient_count > SHOWN ? ", …" : "",
        by_certificate
            ? "; no certificate that is known here is one of these: name its file with --certificate "
              "(envelopes made with 'openssl cms -encrypt -keyid' name the key itself)"
            : "; add the vault that has it to the configuration, or give the private key of another "
              "recipient with -i");
}

/* --- opening --- */

/* Nobody but the log is told whether a PKCS#1 v1.5 key was refused, was of another length, or is just not the one: see RFC 3218. */
static enum kv_status hide(struct kv_tool *tool, const struct kv_cms_envelope *envelope, const char *why,
                           struct kv_bytes *ret, struct kv_error *err)
{
    KV_AUTO_BYTES struct kv_bytes random = { 0 };
    kv_log_line(
        kv_core_log(tool->core), KV_LOG_WARN,
        "%s: the content key, wrapped by RSA PKCS#1 v1.5, cannot be unwrapped; a random one is used in "
        "its place: %s",
        tool->caller, why);
    KV_TRY(kv_bytes_alloc(envelope->content.cipher->key_len, &random));
    if (kv_random_bytes(random.data, random.len) != KV_OK)
        return kv_fail(err, KV_INTERNAL, "no random bytes");
    kv_bytes_free(ret);
    *ret = kv_bytes_take(&random);
    return KV_OK;
}

static bool is_bad_data(enum kv_status status)
{
    return status == KV_BAD_CIPHERTEXT || status == KV_BAD_WRAPPED_KEY || status == KV_BAD_PARAMETER;
}

static enum kv_status select_mechanism(const struct match *match, struct kv_keyring *keyring,
                                       const struct kv_cms_transport *transport, struct kv_mech_use *ret,
                                       struct kv_error *err)
{
    CK_RSA_PKCS_OAEP_PARAMS oaep = { transport->hash,
                                     transport->hash == CKM_SHA256 ? CKG_MGF1_SHA256 : CKG_MGF1_SHA1,
                                     CKZ_DATA_SPECIFIED, NULL, 0 };
    CK_MECHANISM mechanism = { CKM_RSA_PKCS, NULL, 0 };
    if (transport->hash)
        mechanism = (CK_MECHANISM){ CKM_RSA_PKCS_OAEP, &oaep, sizeof(oaep) };
    struct kv_mech_key key = kv_version_mech_key(match->version);
    struct kv_mech_offer offer = kv_keyring_offer(keyring);
    enum kv_status status = kv_mech_select(&mechanism, &key, KV_OP_UNWRAP, &offer, ret);
    if (status != KV_OK && !transport->hash)
        return kv_fail(
            err, status,
            "the key of the content is wrapped by %s, which '%s' does not offer: if such files must "
            "be read, set 'rsa1_5 = yes' for this vault",
            transport->name, match->version->vault);
    return status == KV_OK
               ? KV_OK
               : kv_fail(err, status, "the key of the content is wrapped by %s, which '%s' cannot do",
                         transport->name, match->version->label);
}

static enum kv_status unwrap(const struct search *search, const struct match *match, struct kv_bytes *ret,
                             struct kv_error *err)
{
    struct kv_tool *tool = search->tool;
    const struct kv_cms_cipher *cipher = search->envelope->content.cipher;
    struct kv_keyring *keyring = kv_core_keyring(tool->core, match->vault);
    const struct kv_cms_transport *transport = NULL;
    KV_CLEANUP(kv_mech_use_free) struct kv_mech_use mech = { 0 };
    KV_AUTO_BYTES struct kv_bytes key = { 0 };
    KV_TRY(kv_cms_transport_read(match->recipient->algorithm, &transport, err));
    KV_TRY(select_mechanism(match, keyring, transport, &mech, err));
    struct kv_task task = kv_common_task(tool, match->vault);
    struct kv_key_use use = {
        .keyring = keyring, .version = match->version, .mech = &mech, .task = &task, .exact = true
    };
    struct kv_error why = { 0 };
    enum kv_status status = kv_key_decrypt(&use, KV_OP_UNWRAP, match->recipient->key, &key, &why);
    if (!transport->hash && is_bad_data(status))
        return hide(tool, search->envelope, why.text, ret, err);
    if (status != KV_OK && err)
        *err = why;
    if (status != KV_OK)
        return kv_age_vault_needed(match->version, status, err);
    if (!transport->hash && key.len != cipher->key_len)
        return hide(tool, search->envelope, "it has another length", ret, err);
    if (key.len != cipher->key_len)
        return kv_fail(err, KV_BAD_DATA, "the key of the content has %zu bytes, and %s takes %zu", key.len,
                       cipher->name, cipher->key_len);
    *ret = kv_bytes_take(&key);
    return KV_OK;
}

/* Another of our recipients may do. */
static bool is_refusal(enum kv_status status)
{
    return status == KV_DISABLED || status == KV_NOT_FOUND || status == KV_DENIED || status == KV_BLOCKED ||
           status == KV_UNREACHABLE || status == KV_TIMED_OUT || status == KV_CREDENTIAL ||
           status == KV_KEY_OPERATION || status == KV_TLS || status == KV_SERVER || status == KV_THROTTLED;
}

static bool is_there(const struct kv_version *version)
{
    return version->state == KV_STATE_ENABLED || version->state == KV_STATE_EXPIRED ||
           version->state == KV_STATE_NOT_YET_VALID;
}

/* First the versions that should work, then those that the map holds for disabled or gone, which may have come back. */
static enum kv_status ask(const struct search *search, struct kv_bytes *ret, struct kv_error *err)
{
    enum kv_status failure = KV_OK;
    for (size_t i = 0; i < 2 * search->count && (failure == KV_OK || is_refusal(failure)); i++) {
        const struct match *match = &search->matches[i % search->count];
        struct kv_error why = { 0 };
        if (is_there(match->version) != (i < search->count))
            continue;
        enum kv_status status = unwrap(search, match, ret, &why);
        if (status == KV_OK)
            return KV_OK;
        if (failure == KV_OK || !is_refusal(status)) {
            failure = status;
            if (err)
                *err = why;
        }
    }
    return kv_fail_in(err, failure, "the content's key cannot be had");
}

enum kv_status kv_cms_recipient_key(struct kv_tool *tool, const struct kv_cms_envelope *envelope,
                                    struct kv_bytes *ret, struct kv_error *err)
{
    KV_CLEANUP(search_free) struct search search = { .tool = tool, .envelope = envelope };
    KV_TRY(kv_common_vaults(tool, &search.first, &search.end, err));
    KV_TRY(from_map(&search, err));
    if (!search.count)
        KV_TRY(from_all_certificates(&search, err));
    if (!search.count)
        KV_TRY(from_vaults(&search, err));
    return search.count ? ask(&search, ret, err) : nobody(&search, err);
}
