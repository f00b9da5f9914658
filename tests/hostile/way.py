"""The way to a vault, as the settings say it goes: proxy, address family, interface, oldest TLS."""
import contextlib
import json
import os
import pathlib
import socket
import ssl
import subprocess
import sys

from server import ConnectProxy, Server, reply
from tls import pin_of, told_nothing
from world import HOST, KEY, LOGIN, OK, TLS, UNREACHABLE


def signs(world):
    answer = world.live(f"find={KEY}", "sign")
    assert answer["sign"] == OK, f"{answer} {world.logged()}"


def fails(world, code, *words):
    answer = world.live(f"find={KEY}")
    assert answer["find"] == code, f"{answer['find']:#x} {world.logged()}"
    assert any(all(w in line for w in words) for line in world.logged().splitlines()), f"{words} not in {world.logged()}"


@contextlib.contextmanager
def proxied():
    proxy = ConnectProxy()
    try:
        yield proxy
    finally:
        proxy.close()


@contextlib.contextmanager
def environment(**variables):
    """Of a client that begins now."""
    before = dict(os.environ)
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            del os.environ[name]
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def through_proxy(world):
    """proxy: vault and authority are reached through it alone, whatever no_proxy says; a pin holds through it; refused, the error names it"""
    port = world.server.port
    with proxied() as proxy, environment(no_proxy="*"):
        world.config = world.configure(proxy=proxy.url, pin_certificate=pin_of(world.certificates.good))
        before = world.server.connections
        signs(world)
        assert sorted(proxy.asked) == [f"CONNECT {LOGIN}:{port} HTTP/1.1", f"CONNECT {HOST}:{port} HTTP/1.1"], proxy.asked
        assert world.server.connections - before == 2, "there was a connection past the proxy"
        world.config = world.configure(proxy=proxy.url, pin_certificate=pin_of(world.certificates.self_signed))
        fails(world, TLS, HOST, "`pin_certificate`")
        world.config = world.configure(proxy=proxy.url, timeout=2)
        proxy.refuses = 403
        fails(world, UNREACHABLE, HOST, "403", "`proxy`")
        before = world.server.connections
        world.config = world.configure(proxy="http://127.0.0.1:1", timeout=2)
        fails(world, UNREACHABLE, HOST, "127.0.0.1")
        assert world.server.connections == before, "there was a connection past the proxy"


def proxy_of_environment(world):
    """proxy: what the environment names unless it excepts the vault, and nothing of it with `none`"""
    for setting, no_proxy, used in ((None, "", True), ("environment", "", True), (None, ".vault.localhost,.localhost", False), ("none", "", False)):
        with proxied() as proxy, environment(https_proxy=proxy.url, no_proxy=no_proxy):
            world.end_client()  # the next one has this environment
            world.config = world.configure(proxy=setting)
            signs(world)
            assert len(proxy.asked) == (2 if used else 0), f"{setting}, no_proxy={no_proxy}: {proxy.asked}"


def identities_past_proxy(world):
    """proxy: never for the endpoint that hands out tokens of managed identities"""
    def token(request):
        assert request.path.startswith("/metadata/identity/oauth2/token?"), request
        return reply(200, json.dumps({"access_token": world.token, "expires_in": "3599", "resource": "https://vault.localhost", "token_type": "Bearer"}))

    imds = Server(token)
    try:
        with proxied() as proxy, environment(http_proxy="http://127.0.0.1:1", all_proxy="http://127.0.0.1:1"):
            world.config = world.configure(proxy=proxy.url, credential="managed-identity", imds_endpoint=f"http://127.0.0.1:{imds.port}",
                                           client_id=None, client_secret_file=None, authority=None, tenant=None)
            world.answers("GET", "^/keys", lambda request: reply(401, "{}", WWW_Authenticate=world.challenge(authority="https://login.microsoftonline.com/common"))
                          if not request.bearer else reply(200, json.dumps(world.key)), always=True)
            signs(world)
            assert proxy.asked == [f"CONNECT {HOST}:{world.server.port} HTTP/1.1"], proxy.asked
            assert len(imds.requests) == 1, imds.requests
    finally:
        imds.close()


