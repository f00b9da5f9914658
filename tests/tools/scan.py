"""kvp11 scan, and map rebuild --scan: the backups of a store into the map by their headers, and what is wrong with them."""
import base64
import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import time

from map import lines_of, other_map
from seal import age, contents, gives, header_len, keygen


def findings(tool, code, *arguments, **options):
    done = tool.run("--json", *arguments, **options)
    assert done.returncode == code, f"{arguments}: exit {done.returncode} instead of {code}: {done.stdout.decode()}{done.stderr.decode()}"
    return json.loads(done.stdout)


def summary(rows):
    """The numbers of the line of the store; the other rows."""
    counts, = [row for row in rows if row["files"] is not None]
    return {name: counts[name] for name in ("files", "backups", "new", "changed", "unmapped", "broken", "gone", "others")}, [row for row in rows if row["files"] is None]


def counted(rows, **wanted):
    counts, others = summary(rows)
    assert {name: count for name, count in counts.items() if count} == wanted, counts
    return others


def backups(tool, **options):
    return {line["id"]: line for line in lines_of(tool.prints("map", "export", **options)) if line["type"] == "backup"}


def opened_by(backup):
    return sorted((to["kind"], to["text"]) for to in backup["recipients"] if not to["removed"])


def cms(tool, out, *recipients):
    done = tool.vault.run(["openssl", "cms", "-encrypt", "-binary", "-outform", "DER", "-aes-256-gcm", "-in", "plain", "-out", out, *recipients])
    assert done.returncode == 0, done.stderr


def stranger(tool, name):
    """A certificate of somebody else: (its path)."""
    done = tool.vault.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-days", "9", "-keyout", f"{name}.key", "-out", f"{name}.pem"])
    assert done.returncode == 0, done.stderr
    return f"{name}.pem"


def store_of(tool, *files, name="store", key="cmk"):
    """A folder with sealed files for a key and a break-glass key: (folder, recipient of the latter, its identity)."""
    identity, recipient = keygen(tool, f"glass-{name}")
    folder = tool.vault.dir / name
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        gives(tool, "seal", "-r", key, "--break-glass", recipient, "--out", f"{name}/{file}", input=contents(1000))
    return folder, recipient, identity


def registers_what_is_there(tool):
    """every sealed file of a tree becomes a backup with place, size, header, time and recipients, once; what is none is passed over, links are not followed"""
    version = tool.vault.create("cmk", kty="RSA", key_size=2048)
    store, recipient, _ = store_of(tool, "a.age", "sub/dir/b.age", "sub/c c.age")
    (store / "notes.txt").write_text("no backup")
    (store / "empty").write_bytes(b"")
    (store / "link.age").symlink_to("a.age")
    (store / "loop").symlink_to("..")
    os.mkfifo(store / "fifo")
    os.utime(store / "a.age", (1_700_000_000, 1_700_000_000))
    (tool.vault.dir / "plain").write_bytes(contents(3000))
    age(tool, "-r", recipient, "-o", "store/theirs.age", "plain")
    tool.vault.requests()
    assert counted(findings(tool, 0, "scan", "store"), files=6, backups=4, new=4, others=2) == []
    assert tool.vault.requests() == [], "a scan asks no vault"
    found = backups(tool)
    assert set(found) == {"a.age", "sub/dir/b.age", "sub/c c.age", "theirs.age"}, found
    one, file = found["a.age"], (store / "a.age").read_bytes()
    assert (one["store"], one["object"], one["size"], one["created"], one["keep_until"]) == (str(store), "a.age", len(file), 1_700_000_000, 0), one
    assert one["header_sha256"] == hashlib.sha256(file[:header_len(file)]).hexdigest()
    assert [kind for kind, _ in opened_by(one)] == ["rsa-oaep-256", "x25519"] and version in opened_by(one)[0][1], one
    assert opened_by(found["theirs.age"]) == [("x25519", "")]
    assert counted(findings(tool, 0, "scan", "store"), files=6, backups=4, others=2) == [], "the second time changes nothing"
    row, = json.loads(tool.prints("--json", "keys", "cmk"))
    assert row["backups"] == 3, row
    tool.prints("map", "verify")


