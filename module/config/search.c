#include "search.h"

#include "base/file.h"

#include <string.h>

static const char *const host_path = "/etc/kvp11/kvp11.conf";

static const struct kv_file_rule config_rule = { .largest = 256 * 1024, .status = KV_CONFIG },
                                 secret_rule = { .secret = true, .largest = 4096, .status = KV_CONFIG };

static enum kv_status fail_nul(const char *path, struct kv_error *err)
{
    return kv_fail(err, KV_CONFIG, "%s: has a NUL byte in it: is it the right file?", path);
}

void kv_search_file_free(struct kv_search_file *file)
{
    if (!file)
        return;
    kv_text_free(file->path);
    kv_bytes_free(&file->text);
    *file = (struct kv_search_file){ 0 };
}

/* `absent` and `closed`: a file that is not there, or that the caller may not open, is no error, and *ret stays empty. The latter for the user's own folder:
 * services often run with the HOME of somebody else. */
struct search_leave {
    bool absent, closed;
};

static enum kv_status try_path(const char *path, struct search_leave leave, struct kv_search_file *ret,
                               struct kv_error *err)
{
    KV_AUTO_SEARCH_FILE struct kv_search_file file = { .path = kv_text_copy(path) };
    struct kv_error own = { 0 };

    if (!file.path)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    enum kv_status status = kv_file_read(path, &config_rule, &file.text, &own);
    if ((status == KV_NOT_FOUND && leave.absent) || (status == KV_DENIED && leave.closed))
        return KV_OK;
    if (status)
        return kv_fail(err, status == KV_NO_MEMORY ? status : KV_CONFIG, "%s", own.text);
    if (memchr(file.text.data, 0, file.text.len))
        return fail_nul(path, err);
    *ret = file;
    file = (struct kv_search_file){ 0 };
    return KV_OK;
}

static char *user_path(kv_raw_lookup *lookup)
{
    const char *config = lookup("XDG_CONFIG_HOME"), *home = lookup("HOME");

    if (config && *config == '/')
        return kv_text_format("%s/kvp11/kvp11.conf", config);
    return home && *home == '/' ? kv_text_format("%s/.config/kvp11/kvp11.conf", home) : kv_text_copy("");
}

enum kv_status kv_search_read(const char *named, kv_raw_lookup *lookup, struct kv_search_file *ret,
                              struct kv_error *err)
{
    if (named)
        return try_path(named, (struct search_leave){ 0 }, ret, err);
    KV_AUTO_TEXT char *user = user_path(lookup);
    if (!user)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    if (*user)
        KV_TRY(try_path(user, (struct search_leave){ .absent = true, .closed = true }, ret, err));
    return ret->path ? KV_OK : try_path(host_path, (struct search_leave){ .absent = true }, ret, err);
}

enum kv_status kv_config_secret_file(const char *path, char **ret, struct kv_error *err)
{
    KV_AUTO_BYTES struct kv_bytes text = { 0 };
    struct kv_error own = { 0 };

    enum kv_status status = kv_file_read(path, &secret_rule, &text, &own);
    if (status)
        return kv_fail(err, status == KV_NO_MEMORY ? status : KV_CONFIG, "%s", own.text);
    if (memchr(text.data, 0, text.len))
        return fail_nul(path, err);
    if (text.len && text.data[text.len - 1] == '\n')
        text.data[--text.len] = '\0';
    if (text.len && text.data[text.len - 1] == '\r')
        text.data[--text.len] = '\0';
    if (!text.len)
        return kv_fail(err, KV_CONFIG, "%s: is empty: write the secret into it", path);
    *ret = (char *)text.data;
    text = (struct kv_bytes){ 0 };
    return KV_OK;
}
