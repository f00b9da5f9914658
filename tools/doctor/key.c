/* One key as the vault shows it: may it be read, what protects it, how much room is left, how long it is good. */
#include "doctor.h"
#include "key_backup/key_backup.h"
#include "mend.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { DAY = 86400 };

static int64_t seconds_until(const struct kv_doctor *doctor, int64_t when)
{
    const struct kv_clock *clock = kv_core_clock(doctor->tool->core);
    return when - clock->unix_seconds(clock);
}

static struct kv_vault *vault_of(const struct kv_doctor *doctor)
{
    return kv_core_vault(doctor->tool->core, doctor->vault);
}

/* --- who may purge it --- */

static void check_recovery(struct kv_doctor *doctor, const struct kv_vault_key *key)
{
    const char *level = key->recovery_level;
    if (!*level)
        kv_doctor_skip(doctor, "purge protection", key->name, "the vault does not tell");
    else if (kv_recovery_is_protected(level))
        kv_doctor_ok(doctor, "purge protection", key->name, "'%s': deleted keys stay recoverable", level);
    else {
        KV_AUTO_TEXT char *mend = kv_mend_protection(doctor->config);
        kv_doctor_warn(doctor, "purge protection", key->name,
                       "'%s': who may purge can destroy this key and all that is wrapped under it for ever; "
                       "%s",
                       level, mend ? mend : "");
    }
}

/* --- room for further versions --- */

static enum kv_status count_versions(struct kv_doctor *doctor, const char *name, size_t *ret,
                                     struct kv_error *err)
{
    KV_AUTO_FREE char *next = NULL;
    size_t count = 0;
    do {
        struct kv_task task = kv_doctor_task(doctor);
        KV_CLEANUP(kv_vault_page_free) struct kv_vault_page page = { 0 };
        struct kv_vault_list list = { name, next };
        KV_TRY(kv_vault_list_page(vault_of(doctor), &list, &task, &page, err));
        count += page.count + page.broken;
        free(next);
        next = kv_take(page.next);
    } while (next);
    *ret = count;
    return KV_OK;
}

static void check_versions(struct kv_doctor *doctor, const char *name)
{
    static const char full[] =
        "no version can be deleted: create a key under another name before it is full, and let "
        "what is new use that";
    size_t limit = (size_t)kv_key_backup_limit(doctor->config->managed_hsm), count = 0;
    const char *what = doctor->config->managed_hsm ? "a key of a Managed HSM can have" : "can be backed up";
    struct kv_error why = { 0 };
    enum kv_status status = count_versions(doctor, name, &count, &why);
    if (status == KV_DENIED)
        kv_doctor_skip(doctor, "versions", name, "this identity may not list them, so nothing counts them");
    else if (status != KV_OK)
        kv_doctor_refused(doctor, "versions", name, "list", &why);
    else if (kv_key_backup_room(count, doctor->config->managed_hsm) != KV_LEVEL_OK)
        kv_doctor_warn(doctor, "versions", name, "%zu of the %zu that %s; %s", count, limit, what, full);
    else
        kv_doctor_ok(doctor, "versions", name, "%zu of the %zu that %s", count, limit, what);
}

/* --- how long it is good --- */

static void fail_dates(struct kv_doctor *doctor, const struct kv_vault_key *key, enum kv_status status,
                       const char *text)
{
    struct kv_error why = { 0 };
    (void)!kv_fail(&why, status, "version '%s' %s", key->version, text);
    kv_doctor_fail(doctor, "validity", key->name, &why, NULL);
}

