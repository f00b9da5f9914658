/* The instance metadata service's token endpoint (contract §14.4): plain HTTP, times as strings. */
#include <string.h>
#include "auth.h"
#include "clock.h"
#include "entra.h"

static void refuse(struct em_reply *reply, int status, const char *text)
{
    em_reply_json(reply, status,
                  em_json(json_pack("{s:s, s:s}", "error", status == 404 ? "not_found" : "invalid_request",
                                    "error_description", text)));
}

void em_imds_grant(struct em_world *world, struct em_reply *reply, const char *identity, const char *resource)
{
    int64_t now = em_clock_seconds();
    int lifetime = world->settings.value[EM_TOKEN_LIFETIME];
    size_t length = strlen(resource);
    /* v1 resources: a slash at the end would be another audience. */
    AUTO_TEXT audience = em_format("%.*s", (int)(length - (length && resource[length - 1] == '/')), resource);
    AUTO_TEXT token = em_auth_issue(
        world, &(struct em_grant){ .identity = identity, .audience = audience, .managed = true });
    if (!token)
        return refuse(reply, 400, "Identity not found");
    AUTO_TEXT in = em_format("%d", lifetime);
    AUTO_TEXT on = em_format("%lld", (long long)now + lifetime);
    AUTO_TEXT before = em_format("%lld", (long long)now);
    em_reply_json(
        reply, 200,
        em_json(json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "access_token", token, "client_id",
                          identity, "expires_in", in, "expires_on", on, "ext_expires_in", in, "not_before",
                          before, "resource", resource, "token_type", "Bearer")));
}

static void answer(struct em_world *world, const struct em_request *request, struct em_reply *reply,
                   char ret_identity[128])
{
    const char *metadata = em_request_header(request, "Metadata");
    const char *version = em_request_parameter(request, "api-version");
    const char *resource = em_request_parameter(request, "resource");
    const char *client = em_request_parameter(request, "client_id");
    if (!em_same(request->method, "GET") || !em_same(request->path, "/metadata/identity/oauth2/token"))
        return refuse(reply, 404, "There is no such resource");
    if (!metadata || !em_same(metadata, "true"))
        return refuse(reply, 400, "Required metadata header not specified");
    if (!version || strlen(version) != strlen("2018-02-01"))
        return refuse(reply, 400, "Required query variable 'api-version' is missing");
    if (!resource || !*resource)
        return refuse(reply, 400, "Required query variable 'resource' is missing");
    snprintf(ret_identity, 128, "%s", client ? client : world->options.imds_identity);
    em_imds_grant(world, reply, ret_identity, resource);
}

void em_imds_handle(struct em_world *world, const struct em_request *request, struct em_reply *reply,
                    char ret_identity[128])
{
    if (!em_machine_handle(world, request, reply, ret_identity))
        answer(world, request, reply, ret_identity);
    em_reply_header(reply, "Content-Type", "application/json; charset=utf-8");
    em_reply_header(reply, "Server", "IMDS/150.870.65.1324");
}
