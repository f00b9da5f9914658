/* Which version has which certificate, at what price in requests, and what is remembered of it. */
#include "keyring_help.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include "base/encode.h"

enum { HAS = 8 };

/* The versions of the vault and their certificates: "kek:cn=kek kek@a1:-" */
static char *certified(struct world *world, bool ask, char *ret, size_t size)
{
    struct kv_version_list list = { 0 };
    struct kv_certificate *certificates[HAS] = { NULL };
    struct kv_task task = world_task(world);
    struct kv_keyring_query everything = { 0 };

    assert_int_equal(kv_keyring_find(world->keyring, &everything, &task, &list, NULL, NULL), KV_OK);
    assert_in_range(list.count, 0, HAS);
    world->vault.log[0] = '\0';
    assert_int_equal(kv_keyring_certificates(world->keyring, &list, ask, &task, certificates), KV_OK);
    ret[0] = '\0';
    for (size_t i = 0; i < list.count; i++) {
        size_t len = strlen(ret);
        snprintf(ret + len, size - len, "%s%s:%s", i ? " " : "", list.items[i]->label,
                 certificates[i] ? certificates[i]->name : "-");
        if (certificates[i])
            assert_true(kv_certificate_is_of(certificates[i], list.items[i]));
        kv_certificate_free(certificates[i]);
    }
    kv_version_list_free(&list);
    return ret;
}

#define assert_certified(world, ask, should)                                                                 \
    do {                                                                                                     \
        char certified_found[512];                                                                           \
        assert_string_equal(certified(world, ask, certified_found, sizeof(certified_found)), should);        \
    } while (0)

/* A certificate for the public key of a version, with a subject of its own. */
static struct kv_bytes issue(struct world *world, const char *name, const char *version, const char *subject,
                             int64_t since)
{
    struct kv_version *row = NULL;
    struct kv_task task = world_task(world);
    struct kv_bytes der = { 0 };

    assert_int_equal(kv_keyring_version(world->keyring, name, version, &task, &row, NULL), KV_OK);
    const struct kv_x509_draft draft = { .name = subject,
                                         .spki = KV_VIEW(row->spki),
                                         .id = { row->id, KV_ID_SIZE },
                                         .operations = KV_OP_SIGN,
                                         .created = since };
    assert_int_equal(kv_x509_container(&draft, &der, NULL), KV_OK);
    kv_version_free(row);
    return der;
}

/* Two versions of "tls" that back a certificate, of which the older one was lost; one of "plain" that backs none. */
static void backing(struct world *world, struct kv_bytes *ret_der)
{
    world_key(world, "tls", "a1", 1000)->managed = true;
    struct fake_key *current = world_key(world, "tls", "a2", 2000);
    world_key(world, "plain", "b1", 1500);
    current->managed = true;
    *ret_der = issue(world, "tls", "a2", "from the vault", 1000);
    current->certificate = KV_VIEW(*ret_der);
}

/* --- from the vault --- */

static void a_version_is_asked_for_once(void **state)
{
    struct world *world = *state;
    KV_AUTO_BYTES struct kv_bytes der = { 0 };

    backing(world, &der);
    assert_certified(world, false, "plain:- tls:- tls@a1:-");
    assert_requests(world, "");
    assert_certified(world, true, "plain:- tls:from the vault tls@a1:-");
    assert_requests(world, "CERTIFICATE tls@a2, CERTIFICATE tls@a1");
    assert_certified(world, true, "plain:- tls:from the vault tls@a1:-");
    assert_requests(world, "");
    world_restart(world);
    assert_certified(world, true, "plain:- tls:from the vault tls@a1:-");
    assert_requests(world, "");
}

static void that_there_is_none_is_believed_for_a_while(void **state)
{
    struct world *world = *state;
    KV_AUTO_BYTES struct kv_bytes der = { 0 };

    backing(world, &der);
    assert_certified(world, true, "plain:- tls:from the vault tls@a1:-");
    clock_seconds += 301;
    assert_certified(world, true, "plain:- tls:from the vault tls@a1:-");
    assert_requests(world, "CERTIFICATE tls@a1");
    KV_AUTO_BYTES struct kv_bytes late = issue(world, "tls", "a1", "late", 1000);
    world->vault.keys[0].certificate = KV_VIEW(late);
    clock_seconds += 301;
    assert_certified(world, true, "plain:- tls:from the vault tls@a1:late");
    world->vault.keys[0].certificate = (struct kv_view){ NULL, 0 };
    clock_seconds += 3000;
    assert_certified(world, true, "plain:- tls:from the vault tls@a1:late");
    assert_requests(world, "");
}