def has_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def in_a_namespace(name):
    """The scenario where there is IPv6; how it ended."""
    unshare = ["unshare", "--net", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    script = "ip link set lo up && { sysctl -qw net.ipv6.conf.lo.disable_ipv6=0 || true; } && exec \"$@\""
    return subprocess.run([*unshare, "sh", "-c", script, "sh", sys.executable, pathlib.Path(__file__).parent / "run", name], capture_output=True, text=True,
                          env={**os.environ, "KVP11_IN_NAMESPACE": "1"}, stdin=subprocess.DEVNULL, timeout=120, check=False)


def address_family(world):
    """address_family: with ipv4 or ipv6 the other one is left alone; any uses what answers"""
    if not has_ipv6():
        assert "KVP11_IN_NAMESPACE" not in os.environ, "no IPv6 in a network namespace either"
        done = in_a_namespace("address_family")
        assert done.returncode == 0, done.stdout + done.stderr
        return
    sixth = Server(world.answer, world.server.context, "::1", world.server.port)
    try:
        for family, fourth_used, sixth_used in (("ipv4", True, False), ("ipv6", False, True)):
            before = world.server.connections, sixth.connections
            world.config = world.configure(address_family=family)
            signs(world)
            used = world.server.connections > before[0], sixth.connections > before[1]
            assert used == (fourth_used, sixth_used), f"{family}: {used}"
    finally:
        sixth.close()
        sixth.socket.close()
    world.config = world.configure(address_family="any")
    signs(world)  # though nothing listens at ::1 any more


def resolve(world):
    """resolve: addresses of one host are tried in turn, whichever of them is dead; the certificate's name is still the vault's"""
    dead, alive = "127.0.0.9", "127.0.0.1"  # nothing listens at the first
    for order in ((dead, alive), (alive, dead), (dead, dead, alive)):
        url = f"https://prod.vault.example:{world.server.port}"
        world.server.requests.clear()
        world.config = world.configure(url=url, resolve="\n  ".join(f"{host}:{world.server.port}:{at}" for at in order for host in ("prod.vault.example", "PROD.vault.example")),
                                       timeout=2)
        fails(world, TLS, "prod.vault.example", "no alternative certificate subject name matches")
        assert not world.server.requests, world.server.requests
    world.config = world.configure(resolve=f"{HOST}:{world.server.port}:{dead} {HOST}:{world.server.port}:{alive}", proxy="none")
    signs(world)


def from_interface(world):
    """interface: connections come from it or from the address; one that this host lacks is named in the error"""
    for interface, source in (("lo", "127.0.0.1"), ("127.0.0.7", "127.0.0.7")):
        world.server.peers.clear()
        world.config = world.configure(interface=interface)
        signs(world)
        assert set(world.server.peers) == {source}, world.server.peers
    before = world.server.connections
    world.config = world.configure(interface="no-such-if", timeout=2)
    fails(world, UNREACHABLE, HOST, "`interface`")
    assert world.server.connections == before


def oldest_tls(world):
    """tls_min: 1.2 takes a vault that knows nothing newer, 1.3 refuses it and says what it wants"""
    world.server.context.maximum_version = ssl.TLSVersion.TLSv1_2
    world.config = world.configure(tls_min="1.2")
    signs(world)
    world.config = world.configure(tls_min="1.3")
    told_nothing(world, [TLS], "TLS with", HOST, "TLS 1.3 or newer", "`tls_min`")
    world.server.context.maximum_version = ssl.TLSVersion.MAXIMUM_SUPPORTED
    signs(world)


SCENARIOS = (through_proxy, proxy_of_environment, identities_past_proxy, address_family, resolve, from_interface, oldest_tls)
