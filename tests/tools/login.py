"""kvp11 login check, and the two identities: who asks for what."""
import ctypes
import json
import os
import pathlib
import socket
import time

from kvtest import private_file

WORKLOAD, OPERATOR = "workload-secret", "operator-secret"


def rows_of(tool, *arguments, code=0, **options):
    """The findings, which are printed whatever they are; and that no secret and no token is among them."""
    done = tool.run("--json", "login", "check", *arguments, **options)
    text = done.stdout.decode() + done.stderr.decode()
    assert done.returncode == code, f"exit {done.returncode} instead of {code}: {text}"
    for secret in (WORKLOAD, OPERATOR, "wrong-secret", "eyJ"):
        assert secret not in text, f"'{secret}' was told: {text}"
    return json.loads(done.stdout), done.stderr.decode()


def tells_who(tool):
    """login check names the credential, the identity, its tenant and roles, when the token ends, and where it is from"""
    row, = rows_of(tool)[0]
    assert (row["vault"], row["as"], row["credential"], row["result"]) == ("prod", "workload", "client-secret", "used"), row
    assert (row["identity"], row["application"], row["tenant"]) == ("workload", "workload", tool.vault.ready["tenant"]), row
    assert row["object"] and row["roles"] == "not in the token" and row["from"] == "identity provider", row
    assert row["authority"] == tool.vault.ready["authority"] and row["scope"].endswith("/.default"), row
    assert row["expires"] > time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), row
    text = tool.prints("login", "check", "prod")
    assert "client-secret" in text and "used" in text and "workload" in text, text


def walks_the_chain(tool):
    """with `default` each credential is listed: what is not set up and why, what is used, what is not tried"""
    config = tool.vault.configure("chain.conf", credential=None, client_secret_file=None,
                                  imds_endpoint=f"http://127.0.0.1:{tool.vault.ready['imds_port']}")
    rows, _ = rows_of(tool, config=config)
    by = {row["credential"]: row for row in rows}
    assert by["client-secret"]["result"] == "not set up" and "client_secret_file" in by["client-secret"]["why"], rows
    assert by["managed-identity"]["result"] == "used" and by["managed-identity"]["identity"] == "workload", rows
    config = tool.vault.configure("chain2.conf", credential=None, imds_endpoint="http://127.0.0.1:9")
    by = {row["credential"]: row for row in rows_of(tool, config=config)[0]}
    assert by["client-secret"]["result"] == "used" and by["managed-identity"]["result"] == "not tried", by


def says_what_is_wrong(tool):
    """each planted fault has its exit code, and words that name the remedy"""
    vault = tool.vault
    wrong = private_file(vault.dir / "wrong.secret", "wrong-secret\n")
    # A token whose `exp` is 1: {"alg":"none"}.{"exp":1}.
    expired = private_file(vault.dir / "expired.token", "eyJhbGciOiJub25lIn0.eyJleHAiOjF9.AA\n")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = closed.getsockname()[1]
    planted = {
        "wrong secret": (77, ["AADSTS7000215", "client_secret_file"], {"client_secret_file": wrong}),
        "no secret": (77, ["neither `client_secret_file`"], {"client_secret_file": None}),
        "secret file gone": (77, ["No such file"], {"client_secret_file": vault.dir / "gone"}),
        "no such application": (77, ["AADSTS700016", "client_id"], {"client_id": "nobody"}),
        "wrong tenant": (77, ["tenant", "correct `tenant`"], {"tenant": "99999999-0000-0000-0000-000000000000"}),
        "other authority": (77, ["authority"], {"authority": "https://login.microsoftonline.com"}),
        "expired token": (77, ["has expired", "fresh"], {"credential": "static-token", "token_file": expired}),
        "no token file": (77, ["token_file"], {"credential": "static-token"}),
        "no metadata service": (69, ["127.0.0.1", "connect", "check the network"],
                                {"credential": "managed-identity", "imds_endpoint": f"http://127.0.0.1:{nobody}"}),
        "vault not there": (69, [f"{nobody}"], {"url": f"https://prod.vault.localhost:{nobody}"}),
        "not trusted": (69, ["certificate"], {"ca_file": None}),
    }
    for name, (code, words, settings) in planted.items():
        config = vault.configure("planted.conf", **{"timeout": 2, **settings})
        rows, said = rows_of(tool, code=code, config=config)
        assert len(rows) == 1 and rows[0]["result"] in ("failed", "not set up"), (name, rows)
        for word in words:
            assert word in said and word in rows[0]["why"], f"{name}: '{word}' is not in: {said} {rows}"


