"""kvp11 drill: backups are really opened, by the version that is to be proved or by break-glass alone, and what came of it is remembered."""
import json

from kvtest import private_file
from map import lines_of
from rotate import map_refuses
from scan import backups, findings, store_of
from seal import CHUNK, contents, gives, header_len, keygen


def version_of(tool, version):
    return {row["version"]: row for row in lines_of(tool.prints("map", "export")) if row["type"] == "version"}[version]


def unwraps(tool):
    return [entry["path"] for entry in tool.vault.requests() if "unwrapkey" in entry["path"] or "/decrypt" in entry["path"]]


def drills_a_sample(tool):
    """one backup of each version and store is opened, by that version, with one unwrap each; the next time another one; both are recorded"""
    old = tool.vault.create("cmk", kty="RSA", key_size=2048)
    _, recipient, _ = store_of(tool, "a.age", "b.age")
    store_of(tool, "c.age", name="second")
    new = tool.vault.rotate("cmk")
    tool.prints("keys", "--refresh")
    gives(tool, "seal", "-r", "cmk", "-r", f"cmk@{old}", "--break-glass", recipient, "--out", "store/d.age", input=contents(200_000))
    tool.prints("scan", "store", "second")
    tool.vault.requests()
    rows = findings(tool, 0, "drill")
    by = sorted((row["by"], row["store"].rsplit("/", 1)[1]) for row in rows)
    assert by == sorted([(f"prod/cmk@{old}", "store"), (f"prod/cmk@{old}", "second"), (f"prod/cmk@{new}", "store")]), rows
    paths = [path for path in unwraps(tool) if "/cmk/" in path]
    assert len(paths) == 3 and sum(old in path for path in paths) == 2, paths
    assert all(row["result"] == "opened: whole" for row in rows)
    first = {row["backup"] for row in rows}
    found = backups(tool)
    assert {name for name, line in found.items() if line["drilled"]} == first and all(found[name]["drill_result"] == "ok: whole" for name in first), found
    assert version_of(tool, old)["last_drill"] and version_of(tool, new)["last_drill"]
    findings(tool, 0, "drill", "--store", str(tool.vault.dir / "store"), "--sample", "2")
    findings(tool, 0, "drill")
    assert all(line["drilled"] for line in backups(tool).values()), "those drilled longest ago come first"
    tool.prints("map", "verify")


def notices_damage(tool):
    """a bit in the last chunk is found by a whole drill (exit 2, recorded), not by --quick, which reads one chunk; one in the header is found by both"""
    tool.vault.create("cmk", kty="RSA", key_size=2048)
    store, *_ = store_of(tool, "a.age")
    gives(tool, "seal", "-r", "cmk", "--break-glass", "none", "--out", "store/b.age", input=contents(40 * CHUNK))
    (store / "a.age").unlink()
    tool.prints("scan", "store")
    file = (store / "b.age").read_bytes()
    (store / "b.age").write_bytes(file[:-20] + bytes([file[-20] ^ 1]) + file[-19:])
    row, = findings(tool, 2, "drill")
    assert row["level"] == "critical" and "chunk 39" in row["result"], row
    assert backups(tool)["b.age"]["drill_result"].startswith("failed: ")
    row, = findings(tool, 0, "drill", "--quick")
    assert row["result"] == "opened: first chunk", row
    at = header_len(file) + 20
    (store / "b.age").write_bytes(file[:at] + bytes([file[at] ^ 1]) + file[at + 1:])
    findings(tool, 2, "drill", "--quick")
    mac = header_len(file) - 10
    (store / "b.age").write_bytes(file[:mac] + (b"A" if file[mac:mac + 1] != b"A" else b"B") + file[mac + 1:])
    findings(tool, 2, "drill", "--quick", "b.age")
    (store / "b.age").write_bytes(file)
    findings(tool, 0, "drill", "b.age")
    assert backups(tool)["b.age"]["drill_result"] == "ok: whole"


