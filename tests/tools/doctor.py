"""kvp11 doctor: each planted fault is found by the right check and explained in words that name the remedy; a healthy vault gives no warning."""
import contextlib
import json
import sqlite3

from kvtest import private_file
from peers import REFUSED, SILENT, STRANGER, TlsPeer, issued, self_signed, silent

ERROR = {"kind": "status", "host": "prod", "bearer": True, "count": 99}


def healthy(tool, **key):
    """A vault with nothing wrong, and one key in it."""
    tool.vault.control("POST", "/settings", {"purge_protection": True})
    return tool.vault.create("k", **(key or {"kty": "RSA", "key_size": 2048}))


def rows(tool, code, *arguments, **options):
    done = tool.run("--json", "doctor", *arguments, **options)
    assert done.returncode == code, f"exit {done.returncode}, not {code}: {done.stdout.decode()}{done.stderr.decode()}"
    found = json.loads(done.stdout)
    assert not any("workload-secret" in row["what"] for row in found), found
    return found


def finds(tool, code, check, words, *arguments, result="FAILED", **options):
    """Only this check complains (what stands on it is not tried), in one line with all the words."""
    found = rows(tool, code, *arguments, **options)
    bad = [row for row in found if row["result"] in ("FAILED", "warning")]
    assert [(row["check"], row["result"]) for row in bad] == [(check, result)], f"not only '{check}' complains: {bad}"
    what = bad[0]["what"]
    assert "\n" not in what and all(word in what for word in words), f"{words} are not all in: {what}"
    table = tool.run("doctor", *arguments, **options)
    assert table.returncode == code and what[:60] in table.stdout.decode(), "the table does not say the same"
    return found


def all_well(tool):
    """doctor on a healthy vault: every check is ok, exit 0, nothing on stderr, and nothing is changed"""
    healthy(tool)
    tool.vault.create("e", kty="EC", crv="P-521")
    tool.vault.requests()
    found = rows(tool, 0)
    assert {row["result"] for row in found} == {"ok", "-"}, found
    checks = {row["check"] for row in found}
    assert {"configuration", "version map", "DNS", "TCP", "TLS", "clock", "challenge", "token", "list", "quota", "get", "validity", "purge protection",
            "versions", "sign", "unwrap"} <= checks, checks
    assert [row["what"] for row in found if row["check"] == "unwrap" and row["key"] == "e"] == ["this key is not for that"], found
    sent = {(r["method"], r["path"].split("/")[-1]) for r in tool.vault.requests() if r["kind"] == "vault" and r["method"] != "GET"}
    assert sent == {("POST", "sign"), ("POST", "unwrapkey")}, sent
    assert tool.run("doctor").stderr == b""


def hsm(tool):
    """doctor on a Managed HSM: other limits, other commands, no date in its answers"""
    tool.vault.control("POST", "/settings", {"purge_protection": True})
    tool.vault.create("k", vault="hsm", kty="RSA-HSM", key_size=2048)
    tool.vault.create("o", vault="hsm", kty="oct-HSM", key_size=256)
    config = tool.vault.configure("hsm.conf", vaults=("hsm",), managed_hsm="yes")
    found = {(row["check"], row["key"]): row for row in rows(tool, 0, config=config)}
    assert "1 of the 100" in found["versions", "k"]["what"] and found["unwrap", "o"]["result"] == "ok", found
    assert found["clock", None]["result"] == "-", found
    tool.vault.control("POST", "/identities", {"id": "workload", "secret": "workload-secret", "perms": "get,list,sign"})
    found = rows(tool, 77, "--key", "k", config=config)
    assert [row["check"] for row in found if row["result"] == "FAILED"] == ["unwrap"], found
    assert any("az keyvault role assignment create --hsm-name hsm" in row["what"] for row in found), found


