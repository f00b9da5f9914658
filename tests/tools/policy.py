"""kvp11 policy: rules that keys are held against, and rotation policies."""
import json

from kvtest import Emulator

EXPECTED = {"enabled", "type", "size", "hsm", "exportable", "expiry", "validity", "age", "rotation", "recovery", "room"}


def held(tool, code, *words, **options):
    done = tool.run("--json", "policy", *words, **{"config": tool.operator, **options})
    assert done.returncode == code, f"exit {done.returncode} instead of {code}: {done.stdout.decode()}{done.stderr.decode()}"
    return json.loads(done.stdout)


def levels(rows):
    return {row["rule"]: row["level"] for row in rows}


def in_premium(scenario):
    """Of the tier that has HSMs."""
    def run(tool):
        with Emulator("--vault", "prod:premium") as vault:
            scenario(type(tool)(vault))
    run.__doc__, run.__name__ = scenario.__doc__, scenario.__name__
    return run


def good(tool, name="k", **more):
    """A key that passes everything."""
    tool.vault.control("POST", "/settings", {"purge_protection": True})
    now = tool.vault.control("GET", "/clock")["now"]
    tool.vault.create(name, kty="RSA-HSM", key_size=3072, attributes={"exp": now + 400 * 86400}, **more)
    held(tool, 0, name, "--rotate-after", "P90D", "--expire-after", "P1Y")


@in_premium
def passes(tool):
    """a key that is as it should be passes every rule, exit 0; the same with the limits moved warns, exit 1"""
    good(tool)
    rows = held(tool, 0, "k")
    assert levels(rows) == dict.fromkeys(EXPECTED, "pass"), rows
    rows = held(tool, 1, "k", "--max-active", "89", "--min-rsa", "4096", "--min-left", "401", "--max-validity", "399")
    assert {rule for rule, level in levels(rows).items() if level != "pass"} == {"rotation", "size", "expiry", "validity"}, rows
    assert all(row["next"] for row in rows if row["level"] != "pass") and not any(row["next"] for row in rows if row["level"] == "pass")


def warns(tool):
    """a software key without expiry and policy, which may be purged, warns; a disabled or expired one is critical, exit 2"""
    version = tool.vault.create("k", kty="RSA", key_size=2048)
    rows = held(tool, 1, "k")
    assert {rule for rule, level in levels(rows).items() if level == "warning"} == {"hsm", "expiry", "validity", "rotation", "recovery"}, rows
    mends = {row["rule"]: row["next"] for row in rows}
    assert mends["expiry"] == "kvp11 --vault prod policy k --rotate-after P90D --expire-after P2Y, then kvp11 --vault prod rotate k", mends
    assert mends["recovery"] == "az keyvault update --name prod --enable-purge-protection true", mends
    done = tool.run(*mends["rotation"].split()[1:], config=tool.operator)
    assert done.returncode == 0, done
    tool.vault.control("PATCH", f"/vaults/prod/keys/k/{version}", {"enabled": False})
    rows = held(tool, 2, "k")
    assert levels(rows)["enabled"] == "critical" and f"--id {tool.vault.ready['vaults']['prod']}/keys/k/{version}" in rows[0]["next"], rows
    text = tool.run("policy", "k", config=tool.operator).stdout.decode()
    assert "critical" in text and "RULE" in text


@in_premium
def all_keys(tool):
    """without a name every key of the configuration is looked at"""
    good(tool, "a")
    tool.vault.create("b", kty="EC")
    rows = held(tool, 1)
    assert {row["name"] for row in rows} == {"a", "b"} and len(rows) == 2 * len(EXPECTED)
    assert {row["name"] for row in rows if row["level"] != "pass"} == {"b"}
    only = tool.vault.configure("only.conf", identity="operator", keys="a*")
    assert {row["name"] for row in held(tool, 0, config=only)} == {"a"}


