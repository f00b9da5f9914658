#include "oauth.h"

#include <string.h>

enum { NAME_ROOM = 64, LINKS_MOST = 32 };

/* ---- which kinds ---- */

/* "ManagedIdentityCredential" for managed-identity: the name among Azure's own libraries, for AZURE_TOKEN_CREDENTIALS. */
static void azure_name(const char *name, char ret[NAME_ROOM])
{
    static const char tail[] = "Credential";
    bool upper = true;
    size_t len = 0;
    for (; *name && len < NAME_ROOM - sizeof tail; name++) {
        if (*name != '-')
            ret[len++] = upper && *name >= 'a' && *name <= 'z' ? (char)(*name - 'a' + 'A') : *name;
        upper = *name == '-';
    }
    memcpy(ret + len, tail, sizeof tail);
}

static bool named_so(const struct kv_credential_kind *kind, const char *word)
{
    char name[NAME_ROOM];
    azure_name(kind->name, name);
    return kv_text_equal_case(name, word);
}

/* Does `default` try it? AZURE_TOKEN_CREDENTIALS narrows it. */
static bool offered(const struct kv_vault_config *config, const struct kv_credential_kind *kind)
{
    const char *word = config->token_credentials;
    if (!word)
        return true;
    if (kv_text_equal_case(word, "prod"))
        return !kind->developer;
    return kv_text_equal_case(word, "dev") ? kind->developer : named_so(kind, word);
}

static const struct kv_credential_kind *offered_at(const struct kv_vault_config *config, size_t *i)
{
    const struct kv_credential_kind *kind;
    for (size_t k = 0; (kind = kv_credential_at(k)); k++) {
        if (offered(config, kind) && !(*i)--)
            return kind;
    }
    return NULL;
}

static const struct kv_credential_kind *word_kind(const char *word, size_t len)
{
    char name[NAME_ROOM] = "";
    if (len >= sizeof name)
        return NULL;
    memcpy(name, word, len);
    return kv_credential_find(name);
}

const struct kv_credential_kind *kv_credential_chain_at(const struct kv_vault_config *config, size_t i)
{
    for (const char *word = config->credential; *word; word += strspn(word, " ")) {
        size_t len = strcspn(word, " ");
        const struct kv_credential_kind *kind = word_kind(word, len);
        if (kind == &kv_credential_default)
            kind = offered_at(config, &i);
        else if (!kind || i--)
            kind = NULL;
        if (kind)
            return kind;
        word += len;
    }
    return NULL;
}

const struct kv_credential_kind *kv_credential_of(const struct kv_vault_config *config)
{
    for (const char *word = config->credential; *word; word += strspn(word, " ")) {
        size_t len = strcspn(word, " ");
        if (!word_kind(word, len))
            return NULL;
        word += len;
    }
    return strchr(config->credential, ' ') ? &kv_credential_default : kv_credential_find(config->credential);
}

/* ---- trying them: what is absent is passed over; what is there and refuses ends the search, for otherwise another identity than the
 * intended one would be used without a word. ---- */

static enum kv_status fail_nothing_offered(const struct kv_vault_config *config, struct kv_error *err)
{
    KV_AUTO_BUFFER struct kv_buffer words = { 0 };
    const struct kv_credential_kind *kind;
    enum kv_status status = KV_OK;
    for (size_t i = 0; status == KV_OK && (kind = kv_credential_at(i)); i++) {
        char name[NAME_ROOM];
        azure_name(kind->name, name);
        status = kv_buffer_format(&words, " %s", name);
    }
    if (status != KV_OK)
        return kv_fail(err, status, "no memory to look for a credential");
    return kv_fail(
        err, KV_CREDENTIAL,
        "`token_credentials` (AZURE_TOKEN_CREDENTIALS) is '%s', which is none of the words prod dev%s: "
        "write one of them, or remove it",
        config->token_credentials, (const char *)words.bytes.data);
}

