/* recipient-v1: file keys in, stanzas out. */
#include "plugin.h"

#include <string.h>

enum { MANY = 4096 }; /* more recipients or files in one conversation are refused */

struct whom {
    struct kv_age_recipient recipient;
    enum kv_status status; /* of its text */
    struct kv_error why;
};

struct wrapping {
    struct kv_age_plugin *plugin;
    struct whom *recipients;
    size_t recipient_count;
    struct kv_bytes *keys; /* of files */
    size_t key_count, identity_count;
    enum kv_status status; /* of what belongs to no recipient */
    struct kv_error why;
    struct made {
        size_t file;
        struct kv_age_stanza stanza;
    } * made;
    size_t made_count;
};

static void wrapping_free(struct wrapping *wrapping)
{
    for (size_t i = 0; i < wrapping->recipient_count; i++)
        kv_age_recipient_free(&wrapping->recipients[i].recipient);
    for (size_t i = 0; i < wrapping->key_count; i++)
        kv_bytes_free(&wrapping->keys[i]);
    for (size_t i = 0; i < wrapping->made_count; i++)
        kv_age_stanza_free(&wrapping->made[i].stanza);
    free(wrapping->recipients);
    free(wrapping->keys);
    free(wrapping->made);
}

/* Room for one more at the end. NULL: no memory, or enough is enough. */
static void *one_more(void **list, size_t count, size_t size)
{
    void *larger = count < (size_t)MANY * MANY ? reallocarray(*list, count + 1, size) : NULL;
    if (!larger)
        return NULL;
    *list = larger;
    memset((char *)larger + count * size, 0, size);
    return (char *)larger + count * size;
}

/* --- phase 1: the client speaks --- */
static enum kv_status add_recipient(struct wrapping *wrapping, const struct kv_age_stanza *command,
                                    struct kv_error *err)
{
    struct whom *whom = wrapping->recipient_count < MANY
                            ? one_more((void **)&wrapping->recipients, wrapping->recipient_count,
                                       sizeof(*wrapping->recipients))
                            : NULL;
    if (!whom)
        return kv_fail(err, KV_NO_MEMORY, "too many recipients");
    wrapping->recipient_count++;
    if (command->arg_count != 2)
        whom->status = kv_fail(&whom->why, KV_BAD_DATA, "the age client sent no recipient");
    else
        whom->status = wrapping->plugin->recipient(wrapping->plugin->state, command->args[1],
                                                   &whom->recipient, &whom->why);
    return KV_OK;
}

static enum kv_status add_key(struct wrapping *wrapping, struct kv_age_stanza *command, struct kv_error *err)
{
    struct kv_bytes *key = wrapping->key_count < MANY ? one_more((void **)&wrapping->keys,
                                                                 wrapping->key_count, sizeof(*wrapping->keys))
                                                      : NULL;
    if (!key)
        return kv_fail(err, KV_NO_MEMORY, "too many files");
    wrapping->key_count++;
    if (command->body.len != KV_AGE_FILE_KEY && wrapping->status == KV_OK)
        wrapping->status = kv_fail(&wrapping->why, KV_BAD_DATA, "a file key has %d bytes; this one has %zu",
                                   KV_AGE_FILE_KEY, command->body.len);
    *key = kv_bytes_take(&command->body);
    return KV_OK;
}

/* Commands that this release does not know are passed over, as the protocol asks. */
static enum kv_status listen(struct wrapping *wrapping, struct kv_error *err)
{
    for (;;) {
        KV_CLEANUP(kv_age_stanza_free) struct kv_age_stanza command = { 0 };
        KV_TRY(kv_age_plugin_read(wrapping->plugin, &command, err));
        if (!strcmp(command.args[0], "done"))
            return KV_OK;
        if (!strcmp(command.args[0], "add-recipient"))
            KV_TRY(add_recipient(wrapping, &command, err));
        if (!strcmp(command.args[0], "add-identity"))
            wrapping->identity_count++;
        if (!strcmp(command.args[0], "wrap-file-key"))
            KV_TRY(add_key(wrapping, &command, err));
    }
}

/* --- between the phases: all of it, or none --- */
static enum kv_status keep(struct wrapping *wrapping, size_t file, struct kv_age_stanza *stanza)
{
    struct made *made = one_more((void **)&wrapping->made, wrapping->made_count, sizeof(*wrapping->made));
    if (!made)
        return KV_NO_MEMORY;
    wrapping->made_count++;
    *made = (struct made){ file, *stanza };
    *stanza = (struct kv_age_stanza){ 0 };
    return KV_OK;
}

