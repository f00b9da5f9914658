#include "spool.h"

#include <stdarg.h>
#include <string.h>
#include "temporary.h"

void kv_spool_free(struct kv_spool *spool)
{
    kv_buffer_free(&spool->memory);
    if (spool->file)
        fclose(spool->file);
    free(spool->text);
    *spool = (struct kv_spool){ .status = KV_OK };
}

static enum kv_status failed(struct kv_spool *spool, enum kv_status status)
{
    if (spool->status == KV_OK)
        spool->status = status;
    return spool->status;
}

static bool put(FILE *to, struct kv_view bytes)
{
    return !bytes.len || fwrite(bytes.data, 1, bytes.len, to) == bytes.len;
}

/* Where no file can be made memory has to do. */
static enum kv_status make_room(struct kv_spool *spool, size_t more)
{
    if (spool->file || spool->memory.locked || spool->memory.bytes.len + more <= KV_SPOOL_MEMORY)
        return KV_OK;
    spool->file = kv_temporary_file();
    if (spool->file && !put(spool->file, KV_VIEW(spool->memory.bytes)))
        return failed(spool, KV_IO);
    if (spool->file)
        kv_buffer_free(&spool->memory);
    return KV_OK;
}

enum kv_status kv_spool_add(struct kv_spool *spool, struct kv_view more)
{
    if (spool->status != KV_OK)
        return spool->status;
    KV_TRY(make_room(spool, more.len));
    if (spool->file)
        return put(spool->file, more) ? KV_OK : failed(spool, KV_IO);
    return kv_buffer_add(&spool->memory, more) == KV_OK ? KV_OK : failed(spool, KV_NO_MEMORY);
}

enum kv_status kv_spool_format(struct kv_spool *spool, const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    int len = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (len < 0)
        return failed(spool, KV_NO_MEMORY);
    enum kv_status status = kv_spool_add(spool, kv_view_text(text));
    free(text);
    return status;
}

bool kv_spool_is_empty(const struct kv_spool *spool)
{
    return !spool->file && !spool->memory.bytes.len;
}

enum kv_status kv_spool_rewind(struct kv_spool *spool)
{
    spool->at = 0;
    if (spool->status == KV_OK && spool->file &&
        fseek(spool->file, 0, SEEK_SET) != 0) /* writes what is left, too */
        return failed(spool, KV_IO);
    return spool->status;
}

const char *kv_spool_text(struct kv_spool *spool)
{
    if (spool->file && getdelim(&spool->text, &spool->room, '\0', spool->file) > 0)
        return spool->text;
    if (spool->file && ferror(spool->file))
        (void)failed(spool, KV_IO);
    if (spool->file || spool->at == spool->memory.bytes.len)
        return NULL;
    const char *text = (const char *)spool->memory.bytes.data + spool->at;
    spool->at += strlen(text) + 1;
    return text;
}

enum kv_status kv_spool_write(struct kv_spool *spool, FILE *to)
{
    char part[16384];
    size_t len;
    KV_TRY(kv_spool_rewind(spool));
    if (!spool->file) {
        (void)put(to, KV_VIEW(spool->memory.bytes));
        return KV_OK;
    }
    while ((len = fread(part, 1, sizeof(part), spool->file)) &&
           put(to, (struct kv_view){ (unsigned char *)part, len })) {
    }
    return ferror(spool->file) ? failed(spool, KV_IO) : KV_OK;
}
