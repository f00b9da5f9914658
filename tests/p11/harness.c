#include "harness.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct world world;

/* gcc's leak checker guesses where the thread-local memory of a library stands that was opened late, and dies where it guesses wrong, depending on
 * what the heap looks like. Nothing of ours is held by such memory alone, so it need not look there. */
const char *__asan_default_options(void) __attribute__((visibility("default")));
const char *__asan_default_options(void)
{
    return "intercept_tls_get_addr=0";
}

/* --- the emulator --- */

static char *slurp(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = NULL;
    size_t len = 0;
    if (file && getdelim(&text, &len, 0, file) < 0) {
        free(text);
        text = NULL;
    }
    if (file)
        fclose(file);
    return text;
}

static void write_file(const char *path, const char *text)
{
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void take(const struct kv_json *json, char *ret, size_t size)
{
    const char *text = kv_json_text(json);
    assert_non_null(text);
    assert_true(kv_text_fit(ret, size, text));
}

static void read_ready(const char *text)
{
    struct kv_json *ready = NULL;
    int64_t port;
    assert_int_equal(kv_json_parse(kv_view_text(text), &ready, NULL), KV_OK);
    take(kv_json_get(ready, "ca_file"), world.ca, sizeof world.ca);
    take(kv_json_get(ready, "authority"), world.authority, sizeof world.authority);
    take(kv_json_get(ready, "tenant"), world.tenant, sizeof world.tenant);
    const struct kv_json *vaults = kv_json_get(ready, "vaults");
    take(kv_json_get(vaults, "prod"), world.vaults[PROD], sizeof world.vaults[PROD]);
    take(kv_json_get(vaults, "dr"), world.vaults[DR], sizeof world.vaults[DR]);
    take(kv_json_get(vaults, "hsm"), world.vaults[HSM], sizeof world.vaults[HSM]);
    assert_true(kv_json_int(kv_json_get(ready, "control_port"), &port));
    world.control_port = (int)port;
    kv_json_free(ready);
}

/* The ready line on the emulator's standard output is what says that it listens. */
static void start_emulator(void)
{
    const char *program = getenv("KVP11_EMULATOR");
    int lines[2];
    assert_non_null(program);
    assert_int_equal(pipe2(lines, O_CLOEXEC), 0);
    world.emulator = fork();
    assert_true(world.emulator >= 0);
    if (!world.emulator) {
        char folder[96];
        snprintf(folder, sizeof folder, "%s/tls", world.dir);
        dup2(lines[1], STDOUT_FILENO);
        execl(program, program, "--tls-dir", folder, "--quiet", (char *)NULL);
        _exit(127);
    }
    close(lines[1]);
    FILE *stream = fdopen(lines[0], "r");
    char *line = NULL;
    size_t room = 0;
    if (!stream || getline(&line, &room, stream) < 0)
        fail_msg("%s did not start", program);
    read_ready(line);
    free(line);
    fclose(stream);
}

int world_start(void **state)
{
    (void)state;
    assert_true(test_folder(world.dir, "p11"));
    signal(SIGPIPE, SIG_IGN);
    start_emulator();
    char path[96];
    snprintf(path, sizeof path, "%s/kvp11.conf", world.dir);
    setenv("KVP11_CONFIG", path, 1);
    setenv("HOME", world.dir, 1);
    configure("none", "");
    load();
    return 0;
}

int world_stop(void **state)
{
    (void)state;
    if (world.p11)
        world.p11->C_Finalize(NULL);
    if (world.emulator > 0) {
        kill(world.emulator, SIGTERM);
        waitpid(world.emulator, NULL, 0);
    }
    test_folder_remove(world.dir);
    return 0;
}

int world_start_ec(void **state)
{
    if (world_start(state))
        return -1;
    create_key("prod", "ec", "{\"kty\":\"EC\",\"crv\":\"P-256\"}");
    return 0;
}

int world_start_ec_and_rsa(void **state)
{
    if (world_start_ec(state))
        return -1;
    create_key("prod", "rsa", "{\"kty\":\"RSA\"}");
    return 0;
}

int world_finalize(void **state)
{
    (void)state;
    CK_RV rv = world.p11->C_Finalize(NULL);
    return rv == CKR_OK || rv == CKR_CRYPTOKI_NOT_INITIALIZED ? 0 : -1;
}

/* --- configuration and module --- */

void configure_as(const char *identity, const char *map, const char *settings)
{
    static const char *const names[] = { "prod", "dr", "hsm" };
    char secret[128], text[8192], path[128], place[128] = "none";
    int len;
    snprintf(secret, sizeof secret, "%s/%s.secret", world.dir, identity);
    snprintf(text, sizeof text, "%s-secret\n", identity);
    write_file(secret, text);
    if (strcmp(map, "none"))
        snprintf(place, sizeof place, "%s/%s", world.dir, map);
    len = snprintf(text, sizeof text, "[kvp11]\nmap = %s\nlog = %s/module.log\nlog_level = info\n", place,
                   world.dir);
    for (int i = 0; i < 3; i++)
        len += snprintf(text + len, sizeof text - (size_t)len,
                        "[%s]\nurl = %s\ncredential = client-secret\ntenant = %s\nclient_id = %s\n"
                        "client_secret_file = %s\nauthority = %s\nca_file = %s\nrate_limit = 1000000\n%s\n",
                        names[i], world.vaults[i], world.tenant, identity, secret, world.authority, world.ca,
                        settings);
    snprintf(path, sizeof path, "%s/kvp11.conf", world.dir);
    write_file(path, text);
}

void configure(const char *map, const char *settings)
{
    configure_as("workload", map, settings);
}

void load(void)
{
    const char *path = getenv("KVP11_MODULE");
    assert_non_null(path);
    world.module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!world.module)
        fail_msg("%s", dlerror());
    CK_C_GetFunctionList get = (CK_C_GetFunctionList)dlsym(world.module, "C_GetFunctionList");
    assert_non_null(get);
    ok(get(&world.p11));
    CK_C_GetInterface get_interface = (CK_C_GetInterface)dlsym(world.module, "C_GetInterface");
    CK_VERSION version = { 3, 0 };
    CK_INTERFACE *interface = NULL;
    assert_non_null(get_interface);
    ok(get_interface((CK_UTF8CHAR *)"PKCS 11", &version, &interface, 0));
    world.p11_3 = interface->pFunctionList;
}

