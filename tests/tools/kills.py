"""kill -9 at every change that rewrap, rotate and sync make on a disk or in a vault, and at random ones, at least 200 times each: every file opens, the map is whole, and nothing is made twice."""
import concurrent.futures
import json
import pathlib
import random
import signal
import sqlite3

import seal
from rewrap import BESIDE, ends_well, folder, hurried, key, opens
from seal import header_len

KILLS, WORKERS = 200, 2


def cut(tool, at, *words, **options):
    """Runs it until its change number `at`. False: it came to its end before."""
    done = tool.run(*words, env={"KVP11_KILL_AT": at, "KVP11_KILL_NET": 1}, **options)
    assert done.returncode in (0, -signal.SIGKILL), f"{at}: {words}: exit {done.returncode}: {done.stderr.decode()}"
    return done.returncode != 0


def worked(job):
    """job(worker) by all workers; what they give."""
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(job, range(WORKERS)))


def each_once(worker, kill):
    """The points of this worker, each once: how many there were. kill(at): False when it came to its end."""
    at = worker + 1
    while kill(at):
        at += WORKERS
        assert at < 1000, "it never ends"
    return at // WORKERS


def quiet(tool, worker, **more):
    """A host of its own: its configuration."""
    more = {"map": tool.vault.dir / f"map-{worker}.db", "log": None, "audit": None, **more}
    return tool.vault.configure(f"quiet-{worker}.conf", **more)


