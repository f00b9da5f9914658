#include "token_private.h"

#include "base/encode.h"
#include "oauth.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/keyctl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

/* The longest bearer, and the line before it; a token of a managed identity lives for a day. */
enum { PAYLOAD_MAX = 20 << 10, LIFE_MAX_S = 2 * 86400 };

/* keyctl_setperm(2); the kernel's own header has no names for them. */
#define POSSESSOR_ALL 0x3f000000UL
#define USER_USE      0x000f0000UL /* view, read, write, search */
#define STRANGERS     0x00003f3fUL /* group and others: anything */

static const char type[] = "user", magic[] = "kvp11-1";
const int32_t kv_token_keyring_user = KEY_SPEC_USER_KEYRING;

static long control(int operation, unsigned long a, unsigned long b, unsigned long c)
{
    return syscall(SYS_keyctl, operation, a, b, c, 0UL);
}

#define SERIAL(id) ((unsigned long)(long)(id))

/* ---- what is not there, and what is not allowed ---- */

static void refuse(struct kv_token_keyring *keyring, const char *what)
{
    int why = errno;
    /* A full quota is about this token; anything else will be the same the next time. */
    if (why != EDQUOT && why != ENOMEM)
        __atomic_store_n(&keyring->off, true, __ATOMIC_RELAXED);
    kv_log_once(
        keyring->log, KV_LOG_WARN, "token-keyring",
        "token_cache = keyring: the kernel does not let this process %s its keyring (%s): tokens stay in "
        "this process's memory",
        what, strerror(why));
}

static bool is_off(const struct kv_token_keyring *keyring)
{
    return __atomic_load_n(&keyring->off, __ATOMIC_RELAXED);
}

static long find(struct kv_token_keyring *keyring, const char *name)
{
    long key = syscall(SYS_keyctl, KEYCTL_SEARCH, SERIAL(keyring->serial), type, name, 0UL);
    if (key < 0 && errno != ENOKEY && errno != EKEYEXPIRED && errno != EKEYREVOKED && errno != EKEYREJECTED)
        refuse(keyring, "search");
    return key;
}

/* ---- names ---- */

static enum kv_status add_part(struct kv_buffer *text, const char *part)
{
    return kv_buffer_format(text, "%zu:%s", strlen(part), part);
}

enum kv_status kv_token_keyring_name(const struct kv_token_key *key, const char *surroundings,
                                     char ret[KV_KEYRING_NAME_SIZE])
{
    KV_AUTO_BUFFER struct kv_buffer text = { 0 };
    unsigned char digest[32];
    size_t len = 0;
    KV_TRY(kv_buffer_format(&text, "%s %ju ", magic, (uintmax_t)geteuid()));
    const char *parts[] = { key->authority, key->tenant, key->identity, key->scope, surroundings };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        KV_TRY(add_part(&text, parts[i] ? parts[i] : ""));
    if (!EVP_Q_digest(NULL, "SHA2-256", NULL, text.bytes.data, text.bytes.len, digest, &len))
        return KV_INTERNAL;
    static const char prefix[] = "kvp11:";
    memcpy(ret, prefix, sizeof prefix - 1);
    kv_encode_hex((struct kv_view){ digest, sizeof digest }, ret + sizeof prefix - 1);
    return KV_OK;
}

/* ---- entries: "kvp11-1 EXPIRES HARD SOFT KIND IDENTITY", a newline, the bearer ---- */

static bool read_time(const char **at, int64_t *ret)
{
    char *end;
    errno = 0;
    long long value = strtoll(*at, &end, 10);
    if (errno || end == *at || *end != ' ' || value < 0)
        return false;
    *at = end + 1;
    *ret = value;
    return true;
}

/* Up to `end`, which is there; "-" : nothing. */
static bool read_word(const char **at, char end, char *ret, size_t size)
{
    size_t len = strcspn(*at, " \n");
    if ((*at)[len] != end || !len || len >= size)
        return false;
    memcpy(ret, *at, len);
    ret[len] = 0;
    if (!kv_oauth_is_bearer(ret))
        return false;
    if (strcmp(ret, "-") == 0)
        ret[0] = 0;
    *at += len + 1;
    return true;
}

static bool parse(const char *text, struct kv_kept_token *ret)
{
    size_t len = sizeof magic - 1;
    if (strncmp(text, magic, len) != 0 || text[len] != ' ')
        return false;
    const char *at = text + len + 1;
    struct kv_kept_token kept = { 0 };
    if (!read_time(&at, &kept.token.expires) || !read_time(&at, &kept.hard) || !read_time(&at, &kept.soft) ||
        !read_word(&at, ' ', kept.kind, sizeof kept.kind) ||
        !read_word(&at, '\n', kept.token.identity, sizeof kept.token.identity) || !kv_oauth_is_bearer(at))
        return false;
    kept.token.bearer = kv_text_copy(at);
    *ret = kept;
    return kept.token.bearer != NULL;
}

