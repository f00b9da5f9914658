#include "plugin.h"

#include <string.h>

/* --- reading --- */
/* A line without its line feed. False: the stream ended. */
static enum kv_status read_line(FILE *stream, struct kv_buffer *line, bool *ret_end, struct kv_error *err)
{
    unsigned char part[256];
    size_t filled = 0;
    for (;;) {
        int c = getc_unlocked(stream);
        *ret_end = c == EOF;
        if (c != EOF && c != '\n')
            part[filled++] = (unsigned char)c;
        if (filled == sizeof(part) || c == EOF || c == '\n') {
            enum kv_status status = kv_buffer_add(line, (struct kv_view){ part, filled });
            kv_wipe(part, sizeof(part));
            if (status != KV_OK)
                return kv_fail(err, KV_BAD_DATA, "the age client sent a line that is too long");
            filled = 0;
        }
        if (c == EOF || c == '\n')
            return KV_OK;
    }
}

enum kv_status kv_age_plugin_read(struct kv_age_plugin *plugin, struct kv_age_stanza *ret,
                                  struct kv_error *err)
{
    KV_AUTO_AGE_READER struct kv_age_reader reader = { 0 };
    bool whole = false, end = false;
    while (!whole) {
        KV_AUTO_BUFFER struct kv_buffer line = { .limit = KV_AGE_ARG_LINE_MAX };
        KV_TRY(read_line(plugin->in, &line, &end, err));
        if (end)
            return kv_fail(err, KV_IO, "the age client ended the conversation in the middle");
        KV_TRY(kv_age_reader_feed(&reader, KV_VIEW(line.bytes), &whole, err));
    }
    *ret = kv_age_reader_take(&reader);
    return KV_OK;
}

/* --- writing --- */
static enum kv_status send(struct kv_age_plugin *plugin, const struct kv_age_stanza *command,
                           struct kv_error *err)
{
    KV_AUTO_BUFFER struct kv_buffer text = { 0 };
    KV_TRY(kv_age_stanza_add(command, &text, err));
    if (fwrite(text.bytes.data, 1, text.bytes.len, plugin->out) != text.bytes.len || fflush(plugin->out))
        return kv_fail(err, KV_IO, "the age client does not listen: %m");
    return KV_OK;
}

static size_t count_words(const char *const *words)
{
    size_t count = 0;
    while (words[count])
        count++;
    return count;
}

enum kv_status kv_age_plugin_done(struct kv_age_plugin *plugin, struct kv_error *err)
{
    KV_CLEANUP(kv_age_stanza_free) struct kv_age_stanza done = { 0 };
    const char *const words[] = { "done" };
    KV_TRY(kv_age_stanza_make(words, 1, kv_view_text(""), &done, err));
    return send(plugin, &done, err);
}

enum kv_status kv_age_plugin_ask(struct kv_age_plugin *plugin, const struct kv_age_stanza *command,
                                 bool *ret_ok, struct kv_error *err)
{
    KV_CLEANUP(kv_age_stanza_free) struct kv_age_stanza answer = { 0 };
    KV_TRY(send(plugin, command, err));
    KV_TRY(kv_age_plugin_read(plugin, &answer, err));
    if (ret_ok)
        *ret_ok = !strcmp(answer.args[0], "ok");
    return KV_OK;
}

enum kv_status kv_age_plugin_tell(struct kv_age_plugin *plugin, const char *const *words, const char *text,
                                  struct kv_error *err)
{
    KV_CLEANUP(kv_age_stanza_free) struct kv_age_stanza command = { 0 };
    KV_TRY(kv_age_stanza_make(words, count_words(words), kv_view_text(text), &command, err));
    return kv_age_plugin_ask(plugin, &command, NULL, err);
}
