/* Keys as the service shows them (contract §5): bundles and list items. The store's lock is held; what is returned is the
 * caller's and shares nothing that changes. Also what the bodies of create, import and update may say. */
#ifndef EM_DOCUMENT_H
#define EM_DOCUMENT_H

#include "call.h"

json_t *em_document_bundle(const struct em_call *call, const struct em_key *key,
                           const struct em_version *version);
json_t *em_document_item(const struct em_call *call, const struct em_key *key,
                         const struct em_version *version, bool versioned);
/* The certificate of a version (contract §12.1). */
json_t *em_document_certificate(const struct em_call *call, const struct em_key *key,
                                const struct em_version *version);
json_t *em_document_certificate_item(const struct em_call *call, const struct em_key *key,
                                     const struct em_version *version, bool versioned);
json_t *em_document_certificate_policy(const struct em_call *call, const struct em_key *key);
json_t *em_document_certificate_pending(const struct em_call *call, const struct em_key *key);
/* The key, or its certificate, as the call wants it. */
json_t *em_document_shown(const struct em_call *call, const struct em_key *key,
                          const struct em_version *version);
/* recoveryId, deletedDate, scheduledPurgeDate, then `rest` (taken). */
json_t *em_document_deleted(const struct em_call *call, const struct em_key *key, json_t *rest);

/* attributes, key_ops, tags and release_policy of a body, checked. Pointers borrow from the body; NULL: not given. */
struct em_wishes {
    json_t *enabled, *exportable, *nbf, *exp, *key_ops, *tags, *policy;
};
/* key_ops stand in `holder`: the body, or the JWK of an import. False after a 400. */
bool em_document_wishes(struct em_call *call, const json_t *holder, struct em_wishes *ret);
/* What is given changes, the rest stays. */
void em_document_grant(const struct em_wishes *wishes, struct em_version *version);

#endif