def dry_runs_and_dates(tool):
    """--dry-run writes nothing; --retain-until takes days, times and ages, ages counting from each file's time; nonsense is refused before anything is read"""
    tool.vault.create("cmk", kty="RSA", key_size=2048)
    store, *_ = store_of(tool, "a.age")
    os.utime(store / "a.age", (1_700_000_000, 1_700_000_000))
    assert counted(findings(tool, 0, "scan", "--dry-run", "store"), files=1, backups=1, new=1) == []
    assert backups(tool) == {}
    for text, until in (("30d", 1_700_000_000 + 30 * 86400), ("12w", 1_700_000_000 + 84 * 86400), ("7y", 1_700_000_000 + 2555 * 86400),
                        ("2099-12-31", 4102444799), ("2099-12-31T12:00:00Z", 4102401600)):
        tool.prints("scan", "--retain-until", text, "store")
        assert backups(tool)["a.age"]["keep_until"] == until, (text, backups(tool))
    tool.prints("scan", "store")
    assert backups(tool)["a.age"]["keep_until"] == 4102401600, "not told is not forgotten"
    for text in ("soon", "2099-02-30", "0d", "5", "-3d", "9999999999y", "3 d"):
        tool.refuses(64, ["no date and no age"], "scan", "--retain-until", text, "store")
    (tool.vault.dir / "none").mkdir()
    tool.refuses(64, ["no date and no age"], "scan", "--retain-until", "soon", "none")
    for at in (0, 2**40):  # dates that say nothing: then an age counts from now
        os.utime(store / "a.age", (at, at))
        if (store / "a.age").stat().st_mtime != at:
            continue  # no file here can have that one
        before = int(time.time())
        tool.prints("scan", "--name", f"at {at}", "--retain-until", "30d", "store")
        one, = [line for line in lines_of(tool.prints("map", "export")) if line["type"] == "backup" and line["store"] == f"at {at}"]
        assert one["created"] == 0 and abs(one["keep_until"] - before - 30 * 86400) < 60, (at, one)
    tool.refuses(74, ["absent"], "scan", "absent")
    tool.refuses(64, ["--name"], "scan", "--name", "x", "store", "store")
    tool.refuses(64, ["--prune-gone"], "scan", "--prune-gone", "-", input=b"")


def sees_a_rewrap(tool):
    """a file whose header is another one now has other recipients, and those it had are kept as removed; a changed size alone is told, too"""
    old = tool.vault.create("cmk", kty="RSA", key_size=2048)
    store, recipient, _ = store_of(tool, "a.age")
    tool.prints("scan", "store")
    new = tool.vault.rotate("cmk")
    tool.prints("keys", "--refresh")
    gives(tool, "seal", "-r", "cmk", "--break-glass", recipient, "--out", "store/a.age", input=contents(5000))
    assert counted(findings(tool, 0, "scan", "store"), files=1, backups=1, changed=1) == []
    backup = backups(tool)["a.age"]
    assert new in opened_by(backup)[0][1] and backup["size"] == (store / "a.age").stat().st_size, backup
    assert [old in to["text"] for to in backup["recipients"] if to["removed"]] == [True], backup
    tool.prints("map", "verify")


def agrees_with_seal(tool):
    """what seal registered is known under its own name, with the break-glass key as it was named, and stays so"""
    tool.vault.create("cmk", kty="RSA", key_size=2048)
    _, recipient = keygen(tool, "glass")
    (tool.vault.dir / "store").mkdir()
    gives(tool, "seal", "-r", "cmk", "--break-glass", recipient, "--out", "store/b.age", "--register", "nightly/7", "--retain-until", "30d", input=b"x")
    before = backups(tool)
    assert counted(findings(tool, 0, "scan", "store"), files=1, backups=1) == []
    assert backups(tool) == before and list(before) == ["nightly/7"] and ("x25519", recipient) in opened_by(before["nightly/7"]), before


def tells_how_to_register(tool):
    """when the map breaks while a backup is written, the backup is there, the exit status is not 0, and the message has the command that registers it"""
    tool.vault.create("cmk", kty="RSA", key_size=2048)
    tool.prints("keys")
    (tool.vault.dir / "store").mkdir()
    spoil = "echo data; sleep 0.1; dd if=/dev/zero of=map.db bs=4096 count=4 conv=notrunc 2>/dev/null"
    done = tool.run("seal", "-r", "cmk", "--break-glass", "none", "--register", "b", "--out", "store/b.age", "--", "sh", "-c", spoil)
    assert done.returncode not in (0, 1) and b"kvp11 scan " + str(tool.vault.dir / "store").encode() in done.stderr, done
    for path in tool.vault.dir.glob("map.db*"):
        path.unlink()
    assert gives(tool, "open", "store/b.age") == b"data\n"
    tool.prints("keys")
    tool.prints("scan", "store")
    assert list(backups(tool)) == ["b.age"]


