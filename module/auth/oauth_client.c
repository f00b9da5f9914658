#include "oauth_client.h"

#include "base/encode.h"

#include <string.h>

/* What the refusals that people meet mean, and what to do. The code that can be looked up goes before the kind of error. */
static const struct {
    const char *code, *remedy;
} remedies[] = {
    { "AADSTS7000215",
      "the client secret is wrong: put the secret's value, not its id, into `client_secret_file`" },
    { "AADSTS7000222", "the client secret has expired: add a new one and put it into `client_secret_file`" },
    { "AADSTS7000218",
      "the application has to prove who it is: set a secret, a certificate or a federated token" },
    { "AADSTS700016", "this tenant has no such application: correct `client_id` or `tenant`" },
    { "AADSTS90002", "there is no such tenant: correct `tenant`" },
    { "AADSTS900023", "this is not a tenant: correct `tenant`" },
    { "AADSTS7000112", "the application is disabled: enable it" },
    { "AADSTS7000229", "the application has no service principal in this tenant: create it" },
    { "AADSTS500011", "the tenant does not know the vault's resource: check `tenant`" },
    { "AADSTS50105", "the application was given no role for the vault's resource: assign it one" },
    /* assertions that our certificate signs */
    { "AADSTS700027", "the directory does not know this certificate, or it has expired: add "
                      "`client_certificate` to the application's "
                      "certificates, and see that `client_key` is its key" },
    { "AADSTS700030", "the certificate's subject is not one that the application trusts: correct the trusted "
                      "subject, or register the "
                      "certificate and turn `send_certificate_chain` off" },
    { "AADSTS7000213", "the certificates do not lead to the authority that the application trusts: put those "
                       "between them behind `client_certificate`, in its file" },
    { "AADSTS7000214", "the certificate was registered for another application: correct `client_id`" },
    { "AADSTS700021", "the assertion is that of another application: correct `client_id`" },
    { "AADSTS700023", "the assertion is meant for another authority: correct `authority` or `tenant`" },
    { "AADSTS700024",
      "the assertion's time is not now: set this host's clock, or see that the federated token is renewed" },
    { "AADSTS500133",
      "the assertion's time is not now: set this host's clock, or see that the federated token is renewed" },
    { "AADSTS50013", "the assertion's signature or issuer is not right: check `client_certificate` or "
                     "`federated_token_file`" },
    { "AADSTS50027",
      "the assertion is not understood: try `assertion_algorithm = rs256`, or check what is in "
      "`federated_token_file`" },
    { "AADSTS5002738", "the assertion's algorithm is not taken here: set `assertion_algorithm = rs256`" },
    /* tokens of another issuer */
    { "AADSTS70021",
      "the application has no federated credential for this issuer, subject and audience: add it" },
    { "AADSTS700211", "the application has no federated credential for this issuer: correct or add it" },
    { "AADSTS700212", "the federated token is meant for another audience: ask its issuer for one for "
                      "'api://AzureADTokenExchange'" },
    { "AADSTS700213", "the application has no federated credential for this subject: correct or add it" },
    { "AADSTS700222", "a token of the directory itself proves nothing here: name another issuer's in "
                      "`federated_token_file`" },
    { "AADSTS50166",
      "the directory cannot reach the federated issuer: see that its keys can be read from outside" },
    /* policies */
    { "AADSTS53003", "conditional access forbids it: allow the application from this host" },
    { "AADSTS530003",
      "conditional access demands a managed device: except the application from that policy" },
    { "AADSTS53011", "the application is held to be at risk: see its sign-ins and clear the risk" },
    { "AADSTS50076",
      "conditional access demands a second factor, which a program has not: except the application" },
    { "AADSTS50079",
      "conditional access demands a second factor, which a program has not: except the application" },
    { "interaction_required", "the directory demands a person, and a program is none: except the application "
                              "from the policy that the tenant's "
                              "sign-in log names, or let `credential` be a managed identity" },
    { "unauthorized_client", "the application may not do this: see its registration" },
};

static const char *remedy_of(const char *code)
{
    for (size_t i = 0; i < sizeof remedies / sizeof remedies[0]; i++) {
        if (strcmp(remedies[i].code, code) == 0)
            return remedies[i].remedy;
    }
    return NULL;
}

