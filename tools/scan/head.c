#include "head.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "age/armor.h"
#include "age/spare.h"
#include "age/vault_stanza.h"
#include "base/encode.h"
#include "cms/envelope.h"
#include "cms/text.h"
#include "mech/local.h"
#include "register.h"

/* Most heads are within the first part; none is longer than the room. */
enum { PART = 4096, ROOM = KV_CMS_HEADER_MAX + PART };

struct certificate {
    struct kv_certificate *certificate;
    struct kv_map_recipient recipient;
};
struct kv_head_reader {
    struct kv_tool *tool;
    unsigned char *room;
    struct certificate *certificates; /* loaded when an envelope names one */
    size_t certificate_count;
    bool loaded;
};

void kv_head_free(struct kv_head *head)
{
    free(kv_take(head->recipients));
    free(kv_take(head->wraps));
    *head = (struct kv_head){ 0 };
}

void kv_head_reader_free(struct kv_head_reader *reader)
{
    if (!reader)
        return;
    for (size_t i = 0; i < reader->certificate_count; i++)
        kv_certificate_free(reader->certificates[i].certificate);
    free(reader->certificates);
    free(reader->room);
    free(reader);
}

struct kv_head_reader *kv_head_reader_new(struct kv_tool *tool)
{
    struct kv_head_reader *reader = calloc(1, sizeof(*reader));
    if (!reader)
        return NULL;
    reader->tool = tool;
    reader->room = malloc(ROOM);
    if (reader->room)
        return reader;
    kv_head_reader_free(reader);
    return NULL;
}

static enum kv_status digest(struct kv_view data, unsigned char ret[32], struct kv_error *err)
{
    KV_AUTO_BYTES struct kv_bytes sha256 = { 0 };
    if (kv_digest_once("SHA2-256", data, &sha256) != KV_OK)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    memcpy(ret, sha256.data, 32);
    return KV_OK;
}

/* A recipient, and what is wrapped for it where the ledger could know of it. */
static enum kv_status add(struct kv_head *head, const struct kv_map_recipient *recipient,
                          struct kv_view wrapped, struct kv_error *err)
{
    struct kv_map_recipient *more = reallocarray(head->recipients, head->recipient_count + 1, sizeof(*more));
    if (!more)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    head->recipients = more;
    more[head->recipient_count++] = *recipient;
    if (!recipient->key_len || !wrapped.len)
        return KV_OK;
    unsigned char(*wraps)[32] = reallocarray(head->wraps, head->wrap_count + 1, sizeof(*wraps));
    if (!wraps)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    head->wraps = wraps;
    return digest(wrapped, wraps[head->wrap_count++], err);
}

/* --- age --- */

/* Types that open a file without any vault; `named`: the first argument says whose key. */
static const struct {
    const char *type, *kind;
    bool named;
} outsiders[] = {
    { "X25519", "x25519", false },
    { "scrypt", "scrypt", false },
    { "ssh-ed25519", "ssh-ed25519", true },
    { "ssh-rsa", "ssh-rsa", true },
    { "piv-p256", "piv-p256", true },
    { "p256tag", "p256tag", false },
    { "mlkem768x25519", "mlkem768x25519", false },
    { "mlkem768p256tag", "mlkem768p256tag", false },
};

enum kv_status kv_head_recipient(const struct kv_age_stanza *stanza, struct kv_map_recipient *ret,
                                 struct kv_error *err)
{
    *ret = (struct kv_map_recipient){ 0 };
    if (kv_vault_stanza_is(stanza))
        return kv_register_recipient(stanza, ret, err);
    for (size_t i = 0; i < sizeof(outsiders) / sizeof(outsiders[0]); i++) {
        if (strcmp(stanza->args[0], outsiders[i].type) != 0)
            continue;
        (void)kv_text_fit(ret->kind, sizeof(ret->kind), outsiders[i].kind);
        (void)kv_text_fit(ret->text, sizeof(ret->text),
                          outsiders[i].named && stanza->arg_count > 1 ? stanza->args[1] : "");
        return KV_OK;
    }
    (void)kv_text_fit(ret->kind, sizeof(ret->kind), "unknown");
    (void)kv_text_fit(ret->text, sizeof(ret->text), stanza->args[0]);
    return KV_OK;
}

