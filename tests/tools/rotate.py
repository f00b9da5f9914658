"""kvp11 rotate: the new version is proved before it is reported."""
import json

from keys import rows_of


def rotates(tool, sent, **key):
    before = tool.vault.create("k", **key)
    tool.vault.requests()
    old, new = json.loads(tool.prints("--json", "rotate", "k", config=tool.operator))
    assert (old["role"], new["role"]) == ("old", "new")
    assert old["version"] == before and new["version"] != before and new["current"] is True, (old, new)
    assert old["uri"] != new["uri"] and "id=%" in new["uri"]
    done = [r for r in tool.vault.requests() if r["method"] == "POST" and r["status"] == 200 and r["kind"] == "vault"]
    assert [r["path"].split("/")[-1] for r in done] == ["rotate", sent], done
    assert new["version"] in done[1]["path"], "the proof was made with another version"
    rows = rows_of(tool)
    assert {row["version"]: row["current"] for row in rows} == {before: False, new["version"]: True}
    assert all(row["wraps"] == 0 for row in rows), "the proof counts as something that depends on the version"


def rsa(tool):
    """an RSA key: the new version is proved by a wrap here and an unwrap in the vault"""
    rotates(tool, "unwrapkey", kty="RSA", key_size=2048)


def rsa_signing(tool):
    """an RSA key that only signs is proved by a signature"""
    rotates(tool, "sign", kty="RSA", key_size=2048, key_ops=["sign", "verify"])


def ec(tool):
    """an EC key is proved by a signature, on each curve"""
    for curve in ("P-256", "P-384", "P-521", "P-256K"):
        name = f"k-{curve}"
        tool.vault.create(name, kty="EC", crv=curve)
        old, new = json.loads(tool.prints("--json", "rotate", name, config=tool.operator))
        assert new["key"] == f"EC {curve}" and new["version"] != old["version"]


def not_proved(tool, words, fault, code):
    before = tool.vault.create("k", kty="RSA", key_size=2048)
    tool.vault.control("POST", "/faults", fault)
    said = tool.refuses(code, ["failed its proof", "is not proved", "the old one is as it was", "set-attributes", *words],
                        "rotate", "k", config=tool.operator)
    rows = {row["version"]: row for row in rows_of(tool)}
    assert len(rows) == 2 and rows[before]["state"] == "enabled"
    assert rows[before]["uri"] in said
    assert next(version for version in rows if version != before) in said


def wrong_bytes(tool):
    """a vault that unwraps to other bytes fails the proof: exit 65, both versions named, the old one untouched"""
    not_proved(tool, [], {"method": "POST", "path": "/unwrapkey", "kind": "bad_value"}, 65)


def refused(tool):
    """a vault that refuses the unwrap fails the proof, and its reason is told"""
    body = '{"error":{"code":"Forbidden","message":"no","innererror":{"code":"ForbiddenByRbac"}}}'
    not_proved(tool, [], {"method": "POST", "path": "/unwrapkey", "kind": "status", "status": 403, "body": body, "count": 9}, 77)


def unknown(tool):
    """a key that does not exist is exit 66"""
    tool.refuses(66, ["nobody"], "rotate", "nobody", config=tool.operator)


SCENARIOS = (rsa, rsa_signing, ec, wrong_bytes, refused, unknown)
