"""The planted bugs: what is wrong, where, the text that is there, the text that takes its place, and who is likely to notice.

The text must stand in its file exactly once, white space included, else the row is stale and the run fails. `first` only saves time: the programs
of the p11 suite whose names begin so run before the others.
"""

from typing import NamedTuple


class Mutation(NamedTuple):
    name: str
    path: str
    old: str
    new: str
    first: str = "matrix"


OPERATION, CIPHER, PARAM = "module/p11/operation.c", "module/mech/cipher.c", "module/mech/param.c"
KEY_OPS, DECRYPT, KEY = "module/keys/key_ops.c", "module/keys/key_ops_decrypt.c", "module/keys/key.c"
ATTRS, GET, VAULT_OBJECT = "module/p11/attrs.c", "module/p11/attr_get.c", "module/p11/object_vault.c"

ALL = [
    # --- signatures ---
    Mutation("a bit of a signature is flipped", KEY_OPS,
             "KV_TRY(kv_key_ops_remote(use, &op, &signature, err));",
             "KV_TRY(kv_key_ops_remote(use, &op, &signature, err));\n    signature.data[signature.len / 3] ^= 4;"),
    Mutation("an update is dropped", OPERATION,
             "    if (!rv) {\n        operation->parted = true;\n",
             "    if (!rv && operation->parted)\n        return CKR_OK;\n    if (!rv) {\n        operation->parted = true;\n"),
    Mutation("an ECDSA signature is DER", KEY_OPS,
             "    *ret = kv_bytes_take(&signature);",
             "    if (version->kind == KV_EC) {\n"
             "        extern enum kv_status kv_ecdsa_to_der(struct kv_view raw, struct kv_bytes *ret);\n"
             "        return kv_ecdsa_to_der(KV_VIEW(signature), ret);\n"
             "    }\n"
             "    *ret = kv_bytes_take(&signature);"),
    Mutation("every signature verifies", "module/mech/public_ops.c",
             "return good == 1 ? KV_OK : KV_BAD_SIGNATURE;",
             "return good >= 0 ? KV_OK : KV_BAD_SIGNATURE;"),
    Mutation("a signature of another length is looked at", "module/mech/public_ops.c",
             "if (signature.len != kv_public_signature_size(key))",
             "if (signature.len > kv_public_signature_size(key))"),
    Mutation("a short digest for ECDSA is padded on the right", "module/mech/curve.c",
             "memcpy(fitted.data + fitted.len - used, digest.data, used);",
             "memcpy(fitted.data, digest.data, used);"),
    Mutation("a DigestInfo may be followed by anything", "module/mech/digestinfo.c",
             "if (data.len || info.len ||", "if (info.len ||", "operations"),
    Mutation("the length of the salt is not looked at", PARAM,
             "params.mgf != hashes[hash].mgf || params.sLen != hashes[hash].len)",
             "params.mgf != hashes[hash].mgf)", "wycheproof_verify"),
    # --- attributes and objects ---
    Mutation("CKA_EC_POINT has no OCTET STRING", GET,
             "kv_der_wrap(0x04, kv_public_point(key), &der)", "kv_bytes_copy(kv_public_point(key), &der)", "objects"),
    Mutation("the template of a search is ignored", "module/p11/find.c",
             "    if (!same)\n        return KV_OK;", "    if (!same && !template.items)\n        return KV_OK;", "versions"),
    Mutation("an unavailable attribute has the length 0", ATTRS,
             "item->ulValueLen = CK_UNAVAILABLE_INFORMATION;", "item->ulValueLen = 0;", "known_bugs"),
    Mutation("integers have a leading zero byte", GET,
             "return key && borrowed(ret, kv_public_modulus(key));",
             "struct kv_view n = key ? kv_public_modulus(key) : (struct kv_view){ 0 };\n"
             "    memcpy(ret->store.bytes + 1, n.data, n.len < 512 ? n.len : 0);\n"
             "    ret->store.bytes[0] = 0;\n"
             "    return key && borrowed(ret, (struct kv_view){ ret->store.bytes, n.len + 1 });", "known_bugs"),
    Mutation("a vault key is not sensitive", VAULT_OBJECT,
             "{ CKO_PRIVATE_KEY, KV_IS_TOKEN | KV_IS_SENSITIVE |", "{ CKO_PRIVATE_KEY, KV_IS_TOKEN |", "known_bugs"),
    Mutation("a missing attribute hides those after it", ATTRS,
             "        CK_RV rv = read_one(object, &items[i]);\n        first = first ? first : rv;",
             "        first = first ? first : read_one(object, &items[i]);", "objects"),
    Mutation("a session's object is seen in another slot", "module/p11/object.c",
             "return object && object->slot == call->session->slot ? kv_object_ref(object) : NULL;",
             "return object ? kv_object_ref(object) : NULL;", "objects"),
    Mutation("handles are used again", "module/p11/object_session.c",
             "    if (object)\n        kv_handles_remove(&library->objects, handle);\n    kv_library_unlock(library);",
             "    if (object) {\n        kv_handles_remove(&library->objects, handle);\n        library->last_handle -= library->last_handle == handle;\n"
             "    }\n    kv_library_unlock(library);", "objects"),
    Mutation("a session's objects outlive it", "module/p11/session.c",
             "kv_object_drop(library, (CK_OBJECT_HANDLE)(uintptr_t)object);", "(void)object;", "secrets"),
    Mutation("every version of a key has the bare label", KEY,
             'version->current ? "%s" : "%s@%s",', 'version->current ? "%s" : "%s%.0s",', "versions"),
    # --- buffers ---
    Mutation("a short buffer is OK", "module/p11/out.c",
             "return *ret_fill ? CKR_OK : CKR_BUFFER_TOO_SMALL;", "return CKR_OK;", "known_bugs"),
    Mutation("a short buffer ends the operation", OPERATION,
             "bool goes_on = rv == CKR_BUFFER_TOO_SMALL || (rv == CKR_OK &&", "bool goes_on = (rv == CKR_OK &&", "known_bugs"),
    Mutation("a list of slots is cut to what fits", "module/p11/slot.c",
             "call->library->slot_count, &fill);",
             "list && count && *count < call->library->slot_count ? *count : call->library->slot_count, &fill);", "known_bugs"),
    Mutation("a list of mechanisms is cut to what fits", "module/p11/slot.c",
             "    if (fill)\n        kv_mech_types(&slot->offer, list, *count);\n    return rv;",
             "    if (fill)\n        kv_mech_types(&slot->offer, list, *count);\n    return rv == CKR_BUFFER_TOO_SMALL ? CKR_OK : rv;",
             "known_bugs"),
    Mutation("a size query costs a request", OPERATION,
             "if (!out.data || (out.len && *out.len < size &&", "if ((!out.data && !out.len) || (out.len && out.data && *out.len < size &&"),
    Mutation("a kept result is given for other data", OPERATION,
             "if (in.step != operation->kept_step || !kv_view_equal_ct(view_of(in), KV_VIEW(operation->kept_input)))",
             "if (in.step != operation->kept_step)"),
    # --- operations ---
    Mutation("an error leaves the operation under way", OPERATION,
             "bool goes_on = rv == CKR_BUFFER_TOO_SMALL ||", "bool goes_on = rv != CKR_OK ||", "operations"),
    Mutation("no mechanism does not cancel", OPERATION,
             "    if (!mechanism) {\n        kv_operation_reset(operation);", "    if (!mechanism) {", "operations"),
    Mutation("parts and one shot may be mixed", OPERATION,
             "return operation->parted ? CKR_OPERATION_ACTIVE : CKR_OK;", "return CKR_OK;", "operations"),
    Mutation("what key_ops leave out is done all the same", "module/p11/pick.c",
             "if (!(object->flags & roles[i].flag))", "if (!(object->flags | roles[i].flag))", "versions"),
    # --- versions ---
    Mutation("an expired version signs", KEY,
             "if (version->exp && now >= version->exp) {", "if (version->exp && now >= version->exp && version->exp < 0) {", "versions"),
    Mutation("a disabled version signs", KEY,
             "    if (!version->enabled) {", "    if (!version->enabled && operation & KV_OP_VERIFY) {", "versions"),
    Mutation("the version that a decryption names is not the one that is asked", DECRYPT,
             "                              .version = version->version,\n                              .alg = use.mech->row->alg,",
             "                              .version = opening->siblings.count ? opening->siblings.items[0]->version\n"
             "                                         : opening->use->version->version,\n"
             "                              .alg = use.mech->row->alg,", "secrets"),
    Mutation("a reply may name another key", "module/vault/ops.c",
             "        status = kv_kid_check(kid, request->name, request->version, err);", "        kid[0] = 0;", "operations"),
    Mutation("versions are tried where a wrong key can seem to open anything", DECRYPT,
             "return !kv_mech_proves(opening->use->mech->row);", "return !opening->use->mech->row;", "hsm"),
    # --- ciphers ---
    Mutation("a GCM tag is not checked", CIPHER,
             "        return cipher->encrypt ? KV_INTERNAL : KV_BAD_CIPHERTEXT;\n    enum kv_status status = kv_buffer_add(",
             "        return cipher->encrypt ? KV_INTERNAL : is_gcm(cipher) ? KV_OK : KV_BAD_CIPHERTEXT;\n"
             "    enum kv_status status = kv_buffer_add(", "wycheproof_aes"),
    Mutation("a padding is not checked", CIPHER,
             "EVP_CIPHER_CTX_set_padding(context, cipher->mode->pads) != 1)",
             "EVP_CIPHER_CTX_set_padding(context, cipher->mode->pads && cipher->encrypt) != 1)", "wycheproof_aes"),
    Mutation("GCM leaves the associated data out", CIPHER,
             "for (size_t at = 0; at < use->aad.len;) {", "for (size_t at = 1; at < use->aad.len;) {", "wycheproof_aes"),
    Mutation("a GCM plaintext leaves before its tag is seen", CIPHER,
             "{ CKM_AES_GCM, false, true, false, 1, 0, 1, 0 },", "{ CKM_AES_GCM, false, false, false, 1, 0, 1, 0 },", "wycheproof_aes"),
    Mutation("an update may be written over its own input", CIPHER,
             "return apart || (from == to && !blocks);", "return apart || !blocks || from == to;", "operations"),
    Mutation("8 bytes are wrapped", CIPHER,
             "{ CKM_AES_KEY_WRAP, true, true, false, SEMIBLOCK, 2 * SEMIBLOCK, SEMIBLOCK, 3 * SEMIBLOCK },",
             "{ CKM_AES_KEY_WRAP, true, true, false, SEMIBLOCK, SEMIBLOCK, SEMIBLOCK, 2 * SEMIBLOCK },", "wycheproof_aes"),
    Mutation("a counter runs over", CIPHER,
             "return left >= UINT64_MAX / BLOCK ? UINT64_MAX : (left + 1) * BLOCK;", "return UINT64_MAX;", "secrets"),
    Mutation("OAEP takes SHA-1 where SHA-256 is asked", "module/mech/public_ops.c",
             "EVP_PKEY_CTX_set_rsa_oaep_md(context, md) == 1 &&",
             'EVP_PKEY_CTX_set_rsa_oaep_md(context, kv_fetch_md("SHA1")) == 1 &&'),
    Mutation("an OAEP label is ignored", PARAM,
             "if ((params.source && params.source != CKZ_DATA_SPECIFIED) || params.ulSourceDataLen)",
             "if (params.source && params.source != CKZ_DATA_SPECIFIED)", "wycheproof_rsa"),
    # --- messages ---
    Mutation("the vector that the service made is not returned", "module/p11/message.c",
             "    memcpy(param->iv, sealed.iv.data, KV_SEALED_IV);\n", "", "messages_hsm"),
    Mutation("a message's associated data are left out", "module/p11/message.c",
             "KV_TRY(kv_bytes_copy(aad, &message->pick.mech.aad));",
             "KV_TRY(kv_bytes_copy((struct kv_view){ aad.data, 0 }, &message->pick.mech.aad));", "messages"),
    Mutation("a counted vector comes twice", "module/p11/message.c",
             "    message->counted += param->generator == CKG_GENERATE_COUNTER;\n", "", "messages"),
    Mutation("the tag of a message is not given", "module/p11/message.c",
             "    memcpy(param->tag, ret->bytes.data + ret->bytes.len, param->tag_len);\n", "", "messages"),
    # --- secret keys ---
    Mutation("CKA_EXTRACTABLE is ignored by a wrap", "module/p11/wrap.c",
             "if (!(key->flags & KV_IS_EXTRACTABLE))", "if (!(key->flags | KV_IS_EXTRACTABLE))", "secrets"),
    Mutation("CKA_WRAP_TEMPLATE is ignored", "module/p11/wrap.c",
             "if (status || fits)", "if (status || fits || key)", "wrap"),
    Mutation("HKDF leaves the info out", "module/mech/kdf.c",
             "if (hkdf->expand && hkdf->info.len)", "if (hkdf->extract && !hkdf->expand && hkdf->info.len)", "derive"),
    Mutation("a derived key forgets that its base was never extractable", "module/p11/derive.c",
             "if (base->flags & KV_IS_NEVER_EXTRACTABLE && ", "if (", "derive"),
    Mutation("a sensitive key's value is read", ATTRS,
             "return rule->hidden && (object->flags & KV_IS_SENSITIVE || !(object->flags & KV_IS_EXTRACTABLE));",
             "return rule->hidden && object->version;", "secrets"),
    Mutation("CKA_SENSITIVE can be lowered", ATTRS,
             "if (later && ((rule->set & KV_SET_RAISE && was && !truth) ||",
             "if (later && ((rule->set & KV_SET_RAISE && !was && !truth) ||", "secrets"),
    Mutation("an HMAC is compared by its first byte", OPERATION,
             "return kv_view_equal_ct(code, given) ? KV_OK : KV_BAD_SIGNATURE;",
             "return *code.data == *given.data ? KV_OK : KV_BAD_SIGNATURE;", "codes"),
    Mutation("an HMAC of a general length is as long as its hash", "module/p11/engine.c",
             "if (wanted && wanted < ret->len) {", "if (wanted && wanted > ret->len) {", "codes"),
    # --- key management ---
    Mutation("manage = no lets everything through", "module/p11/manage.c",
             "    if (!config->manage)\n", "    if (!config)\n", "manage"),
    Mutation("a read-only session changes keys", "module/p11/manage.c",
             "if (!(call->session->flags & CKF_RW_SESSION))", "if (!(call->session->flags | CKF_RW_SESSION))", "manage"),
    # --- certificates ---
    Mutation("a certificate has another CKA_ID than its key", GET,
             "return borrowed(ret, (struct kv_view){ object->certificate->id, KV_ID_SIZE });",
             "return borrowed(ret, (struct kv_view){ object->certificate->id, KV_ID_SIZE - 1 });", "certificate"),
    # --- the process ---
    Mutation("a child uses its parent's library", "module/p11/library.c",
             "struct kv_library *here = library && library->pid == getpid() ? library : NULL;",
             "struct kv_library *here = library;", "process"),
    Mutation("errno is not the host's", "module/p11/call.c",
             "    errno = call->host_errno;", "    errno = EPERM;", "process"),
]
