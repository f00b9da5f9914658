/* The command line of kvp11-emulator as a table: parser, --help and the manual page follow it. */
#ifndef EM_OPTIONS_H
#define EM_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

enum { EM_LIST_MAX = 64 };

struct em_list {
    const char *item[EM_LIST_MAX];
    int count;
};

struct em_options {
    const char *listen, *state, *tls_dir, *ready_file, *tenant, *imds_identity, *public_ops;
    const char *platform_secret, *arc_folder;
    int port, control_port, imds_port;
    int delete_latency, purge_latency, recover_latency, page_size, quota;
    bool page_holes, readonly, quiet, version, help;
    struct em_list vaults, hsms, identities;
};

/* False: *ret_why says in one line what is wrong. Texts point into argv. */
bool em_options_parse(int argc, char **argv, struct em_options *ret, char ret_why[256]);
void em_options_help(void);

#endif
