/* An application for the hostile servers: each line of standard input is a life of the module, from C_Initialize to C_Finalize, and is answered by one line.
 *
 *     client MODULE
 *     > CONFIG STEP...            < {"find":0,"objects":[{"label":"…","id":"…"}],"sign":0,"value":"…"}
 *
 * Steps: find=LABEL, list, certificates, secrets; then, with the first object found: sign, sign-again, crowd (eight sign at the same time), decrypt,
 * unwrap, encrypt, gone. A "%" and two hex digits stand for a byte. Return values as numbers, bytes as hex. */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../common/application.h"
#include "kvp11.h"

/* As in tests/p11/harness.c. */
const char *__asan_default_options(void) __attribute__((visibility("default")));
const char *__asan_default_options(void)
{
    return "intercept_tls_get_addr=0";
}

static CK_SESSION_HANDLE session;
static struct app_found found;

static void print_hex(const CK_BYTE *data, CK_ULONG len)
{
    for (CK_ULONG i = 0; i < len; i++)
        printf("%02x", data[i]);
}

/* --- objects --- */

static void print_object(CK_OBJECT_HANDLE object)
{
    static const struct {
        CK_ATTRIBUTE_TYPE type;
        const char *name;
    } shown[] = {
        { CKA_LABEL, "label" },       { CKA_ID, "id" },
        { CKA_MODULUS, "modulus" },   { CKA_PUBLIC_EXPONENT, "exponent" },
        { CKA_EC_POINT, "point" },    { CKA_EC_PARAMS, "curve" },
        { CKA_SIGN, "sign" },         { CKA_DECRYPT, "decrypt" },
        { CKA_START_DATE, "start" },  { CKA_END_DATE, "end" },
        { CKA_KVP11_KID, "kid" },     { CKA_KVP11_VERSION, "version" },
        { CKA_KVP11_STATE, "state" }, { CKA_KVP11_CREATED, "created" },
        { CKA_VALUE, "value" },       { CKA_SUBJECT, "subject" },
    };
    const char *before = "{";
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
        CK_BYTE value[4096];
        CK_ATTRIBUTE item = { shown[i].type, value, sizeof value };
        if (p11->C_GetAttributeValue(session, object, &item, 1) != CKR_OK)
            continue;
        printf("%s\"%s\":\"", before, shown[i].name);
        print_hex(value, item.ulValueLen);
        printf("\"");
        before = ",";
    }
    printf("%s", *before == '{' ? "{}" : "}");
}

static void find(CK_OBJECT_CLASS type, const char *label, const char *step)
{
    CK_ATTRIBUTE by = app_label(label ? label : "");
    CK_RV rv = app_find(session, type, label ? &by : NULL, &found);
    printf("\"%s\":%lu,\"objects\":[", step, rv);
    for (CK_ULONG i = 0; i < found.count; i++) {
        printf("%s", i ? "," : "");
        print_object(found.objects[i]);
    }
    printf("]");
}

/* --- operations with the first object --- */

static const CK_BYTE blob[256] = { 7, 7, 7 };

static CK_RV sign_in(CK_SESSION_HANDLE in, struct app_value *ret)
{
    CK_KEY_TYPE type = CKK_RSA;
    CK_ATTRIBUTE item = { CKA_KEY_TYPE, &type, sizeof type };
    p11->C_GetAttributeValue(in, found.objects[0], &item, 1);
    CK_MECHANISM mechanism = { type == CKK_EC ? CKM_ECDSA_SHA256 : CKM_SHA256_RSA_PKCS, NULL, 0 };
    CK_RV rv = p11->C_SignInit(in, &mechanism, found.objects[0]);
    return rv ? rv : p11->C_Sign(in, (CK_BYTE *)blob, 32, ret->data, &ret->len);
}

static CK_RV sign(struct app_value *ret)
{
    return sign_in(session, ret);
}

static void *sign_in_crowd(void *user)
{
    struct app_value answer = { .len = sizeof answer.data };
    CK_SESSION_HANDLE own;
    CK_RV *rv = user;
    *rv = p11->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &own);
    if (!*rv)
        *rv = sign_in(own, &answer);
    return NULL;
}