def one_key(tool):
    """doctor VAULT --key NAME looks at that key alone; a key that is not there fails 'get' and nothing else"""
    healthy(tool)
    tool.vault.create("other", kty="EC", crv="P-256")
    assert {row["key"] for row in rows(tool, 0, "prod", "--key", "other")} == {None, "other"}
    finds(tool, 66, "get", ["nobody", "kvp11 --vault prod recover nobody"], "--key", "nobody")
    tool.refuses(64, ["two vaults"], "--vault", "dr", "doctor", "prod")


def configuration(tool):
    """doctor: a configuration that others can write, a map from a newer release, a map that is damaged"""
    healthy(tool)
    shared = tool.vault.configure("shared.conf")
    (tool.vault.dir / "shared.conf").chmod(0o666)
    finds(tool, 78, "configuration", ["shared.conf", "chmod"], config=shared)
    rows(tool, 0)
    path = tool.vault.dir / "map.db"
    with contextlib.closing(sqlite3.connect(path)) as db:
        of_this_release = db.execute("PRAGMA user_version").fetchone()[0]
        db.execute("PRAGMA user_version = 9999")
    finds(tool, 78, "version map", ["map.db", "newer"])
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {of_this_release}")
    rows(tool, 0)
    path.write_bytes(b"this is no map" + path.read_bytes()[14:])
    finds(tool, 65, "version map", ["map.db"])
    finds(tool, 1, "version map", ["map = none", "name a file"], result="warning", config=tool.vault.configure("none.conf", map="none"))


def clock(tool):
    """doctor: a clock that is off by minutes is a warning or a failure, with the seconds and the command"""
    healthy(tool)
    for offset, code, result, words in ((-120, 1, "warning", "ahead of"), (3000, 77, "FAILED", "behind")):
        tool.vault.control("POST", "/clock", {"offset": offset})
        row, = [row for row in finds(tool, code, "clock", [words, "timedatectl"], result=result) if row["check"] == "clock"]
        told = int(row["what"].split("clock is ")[1].split(" s ")[0])
        assert abs(told - abs(offset)) <= 2, row  # whole seconds on both sides, and the time that the answer took


def elsewhere(tool, address, name="way.conf"):
    port = tool.vault.ready["port"]
    return tool.vault.configure(name, settings=[f"resolve = prod.vault.localhost:{port}:{address}"], timeout=3, connect_timeout=1)


def unreachable(tool):
    """doctor: no name, nothing that listens, nothing that answers: each by its own check, and what stands on it is not tried"""
    healthy(tool)
    url = tool.vault.ready["vaults"]["prod"].replace("localhost", "invalid")
    found = finds(tool, 69, "DNS", ["prod.vault.invalid"], config=tool.vault.configure("dns.conf", url=url, timeout=3, connect_timeout=1))
    assert "not tried: 'DNS' failed" in {row["what"] for row in found if row["check"] == "token"}, found
    finds(tool, 69, "TCP", ["firewall", "url"], config=elsewhere(tool, REFUSED))
    with contextlib.ExitStack() as stack:
        for one in silent(tool.vault.ready["port"]):
            stack.callback(one.close)
        finds(tool, 69, "TCP", ["connect_timeout", "firewall"], config=elsewhere(tool, SILENT))


def tls(tool):
    """doctor: a certificate that nobody issued, that has expired, that is for another host; each with what was shown and its own remedy"""
    healthy(tool)
    folder, authority, port = tool.vault.dir, tool.vault.dir / "tls", tool.vault.ready["port"]
    for words, certificate in (
        (["'stranger'", "ca_file"], lambda: self_signed(folder)),
        (["has expired", "renew it", "clock"], lambda: issued(folder, authority, days=-1)),
        (["for prod.elsewhere.localhost", "correct `url` or `resolve`"], lambda: issued(folder, authority, name="prod.elsewhere.localhost")),
    ):
        peer = TlsPeer(STRANGER, port, *certificate())
        try:
            finds(tool, 69, "TLS", ["TLS with", *words], config=elsewhere(tool, STRANGER))
        finally:
            peer.close()


