#include <string.h>
#include "private.h"

/* One that leads back to the vaults would be no other place than theirs. */
static bool is_ours(CK_FUNCTION_LIST *module)
{
    char *path = p11_kit_module_get_filename(module);
    const char *slash = path ? strrchr(path, '/') : NULL, *name = slash ? slash + 1 : path ? path : "";
    bool ours = kv_text_match("libkvp11*", name) || kv_text_match("p11-kit-proxy*", name) ||
                kv_text_match("libp11-kit*", name);
    free(path);
    return ours;
}

static bool is_of_vault(const CK_TOKEN_INFO *info)
{
    static const char padded[] = "kvp11                           ";
    return !memcmp(info->manufacturerID, padded, sizeof info->manufacturerID);
}

/* ---- modules ---- */

/* Once a process. Neither these nor a single one are released: what a module leaves behind (handlers at exit, threads) may still need its code. */
static CK_FUNCTION_LIST **load_all(void)
{
    static CK_FUNCTION_LIST **all;
    if (!all)
        all = p11_kit_modules_load(NULL, 0);
    return all;
}

static enum kv_status load_one(struct kv_token *token, const char *path, struct kv_error *err)
{
    CK_FUNCTION_LIST *module = p11_kit_module_load(path, 0);
    if (!module)
        return kv_fail(err, KV_INPUT, "'%s': module '%s' cannot be loaded: %s", token->shown, path,
                       p11_kit_message());
    token->named[0] = module;
    token->modules = token->named;
    return is_ours(module)
               ? kv_fail(err, KV_ARGUMENTS,
                         "'%s': module '%s' leads back to the vaults, which break-glass shall not need",
                         token->shown, path)
               : KV_OK;
}

static enum kv_status load(struct kv_token *token, struct kv_error *err)
{
    const char *path = p11_kit_uri_get_module_path(token->uri);
    size_t count = 0;
    if (path)
        KV_TRY(load_one(token, path, err));
    else
        token->modules = load_all();
    if (!token->modules)
        return kv_fail(err, KV_INPUT, "'%s': p11-kit loads no modules: %s", token->shown, p11_kit_message());
    while (token->modules[count])
        count++;
    token->running = calloc(count + 1, sizeof *token->running);
    return token->running ? KV_OK : kv_fail(err, KV_NO_MEMORY, "out of memory");
}

void kv_token_leave_modules(struct kv_token *token)
{
    for (size_t i = 0; token->running && token->modules[i]; i++)
        if (token->running[i])
            (void)p11_kit_module_finalize(token->modules[i]);
    free(token->running);
}

/* ---- slots ---- */

struct found {
    size_t count;
    bool vault; /* a slot that fits is a vault's */
};

static void look_at(struct kv_token *token, CK_FUNCTION_LIST *module, CK_SLOT_ID slot, struct found *found)
{
    CK_TOKEN_INFO info;
    CK_SLOT_ID wanted = p11_kit_uri_get_slot_id(token->uri);
    if ((wanted != (CK_SLOT_ID)-1 && wanted != slot) || module->C_GetTokenInfo(slot, &info) != CKR_OK ||
        !p11_kit_uri_match_token_info(token->uri, &info))
        return;
    if (is_of_vault(&info)) {
        found->vault = true;
        return;
    }
    found->count++;
    token->f = module;
    token->slot = slot;
    token->info = info;
}

static void look_through(struct kv_token *token, CK_FUNCTION_LIST *module, struct found *found)
{
    enum { MOST = 256 };
    CK_SLOT_ID slots[MOST];
    CK_ULONG count = MOST;
    CK_INFO info;
    if (module->C_GetInfo(&info) != CKR_OK || !p11_kit_uri_match_module_info(token->uri, &info) ||
        module->C_GetSlotList(CK_TRUE, slots, &count) != CKR_OK)
        return;
    for (CK_ULONG i = 0; i < count; i++)
        look_at(token, module, slots[i], found);
}

/* A module that does not start is as if it had no token. */
enum kv_status kv_token_find(struct kv_token *token, struct kv_error *err)
{
    struct found found = { 0 };
    KV_TRY(load(token, err));
    for (size_t i = 0; token->modules[i]; i++) {
        if (is_ours(token->modules[i]))
            continue;
        token->running[i] = p11_kit_module_initialize(token->modules[i]) == CKR_OK;
        if (token->running[i])
            look_through(token, token->modules[i], &found);
    }
    if (found.count == 1)
        return KV_OK;
    if (found.count)
        return kv_fail(err, KV_ARGUMENTS, "'%s' fits %zu tokens: add 'serial=' to it", token->shown,
                       found.count);
    return found.vault ? kv_fail(err, KV_ARGUMENTS,
                                 "'%s' is a vault of kvp11: break-glass shall open when no vault can, so "
                                 "name another token",
                                 token->shown)
                       : kv_fail(err, KV_INPUT,
                                 "'%s': no such token is here: put it in, or see what there is with 'p11-kit "
                                 "list-modules'; '?module-path=' names a module that p11-kit does not know",
                                 token->shown);
}
