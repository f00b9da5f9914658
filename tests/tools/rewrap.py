"""kvp11 rewrap: who can open a file changes, what it holds does not; nothing that happens half-way costs a file."""
import base64
import contextlib
import functools
import hashlib
import json
import os
import pathlib
import signal
import stat
import subprocess
import time

from kvtest import not_run
from seal import age, contents, gives, header_len, keygen, on_terminal

BESIDE = ".kvp11-header"


def key(tool, name="cmk", size=2048):
    return tool.vault.create(name, kty="RSA", key_size=size)


def disable(tool, version, name="cmk"):
    tool.vault.control("PATCH", f"/vaults/prod/keys/{name}/{version}", {"enabled": False})


def sealed(tool, path, *to, plain=b"x", glass="none"):
    to = to or ("cmk",)
    gives(tool, "seal", *[word for name in to for word in ("-r", name)], "--break-glass", glass, "--out", path, input=plain)
    return tool.vault.dir / path


def folder(tool, name="store"):
    (tool.vault.dir / name).mkdir(exist_ok=True)
    return name


def parts(path):
    """(header, payload)"""
    file = path.read_bytes()
    return file[:header_len(file)], file[header_len(file):]


def stanzas(header):
    return [part.split(b"\n", 1)[0].decode().split(" ") for part in header.split(b"\n-> ")[1:]]


def summary(tool, *words, code=0, **options):
    """What the run tells: its one row, as JSON; and its stderr."""
    done = tool.run("--json", "rewrap", *words, **options)
    assert done.returncode == code, f"exit {done.returncode} instead of {code}: {done.stdout.decode()}{done.stderr.decode()}"
    row, = json.loads(done.stdout)
    return row, done.stderr.decode()


def counts(row):
    return tuple(row[name] for name in ("rewrapped", "repaired", "right", "other", "failed"))


def unwraps(tool):
    return [entry["path"] for entry in tool.vault.requests() if "unwrap" in entry["path"] or "decrypt" in entry["path"]]


def opens(tool, path, plain, *identity, **options):
    got = gives(tool, "open", *identity, path, **options)
    assert got == plain, f"{path}: {len(got)} bytes"


def no_leftovers(tool, below="."):
    left = [p for p in (tool.vault.dir / below).rglob("*") if p.name.endswith((BESIDE, ".part"))]
    assert not left, left


# ---- in place ----

def touches_nothing_but_the_header(tool):
    """in place: payload, size, mode and age of each file stay; files for one vault key, for two, with break-glass; others are left alone; one unwrap a file; the second run sends none"""
    identity, recipient = keygen(tool, "glass")
    old, other = key(tool), key(tool, "other")
    folder(tool)
    made = {"a.age": ("cmk",), "b.age": ("cmk", recipient), "c.age": ("cmk", "other", recipient), "d.age": ("cmk", "cmk@" + old)}
    for number, (name, to) in enumerate(made.items()):
        sealed(tool, f"store/{name}", *to, plain=contents(3_000_000 + number))
    sealed(tool, "store/alone.age", recipient, plain=b"no key of a vault")
    (tool.vault.dir / "store/readme").write_bytes(b"age-encryption.org/ is a web site\n")
    (tool.vault.dir / "store/empty").touch()
    (tool.vault.dir / "store/a.age").chmod(0o640)
    os.utime(tool.vault.dir / "store/b.age", (1_700_000_000, 1_600_000_000))
    paths = sorted((tool.vault.dir / "store").iterdir())
    before = {path: (path.read_bytes(), path.stat()) for path in paths}
    new = tool.vault.rotate("cmk")
    tool.vault.requests()
    row, told = summary(tool, "store")
    assert counts(row) == (4, 0, 0, 3, 0) and told == "", (row, told)
    sent = unwraps(tool)
    assert len(sent) == 5 and sum(old in path for path in sent) == 4 and sum(new in path for path in sent) == 1, sent  # one proves the new version
    for path in paths:
        was, info = before[path]
        now, later = path.read_bytes(), path.stat()
        assert (info.st_mode, info.st_size, info.st_mtime_ns, info.st_ino, info.st_uid) == (later.st_mode, later.st_size, later.st_mtime_ns, later.st_ino, later.st_uid), path
        changed = was != now
        assert changed == (path.name in made), path
        if changed:
            header, payload = parts(path)
            assert (len(header), payload) == (header_len(was), was[header_len(was):]), path
            assert old.encode() not in header and header.count(new.encode()) == 1, path
            kept = [line for line in stanzas(was[:header_len(was)]) if old not in line[-1] and line[0] != "kvp11-spare"]
            assert [line for line in stanzas(header) if new not in line[-1] and line[0] != "kvp11-spare"] == kept, path
            assert b"".join(b"-> " + part for part in was.split(b"\n-> ") if part.startswith(b"X25519")) in header.replace(b"\n-> ", b"-> "), path
    row, _ = summary(tool, "store", "--resume")
    assert counts(row) == (0, 0, 4, 3, 0) and unwraps(tool) == []
    disable(tool, old)
    for number, name in enumerate(made):
        opens(tool, f"store/{name}", contents(3_000_000 + number))
    for number, name in ((1, "b.age"), (2, "c.age")):
        assert age(tool, "-d", "-i", identity, f"store/{name}") == contents(3_000_000 + number)
    assert other.encode() in parts(tool.vault.dir / "store/c.age")[0]
    no_leftovers(tool)


