#include "managed.h"

#include "base/encode.h"

static char *make_query(const struct kv_managed_ask *ask, const struct kv_managed_form *form)
{
    KV_AUTO_TEXT char *resource = kv_encode_percent(ask->resource),
                      *id = kv_encode_percent(ask->id ? ask->id : "");
    if (!resource || !id)
        return NULL;
    if (!form->api_version)
        return kv_text_format("resource=%s", resource);
    return kv_text_format("?api-version=%s&resource=%s%s%s%s%s", form->api_version, resource, *id ? "&" : "",
                          *id ? ask->parameter : "", *id ? "=" : "", id);
}

static void add_header(struct kv_http_request *request, const char *name, const char *value)
{
    size_t i = 0;
    while (request->headers[i].name)
        i++;
    if (value)
        request->headers[i] = (struct kv_http_header){ name, value };
}

enum kv_status kv_managed_send(const struct kv_managed_ask *ask, const struct kv_managed_form *form,
                               struct kv_http_reply *ret, struct kv_error *err)
{
    bool post = !form->api_version;
    KV_AUTO_TEXT char *query = make_query(ask, form);
    KV_AUTO_TEXT char *url = query ? kv_text_format("%s%s", form->endpoint, post ? "" : query) : NULL;
    if (!url)
        return kv_fail(err, KV_NO_MEMORY, "no memory for a token request");
    struct kv_http_request request = {
        .method = post ? "POST" : "GET",
        .url = url,
        .headers = { { "Accept", "application/json" }, form->header },
        .body = kv_view_text(post ? query : NULL),
        .link_local = true,
        .connect_timeout_ms = form->connect_timeout_ms,
        .pin_sha1 = form->pin_sha1,
    };
    add_header(&request, "Content-Type", post ? "application/x-www-form-urlencoded" : NULL);
    add_header(&request, "Authorization", form->authorization);
    struct kv_oauth_send send = { .http = ask->request->http,
                                  .request = &request,
                                  .task = ask->request->task,
                                  .repeat = form->repeat,
                                  .gone_ms = form->gone_ms,
                                  .absent = form->absent };
    return kv_oauth_send(&send, ret, err);
}