def unreachable_is_not_refused(tool):
    """an identity provider that cannot be reached is exit 69, and its refusal exit 77"""
    config = tool.vault.configure("short.conf", timeout=2)
    tool.vault.control("POST", "/faults", {"host": "login", "kind": "delay", "ms": 4000, "count": 9})
    rows, said = rows_of(tool, code=69, config=config)
    assert rows[0]["status"] in ("TIMED_OUT", "UNREACHABLE"), (rows, said)
    tool.vault.control("DELETE", "/faults")
    tool.vault.control("POST", "/faults", {"host": "login", "kind": "status", "status": 400, "count": 9,
                                           "body": '{"error":"invalid_client","error_codes":[7000112]}'})
    rows, said = rows_of(tool, code=77, config=config)
    assert rows[0]["status"] == "CREDENTIAL" and "disabled" in said, (rows, said)


def all_vaults(tool):
    """without a name all vaults are looked at, and one that fails does not hide the others"""
    config = pathlib.Path(tool.vault.configure("two.conf"))
    config.write_text(config.read_text() + "[gone]\nurl = https://gone.vault.localhost:9\ncredential = client-secret\ntimeout = 2\n")
    rows, _ = rows_of(tool, code=69, config=str(config))
    assert {row["vault"]: row["result"] for row in rows} == {"prod": "used", "gone": "failed"}, rows
    assert [row["vault"] for row in rows_of(tool, "prod", config=str(config))[0]] == ["prod"]
    tool.refuses(64, ["no vault 'dr'"], "login", "check", "dr", config=str(config))
    tool.refuses(64, ["two vaults"], "--vault", "gone", "login", "check", "prod", config=str(config))


def two_identities(tool):
    """changes are the operator's, looking and the proof of a new version are the workload's, and each has no more than its own permissions"""
    vault = tool.vault
    config = with_operator(tool)
    vault.requests()
    tool.prints("create", "k", "--curve", "P-256", config=config)
    tool.prints("rotate", "k", config=config)
    requests = [(r["identity"], r["path"].split("?")[0].endswith("/sign")) for r in vault.requests() if r["identity"] and r["kind"] == "vault"]
    assert set(requests) == {("operator", False), ("workload", True)}, requests
    tool.prints("keys", "--refresh", config=config)
    tool.prints("login", "check", config=config)
    looked = {r["identity"] for r in vault.requests() if r["identity"]}
    assert looked == {"workload"}, looked
    said = {line["identity"]: line["operation"] for line in map(json.loads, (vault.dir / "audit.jsonl").read_text().splitlines()) if line.get("identity")}
    assert set(said) == {"operator", "workload"}, said
    tool.refuses(77, ["create"], "create", "k2", "--curve", "P-256")  # without the section: as the workload, as ever
    row, = rows_of(tool, "--operator", config=config)[0]
    assert (row["as"], row["identity"]) == ("operator", "operator"), row
    tool.refuses(78, ["[prod.operator]"], "login", "check", "--operator")


def with_operator(tool, settings=()):
    path = pathlib.Path(tool.vault.configure("with-operator.conf", settings=settings))
    path.write_text(path.read_text() + f"[prod.operator]\ncredential = client-secret\nclient_id = operator\n"
                    f"client_secret_file = {tool.vault.dir / 'operator.secret'}\n")
    return str(path)


def shows_the_operator(tool):
    """config check shows the operator's credential in a section of its own, without a secret, and refuses what does not belong there"""
    config = with_operator(tool)
    text = tool.prints("--json", "config", "check", config=config)
    values = {(row["section"], row["setting"]): row["value"] for row in json.loads(text)}
    assert values[("prod.operator", "client_id")] == "operator" and values[("prod", "client_id")] == "workload", values
    assert values[("prod.operator", "client_secret")] == "(set)" and OPERATOR not in text
    assert ("prod.operator", "timeout") not in values and ("prod.operator", "url") not in values
    path = pathlib.Path(config)
    path.write_text(path.read_text() + "timeout = 3\n")
    tool.refuses(78, ["with-operator.conf:", "'timeout'", "move it to the vault's section"], "config", "check", config=config)


