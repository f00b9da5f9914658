#include "finding.h"

static const struct {
    const char *name;
    enum kv_status status;
} levels[] = {
    [KV_LEVEL_OK] = { "ok", KV_OK },
    [KV_LEVEL_WARNING] = { "warning", KV_ATTENTION },
    [KV_LEVEL_UNKNOWN] = { "unknown", KV_UNKNOWN },
    [KV_LEVEL_CRITICAL] = { "critical", KV_CRITICAL },
};

void kv_finding_level(struct kv_findings *findings, enum kv_level level)
{
    kv_table_text(findings->table, levels[level].name);
    findings->found[level]++;
    if (level > findings->worst)
        findings->worst = level;
}

enum kv_status kv_findings_end(struct kv_tool *tool, struct kv_findings *findings, struct kv_error *err)
{
    KV_TRY(kv_common_print(tool, findings->table, err));
    if (findings->worst == KV_LEVEL_OK)
        return KV_OK;
    tool->findings = true;
    return kv_fail(err, levels[findings->worst].status, "%zu critical, %zu warnings, %zu unknown",
                   findings->found[KV_LEVEL_CRITICAL], findings->found[KV_LEVEL_WARNING],
                   findings->found[KV_LEVEL_UNKNOWN]);
}
