/* The answer of an identity endpoint: a token, or a refusal; and what a token says of itself. */
#include "fuzz.h"
#include "oauth.h"

enum { NOW = 1800000000 };

static void check_token(const struct kv_access_token *token)
{
    MUST(kv_oauth_is_bearer(token->bearer));
    MUST(!strpbrk(token->bearer, "\r\n \t,;\"")); /* it will stand in a header */
    MUST(token->expires > NOW);
    MUST(token->refresh == 0 || token->refresh > NOW);
    MUST(fuzz_is_line(token->identity));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kv_view body = { data, size };
    struct kv_access_token token = { 0 };
    struct kv_oauth_refusal refusal;
    struct kv_oauth_claims claims = { 0 };
    struct kv_error err = { 0 };
    if (kv_oauth_read_token(body, NOW, &token, &err) == KV_OK)
        check_token(&token);
    else
        MUST(err.text[0] && fuzz_is_line(err.text));
    kv_access_token_free(&token);
    kv_oauth_read_refusal(body, &refusal);
    MUST(strnlen(refusal.code, sizeof refusal.code) < sizeof refusal.code);
    MUST(strnlen(refusal.said, sizeof refusal.said) < sizeof refusal.said);
    char *text = fuzz_text(data, size);
    if (kv_oauth_read_claims(text, &claims))
        MUST(claims.expires >= 0 && fuzz_is_line(claims.identity));
    free(text);
    return 0;
}