static void without_permission_there_are_none(void **state)
{
    struct world *world = *state;
    KV_AUTO_BYTES struct kv_bytes der = { 0 };

    backing(world, &der);
    world->vault.no_certificates = true;
    assert_certified(world, true, "plain:- tls:- tls@a1:-");
    assert_requests(world, "CERTIFICATE tls@a2, CERTIFICATE tls@a1");
    assert_certified(world, true, "plain:- tls:- tls@a1:-");
    assert_requests(world, "");
    clock_seconds += 301;
    world->vault.no_certificates = false;
    assert_certified(world, true, "plain:- tls:from the vault tls@a1:-");
}

/* After four refusals and no answer the others are not asked for, nor again soon. */
static void a_vault_that_refuses_is_left_alone(void **state)
{
    static const char *const names[] = { "k1", "k2", "k3", "k4", "k5", "k6", "k7" };
    struct world *world = *state;

    for (size_t i = 0; i < 7; i++)
        world_key(world, names[i], "a1", 1000)->managed = true;
    world->vault.no_certificates = true;
    assert_certified(world, true, "k1:- k2:- k3:- k4:- k5:- k6:- k7:-");
    assert_requests(world, "CERTIFICATE k1@a1, CERTIFICATE k2@a1, CERTIFICATE k3@a1, CERTIFICATE k4@a1");
    world_restart(world);
    assert_certified(world, true, "k1:- k2:- k3:- k4:- k5:- k6:- k7:-");
    assert_requests(world, "");
    clock_seconds += 301;
    assert_certified(world, true, "k1:- k2:- k3:- k4:- k5:- k6:- k7:-");
    assert_requests(world, "CERTIFICATE k1@a1, CERTIFICATE k2@a1, CERTIFICATE k3@a1, CERTIFICATE k4@a1");
}

static void a_vault_out_of_reach_leaves_what_is_known(void **state)
{
    struct world *world = *state;
    KV_AUTO_BYTES struct kv_bytes der = { 0 };
    char found[512];

    backing(world, &der);
    assert_certified(world, false, "plain:- tls:- tls@a1:-");
    world->vault.down = KV_UNREACHABLE;
    assert_string_equal(certified(world, true, found, sizeof(found)), "plain:- tls:- tls@a1:-");
    assert_requests(world, "CERTIFICATE tls@a2"); /* the next would fail too */
    world->vault.down = KV_OK;
    world_restart(world);
    assert_certified(world, true, "plain:- tls:from the vault tls@a1:-");
    assert_requests(world, "CERTIFICATE tls@a2, CERTIFICATE tls@a1");
}

static void what_is_not_of_this_key_is_refused(void **state)
{
    struct world *world = *state;
    KV_AUTO_BYTES struct kv_bytes der = { 0 };

    backing(world, &der);
    KV_AUTO_BYTES struct kv_bytes other = issue(world, "plain", "b1", "of another", 1000);
    world->vault.keys[0].certificate = KV_VIEW(other);
    world->vault.keys[1].certificate = kv_view_text("0no certificate");
    assert_certified(world, true, "plain:- tls:- tls@a1:-");
    clock_seconds += 301;
    world->vault.keys[1].certificate = KV_VIEW(der);
    world->vault.wrong_thumbprint = true;
    assert_certified(world, true, "plain:- tls:- tls@a1:-");
    clock_seconds += 301;
    world->vault.wrong_thumbprint = false;
    assert_certified(world, true, "plain:- tls:from the vault tls@a1:-");
}

static void the_settings_decide_whether_to_ask(void **state)
{
    struct world *world = *state;
    KV_AUTO_BYTES struct kv_bytes der = { 0 };

    backing(world, &der);
    world->config.certificates = KV_CERTIFICATES_NONE;
    assert_false(kv_keyring_certifies(world->keyring));
    assert_certified(world, true, "plain:- tls:- tls@a1:-");
    assert_requests(world, "");
    world->config.certificates = KV_CERTIFICATES_VAULT;
    world->config.managed_hsm = true;
    assert_false(kv_keyring_certifies(world->keyring));
    assert_certified(world, true, "plain:- tls:- tls@a1:-");
    assert_requests(world, "");
    world->config.managed_hsm = false;
    assert_true(kv_keyring_certifies(world->keyring));
}