static enum kv_status wrap_one(struct wrapping *wrapping, size_t file, struct whom *whom)
{
    struct kv_age_stanza *stanzas = NULL;
    size_t count = 0;
    KV_TRY(
        whom->recipient.wrap(whom->recipient.state, wrapping->keys[file].data, &stanzas, &count, &whom->why));
    enum kv_status status = KV_OK;
    for (size_t i = 0; i < count && status == KV_OK; i++)
        status = keep(wrapping, file, &stanzas[i]);
    kv_age_stanzas_free(stanzas, count);
    return status;
}

/* Once a file, however many its recipients are. */
static bool leave_room(struct wrapping *wrapping)
{
    struct whom room = { .recipient = wrapping->plugin->room };
    for (size_t file = 0; file < wrapping->key_count && room.recipient.wrap && !wrapping->status; file++)
        wrapping->status = wrap_one(wrapping, file, &room);
    wrapping->why = room.why;
    return wrapping->status == KV_OK;
}

static bool wrap_all(struct wrapping *wrapping)
{
    bool good = wrapping->status == KV_OK && !wrapping->identity_count;
    for (size_t i = 0; i < wrapping->recipient_count; i++)
        good = good && wrapping->recipients[i].status == KV_OK;
    for (size_t i = 0; i < wrapping->recipient_count && good; i++) {
        struct whom *whom = &wrapping->recipients[i];
        for (size_t file = 0; file < wrapping->key_count && whom->status == KV_OK; file++)
            whom->status = wrap_one(wrapping, file, whom);
        good = whom->status == KV_OK;
    }
    return good && leave_room(wrapping);
}

/* --- phase 2: the plugin speaks --- */
static enum kv_status tell_failures(struct wrapping *wrapping, struct kv_error *err)
{
    struct kv_age_plugin *plugin = wrapping->plugin;
    char index[24];
    if (wrapping->status != KV_OK)
        KV_TRY(kv_age_plugin_tell(plugin, (const char *const[]){ "error", "internal", NULL },
                                  wrapping->why.text, err));
    for (size_t i = 0; i < wrapping->recipient_count; i++) {
        const struct whom *whom = &wrapping->recipients[i];
        snprintf(index, sizeof(index), "%zu", i);
        if (whom->status != KV_OK)
            KV_TRY(kv_age_plugin_tell(plugin, (const char *const[]){ "error", "recipient", index, NULL },
                                      whom->why.text[0] ? whom->why.text : kv_status_text(whom->status),
                                      err));
    }
    for (size_t i = 0; i < wrapping->identity_count; i++) {
        snprintf(index, sizeof(index), "%zu", i);
        KV_TRY(kv_age_plugin_tell(plugin, (const char *const[]){ "error", "identity", index, NULL },
                                  "an identity of kvp11 names no key to encrypt with: use -r with what "
                                  "'kvp11 recipient NAME' prints",
                                  err));
    }
    return KV_OK;
}

static enum kv_status send_stanza(struct kv_age_plugin *plugin, const struct made *made, struct kv_error *err)
{
    KV_CLEANUP(kv_age_stanza_free) struct kv_age_stanza command = { 0 };
    KV_AUTO_FREE const char **args = calloc(made->stanza.arg_count + 2, sizeof(*args));
    char index[24];
    bool ok = false;
    if (!args)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    snprintf(index, sizeof(index), "%zu", made->file);
    args[0] = "recipient-stanza";
    args[1] = index;
    for (size_t i = 0; i < made->stanza.arg_count; i++)
        args[i + 2] = made->stanza.args[i];
    KV_TRY(kv_age_stanza_make(args, made->stanza.arg_count + 2, KV_VIEW(made->stanza.body), &command, err));
    KV_TRY(kv_age_plugin_ask(plugin, &command, &ok, err));
    return ok ? KV_OK : kv_fail(err, KV_PROTOCOL, "the age client did not take a stanza");
}

enum kv_status kv_age_plugin_recipient(struct kv_age_plugin *plugin, struct kv_error *err)
{
    KV_CLEANUP(wrapping_free) struct wrapping wrapping = { .plugin = plugin };
    KV_TRY(listen(&wrapping, err));
    if (wrap_all(&wrapping)) {
        for (size_t i = 0; i < wrapping.made_count; i++)
            KV_TRY(send_stanza(plugin, &wrapping.made[i], err));
    } else {
        KV_TRY(tell_failures(&wrapping, err));
    }
    return kv_age_plugin_done(plugin, err);
}