def tells_why_not(tool):
    """a disabled version is critical, and so is one that is forbidden; a vault that does not answer is unknown and not recorded; other recipients do not hide it"""
    version = tool.vault.create("cmk", kty="RSA", key_size=2048)
    other = tool.vault.create("other", kty="RSA", key_size=2048)
    tool.prints("keys")
    (tool.vault.dir / "store").mkdir()
    gives(tool, "seal", "-r", "cmk", "-r", "other", "--break-glass", "none", "--out", "store/a.age", input=b"x")
    tool.prints("scan", "store")
    findings(tool, 0, "drill")
    tool.vault.control("PATCH", f"/vaults/prod/keys/cmk/{version}", {"enabled": False})
    rows = {row["by"]: row for row in findings(tool, 2, "drill")}
    assert rows[f"prod/cmk@{version}"]["level"] == "critical" and "disabled" in rows[f"prod/cmk@{version}"]["result"], rows
    assert rows[f"prod/other@{other}"]["level"] == "ok", rows
    tool.vault.control("PATCH", f"/vaults/prod/keys/cmk/{version}", {"enabled": True})
    findings(tool, 0, "drill")
    before = backups(tool)["a.age"]
    tool.vault.stop()
    rows = findings(tool, 3, "drill", config=tool.vault.configure("short.conf", timeout=2))
    assert {row["level"] for row in rows} == {"unknown"}, rows
    after = backups(tool)["a.age"]
    assert (after["drilled"], after["drill_result"]) == (before["drilled"], "ok: whole"), after


def drills_break_glass(tool):
    """with -i the break-glass key alone opens it, when no vault is there; a wrong key is critical; a file that names the vaults is refused"""
    version = tool.vault.create("cmk", kty="RSA", key_size=2048)
    _, _, identity = store_of(tool, "a.age", "b.age")
    tool.prints("scan", "store")
    tool.vault.stop()
    row, = findings(tool, 0, "drill", "-i", identity)
    assert (row["by"], row["result"]) == ("break-glass", "opened: whole"), row
    assert backups(tool)[row["backup"]]["drill_result"] == "ok: whole, break-glass"
    assert not version_of(tool, version)["last_drill"], "that proves nothing of a version"
    wrong, _ = keygen(tool, "wrong")
    row, = findings(tool, 2, "drill", "-i", wrong, "a.age")
    assert row["level"] == "critical", row
    mixed = tool.vault.dir / "mixed"
    mixed.touch(mode=0o600)
    mixed.write_text(identity.read_text() + tool.prints("identity"))
    tool.refuses(64, ["break-glass key alone"], "drill", "-i", mixed)


def finds_stores_elsewhere(tool):
    """a store by another name is found with --at; without it that is unknown, as a file that is not there; an unknown ID and an empty map are 66"""
    tool.vault.create("cmk", kty="RSA", key_size=2048)
    tool.refuses(66, ["kvp11 scan"], "drill")
    store, *_ = store_of(tool, "a.age")
    tool.prints("scan", "--name", "azblob:a/c", "store")
    row, = findings(tool, 3, "drill")
    assert "--at" in row["result"], row
    row, = findings(tool, 0, "drill", "--store", "azblob:a/c", "--at", "store")
    assert row["result"] == "opened: whole", row
    (store / "a.age").unlink()
    row, = findings(tool, 3, "drill", "--store", "azblob:a/c", "--at", "store", "a.age")
    assert "No such file" in row["result"], row
    tool.refuses(66, ["'none'"], "drill", "none")
    tool.refuses(64, ["--store"], "drill", "--at", "store")
    (store / "a.age").write_bytes(b"something else")
    assert findings(tool, 2, "drill", "--store", "azblob:a/c", "--at", "store")[0]["level"] == "critical"


