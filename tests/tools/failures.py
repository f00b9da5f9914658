"""What every command says when something is in its way: the exit code, nothing on the standard output or valid JSON, and the cause with the command that mends it."""
import json

FORBIDDEN = {"error": {"code": "Forbidden", "message": "no", "innererror": {"code": "ForbiddenByRbac"}}}
OPENING = ("open f.age", "unwrap w.age", "run --env A=w.age -- echo ran", "cms open c.cms")
PROVING = ("policy k", "key-backup k --out k2", "rotate k", "map rebuild")


def world(tool):
    """A key, and a file of each kind for it: its version."""
    version = tool.vault.create("k", kty="RSA", key_size=2048)
    tool.prints("keys")
    for command, name in (("seal", "f.age"), ("wrap", "w.age"), ("cms seal", "c.cms")):
        done = tool.run(*command.split(), "-r", "k", "--break-glass", "none", "--out", name, input=b"x")
        assert done.returncode == 0, done
    (tool.vault.dir / "store").mkdir()
    (tool.vault.dir / "store/f.age").write_bytes((tool.vault.dir / "f.age").read_bytes())
    tool.prints("scan", "store")
    return version


def meets(tool, rows, config=None):
    """Rows of (command lines, exit code, words of what is said), the first line in both forms; a code of a monitor, 1 to 3, comes with findings."""
    for lines, code, words in rows:
        for line in lines:
            for form in ((), ("--json",)) if line == lines[0] else (("--json",),):
                done = tool.run(*form, *line.split(), config=config or tool.operator, input=b"x")
                said = done.stderr.decode()
                assert done.returncode == code, (line, form, done)
                if code > 3 and not line.startswith(("explain", "login", "doctor")):
                    assert done.stdout == b"", (line, form, done)
                if form and done.stdout:
                    json.loads(done.stdout)
                said += done.stdout.decode() if code <= 3 else ""
                assert all(line.startswith("kvp11: ") for line in done.stderr.decode().splitlines()), done
                for word in words:
                    assert word in said, (line, form, word, said)


def unreachable(tool):
    """no vault is there: 69, or 3 of a monitor, and the doctor; what needs no vault goes on"""
    version = world(tool)
    config = tool.vault.configure("short.conf", identity="operator", timeout=1)
    tool.vault.stop()
    kid = f"{tool.vault.ready['vaults']['prod']}/keys/k/{version}"
    meets(tool, ((OPENING, 69, [kid, "https://login.localhost", "kvp11 doctor prod --key k"]),
                 (PROVING + ("recover", "recover k", "create k2", "recipient nokey"), 69, ["prod", "https://login.localhost", "to find out more: kvp11 doctor"]),
                 (("sync",), 3, ["cannot be asked", "kvp11 doctor prod"]),
                 (("drill",), 3, ["kvp11 doctor prod --key k"]),
                 (("--vault prod rotate k",), 69, ["to find out more: kvp11 doctor prod"])), config)
    for line in ("keys", "recipient k", "coverage", "map show", "map verify", "mechs"):
        assert tool.run(*line.split(), config=config).returncode in (0, 1), line


def forbidden(tool):
    """the vault lets this identity do nothing: 77, the identity, the role and the doctor"""
    world(tool)
    for method in ("GET", "POST"):
        tool.vault.control("POST", "/faults", {"method": method, "path": "/keys/k", "kind": "status", "status": 403, "body": json.dumps(FORBIDDEN), "count": 9999})
    meets(tool, ((OPENING, 77, ["'operator'", "ForbiddenByRbac", "kvp11 doctor prod --key k"]),
                 (("policy k", "key-backup k --out k2", "rotate k"), 77, ["'operator'", "assign a role", "to find out more: kvp11 doctor"]),
                 (("sync",), 3, ["kvp11 doctor prod"]),
                 (("drill",), 2, ["ForbiddenByRbac"])))


def gone(tool):
    """a disabled version: 77 and how it is enabled; a deleted key: 66 and how it is recovered, also where something is to be sealed; a purged one: its backup"""
    version = world(tool)
    kid = f"{tool.vault.ready['vaults']['prod']}/keys/k/{version}"
    tool.vault.control("PATCH", f"/vaults/prod/keys/k/{version}", {"enabled": False})
    enable = ["disabled", kid, "az keyvault key set-attributes"]
    meets(tool, ((OPENING, 77, enable), (("explain f.age",), 77, ["is disabled"]), (("drill", "sync"), 2, enable)))
    meets(tool, ((("cms seal -r k --break-glass none", "seal -r k --break-glass none"), 77, enable),))
    tool.vault.control("PATCH", f"/vaults/prod/keys/k/{version}", {"enabled": True})
    tool.prints("keys", "--refresh")
    tool.vault.control("POST", "/vaults/prod/keys/k/delete")
    recover = ["kvp11 --vault prod recover k"]
    meets(tool, ((OPENING + ("rotate k",), 66, recover), (("create k",), 73, recover), (("sync", "drill"), 2, recover)))
    meets(tool, ((("seal -r k --break-glass none", "recipient k", "cms seal -r k --break-glass none", "key-backup k --out k2", "policy k"), 66, recover),))
    tool.vault.control("POST", "/vaults/prod/keys/k/purge")
    meets(tool, ((("recover k",), 66, ["kvp11 --vault prod key-backup restore"]), (("sync",), 2, ["kvp11 --vault prod key-backup restore"])))


def without_a_map(tool):
    """a damaged map keeps nothing from being opened or sealed, by age or as an envelope; whoever asks the map is told how to have it back: 65"""
    world(tool)
    (tool.vault.dir / "map.db").write_bytes(b"no map" * 1000)
    for line, content in (("open f.age", b"x"), ("unwrap w.age", b"x"), ("run --env A=w.age -- echo ran", b"ran\n"), ("cms open c.cms", b"x")):
        done = tool.run(*line.split())
        assert (done.returncode, done.stdout) == (0, content), (line, done)
    meets(tool, ((("keys", "coverage", "drill", "sync", "scan store", "rotate k", "retire-check k@1", "map show", "map export"), 65, ["map.db", "kvp11 map import", "kvp11 map rebuild --scan"]),
                 (("resolve f.age",), 65, ["map.db"])))
    (tool.vault.dir / "map.db").unlink()
    meets(tool, ((("drill",), 66, ["kvp11 scan"]), (("resolve f.age",), 66, ["kvp11 explain f.age"])))


SCENARIOS = (unreachable, forbidden, gone, without_a_map)
