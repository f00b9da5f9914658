"""kvp11 map: verify, export, import, compare, relocate, rebuild."""
import base64
import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import time


def known(tool, *names, **key):
    """Keys in the vault and in the map: the versions of each, oldest first."""
    made = {name: [tool.vault.create(name, **(key or {"kty": "EC", "crv": "P-256"}))] for name in names}
    for name in names:
        made[name].append(tool.vault.rotate(name))
    tool.prints("keys")
    return made


def lines_of(text):
    return [json.loads(line) for line in text.splitlines()]


def file_of(tool, name, lines):
    """A copy as an export writes it: the last line counts and digests the others."""
    body = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines if line["type"] != "end")
    end = {"type": "end", "lines": body.count("\n"), "sha256": hashlib.sha256(body.encode()).hexdigest()}
    path = tool.vault.dir / name
    path.write_text(body + json.dumps(end) + "\n")
    return path


def backup_of(lines, identity, **more):
    """A backup that the first version of these lines opens, and a break-glass key."""
    version = next(line for line in lines if line["type"] == "version")
    recipients = [{"kind": "rsa-oaep-256", "text": version["kid"], "key": version["spki_sha256"], "added": 5, "removed": 0},
                  {"kind": "x25519", "text": "age1break", "key": "", "added": 5, "removed": 0}]
    return {"type": "backup", "id": identity, "store": "/srv", "object": identity + ".age", "size": 4000, "created": 5, "keep_until": 9, "drilled": 0,
            "drill_result": "", "retired": 0, "header_sha256": "ab" * 32, "recipients": recipients, **more}


def other_map(tool, name="other.conf", **replace):
    """The same host with another, empty map."""
    return tool.vault.configure(name, map=tool.vault.dir / f"{name}.db", **replace)


def exports(tool):
    """export writes every version with its public key, and nothing in part"""
    made = known(tool, "k", "e")
    lines = lines_of(tool.prints("map", "export"))
    assert lines[0]["type"] == "kvmap" and lines[0]["format"] == 2 and lines[0]["backup"] == "", lines[0]
    versions = [line for line in lines if line["type"] == "version"]
    assert {line["version"] for line in versions} == {v for of in made.values() for v in of}
    for line in versions:
        assert hashlib.sha256(base64.b64decode(line["spki"])).hexdigest() == line["spki_sha256"]
        assert line["kid"].endswith(f"/keys/{line['name']}/{line['version']}") and line["kind"] == "EC" and line["state"] == "enabled"
    assert lines[-1]["type"] == "end" and lines[-1]["lines"] == len(lines) - 1
    tool.prints("map", "export", "--out", "copy.kvmap")
    copy = (tool.vault.dir / "copy.kvmap").read_bytes()
    body = copy[:copy.rindex(b'{"type":"end"')]
    assert hashlib.sha256(body).hexdigest() == json.loads(copy.splitlines()[-1])["sha256"]
    tool.refuses(73, ["no/such"], "map", "export", "--out", "no/such/folder")
    tool.refuses(66, ["no backup 'none'"], "map", "export", "--backup", "none", "--out", "none.kvmap")
    tool.refuses(64, ["--backup"], "map", "export", "--store", "s")
    assert not list(tool.vault.dir.glob("none.kvmap*"))


def leaves_nothing_half(tool):
    """--out is written whole or not at all, whoever may read the folder may read it; a link is refused, '-' is the standard output"""
    known(tool, "k")
    mask = os.umask(0o022)
    tool.prints("map", "export", "--out", "a.kvmap")
    os.umask(mask)
    file = tool.vault.dir / "a.kvmap"
    assert file.read_text() and file.stat().st_mode & 0o777 == 0o644, oct(file.stat().st_mode)
    before = file.read_bytes()
    (tool.vault.dir / "link").symlink_to("a.kvmap")
    tool.refuses(64, ["a link"], "map", "export", "--out", "link")
    tool.refuses(66, ["no backup 'none'"], "map", "export", "--backup", "none", "--out", "a.kvmap")
    assert file.read_bytes() == before and not [path for path in tool.vault.dir.iterdir() if "part" in path.name]
    assert tool.prints("map", "export", "--out", "-").splitlines()[0].startswith('{"type":"kvmap"')


