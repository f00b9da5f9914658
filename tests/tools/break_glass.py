"""Break-glass by a certificate in another PKCS#11 token: sealed without a PIN, opened with it when no vault is there; with SoftHSM as the token."""
import contextlib
import glob
import json
import os
import pty
import re
import select
import time

from kvtest import private_file
from scan import backups, findings
from seal import age, contents, gives, keygen

PIN = "1234"
GLASS = "pkcs11:token=glass;object=bg;type=cert"


def softhsm():
    found = glob.glob("/usr/lib/*/softhsm/libsofthsm2.so") + glob.glob("/usr/lib*/softhsm/libsofthsm2.so")
    assert found, "SoftHSM is not installed: tools/setup test"
    return found[0]


class Safe:
    """A token of SoftHSM with a key and its certificate; .key is the same key in a file, as whoever made it may have kept it."""

    def __init__(self, tool, label="glass"):
        self.tool, self.dir, self.label = tool, tool.vault.dir, label
        self.env = {"SOFTHSM2_CONF": self.dir / "softhsm2.conf"}
        (self.dir / "tokens").mkdir(exist_ok=True)
        (self.dir / "softhsm2.conf").write_text(f"directories.tokendir = {self.dir}/tokens\nlog.level = ERROR\n")
        self.must("softhsm2-util", "--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", "5678")
        self.pin = private_file(self.dir / "pin", PIN + "\n")

    def must(self, *command):
        done = self.tool.vault.run(command, env=self.env)
        assert done.returncode == 0, f"{command}: {done.stderr.decode()}{done.stdout.decode()}"
        return done.stdout

    def put(self, kind, file, name, number):
        self.must("pkcs11-tool", "--module", softhsm(), "--token-label", self.label, "--login", "--pin", PIN, "--write-object", file, "--type", kind,
                  "--label", name, "--id", number, *(["--usage-decrypt"] if kind == "privkey" else []))

    def make(self, name="bg", number="01", *, with_key=True, algorithm=("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")):
        key, certificate = self.dir / f"{name}.pem", self.dir / f"{name}.crt"
        key.touch(mode=0o600)
        self.must("openssl", "genpkey", *algorithm, "-out", key)
        self.must("openssl", "req", "-x509", "-new", "-key", key, "-subj", f"/CN={name}", "-days", "3650", "-outform", "DER", "-out", certificate)
        if with_key:
            self.put("privkey", key, name, number)
        self.put("cert", certificate, name, number)
        return key

    def run(self, *arguments, **options):
        return self.tool.run(*arguments, env=self.env, **options)

    def gives(self, *arguments, **options):
        done = self.run(*arguments, **options)
        assert done.returncode == 0 and done.stderr == b"", f"{arguments}: exit {done.returncode}: {done.stderr.decode()}"
        return done.stdout

    def refuses(self, code, words, *arguments, **options):
        return self.tool.refuses(code, words, *arguments, env=self.env, **options)


def typed(safe, arguments, lines):
    """(exit, what the terminal showed): a run whose terminal somebody types at, once for each line when something is asked."""
    out = safe.dir / "typed.out"
    child, terminal = pty.fork()
    if not child:
        with contextlib.suppress(Exception):
            os.dup2(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), 1)
            os.execve(safe.tool.vault.tool, [safe.tool.vault.tool, *map(str, arguments)], safe.tool.vault.environment(**safe.env))
        os._exit(127)
    shown, ends = b"", time.monotonic() + 30
    with contextlib.suppress(OSError):
        while time.monotonic() < ends and select.select([terminal], [], [], 30)[0] and (piece := os.read(terminal, 4096)):
            shown += piece
            if lines and shown.rstrip().endswith(b":"):
                os.write(terminal, lines.pop(0))
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), shown.decode(), out.read_bytes()