def finds_room(tool):
    """the spare stanza takes a larger key, a second recipient and a break-glass one, again and again; without it a larger header is refused, and both ways out are told"""
    identity, recipient = keygen(tool, "glass")
    key(tool)
    key(tool, "large", 4096)
    key(tool, "middle", 3072)
    sealed(tool, "a.age", plain=contents(200_000))
    gives(tool, "seal", "-r", "cmk", "--break-glass", "none", "--no-spare", "--out", "tight.age", input=b"tight")
    size, tight = (tool.vault.dir / "a.age").stat().st_size, (tool.vault.dir / "tight.age").read_bytes()
    assert b"kvp11-spare" not in tight and b"kvp11-spare" in parts(tool.vault.dir / "a.age")[0]
    for line in (["-r", "large"], ["-r", "cmk", "--break-glass", recipient], ["-r", "large"], ["-r", "middle"], ["-r", "cmk", "-r", "middle"], ["-r", "middle"],
                 ["-r", "large", "-r", "cmk"], ["-r", "cmk"], ["-r", "large"]):
        row, _ = summary(tool, "a.age", *line)
        assert counts(row) == (1, 0, 0, 0, 0), (line, row)
        assert (tool.vault.dir / "a.age").stat().st_size == size
        opens(tool, "a.age", contents(200_000))
    assert age(tool, "-d", "-i", identity, "a.age") == contents(200_000)
    row, told = summary(tool, "tight.age", "-r", "large", code=73)
    assert "--sidecar" in told and "--copy" in told and counts(row) == (0, 0, 0, 0, 1), told
    assert (tool.vault.dir / "tight.age").read_bytes() == tight
    tool.vault.rotate("cmk")
    row, _ = summary(tool, "tight.age")  # a key of the same size needs no room
    assert counts(row) == (1, 0, 0, 0, 0)
    opens(tool, "tight.age", b"tight")
    no_leftovers(tool)


def chooses(tool):
    """--from, --older-than and -r say what goes and what comes; a version that is still current is refused; a version that no file needs is no failure"""
    first = key(tool)
    for name in ("one.age", "two.age"):
        sealed(tool, name)
    second = tool.vault.rotate("cmk")
    tool.prints("keys", "--refresh")
    sealed(tool, "two.age")
    third = tool.vault.rotate("cmk")
    other = key(tool, "other")
    kid = tool.vault.ready["vaults"]["prod"] + f"/keys/cmk/{second}"
    for words, code, expected in (
        (["one.age", "two.age", "--from", third], 0, (0, 0, 2, 0, 0)),
        (["one.age", "two.age", "--from", "f" * 32], 0, (0, 0, 2, 0, 0)),
        (["one.age", "two.age", "--older-than", "1d"], 0, (0, 0, 2, 0, 0)),
        (["one.age", "two.age", "--from", f"other@{first}"], 0, (0, 0, 2, 0, 0)),
        (["one.age", "two.age", "--from", first, "--dry-run"], 0, (1, 0, 1, 0, 0)),
        (["one.age", "two.age", "--from", kid, "--dry-run"], 0, (1, 0, 1, 0, 0)),
        (["one.age", "two.age", "--from", f"prod/cmk@{first}"], 0, (1, 0, 1, 0, 0)),
        (["one.age", "two.age", "-r", "other"], 0, (2, 0, 0, 0, 0)),
        (["one.age", "two.age", "-r", "other"], 0, (0, 0, 2, 0, 0)),
        (["one.age", "two.age"], 0, (0, 0, 2, 0, 0)),
    ):
        row, told = summary(tool, *words, code=code)
        assert counts(row) == expected, (words, row, told)
    row, told = summary(tool, "one.age", "--from", f"other@{other}", code=64)
    assert "still the current" in told and "kvp11 --vault prod rotate other" in told, told
    tool.vault.control("POST", "/clock", {"offset": 0})
    for code, words, *line in (
        (64, ["one of them"], "x", "--from", first, "--older-than", "1y"),
        (64, ["no age"], "x", "--older-than", "soon"),
        (64, ["no age"], "x", "--older-than", "5"),
        (64, ["no version"], "x", "--from", "v1"),
        (64, ["no version"], "x", "--from", "cmk"),
        (64, ["--break-glass"], "x", "-r", keygen(tool, "id")[1]),
        (64, ["key of a vault"], "x", "--break-glass", "cmk"),
        (64, ["active"], "x", "--to", "newest"),
        (64, ["no rate"], "x", "--rate", "fast"),
        (64, ["one of them"], "x", "--sidecar", "--copy", "d"),
        (66, ["absent"], "x", "-r", "absent"),
        (64, ["missing"],),
    ):
        tool.refuses(code, words, "rewrap", *line)