def travels(tool):
    """a map that was lost comes back from its copy: the same versions and backups, current ones too, and importing again changes nothing"""
    known(tool, "k", "e", kty="RSA", key_size=2048)
    lines = lines_of(tool.prints("map", "export"))
    path = file_of(tool, "whole.kvmap", lines[:-1] + [backup_of(lines, "b1"), backup_of(lines, "b2")])
    fresh = other_map(tool)
    row, = json.loads(tool.prints("--json", "map", "import", path, config=fresh))
    assert (row["versions"], row["backups"], row["locations"]) == (4, 2, 0), row
    tool.vault.requests()
    again, = json.loads(tool.prints("--json", "map", "import", path, config=fresh))
    assert (again["versions"], again["backups"], again["locations"], again["certificates"]) == (0, 0, 0, 0), again
    assert tool.vault.requests() == []
    verified, = json.loads(tool.prints("--json", "map", "verify", config=fresh))
    assert (verified["versions"], verified["backups"], verified["result"]) == (4, 2, "ok"), verified
    there = {line["version"]: line for line in lines_of(tool.prints("map", "export", config=fresh)) if line["type"] == "version"}
    for line in (line for line in lines if line["type"] == "version"):
        assert there[line["version"]] == line, (line, there[line["version"]])
    shown, = json.loads(tool.prints("--json", "map", "show", config=fresh))
    assert shown["backups"] == 2, shown
    rows = json.loads(tool.prints("--json", "keys", config=fresh))
    needed = next(line["version"] for line in lines if line["type"] == "version")
    assert {row["version"]: row["backups"] for row in rows}[needed] == 2


def one_backup(tool):
    """--backup writes what this backup needs, and that alone opens it on a clean host"""
    made = known(tool, "k", "e", kty="RSA", key_size=2048)
    lines = lines_of(tool.prints("map", "export"))
    tool.prints("map", "import", file_of(tool, "with.kvmap", lines[:-1] + [backup_of(lines, "b1"), backup_of(lines, "b2")]))
    few = lines_of(tool.prints("map", "export", "--backup", "b1", "--store", "/srv"))
    assert [line["type"] for line in few] == ["kvmap", "version", "backup", "end"], few
    assert few[0]["backup"] == "b1" and few[2]["id"] == "b1"
    needed = few[1]["version"]
    assert needed in made["k"] + made["e"]
    fresh = other_map(tool)
    tool.prints("map", "import", file_of(tool, "b1.kvmap", few), config=fresh)
    (tool.vault.dir / "pub").write_bytes(base64.b64decode(few[1]["spki"]))
    (tool.vault.dir / "data").write_bytes(b"d" * 32)
    done = tool.vault.run(["openssl", "pkeyutl", "-encrypt", "-pubin", "-keyform", "DER", "-inkey", "pub", "-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt",
                           "rsa_oaep_md:sha256", "-in", "data", "-out", "blob"])
    assert done.returncode == 0, done
    (tool.vault.dir / "openssl.cnf").write_text("openssl_conf = i\n[i]\nengines = e\n[e]\npkcs11 = p\n"
                                                f"[p]\nengine_id = pkcs11\nMODULE_PATH = {tool.vault.module}\ninit = 0\n")
    identity = "".join(f"%{few[1]['cka_id'][i:i + 2]}" for i in range(0, 40, 2))
    tool.vault.requests()
    done = tool.vault.run(["openssl", "pkeyutl", "-decrypt", "-engine", "pkcs11", "-keyform", "engine", "-inkey", f"pkcs11:token=prod;id={identity};type=private",
                           "-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:sha256", "-in", "blob", "-out", "opened"],
                          env={"OPENSSL_CONF": tool.vault.dir / "openssl.cnf"}, config=fresh)
    assert done.returncode == 0, f"{done.stderr.decode()}{tool.vault.log()}"
    assert (tool.vault.dir / "opened").read_bytes() == b"d" * 32
    sent = [r["path"] for r in tool.vault.requests() if r["kind"] == "vault" and r["method"] == "POST" and r["status"] == 200]
    assert len(sent) == 1 and needed in sent[0], sent


