"""A world of its own for each scenario with files: vaults, a break-glass key, and the words that the scenarios are written in."""
import base64
import contextlib
import filecmp
import json
import os
import re

from kvtest import Emulator
from peers import SILENT, silent

STEP = []  # what a scenario is at: told when it fails


def note(text):
    STEP[:] = [text]


def stanza_of(data):
    """The first stanza of ours in a header: (where its body begins, where it ends)."""
    found = re.search(rb"-> kvp11-\S+ [^\n]*\n((?:\S{64}\n)*\S{0,63}\n)", data)
    return found.span(1)


def broken(data, other):
    """The stanza's body of another file in the header of this one."""
    (start, end), (first, last) = stanza_of(data), stanza_of(other)
    return data[:start] + other[first:last] + data[end:]


def rsa_jwk(der):
    """The members of an RSA private key (PKCS#1, DER) as a JWK."""
    def read(at):
        length, at = der[at + 1], at + 2
        if length & 0x80:
            count = length & 0x7F
            length, at = int.from_bytes(der[at:at + count], "big"), at + count
        return at, at + length

    at, end = read(0)
    numbers = []
    while at < end:
        first, at = read(at)
        numbers.append(base64.urlsafe_b64encode(der[first:at].lstrip(b"\0")).rstrip(b"=").decode())
    return {"kty": "RSA", **dict(zip(("n", "e", "d", "p", "q", "dp", "dq", "qi"), numbers[1:]))}