def opens_when_the_vault_is_gone(tool):
    """sealed to the certificate without a PIN; the vault gone, the token opens it with the PIN of a file, of the URI, and as typed; stock age opens it with the key in a file"""
    tool.vault.create("cmk", kty="RSA", key_size=2048)
    safe = Safe(tool)
    key, plain = safe.make(), contents(300_000)
    safe.make("other", "02")
    file = safe.gives("seal", "-r", "cmk", "--break-glass", GLASS, input=plain)
    assert file.count(b"\n-> ssh-rsa ") == 1 and b"glass" not in file.split(b"\n---")[0], "nothing of the token stands in the file"
    line = safe.gives("recipient", GLASS).decode()
    assert line.startswith("ssh-rsa AAAA") and json.loads(safe.gives("--json", "recipient", GLASS)) == [{"recipient": line.strip(), "form": "token", "vault": None, "name": None, "version": None, "kid": None}]
    without = gives(tool, "seal", "-r", "cmk", "--break-glass", line.strip(), input=plain)
    tool.vault.stop()
    (tool.vault.dir / "a.age").write_bytes(file)
    assert safe.gives("open", "-i", f"{GLASS}?pin-source={safe.pin}", input=without) == plain
    assert safe.gives("open", "-i", f"{GLASS}?pin-source=file:{safe.pin}", "a.age") == plain
    assert safe.gives("open", "-i", f"pkcs11:token=glass;id=%01?pin-value={PIN}", "a.age") == plain
    identities = private_file(tool.vault.dir / "identities", f"# in the safe\npkcs11:token=glass;object=bg?pin-source={safe.pin}\n")
    assert safe.gives("open", "-i", identities, "a.age") == plain
    assert safe.gives("open", "-i", f"{GLASS}?pin-source={safe.pin}&module-path={softhsm()}", "a.age") == plain
    code, shown, out = typed(safe, ["open", "-i", GLASS, tool.vault.dir / "a.age"], [PIN.encode() + b"\n"])
    assert (code, out) == (0, plain) and "PIN of token 'glass'" in shown and PIN not in shown, (code, shown)
    assert age(tool, "-d", "-i", key, input=file) == plain
    safe.refuses(69, ["is needed"], "open", "-i", f"pkcs11:token=glass;object=other?pin-source={safe.pin}", "a.age", config=tool.vault.configure("gone.conf", timeout=2))


def stands_beside_other_ways(tool):
    """a token that is not there leaves the next identity its turn, and the vault; a file that is not for RSA keys of SSH asks for no token; drill and scan know such a file"""
    tool.vault.create("cmk", kty="RSA", key_size=2048)
    safe = Safe(tool)
    safe.make()
    identity, recipient = keygen(tool, "id")
    plain = contents(1000)
    (tool.vault.dir / "store").mkdir()
    for name, glass in (("a.age", (GLASS,)), ("b.age", (recipient,)), ("c.age", (GLASS, recipient))):
        safe.gives("seal", "-r", "cmk", *(word for one in glass for word in ("--break-glass", one)), "--out", f"store/{name}", input=plain)
    absent = "pkcs11:token=absent;object=bg"
    assert safe.gives("open", "-i", absent, "store/a.age") == plain, "the vault opens it"
    assert safe.gives("open", "-i", absent, "-i", identity, "store/c.age") == plain
    tool.prints("scan", "store")
    fingerprint = re.search(r"ssh-rsa (\S+)", safe.gives("explain", "store/a.age").decode()).group(1)
    assert len(fingerprint) == 6
    assert {kind["kind"] for kind in backups(tool)["a.age"]["recipients"]} >= {"rsa-oaep-256", "ssh-rsa"}, backups(tool)["a.age"]
    tool.vault.stop()
    rows = {row["backup"]: row for row in findings(safe, 2, "drill", "--sample", "9", "-i", f"{GLASS}?pin-source={safe.pin}")}
    assert rows["a.age"]["result"] == rows["c.age"]["result"] == "opened: whole" and rows["b.age"]["level"] == "critical", rows
    row, = findings(safe, 3, "drill", "a.age", "-i", absent)
    assert "no such token" in row["result"], row


