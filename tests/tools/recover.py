"""kvp11 recover: a deleted key comes back, and is proved to work."""
import json

from keys import rows_of
from login import with_operator


def recovered(tool, code, *words, **options):
    done = tool.run("--json", "recover", *words, **{"config": tool.operator, **options})
    assert done.returncode == code, f"exit {done.returncode} instead of {code}: {done.stdout.decode()}{done.stderr.decode()}"
    return json.loads(done.stdout)


def asked(tool):
    return [(r["method"], r["path"].split("?")[0]) for r in tool.vault.requests() if r["kind"] == "vault" and r["status"] != 401]


def brings_back(tool):
    """all versions of a deleted key are back, and each enabled one is proved by an unwrap"""
    first = tool.vault.create("k", kty="RSA", key_size=2048)
    second, third = tool.vault.rotate("k"), tool.vault.rotate("k")
    tool.vault.control("PATCH", f"/vaults/prod/keys/k/{second}", {"enabled": False})
    tool.prints("sync")
    tool.vault.control("POST", "/vaults/prod/keys/k/delete")
    tool.run("sync")
    tool.vault.requests()
    rows = recovered(tool, 0, "k")
    assert {row["version"]: row["role"] for row in rows} == {first: "proved", second: "disabled", third: "proved"}, rows
    done = asked(tool)
    assert done[0] == ("POST", "/deletedkeys/k/recover"), done
    assert {p for m, p in done[1:] if m == "POST"} == {f"/keys/k/{third}/unwrapkey", f"/keys/k/{first}/unwrapkey"}, done
    assert {row["state"] for row in rows_of(tool) if row["version"] != second} == {"enabled"}
    assert sorted(row["role"] for row in recovered(tool, 0, "k")) == ["disabled", "proved", "proved"], "a key that is there is as good"


def waits(tool):
    """a key that the vault shows only after a while is waited for"""
    tool.vault.control("POST", "/settings", {"recover_latency": 2})
    tool.vault.create("k", kty="RSA", key_size=2048)
    tool.vault.control("POST", "/vaults/prod/keys/k/delete")
    tool.vault.requests()
    assert [row["role"] for row in recovered(tool, 0, "k")] == ["proved"]
    assert asked(tool).count(("GET", "/keys/k")) > 1, "there was nothing to wait for"


def as_two(tool):
    """the operator recovers, the vault's own credential proves: a restore that may not unwrap is found, exit 77, with what came back"""
    tool.vault.create("k", kty="RSA", key_size=2048)
    tool.vault.control("POST", "/vaults/prod/keys/k/delete")
    tool.refuses(77, [], "recover", "k")
    config = with_operator(tool)
    tool.vault.requests()
    assert [row["role"] for row in recovered(tool, 0, "k", config=config)] == ["proved"]
    who = {r["path"].split("?")[0].rsplit("/", 1)[1]: r["identity"] for r in tool.vault.requests() if r["kind"] == "vault" and r["status"] == 200}
    assert who["recover"] == "operator" and who["unwrapkey"] == "workload", who
    body = '{"error":{"code":"Forbidden","message":"no","innererror":{"code":"ForbiddenByRbac"}}}'
    tool.vault.control("POST", "/faults", {"method": "POST", "path": "/unwrapkey", "kind": "status", "status": 403, "body": body, "count": 9})
    assert [row["role"] for row in recovered(tool, 77, "k", config=config)] == ["failed"]


def lists(tool):
    """without a name: the deleted keys, with the days that are left, page by page"""
    for i in range(30):
        tool.vault.create(f"k{i}", kty="EC")
        tool.vault.control("POST", f"/vaults/prod/keys/k{i}/delete")
    tool.vault.create("alive", kty="EC")
    rows = recovered(tool, 0)
    assert {row["name"] for row in rows} == {f"k{i}" for i in range(30)}, rows
    assert all(80 <= row["days_left"] <= 90 and row["next"] == f"kvp11 --vault prod recover {row['name']}" for row in rows)
    assert len(tool.prints("recover", config=tool.operator).splitlines()) == 31


def nothing_there(tool):
    """a key that is purged, or never was, is exit 66 and names the way that is left"""
    tool.vault.create("k", kty="EC")
    tool.vault.control("POST", "/vaults/prod/keys/k/delete")
    tool.vault.control("POST", "/vaults/prod/keys/k/purge")
    tool.refuses(66, ["neither a key 'k'", "key-backup restore"], "recover", "k", config=tool.operator)


SCENARIOS = (brings_back, waits, as_two, lists, nothing_there)
