#include <string.h>
#include "clock.h"
#include "control.h"
#include "control_keys.h"
#include "persist.h"
#include "throttle.h"

void em_control_fail(struct em_control *control, int status, const char *text)
{
    em_reply_json(control->reply, status, em_json(json_pack("{s:s}", "error", text)));
}

void em_control_ok(struct em_control *control)
{
    em_reply_json(control->reply, 200, em_json(json_pack("{s:b}", "ok", 1)));
}

static void health(struct em_control *control)
{
    em_control_ok(control);
}

static void clock_get(struct em_control *control)
{
    em_reply_json(control->reply, 200,
                  em_json(json_pack("{s:I, s:I}", "offset", (json_int_t)em_clock_offset(), "now",
                                    (json_int_t)em_clock_seconds())));
}

static void clock_set(struct em_control *control)
{
    const json_t *offset = json_object_get(control->body, "offset"),
                 *now = json_object_get(control->body, "now");
    if (json_is_integer(offset) == json_is_integer(now))
        return em_control_fail(control, 400, "one of 'offset' and 'now' is wanted, as a number");
    em_clock_move(offset ? json_integer_value(offset) : json_integer_value(now) - em_clock_real_ms() / 1000);
    AUTO_TEXT text = em_format("%lld", (long long)em_clock_offset());
    if (!em_persist_put(&control->world->store, "clock", text))
        return em_control_fail(control, 500, "the clock could not be written to the state directory");
    clock_get(control);
}

static void faults_get(struct em_control *control)
{
    em_reply_json(control->reply, 200, em_faults_show(&control->world->faults));
}

static void faults_set(struct em_control *control)
{
    char why[256];
    if (!em_faults_queue(&control->world->faults, control->body, why))
        return em_control_fail(control, 400, why);
    em_control_ok(control);
}

static void faults_clear(struct em_control *control)
{
    em_faults_clear(&control->world->faults);
    em_control_ok(control);
}

static void log_get(struct em_control *control)
{
    em_reply_json(control->reply, 200, em_log_get(&control->world->log));
}

static void log_clear(struct em_control *control)
{
    em_log_clear(&control->world->log);
    em_control_ok(control);
}

static void identities_done(struct em_control *control)
{
    if (!em_identities_save(&control->world->identities, &control->world->store))
        return em_control_fail(control, 500, "the identities could not be written to the state directory");
    em_control_ok(control);
}

static void identity_add(struct em_control *control)
{
    struct em_identity identity = { 0 };
    char why[256];
    if (json_unpack(control->body, "{s:s, s:s, s:s}", "id", &identity.id, "secret", &identity.secret, "perms",
                    &identity.perms) != 0)
        return em_control_fail(control, 400, "'id', 'secret' and 'perms' are wanted, as text");
    em_identity_borrow(&identity, control->body);
    if (identity.federated && !json_is_object(identity.federated))
        return em_control_fail(control, 400, "'federated' is an object of issuer, subject, audience and key");
    if (!identity.subject_name != !identity.authority)
        return em_control_fail(control, 400, "'subject_name' and 'authority' (PEM) go together");
    if (!em_identities_add(&control->world->identities, &identity, why))
        return em_control_fail(control, 400, why);
    identities_done(control);
}

static void identity_revoke(struct em_control *control)
{
    if (!em_identities_revoke(&control->world->identities, control->part[0]))
        return em_control_fail(control, 404, "there is no such identity");
    identities_done(control);
}

static void tenant_set(struct em_control *control)
{
    const char *tenant = json_string_value(json_object_get(control->body, "tenant"));
    if (!tenant || !*tenant || strlen(tenant) > 63)
        return em_control_fail(control, 400, "'tenant' is wanted, as text");
    bool gone = json_is_true(json_object_get(control->body, "gone"));
    __atomic_store_n(&control->world->former_tenant, gone ? NULL : em_tenant(control->world),
                     __ATOMIC_RELEASE);
    __atomic_store_n(&control->world->options.tenant, em_copy(tenant), __ATOMIC_RELEASE);
    em_control_ok(control);
}

