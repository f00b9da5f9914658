"""kvp11 rotate: the new version is proved before it is reported."""
import contextlib
import json
import shlex
import sqlite3

from keys import rows_of
from login import with_operator


def rotates(tool, sent, **key):
    before = tool.vault.create("k", **key)
    tool.vault.requests()
    old, new = json.loads(tool.prints("--json", "rotate", "k", config=tool.operator))
    assert (old["role"], new["role"]) == ("old", "new")
    assert old["version"] == before and new["version"] != before and new["current"] is True, (old, new)
    assert old["uri"] != new["uri"] and "id=%" in new["uri"]
    done = [r for r in tool.vault.requests() if r["method"] == "POST" and r["status"] == 200 and r["kind"] == "vault"]
    assert [r["path"].split("/")[-1] for r in done] == ["rotate", sent], done
    assert new["version"] in done[1]["path"], "the proof was made with another version"
    rows = rows_of(tool)
    assert {row["version"]: row["current"] for row in rows} == {before: False, new["version"]: True}
    assert all(row["wraps"] == 0 for row in rows), "the proof counts as something that depends on the version"


def rsa(tool):
    """an RSA key: the new version is proved by a wrap here and an unwrap in the vault"""
    rotates(tool, "unwrapkey", kty="RSA", key_size=2048)


def rsa_signing(tool):
    """an RSA key that only signs is proved by a signature"""
    rotates(tool, "sign", kty="RSA", key_size=2048, key_ops=["sign", "verify"])


def ec(tool):
    """an EC key is proved by a signature, on each curve"""
    for curve in ("P-256", "P-384", "P-521", "P-256K"):
        name = f"k-{curve}"
        tool.vault.create(name, kty="EC", crv=curve)
        old, new = json.loads(tool.prints("--json", "rotate", name, config=tool.operator))
        assert new["key"] == f"EC {curve}" and new["version"] != old["version"]


def not_proved(tool, words, fault, code):
    before = tool.vault.create("k", kty="RSA", key_size=2048)
    tool.vault.control("POST", "/faults", fault)
    said = tool.refuses(code, ["failed its proof", "is not proved", "the old one is as it was", "set-attributes", *words],
                        "rotate", "k", config=tool.operator)
    rows = {row["version"]: row for row in rows_of(tool)}
    assert len(rows) == 2 and rows[before]["state"] == "enabled"
    assert rows[before]["uri"] in said
    assert next(version for version in rows if version != before) in said


def wrong_bytes(tool):
    """a vault that unwraps to other bytes fails the proof: exit 65, both versions named, the old one untouched"""
    not_proved(tool, [], {"method": "POST", "path": "/unwrapkey", "kind": "bad_value"}, 65)


def refused(tool):
    """a vault that refuses the unwrap fails the proof, and its reason is told"""
    body = '{"error":{"code":"Forbidden","message":"no","innererror":{"code":"ForbiddenByRbac"}}}'
    not_proved(tool, [], {"method": "POST", "path": "/unwrapkey", "kind": "status", "status": 403, "body": body, "count": 9}, 77)


def unknown(tool):
    """a key that does not exist is exit 66"""
    tool.refuses(66, ["nobody"], "rotate", "nobody", config=tool.operator)


def manual(tool):
    """The operator's configuration with adopt = manual, and a key of one version."""
    config = tool.vault.configure("manual.conf", identity="operator", adopt="manual")
    version = tool.vault.create("k", kty="RSA", key_size=2048)
    assert current(tool, config) == version, "the first that is seen is current"
    return config, version


def current(tool, config):
    row, = json.loads(tool.prints("--json", "keys", "k", "--current", "--refresh", config=config))
    return row["version"]


def later(tool, seconds):
    tool.vault.control("POST", "/clock", {"offset": seconds})


def sealed_for(tool, config):
    done = tool.run("seal", "-r", "k", "--break-glass", "none", "--out", "f.age", input=b"x", config=config)
    assert done.returncode == 0, done
    return json.loads(tool.prints("--json", "explain", "f.age", config=config))[0]["version"]


def foreign_rotation_waits(tool):
    """adopt = manual: a version that somebody else made is used for nothing before it is adopted, and sync tells that it waits"""
    config, first = manual(tool)
    later(tool, 5)
    second = tool.vault.rotate("k")
    assert current(tool, config) == first and sealed_for(tool, config) == first
    row, = [row for row in json.loads(tool.run("--json", "sync", config=config).stdout) if row["level"] != "ok"]
    assert (row["level"], row["version"]) == ("warning", f"k@{second}") and first in row["found"], row
    assert row["next"] == f"kvp11 --vault prod rotate k --adopt {second}", row
    assert tool.run("sync", config=config).returncode == 1
    tool.vault.requests()
    old, new = json.loads(tool.prints("--json", "rotate", "k", "--adopt", "newest", config=config))
    assert (old["version"], old["current"], new["version"], new["current"]) == (first, False, second, True), (old, new)
    posts = [r["path"].split("?")[0] for r in tool.vault.requests() if r["method"] == "POST" and r["kind"] == "vault" and r["status"] == 200]
    assert posts == [f"/keys/k/{second}/unwrapkey"], posts
    assert current(tool, config) == second and sealed_for(tool, config) == second
    assert tool.run("sync", config=config).returncode == 0
    journal = tool.prints("map", "verify", config=config)
    assert journal
    tool.prints("rotate", "k", "--adopt", first, config=config)
    assert current(tool, config) == first, "the way back"


