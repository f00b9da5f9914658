/* Lists in pages (contract §6): keys by name, versions by id, deleted keys by name. The position in a skiptoken is the
 * last thing shown, so that keys may come and go between two pages. */
#include <stdlib.h>
#include <string.h>
#include "document.h"
#include "handlers.h"

struct page {
    char *after;     /* the last name or id of the page before, "" at the start */
    bool hole_shown; /* the empty page before this one was sent */
    size_t most;
    json_t *items;
    const char *last; /* the last one on this page, when there are more; else NULL */
};

/* "1name": digit tells whether the hole was shown. */
static char *token_make(bool hole_shown, const char *after)
{
    AUTO_TEXT text = em_format("%d%s", hole_shown, after);
    return em_base64url((const unsigned char *)text, strlen(text));
}

static bool page_open(struct em_call *call, struct page *page)
{
    const char *token = em_request_parameter(call->request, "$skiptoken");
    const char *most = em_request_parameter(call->request, "maxresults");
    AUTO_BLOB bytes = { 0 };
    long number = most ? strtol(most, NULL, 10) : 0;
    if (most && (number < 1 || number > 25))
        return em_call_fail(call, EM_BAD_MAXRESULTS, most);
    if (token && (!em_unbase64url(token, &bytes) || !bytes.len))
        return em_call_fail(call, EM_PROPERTY_BAD, "$skiptoken");
    size_t size = (size_t)call->world->settings.value[EM_PAGE_SIZE];
    page->most = number && (size_t)number < size ? (size_t)number : size;
    page->hole_shown = token && bytes.data[0] == '1';
    page->after = token ? em_format("%.*s", (int)bytes.len - 1, (char *)bytes.data + 1) : em_copy("");
    page->items = em_json(json_array());
    return true;
}

static bool is_hole(const struct em_call *call, const struct page *page)
{
    return call->world->settings.value[EM_PAGE_HOLES] && !page->hole_shown;
}

/* The item goes on the page unless it is full; false: full, there are more. */
static bool page_add(struct page *page, const char *shown, json_t *(*make)(void *), void *context)
{
    if (json_array_size(page->items) == page->most)
        return false;
    json_array_append_new(page->items, make(context));
    page->last = shown;
    return true;
}

static bool page_close(struct em_call *call, struct page *page, bool more)
{
    bool hole = is_hole(call, page);
    const char *maxresults = em_request_parameter(call->request, "maxresults");
    const char *host = call->base + strlen("https://");
    json_t *list = em_json(json_pack("{s:o}", "value", page->items));
    if (hole || more) {
        AUTO_TEXT token = token_make(hole, hole ? page->after : page->last);
        /* nextLink always names the port, the default one too; a kid does not (contract §2.2). */
        AUTO_TEXT link = em_format("https://%s%s%s?api-version=%s&$skiptoken=%s%s%s", host,
                                   strchr(host, ':') ? "" : ":443", call->request->path,
                                   em_request_parameter(call->request, "api-version"), token,
                                   maxresults ? "&maxresults=" : "", maxresults ? maxresults : "");
        json_object_set_new(list, "nextLink", em_json(json_string(link)));
    } else if (!call->vault->hsm) {
        json_object_set_new(list, "nextLink", json_null());
    }
    free(page->after);
    em_call_json(call, list);
    return true;
}

struct subject {
    const struct em_call *call;
    const struct em_key *key;
    const struct em_version *version;
};

static json_t *make_key(void *context)
{
    const struct subject *subject = context;
    return em_document_item(subject->call, subject->key, subject->version, false);
}

static json_t *make_version(void *context)
{
    const struct subject *subject = context;
    return em_document_item(subject->call, subject->key, subject->version, true);
}

static json_t *make_deleted(void *context)
{
    const struct subject *subject = context;
    return em_document_deleted(subject->call, subject->key,
                               em_document_item(subject->call, subject->key, subject->version, false));
}

static json_t *make_certificate(void *context)
{
    const struct subject *subject = context;
    return em_document_certificate_item(subject->call, subject->key, subject->version, false);
}

static json_t *make_certificate_version(void *context)
{
    const struct subject *subject = context;
    return em_document_certificate_item(subject->call, subject->key, subject->version, true);
}

static bool list_by_name(struct em_call *call, enum em_state state, json_t *(*make)(void *))
{
    struct page page = { 0 };
    bool more = false;
    if (!page_open(call, &page))
        return false;
    READ_STORE(&call->world->store);
    const struct em_vault *vault = call->vault;
    size_t at = *page.after ? em_store_position(vault, page.after, true) : 0;
    for (; at < vault->count && !is_hole(call, &page) && !more; at++) {
        const struct em_key *key = vault->keys[at];
        if (em_key_state(key, call->now_ms) == state && (key->certificate || !call->certificate))
            more = !page_add(&page, key->name, make, &(struct subject){ call, key, key->latest });
    }
    return page_close(call, &page, more);
}

bool em_list_keys(struct em_call *call)
{
    return list_by_name(call, EM_LIVE, make_key);
}

bool em_list_deleted(struct em_call *call)
{
    return list_by_name(call, EM_DELETED, make_deleted);
}

bool em_list_certificates(struct em_call *call)
{
    return list_by_name(call, EM_LIVE, make_certificate);
}

static bool list_versions(struct em_call *call, json_t *(*make)(void *))
{
    struct page page = { 0 };
    bool more = false;
    if (!page_open(call, &page))
        return false;
    READ_STORE(&call->world->store);
    const struct em_key *key = em_store_live(call->vault, call->name, call->now_ms);
    if (key && call->certificate && !key->certificate)
        key = NULL;
    for (size_t i = 0; key && i < key->count && !is_hole(call, &page) && !more; i++) {
        const struct em_version *version = key->versions[i];
        if (strcmp(version->id, page.after) > 0)
            more = !page_add(&page, version->id, make, &(struct subject){ call, key, version });
    }
    return page_close(call, &page, more);
}

bool em_list_versions(struct em_call *call)
{
    return list_versions(call, make_version);
}

bool em_list_certificate_versions(struct em_call *call)
{
    return list_versions(call, make_certificate_version);
}
