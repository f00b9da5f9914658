"""kvp11 wrap, unwrap and run: secrets in small files, and the programs that get them."""
import os
import pathlib
import re
import secrets as random_source
import signal
import subprocess
import time

SECRET = b"correct horse battery staple"


def breakglass(tool):
    """(recipient, file of the identity): an age key that never sees a vault."""
    path = tool.vault.dir / "breakglass.txt"
    if not path.exists():
        done = tool.vault.run(["age-keygen", "-o", path])
        assert done.returncode == 0, done
    return re.search(r"age1\w+", path.read_text()).group(), path


def wrapped(tool, secret=SECRET, name="s.age", key="k"):
    if not (tool.vault.dir / "map.db").exists():
        tool.vault.create(key, kty="RSA", key_size=2048)
    tool.prints("wrap", "-r", key, "--break-glass", breakglass(tool)[0], "--out", name, input=secret)
    return tool.vault.dir / name


def started(tool, *arguments, **options):
    """A run whose program leaves a mark, and what became of it."""
    mark = tool.vault.dir / "started"
    mark.unlink(missing_ok=True)
    done = tool.run("run", *arguments, "--", "sh", "-c", f"touch '{mark}'; exit 0", **options)
    return done, mark.exists()


def comes_back(tool):
    """what is wrapped comes back byte for byte: a line, a key of 32 bytes with NULs, the largest; one unwrap, no request to wrap once the key is known"""
    wrapped(tool)
    tool.vault.requests()
    for secret in (SECRET, b"\0" * 32, random_source.token_bytes(64 * 1024), b"x"):
        file = wrapped(tool, secret)
        assert [r for r in tool.vault.requests() if r["kind"] == "vault"] == []
        assert tool.run("unwrap", file).stdout == secret
        assert [r["path"].split("/")[-1] for r in tool.vault.requests() if r["kind"] == "vault"] == ["unwrapkey"]
        assert tool.run("unwrap", "-", input=file.read_bytes()).stdout == secret
        tool.vault.requests()
    assert file.stat().st_mode & 0o777 == 0o600


def age_reads_it(tool):
    """age opens it with the break-glass key, and what age wrote is unwrapped"""
    file = wrapped(tool)
    recipient, identity = breakglass(tool)
    done = tool.vault.run(["age", "-d", "-i", identity, file])
    assert done.stdout == SECRET, done
    done = tool.vault.run(["age", "-r", recipient, "-o", "theirs.age"], input=SECRET)
    assert done.returncode == 0, done
    assert tool.run("unwrap", "-i", identity, "theirs.age").stdout == SECRET


def refuses_what_is_no_secret(tool):
    """nothing, too much, no recipient, nobody but the vault, a file that is not there or is no age file"""
    file = wrapped(tool)
    glass = breakglass(tool)[0]
    tool.refuses(74, ["empty"], "wrap", "-r", "k", "--break-glass", glass, input=b"")
    tool.refuses(65, ["65536"], "wrap", "-r", "k", "--break-glass", glass, input=bytes(64 * 1024 + 1))
    tool.refuses(64, ["for whom"], "wrap", input=SECRET)
    tool.refuses(64, ["--break-glass none"], "wrap", "-r", "k", input=SECRET)
    assert tool.run("wrap", "-r", "k", "--break-glass", "none", input=SECRET).stdout.startswith(b"age-encryption.org/v1\n")
    tool.refuses(74, ["'absent' cannot be opened"], "unwrap", "absent")
    (tool.vault.dir / "foreign").write_bytes(b"hello\n")
    tool.refuses(65, ["'foreign'"], "unwrap", "foreign")
    (tool.vault.dir / "empty").touch()
    tool.refuses(65, ["'empty'"], "unwrap", "empty")
    before = file.read_bytes()
    tool.refuses(66, ["nobody"], "wrap", "-r", "nobody", "--break-glass", glass, "--out", file, input=SECRET)
    assert file.read_bytes() == before, "a failure took the old file away"
    (tool.vault.dir / "large").write_bytes(tool.vault.run(["age", "-r", glass], input=bytes(64 * 1024 + 1)).stdout)
    tool.refuses(65, ["kvp11 open"], "unwrap", "-i", breakglass(tool)[1], "large")