def names_what_is_broken(tool):
    """files that begin like a backup and are none are named, one by one, and the scan goes on; one that was a backup is told as such"""
    tool.vault.create("cmk", kty="RSA", key_size=2048)
    store, *_ = store_of(tool, "a.age", "good.age", "lost.age")
    tool.prints("scan", "store")
    file = (store / "a.age").read_bytes()
    (store / "cut.age").write_bytes(file[:header_len(file) - 10])
    (store / "armor.age").write_bytes(b"-----BEGIN AGE ENCRYPTED FILE-----\n")
    (store / "other.age").write_bytes(b"age-encryption.org/v9\n" + file)
    (store / "long.age").write_bytes(b"age-encryption.org/v1\n-> x\n" + b"A" * 64 + b"\n" + b"A" * 200_000)
    (store / "cms").write_bytes(bytes.fromhex("30800609 2a864886f70d010703 a0803080".replace(" ", "")) + b"\xff" * 100)
    (store / "lost.age").write_bytes(b"overwritten")
    rows = counted(findings(tool, 1, "scan", "store"), files=8, backups=2, broken=5, others=1)
    told = {row["object"]: row["found"] for row in rows}
    assert set(told) == {"cut.age", "armor.age", "other.age", "long.age", "cms", "lost.age"}, told
    assert "armor" in told["armor.age"] and "another version" in told["other.age"] and "was backup 'lost.age'" in told["lost.age"], told
    assert set(backups(tool)) == {"a.age", "good.age", "lost.age"}


def follows_what_vanished(tool):
    """what is gone is told each time, marked only with --prune-gone, and never while nothing at all is there"""
    tool.vault.create("cmk", kty="RSA", key_size=2048)
    store, *_ = store_of(tool, "a.age", "sub/b.age", "c.age")
    tool.prints("scan", "--retain-until", "2099-01-01", "store")
    (store / "a.age").unlink()
    for _ in range(2):
        row, = counted(findings(tool, 1, "scan", "store"), files=2, backups=2, gone=1)
        assert row["object"] == "a.age" and "2099-01-01" in row["found"] and row["next"].endswith("kvp11 scan --prune-gone store"), row
    row, = counted(findings(tool, 1, "scan", "--name", str(store), "store"), files=2, backups=2, gone=1)
    assert row["next"].endswith(f"kvp11 scan --prune-gone --name {store} store"), row
    findings(tool, 1, "scan", "--prune-gone", "--dry-run", "store")
    assert backups(tool)["a.age"]["retired"] == 0
    findings(tool, 1, "scan", "--prune-gone", "store")
    assert backups(tool)["a.age"]["retired"] and counted(findings(tool, 0, "scan", "store"), files=2, backups=2) == []
    moved = store.rename(tool.vault.dir / "unmounted")
    store.mkdir()
    row, = counted(findings(tool, 3, "scan", "--prune-gone", "store"))
    assert row["level"] == "unknown" and "mounted" in row["next"], row
    store.rmdir()
    moved.rename(store)
    assert counted(findings(tool, 0, "scan", "store"), files=2, backups=2) == []
    assert [line["retired"] for name, line in backups(tool).items() if name != "a.age"] == [0, 0]
    tool.prints("map", "verify")


def tells_unknown_versions(tool):
    """files for versions that the map does not have are registered and told, with where the version was; learning it ends that"""
    version = tool.vault.create("cmk", kty="RSA", key_size=2048)
    store_of(tool, "a.age", "b.age")
    fresh = other_map(tool)
    row, = counted(findings(tool, 1, "scan", "store", config=fresh), files=2, backups=2, new=2, unmapped=2)
    assert f"/keys/cmk/{version}" in row["found"] and "2 backups" in row["found"] and "map rebuild" in row["next"], row
    assert len(backups(tool, config=fresh)) == 2
    tool.prints("map", "rebuild", config=fresh)
    assert counted(findings(tool, 0, "scan", "store", config=fresh), files=2, backups=2) == []


