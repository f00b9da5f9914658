/* What else hands out the tokens of managed identities (contract §14.4), beside the metadata service on its port: App Service, Azure Machine
 * Learning, Cloud Shell and Azure Arc; and Service Fabric on the port with TLS. */
#include <pthread.h>
#include <string.h>
#include "entra.h"

#define KEY_FOLDER "/var/opt/azcmagent/tokens" /* as the client sees --arc-folder */

enum { KEY_DIGITS = 64 };

struct visit {
    struct em_world *world;
    const struct em_request *request;
    struct em_reply *reply;
};

struct service {
    const char *path, *method, *version; /* version NULL: a form tells the resource */
    const char *header;                  /* that must say --platform-secret; NULL: "Metadata: true" */
    const char *client;                  /* parameter that names an identity; NULL: none may be named */
    bool (*check)(struct visit *visit);  /* NULL: nothing more to ask; false after a refusal */
};

static bool refuse(struct visit *visit, int status, const char *text)
{
    em_reply_json(visit->reply, status,
                  em_json(json_pack("{s:i, s:s}", "statusCode", status, "message", text)));
    return false;
}

/* ---- Azure Arc: who can read the key may speak for the machine ---- */

static pthread_mutex_t key_lock = PTHREAD_MUTEX_INITIALIZER;
static char key[KEY_DIGITS + 1]; /* "": none was handed out */

static bool demand_key(struct visit *visit)
{
    const char *folder = visit->world->options.arc_folder;
    char guid[EM_GUID_SIZE];
    em_guid(guid);
    AUTO_TEXT path = em_format("%s/%s.key", folder ? folder : "", guid);
    AUTO_TEXT realm = em_format("Basic realm=%s/%s.key", KEY_FOLDER, guid);
    em_hex_random(key, KEY_DIGITS);
    key[KEY_DIGITS] = '\0';
    if (!folder || !em_file_write(path, key, 0640, false))
        return refuse(visit, 500, "there is no --arc-folder that can be written");
    refuse(visit, 401, "a key is wanted");
    em_reply_header(visit->reply, "WWW-Authenticate", realm);
    return false;
}

static bool check_key(struct visit *visit)
{
    const char *given = em_request_header(visit->request, "Authorization");
    pthread_mutex_lock(&key_lock);
    bool good = *key && given && em_starts(given, "Basic ") && strcmp(given + strlen("Basic "), key) == 0;
    if (!good)
        demand_key(visit);
    *key = good ? '\0' : *key; /* for one token */
    pthread_mutex_unlock(&key_lock);
    return good;
}

/* ---- all of them ---- */

static const struct service services[] = {
    { "/msi/token", "GET", "2019-08-01", "X-IDENTITY-HEADER", "client_id", NULL },
    { "/MSI/auth", "GET", "2017-09-01", "secret", "clientid", NULL },
    { "/oauth2/token", "POST", NULL, NULL, NULL, NULL },
    { "/arc/metadata/identity/oauth2/token", "GET", "2020-06-01", NULL, "client_id", check_key },
    { "/fabric/metadata/identity/oauth2/token", "GET", "2019-07-01-preview", "Secret", NULL, NULL },
};

static const struct service *find(const struct em_request *request)
{
    for (size_t i = 0; i < EM_COUNT(services); i++) {
        if (strcmp(services[i].path, request->path) == 0)
            return &services[i];
    }
    return NULL;
}

static bool check(struct visit *visit, const struct service *service)
{
    const struct em_request *request = visit->request;
    const char *version = em_request_parameter(request, "api-version");
    const char *header = em_request_header(request, service->header ? service->header : "Metadata");
    const char *wanted = service->header ? visit->world->options.platform_secret : "true";
    if (!em_same(service->method, request->method))
        return refuse(visit, 405, "another method is wanted");
    if (!header || strcmp(header, wanted) != 0)
        return refuse(visit, service->header ? 401 : 400,
                      "the header that proves the caller is missing or wrong");
    if (service->version && (!version || strcmp(version, service->version) != 0))
        return refuse(visit, 400, "this api-version is not known");
    return !service->check || service->check(visit);
}

static void grant(struct visit *visit, const struct service *service, const char *resource,
                  char ret_identity[128])
{
    const char *client = service->client ? em_request_parameter(visit->request, service->client) : NULL;
    if (!resource || !*resource) {
        refuse(visit, 400, "the resource is missing");
        return;
    }
    snprintf(ret_identity, 128, "%s", client ? client : visit->world->options.imds_identity);
    em_imds_grant(visit->world, visit->reply, ret_identity, resource);
    json_object_del(visit->reply->json, "expires_in"); /* only the metadata service tells the span */
}

bool em_machine_handle(struct em_world *world, const struct em_request *request, struct em_reply *reply,
                       char ret_identity[128])
{
    struct visit visit = { world, request, reply };
    const struct service *service = find(request);
    if (!service)
        return false;
    struct em_fields form = em_fields_parse(request->body ? request->body : "", true);
    if (check(&visit, service))
        grant(&visit, service,
              service->version ? em_request_parameter(request, "resource") : em_fields_get(&form, "resource"),
              ret_identity);
    em_fields_free(&form);
    return true;
}
