/* A vault of a few lines for the tests of the keys layer: it implements vault/vault.h from a table in memory, writes down every request, and fails
 * on demand. No network. The test owns the struct; one test at a time. */
#ifndef TESTS_UNIT_FAKE_VAULT_H
#define TESTS_UNIT_FAKE_VAULT_H

#include <pthread.h>
#include "keys/keyring.h"

enum { FAKE_KEYS = 64, FAKE_BLOBS = 16, FAKE_LOG = 8192 };

struct fake_key {
    const char *name, *version;
    int64_t created;
    enum kv_kind kind;
    bool disabled, gone; /* gone: as after a deletion */
    bool garbled;        /* its replies to operations are of no use */
    int64_t nbf, exp;
    int64_t updated;      /* 0: when it was created */
    unsigned operations;  /* 0: all */
    unsigned other_key;   /* shows another public key than before */
    const char *like;     /* has the public key of a version of this name; NULL: of its own */
    const char *in_place; /* answers for this version instead: a reply from elsewhere */
    bool managed;
    struct kv_view certificate; /* DER; empty: there is none */
    const char *platform;       /* hsmPlatform; NULL: not told */
    unsigned
        oct_bits; /* of a secret key whose size is not told: other algorithms are refused; 0: 256, and told */
};

struct fake_blob {
    struct kv_bytes bytes;
    const char *version;
};

enum fake_rotation { FAKE_ROTATES, FAKE_LOSES_REPLY, FAKE_LOSES_REQUEST };

struct kv_vault {
    struct fake_key keys[FAKE_KEYS];
    size_t count;
    struct fake_blob blobs[FAKE_BLOBS]; /* what opens under which version; anything else is bad data */
    size_t blob_count;
    const char *aad;       /* AES-GCM opens with this associated data alone; NULL: with none */
    size_t tag_len;        /* of what it seals; 0: 16, as it should */
    enum kv_status down;   /* every request fails like this */
    bool hangs;            /* an operation takes all the time it is given */
    int64_t left_ms;       /* that the last operation was given */
    bool elsewhere;        /* as its task said */
    const char *forbidden; /* GETs of this name are denied */
    bool no_list;          /* lists are denied */
    bool no_certificates;  /* GETs of certificates are denied */
    int64_t purge;         /* of every key that is gone: the date; 0: none is in soft delete */
    unsigned recovering;   /* of a key that was recovered: so many GETs still do not find it */
    bool loses_recovery;   /* a recovery is made, and its reply is lost */
    bool wrong_thumbprint;
    size_t requests_left; /* 0: no limit; else the requests after so many time out */
    size_t page_size;     /* 0: everything on one page; else pages with an empty one before each */
    unsigned random;      /* bytes given so far: each is its number */
    enum fake_rotation rotation;
    const char *also; /* another makes this version at the same time; NULL: nobody */
    unsigned rotated;
    bool is_taught;
    struct kv_challenge challenge;
    bool has_gate; /* GETs wait until the gate is opened */
    bool inside, open;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    char log[FAKE_LOG]; /* "GET kek, SIGN kek@a1" */
};

void fake_vault_init(struct kv_vault *vault);
void fake_vault_clear(struct kv_vault *vault); /* frees what was sealed */
/* Makes a blob that this version opens. */
void fake_vault_seals(struct kv_vault *vault, const char *version, struct kv_view blob);
void fake_vault_wait_inside(struct kv_vault *vault);
void fake_vault_open_gate(struct kv_vault *vault);
/* A modulus of 2048 bits, made of the version's name: odd, and good for nothing but being told apart. */
struct kv_bytes fake_vault_modulus(const char *version, unsigned variant);

#endif