def reads_envelopes(tool):
    """envelopes of openssl cms: by key identifier and by certificate of a version of ours; strangers beside it are break-glass, alone they are unknown"""
    tool.vault.create("cmk", kty="RSA", key_size=2048)
    tool.prints("keys")
    store = tool.vault.dir / "store"
    store.mkdir()
    (tool.vault.dir / "plain").write_bytes(contents(300_000))
    other = stranger(tool, "other")
    done = tool.run("cms", "seal", "-r", "cmk", "-r", other, "--out", "store/ours", input=b"small")
    assert done.returncode == 0, done
    cms(tool, "store/strange", "-keyid", other)
    assert len((store / "strange").read_bytes()) > 300_000
    row, = counted(findings(tool, 1, "scan", "store"), files=2, backups=2, new=2, unmapped=1)
    assert row["object"] == "strange", row
    found = backups(tool)
    assert [kind for kind, _ in opened_by(found["ours"])] == ["cms-certificate", "cms-rsa"], found
    assert [kind for kind, _ in opened_by(found["strange"])] == ["cms-unknown"], found
    key, = [to["key"] for to in found["ours"]["recipients"] if to["kind"] == "cms-rsa"]
    assert key == next(line["spki_sha256"] for line in lines_of(tool.prints("map", "export")) if line["type"] == "version")
    fresh = other_map(tool)
    counted(findings(tool, 1, "scan", "store", config=fresh), files=2, backups=2, new=2, unmapped=2)
    tool.prints("map", "rebuild", config=fresh)
    counted(findings(tool, 1, "scan", "store", config=fresh), files=2, backups=2, changed=1, unmapped=1)
    assert opened_by(backups(tool, config=fresh)["ours"]) == opened_by(found["ours"]), "a key that was learnt meanwhile is told, though the header is as it was"


def reads_envelopes_in_text(tool):
    """an envelope as PEM or S/MIME is the same backup with the same header; other text in PEM or with a mail's header is none"""
    version = tool.vault.create("cmk", kty="RSA", key_size=2048)
    tool.prints("keys")
    store = tool.vault.dir / "store"
    store.mkdir()
    (tool.vault.dir / "plain").write_bytes(contents(300_000))
    gives(tool, "cms", "seal", "-r", "cmk", "--break-glass", "none", "--out", "store/ours", input=b"small")
    stranger(tool, "other")
    cms(tool, "store/large", "other.pem")
    counted(findings(tool, 1, "scan", "store"), files=2, backups=2, new=2, unmapped=1)
    before = backups(tool)
    for form in ("PEM", "SMIME"):
        for name in ("ours", "large"):
            file = store / name
            done = tool.vault.run(["openssl", "cms", "-cmsout", "-inform", "DER", "-in", file, "-outform", form, "-out", f"{name}.{form}"])
            assert done.returncode == 0, done
        for name in ("ours", "large"):
            os.replace(tool.vault.dir / f"{name}.{form}", tool.vault.dir / f"{form}-{name}")
    (store / "other.pem").write_bytes((tool.vault.dir / "other.pem").read_bytes())
    (store / "mail").write_text("Subject: no envelope\n\nbut a letter\n")
    for form in ("PEM", "SMIME"):
        for name in ("ours", "large"):
            os.replace(tool.vault.dir / f"{form}-{name}", store / name)
        assert not (store / "ours").read_bytes().startswith(b"0")
        counted(findings(tool, 1, "scan", "store"), files=4, backups=2, changed=2, unmapped=1, others=2)
        after = backups(tool)
        assert [after[name]["header_sha256"] for name in after] == [before[name]["header_sha256"] for name in before], after
    row, = json.loads(tool.prints("--json", "explain", "store/ours"))
    assert (row["form"], row["version"]) == ("CMS envelope", version), row
    tool.refuses(64, ["other.pem", "BEGIN CERTIFICATE"], "explain", "store/other.pem")


def minds_sidecars(tool):
    """a header that lies beside its file says who opens it, is no backup itself, and is passed over when it is another file's"""
    old = tool.vault.create("cmk", kty="RSA", key_size=2048)
    store, recipient, _ = store_of(tool, "a.age", "b.age")
    new = tool.vault.rotate("cmk")
    tool.prints("keys", "--refresh")
    again = gives(tool, "seal", "-r", "cmk", "--break-glass", recipient, input=b"")
    header = again[:header_len(again)]
    for name, of in (("a.age", "a.age"), ("b.age", "a.age")):
        file = (store / of).read_bytes()
        digest = base64.b64encode(hashlib.sha256(file[:header_len(file)]).digest()).decode().rstrip("=")
        (store / f"{name}.kvp11-header").write_bytes(header.replace(b"\n---", f"\n-> kvp11-sidecar {digest}\n\n---".encode(), 1))
    assert counted(findings(tool, 0, "scan", "store"), files=2, backups=2, new=2) == []
    found = {name: opened_by(line)[0][1].rsplit("/", 1)[1] for name, line in backups(tool).items()}
    assert found == {"a.age": new, "b.age": old}, found
    (store / "b.age.kvp11-header").write_bytes(header)
    assert counted(findings(tool, 0, "scan", "store"), files=2, backups=2, changed=1) == []
    assert new in opened_by(backups(tool)["b.age"])[0][1], "a change in place that did not end: its header is whole"


