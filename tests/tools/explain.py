"""kvp11 explain: which version, where, in what state, who else; why it does not open, and what mends it."""
import json

from resolve import opened_blob

BREAK_GLASS = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"


def explained(tool, code, word, *options, **more):
    """The rows; exit code as told."""
    done = tool.run("--json", "explain", word, *options, **more)
    assert done.returncode == code, f"exit {done.returncode} instead of {code}: {done.stdout.decode()}{done.stderr.decode()}"
    return json.loads(done.stdout)


def said(tool, code, word, *options, **more):
    """The lines for people, and the last line on stderr."""
    done = tool.run("explain", word, *options, **more)
    assert done.returncode == code, f"exit {done.returncode} instead of {code}: {done.stdout.decode()}{done.stderr.decode()}"
    return done.stdout.decode(), done.stderr.decode()


def sealed(tool, name="k", path="file.age"):
    """A key, a file for it and for a break-glass key; its version."""
    version = tool.vault.create(name, kty="RSA", key_size=2048)
    done = tool.run("seal", "-r", name, "--break-glass", BREAK_GLASS, "--out", path, input=b"secret")
    assert done.returncode == 0, done
    return version


def asked(tool):
    return [r["path"].split("?")[0] for r in tool.vault.requests() if r["kind"] == "vault" and r["status"] != 401]


def refuses(tool):
    """what names nothing that could be asked for is exit 64, with the reason"""
    tool.vault.create("k")
    tool.refuses(64, ["no vault 'dr'", "'prod'"], "--vault", "dr", "explain", "k")
    for word in ("https://prod.vault.azure.net/secrets/k/1", "https://nonsense"):
        tool.refuses(64, [word, "/keys/NAME"], "explain", word)


def names_the_version(tool):
    """an age file: version, place, state and who else can open it, by one request; after rotations too"""
    version = sealed(tool)
    tool.vault.rotate("k")
    tool.prints("sync")
    tool.vault.requests()
    text, _ = said(tool, 0, "file.age")
    assert asked(tool) == [f"/keys/k/{version}"]
    lines = text.splitlines()
    assert lines[0] == "file.age: age file for 2 recipients", lines
    assert f"prod/k@{version}" in lines[1] and "current" not in lines[1], lines
    assert lines[2].endswith(f"/keys/k/{version}")
    assert "yes: it is enabled, and never expires" in lines[3]
    assert lines[-1].split() == ["or", "by", "X25519"] and "mend" not in text
    ours, other = explained(tool, 0, "file.age")
    assert (ours["opens"], ours["version"], ours["current"], ours["state"], ours["mend"]) == (True, version, False, "enabled", None), ours
    assert ours["places"] == [ours["kid"]] and ours["form"] == "age file"
    assert (other["recipient"], other["opens"], other["version"]) == ("X25519", None, None), other


def says_disabled(tool):
    """a disabled version: no, with exit 77, the command that mends it, and that a break-glass key still opens it; the command does mend it"""
    version = sealed(tool)
    tool.vault.control("PATCH", f"/vaults/prod/keys/k/{version}", {"enabled": False})
    text, why = said(tool, 77, "file.age")
    assert "no: it is disabled since 20" in text and "only another recipient" in why, (text, why)
    mend = next(line for line in text.splitlines() if line.split()[0] == "mend")
    assert mend.endswith(f"az keyvault key set-attributes --enabled true --id '{explained(tool, 77, 'file.age')[0]['kid']}'")
    tool.vault.control("PATCH", f"/vaults/prod/keys/k/{version}", {"enabled": True})
    assert explained(tool, 0, "file.age")[0]["opens"] is True


def says_deleted(tool):
    """a soft-deleted key: when it was deleted, the days left, and our own command; purged: restore it from its backup (exit 66)"""
    version = sealed(tool)
    tool.vault.rotate("k")
    tool.prints("sync")
    tool.vault.control("POST", "/vaults/prod/keys/k/delete")
    tool.vault.requests()
    row = explained(tool, 77, "file.age")[0]
    assert asked(tool) == [f"/keys/k/{version}", "/deletedkeys/k"]
    assert row["opens"] is False and 80 <= row["days_left"] <= 90 and "was deleted with its key 20" in row["found"], row
    assert row["mend"] == "kvp11 --vault prod recover k", row
    tool.vault.control("POST", "/vaults/prod/keys/k/purge")
    row = explained(tool, 66, "file.age")[0]
    assert row["opens"] is False and "key-backup restore" in row["mend"], row