# ---- crashes ----

def world(tool, files, plain=3000):
    """(old version, new version, break-glass identity, {path: contents}): files for the old one."""
    identity, recipient = keygen(tool, "glass")
    old = key(tool)
    folder(tool)
    made = {}
    for number in range(files):
        made[sealed(tool, f"store/{number}.age", glass=recipient, plain=contents(plain + number))] = contents(plain + number)
    return old, tool.vault.rotate("cmk"), identity, made


def ends_well(tool, old, identity, made, store="store", **options):
    """After whatever happened: the run repeated mends everything, stock age opens it, and the old version is not needed."""
    row, told = summary(tool, store, **options)
    assert row["failed"] == 0 and sum(counts(row)[i] for i in (0, 2)) == len(made), (row, told)
    no_leftovers(tool, store)
    for path, plain in made.items():
        assert age(tool, "-d", "-i", identity, path) == plain, path
    disable(tool, old)
    for path, plain in made.items():
        opens(tool, path, plain, **options)
    tool.prints("map", "verify", **options)
    tool.vault.control("PATCH", f"/vaults/prod/keys/cmk/{old}", {"enabled": True})


def hurried(scenario):
    """No program of it waits for the disk."""
    @functools.wraps(scenario)
    def run(tool):
        plain = tool.vault.environment
        tool.vault.environment = lambda **more: plain(LD_PRELOAD=tool.vault.build / "tests/tools/libkvp11-kill.so", KVP11_KILL_HURRY=1, **more)
        scenario(tool)
    return run


@hurried
def survives_a_kill_anywhere(tool):
    """killed before each change on the disk, and half-way through each write: the file opens all the same, with the times that it had, and the next run ends what was begun"""
    old, _, identity, made = world(tool, 1)
    (path, plain), = made.items()
    gives(tool, "seal", "-r", "cmk@" + old, "--break-glass", "none", "--out", path, "--register", "nightly", "--store", str(tool.vault.dir / "store"), input=plain)
    file, map_db = path.read_bytes(), (tool.vault.dir / "map.db").read_bytes()
    torn = beside = ended = at = 0
    quiet = tool.vault.configure("quiet.conf", log=None, audit=None)
    while not ended:
        at += 1
        assert at < 100, "it never ends"
        path.write_bytes(file)
        os.utime(path, (1_700_000_000, 1_600_000_000))
        done = tool.run("rewrap", "store", env={"KVP11_KILL_AT": at, "KVP11_KILL_UNDER": tool.vault.dir / "store"}, config=quiet)
        ended = done.returncode == 0
        assert ended or done.returncode == -signal.SIGKILL, done.stderr
        now = path.read_bytes()
        assert now[header_len(file):] == file[header_len(file):], at
        beside += pathlib.Path(f"{path}{BESIDE}").exists()
        new = summary(tool, "store", "--dry-run")[0]
        torn += tool.vault.run(["age", "-d", "-i", identity, path]).returncode != 0
        opens(tool, path, plain)
        row, _ = summary(tool, "store")
        assert row["failed"] == 0 and row["repaired"] == new["repaired"], (at, row, new)
        assert old.encode() not in parts(path)[0] and path.stat().st_mtime == 1_600_000_000, at
        for left in tool.vault.dir.glob("store/.kvp11-*.part"):
            raise AssertionError(f"{at}: {left}")
        backup, = [json.loads(line) for line in tool.prints("map", "export").splitlines() if '"type":"backup"' in line]
        assert backup["header_sha256"] == hashlib.sha256(parts(path)[0]).hexdigest(), (at, backup)
        for suffix in ("", "-wal", "-shm"):
            pathlib.Path(f"{tool.vault.dir}/map.db{suffix}").unlink(missing_ok=True)
        (tool.vault.dir / "map.db").write_bytes(map_db)
    assert torn >= 1 and beside >= 4 and at > 8, (torn, beside, at)


@hurried
def survives_a_failure_anywhere(tool):
    """each change on the disk fails once: it is told, and the file, that only its sidecar opens any more, opens by the header that it had or by the new one"""
    old, _, _, made = world(tool, 1)
    (path, plain), = made.items()
    beside = pathlib.Path(f"{path}{BESIDE}")
    summary(tool, "store", "--sidecar")
    disable(tool, old)
    tool.vault.rotate("cmk")
    file, side = path.read_bytes(), beside.read_bytes()
    quiet = tool.vault.configure("quiet.conf", log=None, audit=None)
    at = good = as_it_was = 0
    while good < 6:  # some failures do not matter: a sidecar whose times cannot be set
        at += 1
        assert at < 100, "it never ends"
        path.write_bytes(file)
        beside.write_bytes(side)
        done = tool.run("rewrap", "store", env={"KVP11_KILL_AT": at, "KVP11_KILL_UNDER": tool.vault.dir / "store", "KVP11_KILL_NOT": 1}, config=quiet)
        good = good + 1 if done.returncode == 0 else 0
        assert done.returncode in (0, 73), (at, done.stderr)
        as_it_was += path.read_bytes() == file and beside.exists() and beside.read_bytes() == side
        opens(tool, path, plain)
        assert summary(tool, "store")[0]["failed"] == 0
        opens(tool, path, plain)
        assert not list(tool.vault.dir.glob("store/.kvp11-*.part")), at
    assert as_it_was >= 4, (as_it_was, at)
    no_leftovers(tool)


