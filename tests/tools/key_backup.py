"""kvp11 key-backup: a key away into a file of the service's own, looked at, and back."""
import hashlib
import json
import stat

from kvtest import Emulator


def backed_up(tool, name="k", file="k.keybackup", **options):
    row, = json.loads(tool.prints("--json", "key-backup", name, "--out", file, **{"config": tool.operator, **options}))
    return row


def checked(tool, code, *words, **options):
    done = tool.run("--json", "key-backup", "check", *words, **options)
    assert done.returncode == code, f"exit {done.returncode} instead of {code}: {done.stdout.decode()}{done.stderr.decode()}"
    return json.loads(done.stdout)


def writes(tool):
    """the blob as the service has it, mode 0600, and beside it what it holds; as the operator alone"""
    first = tool.vault.create("k", kty="RSA", key_size=2048)
    second = tool.vault.rotate("k")
    tool.refuses(77, [], "key-backup", "k", "--out", "no")
    assert not list(tool.vault.dir.glob("no*"))
    tool.vault.requests()
    row = backed_up(tool)
    posts = [r["path"].split("?")[0] for r in tool.vault.requests() if r["method"] == "POST" and r["kind"] == "vault" and r["status"] == 200]
    assert posts == ["/keys/k/backup"], posts
    file, beside = tool.vault.dir / "k.keybackup", tool.vault.dir / "k.keybackup.json"
    blob, said = file.read_bytes(), json.loads(beside.read_text())
    assert blob.startswith(b"&AzureKeyVaultKeyBackupV1.microsoft.com") and (row["versions"], row["size"]) == (2, len(blob)), row
    assert {stat.S_IMODE(path.stat().st_mode) for path in (file, beside)} == {0o600}
    assert {v["version"] for v in said["versions"]} == {first, second} and said["sha256"] == hashlib.sha256(blob).hexdigest()
    spki = {v["version"]: v["spki_sha256"] for v in map(json.loads, tool.prints("map", "export").splitlines()) if v["type"] == "version"}
    assert {v["version"]: v["spki_sha256"] for v in said["versions"]} == spki and said["subscription"] is None
    tool.prints("key-backup", "k", config=tool.operator)
    assert len(list(tool.vault.dir.glob("prod-k-2*Z.keybackup"))) == 1
    tool.refuses(66, ["nobody"], "key-backup", "nobody", config=tool.operator)
    tool.refuses(64, ["two files"], "key-backup", "k", "--out", "-", config=tool.operator)


def checks(tool):
    """check: fine; old; a version that came later warns, and is critical once something needs it; changed bytes; no description; no vault"""
    tool.vault.create("k", kty="RSA", key_size=2048)
    backed_up(tool)
    assert [(row["check"], row["level"]) for row in checked(tool, 0, "k.keybackup")] == [
        ("file", "ok"), ("age", "ok"), ("place", "ok"), ("versions", "ok"), ("room", "ok")]
    beside = tool.vault.dir / "k.keybackup.json"
    said = json.loads(beside.read_text())
    beside.write_text(json.dumps({**said, "taken": said["taken"] - 100 * 86400}))
    assert [row["check"] for row in checked(tool, 1, "k.keybackup") if row["level"] == "warning"] == ["age"]
    checked(tool, 0, "k.keybackup", "--max-age", "101")
    beside.write_text(json.dumps(said))
    tool.vault.control("POST", "/clock", {"offset": 2})  # of two versions of one second a listing does not tell which is the newer one
    later = tool.vault.rotate("k")
    row, = [row for row in checked(tool, 1, "k.keybackup") if row["level"] != "ok"]
    assert (row["check"], row["version"], row["next"]) == ("versions", later, "kvp11 --vault prod key-backup k"), row
    assert tool.run("seal", "-r", "k", "--break-glass", "none", "--out", "file.age", input=b"x").returncode == 0
    row, = [row for row in checked(tool, 2, "k.keybackup") if row["level"] != "ok"]
    assert (row["level"], row["wraps"]) == ("critical", 1), row
    tool.vault.stop()
    short = tool.vault.configure("short.conf", timeout=2)
    rows = checked(tool, 2, "k.keybackup", config=short)
    assert [row["check"] for row in rows if row["level"] == "unknown"] == ["vault"]
    rows = checked(tool, 2, "k.keybackup", "--offline")
    assert not [row for row in rows if row["level"] == "unknown"]
    (tool.vault.dir / "k.keybackup").write_bytes(b"&" + (tool.vault.dir / "k.keybackup").read_bytes())
    assert [row["check"] for row in checked(tool, 2, "k.keybackup")] == ["file"]
    tool.refuses(65, ["describes"], "key-backup", "restore", "k.keybackup", config=tool.operator)
    beside.write_text("{}")
    tool.refuses(65, ["k.keybackup.json"], "key-backup", "check", "k.keybackup")
    beside.unlink()
    tool.refuses(3, ["is not there"], "key-backup", "check", "k.keybackup")
    tool.refuses(74, ["absent"], "key-backup", "check", "absent")


