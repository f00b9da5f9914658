/* Recipients and identities as text, and names of keys: from command lines and from files of others. */
#include "../../tools/age/vault_text.h"
#include <ctype.h>
#include "fuzz.h"

static void check_same(const char *text, const struct kv_vault_text *read)
{
    KV_AUTO_TEXT char *again = kv_vault_text_write(read);
    MUST(again && strlen(again) == strlen(text));
    for (size_t i = 0; again[i]; i++)
        MUST(again[i] == tolower((unsigned char)text[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    KV_AUTO_VAULT_TEXT struct kv_vault_text read = { 0 }, named = { 0 };
    struct kv_error err = { 0 };
    char *text = fuzz_text(data, size);
    if (kv_vault_text_read(text, &read, &err) == KV_OK) {
        MUST(kv_vault_text_is(text));
        check_same(text, &read);
    }
    if (kv_vault_text_read_name(text, &named, NULL) == KV_OK)
        MUST(named.name[0] && fuzz_is_line(named.name) && fuzz_is_line(named.version));
    if (kv_vault_text_check_identity(text, NULL) == KV_OK)
        MUST(strlen(text) == strlen("AGE-PLUGIN-KVP11-14M9JPM"));
    free(text);
    return 0;
}