bool kv_head_is_for(const struct kv_age_stanza *stanza, struct kv_view key)
{
    struct kv_map_recipient recipient;
    return kv_vault_stanza_is(stanza) && kv_head_recipient(stanza, &recipient, NULL) == KV_OK &&
           kv_view_equal(key, (struct kv_view){ recipient.key, recipient.key_len });
}

/* A header that lies beside a file it cannot be written into names the one in there. */
static void take_mark(const struct kv_age_stanza *stanza, struct kv_head *head)
{
    KV_AUTO_BYTES struct kv_bytes of = { 0 };
    if (strcmp(stanza->args[0], "kvp11-sidecar") != 0 || stanza->arg_count != 2 ||
        kv_decode_base64_raw(stanza->args[1], &of) != KV_OK || of.len != sizeof(head->beside))
        return;
    memcpy(head->beside, of.data, sizeof(head->beside));
    head->is_beside = true;
}

static enum kv_status take_age(struct kv_view text, struct kv_head *head, struct kv_error *err)
{
    KV_AUTO_AGE_HEADER struct kv_age_header header = { 0 };
    KV_TRY(kv_age_header_parse(text, &header, err));
    for (size_t i = 0; i < header.count; i++) {
        struct kv_map_recipient recipient;
        take_mark(&header.stanzas[i], head);
        if (kv_age_spare_is(&header.stanzas[i]))
            continue;
        KV_TRY(kv_head_recipient(&header.stanzas[i], &recipient, err));
        KV_TRY(add(head, &recipient, KV_VIEW(header.stanzas[i].body), err));
    }
    return digest(KV_VIEW(header.text), head->sha256, err);
}

/* --- CMS --- */

static enum kv_status load_vault(struct kv_head_reader *reader, size_t vault, struct kv_error *err)
{
    struct kv_core *core = reader->tool->core;
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
    const struct kv_map_query query = { .vault = kv_core_config(core)->vaults[vault].name };
    struct kv_task task = kv_common_task(reader->tool, vault);
    KV_TRY(kv_map_find(kv_core_map(core), &query, &list, err));
    KV_AUTO_FREE struct kv_certificate **found = calloc(list.count + 1, sizeof(*found));
    struct certificate *all = reallocarray(reader->certificates, reader->certificate_count + list.count + 1,
                                           sizeof(*reader->certificates));
    if (!found || !all) {
        reader->certificates = all ? all : reader->certificates;
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    }
    reader->certificates = all;
    enum kv_status status = kv_keyring_certificates(kv_core_keyring(core, vault), &list, false, &task, found);
    for (size_t i = 0; i < list.count; i++) {
        struct certificate *one = &all[reader->certificate_count];
        *one = (struct certificate){ .certificate = found[i] };
        if (found[i] && kv_map_recipient_of(list.items[i], "cms-rsa", NULL, &one->recipient))
            reader->certificate_count++;
        else
            kv_certificate_free(found[i]);
    }
    return status == KV_OK ? KV_OK : kv_fail(err, status, "out of memory");
}

/* Certificates that this host has already: nothing is asked for. */
static enum kv_status load(struct kv_head_reader *reader, struct kv_error *err)
{
    for (size_t i = 0; !reader->loaded && i < kv_core_vault_count(reader->tool->core); i++)
        KV_TRY(load_vault(reader, i, err));
    reader->loaded = true;
    return KV_OK;
}

static enum kv_status by_certificate(struct kv_head_reader *reader, const struct kv_cms_recipient *from,
                                     struct kv_map_recipient *ret, struct kv_error *err)
{
    KV_TRY(load(reader, err));
    for (size_t i = 0; i < reader->certificate_count; i++) {
        const struct kv_x509 *facts = &reader->certificates[i].certificate->facts;
        if (kv_view_equal(from->issuer, facts->issuer) && kv_view_equal(from->serial, facts->serial))
            *ret = reader->certificates[i].recipient;
    }
    return KV_OK;
}