static bool timely(const struct kv_kept_token *kept, int64_t now)
{
    return now < kept->hard && kept->hard <= kept->token.expires && kept->soft <= kept->token.expires &&
           kept->token.expires - now <= LIFE_MAX_S;
}

/* Ours, and closed to all others? Who can put a key into the keyring could else hand us an identity of his own. */
static bool trusted(long key)
{
    char text[256];
    unsigned long uid, gid, permissions;
    long len = control(KEYCTL_DESCRIBE, SERIAL(key), (unsigned long)(uintptr_t)text, sizeof text);
    if (len <= 0 || (size_t)len > sizeof text || text[len - 1])
        return false;
    return sscanf(text, "user;%lu;%lu;%lx;", &uid, &gid, &permissions) == 3 && uid == geteuid() &&
           !(permissions & STRANGERS);
}

/* Whatever its times say. */
static bool load(struct kv_token_keyring *keyring, long key, struct kv_kept_token *ret)
{
    KV_AUTO_BYTES struct kv_bytes payload = { 0 };
    if (!trusted(key) || kv_bytes_alloc(PAYLOAD_MAX + 1, &payload) != KV_OK)
        return false;
    long len = control(KEYCTL_READ, SERIAL(key), (unsigned long)(uintptr_t)payload.data, PAYLOAD_MAX);
    if (len < 0 && errno != EKEYEXPIRED && errno != EKEYREVOKED && errno != ENOKEY)
        refuse(keyring, "read");
    return len > 0 && len <= PAYLOAD_MAX && !memchr(payload.data, 0, (size_t)len) &&
           parse((const char *)payload.data, ret);
}

bool kv_token_keyring_read(struct kv_token_keyring *keyring, const char *name, int64_t now,
                           struct kv_kept_token *ret)
{
    struct kv_kept_token kept = { 0 };
    long key = is_off(keyring) ? -1 : find(keyring, name);
    if (key < 0 || !load(keyring, key, &kept))
        return false;
    if (timely(&kept, now)) {
        *ret = kept;
        return true;
    }
    kv_kept_token_free(&kept);
    return false;
}

static const char *word(const char *text)
{
    return *text ? text : "-";
}

/* Made in the session's keyring and linked from there: there this process possesses it, and so may set what only a possessor may, also where the
 * user's own keyring is not reachable from the session (services of systemd). The link replaces an older entry at once. */
void kv_token_keyring_write(struct kv_token_keyring *keyring, const char *name, int64_t now,
                            const struct kv_kept_token *kept)
{
    KV_AUTO_BUFFER struct kv_buffer text = { .limit = PAYLOAD_MAX };
    if (is_off(keyring) || kept->token.expires <= now ||
        kv_buffer_format(&text, "%s %" PRId64 " %" PRId64 " %" PRId64 " %s %s\n%s", magic,
                         kept->token.expires, kept->hard, kept->soft, word(kept->kind),
                         word(kept->token.identity), kept->token.bearer) != KV_OK)
        return;
    long key = syscall(SYS_add_key, type, name, text.bytes.data, text.bytes.len, KEY_SPEC_SESSION_KEYRING);
    if (key < 0) {
        refuse(keyring, "add to");
        return;
    }
    if (control(KEYCTL_SETPERM, SERIAL(key), POSSESSOR_ALL | USER_USE, 0) < 0 ||
        control(KEYCTL_SET_TIMEOUT, SERIAL(key), (unsigned long)(kept->token.expires - now), 0) < 0 ||
        control(KEYCTL_LINK, SERIAL(key), SERIAL(keyring->serial), 0) < 0)
        refuse(keyring, "add to");
    if (keyring->serial != KEY_SPEC_SESSION_KEYRING)
        control(KEYCTL_UNLINK, SERIAL(key), SERIAL(KEY_SPEC_SESSION_KEYRING), 0);
}

void kv_token_keyring_drop(struct kv_token_keyring *keyring, const char *name, const char *bearer)
{
    KV_CLEANUP(kv_kept_token_free) struct kv_kept_token kept = { 0 };
    long key = is_off(keyring) ? -1 : find(keyring, name);
    /* What is broken goes, too; a newer token than the refused one stays. */
    if (key < 0 || (load(keyring, key, &kept) &&
                    !kv_view_equal_ct(kv_view_text(kept.token.bearer), kv_view_text(bearer))))
        return;
    control(KEYCTL_UNLINK, SERIAL(key), SERIAL(keyring->serial), 0);
}
