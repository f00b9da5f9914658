#include <string.h>
#include "identity.h"
#include "persist.h"

static const char verbs[] =
    "get,list,create,import,update,delete,recover,purge,backup,restore,rotate,getpolicy,"
    "setpolicy,encrypt,decrypt,sign,verify,wrap,unwrap,rng,release,certget,certlist,certcreate,certdelete,*";
static const char file_name[] = "identities.json";

static const char *const defaults[] = {
    "workload:workload-secret:get,list,encrypt,decrypt,sign,verify,wrap,unwrap,rng,certget",
    "operator:operator-secret:*",
    "restore:restore-secret:get,decrypt,unwrap",
};

void em_identities_init(struct em_identities *identities)
{
    char why[256];
    pthread_mutex_init(&identities->lock, NULL);
    for (size_t i = 0; i < EM_COUNT(defaults); i++)
        em_identities_add_text(identities, defaults[i], why);
}

void em_identity_free(struct em_identity *identity)
{
    free(identity->id);
    free(identity->secret);
    free(identity->perms);
    free(identity->certificate);
    free(identity->subject_name);
    free(identity->authority);
    json_decref(identity->federated);
    json_decref(identity->demand);
    *identity = (struct em_identity){ 0 };
}

void em_identities_free(struct em_identities *identities)
{
    for (size_t i = 0; i < identities->count; i++)
        em_identity_free(&identities->item[i]);
    free(identities->item);
    pthread_mutex_destroy(&identities->lock);
}

static bool perms_check(const char *perms)
{
    AUTO_TEXT copy = em_copy(perms);
    char *rest = copy, *word;
    while ((word = strsep(&rest, ","))) {
        word += *word == '-';
        word[strcspn(word, "@")] = '\0';
        if (*word && !em_listed(verbs, word))
            return false;
    }
    return true;
}

bool em_identities_add_text(struct em_identities *identities, const char *text, char ret_why[256])
{
    AUTO_TEXT copy = em_copy(text);
    char *rest = copy;
    char *id = strsep(&rest, ":"), *secret = strsep(&rest, ":");
    if (!secret || !rest) {
        snprintf(ret_why, 256, "identity '%.100s' is not ID:SECRET:PERMS", id);
        return false;
    }
    return em_identities_add(identities, &(struct em_identity){ .id = id, .secret = secret, .perms = rest },
                             ret_why);
}

static struct em_identity *find(struct em_identities *identities, const char *id)
{
    for (size_t i = 0; i < identities->count; i++) {
        if (em_same(identities->item[i].id, id))
            return &identities->item[i];
    }
    return NULL;
}

static struct em_identity duplicate(const struct em_identity *from)
{
    struct em_identity to = { .id = em_copy(from->id),
                              .secret = em_copy(from->secret),
                              .perms = em_copy(from->perms),
                              .certificate = from->certificate ? em_copy(from->certificate) : NULL,
                              .subject_name = from->subject_name ? em_copy(from->subject_name) : NULL,
                              .authority = from->authority ? em_copy(from->authority) : NULL,
                              .federated = json_deep_copy(from->federated),
                              .demand = json_deep_copy(from->demand),
                              .generation = from->generation };
    em_guid_of(from->id, to.oid);
    return to;
}

bool em_identities_add(struct em_identities *identities, const struct em_identity *identity,
                       char ret_why[256])
{
    if (!*identity->id || !perms_check(identity->perms)) {
        snprintf(ret_why, 256, "identity '%.60s' has no id or an unknown permission in '%.100s'",
                 identity->id, identity->perms);
        return false;
    }
    struct em_identity copy = duplicate(identity);
    pthread_mutex_lock(&identities->lock);
    struct em_identity *old = find(identities, identity->id);
    if (old) {
        copy.generation = old->generation > copy.generation ? old->generation : copy.generation;
        em_identity_free(old);
        *old = copy;
    } else {
        identities->item =
            em_grow(identities->item, identities->count, &identities->room, sizeof(*identities->item));
        identities->item[identities->count++] = copy;
    }
    pthread_mutex_unlock(&identities->lock);
    return true;
}

bool em_identities_revoke(struct em_identities *identities, const char *id)
{
    pthread_mutex_lock(&identities->lock);
    struct em_identity *identity = find(identities, id);
    if (identity)
        identity->generation++;
    pthread_mutex_unlock(&identities->lock);
    return identity != NULL;
}