def unreadable_for_the_workload(tool):
    """an operator's secret that may not be read stops changes alone"""
    config = with_operator(tool)
    (tool.vault.dir / "operator.secret").chmod(0o644)
    tool.prints("keys", config=config)
    tool.refuses(77, ["operator.secret"], "create", "k", "--curve", "P-256", config=config)
    (tool.vault.dir / "operator.secret").chmod(0o600)


def pin_needs_the_module(tool):
    """a vault whose secret is a PIN is told so, with exit 77; its operator still works"""
    config = tool.vault.configure("pin.conf", settings=["pin = client-secret"])
    rows, said = rows_of(tool, code=77, config=config)
    assert "PIN of C_Login" in said and rows[0]["status"] == "NOT_LOGGED_IN", rows
    tool.refuses(77, ["nobody has logged in"], "keys", config=config)
    tool.prints("create", "k", "--curve", "P-256", config=with_operator(tool, ["pin = client-secret"]))


class Keyring:
    """The user's keyring, as far as it is ours: what was not there before is taken away at the end."""
    USER, SEARCH, UNLINK, READ, DESCRIBE = -4, 10, 9, 11, 6

    def __init__(self):
        self.call = ctypes.CDLL(None, use_errno=True).syscall
        self.number = {"x86_64": 250, "aarch64": 219}.get(os.uname().machine)
        self.before = set(self.ours() or ())

    def ours(self):
        """Serials; None: this machine allows no keyrings."""
        if self.number is None:
            return None
        serials = (ctypes.c_int32 * 512)()
        size = self.call(self.number, self.READ, self.USER, serials, ctypes.sizeof(serials))
        if size < 0:
            return None
        found = set()
        for serial in serials[:min(size, ctypes.sizeof(serials)) // 4]:
            text = ctypes.create_string_buffer(256)
            if self.call(self.number, self.DESCRIBE, serial, text, 256) > 0 and b";kvp11:" in text.value:
                found.add(serial)
        return found

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for serial in (self.ours() or set()) - self.before:
            self.call(self.number, self.UNLINK, serial, self.USER)


def keyring(tool):
    """token_cache = keyring: programs one after another need one token, --fresh gets another, and a refused one is dropped"""
    config = tool.vault.configure("keyring.conf", settings=["token_cache = keyring"])
    with Keyring() as ring:
        if ring.ours() is None:  # then memory serves, and the log says why
            tool.prints("keys", config=config)
            assert "token_cache = keyring" in tool.vault.log()
            return
        tool.vault.requests()
        tool.prints("keys", "--refresh", config=config)
        tool.prints("keys", "--refresh", config=config)
        assert asked(tool) == 1, "the second program asked for a token of its own"
        assert len(ring.ours() - ring.before) == 1
        row, = rows_of(tool, config=config)[0]
        assert (row["from"], row["credential"], row["identity"]) == ("keyring", "client-secret", "workload"), row
        assert asked(tool) == 0
        assert rows_of(tool, "--fresh", config=config)[0][0]["from"] == "identity provider" and asked(tool) == 1
        tool.vault.control("POST", "/identities/workload/revoke-tokens")
        tool.prints("keys", "--refresh", config=config)
        tool.prints("keys", "--refresh", config=config)
        assert asked(tool) == 1, "the refused token was not replaced once for all"
        tool.prints("keys", "--refresh")
        assert asked(tool) == 1, "memory is the standard"
        assert len(ring.ours() - ring.before) == 1


def asked(tool):
    return sum("oauth2" in request["path"] for request in tool.vault.requests())


SCENARIOS = (tells_who, walks_the_chain, says_what_is_wrong, unreachable_is_not_refused, all_vaults, two_identities, shows_the_operator,
             unreadable_for_the_workload, pin_needs_the_module, keyring)
