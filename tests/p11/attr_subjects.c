/* The subjects of the attribute tests: an object of every class and kind, in a vault and in a session. */
#include "attr_expect.h"

#include <stdio.h>
#include "attr_certificate.h"
#include "matrix_session.h"

static struct subject all[32];
static size_t count;
static char texts[32][2][160]; /* label, version */

size_t subjects(const struct subject **ret)
{
    *ret = all;
    return count;
}

static void add(struct subject subject)
{
    static const CK_OBJECT_CLASS classes[] = {
        [ON_PRIVATE] = CKO_PRIVATE_KEY, [ON_PUBLIC] = CKO_PUBLIC_KEY, [ON_SECRET] = CKO_SECRET_KEY
    };
    assert_true(count < sizeof all / sizeof *all);
    subject.session = subject.key->session;
    subject.object = find_one(subject.session, classes[subject.nature & ON_CLASSES], subject.label);
    all[count++] = subject;
}

/* The objects of one version: a pair, or a secret key. */
static void add_version(const struct matrix_key *key, const char *name, const char *version,
                        const char *label)
{
    char(*text)[160] = texts[count];
    kv_text_fit(text[0], sizeof text[0], label);
    kv_text_fit(text[1], sizeof text[1], version);
    struct subject subject = {
        .label = text[0], .key = key, .name = name, .version = text[1], .start = "", .end = ""
    };
    if (strstr(name, "dated")) {
        subject.start = "20200102";
        subject.end = "20991231";
    }
    unsigned kind = key->kind == KV_RSA ? ON_RSA : key->kind == KV_EC ? ON_EC : 0;
    for (int half = 0; half < (kind ? 2 : 1); half++) {
        subject.nature = ON_VAULT | kind | (kind ? half ? ON_PUBLIC : ON_PRIVATE : ON_SECRET);
        add(subject);
    }
}

static void add_session(const struct matrix_key *key)
{
    CK_OBJECT_CLASS type = CKO_SECRET_KEY;
    CK_KEY_TYPE aes = CKK_AES;
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_ATTRIBUTE template[] = {
        { CKA_CLASS, &type, sizeof type },
        { CKA_KEY_TYPE, &aes, sizeof aes },
        { CKA_VALUE, (void *)key->value.data, key->value.len },
        { CKA_EXTRACTABLE, &yes, sizeof yes },
        { CKA_SENSITIVE, &no, sizeof no },
        { CKA_LABEL, "a session's", 11 },
        { CKA_ID, "\x0a\x0b", 2 },
        { CKA_START_DATE, "20210304", 8 },
        { CKA_END_DATE, NULL, 0 },
    };
    CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
    ok(world.p11->C_CreateObject(key->session, template, 9, &object));
    add((struct subject){ .label = "a session's",
                          .nature = ON_SECRET | ON_SESSION,
                          .key = key,
                          .start = "20210304",
                          .end = "" });
}

static void add_pair(const char *name)
{
    static struct matrix_key keys[4];
    static size_t used;
    struct matrix_key *key = &keys[used++];
    *key = *matrix_find(name);
    matrix_session_pair(key, key->name, "\x0a\x0b");
    for (int half = 0; half < 2; half++)
        add((struct subject){ .label = key->name,
                              .nature = ON_SESSION | (key->kind == KV_RSA ? ON_RSA : ON_EC) |
                                        (half ? ON_PUBLIC : ON_PRIVATE),
                              .key = key,
                              .start = "",
                              .end = "" });
}

/* A key of its own for each material, so that its version is known. */
static void add_import(const struct matrix_key *key, const char *suffix, bool dated, bool rotated)
{
    static char names[32][100];
    static size_t used;
    char version[65], label[160];
    char *name = names[used++];
    snprintf(name, sizeof names[0], "%s-%s", key->name, suffix);
    kv_text_fit(version, sizeof version, matrix_import(key, name, NULL));
    if (dated) /* 2 January 2020 and 31 December 2099 */
        change_key(matrix_vault(key), name, version, "{\"nbf\":1577923200,\"exp\":4102358400}");
    if (rotated)
        rotate_key(matrix_vault(key), name);
    snprintf(label, sizeof label, rotated ? "%s@%s" : "%s", name, version);
    add_version(key, name, version, label);
}

/* The first of its class. */
static void add_fixed(const char *label, unsigned nature, CK_OBJECT_CLASS type)
{
    const struct matrix_key *key = matrix_find("m-rsa");
    struct subject subject = {
        .label = label, .nature = nature | ON_VAULT, .session = key->session, .key = key
    };
    assert_true(find_all(key->session, type, NULL, NULL, &subject.object, 1) >= 1);
    all[count++] = subject;
}

int subjects_start(void **state)
{
    static const char *const names[] = { "m-rsa",  "m-rsa-hsm", "m-p256",  "m-p384",
                                         "m-p521", "m-p256k",   "m-oct256" };
    int rc = matrix_start(state);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        add_import(matrix_find(names[i]), "plain", false, false);
    add_import(matrix_find("m-p256"), "dated", true, false);
    add_import(matrix_find("m-rsa"), "old", false, true);
    add_import(matrix_find("m-oct256"), "old", false, true);
    add_session(matrix_find("session AES-256"));
    add_fixed("a profile", ON_PROFILE, CKO_PROFILE);
    add_fixed("a mechanism", ON_MECHANISM, CKO_MECHANISM);
    all[count++] = certificate_subject(matrix_find("m-rsa")->session);
    add_pair("session RSA");
    add_pair("session P-384");
    return rc;
}
