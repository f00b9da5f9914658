/* The way to a vault: each step stands on the one before. */
#include "doctor.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "core/login.h"
#include "mend.h"

enum { SKEW_WARN = 60, SKEW_FAIL = 300, CERTIFICATE_DAYS = 7, DAY = 86400 };

static int64_t now_of(const struct kv_doctor *doctor)
{
    const struct kv_clock *clock = kv_core_clock(doctor->tool->core);
    return clock->unix_seconds(clock);
}

static void skip_rest(struct kv_doctor *doctor, const char *failed)
{
    static const char *const steps[] = { "DNS", "TCP", "TLS", "clock", "challenge", "token", "keys" };
    bool behind = false;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        if (behind && !(!strcmp(failed, "challenge") && !strcmp(steps[i], "clock")))
            kv_doctor_skip(doctor, steps[i], NULL, "not tried: '%s' failed", failed);
        behind = behind || !strcmp(steps[i], failed);
    }
}

/* --- DNS, TCP, TLS --- */

static bool check_connection(struct kv_doctor *doctor, struct kv_http_peer *ret)
{
    struct kv_error why = { 0 };
    struct kv_task task = kv_doctor_task(doctor);
    enum kv_status status = kv_core_probe(doctor->tool->core, doctor->vault, &task, ret, &why);
    const char *failed = !ret->named ? "DNS" : !ret->connected ? "TCP" : "TLS";
    if (ret->named)
        kv_doctor_ok(doctor, "DNS", NULL, "'%s'%s%s", doctor->config->host, ret->address[0] ? " is at " : "",
                     ret->address);
    if (ret->connected)
        kv_doctor_ok(doctor, "TCP", NULL, "connected");
    if (status == KV_OK)
        return true;
    kv_doctor_fail(doctor, failed, NULL, &why, NULL);
    skip_rest(doctor, failed);
    return false;
}

/* What of the certificate itself explains that it is not trusted; the rest is the authority's. */
static const char *tls_remedy(const struct kv_doctor *doctor, const struct kv_http_peer *peer,
                              const struct kv_error *why)
{
    int64_t now = now_of(doctor);
    if (peer->not_after && now > peer->not_after)
        return "it has expired: renew it, or set this host's clock";
    if (peer->not_before && now < peer->not_before)
        return "its validity has not begun: set this host's clock";
    if (strstr(why->text, "subject name") || strstr(why->text, "host name"))
        return "it is for other hosts: correct `url` or `resolve`, or what answers there is not the vault";
    return "if a proxy opens TLS, let `ca_file` name its authority";
}

static void fail_tls(struct kv_doctor *doctor, const struct kv_http_peer *peer, const struct kv_error *why)
{
    char begin[21] = "?", end[21] = "?", remedy[1024];
    kv_clock_text(peer->not_before, begin);
    kv_clock_text(peer->not_after, end);
    snprintf(remedy, sizeof(remedy),
             "the certificate shown is of '%s' for %s, issued by '%s', valid from %s to %s; %s",
             peer->subject, peer->names[0] ? peer->names : "no DNS name", peer->issuer, begin, end,
             tls_remedy(doctor, peer, why));
    kv_doctor_fail(doctor, "TLS", NULL, why, remedy);
    skip_rest(doctor, "TLS");
}

static void tell_tls(struct kv_doctor *doctor, const struct kv_http_peer *peer)
{
    char end[21];
    int64_t days = (peer->not_after - now_of(doctor)) / DAY;
    kv_clock_text(peer->not_after, end);
    if (days < CERTIFICATE_DAYS)
        kv_doctor_warn(doctor, "TLS", NULL,
                       "%s; the certificate of '%s', issued by '%s', expires at %s, in %" PRId64
                       " days; who runs that host must renew it",
                       peer->tls, peer->subject, peer->issuer, end, days);
    else
        kv_doctor_ok(doctor, "TLS", NULL, "%s; the certificate is of '%s', issued by '%s', until %s",
                     peer->tls, peer->subject, peer->issuer, end);
}

/* --- clock, challenge --- */

