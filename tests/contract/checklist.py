#!/usr/bin/python3
"""What the contract demands and no recording shows: request grammar, tokens, permissions, states, paging, restarts.

Usage: checklist.py EMULATOR
A check is a function; its docstring is the sentence that is printed."""

import base64
import hashlib
import http.client
import os
import sys
import tempfile
import urllib.parse

import assertions
from emulator import Emulator, Reply

API = "api-version=7.6"
VALUE = base64.urlsafe_b64encode(hashlib.sha256(b"kvp11").digest()).rstrip(b"=").decode()
IDENTITIES = (("--identity", "nolist:nolist-secret:*,-list"), ("--identity", "one:one-secret:get@grammar"))


def create(em, name, vault="prod", **body):
    reply = em.call(vault, "POST", f"/keys/{name}/create?{API}", {"kty": "RSA", **body})
    assert reply.status == 200, reply.text
    return reply.json()


def version(bundle):
    return bundle["key"]["kid"].rsplit("/", 1)[1]


def expect(reply, status, code=None, inner=None):
    assert reply.status == status, f"status {reply.status}, not {status}: {reply.text[:300]}"
    error = reply.json()["error"] if code else {}
    assert not code or error["code"] == code, error
    assert not inner or error["innererror"]["code"] == inner, error
    return reply


def request_grammar(em):
    """verbs in any case, empty segments, a trailing slash and percent-encoded query names are understood"""
    bundle = create(em, "grammar")
    for path in ("wrapkey", "wrapKey", "WRAPKEY", "/wrapKey"):
        reply = em.call("prod", "POST", f"/keys/grammar/{path}?{API}", {"alg": "RSA-OAEP", "value": VALUE})
        assert expect(reply, 200).json()["kid"] == bundle["key"]["kid"]
    for path in ("/keys/grammar/?api-version=7.6", "/keys/grammar?api%2Dversion=7.6", "//keys//grammar?api-version=7.6"):
        assert expect(em.call("prod", "GET", path), 200).json() == bundle


def api_versions(em):
    """stable, preview and dated api-versions are taken; a missing or unknown one is BadParameter"""
    for name in ("7.0", "7.3", "7.4", "7.5", "7.6", "7.6-preview.2", "2025-07-01", "2026-04-01"):
        expect(em.call("prod", "GET", f"/keys/grammar?api-version={name}"), 200)
    for query in ("", "?api-version=", "?api-version=1.0", "?api-version=yesterday"):
        expect(em.call("prod", "GET", f"/keys/grammar{query}"), 400, "BadParameter")


def tokens(em):
    """a forged, a foreign and an expired token are refused with the challenge; a body without token is never read"""
    good = em.token("prod")
    head, claims, signature = good.split(".")
    forged = ".".join((head, claims, signature[:-8] + ("AAAAAAAA" if signature[-8:] != "AAAAAAAA" else "BBBBBBBB")))
    for token in (forged, em.token("hsm"), "nonsense"):
        reply = em.send("prod", "GET", f"/keys/grammar?{API}", None, {"Authorization": f"Bearer {token}"})
        assert 'resource="https://vault.localhost"' in expect(reply, 401).header("www-authenticate")
    em.advance_clock(100000)
    expect(em.send("prod", "GET", f"/keys/grammar?{API}", None, {"Authorization": f"Bearer {good}"}), 401)
    em.advance_clock(-100000)
    expect(em.send("prod", "GET", f"/keys/grammar?{API}", None, {"Authorization": f"Bearer {good}"}), 200)
    expect(em.send("prod", "POST", f"/keys/none/create?{API}", b"{not json"), 401)


def token_endpoint(em):
    """the token endpoint refuses a wrong secret, a wrong tenant and an unknown scope as Entra does"""
    good = {"grant_type": "client_credentials", "client_id": "operator", "client_secret": "operator-secret",
            "scope": "https://vault.localhost/.default"}
    other = "99999999-2222-3333-4444-555555555555"
    for tenant, change in ((em.ready["tenant"], {"client_secret": "wrong"}), (em.ready["tenant"], {"client_id": "who"}),
                           (other, {}), (em.ready["tenant"], {"scope": ""})):
        reply = em.send("login", "POST", f"/{tenant}/oauth2/v2.0/token",
                        urllib.parse.urlencode({**good, **change}).encode(),
                        {"Content-Type": "application/x-www-form-urlencoded"})
        assert reply.status in (400, 401), f"{change}: {reply.status}"
        error = reply.json()
        assert error["error"] and error["error_description"].startswith("AADSTS") and error["error_codes"], error