def refuses_what_is_not_right(tool):
    """a copy that was cut, edited or made up is refused with its line, and nothing of it is taken in"""
    known(tool, "k")
    lines = lines_of(tool.prints("map", "export"))
    fresh = other_map(tool)
    whole = file_of(tool, "whole.kvmap", lines).read_bytes()
    at = whole.rindex(b'{"type": "end"')

    def refused(words, data, code=65):
        (tool.vault.dir / "bad.kvmap").write_bytes(data)
        tool.refuses(code, ["'bad.kvmap', line", *words], "map", "import", "bad.kvmap", config=fresh)

    def made_up(words, **change):
        bad = [dict(line) for line in lines[:-1]]
        for name, value in change.items():
            bad[1].pop(name, None) if value is None else bad[1].update({name: value})
        refused(words, file_of(tool, "made.kvmap", bad).read_bytes())

    refused(["cut off"], whole[:at])
    refused(["middle of a line"], whole[:at - 10])
    refused(["are not those that were written"], whole.replace(b'"wraps":0', b'"wraps":7', 1))
    refused(["behind the last line"], whole + whole)
    refused(["no copy of a version map"], whole[whole.index(b"\n") + 1:])
    refused(["no record"], b"hello\n")
    refused(["longer than"], b"{" + b" " * (2 << 20))
    made_up(["public key"], spki=lines[2]["spki"])
    made_up(["public key"], cka_id="00" * 20)
    made_up(["public key"], spki_sha256="00" * 32)
    made_up(["kid"], kid="https://elsewhere.example/keys/other/" + lines[1]["version"])
    made_up(["unknown"], surprise=1)
    made_up(["'state'"], state="splendid")
    made_up(["'created'"], created="yesterday")
    made_up(["'curve'"], curve=None)
    made_up(["'vault'"], vault="a\nb")
    assert json.loads(tool.prints("--json", "map", "verify", config=fresh))[0]["entries"] == 0
    tool.refuses(64, ["absent"], "map", "import", "absent", config=fresh)


def refuses_another_key(tool):
    """a copy that has another key at a kid is a conflict that names it; the same key at another place becomes a place"""
    known(tool, "k")
    lines = lines_of(tool.prints("map", "export"))
    one, two = [line for line in lines if line["type"] == "version"]
    swapped = dict(two, **{name: one[name] for name in ("vault", "name", "version", "kid", "current")})
    path = file_of(tool, "swapped.kvmap", [lines[0], swapped])
    message = tool.refuses(73, ["another public key", one["kid"]], "map", "import", path)
    assert "nothing was taken in" in message
    compared = tool.run("--json", "map", "compare", path)
    assert compared.returncode == 1 and "another public key" in compared.stdout.decode(), compared
    moved = dict(one, vault="dr", name="copy", version="ff" * 16, kid="https://dr.example/keys/copy/" + "ff" * 16)
    row, = json.loads(tool.prints("--json", "map", "import", file_of(tool, "moved.kvmap", [lines[0], moved])))
    assert (row["versions"], row["locations"]) == (0, 1), row
    places = [line for line in lines_of(tool.prints("map", "export")) if line["type"] == "location"]
    assert [place["kid"] for place in places] == [moved["kid"]] and places[0]["spki_sha256"] == one["spki_sha256"]
    other = dict(two, vault="dr", name="copy", version="ff" * 16, kid=moved["kid"])
    tool.refuses(73, [moved["kid"], "place of another key"], "map", "import", file_of(tool, "taken.kvmap", [lines[0], other]))
    assert json.loads(tool.prints("--json", "map", "verify"))[0]["result"] == "ok"


def takes_what_it_can(tool):
    """of several copies a refused one is named with its reason and keeps none of the others out; what was taken in is listed"""
    known(tool, "k")
    lines = lines_of(tool.prints("map", "export"))
    fresh = other_map(tool)
    good, more = (file_of(tool, f"{name}.kvmap", lines[:-1] + [backup_of(lines, name)]) for name in ("b1", "b2"))
    bad = tool.vault.dir / "bad.kvmap"
    bad.write_bytes(good.read_bytes()[:-3])
    done = tool.run("--json", "map", "import", good, bad, more, config=fresh)
    assert [(row["copy"], row["backups"]) for row in json.loads(done.stdout)] == [(str(good), 1), (str(more), 1)], done
    assert done.returncode == 65 and f"'{bad}', line".encode() in done.stderr and b"1 of 3 copies was not taken in" in done.stderr, done
    tool.refuses(65, ["none of 2"], "map", "import", bad, bad, config=fresh)
    assert json.loads(tool.prints("--json", "map", "verify", config=fresh))[0]["backups"] == 2


def carries_what_is_settled(tool):
    """a wrap that stands in a backup here is not outstanding where the map is taken in, and one that is outstanding stays so"""
    known(tool, "k")
    lines = lines_of(tool.prints("map", "export"))
    first, second = [line for line in lines if line["type"] == "version"]
    copy = file_of(tool, "settled.kvmap", [lines[0], dict(first, wraps=7, settled=7), dict(second, wraps=7, settled=5)])
    fresh = other_map(tool)
    for _ in range(2):
        tool.prints("map", "import", copy, config=fresh)
        left = {row["version"]: row["wraps"] for row in json.loads(tool.prints("--json", "keys", "--all", config=fresh))}
        assert (left[first["version"]], left[second["version"]]) == (0, 2), left
    assert {line["version"]: line["settled"] for line in lines_of(tool.prints("map", "export", config=fresh)) if line["type"] == "version"} == \
        {first["version"]: 7, second["version"]: 5}


