/* Attribute templates through the module's own functions. The vault has one RSA key, as the wrappers below tell; nothing is ever sent. A line is an
 * attribute, its type in hex and its value, or a call with the attributes gathered so far:
 *
 *     161 #32           a CK_ULONG           3 "text          text         102 0a0b0c    bytes
 *     164 -             a NULL pointer       164 +9           nine bytes   40000211 *2   an array of the two before it
 *     !create !generate !pair !copy !set !get !find !clear */
#include "fuzz.h"
#include "mech/pkcs11.h"
#include "vault/vault.h"

#include <fcntl.h>
#include <unistd.h>

/* ---- a vault of one key ---- */

enum kv_status __wrap_kv_vault_get_key(struct kv_vault *vault, const char *name, const char *version,
                                       const struct kv_task *task, struct kv_vault_key *ret,
                                       struct kv_error *err);
enum kv_status __wrap_kv_vault_get_key(struct kv_vault *vault, const char *name, const char *version,
                                       const struct kv_task *task, struct kv_vault_key *ret,
                                       struct kv_error *err)
{
    struct kv_vault_key key = { .has_public = true, .kind = KV_RSA, .bits = 2048, .enabled = true };
    unsigned char modulus[256], exponent[] = { 1, 0, 1 };
    (void)vault;
    (void)task;
    if (!kv_text_equal_case(name, FUZZ_KEY) || (version && !kv_text_equal_case(version, FUZZ_VERSION)))
        return kv_fail(err, KV_NOT_FOUND, "key '%s' is not there", name);
    memset(modulus, 0xa5, sizeof modulus);
    kv_text_fit(key.name, sizeof key.name, FUZZ_KEY);
    kv_text_fit(key.version, sizeof key.version, FUZZ_VERSION);
    kv_text_fit(key.kid, sizeof key.kid, FUZZ_VAULT "/keys/" FUZZ_KEY "/" FUZZ_VERSION);
    key.operations = KV_OP_ALL;
    MUST(kv_bytes_copy((struct kv_view){ modulus, sizeof modulus }, &key.n) == KV_OK);
    MUST(kv_bytes_copy((struct kv_view){ exponent, sizeof exponent }, &key.e) == KV_OK);
    *ret = key;
    return KV_OK;
}

enum kv_status __wrap_kv_vault_list_page(struct kv_vault *vault, const struct kv_vault_list *list,
                                         const struct kv_task *task, struct kv_vault_page *ret,
                                         struct kv_error *err);
enum kv_status __wrap_kv_vault_list_page(struct kv_vault *vault, const struct kv_vault_list *list,
                                         const struct kv_task *task, struct kv_vault_page *ret,
                                         struct kv_error *err)
{
    (void)vault;
    (void)list;
    (void)task;
    (void)ret;
    return kv_fail(err, KV_DENIED, "no list is given");
}

#define REFUSED(name, ...)                                                                                   \
    enum kv_status __wrap_##name(__VA_ARGS__, struct kv_error *err);                                         \
    enum kv_status __wrap_##name(__VA_ARGS__, struct kv_error *err)                                          \
    {                                                                                                        \
        return kv_fail(err, KV_DENIED, "nothing is changed");                                                \
    }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
REFUSED(kv_vault_get_certificate, struct kv_vault *v, const char *n, const char *r, const struct kv_task *t,
        void *ret)
REFUSED(kv_vault_create_key, struct kv_vault *v, const struct kv_vault_create *c, const struct kv_task *t,
        void *ret)
REFUSED(kv_vault_import_key, struct kv_vault *v, const struct kv_vault_import *i, const struct kv_task *t,
        void *ret)
REFUSED(kv_vault_update_key, struct kv_vault *v, const struct kv_vault_update *u, const struct kv_task *t,
        void *ret)
REFUSED(kv_vault_key_op, struct kv_vault *v, const struct kv_vault_op *o, const struct kv_task *t, void *ret)
#pragma GCC diagnostic pop

/* ---- the module ---- */