void unload(void)
{
    assert_int_equal(dlclose(world.module), 0);
    world.module = NULL;
    world.p11 = NULL;
    world.p11_3 = NULL;
}

void initialize(void)
{
    ok(world.p11->C_Initialize(NULL));
}

void finalize(void)
{
    ok(world.p11->C_Finalize(NULL));
}

CK_SESSION_HANDLE open_session(CK_SLOT_ID slot)
{
    CK_SESSION_HANDLE session = CK_INVALID_HANDLE;
    ok(world.p11->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &session));
    return session;
}

CK_SESSION_HANDLE restart(CK_SLOT_ID slot)
{
    CK_RV rv = world.p11->C_Finalize(NULL);
    assert_true(rv == CKR_OK || rv == CKR_CRYPTOKI_NOT_INITIALIZED);
    initialize();
    return open_session(slot);
}

/* --- the control API: one request a connection, plain HTTP --- */

static int connect_control(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)world.control_port) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void read_reply(int fd, struct kv_buffer *ret)
{
    unsigned char piece[65536];
    ssize_t got;
    while ((got = read(fd, piece, sizeof piece)) > 0)
        assert_int_equal(kv_buffer_add(ret, (struct kv_view){ piece, (size_t)got }), KV_OK);
    close(fd);
}