def trusts_no_name(tool):
    """a copy cannot put a stranger's key into a vault that is configured here: what a version's vault is called, its kid's host says"""
    known(tool, "k")
    lines = lines_of(tool.prints("map", "export"))
    version = next(line for line in lines if line["type"] == "version")
    strange = dict(version, name="fresh", current=True, kid=f"https://evil.example/keys/fresh/{version['version']}")
    fresh = other_map(tool)
    tool.prints("map", "import", file_of(tool, "strange.kvmap", [lines[0], strange]), config=fresh)
    assert json.loads(tool.prints("--json", "map", "show", config=fresh))[0]["versions"] == 0
    there = next(line for line in lines_of(tool.prints("map", "export", config=fresh)) if line["type"] == "version")
    assert (there["vault"], there["name"]) == ("evil.example", "fresh"), there


def compares(tool):
    """compare is silent where map and copy agree, else says who lacks what with exit 1, and sees that a map was rewritten"""
    known(tool, "k")
    tool.prints("map", "export", "--out", "copy.kvmap")
    assert json.loads(tool.prints("--json", "map", "compare", "copy.kvmap")) == []
    third = tool.vault.rotate("k")
    tool.prints("keys", "--refresh")
    done = tool.run("--json", "map", "compare", "copy.kvmap")
    row, = json.loads(done.stdout)
    assert done.returncode == 1 and third in row["what"] and "not in the copy" in row["found"], row
    lines = lines_of(tool.prints("map", "export"))
    extra = file_of(tool, "extra.kvmap", lines[:-1] + [backup_of(lines, "b1")])
    row, = json.loads(tool.run("--json", "map", "compare", extra).stdout)
    assert row["what"] == "backup 'b1' in '/srv'" and "kvp11 map import" in row["found"], row
    tool.prints("map", "import", extra)
    tool.prints("map", "compare", extra)
    changed = file_of(tool, "changed.kvmap", lines[:-1] + [backup_of(lines, "b1", keep_until=7)])
    row, = json.loads(tool.run("--json", "map", "compare", changed).stdout)
    assert "differs" in row["found"], row
    tool.prints("map", "export", "--out", "now.kvmap")
    (tool.vault.dir / "map.db").rename(tool.vault.dir / "was.db")
    base = sqlite3.connect(tool.vault.dir / "was.db")
    base.execute(f"VACUUM INTO '{tool.vault.dir}/map.db'")
    base.close()
    (tool.vault.dir / "map.db").chmod(0o600)
    base = sqlite3.connect(tool.vault.dir / "map.db")
    base.executescript("DROP TRIGGER journal_is_not_changed; UPDATE journal SET hash = zeroblob(32) WHERE seq = (SELECT max(seq) FROM journal)")
    base.close()
    done = tool.run("--json", "map", "compare", "now.kvmap")
    assert done.returncode == 1 and "rewritten" in done.stdout.decode(), done


def relocates(tool):
    """relocate accepts the same key elsewhere, by its public key or from a configured vault, and refuses another key, a stranger's vault, an unknown version"""
    made = known(tool, "k", kty="RSA", key_size=2048)
    lines = [line for line in lines_of(tool.prints("map", "export")) if line["type"] == "version"]
    one = next(line for line in lines if line["version"] == made["k"][0])
    two = next(line for line in lines if line["version"] == made["k"][1])
    place = "https://dr.example/keys/copy/" + "ab" * 16
    (tool.vault.dir / "one.der").write_bytes(base64.b64decode(one["spki"]))
    (tool.vault.dir / "two.pem").write_text("-----BEGIN PUBLIC KEY-----\n" + two["spki"] + "\n-----END PUBLIC KEY-----\n")
    old = f"k@{one['version']}"
    tool.refuses(73, ["another key", place], "map", "relocate", old, place, "--public-key", "two.pem")
    tool.refuses(78, ["no vault that is configured"], "map", "relocate", old, place)
    tool.refuses(66, ["no version"], "map", "relocate", "k@" + "00" * 16, place, "--public-key", "one.der")
    tool.refuses(64, ["names no version"], "map", "relocate", "k", place, "--public-key", "one.der")
    tool.refuses(64, ["is no kid"], "map", "relocate", old, "http://dr.example/x", "--public-key", "one.der")
    (tool.vault.dir / "none.pem").write_text("hello\n")
    tool.refuses(65, ["no public key"], "map", "relocate", old, place, "--public-key", "none.pem")
    for name in (old, one["cka_id"], one["spki_sha256"], one["kid"]):
        row, = json.loads(tool.prints("--json", "map", "relocate", name, place, "--public-key", "one.der"))
        assert row["result"] == "the same key" and row["location"] == place, row
    tool.refuses(73, ["another key", two["kid"]], "map", "relocate", old, two["kid"])
    tool.prints("map", "relocate", old, one["kid"])
    found = [line["kid"] for line in lines_of(tool.prints("map", "export")) if line["type"] == "location" and line["accepted"]]
    assert sorted(found) == sorted([place, one["kid"]]), found
    assert json.loads(tool.prints("--json", "map", "verify"))[0]["result"] == "ok"


