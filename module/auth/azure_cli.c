#include "expiry.h"
#include "oauth.h"
#include "program.h"

#include "base/json.h"

#include <string.h>
#include <sys/auxv.h>

enum { TIMEOUT_MS = 13000, OUTPUT_MAX = 64 << 10, SAID_ROOM = 256, WORD_MOST = 60, ARGUMENTS_MOST = 12 };

static const char *unavailable(const struct kv_vault_config *config)
{
    return config->azure_cli ? NULL : "`azure_cli` is not set";
}

/* ---- what is run ---- */

static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:/_-";

/* No shell sees them, but the program itself may hand them on to one. */
static enum kv_status check_argument(const char *what, const char *value, struct kv_error *err)
{
    if (*value && *value != '-' && !value[strspn(value, letters)])
        return KV_OK;
    return kv_fail(
        err, KV_CREDENTIAL,
        "%s '%s' is not of letters, digits, and the marks . : / _ -, and so is not given to the Azure CLI",
        what, value);
}

static enum kv_status make_arguments(const struct kv_credential_request *request, char **argv,
                                     struct kv_error *err)
{
    const struct kv_vault_config *config = request->config;
    const char *scope = request->challenge->scope;
    const char *tenant = config->tenant ? config->tenant : request->challenge->tenant;
    KV_TRY(check_argument("the scope", scope, err));
    KV_TRY(check_argument("`tenant`", tenant, err));
    if (config->subscription)
        KV_TRY(check_argument("`subscription`", config->subscription, err));
    const char *words[] = { config->azure_cli,
                            "account",
                            "get-access-token",
                            "--output",
                            "json",
                            "--scope",
                            scope,
                            "--tenant",
                            tenant,
                            config->subscription ? "--subscription" : NULL,
                            config->subscription };
    for (size_t i = 0; i < sizeof words / sizeof *words && words[i]; i++)
        argv[i] = (char *)words[i];
    return KV_OK;
}

/* ---- what it said ---- */

/* The beginning of its complaints as one line of plain characters. A word as long as a token does not belong into a log. */
static void read_said(const struct kv_buffer *errors, char ret[SAID_ROOM])
{
    const char *from = errors->bytes.data ? (const char *)errors->bytes.data : "";
    size_t len = 0;
    while (*from && len < SAID_ROOM - 1) {
        size_t word = 0;
        while (from[word] > ' ' && from[word] <= '~')
            word++;
        if (word > WORD_MOST) {
            ret[len++] = '*';
            from += word;
            continue;
        }
        if (!word && len && ret[len - 1] != ' ')
            ret[len++] = ' ';
        for (size_t i = 0; i < word && len < SAID_ROOM - 1; i++)
            ret[len++] = from[i];
        from += word ? word : 1;
    }
    while (len && ret[len - 1] == ' ')
        len--;
    ret[len] = 0;
}

static enum kv_status fail_said(const struct kv_vault_config *config, const struct kv_program_result *result,
                                struct kv_error *err)
{
    static const struct {
        const char *words, *remedy;
    } remedies[] = {
        { "az login", "run `az login` as the user that this program runs as" },
        { "AADSTS", "run `az login` as the user that this program runs as" },
        { "az account set", "choose a subscription with `az account set`, or write `subscription`" },
        { "not found", "install the Azure CLI, or let `azure_cli` name its program" },
    };
    const char *remedy = "see what `az account get-access-token` says";
    char said[SAID_ROOM];
    read_said(&result->errors, said);
    for (size_t i = sizeof remedies / sizeof *remedies; i-- > 0;) {
        if (strstr(said, remedies[i].words))
            remedy = remedies[i].remedy;
    }
    return kv_fail(err, KV_CREDENTIAL, "the Azure CLI '%s' gave no token (exit %d): %s%s%s",
                   config->azure_cli, result->exit, said, *said ? "; " : "", remedy);
}

static bool read_end(const struct kv_json *json, const char *bearer, int64_t *ret)
{
    struct kv_oauth_claims claims = { 0 };
    if (kv_json_int(kv_json_get(json, "expires_on"), ret) ||
        kv_expiry_read_local(kv_json_text(kv_json_get(json, "expiresOn")), ret))
        return true;
    if (!kv_oauth_read_claims(bearer, &claims))
        return false;
    *ret = claims.expires;
    return true;
}

