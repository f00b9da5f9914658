"""kvp11 retire-check and kvp11 retire: may a version be disabled, and is it then."""
import json

from map import backup_of, file_of, lines_of
from scan import findings, store_of
from seal import contents, gives, keygen


def rotated(tool):
    """A key of two versions, the older one with two sealed and scanned backups: (old, new)."""
    old = tool.vault.create("cmk", kty="RSA", key_size=2048)
    store_of(tool, "a.age", "b.age")
    tool.prints("scan", "--retain-until", "2099-12-31", "store")
    new = tool.vault.rotate("cmk")
    tool.prints("keys", "--refresh")
    return old, new


def states(tool):
    """As the vault has them now."""
    return {row["version"]: row["state"] for row in json.loads(tool.prints("--json", "keys", "--all", "--refresh"))}


def tells_what_depends(tool):
    """retire-check: 2 with backups, bytes, the latest date and how many nothing else opens; 0 when there is nothing; by every name that a version has"""
    old, new = rotated(tool)
    gives(tool, "seal", "-r", f"cmk@{old}", "--break-glass", "none", "--out", "alone.age", "--register", "alone", input=contents(500))
    line = {row["version"]: row for row in lines_of(tool.prints("map", "export")) if row["type"] == "version"}[old]
    for name in (f"cmk@{old}", f"prod/cmk@{old}", line["kid"], line["cka_id"], line["spki_sha256"]):
        head, *rows = findings(tool, 2, "retire-check", name)
        assert (head["backups"], head["wraps"], head["sole"], head["keep_until"]) == (3, 0, 1, "2099-12-31T23:59:59Z"), head
        names = [row["backup"] for row in rows]  # as scan met them: a folder has no order
        assert head["bytes"] == sum(row["bytes"] for row in rows) and sorted(names[:2]) == ["a.age", "b.age"] and names[2:] == ["alone"], rows
        assert [row["others"] for row in rows] == [1, 1, 0], rows
    done = tool.run("retire-check", "--limit", "1", f"cmk@{old}")
    assert done.returncode == 2 and [name.encode() in done.stdout for name in names[:2]] == [True, False], done
    assert b"3 backups" in done.stderr and b"1 of which nothing else opens" in done.stderr and b"2099-12-31" in done.stderr and b"the first 1" in done.stderr, done
    head, = findings(tool, 0, "retire-check", f"cmk@{new}")
    assert (head["backups"], head["wraps"]) == (0, 0), head
    assert tool.prints("retire-check", f"cmk@{new}") == ""
    tool.refuses(66, ["no version"], "retire-check", "cmk@" + "0" * 32)
    tool.refuses(64, ["names no version"], "retire-check", "cmk")


def counts_wraps_once(tool):
    """a wrap that stands in a backup counts as the backup; one of which only the ledger knows is told by itself; a rewrapped backup needs the old version no more (S4)"""
    old = tool.vault.create("cmk", kty="RSA", key_size=2048)
    _, recipient = keygen(tool, "glass")
    gives(tool, "seal", "-r", "cmk", "--break-glass", recipient, "--out", "a.age", input=b"a")
    head, = findings(tool, 2, "retire-check", f"cmk@{old}")
    assert (head["backups"], head["wraps"]) == (0, 1) and head["first_wrap"], head
    (tool.vault.dir / "store").mkdir()
    (tool.vault.dir / "a.age").rename(tool.vault.dir / "store/a.age")
    tool.prints("scan", "store")
    assert findings(tool, 2, "retire-check", f"cmk@{old}")[0]["wraps"] == 0
    tool.vault.rotate("cmk")
    tool.prints("keys", "--refresh")
    gives(tool, "seal", "-r", "cmk", "--break-glass", recipient, "--out", "store/a.age", input=b"a")
    assert findings(tool, 2, "retire-check", f"cmk@{old}")[0]["backups"] == 1, "the map does not know of the new header yet"
    tool.prints("scan", "store")
    head, = findings(tool, 0, "retire-check", f"cmk@{old}")
    assert (head["backups"], head["wraps"]) == (0, 0), head
    tool.prints("retire", f"cmk@{old}", config=tool.operator)
    assert [row for row in findings(tool, 0, "sync") if row["level"] != "ok"] == []
    assert gives(tool, "open", "store/a.age") == b"a"


