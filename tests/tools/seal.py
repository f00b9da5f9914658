"""kvp11 seal and kvp11 open: files that age reads and writes, nothing released that is not authentic, no half backup that looks whole."""
import base64
import contextlib
import hashlib
import itertools
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import threading
import time

from kvtest import not_run

CHUNK, TAG = 64 * 1024, 16
SIZES = (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 8 * CHUNK, 8 * CHUNK + 1, 5_000_000)


def contents(size):
    """Bytes that repeat nowhere near a chunk."""
    block = b"".join(hashlib.sha256(i.to_bytes(4, "big")).digest() for i in range(4096))
    return (block * (size // len(block) + 1))[:size]


def keygen(tool, name):
    """A pair by age-keygen: (the file of the identity, the recipient)."""
    assert shutil.which("age") and shutil.which("age-keygen"), "age is not installed: tools/setup test"
    path = tool.vault.dir / name
    done = tool.vault.run(["age-keygen", "-o", path])
    assert done.returncode == 0, done.stderr
    return path, re.search(r"age1\w+", path.read_text()).group()


def age(tool, *arguments, **options):
    done = tool.vault.run(["age", *arguments], **options)
    assert done.returncode == 0, f"age {arguments}: {done.stderr.decode()}"
    return done.stdout


def gives(tool, *arguments, **options):
    done = tool.run(*arguments, **options)
    assert done.returncode == 0, f"{arguments}: exit {done.returncode}: {done.stderr.decode()}"
    assert done.stderr == b"", f"{arguments}: {done.stderr.decode()}"
    return done.stdout


def sealed(tool, recipient, size):
    return gives(tool, "seal", "-r", recipient, input=contents(size))


def header_len(file):
    return file.index(b"\n", file.index(b"\n---") + 1) + 1


# ---- the format ----

def age_reads_and_writes(tool):
    """files of every awkward size are read by age and read from age, through files and through pipes"""
    identity, recipient = keygen(tool, "id")
    for size in SIZES:
        plain = contents(size)
        (tool.vault.dir / "plain").write_bytes(plain)
        ours = sealed(tool, recipient, size)
        assert age(tool, "-d", "-i", identity, input=ours) == plain, size
        gives(tool, "seal", "-r", recipient, "--out", "ours.age", "--", "cat", "plain")
        assert age(tool, "-d", "-i", identity, "ours.age") == plain, size
        age(tool, "-r", recipient, "-o", "theirs.age", "plain")
        assert gives(tool, "open", "-i", identity, "theirs.age") == plain, size
        assert gives(tool, "open", "-i", identity, "--out", "back", "-", input=(tool.vault.dir / "theirs.age").read_bytes()) == b""
        assert (tool.vault.dir / "back").read_bytes() == plain, size
        assert (tool.vault.dir / "back").stat().st_mode & 0o777 == 0o600


def short_reads_make_no_difference(tool):
    """input that comes in drops, and a reader that takes drops, lose and change nothing"""
    identity, recipient = keygen(tool, "id")
    plain = contents(1_500_000)
    for command, given, wanted in ((["seal", "-r", recipient], plain, None), (["open", "-i", identity], None, plain)):
        given = given or file
        process = subprocess.Popen([tool.vault.tool, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=tool.vault.environment(),
                                   cwd=tool.vault.dir, bufsize=0)
        writer = threading.Thread(target=lambda: [process.stdin.write(given[i:i + 4093]) for i in range(0, len(given), 4093)] + [process.stdin.close()])
        writer.start()
        file = b""
        while drop := process.stdout.read(1009):
            file += drop
        writer.join()
        assert process.wait() == 0
        assert wanted is None or file == wanted


def is_for_many(tool):
    """several recipients, from the line, from a file, each of them opens it; a stranger does not"""
    pairs = [keygen(tool, f"id{i}") for i in range(4)]
    (tool.vault.dir / "to").write_text(f"# the others\n\n{pairs[1][1]}\n  {pairs[2][1]}  \n")
    file = gives(tool, "seal", "-r", pairs[0][1], "-R", "to", input=b"for many")
    for identity, _ in pairs[:3]:
        assert gives(tool, "open", "-i", identity, input=file) == b"for many"
    tool.refuses(66, ["3 recipients"], "open", "-i", pairs[3][0], input=file)
    assert gives(tool, "open", "-i", pairs[3][0], "-i", pairs[2][0], input=file) == b"for many"


def takes_ssh_keys(tool):
    """SSH keys are recipients, and an Ed25519 key is an identity, as age has them; a key with a passphrase is told so"""
    assert shutil.which("ssh-keygen"), "ssh-keygen is not installed: tools/setup test"
    for kind, name, phrase in (("ed25519", "ed", ""), ("rsa", "rsa", ""), ("ed25519", "locked", "phrase")):
        assert tool.vault.run(["ssh-keygen", "-q", "-t", kind, "-N", phrase, "-C", "a comment", "-f", name]).returncode == 0
    public = (tool.vault.dir / "ed.pub").read_text().strip()
    file = gives(tool, "seal", "-r", public, "-R", "rsa.pub", input=b"kept")
    assert age(tool, "-d", "-i", "ed", input=file) == age(tool, "-d", "-i", "rsa", input=file) == b"kept"
    assert gives(tool, "open", "-i", "ed", input=file) == b"kept"
    assert gives(tool, "open", "-i", "ed", input=age(tool, "-R", "ed.pub", input=b"theirs")) == b"theirs"
    tool.refuses(64, ["'locked'", "passphrase"], "open", "-i", "locked", input=file)
    tool.refuses(64, ["'rsa'", "ssh-ed25519", "age -d"], "open", "-i", "rsa", input=file)
    other = gives(tool, "seal", "-R", "locked.pub", input=b"x")
    tool.refuses(66, ["1 recipients"], "open", "-i", "ed", input=other)
    tool.vault.create("cmk", kty="RSA", key_size=2048)
    gives(tool, "seal", "-r", "cmk", "--break-glass", public, "--register", "with-ssh", input=b"x")
    backup, = [json.loads(line) for line in tool.prints("map", "export").splitlines() if '"type":"backup"' in line]
    shown = tool.vault.run(["ssh-keygen", "-l", "-f", "ed.pub"]).stdout.decode().split()[1]
    assert [(to["kind"], to["text"]) for to in backup["recipients"] if to["kind"] != "rsa-oaep-256"] == [("ssh-ed25519", shown)], backup


# ---- the vault ----

def opens_old_backups_after_rotations(tool):
    """a backup for a key's name opens after rotations with one unwrap of its own version; sealing with a warm map sends nothing"""
    first = tool.vault.create("cmk", kty="RSA", key_size=2048)
    seal = ["seal", "-r", "cmk", "--break-glass", "none"]
    old = gives(tool, *seal, input=b"old")
    tool.vault.requests()
    again = gives(tool, *seal, input=b"again")
    assert tool.vault.requests() == []
    tool.vault.rotate("cmk")
    tool.prints("keys", "--refresh")
    new = gives(tool, *seal, input=b"new")
    for file, words, kid in ((old, b"old", first), (again, b"again", first), (new, b"new", None)):
        assert (kid or first).encode() in file if kid else first.encode() not in file
        tool.vault.requests()
        assert gives(tool, "open", input=file) == words
        sent = [entry for entry in tool.vault.requests() if "unwrap" in entry["path"] or "decrypt" in entry["path"]]
        assert len(sent) == 1 and (not kid or kid in sent[0]["path"]), sent


def wants_a_way_without_the_vault(tool):
    """without a break-glass recipient nothing is sealed, and both ways out are told; with one, files are sealed and opened when the vault is gone"""
    identity, recipient = keygen(tool, "glass")
    tool.vault.create("cmk", kty="RSA", key_size=2048)
    marker = tool.vault.dir / "ran"
    tool.refuses(64, ["--break-glass", "age-keygen", "none"], "seal", "-r", "cmk", "--", "touch", "ran")
    assert not marker.exists()
    tool.refuses(64, ["key of a vault"], "seal", "-r", "cmk", "--break-glass", "cmk", input=b"x")
    tool.refuses(64, ["not both"], "seal", "-r", "cmk", "--break-glass", "none", "--break-glass", recipient, input=b"x")
    gives(tool, "seal", "-r", "cmk", "--break-glass", recipient, "--out", "b.age", input=b"kept")
    assert gives(tool, "open", "b.age") == b"kept"
    tool.vault.stop()
    tool.refuses(69, ["cmk"], "open", "b.age")
    offline = gives(tool, "seal", "-r", "cmk", "--break-glass", recipient, input=b"sealed without a vault")
    assert gives(tool, "open", "-i", identity, input=offline) == b"sealed without a vault"
    assert gives(tool, "open", "-i", identity, "b.age") == b"kept"
    assert age(tool, "-d", "-i", identity, "b.age") == b"kept"


def tells_why_a_vault_does_not_open(tool):
    """a disabled version, a throttled vault, a vault that fails and one that forbids: each its exit code, nothing on stdout"""
    version = tool.vault.create("cmk", kty="RSA", key_size=2048)
    gives(tool, "seal", "-r", "cmk", "--break-glass", "none", "--out", "b.age", input=contents(100_000))
    tool.vault.control("PATCH", f"/vaults/prod/keys/cmk/{version}", {"enabled": False})
    tool.refuses(77, ["disabled", version], "open", "b.age")
    tool.vault.control("PATCH", f"/vaults/prod/keys/cmk/{version}", {"enabled": True})
    for status, code, word, headers in ((403, 77, "Forbidden", {}), (429, 75, "Throttled", {"Retry-After": "600"})):
        body = json.dumps({"error": {"code": word, "message": "no"}})
        for operation in ("decrypt", "unwrapkey"):
            tool.vault.control("POST", "/faults", {"kind": "status", "status": status, "operation": operation, "host": "prod", "count": 9,
                                                   "headers": headers, "body": body})
        tool.refuses(code, ["cmk"], "open", "b.age")
        tool.refuses(code, ["cmk"], "open", "--out", "there", "b.age")
        assert not (tool.vault.dir / "there").exists()
        tool.vault.control("DELETE", "/faults")
    assert gives(tool, "open", "b.age") == contents(100_000)


# ---- half backups ----

def makes_no_half_backup(tool):
    """a producer that fails, is killed or is not there: exit 74, no file, and what stdout got is no whole file"""
    identity, recipient = keygen(tool, "id")
    (tool.vault.dir / "plain").write_bytes(contents(3_000_000))
    (tool.vault.dir / "b.age").write_bytes(b"the backup of yesterday")
    for words, *producer in (
        (["'sh'", "exit 3"], "sh", "-c", "cat plain; exit 3"),
        (["exit 1"], "sh", "-c", "exit 1"),
        (["signal 9"], "sh", "-c", "head -c 2000000 plain; kill -9 $$"),
        (["cannot be started", "no-such-program"], "no-such-program"),
    ):
        tool.refuses(74, words, "seal", "-r", recipient, "--out", "b.age", "--", *producer)
        assert (tool.vault.dir / "b.age").read_bytes() == b"the backup of yesterday"
        tool.refuses(74, words, "seal", "-r", recipient, "--out", "new.age", "--", *producer)
        assert not (tool.vault.dir / "new.age").exists()
        done = tool.run("seal", "-r", recipient, "--", *producer)
        assert done.returncode == 74
        if done.stdout:
            assert tool.run("open", "-i", identity, input=done.stdout).returncode == 65
            assert tool.vault.run(["age", "-d", "-i", identity], input=done.stdout).returncode == 1
    assert sorted(p.name for p in tool.vault.dir.glob("*.age*")) == ["b.age"] and not list(tool.vault.dir.glob(".kvp11-*"))
    gives(tool, "seal", "-r", recipient, "--out", "b.age", "--", "sh", "-c", "cat plain")
    assert gives(tool, "open", "-i", identity, "b.age") == contents(3_000_000)


def passes_arguments_as_they_are(tool):
    """a producer is run without a shell, with its arguments as they stand, and with our standard input"""
    identity, recipient = keygen(tool, "id")
    strange = "$(id) `id` * ; 'x' \"y\" --out"
    file = gives(tool, "seal", "-r", recipient, "--", "printf", "%s|%s", strange, "--help")
    assert gives(tool, "open", "-i", identity, input=file) == f"{strange}|--help".encode()
    file = gives(tool, "seal", "-r", recipient, "--", "cat", input=b"ours")
    assert gives(tool, "open", "-i", identity, input=file) == b"ours"


def tells_a_full_disk(tool):
    """a disk that is full is exit 73 with its cause, and leaves no file, neither the new one nor a part of it"""
    identity, recipient = keygen(tool, "id")
    with open("/dev/full", "wb") as full:
        done = subprocess.run([tool.vault.tool, "seal", "-r", recipient], input=contents(3_000_000), stdout=full, stderr=subprocess.PIPE,
                              env=tool.vault.environment())
    assert done.returncode == 73 and b"No space left" in done.stderr, done.stderr
    (tool.vault.dir / "plain").write_bytes(contents(3_000_000))
    (tool.vault.dir / "small").mkdir()
    script = ("mount -t tmpfs -o size=1m none small && cd small || exit 99\n"
              f"'{tool.vault.tool}' seal -r {recipient} --out b.age <../plain; echo exit $?; ls -A\n"
              f"head -c 900000 ../plain | '{tool.vault.tool}' seal -r {recipient} --out b.age && ls -A\n")
    done = tool.vault.run(["unshare", "--mount", *(["--map-root-user"] if os.geteuid() else []), "sh", "-c", script])
    if done.returncode and b"unshare" in done.stderr or done.returncode == 99:
        return not_run(f"a small disk: {done.stderr.decode().strip()}")
    assert b"b.age: cannot be written: No space left" in done.stderr, done.stderr
    assert done.stdout == b"exit 73\nb.age\n", done.stdout


def tells_a_reader_that_went_away(tool):
    """when nobody reads the output any more, that is exit 73 and no death by signal"""
    _, recipient = keygen(tool, "id")
    process = subprocess.Popen([tool.vault.tool, "seal", "-r", recipient, "--", "cat", "/dev/zero"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env=tool.vault.environment())
    process.stdout.read(100_000)
    process.stdout.close()
    assert b"Broken pipe" in process.stderr.read()
    assert process.wait(timeout=20) == 73


def cleans_up_when_interrupted(tool):
    """SIGINT and SIGTERM leave no file and no producer behind, and are what the caller sees"""
    _, recipient = keygen(tool, "id")
    for number in (signal.SIGINT, signal.SIGTERM):
        process = subprocess.Popen([tool.vault.tool, "seal", "-r", recipient, "--out", "b.age", "--", "sh", "-c", "head -c 100000 /dev/zero; echo $$ >pid; exec sleep 300"],
                                   stderr=subprocess.PIPE, env=tool.vault.environment(), cwd=tool.vault.dir)
        for _ in range(200):
            if (tool.vault.dir / "pid").exists() and (tool.vault.dir / "pid").read_text().strip():
                break
            time.sleep(0.02)
        producer = int((tool.vault.dir / "pid").read_text())
        process.send_signal(number)
        assert process.wait(timeout=20) == -number
        for _ in range(200):
            if not os.path.exists(f"/proc/{producer}") or "Z" in open(f"/proc/{producer}/stat").read().split(")")[1][:3]:
                break
            time.sleep(0.02)
        else:
            raise AssertionError("the producer runs on")
        assert not (tool.vault.dir / "b.age").exists() and not list(tool.vault.dir.glob(".kvp11-*"))
        (tool.vault.dir / "pid").unlink()


# ---- terminals ----

@contextlib.contextmanager
def terminal():
    ours, theirs = pty.openpty()
    try:
        yield ours, theirs
    finally:
        os.close(ours)
        with contextlib.suppress(OSError):
            os.close(theirs)


def on_terminal(tool, arguments, given=None, errors=False, **options):
    """(exit, what the terminal shows, the other output); the terminal is stdout, or stderr."""
    with terminal() as (ours, theirs):
        streams = {"stdout": subprocess.PIPE, "stderr": theirs} if errors else {"stdout": theirs, "stderr": subprocess.PIPE}
        process = subprocess.Popen([tool.vault.tool, *arguments], stdin=subprocess.PIPE, env=tool.vault.environment(), cwd=tool.vault.dir, **streams, **options)
        os.close(theirs)
        shown = b""

        def watch():
            nonlocal shown
            with contextlib.suppress(OSError):
                while piece := os.read(ours, 65536):
                    shown += piece

        watcher = threading.Thread(target=watch)
        watcher.start()
        out, err = process.communicate(given, timeout=60)
        watcher.join(timeout=20)
        return process.returncode, shown, out if errors else err


def minds_terminals(tool):
    """no binary to a terminal, neither sealed nor opened nor unwrapped; text is shown; a bar on stderr while it lasts, and no trace of it elsewhere"""
    identity, recipient = keygen(tool, "id")
    code, shown, err = on_terminal(tool, ["seal", "-r", recipient], b"x")
    assert (code, shown) == (64, b"") and b"--out" in err, (code, shown, err)
    text, binary = (gives(tool, "seal", "-r", recipient, input=bytes_) for bytes_ in ("grüß\tdich\n".encode(), b"\x1b]0;owned\x07"))
    code, shown, err = on_terminal(tool, ["open", "-i", identity], text)
    assert code == 0 and "grüß\tdich\r\n".encode() in shown, (code, shown, err)
    c1 = gives(tool, "seal", "-r", recipient, input="\x9b31m".encode())  # a command of ISO 6429 in UTF-8
    for file, command in itertools.product((binary, c1), (["open"], ["unwrap", "-"])):
        code, shown, err = on_terminal(tool, [*command, "-i", identity], file)
        assert (code, shown) == (64, b"") and b"terminal" in err, (command, code, shown, err)
        assert tool.run(*command, "-i", identity, input=file).returncode == 0
    code, shown, out = on_terminal(tool, ["seal", "-r", recipient, "--", "sh", "-c", "head -c 9000000 /dev/zero; sleep 0.5; head -c 1000000 /dev/zero"], b"", errors=True)
    assert code == 0 and b"MiB" in shown and b"/s" in shown and shown.rstrip(b"\r\n").endswith(b"\x1b[K"), shown
    assert gives(tool, "open", "-i", identity, input=out) == bytes(10_000_000)


# ---- the map ----

def registers_backups(tool):
    """--register puts a whole backup into the map: place, size, header, recipients; what is wrong with map or date is told before the producer runs"""
    _, recipient = keygen(tool, "glass")
    version = tool.vault.create("cmk", kty="RSA", key_size=2048)
    (tool.vault.dir / "store").mkdir()
    seal = ["seal", "-r", "cmk", "--break-glass", recipient, "--out", "store/b.age"]
    gives(tool, *seal, "--register", "nightly/7", "--retain-until", "2099-12-31", input=contents(1_000_000))
    file = (tool.vault.dir / "store/b.age").read_bytes()
    row, = json.loads(tool.prints("--json", "keys", "cmk"))
    assert row["backups"] == 1, row
    backup, = [json.loads(line) for line in tool.prints("map", "export").splitlines() if '"type":"backup"' in line]
    assert (backup["id"], backup["store"], backup["object"]) == ("nightly/7", str(tool.vault.dir / "store"), "b.age"), backup
    assert (backup["size"], backup["keep_until"]) == (len(file), 4102444799), backup
    assert backup["header_sha256"] == hashlib.sha256(file[:header_len(file)]).hexdigest(), backup
    assert sorted(to["kind"] for to in backup["recipients"]) == ["rsa-oaep-256", "x25519"], backup
    assert any(to["text"] == recipient for to in backup["recipients"]) and any(to["text"].endswith(version) for to in backup["recipients"]), backup
    tool.refuses(74, ["exit 3"], *seal, "--register", "failed", "--", "sh", "-c", "exit 3")
    gives(tool, "seal", "-r", "cmk", "--break-glass", "none", "--register", "elsewhere", "--store", "azblob:a/c", input=b"x")
    names = [json.loads(line)["id"] for line in tool.prints("map", "export").splitlines() if '"type":"backup"' in line]
    assert names == ["nightly/7", "elsewhere"], names
    tool.prints("map", "verify")
    for code, words, *line in (
        (64, ["--register"], "--store", "x"),
        (64, ["no date"], "--register", "x", "--retain-until", "2099-02-30"),
        (64, ["no date"], "--register", "x", "--retain-until", "soon"),
        (64, ["past"], "--register", "x", "--retain-until", "2020-01-01"),
        (64, ["too long"], "--register", "x" * 200),
    ):
        tool.refuses(code, words, *seal, *line, "--", "touch", "ran")
    (tool.vault.dir / "map.db").write_bytes(b"no database at all" * 1000)
    tool.refuses(65, ["map"], *seal, "--register", "x", "--", "touch", "ran")
    assert not (tool.vault.dir / "ran").exists()
    assert (tool.vault.dir / "store/b.age").read_bytes() == file


# ---- command lines ----

def refuses_what_it_cannot_take(tool):
    """recipients and identities of other kinds, damaged ones, open files, an input that is none: each told by what it is"""
    identity, recipient = keygen(tool, "id")
    secret = re.search(r"AGE-SECRET-KEY-\w+", identity.read_text()).group()
    file = sealed(tool, recipient, 10)
    made = {"damaged": secret[:-1] + ("Q" if secret[-1] != "Q" else "P"), "locked": "age-encryption.org/v1\n", "ssh": "-----BEGIN RSA PRIVATE KEY-----\n",
            "empty": "# nothing\n", "to": f"{recipient}\nage1damaged\n"}
    for name, text in made.items():
        (tool.vault.dir / name).touch(mode=0o600)
        (tool.vault.dir / name).write_text(text)
    for code, words, *line in (
        (64, ["for whom"], "seal"),
        (64, ["no program"], "seal", "-r", recipient, "--"),
        (64, ["one argument too many"], "seal", "-r", recipient, "tar"),
        (65, ["age1damaged"], "seal", "-r", "age1damaged"),
        (65, ["'to', line 2"], "seal", "-R", "to"),
        (64, ["absent"], "seal", "-R", "absent"),
        (64, ["ssh-dss", "ssh-ed25519"], "seal", "-r", "ssh-dss AAAAB3NzaC1kc3MAAACB"),
        (65, ["'damaged', line 1"], "open", "-i", "damaged"),
        (64, ["encrypted"], "open", "-i", "locked"),
        (64, ["not offered"], "open", "-i", "ssh"),
        (65, ["nothing in it"], "open", "-i", "empty"),
        (74, ["absent"], "open", "absent"),
        (74, ["Is a directory"], "open", "/"),
        (64, ["one argument too many"], "open", "a", "b"),
    ):
        message = tool.refuses(code, words, *line, input=file)
        assert secret[16:] not in message and made["damaged"][16:-1] not in message
    for words, given in ((["not an age file"], b"PK\3\4"), (["empty"], b""), (["armor"], base64.b64encode(file)), (["another version"], b"age-encryption.org/v9\n")):
        given = b"-----BEGIN AGE ENCRYPTED FILE-----\n" + given if "armor" in words else given
        tool.refuses(65, words, "open", "-i", identity, input=given)
    identity.chmod(0o644)
    tool.refuses(77, ["chmod 600"], "open", "-i", identity, input=file)
    tool.refuses(66, ["1 recipients"], "open", input=file)


SCENARIOS = (age_reads_and_writes, short_reads_make_no_difference, is_for_many, takes_ssh_keys, opens_old_backups_after_rotations, wants_a_way_without_the_vault,
             tells_why_a_vault_does_not_open, makes_no_half_backup, passes_arguments_as_they_are, tells_a_full_disk,
             tells_a_reader_that_went_away, cleans_up_when_interrupted, minds_terminals, registers_backups, refuses_what_it_cannot_take)