void em_identities_demand(struct em_identities *identities, const char *id, const json_t *claims)
{
    pthread_mutex_lock(&identities->lock);
    struct em_identity *identity = find(identities, id);
    if (identity) {
        json_decref(identity->demand);
        identity->demand = em_json(json_deep_copy(claims));
        identity->generation++;
    }
    pthread_mutex_unlock(&identities->lock);
}

void em_identities_answered(struct em_identities *identities, const char *id)
{
    pthread_mutex_lock(&identities->lock);
    struct em_identity *identity = find(identities, id);
    if (identity) {
        json_decref(identity->demand);
        identity->demand = NULL;
    }
    pthread_mutex_unlock(&identities->lock);
}

bool em_identities_find(struct em_identities *identities, const char *id, struct em_identity *ret)
{
    pthread_mutex_lock(&identities->lock);
    const struct em_identity *identity = find(identities, id);
    if (identity)
        *ret = duplicate(identity);
    pthread_mutex_unlock(&identities->lock);
    return identity != NULL;
}

bool em_identities_current(struct em_identities *identities, const char *id, long generation)
{
    pthread_mutex_lock(&identities->lock);
    const struct em_identity *identity = find(identities, id);
    bool current = identity && identity->generation == generation;
    pthread_mutex_unlock(&identities->lock);
    return current;
}

/* One word of PERMS against a verb on a key. */
static bool word_matches(const char *word, const char *verb, const char *key)
{
    size_t length = strcspn(word, "@,");
    bool named = word[length] == '@';
    const char *scope = named ? word + length + 1 : "";
    size_t scope_length = strcspn(scope, ",");
    bool verb_fits =
        (length == 1 && *word == '*') || (strlen(verb) == length && strncmp(word, verb, length) == 0);
    AUTO_TEXT scope_text = em_format("%.*s", (int)scope_length, scope);
    return verb_fits && (!named || (key && em_same(scope_text, key)));
}

static bool perms_allow(const char *perms, const char *verb, const char *key)
{
    bool granted = false;
    for (const char *at = perms; *at; at += strcspn(at, ","), at += *at == ',') {
        bool denial = *at == '-';
        if (!word_matches(at + denial, verb, key))
            continue;
        if (denial)
            return false;
        granted = true;
    }
    return granted;
}

bool em_identities_allow(struct em_identities *identities, const char *id, const char *verb, const char *key)
{
    pthread_mutex_lock(&identities->lock);
    const struct em_identity *identity = find(identities, id);
    bool allowed = identity && perms_allow(identity->perms, verb, key);
    pthread_mutex_unlock(&identities->lock);
    return allowed;
}

bool em_identities_save(struct em_identities *identities, const struct em_store *store)
{
    AUTO_JSON list = em_json(json_array());
    pthread_mutex_lock(&identities->lock);
    for (size_t i = 0; i < identities->count; i++) {
        const struct em_identity *item = &identities->item[i];
        json_array_append_new(
            list,
            em_json(json_pack("{s:s, s:s, s:s, s:s?, s:s?, s:s?, s:O?, s:I}", "id", item->id, "secret",
                              item->secret, "perms", item->perms, "certificate", item->certificate,
                              "subject_name", item->subject_name, "authority", item->authority, "federated",
                              item->federated, "generation", (json_int_t)item->generation)));
    }
    pthread_mutex_unlock(&identities->lock);
    AUTO_TEXT text = json_dumps(list, JSON_INDENT(1));
    return text && em_persist_put(store, file_name, text);
}

void em_identity_borrow(struct em_identity *identity, const json_t *from)
{
    const struct {
        const char *name;
        char **to;
    } texts[] = { { "certificate", &identity->certificate },
                  { "subject_name", &identity->subject_name },
                  { "authority", &identity->authority } };
    for (size_t i = 0; i < EM_COUNT(texts); i++)
        *texts[i].to = (char *)(uintptr_t)json_string_value(json_object_get(from, texts[i].name));
    identity->federated = json_object_get(from, "federated");
}

bool em_identities_load(struct em_identities *identities, const struct em_store *store)
{
    AUTO_TEXT text = em_persist_get(store, file_name);
    AUTO_JSON list = text ? json_loads(text, 0, NULL) : NULL;
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item)
    {
        struct em_identity identity = { 0 };
        json_int_t generation = 0;
        char why[256];
        if (json_unpack(item, "{s:s, s:s, s:s, s:I}", "id", &identity.id, "secret", &identity.secret, "perms",
                        &identity.perms, "generation", &generation) != 0)
            return false;
        em_identity_borrow(&identity, item);
        identity.generation = generation;
        if (!em_identities_add(identities, &identity, why))
            return false;
    }
    return !text || list;
}