/* HTTP/1.0 is asked for, so that the body ends with the connection and has no chunks. */
struct kv_json *control(const char *method, const char *path, const char *body)
{
    struct kv_buffer text = { 0 };
    struct kv_json *json = NULL;
    int fd = connect_control();
    body = body ? body : "";
    dprintf(fd,
            "%s %s HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: "
            "%zu\r\n\r\n%s",
            method, path, strlen(body), body);
    read_reply(fd, &text);
    const char *reply = (const char *)text.bytes.data;
    const char *start = reply ? strstr(reply, "\r\n\r\n") : NULL;
    if (!start || strncmp(reply + 8, " 200 ", 5))
        fail_msg("%s %s %s: %.600s", method, path, body, reply ? reply : "no reply");
    if (kv_json_parse(kv_view_text(start + 4), &json, NULL))
        fail_msg("%s %s: not JSON: %.600s", method, path, start + 4);
    kv_buffer_free(&text);
    return json;
}

void control_do(const char *method, const char *path, const char *body)
{
    kv_json_free(control(method, path, body));
}

const char *bundle_version(struct kv_json *bundle)
{
    static char ids[16][KV_VERSION_SIZE];
    static unsigned next;
    char *ret = ids[next++ % 16];
    const char *kid = kv_json_text(kv_json_get(kv_json_get(bundle, "key"), "kid"));
    assert_non_null(kid);
    assert_true(kv_text_fit(ret, KV_VERSION_SIZE, strrchr(kid, '/') + 1));
    kv_json_free(bundle);
    return ret;
}

const char *create_key(const char *vault, const char *name, const char *body)
{
    char path[256];
    snprintf(path, sizeof path, "/vaults/%s/keys/%s/create", vault, name);
    return bundle_version(control("POST", path, body));
}

const char *rotate_key(const char *vault, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "/vaults/%s/keys/%s/rotate", vault, name);
    return bundle_version(control("POST", path, NULL));
}

void change_key(const char *vault, const char *name, const char *version, const char *body)
{
    char path[256];
    snprintf(path, sizeof path, "/vaults/%s/keys/%s/%s", vault, name, version);
    control_do("PATCH", path, body);
}

void clear_log(void)
{
    control_do("DELETE", "/log", NULL);
}

static bool counts(const struct kv_json *entry, const char *path)
{
    const char *there = kv_json_text(kv_json_get(entry, "path"));
    return !path || (there && strstr(there, path));
}

size_t requests(const char *path)
{
    struct kv_json *log = control("GET", "/log", NULL);
    size_t count = 0;
    for (size_t i = 0; i < kv_json_count(log); i++)
        count += counts(kv_json_at(log, i), path);
    kv_json_free(log);
    return count;
}

size_t vault_requests(void)
{
    struct kv_json *log = control("GET", "/log", NULL);
    size_t count = 0;
    for (size_t i = 0; i < kv_json_count(log); i++) {
        const struct kv_json *entry = kv_json_at(log, i);
        const char *kind = kv_json_text(kv_json_get(entry, "kind"));
        int64_t status = 0;
        kv_json_int(kv_json_get(entry, "status"), &status);
        count += kind && !strcmp(kind, "vault") && status != 401;
    }
    kv_json_free(log);
    return count;
}

int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

char *module_log(void)
{
    char path[96];
    snprintf(path, sizeof path, "%s/module.log", world.dir);
    char *text = slurp(path);
    return text ? text : strdup("");
}

/* --- PKCS#11 --- */

size_t find_all(CK_SESSION_HANDLE session, CK_OBJECT_CLASS type, const char *label, const CK_BYTE *id,
                CK_OBJECT_HANDLE *ret, size_t room)
{
    CK_ATTRIBUTE template[3] = { { CKA_CLASS, &type, sizeof type } };
    CK_ULONG count = 1, got;
    if (label)
        template[count++] = (CK_ATTRIBUTE){ CKA_LABEL, (void *)label, strlen(label) };
    if (id)
        template[count++] = (CK_ATTRIBUTE){ CKA_ID, (void *)id, 20 };
    ok(world.p11->C_FindObjectsInit(session, template, count));
    size_t total = 0;
    do {
        CK_OBJECT_HANDLE some[7];
        ok(world.p11->C_FindObjects(session, some, 7, &got));
        for (CK_ULONG i = 0; i < got; i++, total++)
            if (total < room)
                ret[total] = some[i];
    } while (got);
    ok(world.p11->C_FindObjectsFinal(session));
    return total;
}

