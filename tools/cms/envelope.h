/* What stands before and behind the content of an envelope: EnvelopedData (RFC 5652 §6) and AuthEnvelopedData (RFC 5083). Nothing here is authenticated
 * but what the content's tag says about the attributes. One thread. */
#ifndef KV_TOOLS_CMS_ENVELOPE_H
#define KV_TOOLS_CMS_ENVELOPE_H

#include "algorithm.h"
#include "ber.h"

enum { KV_CMS_RECIPIENTS_MAX = 256, KV_CMS_HEADER_MAX = 1 << 20, KV_CMS_ATTRIBUTES_MAX = 1 << 20 };

/* One of those who can open it. Views are inside `whole`, which only key transport has. */
struct kv_cms_recipient {
    struct kv_bytes whole;
    unsigned char kind; /* its identifier: KV_BER_SEQUENCE is key transport, and only that has what follows */
    struct kv_view key_id;         /* the subject key identifier, or empty and then: */
    struct kv_view issuer, serial; /* whole DER elements */
    struct kv_view algorithm;      /* contents of its AlgorithmIdentifier */
    struct kv_view key;            /* the encrypted key */
};

struct kv_cms_envelope {
    bool authenticated; /* AuthEnvelopedData */
    bool is_data; /* the content is plain data; else the tag must cover attributes that say what it is */
    struct kv_cms_recipient *recipients;
    size_t recipient_count;
    struct kv_cms_content content;
    /* After the content: */
    struct kv_bytes attributes; /* the authenticated ones as the tag covers them, DER SET OF; empty: none */
    struct kv_bytes tag;
};
void kv_cms_envelope_free(struct kv_cms_envelope *envelope); /* contents */
#define KV_AUTO_CMS_ENVELOPE KV_CLEANUP(kv_cms_envelope_free)

/* From the first byte of the input, PEM and S/MIME as well, up to the first byte of the content, which kv_ber_stream_read gives then. KV_BAD_DATA, KV_UNSUPPORTED, KV_IO. */
KV_MUST_USE enum kv_status kv_cms_envelope_head(struct kv_ber *ber, struct kv_cms_envelope *ret,
                                                struct kv_error *err);
/* From the last byte of the content to the end of the input; fills attributes and tag anew. */
KV_MUST_USE enum kv_status kv_cms_envelope_tail(struct kv_ber *ber, struct kv_cms_envelope *envelope,
                                                struct kv_error *err);

#endif