/* One that is deleted in the vault keeps its certificate here, and is not asked for. */
static void a_deleted_version_keeps_its_certificate(void **state)
{
    struct world *world = *state;
    KV_AUTO_BYTES struct kv_bytes der = { 0 };

    backing(world, &der);
    assert_certified(world, true, "plain:- tls:from the vault tls@a1:-");
    world->vault.keys[0].gone = world->vault.keys[1].gone = true;
    clock_seconds += 301;
    assert_certified(world, true, "plain:- tls:from the vault tls@a1:-");
    assert_requests(world, "");
}

/* --- from a folder --- */

static void put_file(struct world *world, const char *name, struct kv_view text, mode_t mode)
{
    KV_AUTO_TEXT char *path = kv_text_format("%s/certificates/%s", world->folder, name);
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text.data, text.len), text.len);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static void use_folder(struct world *world)
{
    static char path[128];

    snprintf(path, sizeof(path), "%s/certificates", world->folder);
    assert_int_equal(mkdir(path, 0700), 0);
    world->config.certificate_folder = path;
    clock_seconds = time(NULL); /* the folder's own clock: what changed just now is looked at again */
    world_restart(world);
}

static void a_folder_is_matched_by_public_key(void **state)
{
    struct world *world = *state;

    fill(world);
    use_folder(world);
    assert_certified(world, true, "kek:- kek@a1:- sig:-");
    KV_AUTO_BYTES struct kv_bytes old = issue(world, "kek", "a1", "old", 1000),
                                  older = issue(world, "kek", "a1", "older", 900),
                                  of_sig = issue(world, "sig", "b1", "signer", 1000);
    KV_AUTO_TEXT char *letters = kv_encode_base64(KV_VIEW(of_sig));
    KV_AUTO_TEXT char *pem =
        kv_text_format("-----BEGIN CERTIFICATE-----\n%s\n-----END CERTIFICATE-----\nrubbish\n", letters);
    put_file(world, "a.der", KV_VIEW(older), 0644);
    put_file(world, "b.CRT", KV_VIEW(old), 0644);
    put_file(world, "sig.pem", kv_view_text(pem), 0644);
    put_file(world, "again.cer", KV_VIEW(of_sig), 0644);
    put_file(world, "broken.pem", kv_view_text("no certificate at all"), 0644);
    put_file(world, "empty.der", (struct kv_view){ NULL, 0 }, 0644);
    put_file(world, "notes.txt", KV_VIEW(of_sig), 0644);
    assert_certified(world, false, "kek:- kek@a1:old sig:signer");
    assert_requests(world, "");
}

static void what_others_can_write_is_left_out(void **state)
{
    struct world *world = *state;

    fill(world);
    use_folder(world);
    KV_AUTO_BYTES struct kv_bytes der = issue(world, "sig", "b1", "signer", 1000);
    put_file(world, "a.der", KV_VIEW(der), 0664);
    assert_certified(world, true, "kek:- kek@a1:- sig:-");
    put_file(world, "b.der", KV_VIEW(der), 0644);
    assert_certified(world, true, "kek:- kek@a1:- sig:signer");
    assert_int_equal(chmod(world->config.certificate_folder, 0777), 0);
    assert_certified(world, true, "kek:- kek@a1:- sig:-");
    assert_int_equal(chmod(world->config.certificate_folder, 0755), 0);
    assert_certified(world, true, "kek:- kek@a1:- sig:signer");
    KV_AUTO_TEXT char *path = kv_text_format("%s/certificates/b.der", world->folder);
    assert_int_equal(unlink(path), 0);
    assert_certified(world, true, "kek:- kek@a1:- sig:-");
}

