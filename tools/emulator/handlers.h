/* The handlers of the route table, a file an area. Each has a checked caller, a name and version from the path, and a
 * body that is an object where the route wants one; each answers through em_call_*. The result only tells whether
 * it went well. Contract §6. */
#ifndef EM_HANDLERS_H
#define EM_HANDLERS_H

#include "call.h"

/* keys.c */
bool em_keys_create(struct em_call *call);
bool em_keys_import(struct em_call *call);
bool em_keys_get(struct em_call *call);
bool em_keys_update(struct em_call *call);
bool em_keys_rotate(struct em_call *call);
/* For certificates.c. May a version be made under the call's name? The store is locked. False after a refusal. */
bool em_keys_name_free(struct em_call *call);
/* Material by members kty, key_size and crv. False after a refusal. */
bool em_keys_generate(struct em_call *call, json_t *properties, char ret_kty[8], struct em_material **ret);
/* list.c */
bool em_list_keys(struct em_call *call);
bool em_list_versions(struct em_call *call);
bool em_list_deleted(struct em_call *call);
/* deleted.c */
bool em_deleted_delete(struct em_call *call);
bool em_deleted_get(struct em_call *call);
bool em_deleted_recover(struct em_call *call);
bool em_deleted_purge(struct em_call *call);
/* policy.c */
bool em_policy_get(struct em_call *call);
bool em_policy_put(struct em_call *call);
/* backup.c */
bool em_backup_make(struct em_call *call);
bool em_backup_restore(struct em_call *call);
bool em_backup_copy(struct em_call *call); /* of the control API */
/* certificates.c */
bool em_certificates_create(struct em_call *call);
bool em_certificates_get(struct em_call *call);
bool em_certificates_policy(struct em_call *call);
bool em_certificates_pending(struct em_call *call);
bool em_list_certificates(struct em_call *call); /* these two in list.c */
bool em_list_certificate_versions(struct em_call *call);
bool em_secrets_get(struct em_call *call); /* refused whoever asks */
/* operate.c */
bool em_operate(struct em_call *call);
bool em_operate_random(struct em_call *call);

#endif
