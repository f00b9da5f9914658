"""S12: what would keep a restore from working one day is told by the next `kvp11 sync`, in its rows, its exit status and its metrics, with the command that mends it; of a
healthy map nothing is."""
import base64
import datetime
import json
import stat

import exposition
from key_backup import backed_up
from kvtest import private_file
from map import backup_of, file_of, known, lines_of
from peers import openssl

METRICS = "kvp11.prom"


def synced(tool, code, *words, **options):
    """The rows that need somebody, and the metrics."""
    done = tool.run("--json", "sync", "--metrics", METRICS, *words, **options)
    assert done.returncode == code, f"exit {done.returncode} instead of {code}: {done.stdout.decode()}{done.stderr.decode()}"
    return [row for row in json.loads(done.stdout) if row["level"] != "ok"], exposition.read((tool.vault.dir / METRICS).read_text())


def told(metrics):
    """The findings that are not zero: {(kind, level): number}."""
    found = {(dict(labels)["kind"], dict(labels)["level"]): int(number) for (metric, labels), number in metrics.items() if metric == "kvp11_findings"}
    assert found, "the findings are told also where there are none"
    return {key: number for key, number in found.items() if number}


def value(metrics, metric, **labels):
    return metrics[metric, tuple(sorted(labels.items()))]


def one(rows, metrics, level, kind):
    """The only row there is; the metrics say the same."""
    assert [(row["level"], row["kind"]) for row in rows] == [(level, kind)], rows
    assert told(metrics) == {(kind, level): 1}, told(metrics)
    assert rows[0]["next"] and rows[0]["found"], rows
    return rows[0]


def needed(tool, name="k", **key):
    """A key of two versions, the older of which a backup needs; both."""
    versions = known(tool, name, **key)[name]
    lines = lines_of(tool.prints("map", "export"))
    tool.prints("map", "import", file_of(tool, "b.kvmap", [lines[0], *(line for line in lines if line.get("version") == versions[0]),
                                                           backup_of([line for line in lines if line.get("version") == versions[0]], "b1")]))
    return versions


def day(from_now):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=from_now)).strftime("%Y-%m-%d")


def tells_nothing_false(tool):
    """on a healthy map, with backups, a key backup, purge protection and a secret that ends one day, sync tells nothing, once and again, and after a rotation with its backup"""
    tool.vault.control("POST", "/settings", {"purge_protection": True})
    config = tool.vault.configure("healthy.conf", client_secret_expires=day(400))
    versions = needed(tool, kty="RSA", key_size=2048)
    backed_up(tool)
    for _ in range(2):
        rows, metrics = synced(tool, 0, config=config)
        assert rows == [] and told(metrics) == {}, (rows, told(metrics))
    tool.vault.rotate("k")
    tool.prints("keys", "--refresh")
    backed_up(tool)
    rows, metrics = synced(tool, 0, "--full", config=config)
    assert rows == [] and told(metrics) == {}, (rows, told(metrics))
    assert stat.S_IMODE((tool.vault.dir / METRICS).stat().st_mode) == 0o644 and not list(tool.vault.dir.glob(".kvp11-*"))
    wanted = {"vault_up": 1, "vault_purge_protection": 1, "key_versions_limit": 500}
    assert {name: value(metrics, f"kvp11_{name}", vault="prod") for name in wanted} == wanted
    assert value(metrics, "kvp11_key_versions", vault="prod", key="k") == 3 and value(metrics, "kvp11_versions", vault="prod", state="enabled") == 3
    old = {"vault": "prod", "key": "k", "version": versions[0]}
    assert value(metrics, "kvp11_version_dependents", **old) == 1 and value(metrics, "kvp11_version_state", state="enabled", **old) == 1
    assert value(metrics, "kvp11_key_backup_missing_versions", vault="prod", key="k") == 0
    assert value(metrics, "kvp11_credential_expiry_timestamp_seconds", vault="prod", credential="client-secret") > 0
    assert (value(metrics, "kvp11_backups"), value(metrics, "kvp11_backups_unreadable")) == (1, 0)
    run, success = value(metrics, "kvp11_sync_last_run_timestamp_seconds"), value(metrics, "kvp11_sync_last_success_timestamp_seconds", vault="prod")
    assert 0 <= success - run <= 5, (run, success)


