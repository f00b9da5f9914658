"""kvp11 sync: what changed in the vaults, and what is about to be lost."""
import json
import re
import sqlite3

from map import backup_of, file_of, known, lines_of
from seal import on_terminal


def found(tool, code, *words, **options):
    done = tool.run("--json", "sync", *words, **options)
    assert done.returncode == code, f"exit {done.returncode} instead of {code}: {done.stdout.decode()}{done.stderr.decode()}"
    return json.loads(done.stdout)


def with_backup(tool, name):
    """A key of two versions, a backup that needs the older one; (old, new)."""
    old, new = known(tool, name)[name]
    lines = lines_of(tool.prints("map", "export"))
    header, version = lines[0], next(line for line in lines if line.get("version") == old)
    tool.prints("map", "import", file_of(tool, "backup.kvmap", [header, version, backup_of([version], "b1")]))
    return old, new


def tells_what_changed(tool):
    """sync tells new and promoted versions once, and nothing of what stayed"""
    first = tool.vault.create("k", kty="EC")
    rows = found(tool, 0)
    assert [(row["level"], row["version"]) for row in rows] == [("ok", f"k@{first}")] and rows[0]["found"].startswith("appeared: enabled, current"), rows
    assert found(tool, 0) == []
    second = tool.vault.rotate("k")
    rows = found(tool, 0)
    assert {(row["version"], row["found"].split(":")[0]) for row in rows} == {(f"k@{first}", "demoted"), (f"k@{second}", "appeared")}, rows
    assert tool.prints("sync").splitlines()[1:] == []


def tells_disabled(tool):
    """a disabled version is critical where a backup needs it, with the number and the remedy; else it is told as a change and no more"""
    old, new = with_backup(tool, "k")
    other, _ = known(tool, "other")["other"]
    tool.vault.control("PATCH", f"/vaults/prod/keys/other/{other}", {"enabled": False})
    assert {row["level"] for row in found(tool, 0)} == {"ok"}
    tool.vault.control("PATCH", f"/vaults/prod/keys/k/{old}", {"enabled": False})
    rows = [row for row in found(tool, 2) if row["level"] != "ok"]
    assert [(row["level"], row["version"], row["state"], row["backups"], row["bytes"]) for row in rows] == [("critical", f"k@{old}", "disabled", 1, 4000)], rows
    assert "--enabled true" in rows[0]["next"] and "1 backups need it" in rows[0]["found"]
    assert [row["level"] for row in found(tool, 2)] == ["critical"], "it is told as long as it is so"
    tool.vault.control("PATCH", f"/vaults/prod/keys/k/{old}", {"enabled": True})
    tool.vault.control("PATCH", f"/vaults/prod/keys/k/{new}", {"enabled": False})
    rows = [row for row in found(tool, 1) if row["level"] != "ok"]
    assert [(row["level"], row["version"]) for row in rows] == [("warning", f"k@{new}")], rows


def tells_deleted(tool):
    """a key in soft delete is told with the days that are left, critical where something needs it; recovered, all is well again"""
    old, new = with_backup(tool, "k")
    tool.vault.control("POST", "/vaults/prod/keys/k/delete")
    rows = {row["version"]: row for row in found(tool, 2) if row["level"] != "ok"}
    assert rows[f"k@{old}"]["level"] == "critical" and rows[f"k@{new}"]["level"] == "warning", rows
    assert 6 <= rows[f"k@{old}"]["days_left"] <= 90 and "recover k" in rows[f"k@{old}"]["next"], rows
    asked = [r["path"] for r in tool.vault.requests() if r["path"].startswith("/deletedkeys")]
    assert asked == ["/deletedkeys/k"], asked
    tool.vault.control("POST", "/vaults/prod/keys/k/recover")
    found(tool, 0)
    assert found(tool, 0) == []


def tells_made_anew(tool):
    """a key that was purged and made anew under its name: the version that backups need is missing, and that is critical"""
    old, _ = with_backup(tool, "k")
    tool.vault.control("POST", "/vaults/prod/keys/k/delete")
    tool.vault.control("POST", "/vaults/prod/keys/k/purge")
    fresh = tool.vault.create("k", kty="EC")
    rows = {row["version"]: row for row in found(tool, 2) if row["level"] == "critical"}
    assert list(rows) == [f"k@{old}"] and rows[f"k@{old}"]["state"] == "missing" and "made anew" in rows[f"k@{old}"]["found"], rows
    lines = lines_of(tool.prints("map", "export"))
    assert {line["version"]: line["current"] for line in lines if line["type"] == "version"}[fresh] is True


def tells_unreachable(tool):
    """a vault that does not answer is unknown (exit 3), and nothing of it is forgotten or told as lost"""
    with_backup(tool, "k")
    found(tool, 0)
    tool.vault.stop()
    rows = found(tool, 3, config=tool.vault.configure("short.conf", timeout=2))
    assert [(row["level"], row["version"]) for row in rows] == [("unknown", None)] and "doctor" in rows[0]["next"], rows


