#include <string.h>
#include "clock.h"
#include "dispatch.h"
#include "entra.h"
#include "route.h"

struct visit { /* one request on its way through */
    struct em_world *world;
    struct em_vault *vault; /* NULL: another service */
    struct em_request *request;
    struct em_reply *reply;
    struct em_fault fault;
    char identity[128], request_id[EM_GUID_SIZE];
};

/* As the queued fault says, or a time before which no token counts. */
static json_t *demand_of(const struct em_fault *fault)
{
    json_t *claims = json_object_get(fault->order, "claims");
    if (fault->kind != EM_FAULT_INSUFFICIENT_CLAIMS)
        return NULL;
    AUTO_TEXT now = em_format("%lld", (long long)em_clock_seconds());
    return claims ? json_incref(claims)
                  : em_json(
                        json_pack("{s:{s:{s:b, s:s}}}", "access_token", "nbf", "essential", 1, "value", now));
}

static void visit_vault(struct visit *visit)
{
    AUTO_JSON demand = demand_of(&visit->fault);
    const struct em_request *request = visit->request;
    struct em_call call = { .world = visit->world,
                            .vault = visit->vault,
                            .request = request,
                            .reply = visit->reply,
                            .expired = visit->fault.kind == EM_FAULT_EXPIRED_TOKEN,
                            .demand = demand,
                            .now_ms = em_clock_ms() };
    char port[16] = "";
    call.now = call.now_ms / 1000;
    if (request->port != 443)
        snprintf(port, sizeof(port), ":%d", request->port);
    snprintf(call.base, sizeof(call.base), "https://%s%s", visit->vault->host, port);
    if (visit->vault->hsm)
        em_guid_timed(call.request_id);
    else
        em_guid(call.request_id);
    em_clock_pause(visit->world->settings.value[EM_LATENCY_MS]);
    em_route_run(&call);
    free(call.claims);
    snprintf(visit->identity, sizeof(visit->identity), "%s", call.identity);
    snprintf(visit->request_id, sizeof(visit->request_id), "%s", call.request_id);
}

static void visit_directory(struct visit *visit)
{
    em_entra_handle(visit->world, visit->request, visit->reply, visit->identity);
}

static void visit_imds(struct visit *visit)
{
    em_imds_handle(visit->world, visit->request, visit->reply, visit->identity);
}

static const char *or_null(const char *text)
{
    return *text ? text : NULL;
}

static void run(struct visit *visit, const char *kind, const char *scope, void (*serve)(struct visit *))
{
    struct em_world *world = visit->world;
    visit->fault = em_faults_take(&world->faults, visit->request, scope);
    if (!em_fault_before(&visit->fault, visit->reply)) {
        serve(visit);
        em_fault_after(&visit->fault, visit->reply);
    }
    const char *fault = em_fault_name(visit->fault.kind);
    struct em_fields form =
        em_fields_parse(visit->vault || !visit->request->body ? "" : visit->request->body, true);
    /* Before the reply leaves, so that whoever has it finds it in the log. */
    em_log_add(&world->log,
               &(struct em_log_entry){ .kind = kind,
                                       .request = visit->request,
                                       .status = visit->reply->ending == EM_CUT ? 0 : visit->reply->status,
                                       .identity = or_null(visit->identity),
                                       .request_id = or_null(visit->request_id),
                                       .fault = fault,
                                       .claims = em_fields_get(&form, "claims") });
    em_fields_free(&form);
    em_fault_free(&visit->fault);
}

void em_dispatch_tls(void *context, struct em_request *request, struct em_reply *reply)
{
    struct visit visit = { .world = context, .request = request, .reply = reply };
    visit.vault = em_store_vault_by_host(&visit.world->store, request->host);
    if (visit.vault)
        run(&visit, "vault", visit.vault->name, visit_vault);
    else if (em_starts(request->path, "/fabric/"))
        run(&visit, "imds", "imds", visit_imds);
    else
        run(&visit, "token", "login", visit_directory);
}

void em_dispatch_imds(void *context, struct em_request *request, struct em_reply *reply)
{
    struct visit visit = { .world = context, .request = request, .reply = reply };
    run(&visit, "imds", "imds", visit_imds);
}
