/* What a vault holds beside keys, and what an application may do to its keys: certificates, fixed objects, key management. */
#include "steps.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

const struct prepared *prepared;

/* --- certificates --- */

/* The one certificate with this label, and its value; then it is found by that, too. */
static CK_RV read_certificate(const char *label, CK_BYTE *value, CK_ULONG *len)
{
    static const CK_OBJECT_CLASS type = CKO_CERTIFICATE;
    CK_BYTE subject[256], issuer[256], serial[32], id[20];
    CK_ATTRIBUTE items[] = { { CKA_VALUE, value, *len },
                             { CKA_SUBJECT, subject, sizeof subject },
                             { CKA_ISSUER, issuer, sizeof issuer },
                             { CKA_SERIAL_NUMBER, serial, sizeof serial },
                             { CKA_ID, id, sizeof id } };
    CK_OBJECT_HANDLE certificate, found[2];
    CK_ULONG count = 0;
    STEP(find(world_of.prod, CKO_CERTIFICATE, label, &certificate));
    STEP(p11->C_GetAttributeValue(world_of.prod, certificate, items, 5));
    *len = items[0].ulValueLen;
    HOLDS(*len > 100 && items[1].ulValueLen > 10 && items[2].ulValueLen > 10 && items[3].ulValueLen > 2 &&
          items[4].ulValueLen == 20);
    CK_ATTRIBUTE by_subject[] = { ITEM(CKA_CLASS, type), { CKA_SUBJECT, subject, items[1].ulValueLen } };
    STEP(p11->C_FindObjectsInit(world_of.prod, by_subject, 2));
    CK_RV rv = p11->C_FindObjects(world_of.prod, found, 2, &count),
          last = p11->C_FindObjectsFinal(world_of.prod);
    STEP(rv);
    STEP(last);
    return count == 1 && found[0] == certificate ? CKR_OK : WRONG;
}

CK_RV vault_certificate(void)
{
    CK_BYTE value[2048];
    CK_ULONG len = sizeof value;
    STEP(read_certificate("tls", value, &len));
    return memmem(value, len, "tls.example", 11) ? CKR_OK : WRONG;
}

/* It stands before one that is made here. */
CK_RV folder_certificate(void)
{
    CK_BYTE value[2048];
    CK_ULONG len = sizeof value;
    STEP(read_certificate("rsa", value, &len));
    return len == prepared->certificate_len && !memcmp(value, prepared->certificate, len) ? CKR_OK : WRONG;
}

/* Made once: the next look finds the same. Without its map on file the module makes one that proves nothing; that is the same each time, too. */
CK_RV own_certificate(void)
{
    CK_BYTE first[2048], second[2048];
    CK_ULONG first_len = sizeof first, second_len = sizeof second;
    STEP(read_certificate("ec", first, &first_len));
    STEP(read_certificate("ec", second, &second_len));
    return first_len == second_len && !memcmp(first, second, first_len) ? CKR_OK : WRONG;
}

CK_RV fixed_objects(void)
{
    static const struct {
        CK_OBJECT_CLASS type;
        CK_ATTRIBUTE_TYPE item;
        CK_ULONG least;
    } rows[] = { { CKO_PROFILE, CKA_PROFILE_ID, 1 }, { CKO_MECHANISM, CKA_MECHANISM_TYPE, 20 } };
    for (int i = 0; i < 2; i++) {
        CK_ATTRIBUTE template = ITEM(CKA_CLASS, rows[i].type);
        CK_OBJECT_HANDLE found[128];
        CK_ULONG count = 0, number = ~0UL;
        STEP(p11->C_FindObjectsInit(world_of.prod, &template, 1));
        CK_RV rv = p11->C_FindObjects(world_of.prod, found, 128, &count),
              last = p11->C_FindObjectsFinal(world_of.prod);
        STEP(rv);
        STEP(last);
        HOLDS(count >= rows[i].least);
        STEP(p11->C_GetAttributeValue(world_of.prod, found[0], &(CK_ATTRIBUTE)ITEM(rows[i].item, number), 1));
        HOLDS(number != ~0UL);
    }
    return CKR_OK;
}

/* --- key management --- */

/* A failed attempt may have made its key all the same: each has a name of its own. Numbers of processes come again, not within a second. */
static CK_ATTRIBUTE new_label(char ret[48])
{
    static unsigned next;
    int len = snprintf(ret, 48, "made-%lld-%d-%u", (long long)time(NULL), (int)getpid(), next++);
    return (CK_ATTRIBUTE){ CKA_LABEL, ret, (CK_ULONG)len };
}