/* key_len 0: it is no key that is known here. */
static enum kv_status of_cms(struct kv_head_reader *reader, const struct kv_cms_recipient *from,
                             struct kv_map_recipient *ret, struct kv_error *err)
{
    enum { SHOWN = 64 };
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
    struct kv_view text = from->key_id.len ? from->key_id : from->serial;
    char hex[2 * SHOWN + 1];
    *ret = (struct kv_map_recipient){ .kind = "cms-unknown" };
    kv_encode_hex((struct kv_view){ text.data, text.len < SHOWN ? text.len : SHOWN }, hex);
    (void)kv_text_fit(ret->text, sizeof(ret->text), hex);
    if (from->key_id.len == KV_ID_SIZE) {
        KV_TRY(kv_map_find(kv_core_map(reader->tool->core),
                           &(struct kv_map_query){ .id = from->key_id, .limit = 1 }, &list, err));
        if (list.count)
            (void)kv_map_recipient_of(list.items[0], "cms-rsa", NULL, ret);
        return KV_OK;
    }
    return from->issuer.len ? by_certificate(reader, from, ret, err) : KV_OK;
}

static enum kv_status take_cms(struct kv_head_reader *reader, struct kv_view text, struct kv_head *head,
                               struct kv_error *err)
{
    struct kv_cms_input input;
    struct kv_ber ber;
    KV_AUTO_CMS_ENVELOPE struct kv_cms_envelope envelope = { 0 };
    kv_cms_input_memory(text, &input);
    input.name = "the envelope";
    kv_ber_open(&input, &ber);
    KV_TRY(kv_cms_envelope_head(&ber, &envelope, err));
    for (size_t i = 0; i < envelope.recipient_count; i++) {
        struct kv_map_recipient recipient;
        KV_TRY(of_cms(reader, &envelope.recipients[i], &recipient, err));
        KV_TRY(add(head, &recipient, envelope.recipients[i].key, err));
    }
    /* Beside a key that is known here, a stranger is who opens it when that one does not. */
    for (size_t i = 0; head->wrap_count && i < head->recipient_count; i++)
        if (!head->recipients[i].key_len)
            (void)kv_text_fit(head->recipients[i].kind, sizeof(head->recipients[i].kind), "cms-certificate");
    return digest((struct kv_view){ text.data, (size_t)input.position }, head->sha256, err);
}

/* --- which of them --- */

static bool starts(struct kv_view view, const char *with)
{
    struct kv_view start = kv_view_text(with);
    return view.len >= start.len && kv_view_equal((struct kv_view){ view.data, start.len }, start);
}

/* SEQUENCE { OBJECT IDENTIFIER enveloped-data | authEnveloped-data …, whatever the lengths' form. */
static bool is_cms(struct kv_view text)
{
    const struct kv_cms_oid *types[] = { &kv_cms_enveloped, &kv_cms_auth_enveloped };
    if (text.len < 32 || text.data[0] != KV_BER_SEQUENCE)
        return false;
    size_t at = 2 + (text.data[1] & 0x80 ? text.data[1] & 0x7f : 0);
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        struct kv_view type = kv_cms_oid_view(types[i]);
        if (at + 2 + type.len <= text.len && text.data[at] == KV_BER_OID && text.data[at + 1] == type.len &&
            kv_view_equal((struct kv_view){ text.data + at + 2, type.len }, type))
            return true;
    }
    return false;
}

/* By what was read, and what that holds when its armor is taken off. */
static enum kv_head_kind kind_of(struct kv_view raw, struct kv_view text)
{
    if (starts(raw, "age-encryption.org/") || kv_age_armor_look(raw) == KV_AGE_ARMOR_YES)
        return KV_HEAD_AGE;
    return is_cms(text) ? KV_HEAD_CMS : KV_HEAD_NONE;
}