def says_what_is_wrong(tool):
    """a wrong PIN is tried once; no token, no certificate, no key, no terminal, another kind of key, a vault of our own, a URI that is none: each told as what it is, nothing on stdout"""
    tool.vault.create("cmk", kty="RSA", key_size=2048)
    safe = Safe(tool)
    safe.make()
    safe.make("bare", "03", with_key=False)
    safe.make("curve", "04", algorithm=("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"))
    plain = contents(10)
    short = tool.vault.configure("gone.conf", timeout=2)
    for name in ("bg", "bare"):
        (tool.vault.dir / f"{name}.age").write_bytes(safe.gives("seal", "-r", "cmk", "--break-glass", f"pkcs11:token=glass;object={name}", input=plain))
    private_file(tool.vault.dir / "wrong", "4321\n")
    for code, words, glass in (
        (74, ["absent", "put it in"], "pkcs11:token=absent;object=bg"),
        (66, ["no certificate", "object=no"], "pkcs11:token=glass;object=no"),
        (64, ["more than one certificate", "id="], "pkcs11:token=glass"),
        (64, ["curve", "no RSA key", "put an RSA key", "age-keygen"], "pkcs11:token=glass;object=curve"),
        (64, ["is no PKCS#11 URI"], "pkcs11:token=%zz"),
        (64, ["not known here"], "pkcs11:token=glass;objekt=bg"),
        (64, ["leads back to the vaults"], f"pkcs11:token=prod;object=cmk?module-path={tool.vault.module}"),
        (74, ["cannot be loaded"], "pkcs11:token=glass?module-path=/absent.so"),
    ):
        safe.refuses(code, words, "seal", "-r", "cmk", "--break-glass", glass, input=plain)
    tool.vault.stop()
    source = f"?pin-source={safe.pin}"
    for code, words, glass, name in (
        (77, ["PIN is wrong", "once"], f"{GLASS}?pin-source={tool.vault.dir / 'wrong'}", "bg"),
        (77, ["PIN is wrong"], f"{GLASS}?pin-value=4321", "bg"),
        (77, ["no terminal", "pin-source"], GLASS, "bg"),
        (77, ["pin-source"], f"{GLASS}?pin-source=/absent", "bg"),
        (66, ["no private key"], f"pkcs11:token=glass;object=bare{source}", "bare"),
        (74, ["no such token"], f"pkcs11:token=absent;object=bg{source}", "bg"),
    ):
        told = safe.refuses(code, words, "open", "-i", glass, f"{name}.age", config=short, start_new_session=True)
        assert PIN not in told and "4321" not in told, told
    code, shown, out = typed(safe, ["open", "-i", GLASS, tool.vault.dir / "bg.age"], [b"4321\n"])
    assert code == 77 and "PIN is wrong" in shown and shown.count("PIN of token") == 1 and out == b"", (code, shown)
    assert safe.gives("open", "-i", GLASS + source, "bg.age") == plain, "the PIN is not locked"