static void check_clock(struct kv_doctor *doctor, int64_t theirs)
{
    static const char remedy[] =
        "tokens and validity dates go by it: timedatectl set-ntp true, or chronyc makestep";
    int64_t off = now_of(doctor) - theirs, size = off < 0 ? -off : off;
    struct kv_error why = { .status = KV_CREDENTIAL };
    if (!theirs)
        kv_doctor_skip(doctor, "clock", NULL, "the vault's answer has no date");
    else if (size > SKEW_FAIL) {
        snprintf(why.text, sizeof(why.text), "this host's clock is %" PRId64 " s %s the vault's", size,
                 off < 0 ? "behind" : "ahead of");
        kv_doctor_fail(doctor, "clock", NULL, &why, remedy);
    } else if (size > SKEW_WARN)
        kv_doctor_warn(doctor, "clock", NULL, "this host's clock is %" PRId64 " s %s the vault's; %s", size,
                       off < 0 ? "behind" : "ahead of", remedy);
    else
        kv_doctor_ok(doctor, "clock", NULL, "%" PRId64 " s apart", size);
}

static bool check_greeting(struct kv_doctor *doctor, const struct kv_http_peer *peer)
{
    struct kv_error why = { 0 };
    struct kv_core_greeting greeting;
    struct kv_task task = kv_doctor_task(doctor);
    enum kv_status status = kv_core_greet(doctor->tool->core, doctor->vault, &task, &greeting, &why);
    if (status == KV_TLS) {
        fail_tls(doctor, peer, &why);
        return false;
    }
    tell_tls(doctor, peer);
    check_clock(doctor, greeting.date);
    const struct kv_challenge *challenge = &greeting.challenge;
    if (status == KV_OK) {
        kv_doctor_ok(doctor, "challenge", NULL, "tokens of tenant '%s' from '%s' for '%s'", challenge->tenant,
                     challenge->authority, challenge->scope);
        return true;
    }
    kv_doctor_fail(doctor, "challenge", NULL, &why, NULL);
    skip_rest(doctor, "challenge");
    return false;
}

/* --- what the token stands on, where that has an end --- */

static void check_credential(struct kv_doctor *doctor)
{
    struct kv_credential_end end = { 0 };
    char when[21];
    if (kv_core_credential_ends(doctor->tool->core, doctor->vault, &end, NULL) != KV_OK ||
        !end.at) /* the first is told by 'token' */
        return;
    kv_clock_text(end.at, when);
    int64_t left = end.at - now_of(doctor);
    KV_AUTO_TEXT char *mend = kv_mend_credential(doctor->config, end.kind);
    if (left <= 0) {
        struct kv_error why = { .status = KV_CREDENTIAL };
        snprintf(why.text, sizeof(why.text), "what '%s' stands on has ended at %s", end.kind, when);
        kv_doctor_fail(doctor, "credential", NULL, &why, mend);
    } else if (left < (int64_t)KV_EXPIRY_DAYS * DAY)
        kv_doctor_warn(doctor, "credential", NULL, "what '%s' stands on ends at %s, in %" PRId64 " days; %s",
                       end.kind, when, left / DAY, mend ? mend : "");
    else
        kv_doctor_ok(doctor, "credential", NULL, "'%s', until %s", end.kind, when);
}

/* --- token --- */

static const char *who(const struct kv_login_claims *claims)
{
    return *claims->application ? claims->application : *claims->user ? claims->user : claims->object;
}

static bool check_token(struct kv_doctor *doctor)
{
    struct kv_error why = { 0 };
    struct kv_login_report report;
    struct kv_task task = kv_doctor_task(doctor);
    struct kv_core_check wish = { doctor->vault, false, &task };
    if (kv_core_login_check(doctor->tool->core, &wish, &report, &why) != KV_OK) {
        kv_doctor_fail(doctor, "token", NULL, &why, "kvp11 login check tells more");
        skip_rest(doctor, "token");
        return false;
    }
    kv_text_fit(doctor->identity, sizeof(doctor->identity), who(&report.claims));
    kv_doctor_ok(doctor, "token", NULL, "of '%s' by '%s', valid for %" PRId64 " more minutes",
                 doctor->identity, report.kind, (report.expires - now_of(doctor)) / 60);
    return true;
}

bool kv_doctor_way(struct kv_doctor *doctor)
{
    struct kv_http_peer peer;
    if (!check_connection(doctor, &peer) || !check_greeting(doctor, &peer))
        return false;
    check_credential(doctor);
    return check_token(doctor);
}
