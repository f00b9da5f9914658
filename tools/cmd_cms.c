/* kvp11 cms open, kvp11 cms seal: envelopes as `openssl cms` makes and reads them. */
#include "cms/certificate_file.h"
#include "cms/identity.h"
#include "cms/open.h"
#include "cms/private_key.h"
#include "cms/recipient.h"
#include "cms/seal_for.h"
#include "common.h"
#include "mend.h"
#include "progress.h"
#include "report.h"

#include <signal.h>
#include <string.h>

const struct kv_option kv_cmd_cms_open_options[] = {
    { "--in", "FILE", "the envelope: the same as the argument" },
    { "--out", "FILE", "write the content here, whole or not at all" },
    { "--certificate", "FILE",
      "the certificate that the envelope was made for, when it does not name the key" },
    { "-i", "FILE|URI", "open it with this private key, PEM or a PKCS#11 URI, before any vault; may repeat",
      .repeats = true },
    { "--passphrase-file", "FILE", "where the passphrase of a private key in PEM is" },
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

static enum kv_status take_certificate(const struct kv_tool *tool, struct kv_cms_envelope *envelope,
                                       struct kv_certificate **ret, struct kv_error *err)
{
    const char *path = kv_common_option(tool, "--certificate");
    if (!path)
        return KV_OK;
    KV_TRY(kv_cms_certificate_file(path, ret, err));
    return kv_cms_recipient_is(envelope, *ret, err);
}

static enum kv_status tell(struct kv_tool *tool, const char *from, const struct kv_output *output,
                           struct kv_error *err)
{
    const struct kv_report_row row = { from, kv_common_option(tool, "--out"), kv_output_written(output),
                                       NULL };
    return kv_report_one(tool, KV_REPORT_BYTES, &row, output, err);
}

/* Where no key that is given opens it, the vaults may, unless there are none: then what the keys said is the reason. */
static enum kv_status content_key(struct kv_tool *tool, struct kv_cms_envelope *envelope,
                                  struct kv_bytes *ret, struct kv_error *err)
{
    KV_AUTO_BYTES struct kv_bytes passphrase = { 0 };
    struct kv_error first = { 0 };
    size_t at = 0;
    KV_TRY(kv_cms_passphrase(kv_common_option(tool, "--passphrase-file"), &passphrase, err));
    for (const char *text; (text = kv_common_each(tool, "-i", &at));) {
        struct kv_error why = { 0 };
        why.status = kv_cms_identity_open(text, KV_VIEW(passphrase), envelope, ret, &why);
        if (why.status == KV_OK)
            return KV_OK;
        if (first.status == KV_OK || first.status == KV_NOT_FOUND)
            first = why;
    }
    enum kv_status status = kv_common_open(tool, err); /* a restore does not wait for a map to be mended */
    if (status == KV_OK)
        status = kv_cms_recipient_key(tool, envelope, ret, err);
    if (status == KV_OK || first.status == KV_OK)
        return status;
    if (err)
        *err = first;
    return first.status;
}

static void count(void *state, size_t bytes)
{
    kv_progress_add(state, bytes);
}

static enum kv_status open_content(struct kv_cms_opening *opening, struct kv_view key,
                                   struct kv_output *output, struct kv_error *err)
{
    struct kv_progress progress;
    opening->passed = count;
    opening->state = &progress;
    kv_progress_begin(&progress,
                      kv_cms_open_readings(opening, output) * kv_cms_input_size(opening->ber.input));
    enum kv_status status = kv_cms_open_content(opening, key, output, err);
    kv_progress_end(&progress);
    return status;
}

static enum kv_status open_envelope(struct kv_tool *tool, struct kv_cms_input *input,
                                    struct kv_output *output, struct kv_error *err)
{
    KV_AUTO_CERTIFICATE struct kv_certificate *certificate = NULL;
    KV_CLEANUP(kv_cms_opening_free) struct kv_cms_opening opening = { 0 };
    KV_AUTO_BYTES struct kv_bytes key = { 0 };
    KV_TRY(kv_cms_open_head(input, kv_common_option(tool, "--allow-unauthenticated"), &opening, err));
    KV_TRY(take_certificate(tool, &opening.envelope, &certificate, err));
    KV_TRY(content_key(tool, &opening.envelope, &key, err));
    return open_content(&opening, KV_VIEW(key), output, err);
}

enum kv_status kv_cmd_cms_open(struct kv_tool *tool, struct kv_error *err)
{
    const char *name = NULL;
    KV_AUTO_CMS_INPUT struct kv_cms_input input = { .fd = -1, .copy = -1 };
    KV_AUTO_OUTPUT struct kv_output *output = NULL;
    signal(SIGPIPE, SIG_IGN); /* who reads the standard output may go away: that is told */
    KV_TRY(input_name(tool, &name, err));
    KV_TRY(kv_cms_input_open(name, &input, err));
    KV_TRY(kv_output_open(kv_common_option(tool, "--out"), &output, err));
    KV_TRY(kv_mend_file(open_envelope(tool, &input, output, err), input.name, err));
    KV_TRY(kv_output_commit(output, err));
    return tell(tool, name, output, err);
}

/* --- seal --- */
const struct kv_option kv_cmd_cms_seal_options[] = {
    { "-r", "KEY|CERT", "seal for this key ([VAULT/]NAME[@VERSION]) or certificate (a file's path)",
      .repeats = true },
    { "--break-glass", "CERT", "a certificate whose key opens it when no vault can; or none",
      .repeats = true },
    { "--out", "FILE", "write the envelope here, whole or not at all" },
    { NULL, NULL, NULL },
};

static enum kv_status read_all(struct kv_cms_input *input, struct kv_bytes *ret, struct kv_error *err)
{
    KV_AUTO_BYTES struct kv_bytes all = { 0 };
    bool end = false;
    size_t len = 0, done = 0;
    if (kv_bytes_alloc(KV_CMS_SEAL_MAX + 1, &all) != KV_OK)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    for (; len <= KV_CMS_SEAL_MAX; len += done) {
        KV_TRY(kv_cms_input_fill(input, &end, err));
        if (end)
            break;
        KV_TRY(kv_cms_input_some(input, all.data + len, KV_CMS_SEAL_MAX + 1 - len, &done, err));
    }
    if (len > KV_CMS_SEAL_MAX)
        return kv_fail(
            err, KV_DATA_LENGTH,
            "'%s' is longer than %d MiB, which is what an envelope is sealed for here: 'kvp11 seal' "
            "takes any size",
            input->name, KV_CMS_SEAL_MAX >> 20);
    all.len = len;
    *ret = kv_bytes_take(&all);
    return KV_OK;
}

/* Before anything is wrapped, which the ledger would remember. */
static enum kv_status check_parties(const struct kv_tool *tool, struct kv_error *err)
{
    size_t at = 0, all = 0, others = 0;
    for (const char *text; (text = kv_common_each(tool, "-r", &at)); all++)
        others += kv_cms_seal_is_file(text);
    if (!all)
        return kv_fail(err, KV_ARGUMENTS, "nobody could open it: name a recipient with -r");
    return others || kv_common_option(tool, "--break-glass")
               ? KV_OK
               : kv_fail(
                     err, KV_ARGUMENTS,
                     "only keys of vaults could open it: name a certificate whose key is kept elsewhere with "
                     "--break-glass FILE, or say --break-glass none");
}

static enum kv_status break_glass(struct kv_tool *tool, struct kv_cms_seal *seal, struct kv_error *err)
{
    size_t at = 0;
    for (const char *text; (text = kv_common_each(tool, "--break-glass", &at));) {
        if (!strcmp(text, "none"))
            continue;
        if (!kv_cms_seal_is_file(text))
            return kv_fail(
                err, KV_ARGUMENTS,
                "--break-glass '%s' is no certificate's file: its path has a dot in it or a slash in front",
                text);
        KV_TRY(kv_cms_seal_for(tool, text, seal, err));
    }
    return KV_OK;
}

static enum kv_status recipients(struct kv_tool *tool, struct kv_cms_seal *seal, struct kv_error *err)
{
    size_t at = 0;
    for (const char *text; (text = kv_common_each(tool, "-r", &at));)
        KV_TRY(kv_cms_seal_for(tool, text, seal, err));
    return KV_OK;
}

enum kv_status kv_cmd_cms_seal(struct kv_tool *tool, struct kv_error *err)
{
    KV_AUTO_CMS_INPUT struct kv_cms_input input = { .fd = -1, .copy = -1 };
    KV_AUTO_OUTPUT struct kv_output *output = NULL;
    KV_AUTO_BYTES struct kv_bytes plain = { 0 }, whole = { 0 };
    KV_CLEANUP(kv_cms_seal_free) struct kv_cms_seal seal = { 0 };
    KV_TRY(check_parties(tool, err));
    KV_TRY(kv_cms_input_open(tool->word_count ? tool->words[0] : NULL, &input, err));
    KV_TRY(kv_output_open(kv_common_option(tool, "--out"), &output, err));
    if (kv_output_is_terminal(output))
        return kv_fail(err, KV_ARGUMENTS, "an envelope is binary and no text for a terminal: say --out FILE");
    KV_TRY(kv_common_open_map(tool, err));
    KV_TRY(kv_cms_seal_start(&seal, err));
    KV_TRY(read_all(&input, &plain, err));
    KV_TRY(break_glass(tool, &seal, err));
    KV_TRY(recipients(tool, &seal, err));
    KV_TRY(kv_cms_seal_write(&seal, KV_VIEW(plain), &whole, err));
    KV_TRY(kv_output_write(output, KV_VIEW(whole), err));
    KV_TRY(kv_output_commit(output, err));
    return tell(tool, tool->word_count ? tool->words[0] : NULL, output, err);
}
