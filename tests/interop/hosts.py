"""Hosts that give a module a hard time: another allocator in the process, symbols bound deeply, ends without C_Finalize."""
from kvtest import build_dir
from tokens import PROGRAMS

DATA = b"what a host signs\n" * 50


def signs(token, end, **env):
    """One run of the host program, its signature verified by OpenSSL."""
    token.file("data", DATA)
    done = token.run([build_dir() / "tests/interop/host", token.module, token.label, "rsa", token.pin or "", end], env=env, input=DATA, timeout=60)
    token.file("signature", token.must(done))
    token.must(token.run(["openssl", "dgst", "-sha256", "-verify", token.public_pem("rsa"), "-signature", "signature", "data"]))
    assert not done.stderr, done.stderr


def plain(token):
    """a host that loads with RTLD_DEEPBIND signs, and finalizes, unloads or just exits"""
    for end in ("finalize", "unload", "exit"):
        signs(token, end)


def jemalloc(token):
    """the same host with jemalloc preloaded"""
    for end in ("finalize", "unload", "exit"):
        signs(token, end, LD_PRELOAD=PROGRAMS["jemalloc"])


jemalloc.ours_only = "SoftHSM is bound deeply itself: what it frees came from another allocator"


def openssl_on_jemalloc(token):
    """openssl with pkcs11-provider and jemalloc preloaded signs"""
    token.file("data", DATA)
    token.must(token.provider("dgst", "-sha256", "-sign", token.uri("rsa"), "-out", "signature", "data", env={"LD_PRELOAD": PROGRAMS["jemalloc"]}))
    token.must(token.run(["openssl", "dgst", "-sha256", "-verify", token.public_pem("rsa"), "-signature", "signature", "data"]))


openssl_on_jemalloc.ours_only = jemalloc.ours_only

SCENARIOS = (plain, jemalloc, openssl_on_jemalloc)