static void check_dates(struct kv_doctor *doctor, const struct kv_vault_key *key)
{
    char text[2 * sizeof(struct kv_word) + 128], date[21];
    int64_t left = seconds_until(doctor, key->exp);
    kv_clock_text(key->exp, date);
    if (!key->enabled) {
        snprintf(text, sizeof(text),
                 "is disabled; az keyvault key set-attributes --id '%.400s' --enabled true", key->kid);
        fail_dates(doctor, key, KV_DISABLED, text);
    } else if (key->nbf && seconds_until(doctor, key->nbf) > 0) {
        kv_clock_text(key->nbf, date);
        snprintf(text, sizeof(text), "is not valid before %s; use another version, or change `nbf`", date);
        fail_dates(doctor, key, KV_NOT_VALID, text);
    } else if (key->exp && left <= 0) {
        snprintf(text, sizeof(text), "has expired at %s; kvp11 --vault %s rotate %s", date,
                 kv_word(doctor->config->name).text, kv_word(key->name).text);
        fail_dates(doctor, key, KV_NOT_VALID, text);
    } else if (key->exp && left < KV_EXPIRY_DAYS * DAY)
        kv_doctor_warn(doctor, "validity", key->name,
                       "expires at %s, in %" PRId64 " days; kvp11 --vault %s rotate %s", date, left / DAY,
                       kv_word(doctor->config->name).text, kv_word(key->name).text);
    else
        kv_doctor_ok(doctor, "validity", key->name, "%s%s", key->exp ? "until " : "without end",
                     key->exp ? date : "");
}

static void check_certificate(struct kv_doctor *doctor, const struct kv_vault_key *key)
{
    KV_CLEANUP(kv_vault_certificate_free) struct kv_vault_certificate certificate = { 0 };
    struct kv_task task = kv_doctor_task(doctor);
    struct kv_error why = { 0 };
    struct kv_x509 facts;
    char date[21];
    enum kv_status status =
        kv_vault_get_certificate(vault_of(doctor), key->name, key->version, &task, &certificate, &why);
    if (status == KV_OK)
        status = kv_x509_read(KV_VIEW(certificate.der), &facts, &why);
    if (status == KV_DENIED) {
        kv_doctor_skip(doctor, "certificate", key->name,
                       "this identity may not read it; programs that want it need the role 'Key Vault "
                       "Certificate User'");
        return;
    }
    if (status != KV_OK) {
        kv_doctor_fail(doctor, "certificate", key->name, &why, NULL);
        return;
    }
    kv_clock_text(facts.not_after, date);
    int64_t left = seconds_until(doctor, facts.not_after);
    KV_AUTO_TEXT char *mend = kv_mend_certificate(doctor->config, key->name);
    if (left < KV_EXPIRY_DAYS * DAY)
        kv_doctor_warn(doctor, "certificate", key->name, "%s at %s; renew it in the vault: %s",
                       left < 0 ? "has expired" : "expires", date, mend ? mend : "");
    else
        kv_doctor_ok(doctor, "certificate", key->name, "until %s", date);
}

/* --- all of it --- */

static void describe(const struct kv_vault_key *key, char *ret, size_t size)
{
    static const char *const kinds[] = { [KV_RSA] = "RSA", [KV_EC] = "EC", [KV_OCT] = "oct" };
    if (key->kind == KV_EC)
        snprintf(ret, size, "EC %s", key->curve);
    else if (key->bits)
        snprintf(ret, size, "%s %d", kinds[key->kind], key->bits);
    else
        snprintf(ret, size, "%s", kinds[key->kind]);
}

void kv_doctor_key(struct kv_doctor *doctor, const char *name)
{
    KV_CLEANUP(kv_vault_key_free) struct kv_vault_key key = { 0 };
    struct kv_task task = kv_doctor_task(doctor);
    struct kv_error why = { 0 };
    char kind[32];
    if (kv_vault_get_key(vault_of(doctor), name, NULL, &task, &key, &why) != KV_OK) {
        kv_doctor_refused(doctor, "get", name, "get", &why);
        kv_doctor_skip(doctor, "sign, unwrap", name, "not tried: 'get' failed");
        return;
    }
    describe(&key, kind, sizeof(kind));
    kv_doctor_ok(doctor, "get", name, "%s%s, version '%s'", kind, key.hsm ? " in hardware" : "", key.version);
    check_dates(doctor, &key);
    check_recovery(doctor, &key);
    check_versions(doctor, name);
    kv_doctor_sign(doctor, &key);
    kv_doctor_unwrap(doctor, &key);
    kv_doctor_copies(doctor, &key);
    if (key.managed)
        check_certificate(doctor, &key);
}
