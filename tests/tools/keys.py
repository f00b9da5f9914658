"""kvp11 create and kvp11 keys."""
import json


def rows_of(tool, *arguments, **options):
    return json.loads(tool.prints("--json", "keys", *arguments, **options))


def creates(tool):
    """create makes the key that was asked for, says its URI, and refuses a name that exists with exit 73"""
    made = json.loads(tool.prints("--json", "create", "k", "--size", "2048", config=tool.operator))
    assert len(made) == 1 and made[0]["key"] == "RSA 2048" and made[0]["current"] is True, made
    assert made[0]["uri"].startswith("pkcs11:") and "id=%" in made[0]["uri"]
    assert made[0]["version"] in made[0]["kid"]
    tool.refuses(73, ["prod/k"], "create", "k", config=tool.operator)
    curve = json.loads(tool.prints("--json", "create", "e", "--curve", "P-384", config=tool.operator))
    assert curve[0]["key"] == "EC P-384", curve


def is_told_no(tool):
    """create and rotate without the permission are exit 77 and change nothing"""
    tool.vault.create("k", kty="EC")
    tool.refuses(77, [], "create", "new")
    tool.refuses(77, [], "rotate", "k")
    assert [row["name"] for row in rows_of(tool)] == ["k"]


def lists_versions(tool):
    """keys lists every version: one bare label, the others name@version, each with an identifier of its own"""
    first = tool.vault.create("k", kty="RSA", key_size=2048)
    second, third = tool.vault.rotate("k"), tool.vault.rotate("k")
    tool.vault.create("other", kty="EC")
    rows = rows_of(tool, "k")
    assert {row["version"]: row["label"] for row in rows} == {first: f"k@{first}", second: f"k@{second}", third: "k"}, rows
    assert [row["version"] for row in rows if row["current"]] == [third]
    assert len({row["id"] for row in rows}) == 3 and all(len(row["id"]) == 40 for row in rows)
    assert all(row["state"] == "enabled" and row["created"].endswith("Z") for row in rows)
    assert len(rows_of(tool)) == 4
    assert [row["label"] for row in rows_of(tool, "--current")] == ["k", "other"]
    assert [row["version"] for row in rows_of(tool, f"k@{first}")] == [first]


def prints_a_table(tool):
    """the table has a line a version, its columns are aligned, and the URI to paste ends the line"""
    tool.vault.create("k", kty="EC")
    tool.vault.rotate("k")
    lines = tool.prints("keys").splitlines()
    assert len(lines) == 3 and lines[0].split()[-1] == "URI"
    for column in ("LABEL", "STATE", "CREATED", "URI"):
        at = lines[0].index(column)
        assert all(line[at - 1] == " " and line[at] != " " for line in lines[1:]), (column, lines)
    assert all(line.split()[-1].startswith("pkcs11:") for line in lines[1:])


def asks_seldom(tool):
    """a second listing within refresh_seconds sends nothing, --refresh does, and sees what has changed"""
    version = tool.vault.create("k", kty="EC")
    rows_of(tool)
    tool.vault.requests()
    rows_of(tool)
    assert tool.vault.requests() == []
    tool.vault.control("PATCH", f"/vaults/prod/keys/k/{version}", {"enabled": False})
    assert rows_of(tool, "--refresh")[0]["state"] == "disabled"


def remembers(tool):
    """a deleted key is still listed with --all, in its state"""
    version = tool.vault.create("k", kty="EC")
    tool.vault.create("stays", kty="EC")
    rows_of(tool)
    tool.vault.control("POST", "/vaults/prod/keys/k/delete")
    rows_of(tool, "--refresh")
    rows = {row["name"]: row for row in rows_of(tool, "--all")}
    assert rows["k"]["version"] == version and rows["k"]["state"] in ("deleted", "missing"), rows
    assert rows["stays"]["state"] == "enabled"


def knows_nothing(tool):
    """a name that nobody knows is exit 66"""
    tool.vault.create("k", kty="EC")
    tool.refuses(66, ["'nobody'"], "keys", "nobody")


def says_where_it_is_from(tool):
    """a vault that does not answer is told on stderr, and what is shown is what the map knows"""
    tool.vault.create("k", kty="EC")
    before, = rows_of(tool)
    tool.vault.stop()
    done = tool.run("--json", "keys", "--refresh", config=tool.vault.configure("short.conf", timeout=2))
    row, = json.loads(done.stdout)
    assert done.returncode == 0 and (row["kid"], row["state"]) == (before["kid"], "unreachable"), done
    assert b"vault 'prod'" in done.stderr and b"what the version map knows" in done.stderr, done


SCENARIOS = (creates, is_told_no, lists_versions, prints_a_table, asks_seldom, remembers, knows_nothing, says_where_it_is_from)