def mends_a_torn_header(tool):
    """a header that is half old and half new, or is nothing at all, opens by the sidecar of the change that was cut off; another file's sidecar opens nothing and mends nothing"""
    old, _, identity, made = world(tool, 2)
    (path, plain), (other, other_plain) = made.items()
    before = {each: each.read_bytes() for each in made}
    summary(tool, "store")
    after = {each: each.read_bytes() for each in made}
    length = header_len(before[path])
    assert length == header_len(after[other])
    journal, foreign = after[path][:length], after[other][:length]
    beside = pathlib.Path(f"{path}{BESIDE}")
    for what, torn in (("half", before[path][:length // 2] + after[path][length // 2:]), ("a sector", before[path][:512] + after[path][512:]),
                       ("the end", after[path][:length - 40] + before[path][length - 40:]), ("zeroes", b"\0" * length + before[path][length:]),
                       ("a line", before[path].replace(b"\n---", b"\n-x-", 1))):
        for text, works in ((journal, True), (foreign, False)):
            path.write_bytes(torn)
            beside.write_bytes(text)
            if works:
                opens(tool, path, plain)
                assert counts(summary(tool, path, "--dry-run")[0])[:3] == (0, 1, 1) and path.read_bytes() == torn, what
                assert counts(summary(tool, path)[0])[:3] == (0, 1, 1), what
                assert path.read_bytes() == after[path] and not beside.exists(), what
                continue
            tool.refuses(65, [], "open", path)
            _, told = summary(tool, path, code=65)
            assert path.read_bytes() == torn and beside.read_bytes() == foreign, what
            beside.unlink()
    # where the file's own header is whole, a foreign sidecar does not matter to those who read, and stops those who write
    path.write_bytes(before[path])
    beside.write_bytes(foreign)
    opens(tool, path, plain)
    _, told = summary(tool, path, code=65)
    assert "another file" in told and path.read_bytes() == before[path], told
    for junk in (b"", b"x", journal[:-1], journal + b"x", journal.replace(b"--- ", b"--- A", 1)):
        beside.write_bytes(junk)
        assert gives_anyway(tool, path) == plain
        summary(tool, path, code=65)
        assert path.read_bytes() == before[path] and beside.read_bytes() == junk
    beside.unlink()
    opens(tool, other, other_plain)
    ends_well(tool, old, identity, made)


def gives_anyway(tool, path):
    """What it opens to, with a line about what was passed over."""
    done = tool.run("open", path)
    assert done.returncode == 0 and done.stderr.startswith(b"kvp11: ") and b"passed over" in done.stderr, done.stderr
    return done.stdout


# ---- write-once stores, and copies ----

@contextlib.contextmanager
def immutable(paths):
    """As an object that is locked is."""
    done = subprocess.run(["chattr", "+i", *map(str, paths)], capture_output=True, check=False)
    try:
        yield done.returncode == 0
    finally:
        subprocess.run(["chattr", "-i", *map(str, paths)], capture_output=True, check=False)


def writes_beside_what_cannot_change(tool):
    """--sidecar: files that cannot be written stay as they are; a header beside each opens them, alone, with age, and after the next rotation; one of another file is refused"""
    old, new, identity, made = world(tool, 2)
    (path, plain), (other, other_plain) = made.items()
    before = {each: each.read_bytes() for each in made}
    with immutable(made) as locked:
        if locked:
            row, told = summary(tool, "store", code=73)
            assert row["failed"] == 2 and told.count("--sidecar") == 2, told
            no_leftovers(tool)
        else:
            not_run("in place on a file that is locked: chattr +i is not to be had here")
        for version in (new, tool.vault.rotate("cmk")):
            row, _ = summary(tool, "store", "--sidecar", *(["-r", f"cmk@{version}"] if version == new else []))
            assert counts(row) == (2, 0, 0, 0, 0), row
            tool.vault.requests()
            row, _ = summary(tool, "store", "--sidecar", *(["-r", f"cmk@{version}"] if version == new else []))
            assert counts(row) == (0, 0, 2, 0, 0) and unwraps(tool) == [], row
            for each in made:
                header, payload = parts(each)
                assert each.read_bytes() == before[each]
                side = pathlib.Path(f"{each}{BESIDE}").read_bytes()
                assert version.encode() in side and stanzas(side)[-1] == ["kvp11-sidecar", base64.b64encode(hashlib.sha256(header).digest()).decode().rstrip("=")]
                assert gives(tool, "open", input=side + payload) == age(tool, "-d", "-i", identity, input=side + payload) == made[each]
                assert stat.S_IMODE(pathlib.Path(f"{each}{BESIDE}").stat().st_mode) == stat.S_IMODE(each.stat().st_mode)
            tool.vault.requests()
            opens(tool, path, plain)
            sent = unwraps(tool)
            assert len(sent) == 1 and version in sent[0], sent
        disable(tool, old)
        disable(tool, new)
        for each, text in made.items():
            opens(tool, each, text)
        tool.refuses(77, ["disabled"], "open", "-", input=before[path])
    sides = [pathlib.Path(f"{each}{BESIDE}") for each in made]
    texts = [side.read_bytes() for side in sides]
    tool.vault.control("PATCH", f"/vaults/prod/keys/cmk/{old}", {"enabled": True})
    sides[0].write_bytes(texts[1])
    _, told = summary(tool, path, "--sidecar", code=65)
    assert "another file" in told and sides[0].read_bytes() == texts[1], told
    assert gives_anyway(tool, path) == plain
    # a header that is changed in place later is newer than the sidecar
    sides[0].write_bytes(texts[0])
    row, _ = summary(tool, path, "-r", f"cmk@{old}")
    assert counts(row) == (1, 0, 0, 0, 0) and not sides[0].exists() and old.encode() in parts(path)[0]
    sides[0].write_bytes(texts[0])
    assert gives_anyway(tool, path) == plain
    opens(tool, other, other_plain)


def copies(tool):
    """--copy DIR: new files with room, the old ones as they were; folders below the store are kept; the second run copies nothing; what is there already is not overwritten"""
    old, new, identity, made = world(tool, 1)
    folder(tool, "store/deep")
    gives(tool, "seal", "-r", f"cmk@{old}", "--break-glass", "none", "--no-spare", "--out", "store/deep/b.age", input=contents(2_000_000))
    os.utime(tool.vault.dir / "store/deep/b.age", (1_700_000_000, 1_600_000_000))
    before = {path: path.read_bytes() for path in (tool.vault.dir / "store").rglob("*.age")}
    for into in ("copies", "store/copies"):
        row, told = summary(tool, "store", "--copy", into)
        assert counts(row) == (2, 0, 0, 0, 0), (row, told)
        tool.vault.requests()
        row, _ = summary(tool, "store", "--copy", into)
        assert counts(row) == (0, 0, 2, 0, 0) and unwraps(tool) == []
        assert all(path.read_bytes() == file for path, file in before.items())
        copy = tool.vault.dir / into / "deep/b.age"
        assert copy.stat().st_mtime == 1_600_000_000 and parts(copy)[1] == parts(tool.vault.dir / "store/deep/b.age")[1]
        assert stanzas(parts(copy)[0])[-1][0] == "kvp11-spare"
    disable(tool, old)
    opens(tool, "copies/deep/b.age", contents(2_000_000))
    assert age(tool, "-d", "-i", identity, "copies/0.age") == contents(3000)
    tool.vault.control("PATCH", f"/vaults/prod/keys/cmk/{old}", {"enabled": True})
    (tool.vault.dir / "copies/0.age").write_bytes(b"mine")
    _, told = summary(tool, "store", "--copy", "copies", code=73)
    assert "is there already" in told and (tool.vault.dir / "copies/0.age").read_bytes() == b"mine"
    no_leftovers(tool)


# ---- failures ----

def names_what_failed(tool):
    """each file that fails is named with its cause and is as it was, the others are done; the exit code is the worst one's; a vault that does not serve ends the run early"""
    old, new, identity, made = world(tool, 6)
    paths = list(made)
    good = {path: path.read_bytes() for path in made}
    file = good[paths[0]]
    body = header_len(file)
    mac = file.index(b"\n---") + 5
    bad = {paths[0]: file[:mac] + (b"A" if file[mac:mac + 1] != b"A" else b"B") + file[mac + 1:], paths[1]: file[:body - 9], paths[2]: good[paths[2]][:body] + file[body:]}
    for path, broken in bad.items():
        path.write_bytes(broken)
    armored = tool.vault.dir / "store/armored.age"
    gives(tool, "seal", "-a", "-r", "cmk@" + old, "--break-glass", "none", "--out", armored, input=b"x")
    row, told = summary(tool, "store", "absent", code=65)
    assert counts(row) == (3, 0, 0, 0, 5), row
    for name, cause in ((paths[0], "MAC"), (paths[1], "within its header"), (paths[2], "another file's"), (armored, "armor"), ("absent", "No such file")):
        assert any(cause in line and pathlib.Path(name).name in line for line in told.splitlines()), (name, told)
        assert any(failure["file"].endswith(pathlib.Path(name).name) and cause in failure["cause"] for failure in row["failures"]), row
    assert all(path.read_bytes() == broken for path, broken in bad.items())
    for path in made:
        path.write_bytes(good[path])
    armored.unlink()
    disable(tool, old)
    row, told = summary(tool, "store", code=77)
    assert row["failed"] == 6 and "disabled" in told
    row, _ = summary(tool, "store", "-i", identity)  # the break-glass key saves what the vault cannot open any more
    assert counts(row) == (6, 0, 0, 0, 0)
    for path in made:
        path.write_bytes(good[path])
    tool.vault.control("PATCH", f"/vaults/prod/keys/cmk/{old}", {"enabled": True})
    body = json.dumps({"error": {"code": "Throttled", "message": "no"}})
    for operation in ("decrypt", "unwrapkey"):
        tool.vault.control("POST", "/faults", {"kind": "status", "status": 429, "operation": operation, "host": "prod", "count": 9, "headers": {"Retry-After": "600"}, "body": body})
    row, told = summary(tool, "store", code=75)
    assert row["failed"] == 3 and "stopped" in told and "run it again" in told, (row, told)
    tool.vault.control("DELETE", "/faults")
    assert all(path.read_bytes() == good[path] for path in made)
    no_leftovers(tool)
    tool.vault.stop()
    _, told = summary(tool, "store", code=69, config=tool.vault.configure("short.conf", timeout=2))
    assert "stopped" in told and all(path.read_bytes() == good[path] for path in made)


def wants_a_version_that_unwraps(tool):
    """a new version that cannot unwrap what it has wrapped loses no file: it is tried before the first one"""
    old, new, _, made = world(tool, 2)
    before = {path: path.read_bytes() for path in made}
    tool.vault.control("PATCH", f"/vaults/prod/keys/cmk/{new}", {"key_ops": ["wrapKey", "encrypt"]})
    row, told = summary(tool, "store", code=77)
    assert row["failed"] == 2 and new in told, (row, told)
    assert all(path.read_bytes() == file for path, file in before.items())
    no_leftovers(tool)


# ---- what people see ----

def tells_what_it_would_do(tool):
    """--dry-run asks for no unwrap and changes nothing: a row a file, what fits and what does not"""
    old, new, _, made = world(tool, 2)
    gives(tool, "seal", "-r", f"cmk@{old}", "--break-glass", "none", "--no-spare", "--out", "store/tight.age", input=b"x")
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in (tool.vault.dir / "store").iterdir()}
    key(tool, "large", 4096)
    tool.vault.requests()
    done = tool.run("rewrap", "store", "--dry-run", "-r", "large")
    text = done.stdout.decode()
    assert done.returncode == 73 and b"tight.age" in done.stderr, done
    assert text.count(f"cmk@{old}") == 2 and text.count("large@") == 2 and text.count("in place") == 2, text
    assert unwraps(tool) == []
    row, _ = summary(tool, "store", "--dry-run")
    assert row["dry_run"] and counts(row) == (3, 0, 0, 0, 0) and all(new in file["to"] for file in row["files"]), row
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in (tool.vault.dir / "store").iterdir()} == before