/* What cannot be read may be half a token: it is not shown. */
static enum kv_status read_token(const struct kv_program_result *result, int64_t now,
                                 struct kv_access_token *ret, struct kv_error *err)
{
    KV_AUTO_JSON struct kv_json *json = NULL;
    struct kv_oauth_claims claims = { 0 };
    if (kv_json_parse(KV_VIEW(result->output.bytes), &json, NULL) != KV_OK)
        return kv_fail(err, KV_CREDENTIAL,
                       "the Azure CLI did not write JSON: see what `az account get-access-token` says");
    const char *bearer = kv_json_text(kv_json_get(json, "accessToken"));
    struct kv_access_token token = { 0 };
    if (!bearer || !kv_oauth_is_bearer(bearer) || !read_end(json, bearer, &token.expires))
        return kv_fail(err, KV_CREDENTIAL,
                       "the Azure CLI wrote no usable `accessToken` with its end: update the Azure CLI");
    if (token.expires <= now)
        return kv_fail(
            err, KV_CREDENTIAL,
            "the Azure CLI gave a token that has expired: check this host's clock, or run `az login`");
    if (kv_oauth_read_claims(bearer, &claims))
        kv_text_fit(token.identity, sizeof token.identity, claims.identity);
    token.bearer = kv_text_copy(bearer);
    if (!token.bearer)
        return kv_fail(err, KV_NO_MEMORY, "no memory for a token");
    *ret = token;
    return KV_OK;
}

/* ---- running it ---- */

static enum kv_status fail_run(const struct kv_credential_request *request, enum kv_status status,
                               struct kv_error *err)
{
    const char *program = request->config->azure_cli;
    if (status == KV_NOT_FOUND)
        return kv_fail(err, KV_CREDENTIAL,
                       "there is no Azure CLI '%s': install it, or let `azure_cli` name its program",
                       program);
    if (status == KV_DATA_LENGTH)
        return kv_fail(err, KV_CREDENTIAL,
                       "the Azure CLI '%s' wrote more than %d bytes: is it the Azure CLI?", program,
                       OUTPUT_MAX);
    if (status == KV_CANCELLED)
        return kv_fail(err, KV_CANCELLED, "the application ended the call; the Azure CLI '%s' was killed",
                       program);
    if (status == KV_TIMED_OUT)
        return kv_fail(
            err, kv_deadline_left(request->task->deadline) ? KV_CREDENTIAL : KV_TIMED_OUT,
            "the Azure CLI '%s' did not answer within %d seconds or before the deadline, and was killed; see "
            "`timeout`",
            program, TIMEOUT_MS / 1000);
    return kv_fail(err, KV_CREDENTIAL, "the Azure CLI '%s' cannot be run: out of processes, files or memory",
                   program);
}

static enum kv_status run(const struct kv_credential_request *request, char *const *argv,
                          struct kv_program_result *ret, struct kv_error *err)
{
    struct kv_deadline deadline = request->task->deadline;
    int64_t left = kv_deadline_left(deadline);
    char **environment = kv_config_child_environment();
    if (!environment)
        return kv_fail(err, KV_NO_MEMORY, "no memory to run the Azure CLI");
    struct kv_program program = {
        .argv = argv,
        .environment = environment,
        .output_max = OUTPUT_MAX,
        .deadline = kv_deadline_again(deadline, left < TIMEOUT_MS ? left : TIMEOUT_MS),
    };
    enum kv_status status = kv_program_run(&program, ret);
    kv_config_child_environment_free(environment);
    return status == KV_OK ? KV_OK : fail_run(request, status, err);
}

static enum kv_status ask(const struct kv_credential_request *request, struct kv_access_token *ret,
                          struct kv_error *err)
{
    const struct kv_vault_config *config = request->config;
    const struct kv_clock *clock = request->task->deadline.clock;
    const char *missing = unavailable(config);
    char *argv[ARGUMENTS_MOST + 1] = { NULL };
    KV_CLEANUP(kv_program_result_free) struct kv_program_result result = { 0 };
    if (missing)
        return kv_fail(err, KV_CREDENTIAL, "credential 'azure-cli': %s", missing);
    if (*config->azure_cli != '/' && getauxval(AT_SECURE))
        return kv_fail(
            err, KV_CREDENTIAL,
            "in a program with more rights than its caller the PATH is not searched: let `azure_cli` name "
            "the Azure CLI's program");
    KV_TRY(make_arguments(request, argv, err));
    KV_TRY(run(request, argv, &result, err));
    /* A host that reaps children which it does not know, or ignores their end, leaves no exit status: then the output decides. */
    if (result.exit > 0 || !result.output.bytes.len)
        return fail_said(config, &result, err);
    return read_token(&result, clock->unix_seconds(clock), ret, err);
}

/* A person's login that is not there or has run out is nothing that a chain stops at. */
static enum kv_status acquire(const struct kv_credential_request *request, struct kv_access_token *ret,
                              struct kv_error *err)
{
    enum kv_status status = ask(request, ret, err);
    if (request->absent)
        *request->absent = status != KV_OK;
    return status;
}

const struct kv_credential_kind kv_credential_azure_cli = {
    .name = "azure-cli", .unavailable = unavailable, .acquire = acquire, .developer = true
};
