/* The ASCII armor of an age file, which everybody may have written: taken off at once and in pieces, it gives the same; and there is one way to write it. */
#include "fuzz.h"
#include "../../tools/age/armor.h"

static enum kv_status in_pieces(struct kv_view text, size_t step, struct kv_buffer *ret)
{
    KV_AUTO_AGE_ARMOR_READER struct kv_age_armor_reader reader = { 0 };
    size_t at = 0;
    do {
        size_t len = text.len - at < step ? text.len - at : step;
        KV_TRY(
            kv_age_armor_take(&reader, (struct kv_view){ text.data + at, len }, at + len == text.len, NULL));
        size_t left = reader.bytes.len - reader.at;
        MUST(!left || kv_buffer_add(ret, (struct kv_view){ reader.bytes.data + reader.at, left }) == KV_OK);
        reader.at = reader.bytes.len;
        at += len;
    } while (at < text.len);
    return KV_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kv_view text = { data, size };
    struct kv_error err = { 0 };
    KV_AUTO_BYTES struct kv_bytes bytes = { 0 }, again = { 0 };
    KV_AUTO_BUFFER struct kv_buffer pieces = { 0 }, written = { 0 };
    struct kv_age_armor_writer writer = { 0 };
    enum kv_status status = kv_age_armor_front(text, true, &bytes, &err);
    MUST(in_pieces(text, size % 70 + 1, &pieces) == status);
    if (status != KV_OK) {
        MUST(status == KV_BAD_DATA && err.text[0] && fuzz_is_line(err.text));
        return 0;
    }
    MUST(kv_age_armor_look(text) == KV_AGE_ARMOR_YES);
    MUST(kv_view_equal(KV_VIEW(bytes), KV_VIEW(pieces.bytes)));
    MUST(kv_age_armor_put(&writer, KV_VIEW(bytes), &written) == KV_OK &&
         kv_age_armor_end(&writer, &written) == KV_OK);
    MUST(written.bytes.len <= size + 2 && writer.written == written.bytes.len);
    MUST(kv_age_armor_front(KV_VIEW(written.bytes), true, &again, NULL) == KV_OK);
    MUST(kv_view_equal(KV_VIEW(bytes), KV_VIEW(again)));
    return 0;
}