def challenge(tool):
    """doctor: what answers there is no vault, or its tokens come from where none may be sent"""
    healthy(tool)
    tool.vault.control("POST", "/faults", {"kind": "html", "host": "prod", "count": 99})
    finds(tool, 65, "challenge", ["HTTP 200", "url", "proxy"])
    tool.vault.control("DELETE", "/faults")
    finds(tool, 77, "challenge", ["authority"], config=tool.vault.configure("authority.conf", authority="https://login.elsewhere.example"))
    finds(tool, 77, "challenge", ["tenant", "99999999"], config=tool.vault.configure("tenant.conf", tenant="99999999-0000-0000-0000-000000000000"))


def token(tool):
    """doctor: a wrong secret and an unknown application fail the token, with the remedy and without the secret"""
    healthy(tool)
    wrong = private_file(tool.vault.dir / "wrong.secret", "planted-word\n")
    found = finds(tool, 77, "token", ["AADSTS7000215", "client_secret_file"], config=tool.vault.configure("secret.conf", client_secret_file=wrong))
    assert "planted-word" not in json.dumps(found)
    finds(tool, 77, "token", ["AADSTS700016", "client_id"], config=tool.vault.configure("client.conf", client_id="nobody"))


def permissions(tool):
    """doctor: a missing permission fails its own check, with role, command and identity; the others are tried all the same"""
    healthy(tool)
    whole = ["get", "list", "sign", "unwrap", "decrypt"]
    for missing, check, action in (("list", "list", "list"), ("get", "get", "get"), ("sign", "sign", "sign"), ("unwrap", "unwrap", "unwrapKey")):
        perms = ",".join(p for p in whole if p != missing)
        tool.vault.control("POST", "/identities", {"id": "workload", "secret": "workload-secret", "perms": perms})
        words = ["permission denied", "'workload'", "Key Vault Crypto User", "--assignee workload", f"--key-permissions {action}", "--name prod"]
        arguments = ["--key", "k"] if missing == "list" else []
        finds(tool, 77, check, words, *arguments)
    tool.vault.control("POST", "/identities", {"id": "workload", "secret": "workload-secret", "perms": "get,sign,unwrap"})
    found = rows(tool, 0, config=tool.vault.configure("named.conf", keys="k"))
    assert any(row["check"] == "list" and "need not" in row["what"] for row in found), found


def broken_listing(tool):
    """doctor: where a listing breaks off, the keys that `keys` names are looked at, each once; where it is longer than what is looked at, that is said"""
    tool.vault.control("POST", "/settings", {"purge_protection": True})
    tool.vault.control("POST", "/vaults/prod/bulk", {"prefix": "n", "keys": 40, "versions": 1, "kty": "EC", "crv": "P-256"})
    some = sorted(row["name"] for row in json.loads(tool.prints("--json", "keys", "--refresh")))[:15]
    config = tool.vault.configure("named.conf", keys=" ".join(some))
    tool.vault.control("POST", "/faults", {**ERROR, "operation": "list", "skip": 1, "status": 403,
                                           "body": json.dumps({"error": {"code": "Forbidden", "message": "no", "innererror": {"code": "AccessDenied"}}})})
    found = [row["key"] for row in rows(tool, 0, config=config) if row["check"] == "get"]
    assert sorted(found) == some, found
    tool.vault.control("DELETE", "/faults")
    found = rows(tool, 0)
    assert any(row["check"] == "list" and row["what"].startswith("20 keys looked at, and there are more") for row in found), found


def refusals(tool):
    """doctor: the firewall and a policy are told from missing permissions"""
    healthy(tool)
    for inner, words in (("ForbiddenByFirewall", ["firewall admit"]), ("ForbiddenByConnection", ["private endpoint"]), ("ForbiddenByPolicy", ["Azure Policy"])):
        tool.vault.control("DELETE", "/faults")
        body = json.dumps({"error": {"code": "Forbidden", "message": "no", "innererror": {"code": inner}}})
        tool.vault.control("POST", "/faults", {**ERROR, "operation": "sign", "status": 403, "body": body})
        finds(tool, 77, "sign", words)