def rebuilds(tool):
    """rebuild learns every version that the vault has, and verify then agrees"""
    made = known(tool, "k", "e")
    fresh = other_map(tool)
    row, = json.loads(tool.prints("--json", "map", "rebuild", config=fresh))
    assert (row["versions"], row["new"], row["left_out"]) == (4, 4, 0), row
    row, = json.loads(tool.prints("--json", "map", "rebuild", config=fresh))
    assert (row["versions"], row["new"]) == (4, 0), row
    assert json.loads(tool.prints("--json", "map", "verify", config=fresh))[0]["versions"] == sum(len(of) for of in made.values())
    tool.vault.control("POST", "/faults", {"method": "GET", "path": "/keys", "kind": "status", "status": 403, "count": 9,
                                           "body": '{"error":{"code":"Forbidden","message":"no"}}'})
    done = tool.run("--json", "map", "rebuild", config=fresh)
    assert done.returncode == 3 and b"2 keys could not be read" in done.stderr and json.loads(done.stdout)[0]["left_out"] == 2, done
    tool.vault.control("DELETE", "/faults")
    port = tool.vault.ready["port"]
    nobody = tool.vault.configure("nobody.conf", map=tool.vault.dir / "other.conf.db", settings=[f"resolve = prod.vault.localhost:{port}:127.0.0.2"],
                                  timeout=1, connect_timeout=1)
    tool.refuses(69, ["vault 'prod'"], "map", "rebuild", config=nobody)


def finds_tampering(tool):
    """verify names the row that is not as the journal tells, and the command to run next; the journal cannot be changed by plain SQL"""
    made = known(tool, "k")
    base = sqlite3.connect(tool.vault.dir / "map.db")
    try:
        base.execute("DELETE FROM journal")
        raise AssertionError("the journal was emptied")
    except sqlite3.IntegrityError:
        pass
    base.execute("UPDATE version SET state = 'disabled' WHERE version = ?", (made["k"][0],))
    base.commit()
    base.close()
    tool.refuses(65, [f"version prod/k@{made['k'][0]} is not as its journal last told", "kvp11 map export"], "map", "verify")
    tool.prints("keys", "--refresh")
    assert json.loads(tool.prints("--json", "map", "verify"))[0]["result"] == "ok"


def killed(tool):
    """whatever moment the writer is killed at, the map verifies, and what it had not written is written the next time"""
    known(tool, "k")
    lines = lines_of(tool.prints("map", "export"))
    size = 1500
    backups = [backup_of(lines, f"b{i:05}", size=i) for i in range(size)]
    path = file_of(tool, "many.kvmap", lines[:-1] + backups)
    start = time.monotonic()
    assert tool.run("map", "import", path, config=other_map(tool, "timed.conf")).returncode == 0
    whole = time.monotonic() - start
    config = other_map(tool, "killed.conf")
    ended = 0
    for i in range(50):
        victim = subprocess.Popen([tool.vault.tool, "map", "import", str(path)], env=tool.vault.environment(KVP11_CONFIG=config), stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL, cwd=tool.vault.dir)
        try:
            victim.wait(whole * 1.2 * (i + 1) / 50)
            ended += 1
        except subprocess.TimeoutExpired:
            victim.send_signal(signal.SIGKILL)
            victim.wait()
        row, = json.loads(tool.prints("--json", "map", "verify", config=config))
        assert (row["backups"], row["versions"]) in ((0, 0), (size, 2)), row
        if row["backups"]:  # and once more from nothing
            config = other_map(tool, f"killed{i}.conf")
    assert ended < 45, f"only {50 - ended} of the writers were killed"
    tool.prints("map", "import", path, config=config)
    assert json.loads(tool.prints("--json", "map", "verify", config=config))[0]["backups"] == size


SCENARIOS = (exports, leaves_nothing_half, travels, one_backup, refuses_what_is_not_right, refuses_another_key, takes_what_it_can, carries_what_is_settled, trusts_no_name, compares, relocates, rebuilds, finds_tampering, killed)
