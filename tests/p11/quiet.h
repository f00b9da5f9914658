/* Module calls for places where a failed assertion could not be reported: another thread, a child, a handler of exit. They return false instead.
 * All of them are on the P-256 key `ec` of the vault `prod`. */
#ifndef KV_TESTS_P11_QUIET_H
#define KV_TESTS_P11_QUIET_H

#include "harness.h"

extern const CK_BYTE quiet_digest[32];

/* Signs and verifies. */
bool quiet_works(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE shut, CK_OBJECT_HANDLE open);
bool quiet_find(CK_SESSION_HANDLE session, CK_OBJECT_CLASS type, CK_OBJECT_HANDLE *ret);
/* A session of its own, the keys found anew, two signatures. */
bool quiet_works_anew(void);

/* Runs it in a forked child that is given a minute; the wait status: 0 when it returned true. */
int in_child(bool (*what)(void));
/* The same while other threads work, whose memory the child has for ever: it ends in a way that no check for leaks sees. */
int in_child_of_threads(bool (*what)(void));

/* A program that runs many times slower than alone, under valgrind: KVP11_TEST_SLOW is set. */
bool is_slow(void);

/* The request log says when a call is on its way: the emulator takes a fault off its list before it waits. */
void await_fault_taken(void);

#endif
