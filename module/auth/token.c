#include "token_private.h"

#include "auth/login.h"
#include "base/locked.h"

#include <pthread.h>
#include <string.h>

/* Who has logged in: a PIN, and the identity under which its tokens are kept. Counted: a request that is under way ends with the PIN that it began with. */
struct login {
    unsigned users;
    char *identity;
    char *pin; /* locked memory */
};

struct kv_tokens {
    struct kv_tokens_parts parts;
    struct kv_credential_memory memory;
    char *identity;
    pthread_mutex_t lock; /* these */
    struct login *login;  /* NULL: nobody */
    uint64_t logins;      /* each has tokens of its own */
};

/* ---- opening ---- */

/* Every setting that tells one identity from another, as text. Where it is known (authority, tenant) is a part of the key by itself. */
static enum kv_status describe(const struct kv_tokens_parts *parts, struct kv_buffer *ret)
{
    const struct kv_setting_info *info;
    KV_TRY(kv_buffer_format(ret, "%s\n", parts->kind->name));
    for (size_t i = 0; (info = kv_config_setting(i)); i++) {
        if (info->credential != KV_CREDENTIAL_WHO)
            continue;
        KV_AUTO_TEXT char *value = kv_config_value(NULL, parts->config, info->name);
        if (!value)
            return KV_NO_MEMORY;
        if (*value)
            KV_TRY(kv_buffer_format(ret, "%s %zu:%s\n", info->name, strlen(value), value));
    }
    return KV_OK;
}

enum kv_status kv_tokens_open_kind(const struct kv_tokens_parts *parts, struct kv_tokens **ret,
                                   struct kv_error *err)
{
    KV_AUTO_BUFFER struct kv_buffer identity = { 0 };
    struct kv_tokens *tokens = calloc(1, sizeof *tokens);
    if (!tokens || describe(parts, &identity) != KV_OK ||
        !(tokens->identity = kv_text_copy((const char *)identity.bytes.data))) {
        free(tokens);
        return kv_fail(err, KV_NO_MEMORY, "no memory for tokens");
    }
    tokens->parts = *parts;
    pthread_mutex_init(&tokens->lock, NULL);
    *ret = tokens;
    return KV_OK;
}

enum kv_status kv_tokens_open(const struct kv_vault_config *config, struct kv_http *http,
                              struct kv_token_cache *cache, struct kv_tokens **ret, struct kv_error *err)
{
    const struct kv_credential_kind *kind = kv_credential_of(config);
    if (!kind)
        return kv_fail(err, KV_CONFIG, "vault '%s': there is no credential '%s'", config->name,
                       config->credential);
    return kv_tokens_open_kind(&(struct kv_tokens_parts){ config, http, cache, kind }, ret, err);
}

void kv_tokens_free(struct kv_tokens *tokens)
{
    if (!tokens)
        return;
    kv_tokens_logout(tokens);
    pthread_mutex_destroy(&tokens->lock);
    kv_text_free(tokens->identity);
    free(tokens);
}

/* ---- who asks ---- */

static void login_free(struct login *login)
{
    if (!login)
        return;
    kv_locked_free(login->pin);
    kv_text_free(login->identity);
    free(login);
}

/* Of another vault with the same settings, and of an earlier login of this one, the tokens are not ours: each PIN is proved by itself. */
static struct login *login_new(struct kv_tokens *tokens, struct kv_view pin)
{
    struct login *login = calloc(1, sizeof *login);
    if (!login)
        return NULL;
    pthread_mutex_lock(&tokens->lock);
    uint64_t number = ++tokens->logins;
    pthread_mutex_unlock(&tokens->lock);
    login->users = 1;
    login->identity = kv_text_format("%slogin %llu of %s\n", tokens->identity, (unsigned long long)number,
                                     tokens->parts.config->name);
    login->pin = kv_locked_alloc(pin.len + 1);
    if (login->identity && login->pin) {
        memcpy(login->pin, pin.data, pin.len);
        return login;
    }
    login_free(login);
    return NULL;
}

static struct login *take_login(struct kv_tokens *tokens)
{
    pthread_mutex_lock(&tokens->lock);
    struct login *login = tokens->login;
    if (login)
        login->users++;
    pthread_mutex_unlock(&tokens->lock);
    return login;
}

static void leave_login(struct kv_tokens *tokens, struct login *login)
{
    if (!login)
        return;
    pthread_mutex_lock(&tokens->lock);
    bool last = --login->users == 0;
    pthread_mutex_unlock(&tokens->lock);
    if (last)
        login_free(login);
}

/* A token that a PIN gave is never left to other processes, which have not been told the PIN. `ret_own` keeps what the wish borrows. */
static struct kv_token_wish wish_of(struct kv_tokens *tokens, const struct kv_challenge *challenge,
                                    const struct login *login, struct kv_vault_config *ret_own)
{
    const struct kv_vault_config *config = tokens->parts.config;
    struct kv_token_wish wish = {
        .key = { .authority = config->authority ? config->authority : challenge->authority,
                 .tenant = config->tenant && !config->additionally_allowed_tenants.count ? config->tenant
                                                                                         : challenge->tenant,
                 .scope = challenge->scope,
                 .identity = login ? login->identity : tokens->identity },
        .kind = tokens->parts.kind,
        .config = config,
        .http = tokens->parts.http,
        .challenge = challenge,
        .memory = login ? NULL : &tokens->memory,
        .shared = config->token_cache == KV_TOKENS_KEYRING && !login,
    };
    if (login) {
        kv_config_put_pin(config, login->pin, ret_own);
        wish.config = ret_own;
    }
    return wish;
}

