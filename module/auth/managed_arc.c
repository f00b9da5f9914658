#include "managed.h"

#include "base/file.h"

#include <string.h>
#include <strings.h>
#include <unistd.h>

#define AGENT    "/opt/azcmagent/bin/himds"
#define STANDARD "http://127.0.0.1:40342/metadata/identity/oauth2/token"

enum { KEY_MAX = 4096, PATH_ROOM = 512 };

static const char *missing(const struct kv_vault_config *config)
{
    if (config->identity_endpoint && config->arc_imds_endpoint)
        return NULL;
    return access(AGENT, F_OK) == 0
               ? NULL
               : "neither are IDENTITY_ENDPOINT and IMDS_ENDPOINT set, nor is the agent's '" AGENT
                 "' on this host";
}

static const char *endpoint(const struct kv_vault_config *config)
{
    return config->identity_endpoint ? config->identity_endpoint : STANDARD;
}

/* ---- the key: whoever can read this folder may speak for the machine, and the agent proves that it can write there ---- */

/* Basic realm=PATH, quoted or not. */
static bool read_realm(const struct kv_http_reply *reply, char *ret, size_t size)
{
    static const char start[] = "Basic realm=";
    for (size_t i = 0; i < reply->challenge_count; i++) {
        const char *line = reply->challenges[i];
        if (strncasecmp(line, start, sizeof start - 1) != 0)
            continue;
        line += sizeof start - 1;
        size_t len = strlen(line);
        if (len >= 2 && line[0] == '"' && line[len - 1] == '"') {
            line++;
            len -= 2;
        }
        if (len >= size)
            return false;
        memcpy(ret, line, len);
        ret[len] = 0;
        return true;
    }
    return false;
}

/* The file's name; NULL: it does not stand right in the folder, or is no key. */
static const char *name_of(const char *path, const char *folder)
{
    static const char suffix[] = ".key";
    size_t folder_len = strlen(folder), tail = sizeof suffix - 1;
    if (strncmp(path, folder, folder_len) != 0 || path[folder_len] != '/')
        return NULL;
    const char *name = path + folder_len + 1;
    size_t len = strlen(name);
    bool good = len > tail && name[0] != '.' && !strchr(name, '/') && strcmp(name + len - tail, suffix) == 0;
    return good ? name : NULL;
}

/* The agent is a user of its own, whose folder this is. */
static const struct kv_file_rule key_rule = { .service = true, .largest = KEY_MAX, .status = KV_CREDENTIAL };

static enum kv_status read_key(const char *path, const char *folder, struct kv_bytes *ret,
                               struct kv_error *err)
{
    if (!name_of(path, folder))
        return kv_fail(
            err, KV_CREDENTIAL,
            "Azure Arc's agent names the key file '%s', which is not a *.key right in '%s': what answers "
            "is not the agent",
            path, folder);
    enum kv_status status = kv_file_read(path, &key_rule, ret, err);
    if (status == KV_DENIED)
        return kv_fail(err, KV_CREDENTIAL,
                       "Azure Arc's key file '%s' may not be read: put this user into the group himds", path);
    if (status != KV_OK && status != KV_NO_MEMORY)
        return kv_fail_in(err, KV_CREDENTIAL, "Azure Arc's key file");
    return status;
}

/* "Basic KEY" */
static enum kv_status make_basic(const char *path, struct kv_view key, struct kv_buffer *ret,
                                 struct kv_error *err)
{
    key.len -= key.len && key.data[key.len - 1] == '\n';
    bool good = key.len > 0;
    for (size_t i = 0; good && i < key.len; i++)
        good = key.data[i] > ' ' && key.data[i] <= '~';
    if (!good)
        return kv_fail(err, KV_CREDENTIAL,
                       "Azure Arc's key file '%s' does not hold one word of at most %d bytes", path, KEY_MAX);
    return kv_buffer_format(ret, "Basic %.*s", (int)key.len, (const char *)key.data) == KV_OK
               ? KV_OK
               : kv_fail(err, KV_NO_MEMORY, "no memory for a token request");
}

/* ---- asking ---- */

static enum kv_status answer(const struct kv_managed_ask *ask, struct kv_managed_form *form,
                             struct kv_http_reply *ret, struct kv_error *err)
{
    char path[PATH_ROOM];
    KV_AUTO_BYTES struct kv_bytes key = { 0 };
    KV_AUTO_BUFFER struct kv_buffer basic = { 0 };
    if (!read_realm(ret, path, sizeof path))
        return kv_fail(err, KV_PROTOCOL, "'%s' names no key file: what answers is not Azure Arc's agent",
                       form->endpoint);
    KV_TRY(read_key(path, ask->key_folder, &key, err));
    KV_TRY(make_basic(path, KV_VIEW(key), &basic, err));
    kv_http_reply_free(ret);
    form->authorization = (const char *)basic.bytes.data;
    return kv_managed_send(ask, form, ret, err);
}

static enum kv_status send(const struct kv_managed_ask *ask, struct kv_http_reply *ret, struct kv_error *err)
{
    struct kv_managed_form form = { .endpoint = endpoint(ask->request->config),
                                    .api_version = "2020-06-01",
                                    .header = { "Metadata", "true" } };
    KV_AUTO_REPLY struct kv_http_reply reply = { 0 };
    KV_TRY(kv_managed_send(ask, &form, &reply, err));
    if (reply.status == 401)
        KV_TRY(answer(ask, &form, &reply, err));
    *ret = reply;
    reply = (struct kv_http_reply){ 0 };
    return KV_OK;
}

const struct kv_managed_source kv_managed_arc = {
    .name = "arc",
    .missing = missing,
    .endpoint = endpoint,
    .parameters = { "client_id", "object_id", "msi_res_id" },
    .echo = true,
    .ask = send,
};
