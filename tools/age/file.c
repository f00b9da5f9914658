#include "file.h"

#include "pipeline.h"

enum { PIECE = 4096 };

/* 0: the end. */
static enum kv_status read_piece(const struct kv_age_stream *stream, struct kv_buffer *text, size_t *ret_len,
                                 struct kv_error *err)
{
    unsigned char piece[PIECE];
    const struct iovec to = { piece, sizeof piece };
    ssize_t got = 0;
    KV_TRY(kv_age_stream_wait(stream, &to, 1, &got, err));
    *ret_len = (size_t)got;
    return kv_buffer_add(text, (struct kv_view){ piece, (size_t)got }) == KV_OK
               ? KV_OK
               : kv_fail(err, KV_NO_MEMORY, "out of memory");
}

/* Reads as much as it takes to tell whether there is an armor; then what was read is in the armor, and else in *text. */
static enum kv_status look_for_armor(const struct kv_age_stream *stream, struct kv_buffer *text,
                                     struct kv_error *err)
{
    enum kv_age_armor_looks looks = KV_AGE_ARMOR_MAYBE;
    struct kv_age_armor_reader *armor = stream->armor_in;
    for (size_t more = 1; armor && more && looks == KV_AGE_ARMOR_MAYBE;) {
        KV_TRY(read_piece(stream, text, &more, err));
        looks = kv_age_armor_look(KV_VIEW(text->bytes));
    }
    if (!armor || looks != KV_AGE_ARMOR_YES)
        return KV_OK;
    armor->on = true;
    KV_TRY(kv_age_armor_take(armor, KV_VIEW(text->bytes), false, err));
    kv_buffer_free(text);
    return KV_OK;
}

static enum kv_status read_header(struct kv_age_stream *stream, struct kv_buffer *text, size_t *ret_len,
                                  struct kv_age_header *ret, struct kv_error *err)
{
    size_t more = 1;
    KV_TRY(look_for_armor(stream, text, err));
    KV_TRY(kv_age_header_length(KV_VIEW(text->bytes), ret_len, err));
    while (!*ret_len && more) {
        KV_TRY(read_piece(stream, text, &more, err));
        KV_TRY(kv_age_header_length(KV_VIEW(text->bytes), ret_len, err));
    }
    return kv_age_header_parse(KV_VIEW(text->bytes), ret, err);
}

enum kv_status kv_age_file_header(struct kv_age_stream *stream, struct kv_age_header *ret,
                                  struct kv_buffer *ret_ahead, struct kv_error *err)
{
    KV_AUTO_BUFFER struct kv_buffer text = { 0 };
    size_t len = 0;
    KV_TRY(read_header(stream, &text, &len, ret, err));
    *ret_ahead = text;
    text = (struct kv_buffer){ 0 };
    stream->ahead = (struct kv_view){ ret_ahead->bytes.data + len, ret_ahead->bytes.len - len };
    return KV_OK;
}

enum kv_status kv_age_file_begin(const struct kv_age_stream *stream, struct kv_view header,
                                 struct kv_error *err)
{
    return kv_age_stream_put(stream, header, err);
}
