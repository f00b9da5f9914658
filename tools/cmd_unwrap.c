/* kvp11 unwrap: the secret in a small age file, on the standard output and nowhere else: what password commands are made of. */
#include "common.h"

#include <signal.h>
#include "report.h"
#include "secret/secret.h"

const struct kv_option kv_cmd_unwrap_options[] = {
    { "-i", "FILE", "identities to try before the vaults; may repeat", .repeats = true },
    { "--cache", "SECONDS", "keep the secret in the kernel's keyring for so long, and take it from there" },
    { NULL, NULL, NULL },
};

enum kv_status kv_cmd_unwrap(struct kv_tool *tool, struct kv_error *err)
{
    KV_AUTO_PARTIES struct kv_parties *parties = kv_parties_begin(tool);
    KV_AUTO_BYTES struct kv_bytes secret = { 0 };
    KV_AUTO_OUTPUT struct kv_output *output = NULL; /* where main.c writes to */
    int cache = 0;
    if (!parties)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    signal(SIGPIPE, SIG_IGN); /* who reads the standard output may go away: that is told */
    KV_TRY(kv_secret_cache_seconds(tool, &cache, err));
    KV_TRY(kv_secret_identities(parties, err));
    KV_TRY(kv_secret_open(parties, tool->words[0], cache, &secret, err));
    KV_TRY(kv_output_open(NULL, &output, err));
    KV_TRY(kv_output_shows(output, KV_VIEW(secret), err));
    tool->out.memory.locked = true;
    if (kv_spool_add(&tool->out, KV_VIEW(secret)) != KV_OK)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    return kv_report_one(tool, KV_REPORT_PLACES, &(struct kv_report_row){ .from = tool->words[0] }, NULL,
                         err);
}