static enum kv_status try_link(const struct kv_credential_request *request,
                               const struct kv_credential_kind *kind, struct kv_access_token *ret,
                               struct kv_error *err)
{
    const char *missing = kind->unavailable(request->config);
    if (!missing)
        return kind->acquire(request, ret, err);
    *request->absent = true;
    return kv_fail(err, KV_CREDENTIAL, "%s", missing);
}

static enum kv_status fail_all(const struct kv_vault_config *config, const struct kv_buffer *tried,
                               struct kv_error *err)
{
    if (!tried->bytes.len)
        return fail_nothing_offered(config, err);
    return kv_fail(err, KV_CREDENTIAL, "no credential for vault '%s': %s; see `credential`", config->name,
                   (const char *)tried->bytes.data);
}

static enum kv_status search(const struct kv_credential_request *request, struct kv_access_token *ret,
                             unsigned *ret_chosen, struct kv_error *err)
{
    KV_AUTO_BUFFER struct kv_buffer tried = { 0 };
    const struct kv_credential_kind *kind;
    bool absent;
    struct kv_credential_request one = *request;
    one.absent = &absent;
    for (unsigned i = 0; (kind = kv_credential_chain_at(request->config, i)); i++) {
        struct kv_error why = { 0 };
        absent = false;
        enum kv_status status = try_link(&one, kind, ret, &why);
        if (status == KV_OK) {
            *ret_chosen = i + 1;
            ret->kind = kind->name;
        }
        if (status != KV_OK && !absent && err)
            *err = why;
        if (status == KV_OK || !absent)
            return status;
        if (kv_buffer_format(&tried, "%s%s: %s", i ? "; " : "", kind->name, why.text) != KV_OK)
            return kv_fail(err, KV_NO_MEMORY, "no memory to look for a credential");
    }
    return fail_all(request->config, &tried, err);
}

static enum kv_status acquire(const struct kv_credential_request *request, struct kv_access_token *ret,
                              struct kv_error *err)
{
    unsigned chosen = request->memory ? request->memory->chosen : 0;
    if (chosen) { /* from now on it counts as chosen by name */
        struct kv_credential_request again = *request;
        again.absent = NULL;
        const struct kv_credential_kind *kind = kv_credential_chain_at(request->config, chosen - 1);
        KV_TRY(kind->acquire(&again, ret, err));
        ret->kind = kind->name;
        return KV_OK;
    }
    KV_TRY(search(request, ret, &chosen, err));
    if (request->memory)
        request->memory->chosen = chosen;
    return KV_OK;
}

/* ---- who has to be there ---- */

bool kv_credential_chain_person(const struct kv_credential_kind *const *chain,
                                const struct kv_vault_config *config)
{
    size_t i = 0;
    while (chain[i] && chain[i]->unavailable(config))
        i++;
    return chain[i] && chain[i]->needs_person;
}

bool kv_credential_needs_person(const struct kv_vault_config *config)
{
    const struct kv_credential_kind *chain[LINKS_MOST + 1] = { NULL };
    for (size_t i = 0; i < LINKS_MOST; i++)
        chain[i] = kv_credential_chain_at(config, i);
    return chain[0] && !chain[1] ? chain[0]->needs_person : kv_credential_chain_person(chain, config);
}

enum kv_status kv_credential_ends(const struct kv_vault_config *config, struct kv_credential_end *ret,
                                  struct kv_error *err)
{
    const struct kv_credential_kind *kind = kv_credential_chain_at(config, 0);
    for (size_t i = 1; kind && kind->unavailable(config); i++)
        kind = kv_credential_chain_at(config, i);
    int64_t at = 0;
    if (kind && kind->ends)
        KV_TRY(kind->ends(config, &at, err));
    *ret = (struct kv_credential_end){ kind ? kind->name : NULL, at };
    return KV_OK;
}

static const char *unavailable(const struct kv_vault_config *config)
{
    return NULL;
}

const struct kv_credential_kind kv_credential_default = { "default", unavailable, acquire, false };