def one_hides_none(tool):
    """a key that may not be read is unknown, exit 3, and the others are told all the same; only the rule of rotation tells the policy"""
    made = {name: tool.vault.create(name, kty="RSA", key_size=2048) for name in ("a", "b", "c")}
    held(tool, 0, "a", "--rotate-after", "P90D", "--expire-after", "P1Y")
    body = '{"error":{"code":"Forbidden","message":"no"}}'
    tool.vault.control("POST", "/faults", {"method": "GET", "path": f"/keys/b/{made['b']}", "kind": "status", "status": 403, "body": body, "count": 9})
    done = tool.run("--json", "policy", config=tool.operator)
    rows = json.loads(done.stdout)
    assert done.returncode == 3 and b"'prod/b'" in done.stderr and {row["name"] for row in rows} == {"a", "c"}, done
    assert {row["rule"] for row in rows if row["rotate_after"] and row["name"] == "a"} == {"rotation"}, rows


def sets(tool):
    """a policy is set, changed in part, read from a file as az has it, and taken away; the next rotation follows it"""
    tool.vault.create("k", kty="RSA", key_size=2048)
    row = next(row for row in held(tool, 0, "k", "--rotate-after", "P90D", "--expire-after", "P2Y", "--notify-before", "P20D") if row["rule"] == "rotation")
    asked = [row[k] for k in ("rotate_after", "rotate_before", "notify_before", "expire_after")]
    assert asked == ["P90D", None, "P20D", "P2Y"], row
    row = next(row for row in held(tool, 0, "k", "--rotate-before", "P60D") if row["rule"] == "rotation")
    assert [row[k] for k in ("rotate_after", "rotate_before", "notify_before", "expire_after")] == [None, "P60D", "P20D", "P2Y"], row
    new = json.loads(tool.prints("--json", "rotate", "k", config=tool.operator))[1]
    assert new["expires"] and levels(held(tool, 1, "k"))["expiry"] == "pass"
    file = tool.vault.dir / "policy.json"
    file.write_text(json.dumps({"lifetimeActions": [{"trigger": {"timeAfterCreate": "P40D"}, "action": {"type": "Rotate"}}],
                                "attributes": {"expiryTime": "P100D"}}))
    row = next(row for row in held(tool, 0, "k", "--set", file) if row["rule"] == "rotation")
    assert (row["rotate_after"], row["rotate_before"], row["expire_after"]) == ("P40D", None, "P100D"), row
    held(tool, 0, "k", "--rotate-after", "none", "--expire-after", "none")
    assert levels(held(tool, 1, "k"))["rotation"] == "warning"


def refuses(tool):
    """what the service would not take is refused before anything is sent; others than the operator may not; nothing is set for many keys at once"""
    tool.vault.create("k", kty="RSA", key_size=2048)
    tool.vault.requests()
    for words, code, text in ((("--rotate-after", "P6D"), 64, "7 days"), (("--rotate-after", "weekly"), 64, "ISO 8601"),
                              (("--rotate-before", "P30D"), 64, "needs an expiry"), (("--set", "absent"), 74, "absent"),
                              (("--max-active", "few"), 64, "positive whole number")):
        tool.refuses(code, [text], "policy", "k", *words, config=tool.operator)
    assert not [r for r in tool.vault.requests() if r["method"] == "PUT"]
    tool.refuses(64, ["name it"], "policy", "--rotate-after", "P90D", config=tool.operator)
    tool.refuses(77, [], "policy", "k", "--rotate-after", "P90D")
    tool.refuses(66, ["nobody"], "policy", "nobody", config=tool.operator)
    (tool.vault.dir / "other.json").write_text("[]")
    tool.refuses(65, ["no rotation policy"], "policy", "k", "--set", tool.vault.dir / "other.json", config=tool.operator)


@in_premium
def unknown(tool):
    """what may not be read is unknown, exit 3, never passed"""
    good(tool)
    done = tool.run("--json", "policy", "k")
    assert done.returncode == 3 and b"rotation policy of key" in done.stderr, done
    assert levels(json.loads(done.stdout))["rotation"] == "unknown"


def says_another(tool):
    """a vault that shows another policy than it was given is exit 65"""
    tool.vault.create("k", kty="RSA", key_size=2048)
    body = '{"lifetimeActions":[],"attributes":{}}'
    tool.vault.control("POST", "/faults", {"method": "PUT", "path": "/rotationpolicy", "kind": "status", "status": 200, "body": body})
    tool.refuses(65, ["shows another one"], "policy", "k", "--rotate-after", "P90D", config=tool.operator)


SCENARIOS = (passes, warns, all_keys, one_hides_none, sets, refuses, unknown, says_another)
