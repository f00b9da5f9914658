"""Clients that see a key only beside its certificate, and what they do with it: GnuTLS, NSS, Java, gpgsm."""
import contextlib
import shutil

DATA = b"what is signed by way of a certificate\n" * 20


def read_certificate(token, label="web", **options):
    """The certificate as a PEM file, read by pkcs11-tool."""
    token.must(token.tool("--read-object", "--type", "cert", "--label", label, "-o", f"{label}.cert.der", **options))
    token.must(token.run(["openssl", "x509", "-inform", "DER", "-in", f"{label}.cert.der", "-out", f"{label}.cert.pem"]))
    return token.file(f"{label}.cert.pem")


def belongs_to_its_key(token):
    """pkcs11-tool reads a certificate whose public key is that of the key with its identifier"""
    pem = token.must(token.run(["openssl", "x509", "-in", read_certificate(token), "-noout", "-pubkey"]))
    assert pem == token.public_pem("web").read_bytes(), pem
    out = token.must(token.tool("-O", "--type", "cert")).decode()
    assert token.web_id in out and "web.example" in out, out


def p11tool_lists(token):
    """p11tool lists the certificate among all objects and exports it"""
    login = {"GNUTLS_PIN": token.pin} if token.pin else {}
    tool = ["p11tool", "--provider", token.module, *(["--login"] if token.pin else []), "--batch"]
    out = token.must(token.run([*tool, "--list-all", f"pkcs11:token={token.label}"], env=login)).decode()
    assert "Type: X.509 Certificate" in out and out.count("Label: web") == 3, out
    exported = token.must(token.run([*tool, "--export", token.uri("web", "cert").split("?")[0]], env=login))
    assert exported.strip() == read_certificate(token).read_bytes().strip(), exported


def keytool(token, *arguments, **options):
    token.file("sun.cfg", f"name = Token\nlibrary = {token.module}\nslotListIndex = 0\n".encode())
    return token.run(["keytool", *arguments, "-providerClass", "sun.security.pkcs11.SunPKCS11", "-providerArg", "sun.cfg", "-storetype", "PKCS11",
                      "-keystore", "NONE", "-storepass", token.pin or "none"], **options)


def java_lists_and_signs(token):
    """Java's keytool lists the key under the label of its certificate and signs a request with it"""
    out = token.must(keytool(token, "-list")).decode()
    assert "web, PrivateKeyEntry" in out, out
    token.must(keytool(token, "-certreq", "-alias", "web", "-file", "java.csr"))
    token.must(token.run(["openssl", "req", "-in", "java.csr", "-verify", "-noout"]))


@contextlib.contextmanager
def nss_database(token):
    """A database of NSS that knows the token: its folder as an option."""
    folder = token.dir / "nss"
    folder.mkdir()
    try:
        where = f"sql:{folder}"
        token.must(token.run(["certutil", "-N", "-d", where, "--empty-password"]))
        token.must(token.run(["modutil", "-force", "-dbdir", where, "-add", "token", "-libfile", token.module]))
        token.file("pin", f"{token.pin or ''}\n".encode())
        yield where
    finally:
        shutil.rmtree(folder)


def nss_lists(token):
    """NSS's certutil lists the certificate with its key"""
    with nss_database(token) as where:
        out = token.must(token.run(["certutil", "-L", "-d", where, "-h", token.label, "-f", "pin"])).decode()
        assert f"{token.label}:web" in out and "u,u,u" in out, out


def nss_signs(token):
    """NSS's cmsutil signs a message that OpenSSL verifies"""
    token.file("data", DATA)
    with nss_database(token) as where:
        token.must(token.run(["certutil", "-A", "-d", where, "-n", "peer", "-t", "P,P,P", "-f", "pin", "-i", read_certificate(token)]))
        token.must(token.run(["cmsutil", "-S", "-d", where, "-N", f"{token.label}:web", "-f", "pin", "-i", "data", "-o", "signed.cms"]))
    out = token.must(token.run(["openssl", "cms", "-verify", "-inform", "DER", "-in", "signed.cms", "-CAfile", read_certificate(token), "-purpose", "any"]))
    assert out.replace(b"\r\n", b"\n") == DATA, out


@contextlib.contextmanager
def gnupg(token):
    """A home of GnuPG whose smart cards are the token."""
    home = token.dir / "gnupg"
    home.mkdir(mode=0o700)
    (home / "gnupg-pkcs11-scd.conf").write_text(f"providers token\nprovider-token-library {token.module}\n")
    (home / "gpg-agent.conf").write_text("scdaemon-program /usr/bin/gnupg-pkcs11-scd\n")
    (home / "gpgsm.conf").write_text("disable-crl-checks\n")
    environment = {"GNUPGHOME": home}
    try:
        yield environment
    finally:
        token.run(["gpgconf", "--kill", "all"], env=environment)
        shutil.rmtree(home, ignore_errors=True)


def gpgsm_signs(token):
    """gpgsm learns the certificate from the card and signs a message, which it verifies by the certificate alone"""
    token.file("data", DATA)
    certificate = read_certificate(token)
    fingerprint = token.must(token.run(["openssl", "x509", "-in", certificate, "-noout", "-fingerprint", "-sha1"])).decode().split("=")[1].strip()
    with gnupg(token) as environment:
        (environment["GNUPGHOME"] / "trustlist.txt").write_text(f"{fingerprint} S relax\n")
        token.must(token.run(["gpgsm", "--batch", "--learn-card"], env=environment))
        token.must(token.run(["gpgsm", "--batch", "--yes", "--include-certs", "1", "--sign", "-u", f"0x{fingerprint.replace(':', '')}", "-o", "gpgsm.cms", "data"], env=environment))
        # Not by OpenSSL: gpg-agent puts a zero byte before a card's signature whose first bit is set, which OpenSSL takes for a wrong length.
        for good in (True, False):
            done = token.run(["gpgsm", "--batch", "--yes", "--disable-crl-checks", "-o", "opened", "--verify", "gpgsm.cms"], env=environment)
            assert (done.returncode == 0) == good, done
            assert not good or token.file("opened").read_bytes() == DATA
            spoilt = bytearray(token.file("gpgsm.cms").read_bytes())
            spoilt[-40] ^= 1  # in the signature, which stands before the ends of what it is in
            token.file("gpgsm.cms", bytes(spoilt))


gpgsm_signs.ours_only = "SoftHSM wants a PIN, for which gpg-agent would open a window"


def made_here(token):
    """with self_signed = yes Java sees the EC key, which the vault keeps no certificate for, and its request verifies"""
    config = token.vault.configure("self.conf", ["self_signed = yes"])
    out = token.must(keytool(token, "-list", config=config)).decode()
    assert all(f"{key}, PrivateKeyEntry" in out for key in ("rsa", "ec", "web")), out
    token.must(keytool(token, "-certreq", "-alias", "ec", "-file", "java-ec.csr", config=config))
    token.must(token.run(["openssl", "req", "-in", "java-ec.csr", "-verify", "-noout"]))
    made = read_certificate(token, "ec", config=config)
    token.must(token.run(["openssl", "verify", "-CAfile", made, made]))


made_here.ours_only = "SoftHSM makes no certificates"

SCENARIOS = (belongs_to_its_key, p11tool_lists, java_lists_and_signs, nss_lists, nss_signs, gpgsm_signs, made_here)