def refuses_while_something_depends(tool):
    """retire refuses with 73, and sends nothing that changes, while a backup or a wrap needs the version, and for the current one"""
    old, new = rotated(tool)
    tool.vault.requests()
    for word, version in (("2 backups", old), ("current", new)):
        tool.refuses(73, [word], "retire", f"cmk@{version}", config=tool.operator)
    assert [entry for entry in tool.vault.requests() if entry["method"] not in ("GET", "POST") or "/keys/" in entry["path"] and entry["method"] == "POST"] == []
    assert states(tool) == {old: "enabled", new: "enabled"}


def retires(tool):
    """a version that nothing needs is disabled, that one alone; the map remembers it, and the command that brings it back is told"""
    old = tool.vault.create("cmk", kty="RSA", key_size=2048)
    new = tool.vault.rotate("cmk")
    tool.prints("keys", "--refresh")
    done = tool.run("--json", "retire", f"cmk@{old}", config=tool.operator)
    assert done.returncode == 0 and f"--enabled true --id '".encode() in done.stderr and old.encode() in done.stderr, done
    row, = json.loads(done.stdout)
    assert (row["version"], row["state"]) == (old, "disabled"), row
    assert states(tool) == {old: "disabled", new: "enabled"}
    line = {row["version"]: row for row in lines_of(tool.prints("map", "export")) if row["type"] == "version"}[old]
    assert line["retire_after"] and line["state"] == "disabled", line
    tool.prints("map", "verify")


def is_the_operators_work(tool):
    """with [prod.operator] it is done as that identity; the one of the module may not"""
    old = tool.vault.create("cmk", kty="RSA", key_size=2048)
    tool.vault.rotate("cmk")
    tool.prints("keys", "--refresh")
    tool.refuses(77, ["permission"], "retire", f"cmk@{old}")
    assert states(tool)[old] == "enabled"


def means_the_place_that_is_named(tool):
    """a kid names one place: another one of the same name and version is not retired for it, and wraps of the key count wherever they were made"""
    old = tool.vault.create("cmk", kty="RSA", key_size=2048)
    tool.vault.rotate("cmk")
    tool.prints("keys", "--refresh")
    lines = lines_of(tool.prints("map", "export"))
    line = {row["version"]: row for row in lines if row["type"] == "version"}[old]
    away = f"https://away.example/keys/cmk/{old}"
    tool.refuses(66, ["is not in the version map", line["kid"]], "retire", away, config=tool.operator)
    assert states(tool)[old] == "enabled"
    moved = dict(line, name="was", kid=f"https://away.example/keys/was/{old}", wraps=3, settled=1)
    tool.prints("map", "import", file_of(tool, "moved.kvmap", [lines[0], moved]))
    assert findings(tool, 2, "retire-check", line["kid"])[0]["wraps"] == 2
    tool.refuses(73, ["2 wrapped keys"], "retire", line["kid"], config=tool.operator)
    assert states(tool)[old] == "enabled"


def pages(tool):
    """700 backups: counted, and listed as far as is asked for"""
    tool.vault.create("cmk", kty="RSA", key_size=2048)
    tool.vault.rotate("cmk")
    tool.prints("keys", "--refresh")
    lines = lines_of(tool.prints("map", "export"))
    tool.prints("map", "import", file_of(tool, "many.kvmap", lines[:-1] + [backup_of(lines, f"b{i:04}") for i in range(700)]))
    version = next(line["version"] for line in lines if line["type"] == "version")
    head, *rows = findings(tool, 2, "retire-check", "--limit", "600", f"cmk@{version}")
    assert (head["backups"], head["bytes"], len(rows)) == (700, 2_800_000, 600) and len({row["backup"] for row in rows}) == 600


SCENARIOS = (tells_what_depends, counts_wraps_once, refuses_while_something_depends, retires, is_the_operators_work, means_the_place_that_is_named, pages)
