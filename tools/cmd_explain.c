/* kvp11 explain: which version is this, where, in what state; does it open now, and if not, why not and what mends it. For a person at 3 a.m.: short,
 * exact, complete. */
#include "explain/explain.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "keys/coverage.h"

const struct kv_option kv_cmd_explain_options[] = {
    { "--offline", NULL, "answer from the version map alone, without asking the vault" },
    { NULL, NULL, NULL },
};

static const struct kv_column columns[] = {
    { NULL, "form" },      { NULL, "recipient" }, { NULL, "opens" },       { NULL, "vault" },
    { NULL, "name" },      { NULL, "version" },   { NULL, "current" },     { NULL, "kid" },
    { NULL, "places" },    { NULL, "state" },     { NULL, "since" },       { NULL, "expires" },
    { NULL, "days_left" }, { NULL, "found" },     { NULL, "mend" },        { NULL, "wraps" },
    { NULL, "backups" },   { NULL, "sole" },      { NULL, "last_unwrap" },
};

struct explain {
    struct kv_tool *tool;
    const struct kv_subject *subject;
    struct kv_table *table; /* for programs; people get lines */
    bool offline, opens, others;
    size_t ours;
    struct kv_error first; /* why the first of ours does not open */
};

struct found {
    const struct kv_subject_part *part;
    struct kv_version *version;
    struct kv_verdict verdict;
    struct kv_map_location *places;
    size_t place_count;
    struct kv_map_dependants needed;
    int64_t wraps; /* of the ledger, that stand in none of these backups */
};

static void found_free(struct found *found)
{
    kv_version_free(found->version);
    kv_verdict_free(&found->verdict);
    free(found->places);
}

static enum kv_status line(struct explain *explain, const char *what, const char *text)
{
    return kv_spool_format(&explain->tool->out, "  %-9s %s\n", what, text);
}

/* --- for people --- */

static enum kv_status say_places(struct explain *explain, const struct found *found)
{
    for (size_t i = 0; i < found->place_count; i++)
        if (strcmp(found->places[i].kid, found->version->kid) != 0)
            KV_TRY(line(explain, "also at", found->places[i].kid));
    return KV_OK;
}

static enum kv_status say_needed(struct explain *explain, const struct found *found)
{
    char text[160];
    int64_t wraps = found->wraps, backups = found->needed.backups;
    if (!wraps && !backups)
        return KV_OK;
    snprintf(text, sizeof(text), "%" PRId64 " wrap%s of the ledger, %" PRId64 " backup%s", wraps,
             wraps == 1 ? "" : "s", backups, backups == 1 ? "" : "s");
    if (found->needed.sole)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), ", of which nothing else opens %" PRId64,
                 found->needed.sole);
    return line(explain, "needed by", text);
}

/* What is said without asking is as old as this. */
static enum kv_status say_heard(struct explain *explain, const struct found *found)
{
    char text[96] = "the vault was not asked; the map has this from elsewhere";
    if (!explain->offline)
        return KV_OK;
    if (found->version->seen) {
        memcpy(text, "the vault was not asked; last heard of ", 40);
        kv_clock_text(found->version->seen, text + 39);
    }
    return line(explain, "asked", text);
}

static enum kv_status say_version(struct explain *explain, const struct found *found)
{
    const struct kv_version *version = found->version;
    KV_AUTO_TEXT char *name = kv_text_format("%s/%s@%s%s", version->vault, version->name, version->version,
                                             version->current ? " (current)" : "");
    KV_AUTO_TEXT char *verdict =
        kv_text_format("%s%s", found->verdict.status == KV_OK ? "yes: it " : "no: it ",
                       found->verdict.found ? found->verdict.found : "");
    if (!name || !verdict)
        return KV_NO_MEMORY;
    KV_TRY(line(explain, "version", name));
    KV_TRY(line(explain, "at", version->kid));
    KV_TRY(say_places(explain, found));
    KV_TRY(line(explain, "opens", verdict));
    if (found->verdict.mend)
        KV_TRY(line(explain, "mend", found->verdict.mend));
    KV_TRY(say_heard(explain, found));
    return say_needed(explain, found);
}

