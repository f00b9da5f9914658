/* kvp11 cms open, kvp11 cms seal: envelopes as `openssl cms` makes and reads them. */
#include "cms/open.h"
#include "cms/recipient.h"
#include "common.h"

const struct kv_option kv_cmd_cms_open_options[] = {
    { "--in", "FILE", "the envelope: the same as the argument" },
    { "--out", "FILE", "write the content here, whole or not at all" },
    { "--allow-unauthenticated", NULL, "also open CBC, where changes of the file are not noticed" },
    { NULL, NULL, NULL },
};

static enum kv_status input_name(const struct kv_tool *tool, const char **ret, struct kv_error *err)
{
    const char *option = kv_common_option(tool, "--in");
    if (option && tool->word_count)
        return kv_fail(err, KV_ARGUMENTS, "the envelope is named twice: '%s' and '%s'", option,
                       tool->words[0]);
    *ret = option ? option : tool->word_count ? tool->words[0] : NULL;
    return KV_OK;
}

enum kv_status kv_cmd_cms_open(struct kv_tool *tool, struct kv_error *err)
{
    const char *name = NULL;
    KV_AUTO_CMS_INPUT struct kv_cms_input input = { .fd = -1, .copy = -1 };
    KV_CLEANUP(kv_cms_opening_free) struct kv_cms_opening opening = { 0 };
    KV_AUTO_OUTPUT struct kv_output *output = NULL;
    KV_AUTO_BYTES struct kv_bytes key = { 0 };
    KV_TRY(input_name(tool, &name, err));
    KV_TRY(kv_cms_input_open(name, &input, err));
    KV_TRY(kv_cms_open_head(&input, kv_common_option(tool, "--allow-unauthenticated"), &opening, err));
    KV_TRY(kv_output_open(kv_common_option(tool, "--out"), &output, err));
    KV_TRY(kv_common_open_map(tool, err));
    KV_TRY(kv_cms_recipient_key(tool, &opening.envelope, &key, err));
    KV_TRY(kv_cms_open_content(&opening, KV_VIEW(key), output, err));
    return kv_output_commit(output, err);
}
