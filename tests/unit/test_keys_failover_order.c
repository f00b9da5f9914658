/* Who is asked first, and for how long: by tables, without a vault. */
#include "../../module/keys/failover.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void test_what_is_worth_asking_elsewhere(void **state)
{
    static const enum kv_status due[] = { KV_UNREACHABLE, KV_TLS,      KV_TIMED_OUT, KV_THROTTLED,
                                          KV_SERVER,      KV_PROTOCOL, KV_BLOCKED,   KV_NOT_FOUND };

    for (int status = 0; status < KV_STATUS_COUNT; status++) {
        bool is_due = false;

        for (size_t i = 0; i < COUNT(due); i++)
            is_due = is_due || (int)due[i] == status;
        if (kv_failover_is_due((enum kv_status)status) != is_due)
            fail_msg("%s", kv_status_name((enum kv_status)status));
    }
}

/* The letters of `places` are places as written down below; what is asked for is their order. */
static const struct {
    char letter;
    bool own, away, unknown;
    int64_t latency;
} letters[] = {
    { 'o', .own = true },
    { 'O', .own = true, .away = true },
    { 'f', .latency = 5 },
    { 's', .latency = 90 },
    { 'n' },
    { 'm' },
    { 'u', .unknown = true },
    { 'U', .unknown = true, .latency = 1 },
    { 'F', .away = true, .latency = 1 },
};

static struct kv_version *some = (struct kv_version *)"anything but NULL";

static struct kv_place place_of(char letter)
{
    for (size_t i = 0; i < COUNT(letters); i++)
        if (letters[i].letter == letter)
            return (struct kv_place){ .keyring = (struct kv_keyring *)&letters[i],
                                      .version = letters[i].unknown ? NULL : some,
                                      .own = letters[i].own,
                                      .away = letters[i].away,
                                      .latency_ms = letters[i].latency };
    fail_msg("no place '%c'", letter);
    return (struct kv_place){ 0 };
}

static void test_order(void **state)
{
    static const struct {
        const char *text, *places, *order;
    } rows[] = {
        { "the own vault, however quick another is", "of", "of" },
        { "unless it is away", "Of", "fO" },
        { "all away: the own one all the same", "OF", "OF" },
        { "the quicker of two", "osf", "ofs" },
        { "the quicker of two while the own one is away", "Osf", "fsO" },
        { "one that has answered before one that never did", "ons", "osn" },
        { "as configured where nothing is known", "onm", "onm" },
        { "as configured the other way round", "omn", "omn" },
        { "a known copy before one that is to be looked for, whatever its vault's speed", "oUs", "osU" },
        { "a place to look at before one that is away", "oFu", "ouF" },
        { "everything at once", "OFUusfnm", "fsnmUuOF" },
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct kv_place places[KV_FAILOVER_PLACES];
        size_t count = strlen(rows[i].places);
        char was[KV_FAILOVER_PLACES + 1] = "";

        for (size_t k = 0; k < count; k++)
            places[k] = place_of(rows[i].places[k]);
        kv_failover_sort(places, count);
        for (size_t k = 0; k < count; k++)
            was[k] = *(const char *)places[k].keyring;
        print_message("  %s\n", rows[i].text);
        assert_string_equal(was, rows[i].order);
    }
}

static void test_share(void **state)
{
    static const struct {
        int64_t left;
        size_t places;
        int64_t share;
    } rows[] = { { 30000, 1, 30000 }, { 30000, 2, 15000 }, { 30000, 3, 10000 },
                 { 15000, 1, 15000 }, { 0, 2, 0 },         { 1, 2, 0 } };

    for (size_t i = 0; i < COUNT(rows); i++)
        assert_int_equal(kv_failover_share(rows[i].left, rows[i].places), rows[i].share);
}

/* A life of one vault: at a time something happens, and it is away or not. */
enum { NOTE, LOOK, TRY };

static void test_reach(void **state)
{
    enum { PAUSE = 30000, SHARE = 15000 };
    static const struct {
        int64_t at;
        int what;
        enum kv_status status;
        bool yields; /* NOTE: it changed; LOOK: it is away; TRY: it may be asked */
        const char *text;
    } rows[] = {
        { 0, LOOK, 0, false, "nothing is known" },
        { 0, TRY, 0, true, "so it is asked" },
        { 10, NOTE, KV_OK, false, "it answers" },
        { 20, NOTE, KV_TIMED_OUT, true, "it hangs" },
        { 30, LOOK, 0, true, "and is away" },
        { 30, TRY, 0, false, "nobody asks it first" },
        { 1020, NOTE, KV_UNREACHABLE, false, "still: no news, but the pause begins anew" },
        { 30020, LOOK, 0, true, "so this is no end" },
        { 31020, LOOK, 0, false, "the pause is over" },
        { 31020, TRY, 0, true, "one caller goes and looks" },
        { 31021, TRY, 0, false, "another does not wait for what it finds" },
        { 31100, NOTE, KV_CANCELLED, false, "which was nothing" },
        { 46019, TRY, 0, false, "its time is not over" },
        { 46020, TRY, 0, true, "then the next one looks" },
        { 46100, NOTE, KV_DENIED, true, "a refusal is an answer" },
        { 46100, TRY, 0, true, "for all" },
        { 46100, TRY, 0, true, "of them" },
        { 46200, NOTE, KV_NOT_FOUND, false, "so is that a version is not there" },
        { 46200, LOOK, 0, false, "the vault is" },
        { 46300, NOTE, KV_CREDENTIAL, false, "no token: the vault was not asked" },
        { 46300, LOOK, 0, false, "and is there" },
        { 46400, NOTE, KV_THROTTLED, true, "too many" },
        { 46500, NOTE, KV_CREDENTIAL, false, "that says nothing of it either" },
        { 46500, LOOK, 0, true, "so it stays away" },
    };
    struct kv_reach reach = { 0 };

    for (size_t i = 0; i < COUNT(rows); i++) {
        bool yields = rows[i].what == NOTE   ? kv_reach_note(&reach, rows[i].status, 5, rows[i].at, PAUSE)
                      : rows[i].what == LOOK ? kv_reach_is_away(&reach, rows[i].at)
                                             : kv_reach_try(&reach, rows[i].at, SHARE);
        print_message("  %s\n", rows[i].text);
        assert_int_equal(yields, rows[i].yields);
    }
}

static void test_latency(void **state)
{
    static const struct {
        enum kv_status status;
        int64_t took, latency;
    } rows[] = {
        { KV_DENIED, 40, 0 }, { KV_OK, 100, 100 }, { KV_OK, 200, 125 },     { KV_TIMED_OUT, 9000, 125 },
        { KV_OK, 0, 93 },     { KV_OK, 93, 93 },   { KV_NOT_FOUND, 1, 93 },
    };
    struct kv_reach reach = { 0 }, quick = { 0 };

    for (size_t i = 0; i < COUNT(rows); i++) {
        kv_reach_note(&reach, rows[i].status, rows[i].took, 1000, 30000);
        assert_int_equal(reach.latency_ms, rows[i].latency);
    }
    kv_reach_note(&quick, KV_OK, 0, 1000, 30000); /* at once is not never */
    assert_int_equal(quick.latency_ms, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_worth_asking_elsewhere),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_share),
        cmocka_unit_test(test_reach),
        cmocka_unit_test(test_latency),
    };

    return cmocka_run_group_tests_name("keys/failover_order", tests, NULL, NULL);
}