static void the_vault_goes_before_the_folder(void **state)
{
    struct world *world = *state;
    KV_AUTO_BYTES struct kv_bytes der = { 0 };

    backing(world, &der);
    use_folder(world);
    KV_AUTO_BYTES struct kv_bytes mine = issue(world, "tls", "a2", "from the folder", 1000),
                                  old = issue(world, "tls", "a1", "old from the folder", 1000);
    put_file(world, "a.der", KV_VIEW(mine), 0644);
    put_file(world, "b.der", KV_VIEW(old), 0644);
    assert_certified(world, false, "plain:- tls:from the folder tls@a1:old from the folder");
    assert_certified(world, true, "plain:- tls:from the vault tls@a1:old from the folder");
    assert_certified(world, false, "plain:- tls:from the vault tls@a1:old from the folder");
}

/* --- made here --- */

/* The fake vault's signatures are wrong, so they are not kept: what stays is the container. */
static void a_wrong_signature_is_not_kept(void **state)
{
    struct world *world = *state;

    fill(world);
    world->config.self_signed = true;
    assert_certified(world, false, "kek:- kek@a1:- sig:-");
    assert_requests(world, "");
    assert_certified(world, true, "kek:kek kek@a1:kek sig:sig");
    assert_requests(world, "SIGN kek@a2, SIGN kek@a1, SIGN sig@b1");
    assert_certified(world, false, "kek:kek kek@a1:kek sig:sig");
    world_restart(world);
    assert_certified(world, true, "kek:kek kek@a1:kek sig:sig");
    assert_requests(world, "");
}

static void a_key_that_cannot_sign_gets_a_container(void **state)
{
    struct world *world = *state;

    world_key(world, "kek", "a1", 1000)->operations = KV_OP_UNWRAP | KV_OP_WRAP;
    world_key(world, "off", "b1", 1000)->disabled = true;
    world_key(world, "past", "c1", 1000)->exp = 2000;
    world_key(world, "secret", "d1", 1000)->kind = KV_OCT;
    world->config.self_signed = true;
    assert_certified(world, true, "kek:kek off:off past:past secret:-");
    assert_requests(world, "");
}

/* Where nothing can be kept nothing is signed: the container is the same in the next process. */
static void without_a_lasting_map_nothing_is_signed(void **state)
{
    struct world *world = *state;
    struct kv_task task = world_task(world);
    struct kv_certificate *first[2] = { NULL };

    fill(world);
    world->config.self_signed = true;
    for (int i = 0; i < 2; i++) {
        snprintf(world->path, sizeof(world->path), "none");
        world_restart(world);
        assert_false(kv_map_lasts(world->map));
        struct kv_version *version = current(world, "sig");
        const struct kv_version_list one = { &version, 1 };
        assert_int_equal(kv_keyring_certificates(world->keyring, &one, false, &task, &first[i]), KV_OK);
        kv_version_free(version);
        assert_requests(world, "GET sig");
    }
    assert_true(kv_view_equal(KV_VIEW(first[0]->der), KV_VIEW(first[1]->der)));
    kv_certificate_free(first[0]);
    kv_certificate_free(first[1]);
}

static void none_is_made_while_the_vault_may_have_one(void **state)
{
    struct world *world = *state;
    KV_AUTO_BYTES struct kv_bytes der = { 0 };

    backing(world, &der);
    world->config.self_signed = true;
    assert_certified(world, false, "plain:- tls:- tls@a1:-");
    world->vault.down = KV_UNREACHABLE;
    assert_certified(world, true, "plain:- tls:- tls@a1:-");
    world->vault.down = KV_OK;
    world_restart(world);
    assert_certified(world, true, "plain:plain tls:from the vault tls@a1:tls");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_version_is_asked_for_once),
        TEST(that_there_is_none_is_believed_for_a_while),
        TEST(without_permission_there_are_none),
        TEST(a_vault_that_refuses_is_left_alone),
        TEST(a_vault_out_of_reach_leaves_what_is_known),
        TEST(what_is_not_of_this_key_is_refused),
        TEST(the_settings_decide_whether_to_ask),
        TEST(a_deleted_version_keeps_its_certificate),
        TEST(a_folder_is_matched_by_public_key),
        TEST(what_others_can_write_is_left_out),
        TEST(the_vault_goes_before_the_folder),
        TEST(a_wrong_signature_is_not_kept),
        TEST(a_key_that_cannot_sign_gets_a_container),
        TEST(without_a_lasting_map_nothing_is_signed),
        TEST(none_is_made_while_the_vault_may_have_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
