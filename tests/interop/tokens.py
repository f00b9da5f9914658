"""The two tokens that a scenario runs on. Each holds an RSA-2048 key `rsa` and a P-256 key `ec`, private and public, and an RSA-2048 key `web`
with a certificate."""
import os
import pathlib
import shutil
import subprocess

from kvtest import new_folder

MULTIARCH = "/usr/lib/" + (os.uname().machine + "-linux-gnu")
PROGRAMS = {
    "openssl": "openssl", "pkcs11-tool": "pkcs11-tool", "p11tool": "p11tool", "certtool": "certtool", "p11-kit": "p11-kit",
    "keytool": "keytool", "certutil": "certutil", "modutil": "modutil", "cmsutil": "cmsutil", "gpgsm": "gpgsm",
    "gnupg-pkcs11-scd": "gnupg-pkcs11-scd", "softhsm2-util": "softhsm2-util", "setpriv": "setpriv",
    "age": "age", "restic": "restic", "borg": "borg", "rclone": "rclone", "duplicity": "duplicity", "gpg": "gpg", "cryptsetup": "/usr/sbin/cryptsetup",
    "systemd-cryptenroll": "systemd-cryptenroll",
    "pgbackrest": "pgbackrest", "PostgreSQL": "/usr/share/postgresql-common/pg_wrapper",
    "OpenSSL's pkcs11 engine": f"{MULTIARCH}/engines-3/pkcs11.so", "the SoftHSM module": f"{MULTIARCH}/softhsm/libsofthsm2.so",
    "OpenSSL's pkcs11 provider": f"{MULTIARCH}/ossl-modules/pkcs11.so", "jemalloc": f"{MULTIARCH}/libjemalloc.so.2",
    "p11-kit's proxy module": f"{MULTIARCH}/p11-kit-proxy.so",
    "p11-kit's client module": f"{MULTIARCH}/pkcs11/p11-kit-client.so",
}


def missing_programs():
    return [name for name, path in PROGRAMS.items() if not (shutil.which(path) or pathlib.Path(path).exists())]


class Token:
    """name, module, label, pin (None: no login), dir (scratch), and run()."""

    rsa_id, ec_id, web_id = "01", "02", "03"

    def uri(self, key, kind="private"):
        pin = f"?pin-value={self.pin}" if self.pin else ""
        return f"pkcs11:token={self.label};object={key};type={kind}{pin}"

    def tool(self, *arguments, **options):
        """pkcs11-tool on this token."""
        login = ["--login", "--pin", self.pin] if self.pin else []
        return self.run(["pkcs11-tool", "--module", self.module, "--token-label", self.label, *login, *arguments], **options)

    def engine(self, *arguments, **options):
        """An OpenSSL command with the pkcs11 engine set up for this token."""
        config = self.dir / "engine.cnf"
        config.write_text("openssl_conf = i\n[i]\nengines = e\n[e]\npkcs11 = p\n[p]\nengine_id = pkcs11\n"
                          f"MODULE_PATH = {self.module}\ninit = 0\n")
        return self.run(["openssl", *arguments], env={"OPENSSL_CONF": config}, **options)

    quirks = ""  # what pkcs11-provider must be asked to leave out

    def provider(self, *arguments, everything=False, env=None, **options):
        """An OpenSSL command with pkcs11-provider set up for this token; `everything`: it is preferred for all that OpenSSL does."""
        prefer = "default_properties = ?provider=pkcs11\n" if everything else ""
        config = self.file("provider.cnf", (
            f"openssl_conf = i\n[i]\nproviders = p\nalg_section = a\n[a]\n{prefer}[p]\ndefault = d\npkcs11 = q\n[d]\nactivate = 1\n"
            f"[q]\npkcs11-module-path = {self.module}\n{self.quirks}activate = 1\n").encode())
        # A hang is what these scenarios are about.
        return self.run(["openssl", *arguments], env={"OPENSSL_CONF": config, **(env or {})}, timeout=60, **options)

    def must(self, done):
        """The output of a run that had to succeed."""
        assert done.returncode == 0, f"{' '.join(map(str, done.args))}: exit {done.returncode}: {done.stderr.decode(errors='replace')[-800:]}{done.stdout.decode(errors='replace')[-400:]}"
        return done.stdout

    def file(self, name, content=None):
        path = self.dir / name
        if content is not None:
            path.write_bytes(content)
        return path

    def public_pem(self, key):
        """The public key as a PEM file, read from the token by pkcs11-tool."""
        path = self.dir / f"{key}.pub.pem"
        if not path.exists():
            der = self.dir / f"{key}.pub.der"
            self.must(self.tool("--read-object", "--type", "pubkey", "--id", getattr(self, f"{key}_id"), "-o", der))
            self.must(self.run(["openssl", "pkey", "-pubin", "-inform", "DER", "-in", der, "-out", path]))
        return path

    def log(self):
        return ""