static enum kv_status fail_refused(const struct kv_credential_request *request,
                                   const struct kv_http_reply *reply, struct kv_error *err)
{
    struct kv_oauth_refusal refusal;
    kv_oauth_read_refusal(KV_VIEW(reply->body), &refusal);
    const char *remedy = remedy_of(refusal.code);
    if (!remedy)
        remedy = remedy_of(refusal.error);
    if (!remedy)
        remedy = refusal.said[0] ? refusal.said : "see the sign-in log of the tenant";
    enum kv_status status =
        kv_fail(err, KV_CREDENTIAL, "client '%s' got no token from tenant '%s': HTTP %d %s: %s",
                request->config->client_id, request->challenge->tenant, reply->status, refusal.code, remedy);
    if (err) {
        err->http = reply->status;
        kv_text_fit(err->code, sizeof err->code, refusal.code);
    }
    return status;
}

static const char *authority_of(const struct kv_credential_request *request)
{
    return request->config->authority ? request->config->authority : request->challenge->authority;
}

bool kv_oauth_is_adfs(const struct kv_challenge *challenge)
{
    return kv_text_equal_case(challenge->tenant, "adfs");
}

/* The challenge's tenant: it was checked to be the configured one, or one that is allowed beside it. */
char *kv_oauth_client_url(const struct kv_credential_request *request)
{
    if (kv_oauth_is_adfs(request->challenge))
        return kv_text_format("%s/adfs/oauth2/token", authority_of(request));
    return kv_text_format("%s/%s/oauth2/v2.0/token", authority_of(request), request->challenge->tenant);
}

static enum kv_status add(struct kv_buffer *body, const char *name, const char *value)
{
    KV_AUTO_TEXT char *plain = kv_encode_percent(value);
    return plain ? kv_buffer_format(body, "%s%s=%s", body->bytes.len ? "&" : "", name, plain) : KV_NO_MEMORY;
}

/* AD FS knows the first version of the protocol: a resource instead of a scope, and no claims of continuous access. */
static enum kv_status add_resource(const struct kv_credential_request *request, struct kv_buffer *ret)
{
    static const char tail[] = "/.default";
    const char *scope = request->challenge->scope, *end = strstr(scope, tail);
    size_t len = end && !end[sizeof tail - 1] ? (size_t)(end - scope) : strlen(scope);
    KV_AUTO_TEXT char *resource = kv_text_copy_n(scope, len);
    return resource ? add(ret, "resource", resource) : KV_NO_MEMORY;
}

static enum kv_status make_body(const struct kv_credential_request *request,
                                const struct kv_oauth_proof *proof, struct kv_buffer *ret)
{
    bool adfs = kv_oauth_is_adfs(request->challenge);
    KV_AUTO_TEXT char *claims =
        kv_oauth_claims_parameter(adfs ? NULL : request->claims, !adfs && request->config->continuous_access);
    if (!claims)
        return KV_NO_MEMORY;
    KV_TRY(add(ret, "grant_type", "client_credentials"));
    KV_TRY(add(ret, "client_id", request->config->client_id));
    if (proof->secret)
        KV_TRY(add(ret, "client_secret", proof->secret));
    if (proof->assertion) {
        KV_TRY(add(ret, "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"));
        KV_TRY(add(ret, "client_assertion", proof->assertion));
    }
    if (*claims)
        KV_TRY(add(ret, "claims", claims));
    return adfs ? add_resource(request, ret) : add(ret, "scope", request->challenge->scope);
}

enum kv_status kv_oauth_client_token(const struct kv_credential_request *request,
                                     const struct kv_oauth_proof *proof, struct kv_access_token *ret,
                                     struct kv_error *err)
{
    KV_AUTO_FREE char *url = kv_oauth_client_url(request);
    KV_AUTO_BUFFER struct kv_buffer body = { 0 };
    if (!url || make_body(request, proof, &body) != KV_OK)
        return kv_fail(err, KV_NO_MEMORY, "no memory for a token request");
    struct kv_http_request post = {
        .method = "POST",
        .url = url,
        .headers = { { "Content-Type", "application/x-www-form-urlencoded" },
                     { "Accept", "application/json" } },
        .body = KV_VIEW(body.bytes),
    };
    struct kv_oauth_send send = { .http = request->http, .request = &post, .task = request->task };
    const struct kv_clock *clock = request->task->deadline.clock;
    KV_AUTO_REPLY struct kv_http_reply reply = { 0 };
    KV_TRY(kv_oauth_send(&send, &reply, err));
    if (reply.status != 200)
        return fail_refused(request, &reply, err);
    enum kv_status status = kv_oauth_read_token(KV_VIEW(reply.body), clock->unix_seconds(clock), ret, err);
    return status == KV_OK ? KV_OK : kv_fail_in(err, status, "'%s'", authority_of(request));
}