def throttled(tool):
    """doctor: a vault that throttles is told from one that refuses"""
    healthy(tool)
    body = json.dumps({"error": {"code": "Throttled", "message": "too many requests"}})
    tool.vault.control("POST", "/faults", {**ERROR, "operation": "unwrapkey", "status": 429, "body": body, "headers": {"Retry-After": "60"}})
    finds(tool, 75, "unwrap", ["throttled", "repeat later"])


def states(tool):
    """doctor: a version that is disabled, expired, about to expire, or not valid yet, with the command"""
    version = healthy(tool, kty="RSA", key_size=2048, key_ops=["unwrapKey", "wrapKey"])
    now = tool.vault.control("GET", "/clock")["now"]
    for change, code, words, result in (
        ({"exp": now + 10 * 86400 + 3600}, 1, ["expires at", "kvp11 --vault prod rotate k"], "warning"),
        ({"exp": now - 3 * 86400}, 77, ["has expired", "kvp11 --vault prod rotate k"], "FAILED"),
        ({"exp": now - 600}, 77, ["has expired", "kvp11 --vault prod rotate k"], "FAILED"),
        ({"exp": None, "nbf": now + 3 * 86400}, 77, ["not valid before", "nbf"], "FAILED"),
        ({"exp": None, "nbf": now + 600}, 77, ["not valid before", "nbf"], "FAILED"),
    ):
        tool.vault.control("PATCH", f"/vaults/prod/keys/k/{version}", change)
        finds(tool, code, "validity", words, result=result)
    tool.vault.control("PATCH", f"/vaults/prod/keys/k/{version}", {"nbf": None, "enabled": False})
    found = rows(tool, 77)
    bad = {row["check"]: row["what"] for row in found if row["result"] == "FAILED"}
    assert set(bad) == {"validity", "unwrap"} and "set-attributes" in bad["validity"] and version in bad["validity"], bad


def purgeable(tool):
    """doctor: without purge protection there is a warning with the command"""
    tool.vault.create("k", kty="EC", crv="P-256")
    finds(tool, 1, "purge protection", ["Purgeable", "az keyvault update --name prod --enable-purge-protection true"], result="warning")


def full(tool):
    """doctor: a key near its limit of versions is a warning, from 80 % on; one below is none"""
    tool.vault.control("POST", "/settings", {"purge_protection": True})
    tool.vault.control("POST", "/vaults/prod/bulk", {"prefix": "few", "keys": 1, "versions": 399, "kty": "EC", "crv": "P-256"})
    rows(tool, 0)
    tool.vault.control("POST", "/vaults/prod/bulk", {"prefix": "many", "keys": 1, "versions": 400, "kty": "EC", "crv": "P-256"})
    finds(tool, 1, "versions", ["400 of the 500", "another name"], result="warning")


def certificate(tool):
    """doctor: the end of a certificate that the vault keeps is told, and warned of when it is near"""
    tool.vault.control("POST", "/settings", {"purge_protection": True})
    for name, months, code, result, words in (("c", 12, 0, "ok", "until "), ("soon", 1, 1, "warning", "expires at")):
        policy = {"x509_props": {"subject": f"CN={name}", "validity_months": months}, "key_props": {"kty": "RSA", "key_size": 2048}}
        tool.vault.control("POST", "/clock", {"offset": -5 * 86400})
        tool.vault.control("POST", f"/vaults/prod/certificates/{name}/create", {"policy": policy})
        tool.vault.control("POST", "/clock", {"offset": 0})
        found = [row for row in rows(tool, code, "--key", name) if row["check"] == "certificate"]
        assert len(found) == 1 and found[0]["result"] == result and words in found[0]["what"], found