class SoftHsm(Token):
    name, label, pin = "softhsm", "soft", "1234"
    quirks = "pkcs11-module-quirks = no-deinit\n"  # it crashes when it is finalized inside OpenSSL's own cleanup
    module = PROGRAMS["the SoftHSM module"]

    def __enter__(self):
        self.dir = new_folder("soft")
        (self.dir / "tokens").mkdir()
        (self.dir / "softhsm2.conf").write_text(f"directories.tokendir = {self.dir}/tokens\nlog.level = ERROR\n")
        self.must(self.run(["softhsm2-util", "--init-token", "--free", "--label", self.label, "--pin", self.pin, "--so-pin", "5678"]))
        for key_type, key, key_id in (("rsa:2048", "rsa", "01"), ("EC:prime256v1", "ec", "02"), ("rsa:2048", "web", "03")):
            usage = ["--usage-sign"] if key == "ec" else ["--usage-sign", "--usage-decrypt", "--usage-wrap"]
            self.must(self.tool("--keypairgen", "--key-type", key_type, "--label", key, "--id", key_id, *usage))
        self.must(self.engine("req", "-x509", "-new", "-engine", "pkcs11", "-keyform", "engine", "-key", self.uri("web"), "-subj", "/CN=web.example",
                              "-addext", "basicConstraints=critical,CA:FALSE",
                              "-addext", "keyUsage=critical,digitalSignature,keyEncipherment", "-outform", "DER", "-out", "web.der"))
        self.must(self.tool("--write-object", "web.der", "--type", "cert", "--label", "web", "--id", "03"))
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.dir, ignore_errors=True)

    def environment(self, **more):
        environment = {k: v for k, v in os.environ.items() if k != "OPENSSL_CONF"}
        environment.update(SOFTHSM2_CONF=str(self.dir / "softhsm2.conf"), HOME=str(self.dir))
        environment.update({k: str(v) for k, v in more.items()})
        return environment

    def run(self, command, env=None, **options):
        if "input" not in options:
            options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("timeout", 120)
        return subprocess.run([str(c) for c in command], env=self.environment(**(env or {})), capture_output=True, cwd=self.dir, **options)


class Vault(Token):
    """The vault of a world, with the keys that are made there."""
    name, label, pin = "kvp11", "prod", None

    def __init__(self, vault):
        self.vault, self.module, self.dir = vault, vault.module, vault.dir

    def environment(self, **more):
        return self.vault.environment(**more)

    def run(self, command, env=None, **options):
        options.setdefault("cwd", self.dir)
        return self.vault.run(command, env=env, **options)

    def log(self):
        return self.vault.log()


class Kvp11(Vault):
    def __init__(self, vault):
        super().__init__(vault)
        self.dir = vault.dir / "scratch"
        self.dir.mkdir()
        vault.create("rsa", kty="RSA", key_size=2048)
        vault.create("ec", kty="EC", crv="P-256")
        vault.control("POST", "/vaults/prod/certificates/web/create", {"policy": {"x509_props": {
            "subject": "CN=web.example", "ekus": [], "key_usage": ["digitalSignature", "keyEncipherment", "dataEncipherment"]}}})
        for key in ("rsa", "ec", "web"):
            setattr(self, f"{key}_id", self.id_of(key))

    def id_of(self, label):
        """CKA_ID in hex, as pkcs11-tool lists it."""
        lines = self.must(self.tool("-O", "--type", "privkey")).decode().splitlines()
        for i, line in enumerate(lines):
            if line.strip() == f"label:      {label}":
                return next(l.split(":")[1].strip() for l in lines[i:] if l.strip().startswith("ID:"))
        raise AssertionError(f"pkcs11-tool does not list '{label}': {lines}")
