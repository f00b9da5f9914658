/* A configuration, from the file to its values. */
#include "fuzz.h"
#include "config/config.h"
#include "same_host.h"

#include <fcntl.h>
#include <unistd.h>

static char folder[64], path[96];
static int file = -1;

static void clear(void)
{
    unlink(path);
    rmdir(folder);
}

int LLVMFuzzerInitialize(int *count, char ***arguments)
{
    (void)count;
    (void)arguments;
    clearenv();
    snprintf(folder, sizeof folder, "/tmp/kvp11-fuzz-XXXXXX");
    MUST(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/kvp11.conf", folder);
    file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    MUST(file >= 0);
    atexit(clear);
    return 0;
}

static void check_vault(const struct kv_config *config, const struct kv_vault_config *vault)
{
    MUST(*vault->name && strlen(vault->name) <= 32);
    MUST(!strncmp(vault->url, "https://", 8));
    const char *port = strchr(vault->url + 8, ':');
    MUST(fuzz_goes_to(vault->url, vault->host, port ? port + 1 : "443"));
    MUST(vault->timeout_ms > 0 && vault->connect_timeout_ms > 0 && vault->max_connections > 0);
    const struct kv_setting_info *row;
    for (size_t i = 0; (row = kv_config_setting(i)); i++) {
        char *text = kv_config_value(config, strcmp(row->section, "vault") ? NULL : vault, row->name);
        MUST(text);
        kv_text_free(text);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kv_config *config = NULL;
    struct kv_error err = { 0 };
    struct kv_config_source source = { .path = path };
    MUST(ftruncate(file, 0) == 0 && pwrite(file, data, size, 0) == (ssize_t)size);
    if (kv_config_load(&source, &config, &err) != KV_OK) {
        MUST(err.text[0] && fuzz_is_line(err.text));
        return 0;
    }
    for (size_t i = 0; i < config->vault_count; i++)
        check_vault(config, &config->vaults[i]);
    kv_config_free(config);
    return 0;
}
