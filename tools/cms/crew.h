/* Pieces of a stream, which a crew of threads takes in order, works on side by side, and gives away in order: each member stays with its piece, so that the piece stays
 * with one core and its cache. */
#ifndef KV_TOOLS_CMS_CREW_H
#define KV_TOOLS_CMS_CREW_H

#include "algorithm.h"

enum { KV_CMS_PIECE = 1 << 18, KV_CMS_CREW_MAX = 4 /* what is done in order keeps no more of them busy */ };

struct kv_cms_piece {
    uint64_t number; /* from 0 on */
    unsigned char *data;
    size_t len;
    bool last;                          /* the short one, perhaps empty */
    unsigned char mark[KV_CMS_TAG_MAX]; /* the work's, for whoever gives it away */
};

struct kv_cms_crew {
    void *state;
    /* One at a time, in order: fills `to`; less than `room` only at the end. */
    enum kv_status (*read)(void *state, unsigned char *to, size_t room, size_t *ret, struct kv_error *err);
    /* Any thread, several at a time. NULL: there is nothing to do. */
    enum kv_status (*work)(void *state, struct kv_cms_piece *piece, struct kv_error *err);
    /* One at a time, in order, and nothing behind a piece that failed. */
    enum kv_status (*give)(void *state, struct kv_cms_piece *piece, struct kv_error *err);
    unsigned threads; /* 0: as many as there are cores */
};

/* The failure that comes first in the stream is the one that is told. Pieces are wiped. */
KV_MUST_USE enum kv_status kv_cms_crew_run(const struct kv_cms_crew *crew, struct kv_error *err);

#endif