def notices_changes(tool):
    """every byte of a wrapped secret counts: one flipped, the end cut off, something behind it, and nothing is printed"""
    data = wrapped(tool).read_bytes()
    identity = breakglass(tool)[1]
    places = list(range(0, len(data), 61)) + list(range(len(data) - 48, len(data), 5))
    changed = [(f"byte {at}", data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]) for at in places]
    changed += [(f"cut to {at}", data[:at]) for at in places] + [("one byte more", data + b"x")]
    for what, bad in changed:
        (tool.vault.dir / "bad").write_bytes(bad)
        done = tool.run("unwrap", "-i", identity, "bad")
        assert done.returncode and done.stdout == b"", f"{what}: {done}"


def by_environment(tool):
    """run --env: the program gets the secret and the rest of the environment; its output, its exit code and its end by a signal are handed on"""
    file = wrapped(tool)
    other = wrapped(tool, b"another", "t.age")
    done = tool.run("run", "--env", f"A={file}", "--env", f"B={other}", "--", "sh", "-c", 'printf "%s|%s|%s" "$A" "$B" "$KEPT"; exit 7',
                    env={"KEPT": "kept", "A": "before"})
    assert (done.returncode, done.stdout, done.stderr) == (7, SECRET + b"|another|kept", b""), done
    done = tool.run("run", "--env", f"A={file}", "--", "sh", "-c", "kill -TERM $$")
    assert done.returncode == -signal.SIGTERM, done
    done = tool.run("run", "--env", f"A={file}", "--", "./absent")
    assert done.returncode == 127 and b"absent" in done.stderr and done.stdout == b"", done


def by_file(tool):
    """run --file: at a path in memory, of mode 0600 and gone afterwards; or without a name, where a variable says; both can hold any bytes"""
    secret = bytes(range(256))
    file = wrapped(tool, secret)
    path = pathlib.Path(f"/dev/shm/kvp11-test-{os.getpid()}")
    done = tool.run("run", "--file", f"{path}={file}", "--", "sh", "-c", f"stat -c %a {path} >&2; cat {path}; exit 3")
    assert (done.returncode, done.stdout, done.stderr.strip()) == (3, secret, b"600"), done
    assert not path.exists()
    done = tool.run("run", "--file", f"WHERE={file}", "--", "sh", "-c", 'cat "$WHERE" "$WHERE"; echo x 2>/dev/null >"$WHERE"; test $? != 0')
    assert (done.returncode, done.stdout) == (0, 2 * secret), done
    done = tool.run("run", "--file", f"{path}={file}", "--", "./absent")
    assert done.returncode == 127 and b"absent" in done.stderr and not path.exists(), done


