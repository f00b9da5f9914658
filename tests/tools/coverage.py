"""kvp11 coverage: who can open which backups now, and what opening all of them takes."""
from map import backup_of, file_of, lines_of
from scan import cms, findings, store_of, stranger
from seal import contents, gives, keygen


def sums(rows):
    return {row["what"]: row["backups"] for row in rows if row["what"] in ("all", "by vault", "by break-glass", "by nobody", "without break-glass", "of unknown versions")
            and row["backups"]}


def levels(rows):
    return {row["what"]: row["level"] for row in rows if row["level"] != "ok"}


def tells_nothing_false(tool):
    """S12: on a healthy map coverage and sync find nothing, before and after a rotation, and on an empty map neither"""
    assert sums(findings(tool, 0, "coverage")) == {}
    version = tool.vault.create("cmk", kty="RSA", key_size=2048)
    store_of(tool, "a.age", "b.age")
    tool.prints("scan", "store")
    tool.vault.rotate("cmk")
    tool.prints("sync")
    rows = findings(tool, 0, "coverage")
    assert sums(rows) == {"all": 2, "by vault": 2, "by break-glass": 2} and levels(rows) == {}, rows
    row, = [row for row in rows if row["what"] == "version"]
    assert (row["subject"], row["backups"], row["sole"], row["state"]) == (f"prod/cmk@{version}", 2, 0, "enabled"), row
    assert {row["level"] for row in findings(tool, 0, "sync")} <= {"ok"}


def warns_without_break_glass(tool):
    """a backup that only a vault opens is a warning, and stands as sole beside its version"""
    tool.vault.create("cmk", kty="RSA", key_size=2048)
    store_of(tool, "a.age")
    gives(tool, "seal", "-r", "cmk", "--break-glass", "none", "--out", "store/alone.age", input=contents(5000))
    tool.prints("scan", "store")
    rows = findings(tool, 1, "coverage")
    assert sums(rows) == {"all": 2, "by vault": 2, "by break-glass": 1, "without break-glass": 1} and levels(rows) == {"without break-glass": "warning"}, rows
    assert [row["sole"] for row in rows if row["what"] == "version"] == [1]


def tells_what_is_lost(tool):
    """S12: a version that backups need is disabled, then its key deleted: sync is critical within one run, coverage when nobody else opens one; put back, all is well"""
    version = tool.vault.create("cmk", kty="RSA", key_size=2048)
    store_of(tool, "a.age")
    gives(tool, "seal", "-r", "cmk", "--break-glass", "none", "--out", "store/alone.age", input=contents(5000))
    tool.prints("scan", "store")
    tool.vault.rotate("cmk")
    tool.prints("sync")
    for what, undo, state in ((("PATCH", f"/vaults/prod/keys/cmk/{version}", {"enabled": False}), ("PATCH", f"/vaults/prod/keys/cmk/{version}", {"enabled": True}), "disabled"),
                              (("POST", "/vaults/prod/keys/cmk/delete"), ("POST", "/vaults/prod/keys/cmk/recover"), "deleted")):
        tool.vault.control(*what)
        critical = [row for row in findings(tool, 2, "sync") if row["level"] == "critical"]
        assert [(row["version"], row["state"], row["backups"]) for row in critical] == [(f"cmk@{version}", state, 2)], critical
        rows = findings(tool, 2, "coverage")
        assert sums(rows) == {"all": 2, "by break-glass": 1, "by nobody": 1, "without break-glass": 1}, rows
        assert [row["subject"] for row in rows if row["what"] == "backup"] == ["alone.age"], rows
        assert [row["state"] for row in rows if row["what"] == "version"] == [state], rows
        tool.vault.control(*undo)
        findings(tool, 0, "sync")
        assert sums(findings(tool, 1, "coverage")) == {"all": 2, "by vault": 2, "by break-glass": 1, "without break-glass": 1}


def counts_expired_as_open(tool):
    """an expired version opens old data: nothing is lost; one that may no longer unwrap does not"""
    version = tool.vault.create("cmk", kty="RSA", key_size=2048)
    store_of(tool, "a.age")
    tool.prints("scan", "store")
    tool.vault.rotate("cmk")
    tool.vault.control("PATCH", f"/vaults/prod/keys/cmk/{version}", {"exp": 1_700_000_000})
    tool.prints("sync")
    assert sums(findings(tool, 0, "coverage")) == {"all": 1, "by vault": 1, "by break-glass": 1}


