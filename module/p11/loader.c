/* What applications load: hands out the function lists of the implementation beside it. Some hosts load modules with RTLD_DEEPBIND, and then
 * memory that the host's allocator gave is freed with libc's; everything that allocates is therefore one dlopen away, where that flag does not
 * reach. So nothing here allocates. No thread and no state of its own. */
#include "interface.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Something that is surely ours: a host may have a C_GetFunctionList of its own, and an address of that name would be the host's. */
static const char here;

static void *implementation(const char *symbol)
{
    Dl_info self;
    char path[PATH_MAX + sizeof KV_IMPLEMENTATION];
    /* By its absolute path, links followed: the folder is that of the file itself, wherever the host found it. */
    if (!dladdr(&here, &self) || !self.dli_fname || !realpath(self.dli_fname, path))
        return NULL;
    memcpy(strrchr(path, '/') + 1, KV_IMPLEMENTATION, sizeof KV_IMPLEMENTATION);
    /* Never closed: hosts unload the loader while their exit still calls into the implementation. */
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    return library ? dlsym(library, symbol) : NULL;
}

KV_EXPORT CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list)
{
    CK_RV (*there)(CK_FUNCTION_LIST **) = implementation("C_GetFunctionList");
    return there ? there(list) : CKR_GENERAL_ERROR;
}

KV_EXPORT CK_RV C_GetInterfaceList(CK_INTERFACE *list, CK_ULONG *count)
{
    CK_RV (*there)(CK_INTERFACE *, CK_ULONG *) = implementation("C_GetInterfaceList");
    return there ? there(list, count) : CKR_GENERAL_ERROR;
}

KV_EXPORT CK_RV C_GetInterface(CK_UTF8CHAR *name, CK_VERSION *version, CK_INTERFACE **interface,
                               CK_FLAGS flags)
{
    CK_RV (*there)(CK_UTF8CHAR *, CK_VERSION *, CK_INTERFACE **, CK_FLAGS) = implementation("C_GetInterface");
    return there ? there(name, version, interface, flags) : CKR_GENERAL_ERROR;
}
