/* kvp11-emulator: a local Key Vault, Managed HSM, token endpoint and metadata service. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include "clock.h"
#include "control.h"
#include "dispatch.h"
#include "persist.h"
#include "throttle.h"
#include "tls.h"
#include "world.h"

struct ports {
    struct em_http *tls, *control, *imds;
};

static void ports_free(struct ports *ports)
{
    em_clock_stop();
    em_http_free(ports->tls);
    em_http_free(ports->control);
    em_http_free(ports->imds);
}

static void add_vaults(struct em_world *world)
{
    static const struct em_list default_vaults = { .item = { "prod", "dr" }, .count = 2 },
                                default_hsms = { .item = { "hsm" }, .count = 1 };
    const struct em_options *options = &world->options;
    const struct em_list *vaults = options->vaults.count ? &options->vaults : &default_vaults;
    const struct em_list *hsms = options->hsms.count ? &options->hsms : &default_hsms;
    char why[256];
    for (int i = 0; i < vaults->count; i++) {
        if (!em_store_add_vault(&world->store, vaults->item[i], false, why))
            em_die("%s", why);
        em_throttle_set(world->store.vaults[world->store.count - 1], options->quota, 0);
    }
    for (int i = 0; i < hsms->count; i++) {
        if (!em_store_add_vault(&world->store, hsms->item[i], true, why))
            em_die("%s", why);
    }
}

static void world_open(struct em_world *world)
{
    char why[256];
    em_settings_init(&world->settings, &world->options);
    em_store_init(&world->store);
    em_identities_init(&world->identities);
    em_faults_init(&world->faults);
    em_log_init(&world->log);
    add_vaults(world);
    if (!em_persist_load(&world->store, world->options.state, why) ||
        !em_signer_load(&world->signer, &world->store, why))
        em_die("%s", why);
    if (!em_identities_load(&world->identities, &world->store))
        em_die("'%s/identities.json' is not the emulator's; move it away", world->options.state);
    for (int i = 0; i < world->options.identities.count; i++) {
        if (!em_identities_add_text(&world->identities, world->options.identities.item[i], why))
            em_die("%s", why);
    }
}

static void world_close(struct em_world *world)
{
    em_signer_free(&world->signer);
    em_log_free(&world->log);
    em_faults_free(&world->faults);
    em_identities_free(&world->identities);
    em_store_free(&world->store);
    free(world->authority);
}

/* Given full host names; the standard ones are in every certificate. */
static struct em_tls make_certificates(const struct em_world *world, const char *directory)
{
    const char *hosts[EM_COUNT(world->store.vaults)];
    struct em_tls tls;
    char why[256];
    size_t count = 0;
    for (size_t i = 0; i < world->store.count; i++) {
        if (strchr(world->store.vaults[i]->name, '.'))
            hosts[count++] = world->store.vaults[i]->host;
    }
    if (!em_tls_prepare(directory, hosts, count, &tls, why))
        em_die("%s", why);
    return tls;
}

static struct em_http *bind_port(const struct em_http_setup *setup, int *ret_port)
{
    char why[256];
    struct em_http *http = em_http_bind(setup, why);
    if (!http)
        em_die("%s", why);
    *ret_port = em_http_port(http);
    return http;
}

static void ports_open(struct em_world *world, const struct em_tls *tls, struct ports *ports)
{
    const struct em_options *options = &world->options;
    char why[256];
    ports->tls = bind_port(&(struct em_http_setup){ options->listen, options->port, tls->certificate,
                                                    tls->key, em_dispatch_tls, world },
                           &world->port);
    ports->control = bind_port(&(struct em_http_setup){ options->listen, options->control_port, NULL, NULL,
                                                        em_control_handle, world },
                               &world->control_port);
    ports->imds = bind_port(
        &(struct em_http_setup){ options->listen, options->imds_port, NULL, NULL, em_dispatch_imds, world },
        &world->imds_port);
    world->authority = world->port == 443 ? em_copy("https://login.localhost")
                                          : em_format("https://login.localhost:%d", world->port);
    if (!em_http_start(ports->tls, why) || !em_http_start(ports->control, why) ||
        !em_http_start(ports->imds, why))
        em_die("%s", why);
}