def copies(tool):
    """doctor with `failover`: for each key whether its copy elsewhere is usable: the same, under another name, too; missing, disabled, another key, without unwrap, out of reach"""
    version = healthy(tool)
    control = tool.vault.control
    both = tool.vault.configure("both.conf", vaults=("prod", "dr"), timeout=4, connect_timeout=1)
    text = open(both).read().replace("[dr]", "failover = dr\n[dr]")
    open(both, "w").write(text)

    def copy(code, config=both):
        found = rows(tool, code, "prod", config=config)
        row, = [row for row in found if row["check"] == "copy"]
        assert row["key"] == "k" and row["vault"] == "prod" and row["what"].startswith("in 'dr': "), row
        bad = [row["check"] for row in found if row["result"] in ("FAILED", "warning")]
        assert bad == ([] if row["result"] == "ok" else ["copy"]), found
        return row["result"], row["what"]

    assert not [row for row in rows(tool, 0) if row["check"] == "copy"], "nothing is said of copies where none are configured"
    result, what = copy(1)
    assert result == "warning" and "not usable" in what and "key-backup k" in what, what
    control("POST", "/vaults/prod/keys/k/copy", {"to": "dr"})
    result, what = copy(0)
    assert result == "ok" and "usable: the same public key, enabled" in what and version in what, what
    control("PATCH", f"/vaults/dr/keys/k/{version}", {"enabled": False})
    result, what = copy(1)
    assert result == "warning" and "disabled" in what and "--enabled true" in what, what
    control("PATCH", f"/vaults/dr/keys/k/{version}", {"enabled": True, "key_ops": ["encrypt", "wrapKey"]})
    result, what = copy(1)
    assert result == "warning" and "key_ops" in what, what
    control("POST", "/settings", {"purge_protection": False})
    control("POST", "/vaults/dr/keys/k/delete")
    control("POST", "/vaults/dr/keys/k/purge")
    control("POST", "/settings", {"purge_protection": True})
    control("POST", "/vaults/prod/keys/k/copy", {"to": "dr", "as": "elsewhere"})
    assert copy(1)[0] == "warning", "nobody has told of the other name"
    tool.prints("keys", "--all", config=both)
    result, what = copy(0)
    assert result == "ok" and "/keys/elsewhere/" in what, what
    silenced = tool.vault.dir / "away.conf"
    host = tool.vault.ready["vaults"]["dr"].split("//")[1].rsplit(":", 1)[0]
    private_file(silenced, text.replace("[dr]", f"[dr]\nresolve = {host}:{tool.vault.ready['port']}:{REFUSED}"))
    result, what = copy(1, str(silenced))
    assert result == "warning" and "not usable now" in what, what


def other_copies(tool):
    """doctor with `failover`: a key of the same name and version that is another one fails; a key that opens nothing has no copies"""
    version = healthy(tool)
    # The service gives every version a name of its own; this one answers with another key for the name that is asked for.
    stranger = tool.vault.control("POST", "/vaults/dr/keys/other/create", {"kty": "RSA", "key_size": 2048})
    stranger["key"]["kid"] = f"{tool.vault.ready['vaults']['dr']}/keys/k/{version}"
    tool.vault.control("POST", "/faults", {"kind": "status", "host": "dr", "operation": "get", "status": 200, "bearer": True, "count": 99, "body": json.dumps(stranger),
                                           "headers": {"Content-Type": "application/json"}})
    tool.vault.create("e", kty="EC", crv="P-256")
    both = tool.vault.configure("both.conf", vaults=("prod", "dr"))
    text = open(both).read().replace("[dr]", "failover = dr\n[dr]")
    open(both, "w").write(text)
    found = [row for row in rows(tool, 65, "prod", config=both) if row["check"] == "copy"]
    assert [(row["key"], row["result"]) for row in found] == [("k", "FAILED")] and "another key" in found[0]["what"], found


SCENARIOS = (all_well, hsm, one_key, configuration, clock, unreachable, tls, challenge, token, permissions, broken_listing, refusals, throttled, states,
             purgeable, full, certificate, copies, other_copies)
