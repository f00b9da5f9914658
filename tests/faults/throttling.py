"""Vaults that turn requests away when there are too many."""
import json
import threading
import time

WINDOW = 10  # seconds: contract §9.1


def unwraps(world, count, threads, config, key="backup-kek"):
    """`count` unwraps by `threads` threads: the figures of tests/bench/load.c."""
    bench = world.vault.build / "tests/bench/kvp11-bench"
    done = world.vault.run([bench, "--module", world.vault.module, "--token", "prod", "--key", key, "--threads", threads,
                            "--count", count, "load"], config=config, timeout=300)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def unwrap_requests(world):
    return [r for r in world.vault.requests() if r["path"].lower().endswith("/unwrapkey") and r["bearer"]]


def answers(world):
    """The answers to unwraps, in order: (time, status)."""
    return [(r["time"], r["status"]) for r in unwrap_requests(world)]


def mass_restore(world):
    """a vault throttled at its quota: 10,000 unwraps by 16 threads without one error, next to none turned away, the quota used up"""
    vault = world.vault
    free = vault.configure("free.conf", rate_limit="off", audit=None, log_level=None)
    speed = 400 / unwraps(world, 400, 16, free)["seconds"]
    quota = int(min(4000, 0.6 * WINDOW * speed))  # the service's own, or what this machine does in any case: the quota is what holds it back
    count = min(10000, 5 * quota)
    config = vault.configure("limited.conf", rate_limit=quota, timeout=60, audit=None, log_level=None)
    time.sleep(0.1)
    vault.control("POST", "/throttle", {"vault": "prod", "quota": quota})
    vault.requests()
    figures = unwraps(world, count, 16, config)
    got = answers(world)
    fine = [at for at, status in got if status == 200]
    refused = sum(status == 429 for _, status in got)
    whole = int((fine[-1] - fine[0]) / WINDOW)
    assert whole >= 1, f"{count} unwraps took {fine[-1] - fine[0]:.1f} s: nothing was held back"
    ratio = sum(at < fine[0] + whole * WINDOW for at in fine) / (whole * quota)
    told = f"{count} unwraps at {quota} in {WINDOW} s: {figures}, {refused} turned away, {ratio:.3f} of the quota used over {whole} windows"
    print(f"#   {told}")
    assert figures["failures"] == 0 and len(fine) == count, told
    assert refused < 0.02 * len(got), told
    assert ratio >= 0.95, told


def spread(world):
    """a burst of a tenth of the quota goes at once, and the rest at an even pace instead of all of it at once"""
    vault = world.vault
    quota, count = 1000, 300
    config = vault.configure("limited.conf", rate_limit=quota, timeout=60, audit=None, log_level=None)
    vault.requests()
    figures = unwraps(world, count, 8, config)
    at = [when for when, _ in answers(world)]
    half = max(sum(begin <= when < begin + 0.5 for when in at) for begin in at)
    told = f"{count} unwraps at {quota} in {WINDOW} s: {figures}, {half} within half a second"
    assert figures["failures"] == 0 and len(at) == count, told
    assert at[-1] - at[0] >= 0.9 * (count - quota / 10) / quota * WINDOW, told
    assert half <= 1.1 * (quota / 10 + 0.5 * quota / WINDOW), told


def two_programs(world):
    """two programs at one vault's quota: turned away, each takes less, and both finish without an error"""
    vault = world.vault
    quota = 400
    config = vault.configure("limited.conf", rate_limit=quota, timeout=60, audit=None, log_level=None)
    vault.control("POST", "/throttle", {"vault": "prod", "quota": quota})
    vault.requests()
    figures = []
    both = [threading.Thread(target=lambda: figures.append(unwraps(world, 300, 4, config))) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    got = answers(world)
    refused = sum(status == 429 for _, status in got)
    assert [f["failures"] for f in figures] == [0, 0], figures
    assert 0 < refused < 100, f"{refused} of {len(got)} were turned away"


def weighted(world):
    """a key of 4096 bits weighs as eight of 2048: the limiter and the vault count alike"""
    vault = world.vault
    vault.create("dear", kty="RSA", key_size=4096)
    config = vault.configure("limited.conf", rate_limit=200, timeout=30, audit=None, log_level=None)
    vault.control("POST", "/throttle", {"vault": "prod", "quota": 200})
    vault.requests()
    figures = unwraps(world, 30, 8, config, key="dear")  # 240 of 200: not in one window
    got = answers(world)
    assert figures["failures"] == 0 and figures["seconds"] > WINDOW - 1, figures
    assert all(status == 200 for _, status in got), got


def deadline_too_short(world):
    """a deadline that the limiter would outlast: told at once, with the names of both settings, and no request is sent"""
    vault = world.vault
    config = vault.configure("limited.conf", rate_limit=10, timeout=2, log_level="info")
    vault.requests()
    started = time.monotonic()
    figures = unwraps(world, 40, 4, config)
    assert figures["failures"] > 20 and time.monotonic() - started < WINDOW, figures
    assert len(answers(world)) <= 10
    log = vault.logged()
    assert any("rate_limit" in line and "timeout" in line and "prod" in line for line in log.splitlines()), log[-2000:]


def cool_down(world):
    """Retry-After: all threads stay away for so long, and do not come back in one heap"""
    vault = world.vault
    config = vault.configure("cool.conf", rate_limit="off", timeout=30, audit=None, log_level=None)
    vault.requests()
    vault.control("POST", "/faults", {"method": "POST", "path": "/unwrapkey", "kind": "status", "status": 429, "skip": 100,
                                      "headers": {"Retry-After": "2"}, "body": '{"error":{"code":"Throttled","message":"x"}}'})
    figures = unwraps(world, 400, 16, config)
    got = unwrap_requests(world)
    assert figures["failures"] == 0, figures
    refused = [r["time"] for r in got if r["status"] == 429]
    assert len(refused) == 1, f"{len(refused)} were turned away"
    away = [r for r in got if refused[0] + 0.5 < r["time"] < refused[0] + 1.95]  # what was under way then is let through
    assert not away, f"{len(away)} requests during the two seconds"
    back = [r for r in got if r["time"] >= refused[0] + 1.95]
    first = {r["connection"] for r in back if r["time"] < back[0]["time"] + 0.02}  # each thread has its own
    assert len(first) < 8, f"{len(first)} of 16 threads came back within 20 ms"


SCENARIOS = (mass_restore, spread, two_programs, weighted, deadline_too_short, cool_down)