def knows_what_it_does_not_know(tool):
    """stanzas of unknown types, grease, keys of other vaults and strangers' envelopes are no break-glass; those beside a key of ours are"""
    tool.vault.create("cmk", kty="RSA", key_size=2048)
    store_of(tool, "a.age")
    (tool.vault.dir / "plain").write_bytes(contents(1000))
    cms(tool, "store/strange", "-keyid", stranger(tool, "other"))
    done = tool.run("cms", "seal", "-r", "cmk", "-r", "other.pem", "--out", "store/both", input=b"x")
    assert done.returncode == 0, done
    file = (tool.vault.dir / "store/a.age").read_bytes()
    bare = file[:file.index(b"-> X25519")] + file[file.index(b"\n---") + 1:]
    (tool.vault.dir / "store/odd.age").write_bytes(bare.replace(b"\n---", b"\n-> odd\n\n-> x-grease a\n\n-> kvp11-spare\n\n---", 1))
    tool.run("scan", "store")
    rows = findings(tool, 2, "coverage")
    assert sums(rows) == {"all": 4, "by vault": 3, "by break-glass": 2, "by nobody": 1, "without break-glass": 2, "of unknown versions": 1}, rows
    elsewhere = tool.vault.configure("elsewhere.conf", map=tool.vault.dir / "elsewhere.db")
    tool.run("scan", "store", config=elsewhere)
    rows = findings(tool, 2, "coverage", config=elsewhere)
    assert sums(rows)["of unknown versions"] == 4 and "by vault" not in sums(rows), rows


def keeps_stores_apart(tool):
    """--store looks at one store alone"""
    tool.vault.create("cmk", kty="RSA", key_size=2048)
    store_of(tool, "a.age", "b.age")
    store_of(tool, "c.age", name="second")
    gives(tool, "seal", "-r", "cmk", "--break-glass", "none", "--out", "second/d.age", input=b"")
    tool.prints("scan", "store", "second")
    assert sums(findings(tool, 0, "coverage", "--store", str(tool.vault.dir / "store")))["all"] == 2
    rows = findings(tool, 1, "coverage", "--store", str(tool.vault.dir / "second"))
    assert sums(rows)["all"] == 2 and [row["backups"] for row in rows if row["what"] == "version"] == [2], rows
    assert sums(findings(tool, 1, "coverage"))["all"] == 4


def tells_what_a_restore_takes(tool):
    """calls and time under the quota: 3,000 backups of a 4096 bit key take eight times as long as of a 2048 bit one; a backup that two versions open counts once"""
    tool.vault.create("large", kty="RSA", key_size=4096)
    tool.vault.create("small", kty="RSA", key_size=2048)
    tool.prints("keys")
    lines = lines_of(tool.prints("map", "export"))
    versions = {line["name"]: line for line in lines if line["type"] == "version"}
    many = [backup_of([versions[name]], f"{name}{i}") for name in versions for i in range(3000)]
    both = backup_of([versions["small"]], "both")
    both["recipients"] += backup_of([versions["large"]], "x")["recipients"][:1]
    tool.prints("map", "import", file_of(tool, "many.kvmap", lines[:-1] + many + [both]))
    rows = findings(tool, 0, "coverage")
    row, = [row for row in rows if row["what"] == "restore"]
    wanted = (3000 * 8 + 3000) * 10 / 4000
    assert row["calls"] == 6001 and wanted <= row["seconds"] <= wanted + 1 and "2 minutes" in row["found"], row
    slow = tool.vault.configure("slow.conf", rate_limit=400)
    row, = [row for row in findings(tool, 0, "coverage", config=slow) if row["what"] == "restore"]
    assert 10 * wanted <= row["seconds"] <= 10 * wanted + 1, row


SCENARIOS = (tells_nothing_false, warns_without_break_glass, tells_what_is_lost, counts_expired_as_open, knows_what_it_does_not_know, keeps_stores_apart,
             tells_what_a_restore_takes)