def imds(em):
    """IMDS wants the Metadata header and gives its times as strings; its token works"""
    path = "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fvault.localhost"
    def ask(headers):
        connection = http.client.HTTPConnection("127.0.0.1", em.ready["imds_port"], timeout=30)
        connection.request("GET", path, None, headers)
        return Reply(connection.getresponse())
    expect(ask({}), 400)
    token = expect(ask({"Metadata": "true"}), 200).json()
    assert isinstance(token["expires_in"], str) and isinstance(token["expires_on"], str), token
    reply = em.send("prod", "GET", f"/keys/grammar?{API}", None, {"Authorization": f"Bearer {token['access_token']}"})
    expect(reply, 200)


def permissions(em):
    """an identity may lack one action, or have it for one key only"""
    create(em, "other")
    expect(em.call("prod", "GET", f"/keys/grammar?{API}", identity="nolist"), 200)
    for path in ("/keys", "/keys/grammar/versions", "/deletedkeys"):
        expect(em.call("prod", "GET", f"{path}?{API}", identity="nolist"), 403, "Forbidden", "ForbiddenByRbac")
    expect(em.call("prod", "GET", f"/keys/grammar?{API}", identity="one"), 200)
    expect(em.call("prod", "GET", f"/keys/other?{API}", identity="one"), 403, "Forbidden", "ForbiddenByRbac")
    create(em, "rights", "hsm", kty="EC")
    expect(em.call("hsm", "DELETE", f"/keys/rights?{API}", identity="workload"), 403, "AccessDenied")


STATES = (
    # state,        attributes,             encrypt wrapkey sign | decrypt unwrapkey verify
    ("disabled",      lambda now: {"enabled": False},   "KeyDisabled", "KeyDisabled"),
    ("expired",       lambda now: {"exp": now - 3600},  "KeyExpired", None),
    ("not yet valid", lambda now: {"nbf": now + 3600},  "KeyNotYetValid", None),
)


def states(em):
    """disabled blocks all operations; expired and not yet valid block encrypt, wrap and sign only; get always works"""
    now = em.control("GET", "/clock")["now"]
    inputs = {"encrypt": ("RSA-OAEP", VALUE), "wrapkey": ("RSA-OAEP", VALUE), "sign": ("RS256", VALUE)}
    backward = {"encrypt": "decrypt", "wrapkey": "unwrapkey", "sign": "verify"}
    for state, attributes, forth, back in STATES:
        name = "state-" + state.replace(" ", "-")
        create(em, name)
        made = {verb: expect(em.call("prod", "POST", f"/keys/{name}/{verb}?{API}", {"alg": alg, "value": value}),
                             200).json()["value"] for verb, (alg, value) in inputs.items()}
        expect(em.call("prod", "PATCH", f"/keys/{name}?{API}", {"attributes": attributes(now)}), 200)
        expect(em.call("prod", "GET", f"/keys/{name}?{API}"), 200)
        for verb, (alg, value) in inputs.items():
            reply = em.call("prod", "POST", f"/keys/{name}/{verb}?{API}", {"alg": alg, "value": value})
            expect(reply, 403, "Forbidden", forth)
            body = {"alg": alg, "value": made[verb], **({"digest": value} if verb == "sign" else {})}
            reply = em.call("prod", "POST", f"/keys/{name}/{backward[verb]}?{API}", body)
            expect(reply, 403 if back else 200, back and "Forbidden", back)


def old_versions(em):
    """every version keeps its own key: the old one decrypts by its id, the latest answers the bare name"""
    old = create(em, "versions")
    made = em.call("prod", "POST", f"/keys/versions/wrapkey?{API}", {"alg": "RSA-OAEP-256", "value": VALUE}).json()
    new = expect(em.call("prod", "POST", f"/keys/versions/rotate?{API}"), 200).json()
    assert made["kid"] == old["key"]["kid"] and new["key"]["n"] != old["key"]["n"]
    body = {"alg": "RSA-OAEP-256", "value": made["value"]}
    reply = expect(em.call("prod", "POST", f"/keys/versions/{version(old)}/unwrapkey?{API}", body), 200).json()
    assert reply == {"kid": old["key"]["kid"], "value": VALUE}, reply
    expect(em.call("prod", "POST", f"/keys/versions/unwrapkey?{API}", body), 400, "BadParameter")
    assert expect(em.call("prod", "GET", f"/keys/versions?{API}"), 200).json() == new
    expect(em.call("prod", "GET", f"/keys/versions/{'0' * 32}?{API}"), 404, "KeyNotFound")


