"""A vault behind a wire of its own, which is cut: nothing is refused, nothing is closed, packets go out and nothing comes back.

Two network namespaces, joined by a pair of virtual interfaces: the module here, the emulator there. Needs root, or user namespaces that anybody may make.
"""
import contextlib
import os
import pathlib
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "common")]

from bench import Driver  # noqa: E402
from kvtest import Checks, Emulator  # noqa: E402

NEAR, FAR, NOBODY = "10.77.0.1", "10.77.0.2", "10.77.0.3"
WRONG = "02:00:00:00:00:99"   # a hardware address that nobody has
TIMEOUT, CONNECT_TIMEOUT, SLACK = 2.5, 1, 1.5  # no third attempt at a connection can begin before the deadline
GONE = (0xCB560005, 0xCB560006)  # unreachable, timed out


def sh(*words):
    subprocess.run([str(w) for w in words], check=True, timeout=30)


class Far(Emulator):
    """An emulator at the other end of a wire."""

    def __init__(self):
        super().__init__("--listen", FAR)
        self.forgotten = set()  # ports of ours
        self.holder = subprocess.Popen(["unshare", "-n", "sleep", "600"])
        deadline = time.monotonic() + 5
        while os.readlink(f"/proc/{self.holder.pid}/ns/net") == os.readlink("/proc/self/ns/net"):
            assert time.monotonic() < deadline, "no namespace came"
            time.sleep(0.01)
        self.prefix = ["nsenter", "-t", str(self.holder.pid), "-n"]
        sh("ip", "link", "add", "near", "type", "veth", "peer", "name", "far", "netns", self.holder.pid)
        sh("ip", "address", "add", f"{NEAR}/24", "dev", "near")
        sh("ip", "link", "set", "near", "up")
        sh(*self.prefix, "ip", "address", "add", f"{FAR}/24", "dev", "far")
        sh(*self.prefix, "ip", "link", "set", "far", "up")
        # So that a rule can come before our own addresses, and holds for connections that are there already.
        sh(*self.prefix, "sh", "-c", "ip rule add pref 10 lookup local && ip rule delete pref 0 && echo 0 >/proc/sys/net/ipv4/ip_early_demux")

    def __exit__(self, *_):
        super().__exit__()
        self.holder.kill()
        self.holder.wait()
        subprocess.run(["ip", "link", "delete", "near"], stderr=subprocess.DEVNULL, timeout=30, check=False)

    def start(self, ports=True):
        super().start(ports)
        self.ready["control"] = self.ready["control"].replace("127.0.0.1", FAR)

    def wired(self, name="wired.conf", **replace):
        port = self.ready["port"]
        return self.configure(name, settings=[f"resolve = prod.vault.localhost:{port}:{FAR} login.localhost:{port}:{FAR}"], timeout=TIMEOUT,
                              connect_timeout=CONNECT_TIMEOUT, **replace)

    # --- the wire ---
    @contextlib.contextmanager
    def black_hole(self, address=FAR):
        """Packets to the address leave and are never seen again."""
        sh("ip", "neighbour", "replace", address, "lladdr", WRONG, "dev", "near", "nud", "permanent")
        yield
        sh("ip", "neighbour", "delete", address, "dev", "near")

    def forget_connections(self):
        """The connections that there are now are no more, as a firewall drops them: what goes out on them never arrives, and nobody says so."""
        own = pathlib.Path("/proc/self/net/tcp").read_text().splitlines()[1:]
        for words in map(str.split, own):
            near, far, state = words[1], words[2], words[3]
            port = int(near.split(":")[1], 16)
            if state == "01" and int(far.split(":")[1], 16) == self.ready["port"] and port not in self.forgotten:
                sh(*self.prefix, "ip", "rule", "add", "pref", 5, "iif", "far", "ipproto", "tcp", "sport", port, "blackhole")
                self.forgotten.add(port)

    @contextlib.contextmanager
    def unplugged(self):
        """The other end of the wire is down."""
        sh(*self.prefix, "ip", "link", "set", "far", "down")
        yield
        sh(*self.prefix, "ip", "link", "set", "far", "up")


@contextlib.contextmanager
def mounted(file, place):
    sh("mount", "--bind", file, place)
    try:
        yield
    finally:
        sh("umount", place)


def gone(driver, what):
    """It fails, and not after its deadline. Returns how long it took."""
    code, seconds, _ = driver(what)
    assert code in GONE, f"'{what}' without a vault: {code:#x}"
    assert seconds <= TIMEOUT + SLACK, f"'{what}' took {seconds:.1f} s of {TIMEOUT} s"
    return seconds


def back(driver, what):
    code, seconds, wrong = driver(what)
    assert code == 0 and not wrong, f"'{what}' when the vault is back: {code:#x}"
    assert seconds < TIMEOUT, f"'{what}' took {seconds:.1f} s when the vault is back"


def says(vault, *words):
    lines = vault.logged().splitlines()
    assert any(all(word in line for word in words) for line in lines), f"no line with {words} in {lines}"


def kept_alive(vault):
    """the vault vanishes behind a connection that is kept: the deadline holds, and the next call works when it is back"""
    with Driver(vault, vault.wired()) as driver:
        back(driver, "find k")
        back(driver, "sign")
        with vault.black_hole():
            gone(driver, "sign")
        back(driver, "sign")
        with vault.black_hole():
            gone(driver, "unwrap")
            gone(driver, "decrypt")
        back(driver, "unwrap")
    says(vault, "C_Sign", "prod")


