/* kvp11 wrap: a secret into a small age file. */
#include "common.h"

#include <unistd.h>
#include "age/envelope.h"
#include "register.h"
#include "report.h"
#include "secret/secret.h"

const struct kv_option kv_cmd_wrap_options[] = {
    { "-r", "RECIPIENT", "a key by its name, age1kvp11… or age1…; may repeat", .repeats = true },
    { "-R", "FILE", "recipients from a file, a line each; may repeat", .repeats = true },
    { "--break-glass", "RECIPIENT", "age1…, which opens the file when no vault can; or none",
      .repeats = true },
    { "--out", "FILE", "write this file, whole or not at all, instead of the standard output" },
    { "--no-spare", NULL, "leave no room in the header for a larger one: see 'kvp11 rewrap'" },
    { NULL, NULL, NULL },
};

static enum kv_status read_secret(struct kv_bytes *ret, struct kv_error *err)
{
    struct kv_error why = { 0 };
    if (isatty(STDIN_FILENO))
        return kv_fail(err, KV_ARGUMENTS,
                       "the secret comes by the standard input, and that is a terminal: for a new one, "
                       "head -c 32 /dev/urandom | base64 | tr -d '\\n' | kvp11 wrap …");
    KV_TRY(kv_secret_read("-", KV_ENVELOPE_SECRET_MAX, ret, err));
    if (!ret->len)
        return kv_fail(err, KV_INPUT, "the standard input is empty: there is no secret to wrap");
    if (kv_secret_check_line(KV_VIEW(*ret), &why) != KV_OK)
        kv_common_note("note: as a passphrase or an environment variable it would be refused: %s", why.text);
    return KV_OK;
}

enum kv_status kv_cmd_wrap(struct kv_tool *tool, struct kv_error *err)
{
    KV_AUTO_PARTIES struct kv_parties *parties = kv_parties_begin(tool);
    KV_AUTO_OUTPUT struct kv_output *output = NULL;
    KV_AUTO_BYTES struct kv_bytes secret = { 0 };
    KV_AUTO_BUFFER struct kv_buffer file = { 0 };
    KV_AUTO_REGISTER struct kv_register wrapped = { 0 }; /* in no map: for --json */
    if (!parties)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    KV_TRY(kv_parties_gather(parties, err));
    KV_TRY(read_secret(&secret, err));
    KV_TRY(kv_age_envelope_seal(parties->recipients, parties->recipient_count, KV_VIEW(secret), &file, err));
    KV_TRY(kv_output_open(kv_common_option(tool, "--out"), &output, err));
    if (kv_output_is_terminal(output))
        return kv_fail(err, KV_ARGUMENTS,
                       "a wrapped secret is binary and the standard output is a terminal: redirect it, or "
                       "name a file with --out");
    KV_TRY(kv_output_write(output, KV_VIEW(file.bytes), err));
    KV_TRY(kv_output_commit(output, err));
    KV_TRY(kv_register_done(&wrapped, parties, KV_VIEW(file.bytes), file.bytes.len, err));
    const struct kv_report_row row = { NULL, kv_common_option(tool, "--out"), file.bytes.len,
                                       &wrapped.backup };
    return kv_report_one(tool, KV_REPORT_SEALED, &row, output, err);
}