/* From `*len` on, up to `wanted` bytes in all; less only where the file ends. */
static enum kv_status fill(struct kv_head_reader *reader, int fd, size_t wanted, size_t *len,
                           struct kv_error *err)
{
    while (*len < wanted) {
        ssize_t got = pread(fd, reader->room + *len, wanted - *len, (off_t)*len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return kv_fail(err, KV_INPUT, "cannot be read: %m");
        if (!got)
            break;
        *len += (size_t)got;
    }
    return KV_OK;
}

/* Is all of the header there? An envelope's end is known only by reading it. */
static enum kv_status is_whole(enum kv_head_kind kind, struct kv_view text, bool *ret, struct kv_error *err)
{
    size_t len = 0;
    *ret = true;
    if (kind == KV_HEAD_AGE) {
        KV_TRY(kv_age_header_length(text, &len, err));
        *ret = len != 0;
    }
    return KV_OK;
}

static enum kv_status take(struct kv_head_reader *reader, enum kv_head_kind kind, struct kv_view text,
                           struct kv_head *ret, struct kv_error *err)
{
    KV_AUTO_HEAD struct kv_head head = { .kind = kind };
    KV_TRY(kind == KV_HEAD_AGE ? take_age(text, &head, err) : take_cms(reader, text, &head, err));
    *ret = head;
    head = (struct kv_head){ 0 };
    return KV_OK;
}

/* What PEM or S/MIME holds up to its end, or to where it is no such text. */
static enum kv_status decode_text(struct kv_view raw, struct kv_bytes *ret, struct kv_error *err)
{
    KV_AUTO_CMS_TEXT struct kv_cms_text *text = NULL;
    size_t got = 1;
    KV_TRY(kv_bytes_alloc(raw.len + KV_CMS_TEXT_PIECE, ret));
    ret->len = 0;
    KV_TRY(kv_cms_text_new("the envelope", -1, raw, &text, err));
    while (got && kv_cms_text_read(text, ret->data + ret->len, KV_CMS_TEXT_PIECE, &got, NULL) == KV_OK)
        ret->len += got;
    return KV_OK;
}

/* What was read so far, or what its armor holds. `whole`: there is no more. */
static enum kv_status text_of(const struct kv_head_reader *reader, size_t len, bool whole,
                              struct kv_bytes *ret_bare, struct kv_view *ret, struct kv_error *err)
{
    *ret = (struct kv_view){ reader->room, len };
    bool armored = kv_age_armor_look(*ret) == KV_AGE_ARMOR_YES;
    if (!armored && !kv_cms_text_is(*ret))
        return KV_OK;
    KV_TRY(armored ? kv_age_armor_front(*ret, whole, ret_bare, err) : decode_text(*ret, ret_bare, err));
    *ret = KV_VIEW(*ret_bare);
    return KV_OK;
}

enum kv_status kv_head_read(struct kv_head_reader *reader, int fd, struct kv_head *ret, struct kv_error *err)
{
    static const size_t parts[] = { PART, 16 * PART, KV_AGE_HEADER_MAX + PART, ROOM };
    enum kv_status status = KV_OK;
    size_t len = 0;
    *ret = (struct kv_head){ .kind = KV_HEAD_NONE };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        bool whole = false;
        struct kv_error why = { 0 };
        KV_AUTO_BYTES struct kv_bytes bare = { 0 };
        struct kv_view text = { 0 };
        KV_TRY(fill(reader, fd, parts[i], &len, err));
        status = text_of(reader, len, len < parts[i], &bare, &text, &why);
        enum kv_head_kind kind = kind_of((struct kv_view){ reader->room, len }, text);
        if (kind == KV_HEAD_NONE && status != KV_NO_MEMORY)
            return KV_OK;
        if (status == KV_OK)
            status = is_whole(kind, text, &whole, &why);
        if (status == KV_OK && (whole || len < parts[i]))
            status = take(reader, kind, text, ret, &why);
        else if (status == KV_OK)
            continue;
        /* An envelope that ends within what was read may go on behind it. */
        if (status == KV_BAD_DATA && kind == KV_HEAD_CMS && len == parts[i] && parts[i] < ROOM)
            continue;
        if (status != KV_OK && err)
            *err = why;
        return status;
    }
    return status == KV_OK ? kv_fail(err, KV_BAD_DATA, "its header has no end") : status;
}
