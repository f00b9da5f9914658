#include "parties.h"

#include <stdio.h>
#include <string.h>
#include "age/bech32.h"
#include "age/ssh.h"
#include "age/spare.h"
#include "age/x25519.h"
#include "base/file.h"
#include "token/party.h"
#include "token/token.h"

enum { LINES_MAX = 1024 * 1024 };

struct kv_parties *kv_parties_begin(const struct kv_tool *tool)
{
    struct kv_parties *parties = calloc(1, sizeof *parties);
    if (parties)
        parties->tool = tool;
    return parties;
}

void kv_parties_free(struct kv_parties *parties)
{
    if (!parties)
        return;
    for (size_t i = 0; i < parties->recipient_count; i++)
        kv_age_recipient_free(&parties->recipients[i]);
    for (size_t i = 0; i < parties->identity_count; i++)
        kv_age_identity_free(&parties->identities[i]);
    for (size_t i = 0; i < parties->outsider_count; i++)
        free(parties->outsiders[i].text);
    kv_core_close(parties->vault.core);
    free(parties);
}

/* What is wrong with the configuration is told by those who need it. */
static const struct kv_age_vault *world(struct kv_parties *parties)
{
    if (!parties->opened)
        kv_age_vault_open(parties->tool->config_file, parties->tool->caller, &parties->vault);
    parties->opened = true;
    return &parties->vault;
}

enum kv_status kv_parties_map(struct kv_parties *parties, struct kv_map **ret, struct kv_error *err)
{
    const struct kv_age_vault *vault = world(parties);
    if (!vault->core) {
        if (err)
            *err = vault->why;
        return vault->why.status;
    }
    *ret = kv_core_map(vault->core);
    return kv_map_health(*ret, err);
}

/* ---- recipients ---- */

/* --vault stands in front of a name that says no vault itself. */
static enum kv_status vault_recipient(struct kv_parties *parties, const char *text,
                                      struct kv_age_recipient *ret, struct kv_error *err)
{
    const char *vault = parties->tool->vault;
    if (kv_vault_text_is(text) || !vault || strchr(text, '/'))
        return kv_age_vault_recipient(world(parties), text, ret, err);
    KV_AUTO_TEXT char *whole = kv_text_format("%s/%s", vault, text);
    return whole ? kv_age_vault_recipient(world(parties), whole, ret, err)
                 : kv_fail(err, KV_NO_MEMORY, "out of memory");
}

/* "age1name1…" is for a program age-plugin-name, or of a kind that came after X25519. */
static bool is_of_another_kind(const char *text)
{
    KV_AUTO_BYTES struct kv_bytes bytes = { 0 };
    char hrp[KV_BECH32_HRP_MAX + 1];
    return kv_bech32_decode(text, hrp, sizeof hrp, &bytes) == KV_OK && !strncmp(hrp, "age1", 4);
}

static bool starts(const char *text, const char *with)
{
    return !strncmp(text, with, strlen(with));
}

static enum kv_status read_recipient(struct kv_parties *parties, const char *text,
                                     struct kv_age_recipient *ret, bool *ret_without_vault,
                                     struct kv_error *err)
{
    bool ssh = starts(text, "ssh-"), age = starts(text, "age1") && !kv_vault_text_is(text);
    *ret_without_vault = ssh || age;
    if (ssh)
        return kv_age_ssh_recipient(text, ret, err);
    if (age && is_of_another_kind(text))
        return kv_fail(err, KV_UNSUPPORTED,
                       "recipient '%.40s': only 'age1…' of X25519, SSH keys and keys of vaults are offered "
                       "here; 'age' itself "
                       "knows more",
                       text);
    return age ? kv_age_x25519_recipient(text, ret, err) : vault_recipient(parties, text, ret, err);
}

/* How the version map tells them to people. */
static enum kv_status add_outsider(struct kv_parties *parties, const char *text, struct kv_error *err)
{
    struct kv_outsider *outsider = &parties->outsiders[parties->outsider_count++];
    char fingerprint[KV_AGE_SSH_FINGERPRINT];
    bool ssh = starts(text, "ssh-");
    if (ssh)
        KV_TRY(kv_age_ssh_fingerprint(text, fingerprint, err));
    snprintf(outsider->kind, sizeof outsider->kind, "%.*s", ssh ? (int)strcspn(text, " \t") : 6,
             ssh ? text : "x25519");
    outsider->text = kv_text_copy(ssh ? fingerprint : text);
    return outsider->text ? KV_OK : kv_fail(err, KV_NO_MEMORY, "out of memory");
}

