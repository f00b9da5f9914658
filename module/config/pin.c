#include "settings.h"

#include <string.h>

/* By enum kv_pin: the credential that the PIN belongs to, the setting in whose place it comes, and the file that would else hold it. A setting that
 * this release does not have is passed over. */
static const struct {
    const char *credential, *setting, *file;
} pins[] = {
    [KV_PIN_CLIENT_SECRET] = { "client-secret", "client_secret", "client_secret_file" },
    [KV_PIN_PKCS12_PASSWORD] = { "client-certificate", "client_certificate_password",
                                 "client_certificate_password_file" },
};

static void put(const char *name, char *value, struct kv_vault_config *ret)
{
    const struct kv_setting *row = kv_setting_find(name);

    if (row)
        *(char **)((char *)ret + row->offset) = value;
}

void kv_config_put_pin(const struct kv_vault_config *vault, char *pin, struct kv_vault_config *ret)
{
    *ret = *vault;
    if (!vault->pin)
        return;
    put(pins[vault->pin].setting, pin, ret);
    put(pins[vault->pin].file, NULL, ret);
}

bool kv_setting_is_pin(const struct kv_vault_config *vault, const char *name)
{
    return vault->pin && (!strcmp(name, pins[vault->pin].setting) || !strcmp(name, pins[vault->pin].file));
}

/* With another credential, or with a chain, nobody would ever look at the PIN, and any would be right. */
enum kv_status kv_setting_check_pin(const struct kv_vault_config *vault, const char *origin,
                                    struct kv_error *err)
{
    if (!vault->pin || !strcmp(vault->credential, pins[vault->pin].credential))
        return KV_OK;
    const struct kv_setting *row = kv_setting_find("pin");
    KV_AUTO_TEXT char *word = kv_setting_text(row, vault);
    return kv_fail(err, KV_CONFIG, "%s: pin = %s goes with credential = %s: [%s] has credential = %s", origin,
                   word ? word : "…", pins[vault->pin].credential, vault->name, vault->credential);
}
