#include "rewrap.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include "age/cipher.h"
#include "age/payload.h"
#include "age/spare.h"
#include "base/encode.h"
#include "mech/local.h"

/* ---- looking at it ---- */

static void file_free(struct kv_rewrap_file *file)
{
    kv_age_header_free(&file->own);
    kv_age_sidecar_free(&file->side);
    if (file->fd >= 0)
        close(file->fd);
}

/* Up to `room` bytes from `at`. */
static enum kv_status read_at(int fd, off_t at, size_t room, struct kv_bytes *ret, struct kv_error *err)
{
    KV_AUTO_BYTES struct kv_bytes bytes = { 0 };
    size_t len = 0;
    if (kv_bytes_alloc(room, &bytes) != KV_OK)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    while (len < room) {
        ssize_t got = pread(fd, bytes.data + len, room - len, at + (off_t)len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return kv_fail(err, KV_INPUT, "it cannot be read: %m");
        if (!got)
            break;
        len += (size_t)got;
    }
    bytes.len = len;
    *ret = kv_bytes_take(&bytes);
    return KV_OK;
}

/* The first bytes of what an armor holds: `len` of them, or a few more, or all. */
static enum kv_status read_armored(int fd, size_t len, struct kv_bytes *ret, struct kv_error *err)
{
    enum { LINE = KV_AGE_ARMOR_COLUMNS + 2, HELD = KV_AGE_ARMOR_COLUMNS / 4 * 3 };
    const size_t room = (len / HELD + 2) * LINE + KV_AGE_ARMOR_BLANKS;
    KV_AUTO_BYTES struct kv_bytes text = { 0 };
    KV_TRY(read_at(fd, 0, room, &text, err));
    return kv_age_armor_front(KV_VIEW(text), text.len < room, ret, err);
}

static enum kv_status read_header(int fd, bool *ret_armored, struct kv_bytes *ret_start,
                                  struct kv_age_header *ret, struct kv_error *err)
{
    enum { FIRST = 4096 };
    size_t len = 0;
    KV_TRY(read_at(fd, 0, FIRST, ret_start, err));
    *ret_armored = kv_age_armor_look(KV_VIEW(*ret_start)) == KV_AGE_ARMOR_YES;
    if (*ret_armored) {
        kv_bytes_free(ret_start);
        KV_TRY(read_armored(fd, KV_AGE_HEADER_MAX, ret_start, err));
        return kv_age_header_parse(KV_VIEW(*ret_start), ret, err);
    }
    KV_TRY(kv_age_header_length(KV_VIEW(*ret_start), &len, err));
    if (!len && ret_start->len == FIRST) {
        kv_bytes_free(ret_start);
        KV_TRY(read_at(fd, 0, KV_AGE_HEADER_MAX, ret_start, err));
    }
    return kv_age_header_parse(KV_VIEW(*ret_start), ret, err);
}

static enum kv_status open_file(const char *path, bool lock, struct kv_rewrap_file *file,
                                struct kv_error *err)
{
    file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
    if (file->fd < 0 && errno == ELOOP)
        return kv_fail(err, KV_INPUT, "it is a link: name the file itself");
    if (file->fd < 0 || fstat(file->fd, &file->info) != 0)
        return kv_fail(err, KV_INPUT, "it cannot be opened: %m");
    if (lock && S_ISREG(file->info.st_mode) && flock(file->fd, LOCK_EX | LOCK_NB) != 0 &&
        errno == EWOULDBLOCK)
        return kv_fail(err, KV_IO, "another 'kvp11 rewrap' is at work on it");
    return KV_OK;
}

static bool starts(const struct kv_bytes *bytes, const char *with)
{
    return bytes->len >= strlen(with) && !memcmp(bytes->data, with, strlen(with));
}

/* *ret_age: it is an age file, or was one before something happened to it. */
static enum kv_status look(struct kv_rewrap_file *file, bool *ret_age, struct kv_error *err)
{
    KV_AUTO_BYTES struct kv_bytes start = { 0 };
    enum kv_status own = read_header(file->fd, &file->armored, &start, &file->own, &file->own_error);
    file->own_error.status = own;
    *ret_age = file->armored || starts(&start, "age-encryption.org/v1\n");
    if (own != KV_OK && own != KV_BAD_DATA) {
        *err = file->own_error;
        return own;
    }
    enum kv_status status = kv_age_sidecar_read(file->path, &file->side, err);
    if (status == KV_NOT_FOUND)
        return KV_OK;
    *ret_age = true;
    KV_TRY(status);
    file->sided = true;
    if (file->side.stays && (own != KV_OK || !kv_age_sidecar_is_of(&file->side, KV_VIEW(file->own.text))))
        return kv_fail(err, KV_BAD_DATA,
                       "'%s" KV_AGE_SIDECAR_SUFFIX
                       "' is another file's, or older than the header in the file: "
                       "see whether the file opens without it, then remove it",
                       file->path);
    return KV_OK;
}

/* ---- by whom ---- */

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* --rate: so many files a second ask the vault. */
static void pace(struct kv_rewrap *rewrap)
{
    int64_t left = rewrap->rate ? rewrap->asked_at + 1000 / rewrap->rate - now_ms() : 0;
    const struct timespec wait = { left > 0 ? left / 1000 : 0, left > 0 ? left % 1000 * 1000000 : 0 };
    if (rewrap->asked_at && left > 0)
        nanosleep(&wait, NULL);
    rewrap->asked_at = now_ms();
}

static enum kv_status check_armored(const struct kv_rewrap_file *file, size_t at, size_t len,
                                    const unsigned char *file_key, struct kv_error *err)
{
    KV_AUTO_BYTES struct kv_bytes front = { 0 }, start = { 0 };
    KV_TRY(read_armored(file->fd, at + len + 1, &front, err));
    size_t there = front.len > at ? front.len - at : 0;
    if (kv_bytes_copy((struct kv_view){ front.data + front.len - there, there < len ? there : len },
                      &start) != KV_OK)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    return kv_age_payload_begins(&start, there > len, file_key, err);
}

/* Does the key that a header gives open what stands behind it? Then it is this file's header, and the payload begins there. */
static enum kv_status check_payload(const struct kv_rewrap_file *file, size_t at,
                                    const unsigned char *file_key, struct kv_error *err)
{
    enum { START = KV_AGE_NONCE + KV_AGE_SEALED_CHUNK };
    KV_AUTO_BYTES struct kv_bytes start = { 0 };
    if (file->armored)
        return check_armored(file, at, START, file_key, err);
    KV_TRY(read_at(file->fd, (off_t)at, START, &start, err));
    return kv_age_payload_begins(&start, (uint64_t)file->info.st_size > (uint64_t)at + start.len, file_key,
                                 err);
}

static enum kv_status unwrap(struct kv_rewrap *rewrap, const struct kv_rewrap_file *file,
                             const struct kv_age_header *header, size_t payload,
                             unsigned char ret_file_key[KV_AGE_FILE_KEY], struct kv_error *err)
{
    const struct kv_parties *parties = rewrap->parties;
    pace(rewrap);
    KV_TRY(kv_age_header_open(header, parties->identities, parties->identity_count, ret_file_key, err));
    enum kv_status status = check_payload(file, payload, ret_file_key, err);
    if (status != KV_OK)
        kv_wipe(ret_file_key, KV_AGE_FILE_KEY);
    return status;
}

/* ---- an earlier run that was cut off ---- */

static enum kv_status note_map(struct kv_rewrap *rewrap, const struct kv_rewrap_noted *noted,
                               struct kv_error *err)
{
    enum kv_status status = kv_rewrap_map_note(&rewrap->map, rewrap->parties, noted, err);
    return status == KV_OK ? KV_OK
                           : kv_fail_in(err, status, "its header is new, but the version map does not know");
}

/* When the file has the sidecar's header already, nothing but tidying up is left; else the sidecar must prove that it is this file's. */
static enum kv_status end_change(struct kv_rewrap *rewrap, struct kv_rewrap_file *file, struct kv_error *err)
{
    struct kv_view text = KV_VIEW(file->side.header.text);
    bool ended = kv_view_equal(text, KV_VIEW(file->own.text));
    unsigned char file_key[KV_AGE_FILE_KEY];
    if (!ended) {
        KV_TRY(unwrap(rewrap, file, &file->side.header, text.len, file_key, err));
        kv_wipe(file_key, sizeof file_key);
    }
    const struct kv_rewrap_noted noted = {
        .file = file, .before = &file->own, .after = &file->side.header, .again = true, .in_file = true
    };
    KV_TRY(kv_rewrap_put_again(file, err)); /* also when it is there: it may not be on the disk */
    KV_TRY(note_map(rewrap, &noted, err));
    KV_TRY(kv_rewrap_put_done(file, err));
    kv_age_header_free(&file->own);
    file->own = file->side.header;
    file->side = (struct kv_age_sidecar){ 0 };
    file->sided = false;
    rewrap->repaired = true;
    return KV_OK;
}

static enum kv_status repair(struct kv_rewrap *rewrap, struct kv_rewrap_file *file, struct kv_error *err)
{
    if (!file->sided || file->side.stays)
        return KV_OK;
    if (file->armored)
        return kv_fail(err, KV_BAD_DATA,
                       "'%s" KV_AGE_SIDECAR_SUFFIX "' is of a file without armor: see whether the file opens "
                       "without it, then remove it",
                       file->path);
    if (rewrap->dry_run) {
        rewrap->repaired = true; /* would be; the sidecar's header is the one in force */
        return KV_OK;
    }
    enum kv_status status = end_change(rewrap, file, err);
    return status == KV_OK
               ? KV_OK
               : kv_fail_in(err, status, "an earlier change of its header was cut off, and cannot be ended");
}

/* ---- the new header ---- */

/* Where a header was being written over, the new one is as long as the old one was. */
static size_t payload_at(const struct kv_rewrap_file *file)
{
    return file->sided && !file->side.stays ? file->side.header.text.len : file->own.text.len;
}

/* Its end, behind the recipients: room up to the old length, the mark of a sidecar, or fresh room. */
static enum kv_status add_end(const struct kv_rewrap *rewrap, const struct kv_rewrap_file *file, size_t len,
                              struct kv_age_header *header, struct kv_error *err)
{
    size_t room = payload_at(file);
    struct kv_age_stanza *more = reallocarray(header->stanzas, header->count + 1, sizeof *more);
    if (!more)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    header->stanzas = more;
    more += header->count;
    if (rewrap->way == KV_REWRAP_IN_PLACE && len == room)
        return KV_OK;
    if (rewrap->way == KV_REWRAP_IN_PLACE && (len > room || !kv_age_spare_fits(room - len)))
        return kv_fail(
            err, KV_IO,
            "its new header (%zu bytes) does not fit into the place of the old one (%zu): --sidecar "
            "writes it beside the file, --copy DIR a new file with room for more",
            len, room);
    if (rewrap->way == KV_REWRAP_SIDECAR)
        KV_TRY(kv_age_sidecar_mark(KV_VIEW(file->own.text), more, err));
    else
        KV_TRY(kv_age_spare_make(rewrap->way == KV_REWRAP_COPY ? KV_AGE_SPARE : room - len, more, err));
    header->count++;
    return KV_OK;
}

/* `file_key` NULL: to see whether it fits. */
static enum kv_status make_header(struct kv_rewrap *rewrap, const struct kv_rewrap_file *file,
                                  const struct kv_rewrap_plan *plan, const unsigned char *file_key,
                                  struct kv_buffer *ret, struct kv_error *err)
{
    static const unsigned char zeroes[KV_AGE_FILE_KEY];
    const unsigned char *key = file_key ? file_key : zeroes;
    KV_AUTO_AGE_HEADER struct kv_age_header made = { 0 };
    KV_AUTO_BUFFER struct kv_buffer bare = { 0 };
    KV_TRY(kv_rewrap_pick_stanzas(&rewrap->pick, kv_rewrap_file_header(file), plan, file_key, &made, err));
    KV_TRY(kv_age_header_write(made.stanzas, made.count, key, &bare, err));
    KV_TRY(add_end(rewrap, file, bare.bytes.len, &made, err));
    return kv_age_header_write(made.stanzas, made.count, key, ret, err);
}

static enum kv_status fit(struct kv_rewrap *rewrap, const struct kv_rewrap_file *file,
                          struct kv_rewrap_plan *plan, struct kv_buffer *look, struct kv_error *err)
{
    enum kv_status status = make_header(rewrap, file, plan, NULL, look, err);
    if (status != KV_IO)
        return status;
    plan->short_of_room = true;
    return make_header(rewrap, file, plan, NULL, look, NULL) == KV_OK ? KV_OK : status;
}

/* ---- putting it there ---- */

static char *copy_path(const struct kv_rewrap *rewrap, const struct kv_rewrap_file *file)
{
    return kv_text_format("%s/%s", rewrap->copy_to, file->relative);
}

static enum kv_status put(struct kv_rewrap *rewrap, const struct kv_rewrap_file *file, struct kv_view text,
                          struct kv_error *err)
{
    KV_AUTO_TEXT char *copy = rewrap->way == KV_REWRAP_COPY ? copy_path(rewrap, file) : NULL;
    switch (rewrap->way) {
    case KV_REWRAP_IN_PLACE:
        return kv_rewrap_put_in_place(file, text, err);
    case KV_REWRAP_SIDECAR:
        return kv_rewrap_put_sidecar(file, text, err);
    case KV_REWRAP_COPY:
        return copy ? kv_rewrap_put_copy(file, copy, text, err) : kv_fail(err, KV_NO_MEMORY, "out of memory");
    }
    return KV_OK;
}

/* The sidecar of a change in place goes last, when the map knows, too: whatever cuts the run off leaves something to go on from. */
static enum kv_status put_and_note(struct kv_rewrap *rewrap, const struct kv_rewrap_file *file,
                                   const struct kv_rewrap_plan *plan, const struct kv_age_header *after,
                                   struct kv_error *err)
{
    const struct kv_rewrap_noted noted = { .file = file,
                                           .before = kv_rewrap_file_header(file),
                                           .after = after,
                                           .in_file = rewrap->way == KV_REWRAP_IN_PLACE,
                                           .break_glass = plan->break_glass };
    if (rewrap->way ==
        KV_REWRAP_COPY) /* the backup that the map knows is the other file, and stays as it is */
        return put(rewrap, file, KV_VIEW(after->text), err);
    enum kv_status begun = kv_rewrap_map_begin(&rewrap->map, rewrap->parties, &noted, err);
    if (begun != KV_OK)
        return kv_fail_in(err, begun, "it was not changed, since the version map cannot be told");
    KV_TRY(put(rewrap, file, KV_VIEW(after->text), err));
    enum kv_status status = note_map(rewrap, &noted, err);
    if (rewrap->way == KV_REWRAP_IN_PLACE && status == KV_OK)
        status = kv_rewrap_put_done(file, err);
    return status;
}

static enum kv_status apply(struct kv_rewrap *rewrap, const struct kv_rewrap_file *file,
                            const struct kv_rewrap_plan *plan, struct kv_error *err)
{
    KV_AUTO_AGE_HEADER struct kv_age_header after = { 0 };
    KV_AUTO_BUFFER struct kv_buffer text = { 0 };
    unsigned char file_key[KV_AGE_FILE_KEY];
    KV_TRY(unwrap(rewrap, file, kv_rewrap_file_header(file), payload_at(file), file_key, err));
    enum kv_status status = make_header(rewrap, file, plan, file_key, &text, err);
    /* Nothing is written that has not been read again. */
    if (status == KV_OK)
        status = kv_age_header_parse(KV_VIEW(text.bytes), &after, err);
    if (status == KV_OK)
        status = kv_age_header_check(&after, file_key, err);
    kv_wipe(file_key, sizeof file_key);
    return status == KV_OK ? put_and_note(rewrap, file, plan, &after, err) : status;
}

/* ---- what is told of it ---- */

static void add_name(struct kv_buffer *text, const struct kv_vault_stanza *stanza)
{
    struct kv_kid kid;
    char hex[2 * KV_VAULT_DIGEST + 1] = "";
    bool named = stanza->kid[0] && kv_kid_parse(stanza->kid, &kid, NULL) == KV_OK;
    if (!named)
        kv_encode_hex((struct kv_view){ stanza->digest, KV_VAULT_DIGEST }, hex);
    if (kv_buffer_format(text, "%s%s%s%s", text->bytes.len ? " " : "", named ? kid.name : hex,
                         named ? "@" : "", named ? kid.version : "") != KV_OK)
        text->failed = true;
}

static void tell(struct kv_rewrap *rewrap, const struct kv_rewrap_file *file,
                 const struct kv_rewrap_plan *plan)
{
    static const char *const ways[] = { "in place", "sidecar", "copy" };
    const struct kv_age_header *header = kv_rewrap_file_header(file);
    KV_AUTO_BUFFER struct kv_buffer from = { 0 }, to = { 0 };
    for (size_t i = 0; i < header->count; i++) {
        struct kv_vault_stanza stanza = { 0 };
        if (plan->goes[i] && kv_vault_stanza_read(&header->stanzas[i], &stanza, NULL) == KV_OK)
            add_name(&from, &stanza);
    }
    for (size_t i = 0; i < plan->comes_count; i++)
        add_name(&to, &rewrap->pick.targets[plan->comes[i]].stanza);
    if (plan->break_glass && kv_buffer_format(&to, "%sbreak-glass", to.bytes.len ? " " : "") != KV_OK)
        to.failed = true;
    rewrap->note =
        (struct kv_rewrap_note){ (char *)kv_bytes_take(&from.bytes).data,
                                 (char *)kv_bytes_take(&to.bytes).data, kv_text_copy(ways[rewrap->way]) };
}

/* ---- one file ---- */

/* A copy that an earlier run has made is known by its payload's nonce, its size, and that nothing is left to do in its header. */
static enum kv_status is_copied(struct kv_rewrap *rewrap, const struct kv_rewrap_file *file, bool *ret,
                                struct kv_error *err)
{
    KV_AUTO_TEXT char *path = copy_path(rewrap, file);
    KV_AUTO_BYTES struct kv_bytes start = { 0 }, here = { 0 }, there = { 0 };
    KV_CLEANUP(file_free) struct kv_rewrap_file copy = { .path = path, .fd = -1 };
    struct kv_rewrap_plan plan = { 0 };
    struct stat info;
    if (!path)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    if (lstat(path, &info) != 0)
        return KV_OK;
    if (open_file(path, false, &copy, NULL) == KV_OK &&
        read_header(copy.fd, &copy.armored, &start, &copy.own, NULL) == KV_OK && !copy.armored &&
        kv_rewrap_pick_plan(&rewrap->pick, &copy.own, &plan, NULL) == KV_OK) {
        KV_TRY(read_at(file->fd, (off_t)file->own.text.len, KV_AGE_NONCE, &here, err));
        KV_TRY(read_at(copy.fd, (off_t)copy.own.text.len, KV_AGE_NONCE, &there, err));
        *ret = kv_rewrap_plan_is_empty(&plan) && kv_view_equal(KV_VIEW(here), KV_VIEW(there)) &&
               copy.info.st_size - (off_t)copy.own.text.len == file->info.st_size - (off_t)file->own.text.len;
    }
    return *ret ? KV_OK : kv_fail(err, KV_IO, "'%s' is there already, and is another file", path);
}

/* An earlier run may have had no chance to tell the map, or not this one. */
static enum kv_status agree(struct kv_rewrap *rewrap, const struct kv_rewrap_file *file, struct kv_error *err)
{
    const struct kv_rewrap_noted noted = { .file = file,
                                           .before = &file->own,
                                           .after = kv_rewrap_file_header(file),
                                           .again = true,
                                           .in_file = !file->sided };
    bool told = false;
    enum kv_status status = kv_rewrap_map_agree(&rewrap->map, rewrap->parties, &noted, &told, err);
    rewrap->repaired |= told;
    return status == KV_OK ? KV_OK : kv_fail_in(err, status, "the version map does not know its header");
}

static enum kv_status change(struct kv_rewrap *rewrap, const struct kv_rewrap_file *file,
                             enum kv_rewrap_result *ret, struct kv_error *err)
{
    KV_AUTO_BUFFER struct kv_buffer look = { 0 };
    struct kv_rewrap_plan plan = { 0 };
    bool copied = false;
    KV_TRY(kv_rewrap_pick_plan(&rewrap->pick, kv_rewrap_file_header(file), &plan, err));
    *ret = plan.ours ? KV_REWRAP_RIGHT : KV_REWRAP_OTHER;
    if (kv_rewrap_plan_is_empty(&plan))
        return plan.ours && !rewrap->dry_run ? agree(rewrap, file, err) : (enum kv_status)KV_OK;
    if (file->armored && rewrap->way != KV_REWRAP_SIDECAR)
        return kv_fail(
            err, KV_UNSUPPORTED,
            "it is an age file in ASCII armor, whose header cannot be changed where it is: --sidecar "
            "writes the new one beside it");
    if (rewrap->way == KV_REWRAP_COPY)
        KV_TRY(is_copied(rewrap, file, &copied, err));
    if (copied)
        return KV_OK;
    KV_TRY(fit(rewrap, file, &plan, &look, err));
    if (rewrap->dry_run && rewrap->way == KV_REWRAP_IN_PLACE && access(file->path, W_OK) != 0)
        return kv_fail(
            err, KV_READ_ONLY,
            "it cannot be written (%m): --sidecar writes the new header beside it, --copy DIR a new "
            "file");
    if (!rewrap->dry_run)
        KV_TRY(apply(rewrap, file, &plan, err));
    tell(rewrap, file, &plan);
    *ret = KV_REWRAP_DONE;
    return KV_OK;
}

enum kv_status kv_rewrap_one(struct kv_rewrap *rewrap, const char *path, const char *relative,
                             enum kv_rewrap_result *ret, struct kv_error *err)
{
    KV_CLEANUP(file_free) struct kv_rewrap_file file = { .path = path, .relative = relative, .fd = -1 };
    bool age = false;
    *ret = KV_REWRAP_OTHER;
    rewrap->repaired = false;
    KV_TRY(open_file(path, !rewrap->dry_run, &file, err));
    if (!S_ISREG(file.info.st_mode))
        return KV_OK;
    KV_TRY(look(&file, &age, err));
    if (!age)
        return KV_OK;
    KV_TRY(repair(rewrap, &file, err));
    if (file.own_error.status != KV_OK && !file.own.text.len && !file.sided) {
        *err = file.own_error;
        return err->status;
    }
    return change(rewrap, &file, ret, err);
}
