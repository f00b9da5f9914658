/* The answer to an operation. The first line of the input is what was asked for and the status of the reply, "sign 200" or "decrypt 403"; the rest is the body. */
#include "fuzz.h"
#include "vault_private.h"

static const struct {
    const char *name;
    unsigned operation;
} operations[] = { { "sign", KV_OP_SIGN },
                   { "decrypt", KV_OP_DECRYPT },
                   { "unwrap", KV_OP_UNWRAP },
                   { "verify", KV_OP_VERIFY } };

static void read_refusal(struct kv_view body, int http, size_t asked)
{
    struct kv_error err = { 0 };
    struct kv_refusal refusal = {
        .http = http,
        .body = body,
        .request_id = "11111111-2222-4333-8444-555555555555",
        .operation = operations[asked].name,
        .key_op = operations[asked].operation,
        .name = FUZZ_KEY,
        .version = FUZZ_VERSION,
        .vault = "prod",
        .identity = "app",
    };
    MUST(kv_error_map(&refusal, &err) != KV_OK);
    MUST(err.text[0] && fuzz_is_line(err.text) && fuzz_is_line(err.code));
    MUST(strnlen(err.code, sizeof err.code) < sizeof err.code);
    MUST(err.http == http);
}

static void read_result(const struct kv_json *json, bool verifies)
{
    struct kv_vault_result result = { 0 };
    char kid[KV_KID_SIZE] = "";
    enum kv_status status = verifies ? kv_codec_read_verdict(json, &result, kid, NULL)
                                     : kv_codec_read_result(json, &result, kid, NULL);
    if (status == KV_OK) {
        struct kv_kid parts;
        MUST(verifies || result.value.data);
        if (kv_kid_check(kid, FUZZ_KEY, FUZZ_VERSION, NULL) == KV_OK)
            MUST(kv_kid_parse(kid, &parts, NULL) == KV_OK && kv_text_equal_case(parts.name, FUZZ_KEY) &&
                 kv_text_equal_case(parts.version, FUZZ_VERSION));
    }
    kv_vault_result_free(&result);
}

static void read_random(const struct kv_json *json)
{
    struct kv_bytes bytes = { 0 };
    if (kv_codec_read_random(json, 16, &bytes, NULL) == KV_OK)
        MUST(bytes.len == 16);
    kv_bytes_free(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *line = memchr(data, '\n', size);
    char head[32];
    size_t len = line ? (size_t)(line - data) : 0;
    if (!line || len >= sizeof head)
        return 0;
    memcpy(head, data, len);
    head[len] = 0;
    struct kv_view body = { line + 1, size - len - 1 };
    size_t asked = 0;
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
        if (!strncmp(head, operations[i].name, strlen(operations[i].name)))
            asked = i;
    const char *number = strchr(head, ' ');
    int http = number ? (int)strtol(number, NULL, 10) : 0;
    struct kv_json *json = NULL;
    if (http < 200 || http > 299) {
        read_refusal(body, http, asked);
    } else if (kv_json_parse(body, &json, NULL) == KV_OK) {
        read_result(json, operations[asked].operation == KV_OP_VERIFY);
        read_random(json);
        kv_json_free(json);
    }
    return 0;
}
