/* What an age client says to the plugin: stanzas, of which those of a file come from whoever wrote the file. */
#include "../../tools/age/plugin.h"
#include "../../tools/age/vault_stanza.h"
#include "fuzz.h"

/* Every stanza that comes as far as this is one of ours, and well built. */
static enum kv_status unwrap(void *state, const struct kv_age_stanza *stanzas, size_t count,
                             unsigned char ret_file_key[KV_AGE_FILE_KEY], bool *ret_mine,
                             struct kv_error *err)
{
    MUST(count);
    for (size_t i = 0; i < count; i++) {
        struct kv_vault_stanza read;
        KV_CLEANUP(kv_age_stanza_free) struct kv_age_stanza again = { 0 };
        MUST(kv_vault_stanza_read(&stanzas[i], &read, NULL) == KV_OK);
        MUST(fuzz_is_line(read.kid));
        MUST(kv_vault_stanza_make(&read, KV_VIEW(stanzas[i].body), &again, NULL) == KV_OK);
        MUST(again.arg_count == stanzas[i].arg_count);
        for (size_t j = 0; j < again.arg_count; j++)
            MUST(!strcmp(again.args[j], stanzas[i].args[j]));
    }
    *ret_mine = true;
    return count % 2 ? KV_OK : kv_fail(err, KV_UNREACHABLE, "not today");
}

static enum kv_status recipient(void *state, const char *text, struct kv_age_recipient *ret,
                                struct kv_error *err)
{
    MUST(fuzz_is_line(text));
    return kv_fail(err, KV_BAD_DATA, "nobody");
}

static void talk(const uint8_t *data, size_t size,
                 enum kv_status (*machine)(struct kv_age_plugin *, struct kv_error *))
{
    char *out = NULL;
    size_t out_len = 0;
    struct kv_error err = { 0 };
    struct kv_age_plugin plugin = { .recipient = recipient, .identity = { unwrap, NULL, NULL } };
    plugin.in = fmemopen((void *)(uintptr_t)data, size, "r");
    plugin.out = open_memstream(&out, &out_len);
    MUST(plugin.in && plugin.out);
    enum kv_status status = machine(&plugin, &err);
    MUST(status == KV_OK || (err.text[0] && fuzz_is_line(err.text)));
    fclose(plugin.in);
    fclose(plugin.out);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    talk(data, size, kv_age_plugin_identity);
    talk(data, size, kv_age_plugin_recipient);
    return 0;
}
