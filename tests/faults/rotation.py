"""Rotations that are cut short."""
import random
import signal
import subprocess


def killed(world):
    """kill -9 while rotating, 20 times: every version opens what was wrapped under it, none is lost, the map verifies"""
    vault, seed = world.vault, random.Random(20)
    for _ in range(20):
        vault.control("POST", "/settings", {"latency_ms": 15})
        process = subprocess.Popen([vault.tool, "rotate", "backup-kek"], env=vault.environment(KVP11_CONFIG=world.operator),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(timeout=seed.uniform(0.005, 0.2))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
    vault.control("POST", "/settings", {"latency_ms": 0})
    world.runs("map", "verify")
    rows = world.versions()
    assert world.version in rows and 1 <= len(rows) <= 21, len(rows)
    assert sum(row["current"] for row in rows.values()) == 1
    world.signs()
    world.signs(label=f"backup-kek@{world.version}" if not rows[world.version]["current"] else "backup-kek")


def lost_answers(world):
    """the reply to a rotation or a creation is cut, or a gateway says 500, 503 or 504: the versions are listed first, exactly one comes of it"""
    vault = world.vault
    for path, command in (("rotate", ("rotate", "backup-kek")), ("create", ("create", "fresh"))):
        name = command[1]
        vault.control("POST", "/faults", {"method": "POST", "path": f"/{path}", "kind": "cut"})
        vault.requests()
        told = world.runs(*command, config=world.operator)
        log = [r for r in vault.requests() if r["bearer"]]
        changes = [i for i, r in enumerate(log) if r["path"].endswith(f"/{path}")]
        listed = [i for i, r in enumerate(log) if r["path"].endswith(f"/keys/{name}/versions")]
        assert len(changes) == 1, f"{path}: sent {len(changes)} times"
        assert any(i > changes[0] for i in listed), f"{path}: nothing was listed after the reply was lost"
        made = next(version for version, row in world.versions(name).items() if row["current"])
        assert made in told, f"{path}: the new version is not told: {told}"
    assert len(world.versions()) == 2 and len(world.versions("fresh")) == 1
    for status in (500, 503, 504):  # by a gateway that did not pass it on: nothing came, which the list proves, so it is sent once more
        vault.control("POST", "/faults", {"method": "POST", "path": "/rotate", "kind": "status", "status": status})
        before = len(world.versions())
        vault.requests()
        world.runs("rotate", "backup-kek", config=world.operator)
        log = [r["path"].rsplit("/", 1)[1] for r in vault.requests() if r["bearer"]]
        again = [i for i, last in enumerate(log) if last == "rotate"]
        assert len(again) == 2 and "versions" in log[again[0]:again[1]], f"{status}: {log}"
        assert len(world.versions()) == before + 1


def refused_before(world):
    """a rotation that the vault refuses changes nothing and says so"""
    world.vault.control("POST", "/faults", {"method": "POST", "path": "/rotate", "kind": "status", "status": 409,
                                            "body": '{"error":{"code":"Conflict","message":"busy"}}', "count": 10})
    world.refuses(73, ["backup-kek"], "rotate", "backup-kek", config=world.operator)
    world.vault.control("DELETE", "/faults")
    assert list(world.versions()) == [world.version]


SCENARIOS = (killed, lost_answers, refused_before)