def asked(tool, *words, **options):
    """What a sync asks the vault for, without `?…`: {path: how often}."""
    tool.vault.requests()
    done = tool.run("--json", "sync", *words, **options)
    assert done.returncode == 0, done
    counts = {}
    for request in tool.vault.requests():
        path = request["path"].split("?")[0]
        if request["kind"] == "vault" and request["status"] == 200:
            counts[path] = counts.get(path, 0) + 1
    return counts


def versions_of(name):
    return f"/keys/{name}/versions"


def asks_for_what_changed(tool):
    """30 keys of two versions: the list alone, in pages of 25, when nothing changed; of a key that changed its name and its versions; of one whose old version
    something needs its versions, each time; all with --full, or when the versions were last listed a day ago"""
    tool.vault.control("POST", "/clock", {"offset": -1000})
    made = known(tool, *(f"k{i:02}" for i in range(30)), kty="EC", crv="P-256")
    unchanged = {"/keys": 2}
    assert asked(tool) == unchanged
    tool.vault.control("POST", "/clock", {"offset": -900})  # what is changed from here on is not changed within the second of its making
    second = tool.vault.rotate("k07")
    tool.vault.control("PATCH", f"/vaults/prod/keys/k08/{made['k08'][1]}", {"exp": 1_900_000_000})
    assert asked(tool) == {**unchanged, "/keys/k07": 1, versions_of("k07"): 1, "/keys/k08": 1, versions_of("k08"): 1}
    tool.vault.control("POST", "/clock", {"offset": -2000})  # from now on the change is not of a moment ago
    lines = lines_of(tool.prints("map", "export"))
    version = next(line for line in lines if line.get("version") == made["k11"][0])
    tool.prints("map", "import", file_of(tool, "b.kvmap", [lines[0], version, backup_of([version], "b1")]))
    with sqlite3.connect(tool.vault.dir / "map.db") as db:  # as if that had been a while ago
        db.execute("UPDATE version SET seen = seen + 120")
    assert asked(tool) == {**unchanged, versions_of("k11"): 1}
    full = asked(tool, "--full")
    assert full == {**unchanged, **{f"/keys/{name}": 1 for name in made}, **{versions_of(name): 1 for name in made}}, full
    with sqlite3.connect(tool.vault.dir / "map.db") as db:
        db.execute("UPDATE visit SET at = at - 86401 WHERE name = 'k12/versions'")
    assert asked(tool) == {**unchanged, versions_of("k11"): 1, versions_of("k12"): 1}
    assert second in tool.prints("keys", "k07", "--all")


def bounds_what_it_passes_over(tool):
    """an old version that nothing needs and that is disabled is found by --full, or within a day; one that something needs at once; with `keys` set, too"""
    tool.vault.control("POST", "/clock", {"offset": -1000})
    made = known(tool, "k", "other")
    needed, free = made["k"][0], made["other"][0]
    for config in (None, tool.vault.configure("named.conf", map=tool.vault.dir / "named.db", keys="k other")):
        tool.prints("keys", "--refresh", config=config)
        lines = lines_of(tool.prints("map", "export", config=config))
        version = next(line for line in lines if line.get("version") == needed)
        tool.prints("map", "import", file_of(tool, "b.kvmap", [lines[0], version, backup_of([version], "b1")]), config=config)
        found(tool, 0, config=config)
        for key, version in (("k", needed), ("other", free)):
            tool.vault.control("PATCH", f"/vaults/prod/keys/{key}/{version}", {"enabled": False})
        assert [row["version"] for row in found(tool, 2, config=config) if row["level"] == "critical"] == [f"k@{needed}"]
        state = {line["version"]: line["state"] for line in lines_of(tool.prints("map", "export", config=config)) if line["type"] == "version"}
        assert (state[needed], state[free]) == ("disabled", "enabled"), state
        assert f"other@{free}" in [row["version"] for row in found(tool, 2, "--full", config=config)]
        for key, version in (("k", needed), ("other", free)):
            tool.vault.control("PATCH", f"/vaults/prod/keys/{key}/{version}", {"enabled": True})


def shows_how_far_it_is(tool):
    """a listing of a vault that takes its time shows its requests on a terminal, and no trace of it elsewhere: sync, keys --refresh, map rebuild"""
    tool.vault.control("POST", "/vaults/prod/bulk", {"prefix": "b", "keys": 6, "versions": 1, "kty": "EC", "crv": "P-256"})
    for command in (["sync"], ["keys", "--refresh"], ["map", "rebuild"]):
        tool.vault.control("POST", "/faults", {"kind": "delay", "ms": 70, "count": 6})
        code, shown, out = on_terminal(tool, command, errors=True)
        assert code == 0 and re.search(rb"\d requests, \d+ requests/s", shown) and b"\x1b[K" in shown, (command, code, shown)
        assert b"requests" not in out and b"\x1b" not in out and out.count(b"\n") >= (2 if command[0] == "map" else 6), out
    done = tool.run("sync")
    assert b"requests" not in done.stderr and b"\x1b" not in done.stderr, done.stderr


SCENARIOS = (asks_for_what_changed, bounds_what_it_passes_over, tells_what_changed, tells_disabled, tells_deleted, tells_made_anew, tells_unreachable,
             shows_how_far_it_is)
