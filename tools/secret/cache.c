/* Secrets that were opened a moment ago, in the kernel's keyring of this user: for callers that need one with every file of a log. Never on disk, gone by the
 * kernel's own clock. */
#include "secret.h"

#include <linux/keyctl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include "age/envelope.h"
#include "base/encode.h"
#include "base/locked.h"
#include "mech/local.h"

/* keyctl_setperm(2); the kernel's own header has no names for them. */
#define POSSESSOR_ALL 0x3f000000UL
#define USER_USE      0x000f0000UL /* view, read, write, search */
#define STRANGERS     0x00003f3fUL /* group and others: anything */
#define SERIAL(id)    ((unsigned long)(long)(id))

enum { PAYLOAD_MAX = 32767 /* of a key of type "user" */, NAME_SIZE = 96 };

static long control(int operation, unsigned long a, unsigned long b, unsigned long c)
{
    return syscall(SYS_keyctl, operation, a, b, c, 0UL);
}

static bool name_of(struct kv_view file, char ret[NAME_SIZE])
{
    KV_AUTO_BYTES struct kv_bytes digest = { 0 };
    static const char prefix[] = "kvp11-secret:";
    if (kv_digest_once("SHA2-256", file, &digest) != KV_OK)
        return false;
    memcpy(ret, prefix, sizeof(prefix) - 1);
    kv_encode_hex(KV_VIEW(digest), ret + sizeof(prefix) - 1);
    return true;
}

/* Ours, and closed to all others? Who can put a key into the keyring could else hand us a secret of his own. */
static bool trusted(long key)
{
    char text[256];
    unsigned long uid, gid, permissions;
    long len = control(KEYCTL_DESCRIBE, SERIAL(key), (unsigned long)(uintptr_t)text, sizeof(text));
    return len > 0 && (size_t)len <= sizeof(text) && !text[len - 1] &&
           sscanf(text, "user;%lu;%lu;%lx;", &uid, &gid, &permissions) == 3 && uid == geteuid() &&
           !(permissions & STRANGERS);
}

bool kv_secret_cached(struct kv_view file, struct kv_bytes *ret)
{
    char name[NAME_SIZE];
    KV_AUTO_BYTES struct kv_bytes room = { 0 };
    if (!name_of(file, name))
        return false;
    long key = syscall(SYS_keyctl, KEYCTL_SEARCH, SERIAL(KEY_SPEC_USER_KEYRING), "user", name, 0UL);
    if (key < 0 || !trusted(key) || kv_bytes_alloc_locked(PAYLOAD_MAX, &room) != KV_OK)
        return false;
    long len = control(KEYCTL_READ, SERIAL(key), (unsigned long)(uintptr_t)room.data, PAYLOAD_MAX);
    return len > 0 && len <= PAYLOAD_MAX &&
           kv_bytes_copy_locked((struct kv_view){ room.data, (size_t)len }, ret) == KV_OK;
}

/* Made in the session's keyring, where this process possesses it, and linked from there: as the tokens of `token_cache = keyring` are. */
void kv_secret_cache(struct kv_view file, struct kv_view secret, int seconds)
{
    char name[NAME_SIZE];
    if (!secret.len || secret.len > PAYLOAD_MAX || !name_of(file, name))
        return;
    long key = syscall(SYS_add_key, "user", name, secret.data, secret.len, KEY_SPEC_SESSION_KEYRING);
    bool kept = key >= 0 && control(KEYCTL_SETPERM, SERIAL(key), POSSESSOR_ALL | USER_USE, 0) >= 0 &&
                control(KEYCTL_SET_TIMEOUT, SERIAL(key), (unsigned long)seconds, 0) >= 0 &&
                control(KEYCTL_LINK, SERIAL(key), SERIAL(KEY_SPEC_USER_KEYRING), 0) >= 0;
    if (!kept)
        kv_common_note("--cache: the kernel keeps nothing for this user (%m): the vault will be asked again");
    if (key >= 0)
        control(KEYCTL_UNLINK, SERIAL(key), SERIAL(KEY_SPEC_SESSION_KEYRING), 0);
}
