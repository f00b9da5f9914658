/* Keys in the vault made, brought in, changed and disabled by an application, with `manage = yes`: what standard templates say becomes requests of the
 * keyring. A key's name is its CKA_LABEL; CKA_ID and CKA_PRIVATE are the module's own, so what templates say of them is passed over. Every function here
 * needs a session that is read/write. PKCS#11 §5.7, §5.14; contract §5, §6. */
#ifndef KV_P11_MANAGE_H
#define KV_P11_MANAGE_H

#include "pair.h"

/* Does the template ask for an object on the token? */
bool kv_manage_wanted(struct kv_template template);

/* C_GenerateKeyPair, C_GenerateKey, C_CreateObject with CKA_TOKEN true. The handles are those of the new version's objects. */
CK_RV kv_manage_generate_pair(struct kv_call *call, const struct kv_pair_wish *pair,
                              CK_OBJECT_HANDLE *ret_public, CK_OBJECT_HANDLE *ret_private);
CK_RV kv_manage_generate(struct kv_call *call, const CK_MECHANISM *mechanism, struct kv_template template,
                         CK_OBJECT_HANDLE *ret);
CK_RV kv_manage_import(struct kv_call *call, struct kv_template template, CK_OBJECT_HANDLE *ret);

/* C_DestroyObject on an object of a vault's key: disables its version, never the whole key, and only when nothing is known to need it. */
CK_RV kv_manage_destroy(struct kv_call *call, const struct kv_object *object);
/* C_SetAttributeValue on an object of a vault's key: usage becomes key_ops, dates become nbf and exp. */
CK_RV kv_manage_modify(struct kv_call *call, const struct kv_object *object, struct kv_template template);

#endif
