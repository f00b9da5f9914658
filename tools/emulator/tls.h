/* The emulator's own certificate authority and its server certificate, written as PEM files. Main thread, at start. */
#ifndef EM_TLS_H
#define EM_TLS_H

#include <stdbool.h>
#include <stddef.h>

struct em_tls {
    char *ca_file;           /* path of ca.pem */
    char *certificate, *key; /* the server's, PEM */
};

/* An authority already in the directory is reused; the server certificate is new at every start and covers the
 * standard names and `hosts`. False with a line for the user in ret_why. */
bool em_tls_prepare(const char *directory, const char *const *hosts, size_t count, struct em_tls *ret,
                    char ret_why[256]);
void em_tls_free(struct em_tls *tls);
/* Removes the files that em_tls_prepare wrote and the directory. */
void em_tls_remove(const char *directory);

#endif