def enough(walked):
    """Kills of a worker, some of them at random points whatever number of points there is."""
    return max(KILLS // WORKERS, walked + 20)


# ---- rotate ----

def asked(path, text, *values):
    """Rows of a map, which `map verify` has just brought in order."""
    base = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    rows = base.execute(text, values).fetchall()
    base.close()
    return rows


@hurried
def rotate(tool):
    """rotate, killed at each of its changes and at random ones, with adopt = auto and manual: run again it takes the version that the vault had made, or makes the one, and never a second"""
    names = []

    def job(worker):
        path = tool.vault.dir / f"map-{worker}.db"

        def fresh():
            names.append(f"k{worker}-{len(names)}")
            return names[-1], tool.vault.create(names[-1], kty="EC", crv="P-256")

        def ended(name):
            """All was done that can be done, only not yet said."""
            return len(asked(path, "SELECT 1 FROM version WHERE name = ?", name)) == 2 and not asked(path, "SELECT 1 FROM rotation WHERE name = ?", name)

        def ends(config, name, old):
            tool.prints("map", "verify", config=config)
            if not ended(name):
                new = json.loads(tool.prints("--json", "rotate", name, config=config))[-1]
                assert new["current"] and new["version"] != old, new
            (new,), = asked(path, "SELECT version FROM version WHERE name = ? AND current", name)
            assert new != old and ended(name), name

        def kill(at):
            name, old = fresh()
            killed = cut(tool, at, "rotate", name, config=config)
            ends(config, name, old)
            return killed

        config = quiet(tool, worker, identity="operator")
        walked = killed = each_once(worker, kill)
        config, chance = quiet(tool, worker, identity="operator", adopt="manual"), random.Random(worker)
        while killed < enough(walked):
            name, old = fresh()
            for _ in range(3):  # several in a row: what one leaves, the next one finds
                tool.prints("map", "verify", config=config)
                if not ended(name):
                    killed += cut(tool, chance.randint(1, walked * WORKERS), "rotate", name, config=config)
            ends(config, name, old)
        return config, walked

    done = worked(job)
    made = [r["path"].split("/")[2] for r in tool.vault.requests() if r["method"] == "POST" and r["path"].split("?")[0].endswith("/rotate") and r["status"] == 200]
    assert sorted(made) == sorted(names), {name: made.count(name) for name in names if made.count(name) != 1}
    assert sum(walked for _, walked in done) > 60, done
    for worker, (config, _) in enumerate(done):  # of the keys of this host nothing is left that it does not know
        rows = json.loads(tool.run("--json", "sync", config=config).stdout)
        strange = [row for row in rows if row["version"] and row["version"].startswith(f"k{worker}-") and not row["found"].startswith("waits")]
        assert not strange, strange
        tool.prints("map", "verify", config=config)


# ---- sync ----

@hurried
def sync(tool):
    """sync, killed at each of its changes and at random ones while versions come, are disabled and enabled: the next one knows all that the vault has"""
    def job(worker):
        vault = ("prod", "dr")[worker]
        config = quiet(tool, worker, vaults=(vault,))
        first = tool.vault.create("k", vault, kty="EC", crv="P-256")
        there = {first: "enabled", tool.vault.rotate("k", vault): "enabled"}
        tool.prints("sync", config=config)
        chance, count = random.Random(worker), 0

        def kill(at):
            nonlocal count
            there[first] = "disabled" if there[first] == "enabled" else "enabled"
            tool.vault.control("PATCH", f"/vaults/{vault}/keys/k/{first}", {"enabled": there[first] == "enabled"})
            if count % 10 == 0:
                there[tool.vault.rotate("k", vault)] = "enabled"
            count += 1
            killed = cut(tool, at, "sync", config=config)
            tool.prints("map", "verify", config=config)
            tool.prints("sync", config=config)
            assert dict(asked(tool.vault.dir / f"map-{worker}.db", "SELECT version, state FROM version WHERE vault = ?", vault)) == there, at
            return killed

        walked = killed = each_once(worker, kill)
        while killed < enough(walked):
            killed += kill(chance.randint(1, walked * WORKERS))
        tool.prints("map", "verify", config=config)
        return walked

    assert sum(worked(job)) > 20


# ---- rewrap ----

@hurried
def rewrap(tool):
    """rewrap, killed at each of its changes among several files and at random ones: what it can have touched opens at once, in the end all by age, and the old version is needed for none"""
    old, (identity, recipient) = key(tool), seal.keygen(tool, "glass")
    made = [{} for _ in range(WORKERS)]
    for worker in range(WORKERS):
        config, store = quiet(tool, worker), folder(tool, f"store{worker}")
        for number in range(4):
            path, plain = tool.vault.dir / store / f"{number}.age", seal.contents(3000 + number)
            known = ["--register", path.name] if number % 2 else []
            seal.gives(tool, "seal", "-r", "cmk", "--break-glass", recipient, "--out", path, *known, input=plain, config=config)
            made[worker][path] = plain
    tool.vault.rotate("cmk")

    def job(worker):
        config, chance = quiet(tool, worker), random.Random(worker)
        tool.prints("keys", "cmk", "--refresh", config=config)
        fresh = {path: path.read_bytes() for path in made[worker]}

        def reset():
            for path, file in fresh.items():
                path.write_bytes(file)
                beside(path).unlink(missing_ok=True)

        def kill(at):
            killed = cut(tool, at, "rewrap", f"store{worker}", config=config)
            changed = []
            for path, file in fresh.items():
                now = path.read_bytes()
                assert len(now) == len(file) and now[header_len(file):] == file[header_len(file):], f"{at}: {path}"
                if beside(path).exists():
                    opens(tool, path, made[worker][path], config=config)
                elif now != file:
                    changed.append(path)
            if changed:  # those before the one that is at work were changed in earlier rounds, too
                path = chance.choice(changed)
                opens(tool, path, made[worker][path], config=config)
            return killed

        def kill_fresh(at):
            reset()
            return kill(at)

        walked = killed = each_once(worker, kill_fresh)
        while killed < enough(walked):
            reset()
            for _ in range(5):  # several in a row: what one leaves, the next one finds
                killed += kill(chance.randint(1, walked * WORKERS))
        return walked

    assert sum(worked(job)) > 40
    for worker in range(WORKERS):
        ends_well(tool, old, identity, made[worker], f"store{worker}", config=quiet(tool, worker))


def beside(path):
    return pathlib.Path(f"{path}{BESIDE}")


SCENARIOS = (rewrap, rotate, sync)