def pages(em):
    """pages of a size asked for, sorted by name; with holes an empty page still continues; every key once"""
    for number in range(7):
        create(em, f"page-{number}", "dr", kty="EC")
    for holes in (False, True):
        em.control("POST", "/settings", {"page_holes": holes})
        names, empty, path = [], 0, f"/keys?{API}&maxresults=3"
        while path:
            page = expect(em.call("dr", "GET", path), 200).json()
            assert len(page["value"]) <= 3
            empty += not page["value"]
            names += [item["kid"].rsplit("/", 1)[1] for item in page["value"]]
            link = urllib.parse.urlsplit(page["nextLink"] or "")
            assert not link.netloc or link.netloc == f"dr.vault.localhost:{em.ready['port']}", link
            path = f"{link.path}?{link.query}" if link.path else None
        assert names == [f"page-{number}" for number in range(7)], names
        assert (empty > 0) == holes, f"{empty} empty pages"
    em.control("POST", "/settings", {"page_holes": False})
    for wrong in ("0", "26", "-1", "many"):
        expect(em.call("prod", "GET", f"/keys?{API}&maxresults={wrong}"), 400, "BadParameter")


def bad_bodies(em):
    """a broken body, a wrong type or a missing member is 400 BadParameter and changes nothing"""
    for body in (b"{", b"[]", b'"x"', b"{}", b'{"kty":7}', b'{"kty":"DSA"}', b'{"kty":"RSA","key_size":"big"}',
                 b'{"kty":"RSA","key_size":1024}', b'{"kty":"EC","crv":"P-192"}', b'{"kty":"RSA","key_ops":["fly"]}'):
        reply = em.send("prod", "POST", f"/keys/broken/create?{API}", body,
                        {"Authorization": f"Bearer {em.token('prod')}", "Content-Type": "application/json"})
        assert reply.status == 400, f"{body}: {reply.status}"
        assert reply.json()["error"]["code"] == "BadParameter", reply.text
    expect(em.call("prod", "GET", f"/keys/broken?{API}"), 404, "KeyNotFound")
    expect(em.call("prod", "POST", f"/keys/bad_name/create?{API}", {"kty": "EC"}), 400, "BadParameter")
    expect(em.call("prod", "POST", f"/keys/restore?{API}", {"value": VALUE}), 400, "BadParameter")


def key_sizes(em):
    """the size of a symmetric key is told since 2026-04-01, and of no other kind"""
    for name, body, size in (("sized", {"kty": "oct-HSM", "key_size": 192}, 192), ("unsized", {"kty": "EC-HSM"}, None)):
        expect(em.call("hsm", "POST", f"/keys/{name}/create?{API}", body), 200)
        told = expect(em.call("hsm", "GET", f"/keys/{name}?api-version=2026-04-01"), 200).json()["attributes"]
        assert told.get("key_size") == size, told
        assert "key_size" not in expect(em.call("hsm", "GET", f"/keys/{name}?{API}"), 200).json()["attributes"]


def standard_vault(em):
    """a standard vault has no HSM keys and no random bytes"""
    for kty in ("RSA-HSM", "EC-HSM", "oct-HSM"):
        reply = em.call("prod", "POST", f"/keys/no-hsm/create?{API}", {"kty": kty})
        assert 400 <= reply.status < 500, f"{kty}: {reply.status}"
    assert em.call("prod", "POST", f"/rng?{API}", {"count": 8}).status in (400, 404, 405)
    for count in (0, 129):
        expect(em.call("hsm", "POST", f"/rng?{API}", {"count": count}), 400, "BadParameter")


def backup_elsewhere(em):
    """a backup restores all versions in another vault once, and not twice"""
    old = create(em, "moved")
    made = em.call("prod", "POST", f"/keys/moved/wrapkey?{API}", {"alg": "RSA-OAEP", "value": VALUE}).json()["value"]
    expect(em.call("prod", "POST", f"/keys/moved/rotate?{API}"), 200)
    blob = expect(em.call("prod", "POST", f"/keys/moved/backup?{API}"), 200).json()
    raw = base64.urlsafe_b64decode(blob["value"] + "=" * (-len(blob["value"]) % 4))
    assert raw.startswith(b"&AzureKeyVaultKeyBackupV1.microsoft.com"), raw[:60]
    expect(em.call("dr", "POST", f"/keys/restore?{API}", blob), 200)
    expect(em.call("dr", "POST", f"/keys/restore?{API}", blob), 409, "Conflict")
    body = {"alg": "RSA-OAEP", "value": made}
    reply = expect(em.call("dr", "POST", f"/keys/moved/{version(old)}/unwrapkey?{API}", body), 200)
    assert reply.json()["value"] == VALUE


