/* The type of the stanza by which a sidecar names its file. */
#ifndef KV_TOOLS_AGE_SIDECAR_MARK_H
#define KV_TOOLS_AGE_SIDECAR_MARK_H

#define KV_AGE_SIDECAR_MARK "kvp11-sidecar"

#endif
