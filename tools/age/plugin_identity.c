/* identity-v1: stanzas in, file keys out. */
#include "plugin.h"

#include <string.h>
#include "vault_stanza.h"
#include "vault_text.h"

enum { MANY = 65536 }; /* stanzas of ours, or identities, in one conversation: more are refused */

struct whose {
    char *file;      /* its index, as the client wrote it */
    size_t position; /* among all stanzas of that file */
    struct kv_age_stanza stanza;
};

struct opening {
    struct kv_age_plugin *plugin;
    struct whose *stanzas; /* of ours: others are counted and passed over */
    size_t count;
    char *file; /* the last one told of, and how many of its stanzas came */
    size_t position;
    size_t identity_count;
    struct wrong {
        size_t identity;
        struct kv_error why;
    } * wrong;
    size_t wrong_count;
};

static void opening_free(struct opening *opening)
{
    for (size_t i = 0; i < opening->count; i++) {
        free(opening->stanzas[i].file);
        kv_age_stanza_free(&opening->stanzas[i].stanza);
    }
    free(opening->stanzas);
    free(opening->wrong);
    free(opening->file);
}

/* --- phase 1: the client speaks --- */
static enum kv_status add_identity(struct opening *opening, const struct kv_age_stanza *command,
                                   struct kv_error *err)
{
    struct kv_error why = { 0 };
    enum kv_status status = command->arg_count == 2
                                ? kv_vault_text_check_identity(command->args[1], &why)
                                : kv_fail(&why, KV_BAD_DATA, "the age client sent no identity");
    size_t identity = opening->identity_count++;
    if (status == KV_OK)
        return KV_OK;
    struct wrong *larger = opening->wrong_count < MANY
                               ? reallocarray(opening->wrong, opening->wrong_count + 1, sizeof(*larger))
                               : NULL;
    if (!larger)
        return kv_fail(err, KV_NO_MEMORY, "too many identities");
    opening->wrong = larger;
    opening->wrong[opening->wrong_count++] = (struct wrong){ identity, why };
    return KV_OK;
}

/* Which file, and which of its stanzas: for errors. */
static enum kv_status count_stanza(struct opening *opening, const char *file, struct kv_error *err)
{
    if (opening->file && !strcmp(opening->file, file)) {
        opening->position++;
        return KV_OK;
    }
    char *copy = kv_text_copy(file);
    if (!copy)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    free(opening->file);
    opening->file = copy;
    opening->position = 0;
    return KV_OK;
}

static enum kv_status add_stanza(struct opening *opening, const struct kv_age_stanza *command,
                                 struct kv_error *err)
{
    if (command->arg_count < 3 || strspn(command->args[1], "0123456789") != strlen(command->args[1]))
        return kv_fail(err, KV_BAD_DATA, "the age client sent a stanza of no file");
    KV_TRY(count_stanza(opening, command->args[1], err));
    KV_CLEANUP(kv_age_stanza_free) struct kv_age_stanza stanza = { 0 };
    KV_TRY(kv_age_stanza_make((const char *const *)command->args + 2, command->arg_count - 2,
                              KV_VIEW(command->body), &stanza, err));
    if (!kv_vault_stanza_is(&stanza))
        return KV_OK;
    struct whose *larger =
        opening->count < MANY ? reallocarray(opening->stanzas, opening->count + 1, sizeof(*larger)) : NULL;
    char *file = larger ? kv_text_copy(command->args[1]) : NULL;
    opening->stanzas = larger ? larger : opening->stanzas;
    if (!file)
        return kv_fail(err, KV_NO_MEMORY, "too many stanzas");
    opening->stanzas[opening->count++] = (struct whose){ file, opening->position, stanza };
    stanza = (struct kv_age_stanza){ 0 };
    return KV_OK;
}

static enum kv_status listen(struct opening *opening, struct kv_error *err)
{
    for (;;) {
        KV_CLEANUP(kv_age_stanza_free) struct kv_age_stanza command = { 0 };
        KV_TRY(kv_age_plugin_read(opening->plugin, &command, err));
        if (!strcmp(command.args[0], "done"))
            return KV_OK;
        if (!strcmp(command.args[0], "add-identity"))
            KV_TRY(add_identity(opening, &command, err));
        if (!strcmp(command.args[0], "recipient-stanza"))
            KV_TRY(add_stanza(opening, &command, err));
    }
}

