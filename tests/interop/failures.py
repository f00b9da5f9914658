"""What a vault can do to a tool that needs it: one table, and what must hold of every tool in each row of it."""
from age_world import note

CALL, SHORT = 10, 1  # `timeout` in seconds: as a rule, and where it is what ends the call


def answers(**fault):
    """The fault for all that is done with the key: modules decrypt what the tool unwraps."""
    def fail(world, key, version):
        world.control("POST", "/faults", {"method": "POST", "path": f"/keys/{key}/", "bearer": True, "count": 999, **fault})
    return fail


def disabled(world, key, version):
    world.control("PATCH", f"/vaults/prod/keys/{key}/{version}", {"enabled": False})


def missing(world, key, version):
    world.control("POST", f"/vaults/prod/keys/{key}/delete")


def mend(world, key, version, fail):
    """The vault is as it was."""
    world.control("DELETE", "/faults")
    if fail is missing:
        world.control("POST", f"/vaults/prod/keys/{key}/recover")
    if fail is disabled:
        world.control("PATCH", f"/vaults/prod/keys/{key}/{version}", {"enabled": True})


FORBIDDEN = '{"error":{"code":"Forbidden","message":"no","innererror":{"code":"ForbiddenByRbac"}}}'
# What it is, how the vault is made to do it, the time that a call has, and what the operator reads of it.
FAILURES = (
    ("403", answers(kind="status", status=403, body=FORBIDDEN), CALL, "ForbiddenByRbac"),
    ("404", missing, CALL, "kvp11 --vault prod recover {key}"),
    ("429", answers(kind="status", status=429, headers={"Retry-After": "60"}), CALL, "429"),
    ("a time-out", answers(kind="delay", ms=SHORT * 2000), SHORT, "deadline"),
    ("a disabled version", disabled, CALL, "disabled"),
)


def each(world, key, version, settings=(), name="failing.conf", well=lambda: None):
    """While the vault fails in each way: (what it is, the configuration to run with, what the operator reads). `well`: called before each, while it does not."""
    for what, fail, timeout, words in FAILURES:
        well()
        note(what)
        config = world.configure(name, settings, timeout=timeout)
        fail(world, key, version)
        yield what, config, words.format(key=key)
        mend(world, key, version, fail)


def fails_closed(world, key, version, attempts, kept=lambda: None, settings=(), masked=False):
    """Each attempt, by its name a function from a configuration to a finished run, succeeds with a vault that is well, and then under every failure: it does
    not end with 0, gives nothing to the standard output, leaves what `kept` returns as it was, and says why; `masked`: the module's log says it, as the
    tool keeps the module's reason to itself."""
    for name, attempt in attempts.items():
        note(f"{name}, a vault that is well")
        world.must(attempt(world.configure("failing.conf", settings, timeout=CALL)))
    before = kept()
    for what, config, words in each(world, key, version, settings):
        for name, attempt in attempts.items():
            note(f"{name}, {what}")
            logged = world.log_size()
            done = attempt(config)
            assert done.returncode, f"exit 0: {done}"
            assert done.stdout == b"", f"stdout: {done.stdout}"
            assert kept() == before, "something was written"
            said = world.logged(logged) if masked else done.stderr.decode(errors="replace")
            for word in (version, key, words):
                assert word in said, f"'{word}' is not in: {said}"
