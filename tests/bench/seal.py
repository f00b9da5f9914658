"""kvp11 seal and open against age, for the same file and the same recipient, one after the other, best of some rounds."""
import os
import re
import shutil
import subprocess
import time

SIZE = 1 << 30
ROUNDS = 5
# (what, on how many cores, at least so many times age)
WANTED = (("seal", 0, 1.5), ("open", 0, 2.5), ("seal", 1, 1.2), ("open", 1, 1.2))
MEMORY_MIB = 64


def timed(command, source, cores, environment):
    """(seconds, MiB at the most)"""
    one = ["taskset", "-c", str(min(os.sched_getaffinity(0)))] if cores == 1 else []
    with open(source, "rb") as given, open(os.devnull, "wb") as taken:
        began = time.monotonic()
        process = subprocess.Popen([*one, *command], stdin=given, stdout=taken, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
    if status:
        raise SystemExit(f"{command}: status {status}")
    return seconds, usage.ru_maxrss / 1024


def incompressible(path):
    """In small pieces: the memory of this process is the least that is measured of a child."""
    with open(path, "wb") as file:
        for _ in range(SIZE >> 20):
            file.write(os.urandom(1 << 20))


def rows(vault, figures):
    if not shutil.which("age"):
        raise SystemExit("age is not installed: tools/setup test")
    plain, identity, theirs = vault.dir / "plain", vault.dir / "identity", vault.dir / "plain.age"
    incompressible(plain)
    subprocess.run(["age-keygen", "-o", identity], check=True, stderr=subprocess.DEVNULL)
    recipient = re.search(r"age1\w+", identity.read_text()).group()
    subprocess.run(["age", "-r", recipient, "-o", theirs, plain], check=True)
    figures["age_files"] = found = {}
    for what, cores, wanted in WANTED:
        ours, age = {"seal": (["seal", "-r", recipient], ["-r", recipient]), "open": (["open", "-i", identity], ["-d", "-i", identity])}[what]
        source = plain if what == "seal" else theirs
        best, memory = {}, 0.0
        for _ in range(ROUNDS):
            for name, command in (("kvp11", [vault.tool, *ours]), ("age", ["age", *age])):
                seconds, used = timed(command, source, cores, vault.environment())
                best[name] = min(best.get(name, seconds), seconds)
                memory = max(memory, used) if name == "kvp11" else memory
        rate = {name: SIZE / seconds / (1 << 20) for name, seconds in best.items()}
        ratio = rate["kvp11"] / rate["age"]
        where = "one core" if cores else f"{len(os.sched_getaffinity(0))} cores"
        found[f"{what}_{cores or 'all'}"] = {"kvp11_mib_per_second": round(rate["kvp11"]), "age_mib_per_second": round(rate["age"]), "ratio": round(ratio, 2),
                                             "memory_mib": round(memory, 1)}
        yield (f"(g) {what} 1 GiB, {where}", f"{rate['kvp11']:.0f} ÷ {rate['age']:.0f} MiB/s; {memory:.0f} MiB", round(ratio, 2),
               ratio >= wanted and memory < MEMORY_MIB)
