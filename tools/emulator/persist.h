/* The state directory: `vaults/<vault>/<key>.json` a key, plus the emulator's own secrets and its clock. A key's file is
 * the same document as the inside of a backup blob. Writing callers hold the store's write lock. */
#ifndef EM_PERSIST_H
#define EM_PERSIST_H

#include <stdbool.h>
#include "store.h"

enum em_durability { EM_DURABLE, EM_LATER }; /* EM_LATER: the caller calls em_persist_sync */

json_t *em_persist_document(const struct em_key *key);
/* NULL when the document is none of ours. */
struct em_key *em_persist_parse(struct em_store *store, const json_t *document);

/* The file follows the key; true also without a state directory. On failure the key in memory is put back to what the
 * file says (and is gone when there is none), so `key` must not be used again. */
bool em_persist_save(struct em_store *store, struct em_vault *vault, struct em_key *key,
                     enum em_durability when);
bool em_persist_sync(struct em_store *store);
/* Drops the key from memory and disk. */
bool em_persist_remove(struct em_store *store, struct em_vault *vault, struct em_key *key);

/* All keys of all vaults and the backup key; without a directory only the latter. False with a line for the user. */
bool em_persist_load(struct em_store *store, const char *directory, char ret_why[256]);
/* A file of the directory by its name; NULL without a directory or file. */
char *em_persist_get(const struct em_store *store, const char *name);
bool em_persist_put(const struct em_store *store, const char *name, const char *text);

#endif
