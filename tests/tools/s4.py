"""A version is to go: everything that needs it is rewrapped, through kills, and only then is it disabled (S4 of the acceptance scenarios)."""
import contextlib
import hashlib
import os
import random
import signal
import subprocess
import time

from rewrap import BESIDE, counts, folder, immutable, key, no_leftovers, opens, parts, sealed, summary, unwraps
from scan import findings
from seal import age, contents, keygen

KILLS = 6  # rewrap.py has 200 of them; here they come between the other steps


def payloads(made):
    return {path: hashlib.sha256(parts(path)[1]).hexdigest() for path in made}


def is_needed(tool, version, code, backups):
    head, *rows = findings(tool, code, "retire-check", f"cmk@{version}")
    assert (head["backups"], len(rows)) == (backups, backups), (head, rows)


def is_killed(tool, old, made, chance):
    """Each run dies somewhere, and each file opens all the same."""
    killed = 0
    while killed < KILLS:
        process = subprocess.Popen([tool.vault.tool, "rewrap", "store", "--from", f"cmk@{old}", "--in-place"], env=tool.vault.environment(), cwd=tool.vault.dir,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(chance.uniform(0, 0.15))
        process.kill()
        died = process.wait() == -signal.SIGKILL
        for path, (_, file) in made.items():
            opens(tool, path, file)
            if not died:  # it was done before it was killed: once more
                path.write_bytes(made.first[path])
        killed += died


class Files(dict):
    """path → (store, contents), and the files as they were first."""


def a_version_is_retired(tool):
    """rewrap of one version's files in place, killed again and again: payloads as they were, under a second for a GiB; a store that is locked gets headers beside; retire-check is 2 before and 0 after, and without the version everything opens, by vault and by break-glass"""
    identity, recipient = keygen(tool, "glass")
    old, chance, made = key(tool), random.Random(4), Files()
    for name, count in (("store", 5), ("worm", 2)):
        folder(tool, name)
        for number in range(count):
            plain = contents(70_000 * number + 10)
            made[sealed(tool, f"{name}/{number}.age", glass=recipient, plain=plain)] = (name, plain)
    made.first = {path: path.read_bytes() for path in made}
    before = payloads(made)
    # As long as a GiB, and of that but the front on the disk: rewrap looks no further than the first chunk.
    folder(tool, "large")
    large = sealed(tool, "large/a.age", glass=recipient, plain=contents(70_000))
    os.truncate(large, 1 << 30)
    new = tool.vault.rotate("cmk")
    tool.prints("keys", "--refresh")
    tool.prints("scan", "store", "worm", "large")
    is_needed(tool, old, 2, 8)
    tool.refuses(73, ["8 backups"], "retire", f"cmk@{old}", config=tool.operator)

    store = Files({path: value for path, value in made.items() if value[0] == "store"})
    store.first = made.first
    is_killed(tool, old, store, chance)
    row, told = summary(tool, "store", "--from", f"cmk@{old}", "--in-place")
    assert row["failed"] == 0 and told == "", (row, told)
    no_leftovers(tool)
    assert payloads(made) == before
    is_needed(tool, old, 2, 3)

    began = time.monotonic()
    row, _ = summary(tool, "large", "--from", f"cmk@{old}", "--in-place")
    took = time.monotonic() - began
    assert counts(row)[0] == 1 and took < 1, (row, took)

    worm = [path for path, (name, _) in made.items() if name == "worm"]
    with immutable(worm) if os.getuid() == 0 else contextlib.nullcontext():
        row, told = summary(tool, "worm", "--from", f"cmk@{old}", "--sidecar")
    assert counts(row)[0] == 2 and all(path.read_bytes() == made.first[path] and (path.parent / f"{path.name}{BESIDE}").exists() for path in worm), (row, told)
    is_needed(tool, old, 0, 0)

    tool.prints("retire", f"cmk@{old}", config=tool.operator)
    unwraps(tool)
    for path, (_, plain) in made.items():
        opens(tool, path, plain)
    sent = unwraps(tool)
    assert len(sent) == 7 and all(new in path for path in sent), sent
    rows = [row for store in ("store", "worm") for row in findings(tool, 0, "drill", "--sample", "9", "--store", str(tool.vault.dir / store))]
    assert len(rows) == 7 and {row["by"] for row in rows} == {f"prod/cmk@{new}"}, rows
    for path, (_, plain) in made.items():
        assert age(tool, "-d", "-i", identity, path) == plain, path
    tool.prints("map", "verify")


SCENARIOS = (a_version_is_retired,)
