/* The file for Prometheus: labels whatever stands in them, families together, nothing in part. */
#include "../../tools/sync/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/kvp11-metrics-XXXXXX";
static char path[64];

static int setup(void **state)
{
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/k.prom", folder);
    return 0;
}

static int teardown(void **state)
{
    unlink(path);
    rmdir(folder);
    return 0;
}

static char *written(void)
{
    static char text[4 << 20];
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t len = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[len] = '\0';
    return text;
}

static void labels_are_escaped(void **state)
{
    struct kv_metrics *metrics = kv_metrics_open();
    assert_non_null(metrics);
    kv_metric_add(metrics, KV_METRIC_VAULT_UP, (const char *[]){ "a \"b\"\\\n{x=1}" }, 1);
    kv_metric_add(metrics, KV_METRIC_BACKUPS, NULL, INT64_MIN);
    kv_metric_add(metrics, KV_METRIC_VAULT_UP, (const char *[]){ "" }, 0);
    kv_metric_add(metrics, KV_METRIC_VERSION_STATE, (const char *[]){ "v", "k", "1", "enabled" }, 1);
    kv_metric_add(NULL, KV_METRIC_BACKUPS, NULL, 7);
    assert_int_equal(kv_metrics_write(metrics, path, NULL), KV_OK);
    kv_metrics_free(metrics);
    assert_string_equal(written(),
                        "# HELP kvp11_vault_up Whether the vault answered this sync.\n"
                        "# TYPE kvp11_vault_up gauge\n"
                        "kvp11_vault_up{vault=\"a \\\"b\\\"\\\\\\n{x=1}\"} 1\n"
                        "kvp11_vault_up{vault=\"\"} 0\n"
                        "# HELP kvp11_version_state 1 for the state of a version that is current, "
                        "needed, or not enabled.\n"
                        "# TYPE kvp11_version_state gauge\n"
                        "kvp11_version_state{vault=\"v\",key=\"k\",version=\"1\",state=\"enabled\"} 1\n"
                        "# HELP kvp11_backups Backups that are registered.\n"
                        "# TYPE kvp11_backups gauge\n"
                        "kvp11_backups -9223372036854775808\n");
    struct stat file;
    assert_int_equal(stat(path, &file), 0);
    assert_int_equal(file.st_mode & 0777, 0644);
}

static void too_many_are_counted(void **state)
{
    struct kv_metrics *metrics = kv_metrics_open();
    assert_non_null(metrics);
    for (int i = 0; i < KV_METRIC_MOST + 3; i++)
        kv_metric_add(metrics, KV_METRIC_KEY_VERSIONS, (const char *[]){ "v", "k" }, i);
    assert_int_equal(kv_metrics_write(metrics, path, NULL), KV_OK);
    kv_metrics_free(metrics);
    const char *text = written();
    assert_non_null(strstr(text, " 19999\n"));
    assert_null(strstr(text, " 20000\n"));
    assert_non_null(strstr(text, "kvp11_metrics_left_out{metric=\"kvp11_key_versions\"} 3\n"));
}

static void what_was_there_stays_when_it_fails(void **state)
{
    struct kv_error err = { 0 };
    struct kv_metrics *metrics = kv_metrics_open();
    assert_non_null(metrics);
    assert_int_equal(kv_metrics_write(metrics, "/nowhere/k.prom", &err), KV_IO);
    assert_non_null(strstr(err.text, "/nowhere/k.prom"));
    assert_int_equal(kv_metrics_write(metrics, path, NULL), KV_OK);
    assert_string_equal(written(), "");
    kv_metrics_free(metrics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_are_escaped),
        cmocka_unit_test(too_many_are_counted),
        cmocka_unit_test(what_was_there_stays_when_it_fails),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
