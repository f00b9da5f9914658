#include "input.h"
#include "temporary.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum kv_status kv_cms_input_open(const char *path, struct kv_cms_input *ret, struct kv_error *err)
{
    struct kv_cms_input input = { .name = "the standard input", .fd = STDIN_FILENO, .copy = -1 };
    struct stat stat_of;
    if (path && strcmp(path, "-") != 0) {
        input.name = path;
        input.fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (input.fd < 0)
            return kv_fail(err, KV_ARGUMENTS, "cannot read '%s': %m", path);
    }
    if (fstat(input.fd, &stat_of) == 0 && S_ISREG(stat_of.st_mode)) {
        input.start = lseek(input.fd, 0, SEEK_CUR);
        input.seekable = input.start >= 0;
        posix_fadvise(input.fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    }
    input.data = input.window = malloc(KV_CMS_WINDOW);
    if (!input.window) {
        kv_cms_input_close(&input);
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    }
    *ret = input;
    return KV_OK;
}

void kv_cms_input_memory(struct kv_view bytes, struct kv_cms_input *ret)
{
    *ret =
        (struct kv_cms_input){ .name = "memory", .fd = -1, .copy = -1, .data = bytes.data, .end = bytes.len };
}

void kv_cms_input_close(struct kv_cms_input *input)
{
    if (input->fd > STDIN_FILENO)
        close(input->fd);
    if (input->copy >= 0 && input->copy != input->fd)
        close(input->copy);
    if (input->window)
        kv_wipe(input->window, KV_CMS_WINDOW); /* of what is to be sealed it is plaintext */
    free(input->window);
    kv_cms_text_free(input->text);
    *input = (struct kv_cms_input){ .fd = -1, .copy = -1 };
}

/* Is the window all that there is? */
static bool is_all(const struct kv_cms_input *input)
{
    return input->fd < 0 && !input->text;
}

enum kv_status kv_cms_input_text(struct kv_cms_input *input, struct kv_error *err)
{
    struct kv_view ahead = { input->data + input->at, input->end - input->at };
    unsigned char *window = input->window ? input->window : malloc(KV_CMS_WINDOW);
    if (!window)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    input->window = window;
    KV_TRY(kv_cms_text_new(input->name, input->fd, ahead, &input->text, err));
    input->data = window;
    input->at = input->end = 0;
    return KV_OK;
}

static enum kv_status write_copy(struct kv_cms_input *input, struct kv_view bytes, struct kv_error *err)
{
    while (input->copy >= 0 && input->copy != input->fd && bytes.len) {
        ssize_t done = write(input->copy, bytes.data, bytes.len);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return kv_fail(err, KV_IO,
                           "cannot keep a copy of '%s' for the second reading: %m: give a file instead of a "
                           "pipe, or set TMPDIR to a folder with more room",
                           input->name);
        bytes = (struct kv_view){ bytes.data + done, bytes.len - (size_t)done };
    }
    return KV_OK;
}

/* One read into `to`; 0 bytes: the end. */
static enum kv_status read_more(struct kv_cms_input *input, unsigned char *to, size_t room, size_t *ret,
                                struct kv_error *err)
{
    ssize_t done = 0;
    if (input->text) {
        KV_TRY(kv_cms_text_read(input->text, to, room, ret, err));
        return write_copy(input, (struct kv_view){ to, *ret }, err);
    }
    while (input->fd >= 0 && (done = read(input->fd, to, room)) < 0 && errno == EINTR)
        ;
    if (done < 0)
        return kv_fail(err, KV_IO, "cannot read '%s': %m", input->name);
    *ret = (size_t)done;
    return write_copy(input, (struct kv_view){ to, (size_t)done }, err);
}

enum kv_status kv_cms_input_fill(struct kv_cms_input *input, bool *ret_end, struct kv_error *err)
{
    if (input->at == input->end && !is_all(input)) {
        size_t done = 0;
        KV_TRY(read_more(input, input->window, KV_CMS_WINDOW, &done, err));
        input->at = 0;
        input->end = done;
    }
    *ret_end = input->at == input->end;
    return KV_OK;
}

enum kv_status kv_cms_input_peek(struct kv_cms_input *input, size_t len, struct kv_view *ret,
                                 struct kv_error *err)
{
    size_t done = 1;
    if (!is_all(input) && input->end - input->at < len) {
        memmove(input->window, input->window + input->at, input->end - input->at);
        input->end -= input->at;
        input->at = 0;
    }
    while (!is_all(input) && input->end < len && done) {
        KV_TRY(read_more(input, input->window + input->end, KV_CMS_WINDOW - input->end, &done, err));
        input->end += done;
    }
    size_t there = input->end - input->at;
    *ret = (struct kv_view){ input->data + input->at, there < len ? there : len };
    return KV_OK;
}

static enum kv_status cut_short(const struct kv_cms_input *input, struct kv_error *err)
{
    return kv_fail(err, KV_BAD_DATA, "'%s' ends after %llu bytes, in the middle of the envelope: it was cut",
                   input->name, (unsigned long long)input->position);
}

enum kv_status kv_cms_input_byte(struct kv_cms_input *input, unsigned char *ret, struct kv_error *err)
{
    if (input->at == input->end) {
        bool end = false;
        KV_TRY(kv_cms_input_fill(input, &end, err));
        if (end)
            return cut_short(input, err);
    }
    *ret = input->data[input->at++];
    input->position++;
    return KV_OK;
}

enum kv_status kv_cms_input_some(struct kv_cms_input *input, unsigned char *to, size_t room, size_t *ret,
                                 struct kv_error *err)
{
    size_t len = 0;
    if (input->at == input->end && !is_all(input) && to && room >= KV_CMS_WINDOW) {
        KV_TRY(read_more(input, to, room, &len, err)); /* past the window: nothing is copied twice */
    } else {
        bool end = false;
        KV_TRY(kv_cms_input_fill(input, &end, err));
        len = input->end - input->at;
        len = len < room ? len : room;
        if (to && len)
            memcpy(to, input->data + input->at, len);
        input->at += len;
    }
    if (!len)
        return cut_short(input, err);
    input->position += len;
    *ret = len;
    return KV_OK;
}

enum kv_status kv_cms_input_keep(struct kv_cms_input *input, struct kv_error *err)
{
    if (kv_cms_input_can_return(input))
        return KV_OK;
    input->copy = kv_temporary_fd();
    if (input->copy < 0)
        return kv_fail(err, KV_IO,
                       "'%s' must be read twice, and no file for a copy can be made: %m: give a file instead "
                       "of a pipe, or set TMPDIR",
                       input->name);
    input->start = -(int64_t)input->position;
    return write_copy(input, (struct kv_view){ input->data + input->at, input->end - input->at }, err);
}

bool kv_cms_input_waits(const struct kv_cms_input *input)
{
    return input->fd >= 0 && !input->seekable && input->fd != input->copy;
}

uint64_t kv_cms_input_size(const struct kv_cms_input *input)
{
    struct stat info;
    if (!input->seekable || fstat(input->fd, &info) != 0 || info.st_size <= input->start)
        return 0;
    uint64_t size = (uint64_t)(info.st_size - input->start);
    return input->text ? size / 4 * 3 : size;
}

bool kv_cms_input_can_return(const struct kv_cms_input *input)
{
    return input->fd < 0 || input->seekable || input->copy >= 0;
}

/* Of text nobody knows where a byte of the envelope is: what is before it, which is no more than a head, is decoded again. */
static enum kv_status pass(struct kv_cms_input *input, uint64_t len, struct kv_error *err)
{
    for (size_t done = 0; len; len -= done)
        KV_TRY(kv_cms_input_some(input, NULL, len < SIZE_MAX ? (size_t)len : SIZE_MAX, &done, err));
    return KV_OK;
}

static enum kv_status seek(struct kv_cms_input *input, int64_t place, struct kv_error *err)
{
    return input->fd < 0 || lseek(input->fd, place, SEEK_SET) >= 0
               ? KV_OK
               : kv_fail(err, KV_IO, "cannot read '%s' again: %m", input->name);
}

/* From now on a pipe is what was kept of it, and that is binary. */
static void turn_to_copy(struct kv_cms_input *input)
{
    if (input->fd > STDIN_FILENO)
        close(input->fd);
    input->fd = input->copy;
    kv_cms_text_free(kv_take(input->text));
}

enum kv_status kv_cms_input_return(struct kv_cms_input *input, uint64_t position, struct kv_error *err)
{
    if (is_all(input)) {
        input->at = (size_t)position;
        input->position = position;
        return KV_OK;
    }
    if (input->copy >= 0 && input->fd != input->copy)
        turn_to_copy(input);
    input->at = input->end = 0;
    input->position = input->text ? 0 : position;
    KV_TRY(seek(input, (int64_t)input->position + input->start, err));
    if (!input->text)
        return KV_OK;
    kv_cms_text_restart(input->text);
    return pass(input, position, err);
}