static enum kv_status say(struct explain *explain, const struct found *found)
{
    if (explain->tool->json)
        return KV_OK;
    if (found->version)
        return say_version(explain, found);
    KV_TRY(line(explain, found->part->ours ? "unknown" : "or by", found->part->text));
    if (found->verdict.found)
        KV_TRY(line(explain, "opens", found->verdict.found));
    return found->verdict.mend ? line(explain, "mend", found->verdict.mend) : KV_OK;
}

/* --- for programs --- */

static struct kv_json *places_json(const struct found *found)
{
    struct kv_json *array = kv_json_array();
    for (size_t i = 0; i < found->place_count; i++)
        kv_json_append_text(array, found->places[i].kid);
    return array;
}

static void add_row(struct explain *explain, const struct found *found)
{
    struct kv_table *table = explain->table;
    const struct kv_version none = { 0 }, *version = found->version ? found->version : &none;
    bool known = found->version;
    kv_table_text(table, explain->subject->form);
    kv_table_text(table, found->part->text);
    if (known || found->part->ours)
        kv_table_bool(table, known && found->verdict.status == KV_OK);
    else
        kv_table_text(table, NULL);
    kv_table_text(table, version->vault);
    kv_table_text(table, version->name);
    kv_table_text(table, version->version);
    kv_table_bool(table, version->current);
    kv_table_text(table, version->kid);
    kv_table_json(table, places_json(found));
    kv_table_text(table, known ? kv_state_name(version->state) : NULL);
    kv_table_time(table, known ? found->verdict.since : 0);
    kv_table_time(table, version->exp);
    if (!known || found->verdict.days_left < 0)
        kv_table_text(table, NULL);
    else
        kv_table_int(table, found->verdict.days_left);
    kv_table_text(table, found->verdict.found);
    kv_table_text(table, found->verdict.mend);
    kv_table_int(table, found->wraps);
    kv_table_int(table, found->needed.backups);
    kv_table_int(table, found->needed.sole);
    kv_table_time(table, version->last_unwrap);
}

/* --- one of those who can open it --- */

static void keep_first(struct explain *explain, const struct found *found)
{
    const struct kv_version *version = found->version;
    if (explain->first.status != KV_OK)
        return;
    if (version)
        (void)!kv_fail(&explain->first, found->verdict.status, "version '%s/%s@%s' %s", version->vault,
                       version->name, version->version, found->verdict.found);
    else
        (void)!kv_fail(&explain->first, found->verdict.status, "%s", found->verdict.found);
}

static enum kv_status judge(struct explain *explain, struct found *found, struct kv_error *err)
{
    struct kv_tool *tool = explain->tool;
    const struct kv_clock *clock = kv_core_clock(tool->core);
    struct kv_explain_asked asked = { 0 };
    struct kv_verdict_input input = { .version = found->version,
                                      .now = clock->unix_seconds(clock),
                                      .is_file = found->part->ours && explain->subject->blob.bytes.len };
    if (!explain->offline)
        KV_TRY(kv_explain_ask(tool, &found->version, &asked, &input, err));
    found->verdict = kv_verdict_of(&input);
    if (!found->verdict.found)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    KV_TRY(
        kv_map_dependants(kv_core_map(tool->core), kv_map_key_of(found->version), true, &found->needed, err));
    KV_TRY(kv_map_wraps_left(kv_core_map(tool->core), found->version, &found->wraps, err));
    if (found->version->kind == KV_OCT)
        return KV_OK;
    return kv_map_locations(kv_core_map(tool->core), (struct kv_view){ found->version->spki_sha256, 32 },
                            &found->places, &found->place_count, err);
}