def drills_envelopes(tool):
    """envelopes of CMS are opened to their end, too, and a changed one is told"""
    tool.vault.create("cmk", kty="RSA", key_size=2048)
    tool.prints("keys")
    (tool.vault.dir / "store").mkdir()
    done = tool.run("cms", "seal", "-r", "cmk", "--break-glass", "none", "--out", "store/a.cms", input=contents(500_000))
    assert done.returncode == 0, done
    tool.prints("scan", "store")
    row, = findings(tool, 0, "drill")
    assert row["result"] == "opened: whole", row
    file = bytearray((tool.vault.dir / "store/a.cms").read_bytes())
    file[-1000] ^= 1
    (tool.vault.dir / "store/a.cms").write_bytes(file)
    findings(tool, 2, "drill")
    row, = findings(tool, 0, "drill", "--quick")
    assert row["result"] == "opened: key only", row


def made_by_openssl(tool, name, *recipients, options=("-keyid",)):
    """An envelope as `openssl cms` makes it for certificates."""
    path = tool.vault.dir / "store" / name
    words = [word for certificate in recipients for word in ("-recip", certificate, "-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256", "-keyopt", "rsa_mgf1_md:sha256")]
    done = tool.vault.run(["openssl", "cms", "-encrypt", "-binary", "-outform", "DER", "-aes-256-gcm", *options, *words, "-out", path], input=contents(300_000))
    assert done.returncode == 0, done.stderr
    return path


def pair(tool, name):
    """(private key, certificate) as files."""
    key, certificate = tool.vault.dir / f"{name}.key", tool.vault.dir / f"{name}.crt"
    key.touch(mode=0o600)
    done = tool.vault.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-days", "3650", "-keyout", key, "-out", certificate])
    assert done.returncode == 0, done.stderr
    return key, certificate


def drills_envelopes_by_break_glass(tool):
    """-i with the private key of a certificate opens envelopes without any vault: by key identifier, by issuer and serial number with the certificate beside it, sealed by openssl or here; other keys, damage and files of age are told as what they are"""
    tool.vault.create("cmk", kty="RSA", key_size=2048)
    _, _, identity = store_of(tool, "z.age")
    key, certificate = pair(tool, "glass")
    other, stranger = pair(tool, "other")
    made_by_openssl(tool, "by-id.cms", stranger, certificate)
    named = made_by_openssl(tool, "by-name.cms", certificate, options=())
    done = tool.run("cms", "seal", "-r", "cmk", "--break-glass", certificate, "--out", "store/own.cms", input=contents(1000))
    assert done.returncode == 0, done.stderr
    findings(tool, 1, "scan", "store")  # it knows nothing of strangers' certificates
    tool.vault.stop()

    def drilled(code, name, *keys):
        row, = findings(tool, code, "drill", *(word for one in keys for word in ("-i", one)), name)
        return row["level"], row["result"]

    for name in ("by-id.cms", "own.cms"):
        assert drilled(0, name, key) == ("ok", "opened: whole"), name
        assert backups(tool)[name]["drill_result"] == "ok: whole, break-glass", name
    level, told = drilled(2, "by-name.cms", key)
    assert level == "critical" and "issuer and serial number" in told, told
    both = private_file(tool.vault.dir / "both", certificate.read_text() + key.read_text())
    assert drilled(0, "by-name.cms", other, both) == ("ok", "opened: whole")
    level, told = drilled(2, "own.cms", other)
    assert level == "critical" and "none of the envelope's 2 recipients" in told, told
    level, told = drilled(3, "own.cms", identity)
    assert level == "unknown" and "-i KEY.pem" in told, told
    level, told = drilled(3, "z.age", key)
    assert level == "unknown" and "opens no age file" in told, told
    assert drilled(0, "z.age", key, identity) == ("ok", "opened: whole")
    file = bytearray(named.read_bytes())
    file[-1000] ^= 1
    named.write_bytes(file)
    assert drilled(2, "by-name.cms", both)[0] == "critical"
    locked = tool.vault.dir / "locked"
    locked.touch(mode=0o600)
    done = tool.vault.run(["openssl", "pkey", "-aes256", "-passout", "pass:x", "-in", key, "-out", locked])
    tool.refuses(64, ["--passphrase-file", "locked"], "drill", "-i", locked)
    row, = findings(tool, 0, "drill", "-i", locked, "--passphrase-file", private_file(tool.vault.dir / "phrase", "x\n"), "own.cms")
    assert row["result"] == "opened: whole", row
    key.chmod(0o644)
    tool.refuses(77, ["chmod 600"], "drill", "-i", key)