def copied(em):
    """the control API copies a key into another vault of its kind, by another name too: the versions stay, and what was wrapped opens there"""
    old = create(em, "twin")
    made = em.call("prod", "POST", f"/keys/twin/wrapkey?{API}", {"alg": "RSA-OAEP", "value": VALUE}).json()["value"]
    for where in ({"to": "dr"}, {"to": "dr", "as": "other"}):
        em.control("POST", "/vaults/prod/keys/twin/copy", where)
        reply = expect(em.call("dr", "POST", f"/keys/{where.get('as', 'twin')}/{version(old)}/unwrapkey?{API}", {"alg": "RSA-OAEP", "value": made}), 200)
        assert reply.json()["value"] == VALUE
    for where in ({"to": "dr"}, {"to": "hsm"}, {"to": "prod"}, {"to": "nobody"}, {}):
        try:
            em.control("POST", "/vaults/prod/keys/twin/copy", where)
        except RuntimeError:
            continue
        raise AssertionError(f"copied to {where}")


def certify(em, name, **properties):
    policy = {"issuer": {"name": "Self"}, "x509_props": {"subject": f"CN={name}", **properties}}
    reply = expect(em.call("prod", "POST", f"/certificates/{name}/create?{API}", {"policy": policy}), 202)
    assert reply.header("retry-after") == "10" and f"/certificates/{name}/pending" in reply.header("location")
    pending = expect(em.call("prod", "GET", f"/certificates/{name}/pending?{API}"), 200).json()
    assert pending["status"] == "completed" and pending["target"].endswith(f"/certificates/{name}")
    return expect(em.call("prod", "GET", f"/certificates/{name}?{API}"), 200).json()


def certificates(em):
    """a certificate has a key and a secret of its version; its key says managed and inherits nbf and exp"""
    bundle = certify(em, "web", validity_months=3)
    der = base64.b64decode(bundle["cer"], validate=True)
    thumbprint = base64.urlsafe_b64encode(hashlib.sha1(der).digest()).rstrip(b"=").decode()
    assert bundle["x5t"] == thumbprint
    ids = [bundle[name].rsplit("/", 3)[-3:] for name in ("id", "kid", "sid")]
    assert [parts[0] for parts in ids] == ["certificates", "keys", "secrets"]
    assert len({(name, made) for _, name, made in ids}) == 1
    key = expect(em.call("prod", "GET", f"/keys/web/{ids[0][2]}?{API}"), 200).json()
    assert key["managed"] is True and key["key"]["key_ops"] == ["sign", "verify", "wrapKey", "unwrapKey"]
    assert all(key["attributes"][name] == bundle["attributes"][name] for name in ("nbf", "exp"))
    listed = expect(em.call("prod", "GET", f"/keys?{API}&maxresults=25"), 200).json()["value"]
    assert [item.get("managed") for item in listed if item["kid"].endswith("/web")] == [True]
    item = expect(em.call("prod", "GET", f"/certificates?{API}"), 200).json()["value"][0]
    assert list(item) == ["id", "x5t", "attributes", "tags", "subject"] and "recoveryLevel" not in item["attributes"]


def certificate_renewal(em):
    """renewing a certificate makes a version with a new key, and the old one stays to be read"""
    old = certify(em, "renewed")
    expect(em.call("prod", "POST", f"/certificates/renewed/create?{API}", {}), 202)
    new = expect(em.call("prod", "GET", f"/certificates/renewed?{API}"), 200).json()
    assert new["kid"] != old["kid"] and new["cer"] != old["cer"]
    assert expect(em.call("prod", "GET", f"/certificates/renewed/{old['id'].rsplit('/', 1)[1]}?{API}"), 200).json()["cer"] == old["cer"]
    versions = expect(em.call("prod", "GET", f"/certificates/renewed/versions?{API}"), 200).json()["value"]
    assert [item["id"] for item in versions] == sorted((old["id"], new["id"]))


