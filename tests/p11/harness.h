/* The world of the p11 tests: an emulator of our own on free ports, a configuration that points at it, the module as an application
 * loads it, and short words for what the tests do all the time. One world a program; everything below one temporary folder.
 * Environment: KVP11_MODULE, KVP11_EMULATOR. A call that fails in a way no test expects ends the test (cmocka). */
#ifndef KV_TESTS_P11_HARNESS_H
#define KV_TESTS_P11_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "mech/pkcs11.h"
#include "base/json.h"
#include "base/kinds.h"
#include "kvp11.h"
#include "../common/place.h"

struct world {
    pid_t emulator;
    char dir[TEST_FOLDER];
    int control_port;
    char ca[256], authority[128], tenant[64], vaults[3][128]; /* prod, dr, hsm */
    void *module;
    CK_FUNCTION_LIST *p11;
    CK_FUNCTION_LIST_3_0 *p11_3; /* the same functions, and those that 3.0 added */
};
extern struct world world;
enum { PROD, DR, HSM }; /* slots, in the order of the configuration */

/* Group fixtures; world_stop finalizes, too. */
int world_start(void **state);
int world_stop(void **state);
/* The same, and `ec` on P-256 in vault prod; or that and `rsa`. */
int world_start_ec(void **state);
int world_start_ec_and_rsa(void **state);
/* Test teardown: C_Finalize, wherever the test left the module. */
int world_finalize(void **state);

/* Writes the configuration: `settings` are lines of every vault's section; "" for none. `map` is the map's name in the folder, or
 * "none". Takes effect at the next initialize(). */
void configure(const char *map, const char *settings);
void configure_as(const char *identity, const char *map, const char *settings);

void load(void);       /* dlopen, C_GetFunctionList, C_GetInterface */
void unload(void);     /* dlclose */
void initialize(void); /* C_Initialize with NULL */
void finalize(void);
CK_SESSION_HANDLE open_session(CK_SLOT_ID slot);
/* finalize, initialize, open_session: a process that starts anew as far as it can. */
CK_SESSION_HANDLE restart(CK_SLOT_ID slot);

/* --- the control API --- */
/* Reply of 200, parsed; kv_json_free. Another status fails the test. `body` NULL: none. */
struct kv_json *control(const char *method, const char *path, const char *body);
void control_do(const char *method, const char *path, const char *body);
/* Creates a key or its next version in a vault ("prod"); the version id in a static buffer of its own for each of the last 16 calls. */
const char *create_key(const char *vault, const char *name, const char *body);
/* Of a key bundle, which it frees; in such a buffer, too. */
const char *bundle_version(struct kv_json *bundle);
const char *rotate_key(const char *vault, const char *name);
void change_key(const char *vault, const char *name, const char *version, const char *body);
void clear_log(void);
/* How many requests of the log name this in their path; NULL: all requests, tokens and challenges included. */
size_t requests(const char *path);
size_t vault_requests(void); /* to vaults and served: without tokens and 401 */

/* --- PKCS#11 in short words --- */
#define expect(rv, call)                                                                                     \
    do {                                                                                                     \
        CK_RV expect_rv = (call);                                                                            \
        if (expect_rv != (rv))                                                                               \
            fail_msg("%s: 0x%lx instead of 0x%lx (%s)", #call, expect_rv, (CK_RV)(rv), #rv);                 \
    } while (0)
#define ok(call) expect(CKR_OK, call)

/* Objects with this class, label and id (label and id may be NULL); returns how many there are, fills at most `room`. */
size_t find_all(CK_SESSION_HANDLE session, CK_OBJECT_CLASS type, const char *label, const CK_BYTE *id,
                CK_OBJECT_HANDLE *ret, size_t room);
/* The one object with this class and label. */
CK_OBJECT_HANDLE find_one(CK_SESSION_HANDLE session, CK_OBJECT_CLASS type, const char *label);
/* One attribute; returns its length. */
size_t attribute(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, void *ret,
                 size_t room);
CK_BBOOL attribute_bool(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type);
CK_OBJECT_HANDLE aes_key(CK_SESSION_HANDLE session, const CK_BYTE *value, CK_ULONG len, bool extractable);

struct result {
    CK_BYTE data[1024];
    CK_ULONG len;
};
struct result sign(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, const void *data,
                   size_t len);
struct result encrypt(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key,
                      const void *data, size_t len);
struct result decrypt(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key,
                      const struct result *cipher);
#define BYTES(data, len) ((struct kv_view){ (const unsigned char *)(data), len })
bool verifies(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, struct kv_view data,
              const struct result *signature);

/* Mechanisms with their parameters, as clients send them. */
extern CK_MECHANISM ecdsa, ecdsa_sha256, rsa_sha256, oaep_sha256, oaep_sha1;

int64_t now_ms(void); /* steady */

/* Text of the module's log since the start; free(). */
char *module_log(void);

#endif