enum kv_status kv_tokens_bearer(struct kv_tokens *tokens, const struct kv_challenge *challenge,
                                const struct kv_task *task, char **ret_bearer, char *ret_identity,
                                struct kv_error *err)
{
    const struct kv_vault_config *config = tokens->parts.config;
    struct kv_vault_config own;
    struct login *login = config->pin ? take_login(tokens) : NULL;
    if (config->pin && !login)
        return kv_fail(err, KV_NOT_LOGGED_IN,
                       "the secret of vault '%s' is the PIN of C_Login (`pin`), and nobody has logged in",
                       config->name);
    struct kv_token_wish wish = wish_of(tokens, challenge, login, &own);
    enum kv_status status =
        kv_token_cache_get(tokens->parts.cache, &wish, task, ret_bearer, ret_identity, err);
    leave_login(tokens, login);
    return status;
}

void kv_tokens_drop(struct kv_tokens *tokens, const struct kv_challenge *challenge, const char *bearer)
{
    struct kv_vault_config own;
    struct login *login = tokens->parts.config->pin ? take_login(tokens) : NULL;
    struct kv_token_wish wish = wish_of(tokens, challenge, login, &own);
    kv_token_cache_drop(tokens->parts.cache, &wish, bearer);
    leave_login(tokens, login);
}

/* ---- logging in and out ---- */

/* What the identity provider, or the key file, says of a secret that is wrong. Everything else is no word on the PIN. */
static const struct {
    const char *code;
    enum kv_status status;
    const char *text;
} verdicts[] = {
    { "AADSTS7000215", KV_PIN_INCORRECT,
      "the PIN is not the application's secret: it is the secret's value, not its id" },
    { "AADSTS7000222", KV_PIN_EXPIRED,
      "the PIN was the application's secret, which has expired: add a new one" },
    { "invalid_client", KV_PIN_INCORRECT, "the PIN is not the application's secret" },
    { KV_CREDENTIAL_WRONG_SECRET, KV_PIN_INCORRECT, "the PIN does not open the key file" },
};

static enum kv_status judge(enum kv_status status, struct kv_error *err)
{
    for (size_t i = 0; status == KV_CREDENTIAL && i < sizeof verdicts / sizeof verdicts[0]; i++) {
        if (strcmp(err->code, verdicts[i].code) != 0)
            continue;
        struct kv_error told = *err; /* what else there is to know of the refusal */
        status = kv_fail(&told, verdicts[i].status, "%s", verdicts[i].text);
        told.http = err->http;
        memcpy(told.code, err->code, sizeof told.code);
        *err = told;
        return status;
    }
    return status;
}

static void install(struct kv_tokens *tokens, struct login *login)
{
    pthread_mutex_lock(&tokens->lock);
    struct login *former = tokens->login;
    tokens->login = login;
    pthread_mutex_unlock(&tokens->lock);
    if (former)
        kv_token_cache_forget(tokens->parts.cache, former->identity);
    leave_login(tokens, former);
}

enum kv_status kv_tokens_login(struct kv_tokens *tokens, const struct kv_challenge *challenge,
                               struct kv_view pin, const struct kv_task *task, struct kv_error *err)
{
    struct kv_vault_config own;
    struct kv_error why = { 0 };
    char identity[64];
    KV_AUTO_TEXT char *bearer = NULL;
    struct login *login = login_new(tokens, pin);
    if (!login)
        return kv_fail(err, KV_NO_MEMORY, "no memory for a login");
    struct kv_token_wish wish = wish_of(tokens, challenge, login, &own);
    enum kv_status status =
        judge(kv_token_cache_get(tokens->parts.cache, &wish, task, &bearer, identity, &why), &why);
    if (status == KV_OK) {
        install(tokens, login);
        return KV_OK;
    }
    kv_token_cache_forget(tokens->parts.cache, login->identity);
    login_free(login);
    if (err)
        *err = why;
    return status;
}

void kv_tokens_logout(struct kv_tokens *tokens)
{
    install(tokens, NULL);
}

enum kv_status kv_tokens_check(struct kv_tokens *tokens, const struct kv_challenge *challenge, bool fresh,
                               const struct kv_task *task, struct kv_login_report *ret, struct kv_error *err)
{
    const struct kv_vault_config *config = tokens->parts.config;
    if (config->pin)
        return kv_fail(
            err, KV_NOT_LOGGED_IN,
            "its secret is the PIN of C_Login (`pin`), which is not known here: log in through the module "
            "(pkcs11-tool --login --list-objects)");
    struct kv_vault_config own;
    struct kv_token_wish wish = wish_of(tokens, challenge, NULL, &own);
    return kv_login_check(tokens->parts.cache, &wish, fresh, task, ret, err);
}