def signals_are_handed_on(tool):
    """a signal to kvp11 run reaches the program, and the file is gone when it has ended"""
    file = wrapped(tool)
    path = pathlib.Path(f"/dev/shm/kvp11-test-{os.getpid()}")
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGUSR1):
        script = f"trap 'echo got; exit 9' {int(number)}; echo ready; while :; do sleep 0.05; done"
        process = subprocess.Popen([tool.vault.tool, "run", "--file", f"{path}={file}", "--", "sh", "-c", script], env=tool.vault.environment(),
                                   cwd=tool.vault.dir, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        assert process.stdout.readline() == b"ready\n" and path.exists()
        process.send_signal(number)
        out, _ = process.communicate(timeout=20)
        assert (out, process.returncode) == (b"got\n", 9), number
        assert not path.exists()


def whoever_started_it(tool):
    """run where the caller ignores SIGCHLD, as some daemons do: with a filter, with a file, the exit code is the program's"""
    file = wrapped(tool)
    path = pathlib.Path(f"/dev/shm/kvp11-test-{os.getpid()}")
    done = tool.run("run", "--file", f"{path}={file}", "--filter", "cat", "--", "sh", "-c", f"cat {path}; exit 5", timeout=30,
                    preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
    assert (done.returncode, done.stdout) == (5, SECRET), done


def never_starts_without(tool):
    """whatever is wrong with a secret or where it should go: the program is not started, stdout stays empty, the reason is told"""
    good = wrapped(tool)
    line = wrapped(tool, b"with a new line\n", "line.age")
    binary = wrapped(tool, b"a\0b", "binary.age")
    (tool.vault.dir / "there").touch()
    on_disk = tool.vault.build / "a-secret-that-was-refused"  # our own folder may lie in memory
    rows = (
        (64, ["no secret"], []),
        (64, ["NAME=FILE"], ["--env", "A"]),
        (64, ["NAME=FILE"], ["--env", f"={good}"]),
        (64, ["not the name"], ["--env", f"A-B={good}"]),
        (64, ["absolute path"], ["--file", f"some/where={good}"]),
        (74, ["cannot be opened"], ["--env", f"A={good}", "--env", "B=absent"]),
        (65, ["new line", "'A'"], ["--env", f"A={line}"]),
        (65, ["0x00"], ["--env", f"A={binary}"]),
        (73, ["tmpfs"], ["--file", f"{on_disk}={good}"]),
        (74, ["false"], ["--env", f"A={good}", "--filter", "false"]),
        (74, ["nothing"], ["--env", f"A={good}", "--filter", "true"]),
        (74, ["./absent"], ["--env", f"A={good}", "--filter", "./absent"]),
        (64, ["--cache"], ["--env", f"A={good}", "--cache", "0"]),
        (64, ["a day"], ["--env", f"A={good}", "--cache", "86401"]),
    )
    for code, words, arguments in rows:
        done, ran = started(tool, *arguments)
        said = done.stderr.decode()
        assert not ran, f"{arguments}: it was started"
        assert done.returncode == code and done.stdout == b"" and all(word in said for word in words), f"{arguments}: {done}"
    assert not on_disk.exists()
    path = pathlib.Path(f"/dev/shm/kvp11-test-{os.getpid()}")
    path.touch()
    try:
        done, ran = started(tool, "--file", f"{path}={good}")
        assert not ran and done.returncode == 73 and b"another 'kvp11 run'" in done.stderr and path.exists(), done
    finally:
        path.unlink()
    tool.vault.control("POST", "/vaults/prod/keys/k/delete")
    done, ran = started(tool, "--env", f"A={good}")
    assert not ran and done.returncode == 66 and done.stdout == b"", done
    done, ran = started(tool, "--env", f"A={good}", "-i", breakglass(tool)[1])
    assert ran and done.returncode == 0, done


def filters(tool):
    """run --filter: the secret goes through a program, whose new line at the end is dropped; its words are split at blanks, and no shell sees them"""
    file = wrapped(tool)
    done = tool.run("run", "--env", f"A={file}", "--filter", "tr a-z A-Z", "--", "sh", "-c", 'printf "%s" "$A"')
    assert done.stdout == SECRET.upper(), done
    done = tool.run("run", "--env", f"A={file}", "--filter", "sed s/.*/$HOME;x/", "--", "sh", "-c", 'printf "%s" "$A"')
    assert done.stdout == b"$HOME;x", done
    done = tool.run("run", "--env", f"A={file}", "--filter", "head -c 70000 /dev/zero", "--", "true")
    assert done.returncode == 74 and b"more than a secret of 65536 bytes" in done.stderr, done
    big = wrapped(tool, b"y" * 60_000, "big.age")  # more than a pipe and a filter's patience
    done = tool.run("run", "--file", f"A={big}", "--filter", "cat", "--", "sh", "-c", 'wc -c < "$A"')
    assert done.stdout.strip() == b"60000", done


def keeps_for_a_while(tool):
    """--cache: within its seconds the vault is not asked again, after them it is; another file is another secret"""
    file = wrapped(tool)
    first = tool.run("unwrap", "--cache", "2", file)
    assert first.stdout == SECRET, first
    if b"the kernel keeps nothing" in first.stderr:
        return  # no keyring in this container: then nothing is kept, and that was said
    tool.vault.requests()
    assert tool.run("unwrap", "--cache", "2", file).stdout == SECRET
    done = tool.run("run", "--cache", "2", "--env", f"A={file}", "--", "sh", "-c", 'printf "%s" "$A"')
    assert done.stdout == SECRET and tool.vault.requests() == []
    assert tool.run("unwrap", file).stdout == SECRET and tool.vault.requests() != [], "it was taken from the cache unasked"
    other = wrapped(tool, b"another", "t.age")
    tool.vault.requests()
    assert tool.run("unwrap", "--cache", "2", other).stdout == b"another" and tool.vault.requests() != []
    end = time.monotonic() + 10
    while time.monotonic() < end and tool.run("unwrap", "--cache", "2", file).stdout == SECRET and not tool.vault.requests():
        time.sleep(0.2)
    assert time.monotonic() < end, "it is kept for ever"


SCENARIOS = (comes_back, age_reads_it, refuses_what_is_no_secret, notices_changes, by_environment, by_file, signals_are_handed_on, whoever_started_it, never_starts_without,
             filters, keeps_for_a_while)
