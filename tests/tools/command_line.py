"""The command line itself: help, usage errors, configuration."""
import json

COMMANDS = ("config check", "login check", "doctor", "keys", "mechs", "create", "rotate", "resolve", "seal", "open", "map show", "map verify")


def helps(tool):
    """--help names every command, `help COMMAND` and `COMMAND --help` its options, all with exit 0"""
    usage = tool.prints("--help")
    for command in COMMANDS:
        assert f"  {command} " in usage, f"{command} is not in the usage"
        assert tool.prints("help", *command.split()) == tool.prints(*command.split(), "--help")
    assert "--size" in tool.prints("help", "create")
    assert tool.prints("--version").startswith("kvp11 ")


def refuses_bad_lines(tool):
    """a wrong command line is exit 64, one line on stderr, nothing on stdout, nothing sent"""
    tool.vault.requests()
    for words, *line in (
        (["no command", "--help"],),
        (["no command 'frobnicate'"], "frobnicate"),
        (["no command 'map frob'"], "map", "frob"),
        (["unknown option '--jason'"], "--jason", "keys"),
        (["'keys' has no option '--size'"], "keys", "--size", "3"),
        (["argument is missing", "rotate NAME"], "rotate"),
        (["'b' is one argument too many"], "rotate", "a", "b"),
        (["'--size' needs a value"], "create", "x", "--size"),
        (["'--config' needs a value"], "--config"),
        (["takes no value"], "keys", "--all=yes"),
        (["exclude each other"], "keys", "--all", "--current"),
        (["size 'big' is not"], "create", "x", "--size", "big"),
        (["unknown type 'DSA'"], "create", "x", "--type", "DSA"),
        (["unknown curve 'P-224'", "P-521"], "create", "x", "--curve", "P-224"),
        (["no size"], "create", "x", "--type", "EC", "--size", "256"),
        (["no vault 'dr'", "'prod'"], "--vault", "dr", "keys"),
    ):
        tool.refuses(64, words, *line)
    assert tool.vault.requests() == []


def wants_a_vault(tool):
    """with several vaults configured a change must say which one"""
    both = tool.vault.configure("both.conf", identity="operator", vaults=("prod", "dr"))
    tool.refuses(64, ["--vault", "'prod'", "'dr'"], "create", "k", config=both)
    tool.prints("--vault", "dr", "create", "k", "--curve", "P-256", config=both)
    rows = json.loads(tool.prints("keys", "--json", config=both))
    assert [(row["vault"], row["name"]) for row in rows] == [("dr", "k")], rows


def checks_configuration(tool):
    """config check prints every setting and no secret, and sends nothing"""
    tool.vault.requests()
    rows = json.loads(tool.prints("--json", "config", "check"))
    values = {(row["section"], row["setting"]): row["value"] for row in rows}
    assert values[("prod", "url")] == tool.vault.ready["vaults"]["prod"], values
    assert ("kvp11", "map") in values and ("prod", "decrypt_fallback") in values
    text = tool.prints("config", "check", env={"KVP11_CLIENT_SECRET": "do-not-print"})
    assert "do-not-print" not in text and "workload-secret" not in text
    assert tool.vault.requests() == []


def refuses_configuration(tool):
    """a configuration that is wrong, open to others, or absent is exit 78 with file, line and remedy"""
    typo = tool.vault.configure("typo.conf", settings=["usrl = x"])
    tool.refuses(78, ["typo.conf:", "usrl", "url"], "config", "check", config=typo)
    shared = tool.vault.configure("shared.conf")
    (tool.vault.dir / "shared.conf").chmod(0o666)
    tool.refuses(78, ["shared.conf"], "config", "check", config=shared)
    tool.refuses(78, ["absent.conf"], "config", "check", config=str(tool.vault.dir / "absent.conf"))


def shows_mechanisms(tool):
    """mechs lists what is offered, follows the switches, and sends nothing"""
    tool.vault.requests()
    rows = json.loads(tool.prints("--json", "mechs"))
    names = {row["mechanism"] for row in rows}
    assert {"CKM_SHA256_RSA_PKCS", "CKM_RSA_PKCS_OAEP", "CKM_ECDSA", "CKM_SHA256"} <= names, names
    assert "CKM_SHA1_RSA_PKCS" not in names
    assert not any(row["algorithm"] == "RSA1_5" for row in rows)
    lax = tool.vault.configure("lax.conf", settings=["rsa1_5 = yes", "digests = no"])
    rows = json.loads(tool.prints("--json", "mechs", config=lax))
    assert any(row["algorithm"] == "RSA1_5" for row in rows)
    assert "CKM_SHA256" not in {row["mechanism"] for row in rows}
    assert tool.vault.requests() == []


def summarises_the_map(tool):
    """map show counts keys and versions, map verify finds the map sound; a damaged map is exit 65 and left as it is"""
    tool.prints("create", "k", "--curve", "P-256", config=tool.operator)
    tool.prints("rotate", "k", config=tool.operator)
    row = json.loads(tool.prints("--json", "map", "show"))[0]
    assert (row["vault"], row["keys"], row["versions"], row["enabled"]) == ("prod", 1, 2, 2), row
    assert json.loads(tool.prints("--json", "map", "verify"))[0]["versions"] == 2
    path = tool.vault.dir / "map.db"
    damaged = b"this is no map" + path.read_bytes()[14:]
    path.write_bytes(damaged)
    tool.refuses(65, ["map.db"], "map", "verify")
    assert path.read_bytes() == damaged


SCENARIOS = (helps, refuses_bad_lines, wants_a_vault, checks_configuration, refuses_configuration, shows_mechanisms,
             summarises_the_map)