def says_expired(tool):
    """an expired version still opens old data, and the command makes the next one; a coming expiry is told with its days"""
    now = tool.vault.control("GET", "/clock")["now"]
    tool.vault.create("k", kty="RSA", key_size=2048, attributes={"exp": now + 10 * 86400 + 600})
    row, = explained(tool, 0, "k")
    assert row["days_left"] == 10 and row["mend"] is None and "in 10 days" in row["found"], row
    tool.vault.create("old", kty="RSA", key_size=2048, attributes={"exp": now - 600})
    row, = explained(tool, 0, "old")
    assert row["state"] == "expired" and row["opens"] is True and row["mend"] == "kvp11 --vault prod rotate old", row


def takes_words(tool):
    """URIs by id and by object, kids with and without version, names with and without version all lead to the same version"""
    first = tool.vault.create("k", kty="RSA", key_size=2048)
    second = tool.vault.rotate("k")
    rows = {row["version"]: row for row in json.loads(tool.prints("--json", "keys", "k"))}
    for version in (first, second):
        row = rows[version]
        for word in (row["uri"], row["kid"], f"k@{version}", f"prod/k@{version}", f"pkcs11:object=k@{version}"):
            assert explained(tool, 0, word)[0]["version"] == version, word
    for word in ("pkcs11:token=prod;object=k;type=private", "k", rows[second]["kid"].rsplit("/", 1)[0]):
        assert explained(tool, 0, word)[0]["version"] == second, word
    tool.refuses(64, ["no file here"], "explain", "no such thing")
    tool.refuses(64, ["id has 20 bytes"], "explain", "pkcs11:id=%01")
    tool.refuses(64, ["names no key"], "explain", "pkcs11:token=prod")
    assert explained(tool, 66, "nobody")[0]["opens"] is False


def takes_blobs_and_envelopes(tool):
    """a raw blob by the ledger, a CMS envelope by its key identifier"""
    version = opened_blob(tool)
    tool.vault.rotate("k")
    row, = explained(tool, 0, "blob")
    assert (row["form"], row["version"], row["wraps"]) == ("wrapped blob", version, 1), row
    assert tool.run("cms", "seal", "-r", f"k@{version}", "--break-glass", "none", "--out", "e.cms", input=b"x").returncode == 0
    row, = explained(tool, 0, "e.cms")
    assert (row["form"], row["version"]) == ("CMS envelope", version), row
    assert row["recipient"].startswith("key id ")
    (tool.vault.dir / "foreign").write_bytes(b"x" * 256)
    tool.refuses(66, ["no entry"], "explain", "foreign")


def works_offline(tool):
    """--offline sends nothing, and says how old its knowledge is"""
    version = sealed(tool)
    tool.vault.stop()
    text, _ = said(tool, 0, "file.age", "--offline")
    assert version in text and "last heard of 20" in text, text


def says_unreachable(tool):
    """a vault that does not answer: exit 69, the cause, and the doctor; one that refuses: exit 77 and its reason"""
    sealed(tool)
    body = '{"error":{"code":"Forbidden","message":"no","innererror":{"code":"ForbiddenByRbac"}}}'
    tool.vault.control("POST", "/faults", {"path": "/keys/k", "kind": "status", "status": 403, "body": body, "count": 9})
    row = explained(tool, 77, "file.age")[0]
    assert row["opens"] is False and "cannot be asked for now" in row["found"] and row["mend"] == "kvp11 doctor prod", row
    tool.vault.stop()
    text, why = said(tool, 69, "file.age", config=tool.vault.configure("short.conf", timeout=2))
    assert "no: it cannot be asked for now" in text and "kvp11 doctor prod" in text, text


def says_unknown(tool):
    """a file of a key that neither map nor vault has is exit 66 with what to do; where the vault has it, it is found by its kid"""
    version = sealed(tool)
    empty = tool.vault.configure("empty.conf", map=tool.vault.dir / "empty.db")
    assert explained(tool, 0, "file.age", config=empty)[0]["version"] == version
    tool.vault.control("POST", "/vaults/prod/keys/k/delete")
    tool.vault.control("POST", "/vaults/prod/keys/k/purge")
    none = tool.vault.configure("none.conf", map=tool.vault.dir / "none.db")
    rows = explained(tool, 66, "file.age", config=none)
    assert rows[0]["version"] is None and "kvp11 map import" in rows[0]["mend"], rows
    assert rows[1]["recipient"] == "X25519"


SCENARIOS = (refuses, names_the_version, says_disabled, says_deleted, says_expired, takes_words, takes_blobs_and_envelopes, works_offline,
             says_unreachable, says_unknown)
