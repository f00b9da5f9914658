#include "sync.h"

#include "mend.h"

enum { DAY = 86400 };

static char *label_of(const struct kv_version *version)
{
    return kv_text_format("%s@%s", version->name, version->version);
}

/* --- a version that will expire: nothing more is wrapped or signed with it then, though old data still opens --- */

static void look_at_version(struct kv_sync *sync, const struct kv_version *version)
{
    char when[21];
    int64_t left = version->exp - sync->now;
    if (!version->exp || left >= (int64_t)KV_EXPIRY_DAYS * DAY)
        return;
    kv_clock_text(version->exp, when);
    kv_sync_add(sync, (struct kv_alarm){
                          .level = KV_LEVEL_WARNING,
                          .kind = KV_ALARM_EXPIRES,
                          .version = version,
                          .label = label_of(version),
                          .found = kv_text_format("expires %s: nothing more is encrypted or signed "
                                                  "with it then",
                                                  when),
                          .next = kv_text_format("kvp11 --vault %s rotate %s", kv_word(version->vault).text,
                                                 kv_word(version->name).text),
                          .days_left = left / DAY });
}

/* --- its certificate --- */

/* Only of what the vault keeps a certificate of is it asked, once a version. */
static enum kv_status certificate_of(struct kv_sync *sync, const struct kv_version *version,
                                     struct kv_certificate **ret, struct kv_error *err)
{
    struct kv_keyring *keyring = kv_core_keyring(sync->tool->core, sync->vault);
    struct kv_task task = kv_common_task(sync->tool, sync->vault);
    struct kv_version *one = (struct kv_version *)version; /* which the list only borrows */
    const struct kv_version_list list = { .items = &one, .count = 1 };
    if (!kv_keyring_certifies(keyring))
        return KV_OK;
    if (kv_keyring_certificates(keyring, &list, version->managed && sync->told, &task, ret) != KV_OK)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    return KV_OK;
}

static void tell_certificate(struct kv_sync *sync, const struct kv_version *version, int64_t end)
{
    char when[21];
    int64_t left = end - sync->now;
    if (left >= (int64_t)KV_EXPIRY_DAYS * DAY)
        return;
    kv_clock_text(end, when);
    kv_sync_add(
        sync,
        (struct kv_alarm){
            .level = KV_LEVEL_WARNING,
            .kind = KV_ALARM_CERTIFICATE,
            .version = version,
            .label = label_of(version),
            .found = kv_text_format("its certificate %s %s: programs that look at its dates do not use it %s",
                                    left <= 0 ? "has ended" : "ends", when, left <= 0 ? "now" : "then"),
            .next = version->managed
                        ? kv_mend_certificate(sync->config, version->name)
                        : kv_text_format("put a renewed one into '%s'", sync->config->certificate_folder),
            .days_left = left > 0 ? left / DAY : 0 });
}

enum kv_status kv_sync_expiry(struct kv_sync *sync, const struct kv_version *version, struct kv_error *err)
{
    KV_AUTO_CERTIFICATE struct kv_certificate *certificate = NULL;
    if (!version->current || version->state != KV_STATE_ENABLED)
        return KV_OK;
    look_at_version(sync, version);
    KV_TRY(certificate_of(sync, version, &certificate, err));
    if (!certificate)
        return KV_OK;
    kv_metric_add(sync->metrics, KV_METRIC_CERTIFICATE_EXPIRY,
                  (const char *[]){ version->vault, version->name, version->version },
                  certificate->facts.not_after);
    tell_certificate(sync, version, certificate->facts.not_after);
    return KV_OK;
}