static enum kv_status nobody_knows(const struct explain *explain, struct found *found,
                                   const struct kv_error *why, struct kv_error *err)
{
    struct kv_verdict *verdict = &found->verdict;
    bool failed = why->status != KV_OK && why->status != KV_NOT_FOUND;
    verdict->days_left = -1;
    verdict->status = failed ? why->status : KV_NOT_FOUND;
    verdict->found = failed ? kv_text_format("nobody could be asked for it: %s", why->text)
                            : kv_text_format("no version map and no configured vault%s knows it",
                                             explain->offline ? " (not asked)" : "");
    verdict->mend = kv_text_copy(failed ? "kvp11 doctor"
                                        : "kvp11 map import FILE.kvmap, or add the vault that has it to the "
                                          "configuration and: kvp11 sync");
    return verdict->found && verdict->mend ? KV_OK : kv_fail(err, KV_NO_MEMORY, "out of memory");
}

static enum kv_status explain_ours(struct explain *explain, struct found *found, struct kv_error *err)
{
    struct kv_error why = { 0 };
    explain->ours++;
    if (!found->version) {
        enum kv_status status =
            kv_explain_find(explain->tool, found->part, !explain->offline, &found->version, &why);
        if (status != KV_OK) {
            *err = why;
            return status;
        }
    }
    if (found->version)
        KV_TRY(judge(explain, found, err));
    else
        KV_TRY(nobody_knows(explain, found, &why, err));
    explain->opens |= found->verdict.status == KV_OK;
    if (found->verdict.status != KV_OK)
        keep_first(explain, found);
    return KV_OK;
}

/* `version`: known already; taken over. */
static enum kv_status explain_part(struct explain *explain, const struct kv_subject_part *part,
                                   struct kv_version *version, struct kv_error *err)
{
    KV_CLEANUP(found_free) struct found found = { .part = part, .version = version };
    explain->others |= !part->ours;
    if (part->ours)
        KV_TRY(explain_ours(explain, &found, err));
    if (say(explain, &found) != KV_OK)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    add_row(explain, &found);
    return KV_OK;
}

static enum kv_status explain_blob(struct explain *explain, struct kv_error *err)
{
    struct kv_subject_part part = { .ours = true, .text = "the key that the ledger names" };
    struct kv_version *version = NULL;
    KV_TRY(kv_explain_blob(explain->tool, KV_VIEW(explain->subject->blob.bytes), &version, err));
    return explain_part(explain, &part, version, err);
}

static enum kv_status explain_all(struct explain *explain, struct kv_error *err)
{
    const struct kv_subject *subject = explain->subject;
    if (!explain->tool->json &&
        kv_spool_format(&explain->tool->out, "%s: %s", explain->tool->words[0], subject->form) != KV_OK)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    if (!explain->tool->json)
        KV_TRY(kv_spool_format(&explain->tool->out, subject->count > 1 ? " for %zu recipients\n" : "\n",
                               subject->count));
    if (!subject->count)
        return explain_blob(explain, err);
    for (int ours = 1; ours >= 0; ours--)
        for (size_t i = 0; i < subject->count; i++)
            if (subject->parts[i].ours == (ours == 1))
                KV_TRY(explain_part(explain, &subject->parts[i], NULL, err));
    return KV_OK;
}

static enum kv_status conclude(struct explain *explain, struct kv_error *err)
{
    struct kv_tool *tool = explain->tool;
    if (tool->json)
        KV_TRY(kv_common_print(tool, explain->table, err));
    tool->findings = true;
    if (explain->opens)
        return KV_OK;
    if (!explain->ours)
        return kv_fail(err, KV_NOT_FOUND, "'%s' is for no key of a vault", tool->words[0]);
    *err = explain->first;
    return explain->others ? kv_fail_in(err, err->status, "only another recipient opens it now")
                           : err->status;
}

enum kv_status kv_cmd_explain(struct kv_tool *tool, struct kv_error *err)
{
    KV_AUTO_SUBJECT struct kv_subject subject = { 0 };
    KV_AUTO_TABLE struct kv_table *table = kv_table_open(columns, sizeof(columns) / sizeof(columns[0]));
    if (!table)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    KV_TRY(kv_subject_read(tool->words[0], &subject, err));
    KV_TRY(kv_common_open_map(tool, err));
    struct explain explain = {
        .tool = tool, .subject = &subject, .table = table, .offline = kv_common_option(tool, "--offline")
    };
    KV_TRY(explain_all(&explain, err));
    return conclude(&explain, err);
}
