#include <string.h>
#include <strings.h>
#include "auth.h"
#include "clock.h"

/* What Key Vault's own application is called in the directory: accepted as an audience, too. */
static const char vault_application[] = "cfa8b339-82a2-471a-a3c9-0fc0be7a4093";
/* Which generation of the identity's tokens this one belongs to; see em_identities_revoke. */
static const char generation_claim[] = "em_generation";

static const char *claim(const json_t *claims, const char *name)
{
    const char *text = json_string_value(json_object_get(claims, name));
    return text ? text : "";
}

static bool fail_demand(struct em_call *call, const json_t *demand)
{
    AUTO_TEXT text = json_dumps(demand, JSON_COMPACT);
    free(call->claims);
    call->claims = text ? em_base64((const unsigned char *)text, strlen(text)) : NULL;
    return em_call_fail(call, EM_INSUFFICIENT_CLAIMS);
}

/* A token from before a demand is told what the next one needs. */
static bool check_generation(struct em_call *call, const json_t *claims)
{
    struct em_identity identity;
    json_int_t generation = json_integer_value(json_object_get(claims, generation_claim));
    if (call->demand)
        em_identities_demand(&call->world->identities, call->identity, call->demand);
    if (em_identities_current(&call->world->identities, call->identity, generation))
        return true;
    if (!em_identities_find(&call->world->identities, call->identity, &identity))
        return em_call_fail(call, EM_BAD_TOKEN, "the identity is unknown");
    bool result = identity.demand ? fail_demand(call, identity.demand)
                                  : em_call_fail(call, EM_BAD_TOKEN, "the token was revoked");
    em_identity_free(&identity);
    return result;
}

static bool check_claims(struct em_call *call, const json_t *claims)
{
    const struct em_vault *vault = call->vault;
    const char *tenant = em_tenant(call->world), *audience = claim(claims, "aud");
    AUTO_TEXT issuer = em_format("https://sts.windows.net/%s/", tenant);
    if (call->expired || call->now >= json_integer_value(json_object_get(claims, "exp")))
        return em_call_fail(call, EM_TOKEN_EXPIRED);
    if (call->now < json_integer_value(json_object_get(claims, "nbf")))
        return em_call_fail(call, EM_TOKEN_EARLY);
    if (strcmp(audience, vault->resource) != 0 && (vault->hsm || strcmp(audience, vault_application) != 0))
        return em_call_fail(call, EM_BAD_AUDIENCE, vault->resource, audience);
    if (strcmp(claim(claims, "iss"), issuer) != 0 || strcmp(claim(claims, "tid"), tenant) != 0)
        return em_call_fail(call, EM_BAD_ISSUER, tenant, claim(claims, "iss"));
    return check_generation(call, claims);
}

bool em_auth_check(struct em_call *call)
{
    const char *header = em_request_header(call->request, "Authorization");
    if (!header || strncasecmp(header, "Bearer ", 7) != 0)
        return em_call_fail(call, EM_NO_TOKEN);
    AUTO_JSON claims = em_jwt_verify(&call->world->signer, header + 7);
    if (!claims)
        return em_call_fail(call, EM_BAD_TOKEN, "IDX10511: Signature validation failed");
    snprintf(call->identity, sizeof(call->identity), "%s", claim(claims, "appid"));
    return check_claims(call, claims);
}

char *em_auth_issue(struct em_world *world, const struct em_grant *grant)
{
    struct em_identity identity;
    if (!em_identities_find(&world->identities, grant->identity, &identity))
        return NULL;
    const char *tenant = grant->tenant ? grant->tenant : em_tenant(world);
    int64_t now = em_clock_seconds();
    char uti[23];
    em_hex_random(uti, sizeof(uti) - 1);
    AUTO_TEXT issuer = em_format("https://sts.windows.net/%s/", tenant);
    AUTO_JSON claims = em_json(json_pack(
        "{s:s, s:s, s:I, s:I, s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I}", "aud", grant->audience,
        "iss", issuer, "iat", (json_int_t)now, "nbf", (json_int_t)now, "exp",
        (json_int_t)(now + world->settings.value[EM_TOKEN_LIFETIME]), "appid", identity.id, "appidacr",
        grant->managed ? "2" : "1", "idp", issuer, "oid", identity.oid, "sub", identity.oid, "tid", tenant,
        "uti", uti, "ver", "1.0", generation_claim, (json_int_t)(identity.generation - grant->stale)));
    em_identity_free(&identity);
    return em_jwt_sign(&world->signer, claims);
}
