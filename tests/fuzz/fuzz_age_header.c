/* The front of an age file, which everybody may have written: the header, and the identity that looks at its stanzas. */
#include "fuzz.h"
#include "../../tools/age/header.h"
#include "../../tools/age/x25519.h"

static struct kv_age_identity identity;

int LLVMFuzzerInitialize(int *count, char ***arguments)
{
    MUST(kv_age_x25519_identity("AGE-SECRET-KEY-18P0RDALZWM6ANZ02T6V0RSM0TER2CCCCM39K5SNVTWJ7Q4LXKTZQ9S4Y58",
                                &identity, NULL) == KV_OK);
    return 0;
}

/* The format has one way to write a header: what is read is written again, but for the MAC. */
static void check_again(const struct kv_age_header *header)
{
    static const unsigned char key[KV_AGE_FILE_KEY];
    enum { BEHIND_MARK = 45 };
    KV_AUTO_BUFFER struct kv_buffer again = { 0 };
    MUST(header->count && header->count <= KV_AGE_STANZAS_MAX);
    MUST(kv_age_header_write(header->stanzas, header->count, key, &again, NULL) == KV_OK);
    MUST(again.bytes.len == header->text.len);
    MUST(!memcmp(again.bytes.data, header->text.data, header->text.len - BEHIND_MARK));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kv_view text = { data, size };
    KV_AUTO_AGE_HEADER struct kv_age_header header = { 0 };
    struct kv_error err = { 0 };
    unsigned char file_key[KV_AGE_FILE_KEY];
    size_t len = 0;
    enum kv_status whole = kv_age_header_length(text, &len, &err);
    MUST(len <= size && len <= KV_AGE_HEADER_MAX);
    enum kv_status status = kv_age_header_parse(text, &header, &err);
    if (status != KV_OK) {
        MUST(status == KV_BAD_DATA && err.text[0] && fuzz_is_line(err.text));
        return 0;
    }
    MUST(whole == KV_OK && header.text.len == len);
    check_again(&header);
    if (kv_age_header_open(&header, &identity, 1, file_key, &err) != KV_OK)
        MUST(err.text[0] && fuzz_is_line(err.text));
    return 0;
}
