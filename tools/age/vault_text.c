#include "vault_text.h"

#include <string.h>
#include <strings.h>
#include "bech32.h"

static const char recipient_prefix[] = "age1kvp11";
static const char identity_prefix[] = "age-plugin-kvp11-";

enum { FORM_PUBLIC_KEY = 1, FORM_NAME = 2 };

void kv_vault_text_free(struct kv_vault_text *text)
{
    kv_bytes_free(&text->spki);
}

bool kv_vault_text_is(const char *text)
{
    size_t len = strlen(recipient_prefix);
    return !strncasecmp(text, recipient_prefix, len) && text[len] == '1';
}

/* --- names --- */
static bool is_word(const char *text, const char *marks)
{
    for (; *text; text++) {
        bool letter = (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z');
        if (!letter && !(*text >= '0' && *text <= '9') && !strchr(marks, *text))
            return false;
    }
    return true;
}

/* What belongs in front of `separator` goes to ret; *text is moved behind it. False: too long. */
static bool take_front(const char **text, char separator, char *ret, size_t size)
{
    const char *at = strrchr(*text, separator);
    if (!at)
        return true;
    size_t len = (size_t)(at - *text);
    if (!len || len >= size)
        return false;
    memcpy(ret, *text, len);
    ret[len] = '\0';
    *text = at + 1;
    return true;
}

static bool read_name(const char *text, struct kv_vault_text *ret)
{
    struct kv_vault_text read = { 0 };
    if (!take_front(&text, '/', read.vault, sizeof(read.vault)))
        return false;
    const char *at = strchr(text, '@');
    if (at && (!at[1] || !kv_text_fit(read.version, sizeof(read.version), at + 1)))
        return false;
    KV_AUTO_TEXT char *name = kv_text_copy_n(text, at ? (size_t)(at - text) : strlen(text));
    if (!name || !*name || !kv_text_fit(read.name, sizeof(read.name), name) || !is_word(read.name, "-") ||
        !is_word(read.version, ""))
        return false;
    *ret = read;
    return true;
}

enum kv_status kv_vault_text_read_name(const char *text, struct kv_vault_text *ret, struct kv_error *err)
{
    if (!read_name(text, ret))
        return kv_fail(err, KV_ARGUMENTS,
                       "'%.200s' is not the name of a key: [VAULT/]NAME or [VAULT/]NAME@VERSION", text);
    return KV_OK;
}

/* --- Bech32 --- */
static enum kv_status read_form(struct kv_view data, struct kv_vault_text *ret)
{
    if (!data.len)
        return KV_BAD_DATA;
    struct kv_view rest = { data.data + 1, data.len - 1 };
    if (data.data[0] == FORM_PUBLIC_KEY && rest.len) {
        struct kv_vault_text read = { 0 };
        KV_TRY(kv_bytes_copy(rest, &read.spki));
        *ret = read;
        return KV_OK;
    }
    if (data.data[0] != FORM_NAME || memchr(rest.data, '\0', rest.len))
        return KV_BAD_DATA;
    KV_AUTO_TEXT char *name = kv_text_copy_n((const char *)rest.data, rest.len);
    return name && strchr(name, '/') && read_name(name, ret) ? KV_OK : KV_BAD_DATA;
}

enum kv_status kv_vault_text_read(const char *text, struct kv_vault_text *ret, struct kv_error *err)
{
    KV_AUTO_BYTES struct kv_bytes data = { 0 };
    char prefix[KV_BECH32_HRP_MAX + 1];
    if (kv_bech32_decode(text, prefix, sizeof(prefix), &data) != KV_OK)
        return kv_fail(err, KV_BAD_DATA,
                       "recipient '%.40s…' is misspelt or cut: copy it anew from 'kvp11 recipient'", text);
    if (strcmp(prefix, recipient_prefix) != 0)
        return kv_fail(err, KV_BAD_DATA, "recipient '%.40s…' is not one of kvp11: those begin with '%s1'",
                       text, recipient_prefix);
    if (read_form(KV_VIEW(data), ret) != KV_OK)
        return kv_fail(err, KV_BAD_DATA,
                       "recipient '%.40s…' holds neither a public key nor a name that this release knows",
                       text);
    return KV_OK;
}

char *kv_vault_text_write(const struct kv_vault_text *text)
{
    KV_AUTO_BUFFER struct kv_buffer data = { .limit = KV_BECH32_TEXT_MAX };
    const unsigned char form = text->spki.len ? FORM_PUBLIC_KEY : FORM_NAME;
    enum kv_status status = kv_buffer_add(&data, (struct kv_view){ &form, 1 });
    if (status == KV_OK && text->spki.len)
        status = kv_buffer_add(&data, KV_VIEW(text->spki));
    else if (status == KV_OK)
        status = kv_buffer_format(&data, "%s/%s%s%s", text->vault, text->name, text->version[0] ? "@" : "",
                                  text->version);
    return status == KV_OK ? kv_bech32_encode(recipient_prefix, KV_VIEW(data.bytes), false) : NULL;
}

/* --- identities --- */
char *kv_vault_text_identity(void)
{
    return kv_bech32_encode(identity_prefix, (struct kv_view){ NULL, 0 }, true);
}

enum kv_status kv_vault_text_check_identity(const char *text, struct kv_error *err)
{
    KV_AUTO_BYTES struct kv_bytes data = { 0 };
    char prefix[KV_BECH32_HRP_MAX + 1];
    if (kv_bech32_decode(text, prefix, sizeof(prefix), &data) != KV_OK ||
        strcmp(prefix, identity_prefix) != 0)
        return kv_fail(err, KV_BAD_DATA, "identity '%.40s' is not the one that 'kvp11 identity' prints",
                       text);
    if (data.len)
        return kv_fail(err, KV_BAD_DATA, "identity '%.40s' has a content that this release does not know",
                       text);
    return KV_OK;
}