static char *ready_text(const struct em_world *world, const char *ca_file)
{
    AUTO_JSON ready = em_json(json_object());
    AUTO_TEXT path = realpath(ca_file, NULL);
    json_t *vaults = em_json(json_object());
    for (size_t i = 0; i < world->store.count; i++) {
        const struct em_vault *vault = world->store.vaults[i];
        json_object_set_new(
            vaults, vault->name,
            json_sprintf(world->port == 443 ? "https://%s" : "https://%s:%d", vault->host, world->port));
    }
    json_object_set_new(ready, "pid", json_integer(getpid()));
    json_object_set_new(ready, "port", json_integer(world->port));
    json_object_set_new(ready, "control_port", json_integer(world->control_port));
    json_object_set_new(ready, "imds_port", json_integer(world->imds_port));
    json_object_set_new(ready, "ca_file", json_string(path ? path : ca_file));
    json_object_set_new(ready, "tenant", json_string(em_tenant(world)));
    json_object_set_new(ready, "authority", json_string(world->authority));
    json_object_set_new(ready, "imds", json_sprintf("http://127.0.0.1:%d", world->imds_port));
    json_object_set_new(ready, "control", json_sprintf("http://127.0.0.1:%d", world->control_port));
    json_object_set_new(ready, "vaults", vaults);
    AUTO_TEXT text = json_dumps(ready, JSON_COMPACT);
    return em_format("%s\n", text ? text : "");
}

static void announce(const struct em_world *world, const char *ca_file)
{
    AUTO_TEXT text = ready_text(world, ca_file);
    if (!world->options.ready_file) {
        fputs(text, stdout);
        fflush(stdout);
    } else if (!em_file_write(world->options.ready_file, text, 0644, false)) {
        em_die("cannot write '%s': %s", world->options.ready_file, strerror(errno));
    }
    if (!world->options.quiet)
        fprintf(stderr, "kvp11-emulator: ready on port %d, control on %d; state %s\n", world->port,
                world->control_port, world->options.state ? world->options.state : "in memory only");
}

static char *temporary_folder(void)
{
    const char *base = getenv("TMPDIR");
    char *folder = em_format("%s/kvp11-emulator-XXXXXX", base && *base ? base : "/tmp");
    if (!mkdtemp(folder))
        em_die("cannot make a folder like '%s': %s", folder, strerror(errno));
    return folder;
}

static void serve(struct em_world *world, const sigset_t *stop)
{
    struct ports ports = { 0 };
    int signal;
    const struct em_options *options = &world->options;
    AUTO_TEXT folder = options->tls_dir || options->state ? NULL : temporary_folder();
    const char *directory = folder ? folder : options->tls_dir ? options->tls_dir : options->state;
    struct em_tls tls = make_certificates(world, directory);
    ports_open(world, &tls, &ports);
    announce(world, tls.ca_file);
    while (sigwait(stop, &signal) != 0)
        continue;
    ports_free(&ports);
    em_tls_free(&tls);
    if (folder)
        em_tls_remove(folder);
}

int main(int argc, char **argv)
{
    static struct em_world world;
    char why[256];
    sigset_t stop;
    if (!em_options_parse(argc, argv, &world.options, why))
        em_die("%s", why);
    if (world.options.help) {
        em_options_help();
        return 0;
    }
    if (world.options.version) {
        puts("kvp11-emulator " KVP11_VERSION);
        return 0;
    }
    /* Blocked before any thread exists, so that only sigwait takes them. */
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    sigprocmask(SIG_BLOCK, &stop, NULL);
    signal(SIGPIPE, SIG_IGN);
    world_open(&world);
    serve(&world, &stop);
    world_close(&world);
    return 0;
}
