"""The command line itself: help, usage errors, configuration."""
import hashlib
import json
import pathlib
import shlex

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


def tells_of_data_in_json(tool):
    """--json of commands whose result is data: what was done, on stdout when a file has the data, else on stderr; no word of a secret, nothing when it failed"""
    def told(*arguments, aside=None, **options):
        done = tool.run("--json", *arguments, **options)
        assert done.returncode == 0, done
        where, other = (done.stdout, done.stderr) if aside is None else (done.stderr, done.stdout)
        assert other == (aside or b""), (arguments, other)
        return json.loads(where)

    kid = tool.vault.ready["vaults"]["prod"] + "/keys/k/" + tool.vault.create("k", kty="RSA", key_size=2048)
    seal = ("-r", "k", "--break-glass", "none")
    for command, text in (("seal", b"a backup"), ("wrap", b"a secret")):
        row, = told(command, *seal, "--out", f"{command}.age", input=text)
        file = (tool.vault.dir / f"{command}.age").read_bytes()
        header = file[:file.index(b"\n", file.index(b"\n---") + 1) + 1]
        assert (row["from"], row["to"], row["bytes"], row["backup"]) == (None, f"{command}.age", len(file), None), row
        assert row["header_sha256"] == hashlib.sha256(header).hexdigest(), row
        assert [(to["kind"], to["text"]) for to in row["recipients"]] == [("rsa-oaep-256", kid)], row
        done = tool.run(command, *seal, "--json", input=text)
        row, = json.loads(done.stderr)
        assert done.returncode == 0 and (row["to"], row["bytes"]) == (None, len(done.stdout)) and done.stdout.startswith(b"age-"), done
    row, = told("seal", *seal, "--out", "made.age", "--register", "made", "--", "echo", "made")
    assert (row["from"], row["to"], row["backup"]) == ("echo", "made.age", "made"), row
    assert told("open", "seal.age", aside=b"a backup") == [{"from": "seal.age", "to": None, "bytes": 8}]
    assert told("open", "seal.age", "--out", "o") == [{"from": "seal.age", "to": "o", "bytes": 8}]
    assert told("unwrap", "wrap.age", aside=b"a secret") == [{"from": "wrap.age", "to": None}]
    assert told("run", "--env", "A=wrap.age", "--", "sh", "-c", 'printf "%s" "$A"', aside=b"a secret") == [{"from": "wrap.age", "to": "A"}]
    assert told("cms", "seal", *seal, "--out", "c.cms", input=b"x")[0]["bytes"] == (tool.vault.dir / "c.cms").stat().st_size
    assert told("cms", "open", "c.cms", aside=b"x") == [{"from": "c.cms", "to": None, "bytes": 1}]
    assert told("cms", "open", "c.cms", "--out", "o") == [{"from": "c.cms", "to": "o", "bytes": 1}]
    assert told("identity") == [{"identity": tool.prints("identity").strip()}]
    for line in (("open", "absent"), ("unwrap", "absent"), ("run", "--env", "A=absent", "--", "true"), ("seal", "-r", "absent", "--out", "o"), ("cms", "open", "absent")):
        done = tool.run("--json", *line)
        assert done.returncode and done.stdout == b"" and done.stderr.startswith(b"kvp11: ") and b'"from"' not in done.stderr, done


def prints_commands_to_paste(tool):
    """a command that is printed to be run is one that a shell runs as it stands, whatever the vault is called"""
    name = "it's my $HOME;"
    config = pathlib.Path(tool.vault.configure("manual.conf", identity="operator", adopt="manual"))
    config.write_text(config.read_text().replace("[prod]", f"[{name}]"))
    path = f"{pathlib.Path(tool.vault.tool).parent}:/usr/bin:/bin"

    def pasted(command):
        assert shlex.split(command)[:2] in (["kvp11", "--vault"], ["kvp11", "doctor"]) and name in shlex.split(command), command
        done = tool.vault.run(["sh", "-c", command], config=str(config), env={"PATH": path})
        assert done.returncode == 0, (command, done)
        return done

    def told(code, *arguments):
        done = tool.run("--json", *arguments, config=str(config))
        assert done.returncode == code, done
        return json.loads(done.stdout)

    tool.vault.create("k", kty="RSA", key_size=2048)
    tool.prints("keys", config=str(config))
    tool.vault.control("POST", "/clock", {"offset": 5})
    tool.vault.rotate("k")
    row, = (row for row in told(1, "sync") if row["level"] == "warning")
    pasted(row["next"])
    done = tool.run("rotate", "k", "--activate-after", "1m", config=str(config))
    tool.vault.control("POST", "/clock", {"offset": 90})
    pasted(done.stderr.decode().split("promote it with: ")[1].strip().replace(" --activate-after 1m", ""))
    tool.vault.control("POST", "/vaults/prod/keys/k/delete")
    pasted(next(row["mend"] for row in told(77, "explain", "k") if row["mend"]))
    tool.vault.control("POST", "/vaults/prod/keys/k/delete")
    said = tool.refuses(66, ["bring it back"], "rotate", "k", config=str(config))
    pasted(said.split("`")[1])


SCENARIOS = (helps, refuses_bad_lines, prints_commands_to_paste, wants_a_vault, checks_configuration, refuses_configuration, shows_mechanisms,
             summarises_the_map, tells_of_data_in_json)