static void settings_get(struct em_control *control)
{
    em_reply_json(control->reply, 200, em_settings_show(&control->world->settings));
}

static void settings_set(struct em_control *control)
{
    char why[256];
    if (!em_settings_change(&control->world->settings, control->body, why))
        return em_control_fail(control, 400, why);
    settings_get(control);
}

static void throttle(struct em_control *control)
{
    const char *name = NULL;
    int quota = -1, per_second = -1, retry_after = 0;
    if (json_unpack(control->body, "{s:s, s?i, s?i, s?i}", "vault", &name, "quota", &quota, "per_second",
                    &per_second, "retry_after", &retry_after) != 0 ||
        (quota < 0) == (per_second < 0) || per_second > 100000000)
        return em_control_fail(control, 400, "'vault' and one of 'quota' and 'per_second' are wanted");
    struct em_vault *vault = em_store_vault_by_name(&control->world->store, name);
    if (!vault)
        return em_control_fail(control, 404, "there is no such vault");
    em_throttle_set(vault, quota < 0 ? 10 * per_second : quota, retry_after);
    em_control_ok(control);
}

static const struct {
    const char *method, *pattern; /* '*': any one segment, kept in control->part */
    bool body;
    void (*handle)(struct em_control *);
} table[] = {
    { "GET", "health", false, health },
    { "GET", "clock", false, clock_get },
    { "POST", "clock", true, clock_set },
    { "GET", "faults", false, faults_get },
    { "POST", "faults", true, faults_set },
    { "DELETE", "faults", false, faults_clear },
    { "GET", "log", false, log_get },
    { "DELETE", "log", false, log_clear },
    { "POST", "identities", true, identity_add },
    { "POST", "identities/*/revoke-tokens", false, identity_revoke },
    { "GET", "settings", false, settings_get },
    { "POST", "settings", true, settings_set },
    { "POST", "tenant", true, tenant_set },
    { "POST", "throttle", true, throttle },
    { "POST", "vaults/*/bulk", true, em_control_bulk },
    { "POST", "vaults/*/keys/*/*", false, em_control_key },
    { "PATCH", "vaults/*/keys/*/*", true, em_control_patch },
    { "POST", "vaults/*/certificates/*/*", false, em_control_certificate },
};

static bool matches(const char *pattern, const char *path, struct em_control *control)
{
    int parts = 0;
    while (*path == '/')
        path++;
    while (*pattern && *path) {
        size_t want = strcspn(pattern, "/"), have = strcspn(path, "/");
        if (*pattern == '*' && parts < CONTROL_PARTS && have < sizeof(control->part[0])) {
            snprintf(control->part[parts], sizeof(control->part[0]), "%.*s", (int)have, path);
            em_unescape(control->part[parts++], false);
        } else if (want != have || strncmp(pattern, path, want) != 0) {
            return false;
        }
        pattern += want + (pattern[want] == '/');
        path += have + (path[have] == '/');
    }
    return !*pattern && !*path;
}

static void answer(struct em_control *control)
{
    const struct em_request *request = control->request;
    for (size_t i = 0; i < EM_COUNT(table); i++) {
        if (!em_same(table[i].method, request->method) || !matches(table[i].pattern, request->path, control))
            continue;
        if (table[i].body && !control->body)
            return em_control_fail(control, 400, "a JSON body is wanted");
        return table[i].handle(control);
    }
    em_control_fail(control, 404, "there is no such call");
}

void em_control_handle(void *context, struct em_request *request, struct em_reply *reply)
{
    AUTO_JSON body = request->body ? json_loads(request->body, 0, NULL) : NULL;
    struct em_control control = { .world = context, .request = request, .reply = reply, .body = body };
    answer(&control);
    em_reply_header(reply, "Content-Type", "application/json; charset=utf-8");
}
