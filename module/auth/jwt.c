#include "jwt.h"

#include "base/encode.h"
#include "base/json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

enum { LIFE_S = 600 };

static const struct {
    const char *alg, *thumbprint;
} algorithms[] = {
    [KV_ASSERTION_PS256] = { "PS256", "x5t#S256" },
    [KV_ASSERTION_RS256] = { "RS256", "x5t" },
};

static char *part_of(const struct kv_json *json)
{
    KV_AUTO_TEXT char *text = kv_json_print(json, false);
    return text ? kv_encode_base64url(kv_view_text(text)) : NULL;
}

static void add_chain(const struct kv_client_key *key, struct kv_json *header)
{
    struct kv_json *list = kv_json_array();
    struct kv_view der;
    for (size_t i = 0; (der = kv_client_key_certificate(key, i)).data; i++) {
        KV_AUTO_FREE char *text = kv_encode_base64(der);
        if (text)
            kv_json_append_text(list, text);
        else
            kv_json_append(list, NULL); /* memory is short: nothing of this will be printed */
    }
    kv_json_put(header, "x5c", list);
}

static char *make_header(const struct kv_jwt *jwt)
{
    KV_AUTO_FREE char *thumbprint = kv_client_key_thumbprint(jwt->key, jwt->algorithm);
    KV_AUTO_JSON struct kv_json *header = kv_json_object();
    if (!thumbprint)
        return NULL;
    kv_json_put_text(header, "alg", algorithms[jwt->algorithm].alg);
    kv_json_put_text(header, "typ", "JWT");
    kv_json_put_text(header, algorithms[jwt->algorithm].thumbprint, thumbprint);
    if (jwt->chain)
        add_chain(jwt->key, header);
    return part_of(header);
}

/* A UUID of version 4. The directory refuses an assertion that it has seen before, so that a random source which is not ready is waited for. */
static bool make_id(char ret[37])
{
    unsigned char b[16];
    char hex[2 * sizeof b + 1];
    ssize_t got;
    while ((got = getrandom(b, sizeof b, 0)) < 0 && errno == EINTR)
        continue;
    if (got != (ssize_t)sizeof b)
        return false;
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
    kv_encode_hex((struct kv_view){ b, sizeof b }, hex);
    snprintf(ret, 37, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
    return true;
}

static char *make_claims(const struct kv_jwt *jwt)
{
    KV_AUTO_JSON struct kv_json *claims = kv_json_object();
    char id[37];
    if (!make_id(id))
        return NULL;
    kv_json_put_text(claims, "aud", jwt->audience);
    kv_json_put_int(claims, "exp", jwt->now + LIFE_S);
    kv_json_put_text(claims, "iss", jwt->subject);
    kv_json_put_text(claims, "jti", id);
    kv_json_put_int(claims, "nbf", jwt->now);
    kv_json_put_text(claims, "sub", jwt->subject);
    return part_of(claims);
}

enum kv_status kv_jwt_make(const struct kv_jwt *jwt, char **ret, struct kv_error *err)
{
    KV_AUTO_FREE char *header = make_header(jwt), *claims = make_claims(jwt);
    KV_AUTO_FREE char *input = header && claims ? kv_text_format("%s.%s", header, claims) : NULL;
    KV_AUTO_BYTES struct kv_bytes signature = { 0 };
    if (!input)
        return kv_fail(err, KV_NO_MEMORY, "no memory for an assertion");
    struct kv_client_message message = { jwt->algorithm, kv_view_text(input), jwt->deadline };
    KV_TRY(kv_client_key_sign(jwt->key, &message, &signature, err));
    KV_AUTO_TEXT char *end = kv_encode_base64url(KV_VIEW(signature));
    char *whole = end ? kv_text_format("%s.%s", input, end) : NULL;
    if (!whole)
        return kv_fail(err, KV_NO_MEMORY, "no memory for an assertion");
    *ret = whole;
    return KV_OK;
}