def restores(tool):
    """a purged key comes back whole: the same versions, the same public keys, each proved; what was sealed before opens again"""
    versions = {tool.vault.create("k", kty="RSA", key_size=2048), tool.vault.rotate("k")}
    assert tool.run("seal", "-r", "k", "--break-glass", "none", "--out", "file.age", input=b"secret").returncode == 0
    backed_up(tool)
    tool.refuses(73, ["taken", "kvp11 --vault prod recover k;"], "key-backup", "restore", "k.keybackup", config=tool.operator)
    tool.vault.control("POST", "/vaults/prod/keys/k/delete")
    tool.refuses(73, ["taken", "kvp11 --vault prod recover k;"], "key-backup", "restore", "k.keybackup", config=tool.operator)
    tool.vault.control("POST", "/vaults/prod/keys/k/purge")
    assert tool.run("open", "file.age").returncode != 0
    tool.refuses(77, [], "key-backup", "restore", "k.keybackup")
    rows = json.loads(tool.prints("--json", "key-backup", "restore", "k.keybackup", config=tool.operator))
    assert {(row["version"], row["role"]) for row in rows} == {(version, "proved") for version in versions}, rows
    assert tool.prints("open", "file.age") == "secret"


def notices_another_key(tool):
    """a vault that has other public keys than the backup says, or not all versions, is told: restored, and not proved (exit 65)"""
    tool.vault.create("k", kty="RSA", key_size=2048)
    backed_up(tool)
    for change in ({"spki_sha256": "00" * 32}, {"version": "0" * 32}):
        tool.vault.control("POST", "/vaults/prod/keys/k/delete")
        tool.vault.control("POST", "/vaults/prod/keys/k/purge")
        beside = tool.vault.dir / "k.keybackup.json"
        said = json.loads(beside.read_text())
        (tool.vault.dir / "o.keybackup.json").write_text(json.dumps({**said, "versions": [{**said["versions"][0], **change}]}))
        (tool.vault.dir / "o.keybackup").write_bytes((tool.vault.dir / "k.keybackup").read_bytes())
        tool.refuses(65, ["is restored, but is not proved"], "key-backup", "restore", "o.keybackup", config=tool.operator)


def elsewhere(_):
    """restored in another vault, what was sealed for the first one opens there"""
    with Emulator(vaults=("prod", "dr")) as vault:
        both = vault.configure("both.conf", identity="operator")
        version = vault.create("k", kty="RSA", key_size=2048)
        for words in (["--vault", "prod", "key-backup", "k", "--out", "k.kb"], ["--vault", "dr", "key-backup", "restore", "k.kb"]):
            done = vault.kvp11(*words, config=both)
            assert done.returncode == 0, done
        rows = [json.loads(line) for line in vault.kvp11("map", "export", config=both).stdout.splitlines()]
        assert {(row["vault"], row["version"]) for row in rows if row["type"] == "version"} == {("prod", version), ("dr", version)}


SCENARIOS = (writes, checks, restores, notices_another_key, elsewhere)
