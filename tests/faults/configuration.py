"""Configuration files that are wrong."""
from kvtest import private_file


def edited(world, name, change):
    text = open(world.vault.config).read()
    return str(private_file(world.vault.dir / name, change(text)))


def typo(world):
    """a typo in the configuration: file, line and the setting that was meant"""
    path = edited(world, "typo.conf", lambda text: text.replace("client_id =", "cleint_id ="))
    line = open(path).read().splitlines().index(next(l for l in open(path).read().splitlines() if l.startswith("cleint_id"))) + 1
    world.refuses(78, [rf"typo\.conf:{line}:", "cleint_id", "client_id"], "config", "check", config=path)
    assert world.sign(config=path).returncode != 0


def bad_value(world):
    """a bad value: file, line and what to write"""
    path = edited(world, "value.conf", lambda text: text.replace("timeout = 10", "timeout = soon"))
    world.refuses(78, [r"value\.conf:\d+:", "timeout", "soon", "seconds"], "config", "check", config=path)


def writable(world):
    """a configuration that others can write is refused, with the remedy"""
    path = edited(world, "open.conf", lambda text: text)
    (world.vault.dir / "open.conf").chmod(0o666)
    world.refuses(78, [r"open\.conf", "written by others", "chmod"], "config", "check", config=path)


def secret_readable(world):
    """a secret that others can read is refused, with the remedy"""
    (world.vault.dir / "workload.secret").chmod(0o644)
    world.refuses(77, [r"workload\.secret", "chmod"], "keys", "--refresh", config=world.vault.configure("fresh.conf", map=world.vault.dir / "fresh.db"))


def secret_in_file(world):
    """a secret in the configuration itself is refused without being shown"""
    path = edited(world, "secret.conf", lambda text: text + "client_secret = hunter2-hunter2\n")
    message = world.refuses(78, [r"secret\.conf:\d+:", "client_secret_file"], "config", "check", config=path)
    assert "hunter2" not in message, message


def lost_audit(world):
    """an audit record that cannot be written: config check warns of it, the module works on"""
    path = edited(world, "audit.conf", lambda text: text.replace(f"audit = {world.vault.dir}/audit.jsonl", "audit = /nonexistent/audit.jsonl"))
    done = world.vault.kvp11("config", "check", config=path)
    assert done.returncode == 0 and b"audit = /nonexistent/audit.jsonl: this user cannot write there" in done.stderr, done
    world.signs(config=path)


SCENARIOS = (lost_audit, typo, bad_value, writable, secret_readable, secret_in_file)