def opens_envelopes(tool):
    """cms open -i: without any vault or configuration by the private key of a certificate: PEM, PEM with a passphrase, in a token by its URI, of envelopes sealed here and by openssl;
    a key that is not named leaves the vault its turn; what is wrong with a key is told, and what to do"""
    tool.vault.create("cmk", kty="RSA", key_size=2048)
    safe = Safe(tool)
    key, source = safe.make(), f"?pin-source={safe.pin}"
    other, curve = safe.make("other", "02"), safe.make("curve", "04", algorithm=("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"))
    safe.must("openssl", "x509", "-inform", "DER", "-in", "bg.crt", "-out", "bg.cer.pem")
    plain = contents(3000)
    (tool.vault.dir / "plain").write_bytes(plain)
    gives(tool, "cms", "seal", "-r", "cmk", "--break-glass", "./bg.cer.pem", "--out", "here.cms", input=plain)
    oaep = ("-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256", "-keyopt", "rsa_mgf1_md:sha256")
    for name, words in (("by-id.cms", ("-keyid", "-recip", "bg.cer.pem", *oaep)), ("by-name.cms", ("-recip", "bg.cer.pem", *oaep)), ("sha1.cms", ("-keyid", "-recip", "bg.cer.pem", *oaep[:2]))):
        safe.must("openssl", "cms", "-encrypt", "-binary", "-outform", "DER", "-aes-256-gcm", *words, "-in", "plain", "-out", name)
    private_file(tool.vault.dir / "phrase", "open sesame\n")
    private_file(tool.vault.dir / "wrong", "close sesame\n")
    locked = private_file(tool.vault.dir / "locked.pem", safe.must("openssl", "pkey", "-in", key, "-aes256", "-passout", "file:phrase").decode())
    both = private_file(tool.vault.dir / "both.pem", key.read_text() + (tool.vault.dir / "bg.cer.pem").read_text())
    assert safe.gives("cms", "open", "-i", other, "here.cms") == plain, "the vault opens it"
    tool.vault.stop()
    readable = private_file(tool.vault.dir / "readable.pem", key.read_text())
    readable.chmod(0o644)
    none = str(private_file(tool.vault.dir / "none.conf", "[kvp11]\n"))
    token = "pkcs11:token=glass;object=bg"
    for name in ("here.cms", "by-id.cms", "by-name.cms"):
        for words in ((both,), (token + source,), (locked, "--passphrase-file", "phrase"), (other, "-i", both)):
            if name != "by-name.cms" or words[0] != locked:
                assert safe.gives("cms", "open", "-i", *words, name, config=none) == plain, (name, words)
    assert safe.gives("cms", "open", "-i", key, "sha1.cms", config=none) == plain
    for code, words, *line in (
        (64, ["'locked.pem'", "--passphrase-file", "mode 0600"], "-i", locked.name, "here.cms"),
        (77, ["'locked.pem'", "another passphrase"], "-i", locked.name, "--passphrase-file", "wrong", "here.cms"),
        (66, ["--passphrase-file", "absent"], "-i", locked.name, "--passphrase-file", "absent", "here.cms"),
        (64, ["'curve.pem'", "no RSA key"], "-i", curve.name, "here.cms"),
        (64, ["'phrase'", "no private key in PEM"], "-i", "phrase", "here.cms"),
        (66, ["absent"], "-i", "absent", "here.cms"),
        (77, ["chmod 600"], "-i", readable.name, "here.cms"),
        (66, ["none of the envelope's", "that private key"], "-i", other, "here.cms"),
        (66, ["none of the envelope's", "'other'", "with -i"], "-i", f"pkcs11:token=glass;object=other{source}", "here.cms"),
        (66, ["issuer and serial number"], "-i", key, "by-name.cms"),
        (64, ["SHA-256", "openssl cms -decrypt"], "-i", token + source, "sha1.cms"),
        (74, ["no such token"], "-i", "pkcs11:token=absent;object=bg", "here.cms"),
        (77, ["PIN is wrong"], "-i", f"{token}?pin-value=4321", "here.cms"),
    ):
        told = safe.refuses(code, words, "cms", "open", *line, config=none)
        assert PIN not in told and "4321" not in told and "sesame" not in told, told
    file = (tool.vault.dir / "by-id.cms").read_bytes()
    (tool.vault.dir / "bad").write_bytes(file[:-20] + bytes([file[-20] ^ 1]) + file[-19:])
    safe.refuses(65, ["'bad'", "another copy"], "cms", "open", "-i", both, "bad", config=none)


SCENARIOS = (opens_when_the_vault_is_gone, stands_beside_other_ways, says_what_is_wrong, opens_envelopes)
