"""Secrets stay where they belong and go when they are let go: looked for in everything that a run writes, and in its memory."""
import base64
import os
import pathlib
import re
import resource
import signal
import subprocess

from kvtest import ROOT, Emulator, not_run

KEY = "backup-kek"
JWT = re.compile(rb"eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}")


def forms(secret):
    """As bytes, hex, base64 and base64url; of the latter the part that no padding changes."""
    return {secret, secret.hex().encode(), base64.b64encode(secret)[:len(secret) * 4 // 3], base64.urlsafe_b64encode(secret)[:len(secret) * 4 // 3]}


def regions(pid):
    """(start, end, writable, in a core) of what the process can read."""
    found = []
    with open(f"/proc/{pid}/smaps", encoding="utf-8", errors="replace") as file:
        for line in file:
            head = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ \S+ *(.*)", line)
            if head:
                found.append([int(head[1], 16), int(head[2], 16), head[3], head[4], True])
            elif line.startswith("VmFlags:"):
                found[-1][4] = " dd" not in line
    return [r for r in found if r[2].startswith("r") and r[3] not in ("[vvar]", "[vsyscall]", "[vvar_vclock]")]


class Memory:
    def __init__(self, pid):
        self.parts = []
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as file:
            for start, end, _, name, dumped in regions(pid):
                try:
                    file.seek(start)
                    self.parts.append((file.read(end - start), name or "anonymous", dumped))
                except (OSError, ValueError, OverflowError):
                    continue
        assert sum(len(p[0]) for p in self.parts) > 1 << 20, "the memory could not be read"

    def places(self, needle, dumped_only=False):
        """Where it stands, with what is around it."""
        found = []
        for data, name, dumped in self.parts:
            at = data.find(needle)
            while at >= 0 and (dumped or not dumped_only):
                found.append(f"{name}{'' if dumped else ' (in no core)'}: {data[max(0, at - 40):at]!r} … {data[at + len(needle):at + len(needle) + 20]!r}")
                at = data.find(needle, at + 1)
        return found

    def tokens(self):
        return {match for data, _, _ in self.parts for match in JWT.findall(data)}


def allow_core():
    most = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (most, most))


class Run:
    """The holder between its pauses, in a world of its own."""

    def __init__(self, vault, **settings):
        self.vault = vault
        self.config = vault.configure("holder.conf", log_level="debug", **settings)
        self.plain, self.first, self.second = (os.urandom(32) for _ in range(3))
        self.process = subprocess.Popen([vault.build / "tests/hostile/hostile_holder", vault.module, KEY], env=vault.environment(KVP11_CONFIG=self.config),
                                        cwd=vault.dir, preexec_fn=allow_core, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
        for secret in (self.plain, self.first, self.second):
            self.process.stdin.write(bytes(b ^ 0x5a for b in secret))

    def until(self, where):
        line = self.process.stdout.readline().decode().strip()
        if line != where:
            raise AssertionError(f"the holder did not come to '{where}': {self.process.stderr.read().decode()} {self.vault.log()}")

    def go_on(self):
        self.process.stdin.write(b"!")

    def end(self):
        self.go_on()
        assert self.process.wait(timeout=30) == 0, "the holder failed"
        return self.process.stdout.read() + self.process.stderr.read()


def none_of(memory, what, needles, dumped_only=False):
    for needle in needles:
        places = memory.places(needle, dumped_only)
        assert not places, f"{what} is still there: " + "\n".join(places[:5])


def plain_build():
    """AddressSanitizer keeps what was freed: memory is looked at in a build without it."""
    return os.environ.get("KVP11_PLAIN_BUILD", str(ROOT / "build-test"))


def in_vault(look):
    """A vault with one key, in the build whose memory can be looked at."""
    before = os.environ.get("KVP11_BUILD")
    os.environ["KVP11_BUILD"] = plain_build()
    try:
        with Emulator(vaults=("prod",)) as vault:
            vault.create(KEY, kty="RSA", key_size=2048)
            look(vault, Run(vault))
    finally:
        os.environ.pop("KVP11_BUILD")
        if before:
            os.environ["KVP11_BUILD"] = before


def look_at_run(vault, run):
    client = b"workload-secret"
    run.until("live")
    pid = run.process.pid
    live = Memory(pid)
    arguments = b"".join(open(f"/proc/{pid}/{name}", "rb").read() for name in ("cmdline", "environ"))
    run.go_on()
    run.until("done")
    done = Memory(pid)
    tokens = live.tokens()
    output = run.end()
    planted = {"plaintext": forms(run.plain), "destroyed key": forms(run.first), "second key": forms(run.second), "client secret": forms(client), "token": tokens}
    # What can be seen by others.
    written = {"output": output, "arguments": arguments}
    for name in ("kvp11.log", "audit.jsonl", "map.db", "map.db-wal", "map.db-journal"):
        if (vault.dir / name).exists():
            written[name] = (vault.dir / name).read_bytes()
    assert len(written["kvp11.log"]) > 100 and len(written["audit.jsonl"]) > 100, "nothing was logged"
    for place, data in written.items():
        for what, needles in planted.items():
            assert not any(n in data for n in needles), f"the {what} stands in {place}"
    # The search itself works: the module needs these still, and finds them where no core is written from.
    assert tokens, "no token was found in a process that has one"
    assert live.places(run.second), "the key that is still there was not found"
    none_of(live, "the decrypted plaintext", planted["plaintext"])
    none_of(live, "the destroyed key", planted["destroyed key"])
    none_of(live, "a key's value, where a core is written from,", planted["second key"], dumped_only=True)
    for what in ("plaintext", "destroyed key", "second key", "token", "client secret"):
        none_of(done, f"after C_Finalize the {what}", planted[what])


def look_at_core(vault, run):
    run.until("live")
    run.process.send_signal(signal.SIGABRT)
    run.process.wait(timeout=60)
    cores = [path for path in vault.dir.glob("core*") if path.is_file()]
    if not cores:
        return not_run("no core was written (RLIMIT_CORE)")
    core = cores[0].read_bytes()
    assert b"prod" in core and len(core) > 1 << 20, "this is no core of a process with a vault"
    for what, secret in (("plaintext", run.plain), ("destroyed key", run.first), ("key that is still there", run.second)):
        assert not any(needle in core for needle in forms(secret)), f"the {what} stands in the core"


def whole_run(world):
    """a run with planted secrets: none in output, log, audit, map, arguments; none in memory once it is let go"""
    in_vault(look_at_run)


def core(world):
    """the core of a process that holds keys: neither keys nor what was decrypted"""
    pattern = pathlib.Path("/proc/sys/kernel/core_pattern").read_text().strip()
    if "/" in pattern or "|" in pattern:
        not_run(f"cores go to '{pattern}'")
    else:
        in_vault(look_at_core)


SCENARIOS = (whole_run, core)