def manual_rotation(tool):
    """adopt = manual: rotate promotes after the proof; not when the proof fails; not before --activate-after"""
    config, first = manual(tool)
    later(tool, 5)
    _, new = json.loads(tool.prints("--json", "rotate", "k", config=config))
    second = new["version"]
    assert new["current"] is True and current(tool, config) == second
    later(tool, 10)
    tool.vault.control("POST", "/faults", {"method": "POST", "path": "/unwrapkey", "kind": "bad_value"})
    tool.refuses(65, ["is not promoted"], "rotate", "k", config=config)
    assert current(tool, config) == second
    later(tool, 15)
    done = tool.run("--json", "rotate", "k", "--activate-after", "2h", config=config)
    third = json.loads(done.stdout)[1]["version"]
    command = f"kvp11 --vault prod rotate k --adopt {third} --activate-after 2h"
    assert done.returncode == 0 and command in done.stderr.decode(), done
    assert current(tool, config) == second
    tool.refuses(75, ["is to wait until"], *command.split()[3:], config=config)
    assert current(tool, config) == second
    tool.prints(*command.split()[3:5], "--adopt", third, config=config)
    assert current(tool, config) == third


@contextlib.contextmanager
def map_refuses(tool, what):
    """The version map takes everything but this, as with a full disk."""
    with contextlib.closing(sqlite3.connect(tool.vault.dir / "map.db")) as db:
        db.execute(f"CREATE TRIGGER refused BEFORE {what} BEGIN SELECT RAISE(ABORT, 'refused'); END")
        db.commit()
        yield
        db.execute("DROP TRIGGER refused")
        db.commit()


def command_in(message):
    """The last command that a message tells to run, as a shell reads it."""
    return shlex.split(message.strip().rsplit("kvp11 --vault ", 1)[1].split("`")[0].join(("--vault ", "")))


def not_written_down(tool):
    """what was made is named in full, with the command that goes on from there, when the map cannot be written: neither a promotion nor a new version is lost sight of"""
    config, first = manual(tool)
    later(tool, 5)
    with map_refuses(tool, "UPDATE ON version WHEN NEW.current AND NOT OLD.current"):
        said = tool.refuses(73, ["is there and proved, but not promoted", f"names still mean '{first}'", "constraint failed"], "rotate", "k", config=config)
    second = next(row["version"] for row in rows_of(tool) if row["version"] != first)
    assert f"'{tool.vault.ready['vaults']['prod']}/keys/k/{second}'" in said, said
    assert command_in(said) == ["--vault", "prod", "rotate", "k", "--adopt", second], said
    tool.prints(*command_in(said), config=config)
    assert current(tool, config) == second
    later(tool, 10)
    with map_refuses(tool, "INSERT ON version"):
        said = tool.refuses(73, ["is there and proved, but not promoted"], "rotate", "k", config=config)
    third = said.split("/keys/k/")[1].split("'")[0]
    assert command_in(said) == ["--vault", "prod", "rotate", "k", "--adopt", third], said
    tool.prints(*command_in(said), config=config)
    assert current(tool, config) == third and len(rows_of(tool)) == 3, "no other was made"
    later(tool, 15)
    with map_refuses(tool, "DELETE ON rotation"):
        said = tool.refuses(73, ["/keys/k/", "is there and proved", "takes this one and makes none", "constraint failed"], "rotate", "k", config=tool.operator)


def made_anew_is_not_adopted(tool):
    """adopt = manual: a key that was purged and made anew under its name is not taken for it"""
    config, first = manual(tool)
    tool.vault.control("POST", "/vaults/prod/keys/k/delete")
    tool.vault.control("POST", "/vaults/prod/keys/k/purge")
    later(tool, 5)
    second = tool.vault.create("k", kty="RSA", key_size=2048)
    tool.run("sync", config=config)
    rows = {row["version"]: row for row in json.loads(tool.prints("--json", "keys", "k", "--refresh", config=config))}
    assert rows[first]["current"] is True and rows[first]["state"] == "missing" and rows[second]["current"] is False, rows
    assert tool.run("seal", "-r", "k", "--break-glass", "none", "--out", "f.age", input=b"x", config=config).returncode != 0


def auto_needs_nothing(tool):
    """adopt = auto: --adopt proves the newest, which is current, and refuses another; --activate-after is refused before anything is made"""
    first = tool.vault.create("k", kty="RSA", key_size=2048)
    later(tool, 5)
    second = tool.vault.rotate("k")
    row, = json.loads(tool.prints("--json", "rotate", "k", "--adopt", "newest", config=tool.operator))
    assert row["version"] == second
    tool.refuses(78, ["adopt = auto"], "rotate", "k", "--adopt", first, config=tool.operator)
    tool.refuses(78, ["adopt = auto"], "rotate", "k", "--activate-after", "1d", config=tool.operator)
    tool.refuses(64, ["no age"], "rotate", "k", "--activate-after", "soon", config=tool.operator)
    tool.refuses(66, ["no version 'abc'"], "rotate", "k", "--adopt", "abc", config=tool.operator)
    assert len(rows_of(tool)) == 2


def proof_is_not_the_operators(tool):
    """the operator rotates, the vault's own credential proves"""
    config = with_operator(tool)
    tool.vault.create("k", kty="RSA", key_size=2048)
    tool.vault.requests()
    tool.prints("rotate", "k", config=config)
    who = {r["path"].split("?")[0].rsplit("/", 1)[1]: r["identity"] for r in tool.vault.requests() if r["kind"] == "vault" and r["status"] == 200}
    assert (who["rotate"], who["unwrapkey"]) == ("operator", "workload"), who


SCENARIOS = (rsa, rsa_signing, ec, wrong_bytes, refused, unknown, foreign_rotation_waits, manual_rotation, not_written_down, made_anew_is_not_adopted,
             auto_needs_nothing, proof_is_not_the_operators)
