/* A page of a list: of the vault's keys, and of a key's versions. */
#include "fuzz.h"
#include "same_host.h"
#include "vault_private.h"

static void check_page(const struct kv_vault_page *page, const char *name)
{
    for (size_t i = 0; i < page->count; i++) {
        const struct kv_vault_key *item = &page->items[i];
        MUST(kv_kid_name_valid(item->name));
        MUST(!name || (kv_text_equal_case(item->name, name) && kv_kid_version_valid(item->version)));
    }
    MUST(!page->next || *page->next);
    if (page->next && kv_kid_same_origin(page->next, FUZZ_VAULT))
        MUST(fuzz_goes_to(page->next, FUZZ_HOST, "443"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = { NULL, FUZZ_KEY };
    struct kv_json *json = NULL;
    if (kv_json_parse((struct kv_view){ data, size }, &json, NULL) != KV_OK)
        return 0;
    for (size_t i = 0; i < 2; i++) {
        struct kv_vault_page page = { 0 };
        if (kv_codec_read_page(json, names[i], &page, NULL) == KV_OK)
            check_page(&page, names[i]);
        kv_vault_page_free(&page);
    }
    kv_json_free(json);
    return 0;
}