/* The first return value that is not CKR_OK. */
static CK_RV crowd(struct app_value *ret)
{
    enum { PEOPLE = 8 };
    pthread_t threads[PEOPLE];
    CK_RV rvs[PEOPLE], rv = CKR_OK;
    ret->len = 0;
    for (size_t i = 0; i < PEOPLE; i++)
        if (pthread_create(&threads[i], NULL, sign_in_crowd, &rvs[i]))
            exit(2);
    for (size_t i = 0; i < PEOPLE; i++) {
        pthread_join(threads[i], NULL);
        rv = rv ? rv : rvs[i];
    }
    return rv;
}

static CK_RV decrypt(struct app_value *ret)
{
    CK_MECHANISM mechanism = app_oaep();
    CK_RV rv = p11->C_DecryptInit(session, &mechanism, found.objects[0]);
    return rv ? rv : p11->C_Decrypt(session, (CK_BYTE *)blob, sizeof blob, ret->data, &ret->len);
}

static CK_RV unwrap(struct app_value *ret)
{
    return app_unwrap(session, found.objects[0], blob, sizeof blob, ret);
}

/* With a key of a Managed HSM: the message-based functions, for the service makes the nonce. */
static CK_RV encrypt(struct app_value *ret)
{
    CK_BYTE iv[16] = { 7 };
    CK_MECHANISM mechanism = { CKM_AES_CBC_PAD, iv, sizeof iv };
    CK_RV rv = p11->C_EncryptInit(session, &mechanism, found.objects[0]);
    return rv ? rv : p11->C_Encrypt(session, (CK_BYTE *)blob, 20, ret->data, &ret->len);
}

static void operate(const char *step)
{
    static const struct {
        const char *name;
        CK_RV (*run)(struct app_value *ret);
    } operations[] = { { "sign", sign },       { "sign-again", sign }, { "crowd", crowd },
                       { "decrypt", decrypt }, { "unwrap", unwrap },   { "encrypt", encrypt } };
    for (size_t i = 0; found.count && i < sizeof operations / sizeof *operations; i++) {
        struct app_value answer = { .len = sizeof answer.data };
        if (strcmp(step, operations[i].name) != 0)
            continue;
        CK_RV rv = operations[i].run(&answer);
        printf("\"%s\":%lu,\"%s-value\":\"", step, rv, step);
        print_hex(answer.data, rv ? 0 : answer.len);
        printf("\"");
        return;
    }
    printf("\"%s\":null", step);
}

static void decode(char *text)
{
    char *to = text;
    for (unsigned byte; *text; to++) {
        bool coded = *text == '%' && sscanf(text + 1, "%2x", &byte) == 1;
        *to = coded ? (char)byte : *text;
        text += coded ? 3 : 1;
    }
    *to = 0;
}

static void run_step(char *step)
{
    if (!strncmp(step, "find=", 5)) {
        decode(step + 5);
        find(CKO_PRIVATE_KEY, step + 5, "find");
    } else if (!strcmp(step, "list")) {
        find(CKO_PRIVATE_KEY, NULL, step);
    } else if (!strcmp(step, "certificates")) {
        find(CKO_CERTIFICATE, NULL, step);
    } else if (!strncmp(step, "secret=", 7)) {
        find(CKO_SECRET_KEY, step + 7, "secret");
    } else {
        operate(step);
    }
}

static void live(char *line)
{
    char reserved[4096], *rest = line, *step;
    snprintf(reserved, sizeof reserved, "config=%s", strsep(&rest, " "));
    CK_C_INITIALIZE_ARGS args = { .flags = CKF_OS_LOCKING_OK, .pReserved = reserved };
    CK_RV rv = p11->C_Initialize(&args);
    printf("{\"initialize\":%lu", rv);
    if (!rv)
        rv = p11->C_OpenSession(0, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session);
    printf(",\"session\":%lu", rv);
    found.count = 0;
    while (!rv && (step = strsep(&rest, " "))) {
        printf(",");
        run_step(step);
    }
    printf(",\"finalize\":%lu}\n", p11->C_Finalize(NULL));
    fflush(stdout);
}

int main(int argument_count, char **arguments)
{
    if (argument_count != 2)
        app_die("usage: client MODULE", 0);
    app_load(arguments[1]);
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, stdin) > 0) {
        line[strcspn(line, "\n")] = 0;
        live(line);
    }
    free(line);
    return 0;
}
