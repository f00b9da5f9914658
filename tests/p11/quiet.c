#include "quiet.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

const CK_BYTE quiet_digest[32] = "thirty-two bytes of some digest";

bool quiet_works(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE shut, CK_OBJECT_HANDLE open)
{
    CK_BYTE signature[64];
    CK_ULONG len = sizeof signature;
    return !world.p11->C_SignInit(session, &ecdsa, shut) &&
           !world.p11->C_Sign(session, (CK_BYTE *)quiet_digest, 32, signature, &len) && len == 64 &&
           !world.p11->C_VerifyInit(session, &ecdsa, open) &&
           !world.p11->C_Verify(session, (CK_BYTE *)quiet_digest, 32, signature, 64);
}

bool quiet_find(CK_SESSION_HANDLE session, CK_OBJECT_CLASS type, CK_OBJECT_HANDLE *ret)
{
    CK_ATTRIBUTE template[] = { { CKA_CLASS, &type, sizeof type }, { CKA_LABEL, "ec", 2 } };
    CK_ULONG count = 0;
    return !world.p11->C_FindObjectsInit(session, template, 2) &&
           !world.p11->C_FindObjects(session, ret, 1, &count) && count == 1 &&
           !world.p11->C_FindObjectsFinal(session);
}

bool quiet_works_anew(void)
{
    CK_SESSION_HANDLE session;
    CK_OBJECT_HANDLE shut, open;
    return !world.p11->C_OpenSession(PROD, CKF_SERIAL_SESSION, NULL, NULL, &session) &&
           quiet_find(session, CKO_PRIVATE_KEY, &shut) && quiet_find(session, CKO_PUBLIC_KEY, &open) &&
           quiet_works(session, shut, open) && quiet_works(session, shut, open);
}

int in_child(bool (*what)(void))
{
    int status = -1;
    pid_t child = fork();
    if (!child) {
        alarm(60);
        _exit(what() ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

int in_child_of_threads(bool (*what)(void))
{
    int status = -1;
    pid_t child = fork();
    if (!child) {
        alarm(60);
        if (!what())
            _exit(1);
        raise(SIGKILL);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? 0 : status;
}

bool is_slow(void)
{
    return getenv("KVP11_TEST_SLOW");
}

void await_fault_taken(void)
{
    int64_t end = now_ms() + 300000;
    for (bool taken = false; !taken;) {
        assert_true(now_ms() < end); /* else what should meet it has failed before */
        struct kv_json *faults = control("GET", "/faults", NULL);
        taken = kv_json_count(faults) == 0;
        kv_json_free(faults);
    }
}