def tells_a_disabled_version(tool):
    """a disabled version that a backup needs: critical, with its kid in the command; enabled again, all is well"""
    tool.vault.control("POST", "/clock", {"offset": -1000})  # long enough ago for a key to be passed over
    old, _ = needed(tool)
    synced(tool, 0)
    tool.vault.control("PATCH", f"/vaults/prod/keys/k/{old}", {"enabled": False})
    rows, metrics = synced(tool, 2)
    row = one(rows, metrics, "critical", "disabled")
    assert (row["version"], row["backups"]) == (f"k@{old}", 1) and row["next"].endswith(f"/keys/k/{old}'") and "--enabled true" in row["next"], row
    assert value(metrics, "kvp11_version_state", vault="prod", key="k", version=old, state="disabled") == 1
    tool.vault.control("PATCH", f"/vaults/prod/keys/k/{old}", {"enabled": True})
    rows, metrics = synced(tool, 0)
    assert told(metrics) == {}, rows


def tells_a_deleted_key(tool):
    """a key in soft delete: critical for what a backup needs, with the days left, the time of the purge as a metric, and the command, which is run"""
    old, new = needed(tool)
    tool.vault.control("POST", "/vaults/prod/keys/k/delete")
    rows, metrics = synced(tool, 2)
    assert {(row["level"], row["kind"], row["version"]) for row in rows} == {("critical", "deleted", f"k@{old}"), ("warning", "deleted", f"k@{new}")}, rows
    assert {row["next"] for row in rows} == {"kvp11 --vault prod recover k"}
    ahead = value(metrics, "kvp11_key_scheduled_purge_timestamp_seconds", vault="prod", key="k") - value(metrics, "kvp11_sync_last_run_timestamp_seconds")
    assert rows[0]["days_left"] == int(ahead // 86400) in range(6, 91), (ahead, rows)
    tool.vault.control("POST", "/vaults/prod/keys/k/recover")
    synced(tool, 0)


def tells_a_key_backup_that_lags(tool):
    """a version that is in no key backup: a warning with file and date, until the command that it names has been run"""
    versions = known(tool, "k", kty="RSA", key_size=2048)["k"]
    backed_up(tool)
    tool.vault.control("POST", "/clock", {"offset": 2})  # so that the newest is the newest
    assert synced(tool, 0)[0] == []
    versions += [tool.vault.rotate("k"), tool.vault.rotate("k")]
    rows, metrics = synced(tool, 1)
    row = one(rows, metrics, "warning", "key-backup")
    assert row["version"] in {f"k@{version}" for version in versions[2:]} and "k.keybackup" in row["found"] and "1 other" in row["found"], row
    assert value(metrics, "kvp11_key_backup_missing_versions", vault="prod", key="k") == 2
    assert row["next"] == "kvp11 --vault prod key-backup k"
    tool.prints(*row["next"].split()[1:], config=tool.operator)
    rows, metrics = synced(tool, 0)
    assert told(metrics) == {} and value(metrics, "kvp11_key_backup_missing_versions", vault="prod", key="k") == 0


def knows_key_backups_of_other_hosts(tool):
    """a key backup that was made elsewhere is known from `key-backup check` on, and an older one does not take a newer one's place"""
    known(tool, "k", kty="RSA", key_size=2048)
    elsewhere = tool.vault.configure("elsewhere.conf", identity="operator", map=tool.vault.dir / "elsewhere.db")
    backed_up(tool, file="old.keybackup", config=elsewhere)
    tool.vault.control("POST", "/clock", {"offset": 2})
    tool.vault.rotate("k")
    tool.prints("keys", "--refresh")
    assert synced(tool, 0)[0] == [], "nobody has shown it this host"
    assert tool.run("key-backup", "check", "old.keybackup").returncode == 1
    assert [row["kind"] for row in synced(tool, 1)[0]] == ["key-backup"]
    beside = tool.vault.dir / "old.keybackup.json"
    said = json.loads(beside.read_text())
    beside.write_text(json.dumps({**said, "taken": said["taken"] - 60}))
    backed_up(tool, file="new.keybackup")
    tool.run("key-backup", "check", "old.keybackup")
    assert synced(tool, 0)[0] == []


def tells_lost_purge_protection(tool):
    """purge protection that is gone: a warning, also after a rotation and in a new key, until it is back; one that the vault never had is no news"""
    known(tool, "k")
    assert synced(tool, 0)[1]["kvp11_vault_purge_protection", (("vault", "prod"),)] == 0
    tool.vault.control("POST", "/settings", {"purge_protection": True})
    assert synced(tool, 0)[0] == []
    tool.vault.control("POST", "/settings", {"purge_protection": False})
    for again in range(3):
        rows, metrics = synced(tool, 1)
        row = one(rows, metrics, "warning", "purge-protection")
        assert "'Recoverable+Purgeable'" in row["found"] and row["next"].startswith("az keyvault update --name prod --enable-purge-protection true"), row
        assert value(metrics, "kvp11_vault_purge_protection", vault="prod") == 0
        tool.vault.rotate("k") if again else tool.vault.create("other", kty="EC")
    tool.vault.control("POST", "/settings", {"purge_protection": True})
    assert synced(tool, 0)[0] == []


def tells_when_a_key_gets_full(tool):
    """401 versions of the 500 that can be backed up are a warning, 399 are none"""
    for _ in range(399):
        tool.vault.create("k", kty="EC")
    rows, metrics = synced(tool, 0)
    assert rows == [] and value(metrics, "kvp11_key_versions", vault="prod", key="k") == 399
    for _ in range(2):
        tool.vault.rotate("k")
    rows, metrics = synced(tool, 1)
    row = one(rows, metrics, "warning", "room")
    assert row["version"] == "k" and "401 versions of the 500" in row["found"] and "create NEW-NAME" in row["next"], row
    assert value(metrics, "kvp11_key_versions", vault="prod", key="k") == 401


def tells_a_secret_that_ends(tool):
    """a client secret, by client_secret_expires: nothing 31 days before, a warning 10 days before, critical when it has ended; doctor says the same"""
    tool.vault.create("k", kty="EC")
    for days, code, level in ((32, 0, None), (10, 1, "warning"), (-1, 2, "critical")):
        config = tool.vault.configure(f"{days}.conf", client_secret_expires=day(days))
        rows, metrics = synced(tool, code, config=config)
        if level:
            row = one(rows, metrics, level, "credential")
            assert "'client-secret'" in row["found"] and "workload.secret" in row["next"] and row["days_left"] == max(days - 1, 0), row
        row, = [row for row in json.loads(tool.run("--json", "doctor", config=config).stdout) if row["check"] == "credential"]
        assert row["result"] == {None: "ok", "warning": "warning", "critical": "FAILED"}[level], row
    tool.refuses(78, ["client_secret_expires", "2027-03-31"], "sync", config=tool.vault.configure("bad.conf", client_secret_expires="2027-02-30"))


def certificate(tool, days):
    """One of the application's, with its key, that ends so many days from now."""
    key, made = tool.vault.dir / f"{days}.key", tool.vault.dir / f"{days}.crt"
    now = datetime.datetime.now(datetime.timezone.utc)
    begin, end = ((now + datetime.timedelta(days=n, hours=1)).strftime("%y%m%d%H%M%SZ") for n in (-30, days))
    openssl("genrsa", "-out", key, "2048")
    (tool.vault.dir / "ca.cnf").write_text(f"[ca]\ndefault_ca=c\n[c]\ndatabase={tool.vault.dir}/{days}.index\nnew_certs_dir={tool.vault.dir}\npolicy=p\n"
                                           "default_md=sha256\nrand_serial=yes\n[p]\ncommonName=supplied\n")
    (tool.vault.dir / f"{days}.index").touch()
    openssl("req", "-new", "-key", key, "-subj", "/CN=client", "-out", f"{made}.csr")
    openssl("ca", "-batch", "-notext", "-config", tool.vault.dir / "ca.cnf", "-selfsign", "-keyfile", key, "-in", f"{made}.csr", "-out", made,
            "-startdate", begin, "-enddate", end)
    tool.vault.control("POST", "/identities", {"id": "workload", "secret": "", "perms": "get,list", "certificate": made.read_text()})
    return private_file(tool.vault.dir / f"{days}.client.pem", made.read_text() + key.read_text())


def tells_a_certificate_that_ends(tool):
    """a client certificate, by its own end: nothing 60 days before, a warning 10 days before; when it has ended there are no tokens, and that stands beside it"""
    tool.vault.create("k", kty="EC")
    tool.prints("keys")
    for days, code, wanted in ((60, 0, []), (10, 1, [("warning", "credential")]), (-1, 2, [("unknown", "unreachable"), ("critical", "credential")])):
        config = tool.vault.configure(f"{days}.conf", credential="client-certificate", client_secret_file=None, client_certificate=certificate(tool, days))
        rows, metrics = synced(tool, code, config=config)
        assert [(row["level"], row["kind"]) for row in rows] == wanted, rows
        for row in rows:
            assert row["kind"] != "credential" or ("client.pem" in row["next"] and "--cert" in row["next"]), row
        assert value(metrics, "kvp11_vault_up", vault="prod") == (code != 2)


def tells_a_version_that_expires(tool):
    """a current version that expires in 10 days: a warning, and nothing of it in 60 days, of one that is not current, or when it has expired, which is told as that"""
    now = int(datetime.datetime.now(datetime.timezone.utc).timestamp())

    def expiring(days):
        return tool.vault.create("k", kty="EC", attributes={"exp": now + days * 86400 + 3600})

    for days, code, wanted in ((10, 1, ["expires"]), (60, 0, []), (10, 1, ["expires"]), (-1, 1, ["expired"])):
        version = expiring(days)
        rows, metrics = synced(tool, code)
        assert [row["kind"] for row in rows] == wanted and told(metrics) == {(kind, "warning"): 1 for kind in wanted}, rows
        assert value(metrics, "kvp11_version_expiry_timestamp_seconds", vault="prod", key="k", version=version) == now + days * 86400 + 3600
        for row in rows:
            assert version in row["version"] and (row["kind"] != "expires" or row["days_left"] == days and row["next"] == "kvp11 --vault prod rotate k"), row


def certified(tool, months, days):
    """A certificate that the vault made so many days ago."""
    policy = {"x509_props": {"subject": "CN=c", "validity_months": months}, "key_props": {"kty": "RSA", "key_size": 2048}}
    tool.vault.control("POST", "/clock", {"offset": -days * 86400})
    tool.vault.control("POST", "/vaults/prod/certificates/c/create", {"policy": policy})
    tool.vault.control("POST", "/clock", {"offset": 0})


def tells_a_key_certificate_that_ends(tool):
    """the certificate that the vault keeps of a current version: a warning in its last 30 days, nothing once it is renewed or not looked at"""
    certified(tool, 1, 5)
    rows, metrics = synced(tool, 1)
    row, = [row for row in rows if row["kind"] == "certificate"]
    assert row["level"] == "warning" and 23 <= row["days_left"] <= 26 and "az keyvault certificate create --vault-name prod --name c " in row["next"], row
    end = [int(number) for (metric, labels), number in metrics.items() if metric == "kvp11_certificate_expiry_timestamp_seconds"]
    assert len(end) == 1 and row["found"].count(datetime.datetime.fromtimestamp(end[0], datetime.timezone.utc).strftime("%Y-%m-%d")) == 1, (end, row)
    tool.vault.requests()
    again, _ = synced(tool, 1)
    assert again == rows and not [r for r in tool.vault.requests() if "/certificates/" in r["path"]], "a certificate is asked for once"
    rows, metrics = synced(tool, 1, config=tool.vault.configure("none.conf", certificates="none"))
    assert [row["kind"] for row in rows] == ["expires"], rows
    certified(tool, 12, 4)
    rows, metrics = synced(tool, 0)
    assert rows == [] and value(metrics, "kvp11_findings", vault="prod", kind="certificate", level="warning") == 0, rows


def tells_a_certificate_of_the_folder_that_ends(tool):
    """a certificate of certificate_folder that ends in 9 days: a warning that says where a renewed one belongs; no request for it"""
    tool.vault.create("k", kty="EC", crv="P-256")
    tool.prints("keys")
    version, = [line for line in lines_of(tool.prints("map", "export")) if line["type"] == "version"]
    (tool.vault.dir / "k.der").write_bytes(base64.b64decode(version["spki"]))
    folder = tool.vault.dir / "folder"
    folder.mkdir()
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", tool.vault.dir / "ca.key", "-subj", "/CN=ca", "-out", tool.vault.dir / "ca.pem")
    openssl("req", "-new", "-key", tool.vault.dir / "ca.key", "-subj", "/CN=k", "-out", tool.vault.dir / "k.csr")
    openssl("x509", "-req", "-in", tool.vault.dir / "k.csr", "-CA", tool.vault.dir / "ca.pem", "-CAkey", tool.vault.dir / "ca.key", "-set_serial", "7",
            "-force_pubkey", tool.vault.dir / "k.der", "-days", "9", "-out", folder / "k.pem")
    tool.vault.requests()
    rows, metrics = synced(tool, 1, config=tool.vault.configure("folder.conf", certificate_folder=folder))
    row = one(rows, metrics, "warning", "certificate")
    assert row["days_left"] in (8, 9) and str(folder) in row["next"], row
    assert not [request for request in tool.vault.requests() if "/certificates/" in request["path"]]


def tells_a_vault_out_of_reach(tool):
    """a vault that does not answer: unknown, and the metrics say since when; a file that cannot be written is told, and so are the findings"""
    needed(tool)
    _, before = synced(tool, 0)
    tool.vault.stop()
    rows, metrics = synced(tool, 3, config=tool.vault.configure("short.conf", timeout=2))
    one(rows, metrics, "unknown", "unreachable")
    assert value(metrics, "kvp11_vault_up", vault="prod") == 0
    same = [value(m, "kvp11_sync_last_success_timestamp_seconds", vault="prod") for m in (before, metrics)]
    assert same[0] == same[1] > 0, same
    done = tool.run("--json", "sync", "--metrics", "nowhere/x.prom", config=tool.vault.configure("short.conf", timeout=2))
    assert done.returncode == 73 and b"nowhere" in done.stderr and json.loads(done.stdout)[0]["kind"] == "unreachable", done
    tool.refuses(64, ["--metrics -"], "sync", "--metrics", "-")


def reads_only_what_collectors_take(tool):
    """the reader of the metrics refuses what a collector would: values twice, metrics apart, no TYPE, no line feed, time stamps, bare quotes, names against the rules"""
    head = "# HELP kvp11_a x\n# TYPE kvp11_a gauge\n"
    assert exposition.read(head + 'kvp11_a{b="a\\"\\\\\\n"} 1\n') == {("kvp11_a", (("b", 'a"\\\n'),)): 1}
    for text in (head + "kvp11_a 1", head + "kvp11_a 1\nkvp11_a 1\n", head + "kvp11_a 1 17\n", head + 'kvp11_a{b="""} 1\n', "kvp11_a 1\n",
                 head + "kvp11_a 1\n" + head.replace("_a", "_b") + 'kvp11_b 1\nkvp11_a{c="d"} 1\n', head, head + 'kvp11_a{b="c",} 1\n',
                 head.replace("_a", "_age_days") + "kvp11_age_days 1\n", head.replace("_a", "_a_total") + "kvp11_a_total 1\n"):
        try:
            exposition.read(text)
        except AssertionError:
            continue
        raise AssertionError(f"taken: {text!r}")


SCENARIOS = (tells_nothing_false, tells_a_disabled_version, tells_a_deleted_key, tells_a_key_backup_that_lags, knows_key_backups_of_other_hosts, tells_lost_purge_protection,
             tells_when_a_key_gets_full, tells_a_secret_that_ends, tells_a_certificate_that_ends, tells_a_version_that_expires,
             tells_a_key_certificate_that_ends, tells_a_certificate_of_the_folder_that_ends, tells_a_vault_out_of_reach, reads_only_what_collectors_take)