def takes_lists(tool):
    """names on the standard input, from whatever lists a store: those are registered, and what is not on the list is not gone; --name names the store"""
    tool.vault.create("cmk", kty="RSA", key_size=2048)
    store_of(tool, "a.age", "b.age")
    assert counted(findings(tool, 0, "scan", "--name", "azblob:a/c", "-", input=b"store/a.age\n\nstore/b.age\n"), files=2, backups=2, new=2) == []
    assert {line["store"] for line in backups(tool).values()} == {"azblob:a/c"}
    row, = counted(findings(tool, 1, "scan", "--name", "azblob:a/c", "-", input=b"store/a.age\nstore/absent"), files=1, backups=1, broken=1)
    assert row["object"] == "store/absent" and "No such file" in row["found"], row
    long = tool.vault.dir / "store" / ("d" * 120) / ("e" * 120)
    long.mkdir(parents=True)
    (long / "a.age").write_bytes((tool.vault.dir / "store/a.age").read_bytes())
    tool.prints("scan", "--name", "s", "store")
    far, = [name for name, line in backups(tool).items() if line["store"] == "s" and line["object"].startswith("ddd")]
    assert far.startswith("path-sha256:") and counted(findings(tool, 0, "scan", "--name", "s", "store"), files=3, backups=3) == []


def comes_back_after_loss(tool):
    """S11: the map is deleted; rebuilt from the vault and the headers of the store it equals the copy that was exported before"""
    tool.vault.create("cmk", kty="RSA", key_size=2048)
    store, recipient, _ = store_of(tool, "a.age", "sub/b.age")
    tool.vault.rotate("cmk")
    tool.prints("keys", "--refresh")
    gives(tool, "seal", "-r", "cmk", "--break-glass", recipient, "--out", "store/c.age", input=b"new")
    tool.prints("scan", "--retain-until", "7y", "store")
    tool.prints("map", "export", "--out", "copy.kvmap")
    assert tool.prints("map", "compare", "copy.kvmap").splitlines()[1:] == []
    for path in tool.vault.dir.glob("map.db*"):
        path.unlink()
    assert tool.run("map", "compare", "copy.kvmap").returncode == 1, "an empty map is not the copy"
    for path in tool.vault.dir.glob("map.db*"):
        path.unlink()
    counted(findings(tool, 0, "map", "rebuild", "--scan", "store", "--retain-until", "7y"), files=3, backups=3, new=3)
    assert tool.prints("map", "compare", "copy.kvmap").splitlines()[1:] == []
    tool.prints("map", "verify")
    (store / "sub/b.age").unlink()
    assert tool.run("map", "rebuild", "--scan", "store").returncode == 1
    tool.refuses(64, ["--scan"], "map", "rebuild", "--name", "x")


def is_resumed(tool):
    """2,000 files: a scan that is killed and one that is done again leave each file once, and the map whole"""
    tool.vault.create("cmk", kty="RSA", key_size=2048)
    store, *_ = store_of(tool, "a.age")
    file = (store / "a.age").read_bytes()
    for i in range(1999):
        (store / f"{i:04}.age").write_bytes(file)
    process = subprocess.Popen([tool.vault.tool, "scan", "store"], cwd=tool.vault.dir, env=tool.vault.environment(), stdout=subprocess.DEVNULL)
    while process.poll() is None:
        with sqlite3.connect(f"file:{tool.vault.dir / 'map.db'}?mode=ro", uri=True) as db:
            if db.execute("SELECT count(*) FROM backup").fetchone()[0]:
                break
    process.send_signal(signal.SIGKILL)
    process.wait()
    tool.prints("map", "verify")
    counts, rows = summary(findings(tool, 0, "scan", "store"))
    assert rows == [] and counts["backups"] == 2000, counts
    assert len(backups(tool)) == 2000
    assert counted(findings(tool, 0, "scan", "store"), files=2000, backups=2000) == []


SCENARIOS = (registers_what_is_there, dry_runs_and_dates, sees_a_rewrap, agrees_with_seal, tells_how_to_register, names_what_is_broken, follows_what_vanished,
             tells_unknown_versions, reads_envelopes, reads_envelopes_in_text, minds_sidecars, takes_lists, comes_back_after_loss, is_resumed)
