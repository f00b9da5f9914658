"""HTTP/2: spoken where the setting and the server want it, HTTP/1.1 else; and what goes wrong goes wrong as ever."""
import contextlib
import json
import time

from bench import Driver
from peers import FRONT, Front

OPERATIONS = (("sign", "/sign"), ("decrypt", "/decrypt"), ("unwrap", "/unwrapkey"))


@contextlib.contextmanager
def front(world, versions="h2,http/1.1"):
    vault = world.vault
    one = Front(vault.dir, vault.ready["port"], vault.dir / "tls/server.pem", vault.dir / "tls/server.key", versions)
    try:
        yield one
    finally:
        one.close()


def configure(world, version, **settings):
    port = world.vault.ready["port"]
    return world.vault.configure(f"http-{version}.conf", settings=[f"resolve = prod.vault.localhost:{port}:{FRONT} login.localhost:{port}:{FRONT}"],
                                 http_version=version, **settings)


def works(world, config):
    with Driver(world.vault, config) as driver:
        for what in ("find backup-kek", "list", *(name for name, _ in OPERATIONS)):
            code, _, wrong = driver(what)
            assert code == 0 and not wrong, f"'{what}': {code:#x} {world.vault.log()}"


def spoken_where_offered(world):
    """http_version: 2 and auto speak HTTP/2 with a server that offers it, vault and authority alike; 1.1, which is the standard, does not"""
    for version, protocol in (("2", "h2"), ("auto", "h2"), ("1.1", "http/1.1"), (None, "http/1.1")):
        with front(world) as one:
            works(world, configure(world, version, map=world.vault.dir / f"{version}.db"))
            assert set(one.spoken()) == {protocol}, f"{version}: {one.spoken()}"
            for end in ("/token", "/keys", *(end for _, end in OPERATIONS)):
                assert one.spoken(end), f"nothing was asked for {end}"


def not_offered(world):
    """http_version: 2 and auto speak HTTP/1.1 with a server that knows nothing else"""
    for version in ("2", "auto"):
        with front(world, "http/1.1") as one:
            works(world, configure(world, version))
            assert set(one.spoken()) == {"http/1.1"}, f"{version}: {one.spoken()}"


def faults(world):
    """HTTP/2: a refusal is read, a change is sent once, a deadline holds, a front that is started again is reached at once"""
    with front(world) as one:
        world.vault.control("POST", "/faults", {"kind": "status", "status": 429, "operation": "sign", "headers": {"Retry-After": "1"}, "body": json.dumps(
            {"error": {"code": "Throttled", "message": "x"}})})
        with Driver(world.vault, configure(world, "2", timeout=3)) as driver:
            assert driver("find backup-kek")[0] == 0
            code, seconds, wrong = driver("sign")
            assert code == 0 and not wrong and 0.9 < seconds < 2.5, f"{code:#x} in {seconds:.1f} s"
            world.vault.control("POST", "/faults", {"kind": "delay", "ms": 4000, "operation": "decrypt"})
            code, seconds, _ = driver("decrypt")
            assert code == 0xCB560006 and 2.8 < seconds < 4.5, f"{code:#x} in {seconds:.1f} s"
            one.close()
            with front(world) as other:
                started = time.monotonic()
                code, _, wrong = driver("unwrap")
                assert code == 0 and not wrong and time.monotonic() - started < 1, f"{code:#x}"
                assert other.spoken("/unwrapkey") == ["h2"], other.spoken()
    operator = configure(world, "2", identity="operator")
    with front(world) as one:
        before = len(world.versions(config=operator))
        world.runs("rotate", "backup-kek", config=operator)
        assert one.spoken("/rotate") == ["h2"], one.spoken("/rotate")
        assert len(world.versions(config=operator)) == before + 1


SCENARIOS = (spoken_where_offered, not_offered, faults)