def walks(tool):
    """folders are walked without following links, sidecars are no files, a list on the standard input is as good; a link is named and left; a bar on a terminal"""
    old, new, _, made = world(tool, 3)
    paths = list(made)
    (tool.vault.dir / "elsewhere").mkdir()
    away = (tool.vault.dir / "elsewhere/away.age")
    paths[0].rename(away)
    paths[0].symlink_to(away)
    (tool.vault.dir / "store/loop").symlink_to(tool.vault.dir / "store")
    row, _ = summary(tool, "-", input=f"{paths[1]}\n\nstore/2.age\n".encode())
    assert counts(row) == (2, 0, 0, 0, 0), row
    row, _ = summary(tool, "store")
    assert counts(row) == (0, 0, 2, 0, 0), row
    _, told = summary(tool, "store/0.age", code=74)
    assert "link" in told and old.encode() in parts(away)[0]
    (tool.vault.dir / "again").symlink_to(tool.vault.dir / "elsewhere")
    code, shown, _ = on_terminal(tool, ["rewrap", "again"], errors=True)
    assert code == 0 and new.encode() in parts(away)[0], shown


def stops_when_asked(tool):
    """SIGINT ends the run behind the file at work: a summary, exit 70, no leftovers, and the next run does the rest; --rate holds"""
    old, new, identity, made = world(tool, 12)
    process = subprocess.Popen([tool.vault.tool, "--json", "rewrap", "store", "--rate", "5/s"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=tool.vault.environment(),
                               cwd=tool.vault.dir)
    began = time.monotonic()
    for _ in range(500):
        if sum(new.encode() in parts(path)[0] for path in made) >= 3:
            break
        time.sleep(0.02)
    assert time.monotonic() - began >= 0.4, "twelve files at 5 a second"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    row, = json.loads(out)
    assert process.returncode == 70 and b"interrupted" in err and row["interrupted"], (process.returncode, err)
    assert 3 <= row["rewrapped"] < 12 and row["rewrapped"] == sum(new.encode() in parts(path)[0] for path in made), row
    no_leftovers(tool)
    ends_well(tool, old, identity, made)


# ---- the map ----

def backups(tool):
    return {backup["id"]: backup for backup in map(json.loads, tool.prints("map", "export").splitlines()) if backup["type"] == "backup"}


def tells_the_map(tool):
    """a backup that is registered has its new recipients and its new header in the map, found by its header or its place; what the old version opened no longer depends on it"""
    identity, recipient = keygen(tool, "glass")
    old = key(tool)
    folder(tool)
    for name, more in (("a", []), ("b", ["--store", "azblob:account/container"]), ("c", [])):
        gives(tool, "seal", "-r", "cmk", "--break-glass", recipient, "--out", f"store/{name}.age", "--register", name, *more, input=b"x")
    sealed(tool, "store/unknown.age")
    # c was written anew meanwhile: the map has the header of another day
    gives(tool, "seal", "-r", "cmk", "--break-glass", recipient, "--out", "store/c.age", input=b"y")
    new = tool.vault.rotate("cmk")
    needed = {row["version"]: row["backups"] for row in json.loads(tool.prints("--json", "keys", "cmk", "--all", "--refresh"))}
    assert needed == {old: 3, new: 0}, needed
    assert counts(summary(tool, "store")[0]) == (4, 0, 0, 0, 0)
    needed = {row["version"]: row["backups"] for row in json.loads(tool.prints("--json", "keys", "cmk", "--all"))}
    assert needed == {old: 0, new: 3}, needed
    known = backups(tool)
    assert sorted(known) == ["a", "b", "c"]
    for name, backup in known.items():
        assert backup["header_sha256"] == hashlib.sha256(parts(tool.vault.dir / f"store/{name}.age")[0]).hexdigest(), backup
        now = [to for to in backup["recipients"] if not to.get("removed")]
        assert sorted(to["kind"] for to in now) == ["rsa-oaep-256", "x25519"] and any(new in to["text"] for to in now), backup
        assert any(old in to["text"] and to.get("removed") for to in backup["recipients"]), backup
    newest = tool.vault.rotate("cmk")
    assert counts(summary(tool, "store", "--sidecar")[0]) == (4, 0, 0, 0, 0)
    needed = {row["version"]: row["backups"] for row in json.loads(tool.prints("--json", "keys", "cmk", "--all"))}
    assert needed == {old: 0, new: 0, newest: 3}, needed
    tool.prints("map", "verify")


def names_drive_no_terminal(tool):
    """what a file is called is told without what would drive a terminal, and in JSON that programs can read; a kid that is none is exit 64"""
    key(tool)
    (tool.vault.dir / "store").mkdir()
    for name in (b"a\x1b[2J.age", b"latin-\xe9.age"):
        with open(os.fsencode(tool.vault.dir / "store") + b"/" + name, "wb") as file:
            file.write(b"age-encryption.org/v1\nbroken\n")
    done = tool.run("--json", "rewrap", "store")
    row, told = json.loads(done.stdout)[0], done.stderr.decode(errors="replace")
    assert done.returncode == 65, done
    assert {failure["file"] for failure in row["failures"]} == {"store/a\x1b[2J.age", "store/latin-?.age"}, row
    assert "\x1b" not in told and "a?[2J.age" in told, told
    tool.refuses(64, ["no kid"], "rewrap", "store", "--from", "https://prod.vault.azure.net/secrets/a/b")
def wraps_of(tool):
    """What depends on each version beside backups: in `keys`, and that retire-check says the same."""
    rows = {row["version"]: row for row in json.loads(tool.prints("--json", "keys", "cmk", "--all"))}
    for version, row in rows.items():
        done = tool.run("--json", "retire-check", f"cmk@{version}")
        assert json.loads(done.stdout)[0]["wraps"] == row["wraps"] and done.returncode == (2 if row["wraps"] or row["backups"] else 0), (row, done)
    return {version: (row["wraps"], row["backups"]) for version, row in rows.items()}


def settles_the_ledger(tool):
    """S4: a file that is no backup of the map is a wrap of its version until it is rewrapped, then one of the new version; a backup is none, also when the ledger learns of its wrap later; a copy leaves the old file needed"""
    old = key(tool)
    folder(tool)
    sealed(tool, "store/file.age")
    gives(tool, "seal", "-r", "cmk", "--break-glass", "none", "--out", "store/backup.age", "--register", "backup", input=b"x")
    assert wraps_of(tool) == {old: (1, 1)}
    new = tool.vault.rotate("cmk")
    tool.prints("keys", "--refresh")
    summary(tool, "store", "--copy", "copies")
    assert wraps_of(tool) == {old: (1, 1), new: (2, 0)}, ("what was copied is needed as before, and the copies are", wraps_of(tool))
    assert counts(summary(tool, "store")[0])[0] == 2
    assert wraps_of(tool) == {old: (0, 0), new: (3, 1)}
    newest = tool.vault.rotate("cmk")
    tool.prints("keys", "--refresh")
    summary(tool, "store", "--sidecar")
    assert wraps_of(tool) == {old: (0, 0), new: (2, 0), newest: (1, 1)}
    summary(tool, "copies")
    assert wraps_of(tool) == {old: (0, 0), new: (0, 0), newest: (3, 1)}
    # another host, where a backup is known by the map's copy alone: what is opened there is in its ledger, and no longer once the file is rewrapped
    gives(tool, "seal", "-r", "cmk", "--break-glass", "none", "--out", "store/backup.age", "--register", "backup", input=b"x")
    (tool.vault.dir / "store/backup.age.kvp11-header").unlink()
    tool.prints("map", "export", "--out", "all.kvmap")
    tool.vault.config = tool.vault.configure("elsewhere.conf", map=tool.vault.dir / "elsewhere.db")
    tool.prints("map", "import", "all.kvmap")
    opens(tool, "store/backup.age", b"x")
    assert wraps_of(tool)[newest][0] >= 1
    there = wraps_of(tool)[newest][0]
    last = tool.vault.rotate("cmk")
    tool.prints("keys", "--refresh")
    assert counts(summary(tool, "store/backup.age")[0])[0] == 1
    assert (wraps_of(tool)[newest], wraps_of(tool)[last]) == ((there - 1, 0), (0, 1))
    tool.prints("map", "verify")


@hurried
def tells_the_map_later(tool):
    """killed at any change in place, or failed at any change by sidecar, of the map, too: the next run, or scan, settles it: no wrap of the old version counts, and the backup,
    which the map has in another place, is for the new one"""
    old = key(tool)
    folder(tool)
    sealed(tool, "store/file.age")
    gives(tool, "seal", "-r", "cmk", "--break-glass", "none", "--out", "store/backup.age", "--register", "backup", "--store", "azblob:account/container", input=b"x")
    new = tool.vault.rotate("cmk")
    quiet = tool.vault.configure("quiet.conf", log=None, audit=None)
    tool.prints("keys", "--refresh", config=quiet)
    assert wraps_of(tool) == {old: (1, 1), new: (0, 0)}
    files = {name: (tool.vault.dir / name).read_bytes() for name in ("store/file.age", "store/backup.age", "map.db")}

    def counted():
        return {row["version"]: (row["wraps"], row["backups"]) for row in json.loads(tool.prints("--json", "keys", "cmk", "--all", config=quiet))}

    file, beside = tool.vault.dir / "store/file.age", tool.vault.dir / f"store/file.age{BESIDE}"
    late = scanned = 0
    for way, more in ((), {}), (("--sidecar",), {"KVP11_KILL_NOT": 1}):
        at = good = 0
        while good < 3:
            at += 2 if way else 5  # a step of what is done takes more calls than that
            assert at < 400, "it never ends"
            for left in [*tool.vault.dir.glob("map.db-*"), *tool.vault.dir.glob("store/*")]:
                left.unlink()
            for name, bytes_of in files.items():
                (tool.vault.dir / name).write_bytes(bytes_of)
            done = tool.run("rewrap", "store", *way, env={"KVP11_KILL_AT": at, "KVP11_KILL_UNDER": tool.vault.dir / "store", **more}, config=quiet)
            good = good + 1 if done.returncode == 0 else 0
            before = counted()
            if before[old][0] and any(path.exists() and new.encode() in path.read_bytes() for path in (file, beside)):
                late += 1
                if late % 2:
                    tool.run("scan", "-", input=b"store/file.age\n", config=quiet)
                    assert counted()[old][0] == 0, (way, at, before, counted())
                    scanned += 1
            row, told = summary(tool, "store", *way, config=quiet)
            assert row["failed"] == 0, (way, at, row, told)
            after = counted()
            assert after[old] == (0, 0) and after[new][1] >= 1, (way, at, done, before, after)
    assert late >= 2 and scanned >= 1, (late, scanned)
    tool.prints("map", "verify", config=quiet)


def serves_small_secrets(tool):
    """a secret in a file is rewrapped as any file is, and unwrapped by the header beside it where there is one"""
    identity, recipient = keygen(tool, "glass")
    old = key(tool)
    gives(tool, "wrap", "-r", "cmk", "--break-glass", recipient, "--out", "pass.age", input=b"s3cret")
    path = tool.vault.dir / "pass.age"
    before = path.read_bytes()
    tool.vault.rotate("cmk")
    assert counts(summary(tool, "pass.age", "--sidecar")[0]) == (1, 0, 0, 0, 0)
    disable(tool, old)
    assert gives(tool, "unwrap", "pass.age") == b"s3cret"
    tool.vault.control("PATCH", f"/vaults/prod/keys/cmk/{old}", {"enabled": True})
    assert counts(summary(tool, "pass.age", "-r", f"cmk@{old}")[0]) == (1, 0, 0, 0, 0)
    assert counts(summary(tool, "pass.age")[0]) == (1, 0, 0, 0, 0)
    disable(tool, old)
    assert gives(tool, "unwrap", "pass.age") == b"s3cret" == age(tool, "-d", "-i", identity, "pass.age")
    after = path.read_bytes()
    pathlib.Path(f"{path}{BESIDE}").write_bytes(after[:header_len(after)])
    path.write_bytes(before[:500] + after[500:])
    assert gives(tool, "unwrap", "pass.age") == b"s3cret"


SCENARIOS = (touches_nothing_but_the_header, finds_room, chooses, survives_a_kill_anywhere, survives_a_failure_anywhere, mends_a_torn_header, writes_beside_what_cannot_change, copies,
             names_what_failed, wants_a_version_that_unwraps, tells_what_it_would_do, walks, stops_when_asked, tells_the_map, settles_the_ledger, tells_the_map_later, names_drive_no_terminal,
             serves_small_secrets)
