/* What the files of the driver share: one session, one key pair and what was made with it. */
#ifndef KV_TESTS_DRIVER_H
#define KV_TESTS_DRIVER_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../common/application.h"

extern CK_SLOT_ID slot;
extern CK_SESSION_HANDLE session;
extern CK_OBJECT_HANDLE private_key, public_key;
extern unsigned char sealed[512]; /* `secret`, encrypted under the key, or wrapped */
extern CK_ULONG sealed_len;
extern unsigned char secret[32];

struct answer {
    CK_RV rv;
    bool wrong;
};

CK_RV sign(CK_SESSION_HANDLE with, unsigned char signature[512], CK_ULONG *ret_len);
CK_RV verify(CK_SESSION_HANDLE with, unsigned char *signature, CK_ULONG len);

/* driver_offline.c */
struct answer run_keep(const char *label);
struct answer run_encrypt(const char *label);
struct answer run_wrap(const char *label);
struct answer run_verify(const char *label);

/* driver_storm.c */
struct answer run_storm(const char *number);

#endif