/* A certificate in another token is its key, as SSH writes it. */
static enum kv_status add_token(struct kv_parties *parties, const char *uri, struct kv_error *err)
{
    KV_AUTO_TEXT char *line = NULL;
    KV_TRY(kv_token_recipient(uri, &line, err));
    return kv_parties_recipient(parties, line, err);
}

enum kv_status kv_parties_recipient(struct kv_parties *parties, const char *text, struct kv_error *err)
{
    if (kv_token_is(text))
        return add_token(parties, text, err);
    bool without_vault = false;
    if (parties->recipient_count == KV_PARTIES_MAX)
        return kv_fail(err, KV_ARGUMENTS, "a file is for at most %d recipients", KV_PARTIES_MAX);
    KV_TRY(
        read_recipient(parties, text, &parties->recipients[parties->recipient_count], &without_vault, err));
    parties->recipient_count++;
    if (without_vault)
        KV_TRY(add_outsider(parties, text, err));
    parties->without_vault = parties->without_vault || without_vault;
    return KV_OK;
}

/* ---- files of lines ---- */

typedef enum kv_status line_reader(struct kv_parties *parties, const char *line, struct kv_error *err);

static char *without_blanks(char *line)
{
    line += strspn(line, " \t");
    for (size_t len = strlen(line); len && strchr(" \t\r", line[len - 1]); len--)
        line[len - 1] = 0;
    return line;
}

/* The path stands in every error, the line never: it may be a secret. */
static enum kv_status each_line(struct kv_parties *parties, const char *path, struct kv_bytes *text,
                                line_reader *read, struct kv_error *err)
{
    size_t number = 0, found = 0;
    if (strlen((char *)text->data) != text->len)
        return kv_fail(err, KV_BAD_DATA, "'%s' is no file of lines: there is a NUL in it", path);
    for (char *at = (char *)text->data, *next; at; at = next) {
        next = strchr(at, '\n');
        if (next)
            *next++ = 0;
        number++;
        char *line = without_blanks(at);
        if (!*line || *line == '#')
            continue;
        enum kv_status status = read(parties, line, err);
        if (status != KV_OK)
            return kv_fail_in(err, status, "'%s', line %zu", path, number);
        found++;
    }
    return found ? KV_OK : kv_fail(err, KV_BAD_DATA, "'%s' has nothing in it but comments", path);
}

static enum kv_status read_file(const char *path, bool secret, struct kv_bytes *ret, struct kv_error *err)
{
    const struct kv_file_rule rule = { .secret = secret, .largest = LINES_MAX, .status = KV_DENIED };
    enum kv_status status = kv_file_read(path, &rule, ret, err);
    return status == KV_NOT_FOUND ? kv_fail_in(err, KV_ARGUMENTS, "%s", secret ? "-i" : "-R") : status;
}

enum kv_status kv_parties_recipients(struct kv_parties *parties, const char *path, struct kv_error *err)
{
    KV_AUTO_BYTES struct kv_bytes text = { 0 };
    KV_TRY(read_file(path, false, &text, err));
    return each_line(parties, path, &text, kv_parties_recipient, err);
}

/* ---- for whom ---- */

static enum kv_status add_break_glass(const struct kv_tool *tool, struct kv_parties *parties,
                                      bool *ret_declined, struct kv_error *err)
{
    const char *text;
    bool named = false, had = parties->without_vault;
    for (size_t at = 0; (text = kv_common_each(tool, "--break-glass", &at));) {
        if (!strcmp(text, "none")) {
            *ret_declined = true;
            continue;
        }
        named = true;
        parties->without_vault = false;
        KV_TRY(kv_parties_recipient(parties, text, err));
        if (!parties->without_vault)
            return kv_fail(
                err, KV_ARGUMENTS,
                "--break-glass '%.40s' is a key of a vault: it shall open the file when no vault can; "
                "make one with 'age-keygen', on another machine than this",
                text);
    }
    parties->without_vault = had || named;
    return named && *ret_declined
               ? kv_fail(err, KV_ARGUMENTS, "--break-glass is 'none' or a recipient, not both")
               : KV_OK;
}