def unplugged(vault):
    """the wire is unplugged: the same"""
    with Driver(vault, vault.wired()) as driver:
        back(driver, "find k")
        back(driver, "decrypt")
        with vault.unplugged():
            gone(driver, "decrypt")
        back(driver, "decrypt")


def in_the_middle(vault):
    """the vault vanishes while it works on a request: the deadline holds, and the next call works"""
    with Driver(vault, vault.wired()) as driver:
        back(driver, "find k")
        back(driver, "sign")
        vault.control("POST", "/faults", {"kind": "delay", "ms": 1500, "operation": "sign"})
        with subprocess.Popen(["sh", "-c", f"sleep 0.3; {' '.join(vault.prefix)} ip link set far down"]) as cut:
            gone(driver, "sign")
        assert cut.returncode == 0, "the wire was not cut"
        sh(*vault.prefix, "ip", "link", "set", "far", "up")
        back(driver, "sign")


def connect(vault):
    """no connection can be made: connect_timeout is named, the deadline holds, the next call works when the vault is back"""
    with Driver(vault, vault.wired()) as driver:
        back(driver, "find k")
        with vault.black_hole():
            seconds = gone(driver, "sign")
            assert seconds >= CONNECT_TIMEOUT, f"gave up after {seconds:.1f} s"
        back(driver, "sign")
    says(vault, "connect_timeout", "firewall")


def no_names(vault):
    """a name server that never answers: the deadline holds, also for the end of the process"""
    resolver = vault.dir / "resolv.conf"
    resolver.write_text(f"nameserver {NOBODY}\n")
    url = vault.ready["vaults"]["prod"].replace("prod.vault.localhost", "prod.vault.example")
    with vault.black_hole(NOBODY), mounted(resolver, "/etc/resolv.conf"):
        started = time.monotonic()
        with Driver(vault, vault.wired("names.conf", url=url)) as driver:
            back(driver, "find k")  # the map knows it
            gone(driver, "sign")
        assert time.monotonic() - started < TIMEOUT + 2 * SLACK, "the process hung at its end"
    says(vault, "prod.vault.example")


def restarted(vault):
    """the vault's machine starts again under a connection that is kept: the next call works, at once"""
    vault.state = True
    vault.stop()
    vault.start(ports=False)
    vault.create("k", kty="RSA", key_size=2048)
    with Driver(vault, vault.wired("again.conf", map=vault.dir / "again.db")) as driver:
        back(driver, "find k")
        back(driver, "sign")
        vault.stop(kill=True)
        vault.start(ports=False)
        code, seconds, wrong = driver("sign")
        assert code == 0 and not wrong and seconds < 1, f"{code:#x} in {seconds:.1f} s"


def forgotten(vault):
    """a connection that is kept dies without a word: sign, decrypt and unwrap wait a moment for it, not their whole deadline, and are served once"""
    with Driver(vault, vault.wired()) as driver:
        back(driver, "find k")
        for what, operation in (("sign", "sign"), ("decrypt", "decrypt"), ("unwrap", "unwrapkey")):
            back(driver, what)
            vault.forget_connections()
            vault.requests()
            code, seconds, wrong = driver(what)
            assert code == 0 and not wrong, f"'{what}': {code:#x}"
            assert TIMEOUT / 8 < seconds < TIMEOUT * 0.7, f"'{what}' took {seconds:.2f} s of {TIMEOUT} s"
            served = [r for r in vault.requests() if r["path"].endswith(operation)]
            assert len(served) == 1, f"'{what}' was served {len(served)} times"


SCENARIOS = (kept_alive, forgotten, unplugged, in_the_middle, connect, no_names, restarted)


def inside():
    """Runs in a namespace of its own."""
    checks = Checks()
    for scenario in SCENARIOS:
        with Far() as vault:
            vault.create("k", kty="RSA", key_size=2048)
            with Driver(vault, vault.wired("first.conf")) as driver:
                driver("find k")
                driver("sign")
            checks.attempt(f"network: {scenario.__doc__}", lambda: scenario(vault), vault.log)
    return checks.end()


def run(checks):
    """Through `unshare`; where that is not allowed the scenarios are not run, which fails in CI."""
    unshare = ["unshare", "--net", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    probe = "ip link set lo up && ip link add near type veth peer name far && ip link delete near"
    able = subprocess.run([*unshare, "sh", "-c", probe], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, check=False)
    if able.returncode != 0:
        reason = f"no network namespaces here (run as root, or allow user namespaces): {able.stderr.strip()}"
        if os.environ.get("CI"):
            checks.check("network: a vault that vanishes", False, reason)
        else:
            print(f"not run - network: a vault that vanishes: {reason}")
        return
    done = subprocess.run([*unshare, sys.executable, __file__], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300, check=False)
    lines = done.stdout.splitlines()
    for at, line in enumerate(lines):
        good = line.startswith("ok - ")
        if good or line.startswith("not ok - "):
            detail = [more[1:].strip() for more in lines[at + 1:at + 30] if more.startswith("#")] if not good else []
            checks.check(line.split(" - ", 1)[1], good, "\n".join(detail))
    if done.returncode and not any(line.startswith("not ok") for line in lines):
        checks.check("network: the scenarios ran", False, done.stderr[-1500:])


if __name__ == "__main__":
    sys.exit(inside())