static CK_FUNCTION_LIST *p11;
static CK_SESSION_HANDLE session;

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list);

static void write_config(const char *path)
{
    static const char text[] =
        "[kvp11]\nmap = none\n[prod]\nurl = " FUZZ_VAULT "\nmanage = yes\nnew_version = yes\n";
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    MUST(fd >= 0 && write(fd, text, sizeof text - 1) == (ssize_t)sizeof text - 1);
    close(fd);
}

int LLVMFuzzerInitialize(int *count, char ***arguments)
{
    char folder[] = "/tmp/kvp11-fuzz-XXXXXX", path[64], reserved[80];
    (void)count;
    (void)arguments;
    clearenv();
    MUST(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/kvp11.conf", folder);
    snprintf(reserved, sizeof reserved, "config=%s", path);
    write_config(path);
    CK_C_INITIALIZE_ARGS args = { .flags = CKF_OS_LOCKING_OK, .pReserved = reserved };
    MUST(C_GetFunctionList(&p11) == CKR_OK);
    MUST(p11->C_Initialize(&args) == CKR_OK);
    unlink(path);
    rmdir(folder);
    return 0;
}

/* ---- the input ---- */

enum { ITEMS = 48, HELD = 16 };

struct input {
    CK_ATTRIBUTE items[ITEMS];
    void *values[ITEMS]; /* to be freed */
    CK_ULONG count;
    CK_OBJECT_HANDLE held[HELD];
    size_t held_count;
};

static void clear(struct input *input)
{
    for (CK_ULONG i = 0; i < input->count; i++)
        free(input->values[i]);
    input->count = 0;
}

static void *copied(const void *from, size_t size)
{
    void *to = malloc(size ? size : 1);
    MUST(to);
    memcpy(to, from, size);
    return to;
}

static void read_bytes(const char *text, CK_ATTRIBUTE *item)
{
    unsigned char bytes[512];
    size_t len = 0;
    unsigned byte;
    for (; len < sizeof bytes && sscanf(text, "%2x", &byte) == 1 && text[1]; text += 2)
        bytes[len++] = (unsigned char)byte;
    item->pValue = copied(bytes, len);
    item->ulValueLen = len;
}

/* The array has the attributes before it, whose values it borrows. */
static void read_array(const struct input *input, const char *text, CK_ATTRIBUTE *item)
{
    CK_ULONG wanted = strtoul(text, NULL, 10);
    if (wanted > input->count)
        wanted = input->count;
    item->ulValueLen = wanted * sizeof *input->items;
    item->pValue = copied(&input->items[input->count - wanted], item->ulValueLen);
}

static void read_value(const struct input *input, const char *text, CK_ATTRIBUTE *item)
{
    CK_ULONG number = strtoul(text + !!*text, NULL, 10);
    if (*text == '#') {
        item->pValue = copied(&number, sizeof number);
        item->ulValueLen = sizeof number;
    } else if (*text == '"') {
        item->ulValueLen = strlen(text + 1);
        item->pValue = copied(text + 1, item->ulValueLen);
    } else if (*text == '+') {
        item->ulValueLen = number % 4096;
        item->pValue = calloc(1, item->ulValueLen + 1);
    } else if (*text == '-') {
        item->ulValueLen = number;
    } else if (*text == '*') {
        read_array(input, text + 1, item);
    } else {
        read_bytes(text, item);
    }
}

static void read_item(struct input *input, const char *line)
{
    char *end;
    if (input->count == ITEMS)
        return;
    CK_ATTRIBUTE item = { .type = strtoul(line, &end, 16) };
    read_value(input, end + (*end == ' '), &item);
    input->values[input->count] = item.pValue;
    input->items[input->count++] = item;
}

/* ---- the calls ---- */

static void hold(struct input *input, CK_RV rv, CK_OBJECT_HANDLE object)
{
    if (rv != CKR_OK)
        return;
    MUST(object);
    if (input->held_count < HELD)
        input->held[input->held_count++] = object;
}

static void call_create(struct input *input)
{
    CK_OBJECT_HANDLE object = 0;
    CK_RV rv = p11->C_CreateObject(session, input->items, input->count, &object);
    hold(input, rv, object);
}

static void call_generate(struct input *input)
{
    static const CK_MECHANISM_TYPE types[] = { CKM_AES_KEY_GEN, CKM_GENERIC_SECRET_KEY_GEN };
    for (size_t i = 0; i < 2; i++) {
        CK_MECHANISM mechanism = { types[i], NULL, 0 };
        CK_OBJECT_HANDLE object = 0;
        CK_RV rv = p11->C_GenerateKey(session, &mechanism, input->items, input->count, &object);
        hold(input, rv, object);
    }
}

/* Only pairs of the token: of the session they would be made, which takes a second. */
static void call_pair(struct input *input)
{
    CK_MECHANISM mechanism = { CKM_EC_KEY_PAIR_GEN, NULL, 0 };
    CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE token = { CKA_TOKEN, &yes, sizeof yes };
    CK_OBJECT_HANDLE public = 0, private = 0;
    CK_RV rv =
        p11->C_GenerateKeyPair(session, &mechanism, input->items, input->count, &token, 1, &public, &private);
    hold(input, rv, private);
}

static void call_copy(struct input *input)
{
    CK_OBJECT_HANDLE copy = 0;
    for (size_t i = 0; i < input->held_count && i < 4; i++) {
        CK_RV rv = p11->C_CopyObject(session, input->held[i], input->items, input->count, &copy);
        hold(input, rv, copy);
    }
}

static void call_set(struct input *input)
{
    for (size_t i = 0; i < input->held_count; i++)
        (void)p11->C_SetAttributeValue(session, input->held[i], input->items, input->count);
}

/* Into buffers of exactly the size that is said. */
static void call_get(struct input *input)
{
    for (size_t i = 0; i < input->held_count; i++) {
        CK_ATTRIBUTE items[ITEMS];
        void *places[ITEMS];
        for (CK_ULONG k = 0; k < input->count; k++) {
            size_t room = input->items[k].ulValueLen > 4096 ? 0 : input->items[k].ulValueLen;
            places[k] = room ? calloc(1, room) : NULL;
            items[k] = (CK_ATTRIBUTE){ input->items[k].type, places[k], room };
            if (items[k].type & CKF_ARRAY_ATTRIBUTE) /* its inner pointers are an input, too */
                items[k].pValue = NULL;
        }
        (void)p11->C_GetAttributeValue(session, input->held[i], items, input->count);
        for (CK_ULONG k = 0; k < input->count; k++)
            free(places[k]);
    }
}

static void call_find(struct input *input)
{
    CK_OBJECT_HANDLE objects[8];
    CK_ULONG count = 0;
    if (p11->C_FindObjectsInit(session, input->items, input->count) != CKR_OK)
        return;
    MUST(p11->C_FindObjects(session, objects, 8, &count) == CKR_OK && count <= 8);
    MUST(p11->C_FindObjectsFinal(session) == CKR_OK);
    for (CK_ULONG i = 0; i < count; i++)
        hold(input, CKR_OK, objects[i]);
}

static void run_line(struct input *input, const char *line)
{
    static const struct {
        const char *name;
        void (*run)(struct input *input);
    } calls[] = {
        { "!create", call_create }, { "!generate", call_generate },
        { "!pair", call_pair },     { "!copy", call_copy },
        { "!set", call_set },       { "!get", call_get },
        { "!find", call_find },     { "!clear", clear },
    };
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (!strcmp(line, calls[i].name)) {
            calls[i].run(input);
            return;
        }
    read_item(input, line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = { .count = 0 };
    char *text = fuzz_text(data, size < 16384 ? size : 16384), *rest = text, *line;
    MUST(p11->C_OpenSession(0, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session) == CKR_OK);
    for (int lines = 0; lines < 64 && (line = strsep(&rest, "\n")); lines++)
        run_line(&input, line);
    clear(&input);
    free(text);
    MUST(p11->C_CloseSession(session) == CKR_OK);
    return 0;
}
