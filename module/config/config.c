#include "search.h"

#include <ini.h>
#include <stdio.h>
#include <string.h>

/* inih takes lines from us one by one. It does not tell a handler which line it is at, cuts long lines in
 * silence and passes over empty sections, so the reader keeps count. */
struct reader {
    const char *path, *rest;
    unsigned line;
    bool indented; /* the line starts with white space */
    struct kv_raw *raw;
    struct kv_raw_section *section; /* NULL: before the first */
    char last[64];                  /* the setting that an indented line continues, "" : none */
    enum kv_status status;
    struct kv_error *err;
};

static const char *environment(const char *name)
{
    return secure_getenv(name);
}

static char *origin_of(const struct reader *reader)
{
    return kv_text_format("%s:%u", reader->path, reader->line);
}

static enum kv_status begin_section(struct reader *reader, const char *line, size_t len)
{
    const char *end = memchr(line, ']', len);
    KV_AUTO_TEXT char *origin = origin_of(reader), *name = NULL;

    if (!origin)
        return kv_fail(reader->err, KV_NO_MEMORY, "out of memory");
    if (!end)
        return kv_fail(reader->err, KV_CONFIG, "%s: a section without ']': write [name]", origin);
    size_t tail = (size_t)(line + len - end) - 1, blank = strspn(end + 1, " \t\r");
    if (blank < tail && !strchr(";#", end[1 + blank]))
        return kv_fail(reader->err, KV_CONFIG, "%s: text behind ']': put it on a line of its own", origin);
    name = kv_text_copy_n(line + 1, (size_t)(end - line) - 1);
    if (!name)
        return kv_fail(reader->err, KV_NO_MEMORY, "out of memory");
    reader->last[0] = '\0';
    return kv_raw_begin(reader->raw, name, origin, &reader->section, reader->err);
}

static enum kv_status check_line(struct reader *reader, const char *line, size_t len, size_t room)
{
    size_t blank = strspn(line, " \t");

    reader->indented = blank > 0;
    if (len + 1 > room)
        return kv_fail(
            reader->err, KV_CONFIG,
            "%s:%u: is longer than %zu bytes: shorten it (a list goes on in the next line when that "
            "starts with white space)",
            reader->path, reader->line, room - 1);
    if (line[blank] != '[')
        return KV_OK;
    if (blank)
        return kv_fail(reader->err, KV_CONFIG, "%s:%u: white space before '[': remove it", reader->path,
                       reader->line);
    return begin_section(reader, line, len);
}

/* inih's reader: as fgets(3), the size with room for the NUL; NULL ends the file. */
static char *next_line(char *ret, int size, void *stream)
{
    struct reader *reader = stream;
    const char *line = reader->rest;

    if (reader->status || !*line)
        return NULL;
    size_t len = strcspn(line, "\n"), first = strspn(line, " \t\r");
    reader->rest += len + (line[len] == '\n');
    reader->line++;
    if (strchr(";#\n", line[first]))
        len = 0;
    reader->status = check_line(reader, line, len, (size_t)size - 1);
    if (reader->status)
        return NULL;
    memcpy(ret, line, len);
    memcpy(ret + len, "\n", 2);
    return ret;
}

static enum kv_status take_setting(struct reader *reader, const char *name, const char *value)
{
    KV_AUTO_TEXT char *origin = origin_of(reader);

    if (!origin)
        return kv_fail(reader->err, KV_NO_MEMORY, "out of memory");
    if (!reader->section)
        return kv_fail(reader->err, KV_CONFIG,
                       "%s: '%s' stands before the first section: put [kvp11] above it", origin, name);
    if (reader->indented && *reader->last)
        return kv_raw_continue(reader->section, reader->last, value, origin, reader->err);
    KV_TRY(kv_raw_set(reader->section, name, value, origin, reader->err));
    kv_text_fit(reader->last, sizeof reader->last, name);
    return KV_OK;
}

static int on_setting(void *user, const char *section, const char *name, const char *value)
{
    struct reader *reader = user;

    if (!reader->status)
        reader->status = take_setting(reader, name, value);
    return reader->status == KV_OK;
}

static enum kv_status read_ini(struct kv_raw *raw, const struct kv_search_file *file, struct kv_error *err)
{
    const char *text = (const char *)file->text.data, *bom = "\xef\xbb\xbf";
    struct reader reader = { .path = file->path, .raw = raw, .err = err };

    reader.rest = strncmp(text, bom, strlen(bom)) ? text : text + strlen(bom);
    int wrong = ini_parse_stream(next_line, &reader, on_setting, &reader);
    /* inih goes on behind a line that it does not understand; that line comes first. */
    if (wrong < 0)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    if (wrong > 0 && (!reader.status || (unsigned)wrong < reader.line))
        return kv_fail(err, KV_CONFIG, "%s:%d: is neither a section nor a setting: write name = value",
                       file->path, wrong);
    return reader.status;
}

/* The file that somebody asked for; NULL: nobody did. Borrowed. */
static const char *named_file(const struct kv_config_source *source, const struct kv_pair_list *reserved)
{
    const char *named = environment("KVP11_CONFIG");

    if (source->path)
        return source->path;
    for (size_t i = 0; i < reserved->count; i++)
        if (!strncmp(reserved->items[i], "config=", strlen("config=")))
            return reserved->items[i] + strlen("config=");
    return named && *named ? named : NULL;
}

enum kv_status kv_config_load(const struct kv_config_source *source, struct kv_config **ret,
                              struct kv_error *err)
{
    KV_CLEANUP(kv_words_free) struct kv_pair_list reserved = { 0 };
    KV_AUTO_SEARCH_FILE struct kv_search_file file = { 0 };
    KV_AUTO_RAW struct kv_raw *raw = NULL;
    KV_AUTO_CONFIG struct kv_config *config = calloc(1, sizeof *config);
    const char *words = source->reserved ? source->reserved : "";

    if (!config || kv_raw_make(&raw) || kv_words_split(words, " \t\r\n", &reserved))
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    KV_TRY(kv_search_read(named_file(source, &reserved), environment, &file, err));
    if (file.path)
        KV_TRY(read_ini(raw, &file, err));
    KV_TRY(kv_raw_add_environment(raw, environment, err));
    KV_TRY(kv_raw_add_reserved(raw, &reserved, err));
    struct kv_raw_world world = { environment, source->operators };
    KV_TRY(kv_raw_build(raw, &world, config, err));
    config->path = kv_take(file.path);
    *ret = kv_take(config);
    return KV_OK;
}