class World(Emulator):
    def __init__(self, peers, large=False):
        super().__init__(vaults=("prod",))
        self.peers, self.large = peers, large

    def __enter__(self):
        super().__enter__()
        self.operator = self.configure("operator.conf", identity="operator")
        self.hsm = self.configure("hsm.conf", vaults=("hsm",))
        self.must(self.run(["age-keygen", "-o", self.dir / "breakglass.txt"]))
        (self.dir / "id.txt").write_bytes(self.must(self.kvp11("identity")))
        note("setting up")
        return self

    def environment(self, **more):
        """PATH leads to the plugin and to kvp11, as after an installation."""
        path = f"{self.build / 'tools'}:{more.pop('PATH', os.environ['PATH'])}:/usr/sbin"
        return super().environment(PATH=path, **more)

    def with_plugins(self):
        return [peer for peer in self.peers if peer.plugins]

    # --- running ---
    def sh(self, line, **options):
        return self.run(["bash", "-c", "set -o pipefail; " + line], **options)

    def must(self, done):
        assert done.returncode == 0, f"{' '.join(map(str, done.args))}: exit {done.returncode}: {done.stderr.decode(errors='replace')[-900:]}"
        return done.stdout

    def refused(self, done, *words, code=None):
        """It failed, wrote nothing to stdout, and said why."""
        assert done.returncode and (code is None or done.returncode == code), f"exit {done.returncode}: {done.stderr.decode()}"
        assert done.stdout == b"", f"stdout: {done.stdout!r}"
        self.told(done, *words)

    def told(self, done, *words):
        """Each word (a|b: one of them) is in what it said; rage breaks no lines, and age none either."""
        said = done.stderr.decode(errors="replace")
        for word in words:
            assert any(one in said for one in word.split("|")), f"'{word}' is not in: {said}"

    # --- kvp11 ---
    def create(self, name, vault="prod", **body):
        body = body or {"kty": "RSA", "key_size": 2048}
        version = super().create(name, vault, **body)
        if vault == "prod":
            self.must(self.kvp11("keys", name, "--refresh"))
        return version

    def text(self, *arguments, create=None, **options):
        """The one line that a command prints."""
        if create:
            self.create(create)
        line, = self.must(self.kvp11(*arguments, **options)).decode().splitlines()
        return line

    def breakglass(self):
        return re.search(r"age1\w+", (self.dir / "breakglass.txt").read_text()).group()

    def forget(self):
        """The version map is gone, and so is the log of requests."""
        for path in self.dir.glob("map.db*"):
            path.unlink()
        self.requests()

    @staticmethod
    def bech32(name):
        """A floating recipient as anybody may write it, by code of its own."""
        letters = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
        prefix, bits = "age1kvp11", "".join(f"{byte:08b}" for byte in b"\2" + name.encode())
        values = [int(bits[i:i + 5].ljust(5, "0"), 2) for i in range(0, len(bits), 5)]
        total = 1
        for value in [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix] + values + [0] * 6:
            top, total = total >> 25, (total & 0x1FFFFFF) << 5 ^ value
            for i, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
                total ^= generator if top >> i & 1 else 0
        return prefix + "1" + "".join(letters[value] for value in values + [(total ^ 1) >> 5 * (5 - i) & 31 for i in range(6)])

    # --- files ---
    def folder(self, name):
        """A tree with something of everything."""
        folder = self.dir / name
        (folder / "deep").mkdir(parents=True)
        (folder / "empty").touch()
        (folder / "small").write_text("a line\n")
        (folder / "deep/large").write_bytes(os.urandom(300_000))
        return folder

    @staticmethod
    def same(left, right):
        def equal(compared):
            return not (compared.left_only or compared.right_only or compared.funny_files) and \
                filecmp.cmpfiles(compared.left, compared.right, compared.common_files, shallow=False)[1:] == ([], []) and \
                all(map(equal, compared.subdirs.values()))
        return equal(filecmp.dircmp(left, right))

    def kid_of(self, name):
        """What the file says of the place of its version; None: nothing."""
        found = re.search(rb"-> kvp11-\S+ \S+( \S+)?\n", (self.dir / name).read_bytes())
        return found.group(1).decode().strip() if found.group(1) else None

    # --- what the vault saw ---
    def operations(self, verb):
        return len([r for r in self.requests(clear=False) if r["path"].endswith("/" + verb) and r["status"] == 200])

    def unwrapped_by(self):
        """The versions that were asked to unwrap."""
        return [r["path"].split("/")[-2] for r in self.requests(clear=False) if r["path"].endswith("/unwrapkey")]

    def audited(self, caller, version):
        lines = [json.loads(line) for line in (self.dir / "audit.jsonl").read_text().splitlines()]
        return any(caller in json.dumps(line) and version in json.dumps(line) for line in lines)

    @contextlib.contextmanager
    def out_of_reach(self, **settings):
        """A configuration whose vault takes no connection, as behind a firewall that drops."""
        port = self.ready["port"]
        held = silent(port)
        try:
            yield self.configure("far.conf", settings=[f"resolve = prod.vault.localhost:{port}:{SILENT} login.localhost:{port}:{SILENT}"], **settings)
        finally:
            for one in held:
                one.close()

    def own_key(self):
        """A key from outside, for keys of the same public key in several places."""
        self.must(self.run(["openssl", "genrsa", "-traditional", "-out", "own.pem", "2048"]))
        return rsa_jwk(self.must(self.run(["openssl", "rsa", "-in", "own.pem", "-traditional", "-outform", "DER"])))

    def bring_in(self, vault, name, jwk):
        bundle = self.control("POST", f"/vaults/{vault}/keys/{name}/import", {"key": jwk})
        return bundle["key"]["kid"].rsplit("/", 1)[1]

    def lose(self, vault, name):
        self.control("POST", f"/vaults/{vault}/keys/{name}/delete")
        self.control("POST", f"/vaults/{vault}/keys/{name}/purge")


def run(checks, peers, suites):
    for suite in suites:
        for scenario in suite.SCENARIOS:
            with World(peers, getattr(suite, "LARGE", False)) as world:
                checks.attempt(scenario.__doc__.strip(), lambda: scenario(world), lambda: f"at: {STEP[0]}\n{world.log()}")
