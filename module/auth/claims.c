#include "oauth_client.h"

#include "base/json.h"

/* {"values": ["cp1"]} */
static struct kv_json *capabilities(void)
{
    struct kv_json *values = kv_json_array(), *object = kv_json_object();
    kv_json_append_text(values, "cp1");
    kv_json_put(object, "values", values);
    return object;
}

char *kv_oauth_claims_parameter(const char *demanded, bool capable)
{
    KV_AUTO_JSON struct kv_json *claims = NULL;
    if (!demanded && !capable)
        return kv_text_copy("");
    if (demanded && kv_json_parse(kv_view_text(demanded), &claims, NULL) != KV_OK)
        return NULL;
    if (!claims)
        claims = kv_json_object();
    if (capable) {
        struct kv_json *token = kv_json_take(claims, "access_token");
        if (token && !kv_json_is_object(token)) {
            kv_json_free(token);
            token = NULL;
        }
        if (!token)
            token = kv_json_object();
        kv_json_free(kv_json_take(token, "xms_cc"));
        kv_json_put(token, "xms_cc", capabilities());
        kv_json_put(claims, "access_token", token);
    }
    return kv_json_print(claims, false);
}
