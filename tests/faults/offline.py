"""A vault that is away, and what goes on without it; and many threads that all miss the same thing at once. What comes to the vault's address is counted."""
import os
import time

from bench import Driver, wait_for
from peers import Counter

TIMEOUT = 2.4        # seconds: three attempts fit (contract §9.3), with no doubt about a fourth
ATTEMPTS = 3
THREADS = 32
AWAY = (0xCB560005, 0xCB560006)  # unreachable, timed out


def configure(world, name, **replace):
    vault = world.vault
    return vault.configure(name, settings=[f"resolve = prod.vault.localhost:{vault.ready['port']}:127.0.0.1"], map=vault.dir / f"{name}.db",
                           log=vault.dir / f"{name}.log", **replace)


def good(driver, *lines):
    for line in lines:
        code, _, wrong = driver(line)
        assert code == 0 and not wrong, f"'{line}': {code:#x}{' with a wrong result' if wrong else ''}"


def lines(world, name, *words):
    path = world.vault.dir / f"{name}.log"
    return [line for line in (path.read_text().splitlines() if path.exists() else []) if all(word in line for word in words)]


def without_a_request(world):
    """vault away, the map fresh: C_Encrypt, C_WrapKey and C_Verify work without one connection; their results are good when the vault is back"""
    vault = world.vault
    with Driver(vault, configure(world, "fresh", timeout=TIMEOUT)) as driver:
        good(driver, "find backup-kek", "keep")
        vault.stop()
        with Counter(vault.ready["port"]) as peer:
            good(driver, "find backup-kek", "verify", "encrypt", "wrap")
            assert peer.count == 0, f"{peer.count} connections"
            assert not lines(world, "fresh", "out of reach"), "nobody asked, so nobody can know"
            assert driver("decrypt")[0] in AWAY and peer.count > 0, "the peer counts nothing"
        vault.start(ports=False)
        vault.requests()
        good(driver, "unwrap", "verify", "encrypt", "decrypt")
        assert {r["path"].rsplit("/", 1)[1] for r in vault.requests() if r["bearer"]} <= {"unwrapkey", "decrypt"}, "more than was due"


def told_once(world):
    """vault away, the map old: one attempt to refresh within its bound, told once with the cause, and encryption, wrapping and verification go on"""
    vault = world.vault
    with Driver(vault, configure(world, "old", timeout=10, refresh_seconds=2)) as driver:
        good(driver, "find backup-kek", "keep")
        vault.stop()
        time.sleep(2.1)
        with Counter(vault.ready["port"]) as peer:
            good(driver, "find backup-kek", "verify", "wrap")
            tried = peer.count
            assert 1 <= tried <= 6, f"{tried} connections for one refresh"
            good(driver, "find backup-kek", "verify", "encrypt", "find backup-kek", "wrap")
            assert peer.count == tried, f"{peer.count - tried} more connections for what the map knows"
            time.sleep(2.1)
            good(driver, "find backup-kek", "wrap")
        told = lines(world, "old", "out of reach")
        assert len(told) == 1 and "prod.vault.localhost" in told[0], told
        vault.start(ports=False)
        good(driver, "unwrap", "verify")
        wait_for(lambda: driver("find backup-kek")[0] == 0 and lines(world, "old", "answers again"))
        assert len(lines(world, "old", "out of reach")) == len(lines(world, "old", "answers again")) == 1


def token_storm(world):
    """32 threads at once, the token run out: exactly one token request, and every signature is right; the same when the vault refuses the token"""
    vault = world.vault
    with Driver(vault, configure(world, "tokens")) as driver:
        good(driver, "find backup-kek")
        vault.control("POST", "/settings", {"token_lifetime": 2})
        vault.control("POST", "/identities/workload/revoke-tokens")
        good(driver, f"storm {THREADS}")
        vault.control("POST", "/settings", {"token_lifetime": 3600})
        time.sleep(2)
        for what, told in (("run out", 0), ("refused", THREADS)):
            vault.requests()
            good(driver, f"storm {THREADS}")
            log = vault.requests()
            tokens = [r for r in log if r["kind"] == "token"]
            assert len(tokens) == 1, f"{len(tokens)} token requests when it had {what}"
            assert len([r for r in log if r["status"] == 200 and r["path"].endswith("/sign")]) == THREADS, what
            assert len([r for r in log if r["status"] == 401]) <= told, what
            vault.control("POST", "/identities/workload/revoke-tokens")


def connection_storm(world):
    """32 threads at once, the vault just gone: no more attempts than the retry rule gives each call, never more at a time than `max_connections`, all told in time"""
    vault = world.vault
    most = 8
    with Driver(vault, configure(world, "gone", timeout=TIMEOUT, connect_timeout=1, max_connections=most)) as driver:
        good(driver, "find backup-kek", f"storm {THREADS}")
        vault.stop()
        with Counter(vault.ready["port"], hold=0.02) as peer:
            code, seconds, _ = driver(f"storm {THREADS}")
            assert code in AWAY, f"{code:#x}"
            assert seconds <= TIMEOUT + 1.5, f"took {seconds:.1f} s"
            assert most <= peer.count <= ATTEMPTS * THREADS, f"{peer.count} connections"
            assert peer.peak <= most, f"{peer.peak} connections at a time"
        vault.start(ports=False)
        good(driver, f"storm {THREADS}")


SCENARIOS = (without_a_request, told_once, token_storm, connection_storm)
