"""The wire under it all: who does not prove to be the vault is told nothing."""
import base64
import hashlib
import time

from peers import openssl
from world import HOST, KEY, OK, TIMED_OUT, TLS, UNREACHABLE


def told_nothing(world, codes, *words):
    """A search fails with one of the codes, the log says why, and not one request came."""
    world.server.requests.clear()
    answer = world.live(f"find={KEY}")
    assert answer["find"] in codes, f"{answer['find']:#x}: {world.logged()}"
    assert not world.server.requests, world.server.requests
    assert any(all(w in line for w in words) for line in world.logged().splitlines()), f"{words} not in {world.logged()}"


def bad_certificate(world, certificate, *words):
    world.server.context = world.certificates.context(certificate)
    told_nothing(world, [TLS], "TLS with", HOST, *words)


def wrong_host(world):
    """TLS: a certificate of another host"""
    bad_certificate(world, world.certificates.other_host, "ca_file")


def name_in_subject(world):
    """TLS: the host's name in the subject alone, and another in the extension"""
    certificate = world.certificates.issue("mixed", f"/CN={HOST}", ["subjectAltName=DNS:prod.vault.example"])
    bad_certificate(world, certificate)


def expired(world):
    """TLS: a certificate that has expired"""
    bad_certificate(world, world.certificates.expired, "expired")


def self_signed(world):
    """TLS: a certificate that nobody vouches for"""
    bad_certificate(world, world.certificates.self_signed, "self")


def unknown_issuer(world):
    """TLS: a good certificate, and a ca_file of somebody else"""
    world.config = world.configure(ca_file=world.certificates.self_signed)
    told_nothing(world, [TLS], "TLS with", HOST, str(world.certificates.self_signed))


def old_protocol(world):
    """TLS: a server that speaks 1.1 at the most"""
    import ssl
    import warnings
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        world.server.context.minimum_version = ssl.TLSVersion.TLSv1
        world.server.context.maximum_version = ssl.TLSVersion.TLSv1_1
    world.server.context.set_ciphers("ALL:@SECLEVEL=0")
    told_nothing(world, [TLS], "TLS with", HOST, "TLS 1.2")


def weak_ciphers(world):
    """TLS: a server that has nothing but ciphers without encryption"""
    import ssl
    world.server.context.maximum_version = ssl.TLSVersion.TLSv1_2
    world.server.context.set_ciphers("eNULL:@SECLEVEL=0")
    told_nothing(world, [TLS], "TLS with", HOST)


def plain_text(world):
    """a server without TLS: not one byte of a request"""
    world.server.context = None
    told_nothing(world, [TLS, UNREACHABLE], HOST)


def silent(world):
    """a server that takes the connection and never says a word: the call ends at its deadline"""
    world.config = world.configure(timeout=2, connect_timeout=1)
    world.server.silent = True
    began = time.monotonic()
    told_nothing(world, [TIMED_OUT, UNREACHABLE], HOST)
    took = time.monotonic() - began
    world.server.silent = False
    assert 0.9 < took < 4, f"{took:.1f} s"


def token_over_bad_tls(world):
    """the authority with a bad certificate: the client secret is not sent"""
    good, bad = world.server.context, world.certificates.context(world.certificates.other_host)

    def choose(socket, name, context):
        socket.context = bad if name and name.startswith("login") else good

    good.sni_callback = choose
    answer = world.live(f"find={KEY}")
    good.sni_callback = None
    assert answer["find"] == TLS and "login.localhost" in world.logged(), f"{answer} {world.logged()}"
    assert not any(r.body or r.bearer for r in world.server.requests), world.server.requests


def pin_of(certificate):
    der = openssl("pkey", "-pubin", "-outform", "der", input=openssl("x509", "-in", certificate, "-noout", "-pubkey"))
    return "sha256//" + base64.b64encode(hashlib.sha256(der).digest()).decode()


def pinned(world):
    """pin_certificate: a trusted vault with another key is told nothing; one of several keys will do; the authority may have its own"""
    own = world.certificates.issue("login", "/CN=login", ["subjectAltName=DNS:login.localhost"])
    vault, login = world.server.context, world.certificates.context(own)
    right, wrong = pin_of(world.certificates.good), pin_of(own)

    def choose(socket, name, context):
        socket.context = login if name and name.startswith("login") else vault

    world.config = world.configure(pin_certificate=wrong)
    told_nothing(world, [TLS], "TLS with", HOST, "`pin_certificate`")
    vault.sni_callback = choose
    for pins in (right, f"{wrong} {right}"):
        world.config = world.configure(pin_certificate=pins)
        answer = world.live(f"find={KEY}", "sign")
        assert answer["sign"] == OK, f"{answer} {world.logged()}"
    vault.sni_callback = None
    world.config = world.configure()


def good_again(world):
    """and a good certificate after all that: it works"""
    assert world.live(f"find={KEY}", "sign")["sign"] == OK


SCENARIOS = (wrong_host, name_in_subject, expired, self_signed, unknown_issuer, old_protocol, weak_ciphers, plain_text, silent, token_over_bad_tls, pinned, good_again)