CK_RV generate_in_the_vault(void)
{
    char label[48];
    CK_MECHANISM make = { CKM_EC_KEY_PAIR_GEN, NULL, 0 };
    CK_ATTRIBUTE open_items[] = { ITEM(CKA_TOKEN, yes), { CKA_EC_PARAMS, (void *)p256, sizeof p256 } };
    CK_ATTRIBUTE shut_items[] = { ITEM(CKA_TOKEN, yes), ITEM(CKA_SIGN, yes), new_label(label) };
    CK_OBJECT_HANDLE open, found;
    STEP(p11->C_GenerateKeyPair(world_of.manage, &make, open_items, 2, shut_items, 3, &open, &world_of.made));
    STEP(find(world_of.manage, CKO_PRIVATE_KEY, label, &found));
    HOLDS(found == world_of.made);
    return sign_and_verify(world_of.manage, &ecdsa_sha256, world_of.made, open);
}

/* Imports and uses it. */
static CK_RV import(CK_ATTRIBUTE *template, CK_ULONG count, const char *label, CK_MECHANISM *mechanism)
{
    CK_OBJECT_HANDLE shut, open;
    STEP(p11->C_CreateObject(world_of.manage, template, count, &shut));
    STEP(find(world_of.manage, CKO_PUBLIC_KEY, label, &open));
    return sign_and_verify(world_of.manage, mechanism, shut, open);
}

static const CK_OBJECT_CLASS private_class = CKO_PRIVATE_KEY;

CK_RV import_an_ec_key(void)
{
    static const CK_KEY_TYPE ec = CKK_EC;
    char label[48];
    CK_ATTRIBUTE template[] = { ITEM(CKA_CLASS, private_class),
                                ITEM(CKA_KEY_TYPE, ec),
                                ITEM(CKA_TOKEN, yes),
                                { CKA_EC_PARAMS, (void *)p256, sizeof p256 },
                                { CKA_VALUE, (void *)digest, 32 },
                                new_label(label) };
    return import(template, 6, label, &ecdsa_sha256);
}

/* Of the key's numbers those that can be computed are left out. */
CK_RV import_an_rsa_key(void)
{
    static const CK_KEY_TYPE rsa = CKK_RSA;
    static const CK_ATTRIBUTE_TYPE types[] = { CKA_MODULUS, CKA_PUBLIC_EXPONENT, CKA_PRIVATE_EXPONENT };
    char label[48];
    CK_ATTRIBUTE template[] = { ITEM(CKA_CLASS, private_class),
                                ITEM(CKA_KEY_TYPE, rsa),
                                ITEM(CKA_TOKEN, yes),
                                new_label(label),
                                { 0 },
                                { 0 },
                                { 0 } };
    for (size_t i = 0; i < 3; i++)
        template[4 + i] = (CK_ATTRIBUTE){ types[i], (void *)prepared->numbers[i], prepared->number_lens[i] };
    return import(template, 7, label, &rsa_sha256);
}

CK_RV change_a_key(void)
{
    CK_BYTE day[8] = { 0 };
    CK_BBOOL truth = 99;
    CK_ATTRIBUTE dated = { CKA_END_DATE, "20991231", 8 }, closed = ITEM(CKA_SIGN, no),
                 open = ITEM(CKA_SIGN, yes);
    CK_ATTRIBUTE read[] = { ITEM(CKA_END_DATE, day), ITEM(CKA_SIGN, truth) };
    STEP(p11->C_SetAttributeValue(world_of.manage, world_of.made, &dated, 1));
    STEP(p11->C_SetAttributeValue(world_of.manage, world_of.made, &closed, 1));
    STEP(p11->C_GetAttributeValue(world_of.manage, world_of.made, read, 2));
    HOLDS(!memcmp(day, "20991231", 8) && truth == CK_FALSE);
    return p11->C_SetAttributeValue(world_of.manage, world_of.made, &open, 1);
}

CK_RV disable_a_key(void)
{
    char state[16] = { 0 };
    CK_ATTRIBUTE item = { CKA_KVP11_STATE, state, sizeof state - 1 };
    STEP(p11->C_DestroyObject(world_of.manage, world_of.made));
    STEP(p11->C_GetAttributeValue(world_of.manage, world_of.made, &item, 1));
    return strcmp(state, "disabled") ? WRONG : CKR_OK;
}
