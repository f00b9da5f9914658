#include "pkcs11_uri.h"

#include "base/encode.h"

#include <string.h>

void kv_pkcs11_uri_free(struct kv_pkcs11_uri *uri)
{
    char *const texts[] = { uri->token,  uri->manufacturer, uri->serial,      uri->model,     uri->slot_id,
                            uri->object, uri->type,         uri->module_path, uri->pin_source };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        kv_text_free(texts[i]);
    kv_bytes_free(&uri->id);
    *uri = (struct kv_pkcs11_uri){ 0 };
}

enum where { PATH, QUERY };

static const struct {
    const char *name;
    enum where where;
    size_t offset; /* of a text; 0: of none */
} known[] = {
#define MEMBER(member) offsetof(struct kv_pkcs11_uri, member) + 1
    { "token", PATH, MEMBER(token) },
    { "manufacturer", PATH, MEMBER(manufacturer) },
    { "serial", PATH, MEMBER(serial) },
    { "model", PATH, MEMBER(model) },
    { "slot-id", PATH, MEMBER(slot_id) },
    { "object", PATH, MEMBER(object) },
    { "type", PATH, MEMBER(type) },
    { "id", PATH, 0 },
    { "module-path", QUERY, MEMBER(module_path) },
    { "pin-source", QUERY, MEMBER(pin_source) },
#undef MEMBER
};

/* %XX; KV_BAD_DATA. */
static enum kv_status decode(struct kv_view text, struct kv_bytes *ret)
{
    KV_AUTO_BUFFER struct kv_buffer plain = { 0 };
    KV_TRY(kv_buffer_add(&plain, kv_view_text(""))); /* a NUL follows an empty one, too */
    for (size_t i = 0; i < text.len; i++) {
        struct kv_view one = { text.data + i, 1 };
        KV_AUTO_BYTES struct kv_bytes byte = { 0 };
        if (text.data[i] == '%') {
            char digits[3] = "";
            if (text.len - i < 3)
                return KV_BAD_DATA;
            memcpy(digits, text.data + i + 1, 2);
            KV_TRY(kv_decode_hex(digits, &byte));
            one = KV_VIEW(byte);
            i += 2;
        }
        KV_TRY(kv_buffer_add(&plain, one));
    }
    *ret = kv_bytes_take(&plain.bytes);
    return KV_OK;
}

static enum kv_status set_text(struct kv_view value, char **ret)
{
    KV_AUTO_BYTES struct kv_bytes bytes = { 0 };
    KV_TRY(decode(value, &bytes));
    const char *text = bytes.data ? (const char *)bytes.data : "";
    if (*ret || strlen(text) != bytes.len)
        return KV_BAD_DATA;
    *ret = kv_text_copy(text);
    return *ret ? KV_OK : KV_NO_MEMORY;
}

static enum kv_status fail_attribute(struct kv_view name, enum kv_status status, struct kv_error *err)
{
    static const struct {
        const char *name, *why;
    } refused[] = {
        { "pin-value", "a PIN never stands in the configuration: put it into a file and name that in "
                       "`client_key_pin_file` or pin-source" },
        { "module-name", "only the path of a module says which one it is: write module-path, or set "
                         "`client_key_module`" },
    };
    if (status == KV_NO_MEMORY)
        return kv_fail(err, status, "no memory for a URI");
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        if (kv_view_equal(name, kv_view_text(refused[i].name)))
            return kv_fail(err, KV_CREDENTIAL, "`client_key`: '%s': %s", refused[i].name, refused[i].why);
    }
    return kv_fail(
        err, KV_CREDENTIAL,
        "`client_key`: '%.*s' is unknown, there twice, or has a bad value; name the key by token, object, id",
        (int)(name.len < 40 ? name.len : 40), (const char *)name.data);
}

static enum kv_status take(struct kv_view name, struct kv_view value, enum where where,
                           struct kv_pkcs11_uri *uri)
{
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (known[i].where != where || !kv_view_equal(name, kv_view_text(known[i].name)))
            continue;
        if (known[i].offset)
            return set_text(value, (char **)((char *)uri + known[i].offset - 1));
        return uri->id.data ? KV_BAD_DATA : decode(value, &uri->id);
    }
    return KV_BAD_DATA;
}

/* "name=value" between separators. */
static enum kv_status take_all(struct kv_view text, enum where where, struct kv_pkcs11_uri *uri,
                               struct kv_error *err)
{
    char separator = where == PATH ? ';' : '&';
    while (text.len) {
        const unsigned char *end = memchr(text.data, separator, text.len);
        struct kv_view part = { text.data, end ? (size_t)(end - text.data) : text.len };
        const unsigned char *sign = memchr(part.data, '=', part.len);
        struct kv_view name = { part.data, sign ? (size_t)(sign - part.data) : part.len };
        struct kv_view value = { sign ? sign + 1 : NULL, sign ? part.len - name.len - 1 : 0 };
        enum kv_status status = sign ? take(name, value, where, uri) : KV_BAD_DATA;
        if (status != KV_OK)
            return fail_attribute(name, status, err);
        text.data += part.len + (end != NULL);
        text.len -= part.len + (end != NULL);
    }
    return KV_OK;
}

enum kv_status kv_pkcs11_uri_parse(const char *text, struct kv_pkcs11_uri *ret, struct kv_error *err)
{
    static const char scheme[] = "pkcs11:";
    KV_CLEANUP(kv_pkcs11_uri_free) struct kv_pkcs11_uri uri = { 0 };
    if (strncmp(text, scheme, sizeof scheme - 1) != 0)
        return kv_fail(err, KV_CREDENTIAL, "`client_key` is no URI 'pkcs11:…'");
    text += sizeof scheme - 1;
    size_t path = strcspn(text, "?");
    KV_TRY(take_all((struct kv_view){ (const unsigned char *)text, path }, PATH, &uri, err));
    if (text[path])
        KV_TRY(take_all(kv_view_text(text + path + 1), QUERY, &uri, err));
    if (!uri.object && !uri.id.len)
        return kv_fail(err, KV_CREDENTIAL, "`client_key` names no key: write object= or id=");
    if (uri.type && strcmp(uri.type, "private") != 0)
        return kv_fail(err, KV_CREDENTIAL,
                       "`client_key` names a '%s', which does not sign: write type=private", uri.type);
    *ret = uri;
    uri = (struct kv_pkcs11_uri){ 0 };
    return KV_OK;
}
