/* The benches: each runs ours and a bare loop in turn, in one process, so that only their ratio matters. */
#ifndef BENCH_H
#define BENCH_H

#include <stddef.h>
#include "mech/pkcs11.h"

struct bench_args {
    const char *module, *token_label, *key_label;
    const char *url, *bearer, *ca_file;      /* for the bare HTTP loop: the sign URL of the same version */
    const char *blobs;                       /* a file of wrapped keys */
    unsigned threads, count, rounds, report; /* report: the descriptor that a cold process writes to */
};

struct bench_module {
    CK_FUNCTION_LIST *f;
    CK_SLOT_ID slot;
};

/* Loads the module and finds the slot whose token has this label; exits with a message when it cannot. */
struct bench_module bench_open(const struct bench_args *args);
CK_SESSION_HANDLE bench_session(const struct bench_module *module);
CK_OBJECT_HANDLE bench_find(const struct bench_module *module, CK_SESSION_HANDLE session,
                            CK_OBJECT_CLASS class, const char *label);

double bench_now(void); /* seconds */
double bench_median(double *values, size_t count);
_Noreturn void bench_die(const char *what, unsigned long code);

/* Print one JSON object: {"ours_per_second", "bare_per_second", "ratio"}, medians over the rounds; a cipher's are MiB a second. */
void bench_sign(const struct bench_args *args);
void bench_verify(const struct bench_args *args);
void bench_cipher(const struct bench_args *args);
/* {"threads", "unwraps", "failures", "first_failure", "seconds"}: `count` keys, unwrapped by all threads together. */
void bench_load(const struct bench_args *args);
/* {"processes", "p50_ms", "resident_kib", "private_kib"} of `count` processes, each of which is one bench_find_once. */
void bench_cold_find(const struct bench_args *args);
void bench_find_once(const struct bench_args *args);
/* {"wrapped", "versions", "seconds"}: `count` keys, by turns under every RSA version, into --blobs. {"opened", "wrong", "versions", "seconds"}: all of them opened again. */
void bench_wrap(const struct bench_args *args);
void bench_restore(const struct bench_args *args);

#endif