CK_OBJECT_HANDLE find_one(CK_SESSION_HANDLE session, CK_OBJECT_CLASS type, const char *label)
{
    CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
    size_t count = find_all(session, type, label, NULL, &object, 1);
    if (count != 1)
        fail_msg("%zu objects of class %lu have the label '%s'", count, type, label);
    return object;
}

size_t attribute(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, void *ret,
                 size_t room)
{
    CK_ATTRIBUTE item = { type, ret, room };
    CK_RV rv = world.p11->C_GetAttributeValue(session, object, &item, 1);
    if (rv)
        fail_msg("attribute 0x%lx: 0x%lx", type, rv);
    return item.ulValueLen;
}

CK_BBOOL attribute_bool(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type)
{
    CK_BBOOL value = 7;
    assert_int_equal(attribute(session, object, type, &value, sizeof value), sizeof value);
    assert_in_range(value, CK_FALSE, CK_TRUE);
    return value;
}

CK_OBJECT_HANDLE aes_key(CK_SESSION_HANDLE session, const CK_BYTE *value, CK_ULONG len, bool extractable)
{
    CK_OBJECT_CLASS type = CKO_SECRET_KEY;
    CK_KEY_TYPE aes = CKK_AES;
    CK_BBOOL out = extractable, no = CK_FALSE;
    CK_ATTRIBUTE template[] = { { CKA_CLASS, &type, sizeof type },
                                { CKA_KEY_TYPE, &aes, sizeof aes },
                                { CKA_VALUE, (void *)value, len },
                                { CKA_EXTRACTABLE, &out, sizeof out },
                                { CKA_SENSITIVE, &no, sizeof no } };
    CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
    ok(world.p11->C_CreateObject(session, template, 5, &object));
    return object;
}

struct result sign(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, const void *data,
                   size_t len)
{
    struct result result = { .len = sizeof result.data };
    ok(world.p11->C_SignInit(session, mechanism, key));
    ok(world.p11->C_Sign(session, (void *)data, len, result.data, &result.len));
    return result;
}

struct result encrypt(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key,
                      const void *data, size_t len)
{
    struct result result = { .len = sizeof result.data };
    ok(world.p11->C_EncryptInit(session, mechanism, key));
    ok(world.p11->C_Encrypt(session, (void *)data, len, result.data, &result.len));
    return result;
}

struct result decrypt(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key,
                      const struct result *cipher)
{
    struct result result = { .len = sizeof result.data };
    ok(world.p11->C_DecryptInit(session, mechanism, key));
    ok(world.p11->C_Decrypt(session, (void *)cipher->data, cipher->len, result.data, &result.len));
    return result;
}

bool verifies(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, struct kv_view data,
              const struct result *signature)
{
    ok(world.p11->C_VerifyInit(session, mechanism, key));
    CK_RV rv =
        world.p11->C_Verify(session, (void *)data.data, data.len, (void *)signature->data, signature->len);
    assert_true(rv == CKR_OK || rv == CKR_SIGNATURE_INVALID || rv == CKR_SIGNATURE_LEN_RANGE);
    return rv == CKR_OK;
}

static CK_RSA_PKCS_OAEP_PARAMS sha256_params = { CKM_SHA256, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, NULL, 0 };
static CK_RSA_PKCS_OAEP_PARAMS sha1_params = { CKM_SHA_1, CKG_MGF1_SHA1, CKZ_DATA_SPECIFIED, NULL, 0 };
CK_MECHANISM ecdsa = { CKM_ECDSA, NULL, 0 }, ecdsa_sha256 = { CKM_ECDSA_SHA256, NULL, 0 },
             rsa_sha256 = { CKM_SHA256_RSA_PKCS, NULL, 0 },
             oaep_sha256 = { CKM_RSA_PKCS_OAEP, &sha256_params, sizeof sha256_params },
             oaep_sha1 = { CKM_RSA_PKCS_OAEP, &sha1_params, sizeof sha1_params };
