/* The plugin's side of the age plugin protocol (C2SP age-plugin.md): its two state machines over two streams, and the commands below them. One thread. */
#ifndef KV_TOOLS_AGE_PLUGIN_H
#define KV_TOOLS_AGE_PLUGIN_H

#include <stdio.h>
#include "stanza.h"

struct kv_age_plugin {
    FILE *in, *out;
    /* What an "add-recipient" means; *ret belongs to the plugin. */
    enum kv_status (*recipient)(void *state, const char *text, struct kv_age_recipient *ret,
                                struct kv_error *err);
    void *state;                  /* of recipient */
    struct kv_age_recipient room; /* its stanzas come behind those of the recipients; without wrap: none do */
    struct kv_age_identity identity; /* what every identity of ours stands for; borrowed */
};

/* Wraps the client's file keys to all its recipients, or to none. KV_OK also when the client was told that it cannot be done; else the conversation itself broke. */
KV_MUST_USE enum kv_status kv_age_plugin_recipient(struct kv_age_plugin *plugin, struct kv_error *err);
/* Opens what it can. What cannot be opened is told by "msg", never by "error": age 1.1.1 and rage give up at an error, and go on to the user's other
 * identities (the break-glass key) without one. A header that is broken is an error, as the protocol wants it. */
KV_MUST_USE enum kv_status kv_age_plugin_identity(struct kv_age_plugin *plugin, struct kv_error *err);

/* --- plugin_talk.c: one command each way --- */
/* KV_IO: the client is gone. KV_BAD_DATA: no stanza. */
KV_MUST_USE enum kv_status kv_age_plugin_read(struct kv_age_plugin *plugin, struct kv_age_stanza *ret,
                                              struct kv_error *err);
KV_MUST_USE enum kv_status kv_age_plugin_done(struct kv_age_plugin *plugin, struct kv_error *err);
/* Sends a command and waits for its answer, which is "ok" (*ret_ok; may be NULL) or not. */
KV_MUST_USE enum kv_status kv_age_plugin_ask(struct kv_age_plugin *plugin,
                                             const struct kv_age_stanza *command, bool *ret_ok,
                                             struct kv_error *err);
/* The same for a command of words, with a text for a person as its body. `words` ends with NULL. */
KV_MUST_USE enum kv_status kv_age_plugin_tell(struct kv_age_plugin *plugin, const char *const *words,
                                              const char *text, struct kv_error *err);

#endif
