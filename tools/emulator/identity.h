/* Who may ask for tokens and what they may do with which key. Guarded by its own lock; what the finds return is a copy.
 * PERMS: comma list of verbs, `*`, `verb@KEY`, `-verb`, `-verb@KEY`; a denial wins. */
#ifndef EM_IDENTITY_H
#define EM_IDENTITY_H

#include <pthread.h>
#include <stdbool.h>
#include "store.h"
#include "util.h"

struct em_identity {
    char *id, *secret, *perms;
    char *certificate; /* PEM or NULL */
    char *subject_name,
        *authority; /* whatever certificate has this name and comes from this authority (PEM) will do, too; NULL: none */
    json_t *
        federated; /* issuer, subject, audience, key (PEM) of another issuer's tokens that stand for it; NULL: none */
    json_t *demand; /* claims that its next token request must carry; NULL: none */
    char oid[EM_GUID_SIZE];
    long generation; /* tokens of an earlier one are refused */
};

struct em_identities {
    pthread_mutex_t lock;
    struct em_identity *item;
    size_t count, room;
};

void em_identities_init(struct em_identities *identities);
void em_identities_free(struct em_identities *identities);
/* Text "ID:SECRET:PERMS"; false with a line for the user. */
bool em_identities_add_text(struct em_identities *identities, const char *text, char ret_why[256]);
/* Adds or replaces; certificate may be NULL. The generation goes on. */
bool em_identities_add(struct em_identities *identities, const struct em_identity *identity,
                       char ret_why[256]);
bool em_identities_revoke(struct em_identities *identities, const char *id);

/* All its tokens are refused from now on, and a new one counts only when its request carries these claims. Once answered, a demand is gone. */
void em_identities_demand(struct em_identities *identities, const char *id, const json_t *claims);
void em_identities_answered(struct em_identities *identities, const char *id);

/* What an application may prove itself by, as the control API and the state directory write it. Borrowed. */
void em_identity_borrow(struct em_identity *identity, const json_t *from);

/* A copy that the caller frees with em_identity_free; false: unknown. */
bool em_identities_find(struct em_identities *identities, const char *id, struct em_identity *ret);
void em_identity_free(struct em_identity *identity);
/* Is the token's generation the current one? */
bool em_identities_current(struct em_identities *identities, const char *id, long generation);
/* key NULL or "": what concerns no single key. False also for an unknown identity. */
bool em_identities_allow(struct em_identities *identities, const char *id, const char *verb, const char *key);

/* Those that the control API added, and revocations, survive a restart. */
bool em_identities_save(struct em_identities *identities, const struct em_store *store);
bool em_identities_load(struct em_identities *identities, const struct em_store *store);

#endif