/* --- phase 2: the plugin speaks --- */
static enum kv_status tell_wrong_identities(struct opening *opening, struct kv_error *err)
{
    for (size_t i = 0; i < opening->wrong_count; i++) {
        char index[24];
        snprintf(index, sizeof(index), "%zu", opening->wrong[i].identity);
        KV_TRY(kv_age_plugin_tell(opening->plugin, (const char *const[]){ "error", "identity", index, NULL },
                                  opening->wrong[i].why.text, err));
    }
    return KV_OK;
}

/* A stanza of ours that is not built like one: nothing of that file is opened. */
static enum kv_status tell_broken(struct opening *opening, size_t first, size_t end, bool *ret_broken,
                                  struct kv_error *err)
{
    *ret_broken = false;
    for (size_t i = first; i < end; i++) {
        struct kv_vault_stanza read;
        struct kv_error why = { 0 };
        char position[24];
        if (kv_vault_stanza_read(&opening->stanzas[i].stanza, &read, &why) == KV_OK)
            continue;
        *ret_broken = true;
        snprintf(position, sizeof(position), "%zu", opening->stanzas[i].position);
        KV_TRY(kv_age_plugin_tell(
            opening->plugin,
            (const char *const[]){ "error", "stanza", opening->stanzas[i].file, position, NULL }, why.text,
            err));
    }
    return KV_OK;
}

static enum kv_status send_key(struct opening *opening, const char *file,
                               const unsigned char key[KV_AGE_FILE_KEY], struct kv_error *err)
{
    KV_CLEANUP(kv_age_stanza_free) struct kv_age_stanza command = { 0 };
    const char *const words[] = { "file-key", file };
    KV_TRY(kv_age_stanza_make(words, 2, (struct kv_view){ key, KV_AGE_FILE_KEY }, &command, err));
    return kv_age_plugin_ask(opening->plugin, &command, NULL, err);
}

/* The stanzas of one file, [first, end). */
static enum kv_status open_file(struct opening *opening, size_t first, size_t end, struct kv_error *err)
{
    const struct kv_age_identity *identity = &opening->plugin->identity;
    const char *file = opening->stanzas[first].file;
    unsigned char key[KV_AGE_FILE_KEY] = { 0 };
    struct kv_error why = { 0 };
    bool broken = false, mine = false;
    KV_TRY(tell_broken(opening, first, end, &broken, err));
    if (broken)
        return KV_OK;
    KV_AUTO_FREE struct kv_age_stanza *stanzas = calloc(end - first, sizeof(*stanzas));
    if (!stanzas)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    for (size_t i = first; i < end; i++)
        stanzas[i - first] = opening->stanzas[i].stanza; /* borrowed */
    enum kv_status status = identity->unwrap(identity->state, stanzas, end - first, key, &mine, &why);
    if (status == KV_OK && mine)
        status = send_key(opening, file, key, err);
    else if (status != KV_OK)
        status = kv_age_plugin_tell(opening->plugin, (const char *const[]){ "msg", NULL },
                                    why.text[0] ? why.text : kv_status_text(status), err);
    kv_wipe(key, sizeof(key));
    return status;
}

enum kv_status kv_age_plugin_identity(struct kv_age_plugin *plugin, struct kv_error *err)
{
    KV_CLEANUP(opening_free) struct opening opening = { .plugin = plugin };
    KV_TRY(listen(&opening, err));
    if (opening.wrong_count) {
        KV_TRY(tell_wrong_identities(&opening, err));
        return kv_age_plugin_done(plugin, err);
    }
    for (size_t first = 0, end; first < opening.count && opening.identity_count; first = end) {
        for (end = first + 1; end < opening.count; end++) {
            if (strcmp(opening.stanzas[end].file, opening.stanzas[first].file) != 0)
                break;
        }
        KV_TRY(open_file(&opening, first, end, err));
    }
    return kv_age_plugin_done(plugin, err);
}