def certificate_expiry(em):
    """after the certificate's end its key does not sign but the certificate can be read"""
    bundle = certify(em, "short", validity_months=1)
    path = "/keys/" + bundle["kid"].split("/keys/")[1]
    body = {"alg": "RS256", "value": VALUE}
    expect(em.call("prod", "POST", f"{path}/sign?{API}", body), 200)
    em.advance_clock(40 * 86400)
    em.tokens.clear()
    expect(em.call("prod", "POST", f"{path}/sign?{API}", body), 403, "Forbidden", "KeyExpired")
    expect(em.call("prod", "GET", f"/certificates/short?{API}"), 200)
    em.advance_clock(-40 * 86400)
    em.tokens.clear()


def managed_keys(em):
    """the key of a certificate is not created, rotated, imported or deleted by itself, nor its secret read"""
    certify(em, "bound")
    for method, path in (("POST", "/create"), ("POST", "/rotate"), ("DELETE", "")):
        expect(em.call("prod", method, f"/keys/bound{path}?{API}", {"kty": "RSA"} if path == "/create" else None), 403, "Forbidden")
    expect(em.call("prod", "GET", f"/secrets/bound?{API}"), 403, "Forbidden")
    create(em, "ordinary")
    expect(em.call("prod", "GET", f"/certificates/ordinary?{API}"), 404, "CertificateNotFound")
    expect(em.call("prod", "POST", f"/certificates/ordinary/create?{API}", {"policy": {"x509_props": {"subject": "CN=x"}}}), 409)
    expect(em.call("prod", "DELETE", f"/certificates/ordinary?{API}"), 404, "CertificateNotFound")
    expect(em.call("prod", "DELETE", f"/certificates/bound?{API}"), 200)
    expect(em.call("prod", "GET", f"/keys/bound?{API}"), 404, "KeyNotFound")
    expect(em.call("hsm", "GET", f"/certificates?{API}"), 404)


def certificate_permissions(em):
    """the default workload may get certificates but not list them; one with keys alone may do neither"""
    certify(em, "guarded")
    expect(em.call("prod", "GET", f"/certificates/guarded?{API}", identity="workload"), 200)
    reply = expect(em.call("prod", "GET", f"/certificates?{API}", identity="workload"), 403, "Forbidden", "ForbiddenByRbac")
    assert "vaults/certificates/read" in reply.text
    expect(em.call("prod", "GET", f"/certificates/guarded?{API}", identity="restore"), 403, "Forbidden", "ForbiddenByRbac")


def survives_kill(program):
    """with --state, keys, versions, attributes and certificates survive kill -9, and SIGTERM ends it with 0"""
    with tempfile.TemporaryDirectory(prefix="kvp11-contract-") as state:
        with Emulator(program, "--state", os.path.join(state, "s")) as em:
            old = create(em, "kept")
            made = em.call("prod", "POST", f"/keys/kept/wrapkey?{API}", {"alg": "RSA-OAEP", "value": VALUE}).json()
            new = em.call("prod", "POST", f"/keys/kept/rotate?{API}").json()
            sealed = certify(em, "sealed")
            em.process.kill()
        with Emulator(program, "--state", os.path.join(state, "s")) as em:
            again = expect(em.call("prod", "GET", f"/keys/kept?{API}"), 200).json()
            assert version(again) == version(new) and again["attributes"] == new["attributes"]
            kept = expect(em.call("prod", "GET", f"/certificates/sealed?{API}"), 200).json()
            assert all(kept[name] == sealed[name] for name in ("cer", "x5t", "attributes"))
            reply = em.call("prod", "POST", f"/keys/kept/{version(old)}/unwrapkey?{API}",
                            {"alg": "RSA-OAEP", "value": made["value"]})
            assert expect(reply, 200).json()["value"] == VALUE
            em.process.terminate()
            assert em.process.wait(timeout=30) == 0


CHECKS = (request_grammar, api_versions, tokens, token_endpoint, imds, permissions, states, old_versions, pages,
          bad_bodies, key_sizes, standard_vault, backup_elsewhere, copied, certificates, certificate_renewal, certificate_expiry, managed_keys,
          certificate_permissions, *assertions.CHECKS)


def attempt(check, argument):
    try:
        check(argument)
        print(f"ok - contract: {check.__doc__}")
        return 0
    except (AssertionError, KeyError, TypeError, ValueError, RuntimeError, OSError, http.client.HTTPException) as error:
        print(f"not ok - contract: {check.__doc__}")
        print(f"#   line {error.__traceback__.tb_next.tb_lineno}: {type(error).__name__} {str(error)[:300]}")
        return 1


def main(program):
    with Emulator(program, *(word for pair in IDENTITIES for word in pair)) as em:
        failures = sum(attempt(check, em) for check in CHECKS)
    failures += attempt(survives_kill, program)
    return 1 if failures else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