/* Keys of vaults are rotated: room for `rewrap` to change who can open the file without moving it. */
static void add_spare(struct kv_parties *parties)
{
    if (parties->recipient_count > parties->outsider_count && parties->recipient_count < KV_PARTIES_MAX &&
        !kv_common_option(parties->tool, "--no-spare"))
        parties->recipients[parties->recipient_count++] = kv_age_spare_recipient();
}

/* A backup that only a vault opens is lost with the vault: that must be said by somebody, not forgotten. */
enum kv_status kv_parties_gather(struct kv_parties *parties, struct kv_error *err)
{
    const struct kv_tool *tool = parties->tool;
    const char *text;
    bool declined = false;
    for (size_t at = 0; (text = kv_common_each(tool, "-r", &at));)
        KV_TRY(kv_parties_recipient(parties, text, err));
    for (size_t at = 0; (text = kv_common_each(tool, "-R", &at));)
        KV_TRY(kv_parties_recipients(parties, text, err));
    if (!parties->recipient_count)
        return kv_fail(err, KV_ARGUMENTS,
                       "for whom? name a key with -r NAME, or recipients with -r age1… or -R FILE");
    KV_TRY(add_break_glass(tool, parties, &declined, err));
    if (!parties->without_vault && !declined)
        return kv_fail(err, KV_ARGUMENTS,
                       "nobody could open this file without the vault: make a key with 'age-keygen' on "
                       "another machine, keep it "
                       "where the vault's loss cannot reach it, and name its 'age1…' with --break-glass; or "
                       "say --break-glass none");
    add_spare(parties);
    return KV_OK;
}

/* ---- identities ---- */

static enum kv_status add_identity(struct kv_parties *parties, struct kv_age_identity identity,
                                   struct kv_error *err)
{
    if (parties->identity_count == KV_PARTIES_MAX) {
        kv_age_identity_free(&identity);
        return kv_fail(err, KV_ARGUMENTS, "at most %d identities can be tried", KV_PARTIES_MAX);
    }
    parties->identities[parties->identity_count++] = identity;
    return KV_OK;
}

enum kv_status kv_parties_vaults(struct kv_parties *parties, struct kv_error *err)
{
    struct kv_age_identity identity = { 0 };
    KV_TRY(kv_age_vault_identity(world(parties), &identity, err));
    return add_identity(parties, identity, err);
}

static enum kv_status read_identity(struct kv_parties *parties, const char *line, struct kv_error *err)
{
    struct kv_age_identity identity = { 0 };
    if (kv_token_is(line)) {
        KV_TRY(kv_token_identity(line, &identity, err));
        return add_identity(parties, identity, err);
    }
    if (starts(line, "AGE-PLUGIN-KVP11-")) {
        KV_TRY(kv_vault_text_check_identity(line, err));
        return kv_parties_vaults(parties, err);
    }
    if (starts(line, "age-encryption.org/") || starts(line, "-----BEGIN AGE "))
        return kv_fail(err, KV_UNSUPPORTED,
                       "the identities are encrypted themselves: open that file first ('age -d'), into a "
                       "file of mode 0600");
    if (starts(line, "AGE-PLUGIN-") || starts(line, "AGE-SECRET-KEY-PQ-") || starts(line, "-----BEGIN "))
        return kv_fail(err, KV_UNSUPPORTED,
                       "an identity of this kind is not offered here, only 'AGE-SECRET-KEY-1…' and SSH keys "
                       "of OpenSSH; 'age -d -i' knows more");
    KV_TRY(kv_age_x25519_identity(line, &identity, err));
    return add_identity(parties, identity, err);
}

enum kv_status kv_parties_identities(struct kv_parties *parties, const char *path, struct kv_error *err)
{
    static const char ssh[] = "-----BEGIN OPENSSH PRIVATE KEY-----";
    KV_AUTO_BYTES struct kv_bytes text = { 0 };
    struct kv_age_identity identity = { 0 };
    if (kv_token_is(path))
        return read_identity(parties, path, err);
    KV_TRY(read_file(path, true, &text, err));
    if (!starts((char *)text.data, ssh))
        return each_line(parties, path, &text, read_identity, err);
    enum kv_status status = kv_age_ssh_identity((char *)text.data, &identity, err);
    return status == KV_OK ? add_identity(parties, identity, err) : kv_fail_in(err, status, "'%s'", path);
}