def drills_by_the_header_beside(tool):
    """a file that was rewrapped by a sidecar is drilled by the version that its sidecar names, by break-glass through it, too; a header that a change was cut off in opens by the new one beside it"""
    old = tool.vault.create("cmk", kty="RSA", key_size=2048)
    store, _, identity = store_of(tool, "a.age")
    tool.prints("scan", "store")
    new = tool.vault.rotate("cmk")
    tool.prints("keys", "--refresh")
    tool.prints("rewrap", "store", "--sidecar")
    tool.vault.control("PATCH", f"/vaults/prod/keys/cmk/{old}", {"enabled": False})
    tool.vault.requests()
    row, = findings(tool, 0, "drill")
    assert (row["by"], row["result"]) == (f"prod/cmk@{new}", "opened: whole"), row
    assert new in unwraps(tool)[0]
    row, = findings(tool, 0, "drill", "-i", identity)
    assert row["result"] == "opened: whole", row
    side = store / "a.age.kvp11-header"
    text = side.read_bytes()
    side.write_bytes(text[:-9] + b"A" * 8 + b"\n")
    row, = findings(tool, 2, "drill")
    assert row["level"] == "critical", row
    side.unlink()
    row, = findings(tool, 2, "drill")
    assert "run `kvp11 scan` again" in row["result"], row
    # a change in place that was cut off half-way: the new header lies beside the torn one
    tool.vault.control("PATCH", f"/vaults/prod/keys/cmk/{old}", {"enabled": True})
    file = (store / "a.age").read_bytes()
    tool.prints("rewrap", "store")
    changed = (store / "a.age").read_bytes()
    side.write_bytes(changed[:header_len(changed)])
    (store / "a.age").write_bytes(changed[:40] + b"\0" * 60 + file[100:])
    row, = findings(tool, 0, "drill")
    assert (row["by"], row["result"]) == (f"prod/cmk@{new}", "opened: whole"), row


def tells_what_it_cannot_record(tool):
    """results are printed when the version map cannot take them, in text and in JSON, and then why; what is wrong with a backup decides the exit code, else that does"""
    tool.vault.create("cmk", kty="RSA", key_size=2048)
    store, *_ = store_of(tool, "a.age", "b.age")
    tool.prints("scan", "store")
    with map_refuses(tool, "UPDATE ON backup"):
        done = tool.run("--json", "drill", "--sample", "2")
        assert [row["result"] for row in json.loads(done.stdout)] == ["opened: whole"] * 2, done
        assert done.returncode == 73, done
        told = done.stderr.decode()
        assert "what came of 2 of these drills is not in the version map" in told and "constraint failed" in told and "drill again" in told, told
        done = tool.run("drill", "a.age")
        assert done.returncode == 73 and b"opened: whole" in done.stdout and b"1 of these drills" in done.stderr, done
        (store / "a.age").write_bytes(b"something else")
        row, = findings(tool, 2, "drill", "a.age")
        assert row["level"] == "critical", row
        assert "1 of these drills" in tool.run("drill", "a.age").stderr.decode()
    assert not any(line["drilled"] for line in backups(tool).values())
    row, = findings(tool, 0, "drill", "b.age")


SCENARIOS = (drills_a_sample, tells_what_it_cannot_record, notices_damage, tells_why_not, drills_break_glass, finds_stores_elsewhere, drills_envelopes,
             drills_envelopes_by_break_glass, drills_by_the_header_beside)
