"""Every member of every document, one after the other, with a value of every other type: an error, or the answer as if nothing had been; never a wrong value."""
import copy
import json

from server import reply
from world import HOST, KEY, LOGIN, OK, PLAIN, VERSION, b64

HUGE = 10 ** 30
VALUES = (None, True, 1.5, 7, HUGE, "x", "AAAA", "", "a\x1b[31mb", [], [[]], {}, {"x": {"y": 1}})
REMOVED = object()


def paths(document, before=()):
    """Where everything stands, the whole included."""
    yield before
    children = document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    for name, child in children:
        yield from paths(child, before + (name,))


def changed(document, path, value):
    if not path:
        return value
    copied = copy.deepcopy(document)
    at = copied
    for name in path[:-1]:
        at = at[name]
    if value is REMOVED:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return copied


def found(document, path):
    for name in path:
        document = document[name]
    return document


def kind(value):
    for name, types in (("none", type(None)), ("bool", bool), ("number", (int, float)), ("text", str), ("list", list), ("object", dict)):
        if isinstance(value, types):
            return name
    return "?"


class Walk:
    """`put(document)` places it in the world; `ask()` gives an outcome: None is an error, else a dict of what was learnt. Members in `known`, when they have
    another value of their own type, must lead to an error; the others may then say something else."""

    def __init__(self, world, document, put, ask, known=()):
        self.world, self.document, self.put, self.ask, self.known = world, document, put, ask, known
        self.cases = 0

    def outcome(self, document):
        self.put(document)
        self.cases += 1
        return self.ask()

    def fail(self, path, value, got, why):
        raise AssertionError(f"member {'.'.join(map(str, path)) or '(all)'} = {json.dumps(value)[:60]}: {why}: {json.dumps(got)[:700]}\n{self.world.logged()[-1500:]}")

    def judge(self, path, value, got, allowed):
        same_kind = kind(found(self.document, path)) == kind(value)
        if got is None:
            if not self.world.logged().strip():
                self.fail(path, value, got, "an error without a line in the log")
        elif got not in allowed and not same_kind:
            self.fail(path, value, got, "a wrong value was taken")
        elif same_kind and path in self.known and got not in allowed:
            self.fail(path, value, got, "this names the key and was believed")
        if any(c < " " and c != "\n" for c in self.world.logged()):
            self.fail(path, value, got, "a control character in the log")

    def run(self):
        honest = self.outcome(self.document)
        assert honest is not None, f"the honest document is refused: {self.world.logged()}"
        for path in list(paths(self.document)):
            without = self.outcome(changed(self.document, path, REMOVED)) if path else None
            for value in VALUES:
                if value == found(self.document, path) and kind(value) == kind(found(self.document, path)):
                    continue
                got = self.outcome(changed(self.document, path, value))
                self.judge(path, value, got, [honest, without])
        return self.cases


def objects_of(answer, step):
    """What was learnt of each object, by label and class, or None when the search failed or found nothing."""
    return {o["label"]: o for o in answer["objects"]} or None if answer[step] == OK else None


def bundle_walk(world, key, known):
    def put(document):
        world.key = document

    return Walk(world, key, put, lambda: objects_of(world.live(f"find={KEY}"), "find"), known).run()


def rsa_bundle(world):
    """an RSA key's document, each member with a value of each type"""
    return bundle_walk(world, world.key, {("key", n) for n in ("kid", "kty", "n", "e")} | {("key",)})


def ec_bundle(world):
    """an EC key's document, each member with a value of each type"""
    point = bytes.fromhex("6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
                          "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5")
    key = copy.deepcopy(world.key)
    key["key"] = {"kid": world.kid(KEY, VERSION), "kty": "EC", "key_ops": ["sign", "verify"], "crv": "P-256", "x": b64(point[:32]), "y": b64(point[32:])}
    return bundle_walk(world, key, {("key", n) for n in ("kid", "kty", "crv", "x", "y")} | {("key",)})


def keys_page(world):
    """the list of keys, each member with a value of each type; one broken item hides no other"""
    def put(document):
        world.pages["/keys"] = document

    def ask():
        got = objects_of(world.live("list"), "list")
        return got and {label: got[label] for label in sorted(got)}

    first = world.pages["/keys"]
    walk = Walk(world, first, put, ask)
    honest = walk.outcome(first)
    assert set(honest) == {KEY, "signer"}, honest
    for path in paths(first):
        for value in VALUES:
            got = walk.outcome(changed(first, path, value))
            if got and any(honest.get(label) != o for label, o in got.items()):
                walk.fail(path, value, got, "a wrong value was taken")
            if path[:2] == ("value", 0) and (not got or "signer" not in got):
                walk.fail(path, value, got, "a broken item hid another key")
            if path == ("nextLink",) and kind(value) not in ("none", "text") and not world.logged().strip():
                walk.fail(path, value, got, "a page without its end was believed in silence")
    return walk.cases


def versions_page(world):
    """the list of a key's versions, each member with a value of each type"""
    def put(document):
        world.pages[f"/keys/{KEY}/versions"] = document

    first = world.pages[f"/keys/{KEY}/versions"]
    walk = Walk(world, first, put, lambda: objects_of(world.live("list"), "list"))
    honest = walk.outcome(first)
    for path in list(paths(first)):
        without = walk.outcome(changed(first, path, REMOVED)) if path else None
        for value in VALUES:
            got = walk.outcome(changed(first, path, value))
            for label, o in (got or {}).items():
                if value == [] and path == ("value",):  # a list of nothing is what a vault says of a deleted key
                    o["state"] = "enabled"
                same_kind = kind(found(first, path)) == kind(value)  # another value of its own kind is the vault's word
                if o not in (honest.get(label), (without or {}).get(label)) and (not same_kind or o["modulus"] != honest[label]["modulus"]):
                    walk.fail(path, value, got, "a wrong value was taken")
            if not got or "signer" not in got:
                walk.fail(path, value, got, "a broken list hid another key")
    return walk.cases


def operation(world, step, value):
    """Of the result: the return value, and the bytes when it was fine."""
    def put(document):
        world.result = document

    def ask():
        answer = world.live(f"find={KEY}", step)
        return {"value": answer[f"{step}-value"]} if answer[step] == OK else None

    document = {"kid": world.kid(KEY, VERSION), "value": b64(value), "alg": "x", "more": {"unknown": [1]}}
    return Walk(world, document, put, ask, {("kid",), ("value",)} if step == "sign" else {("kid",)}).run()


def sign_result(world):
    """the result of a signature: nothing but the whole signature of the right key"""
    return operation(world, "sign", bytes(range(256)))


def decrypt_result(world):
    """the result of a decryption, each member with a value of each type"""
    return operation(world, "decrypt", PLAIN)


def unwrap_result(world):
    """the result of an unwrap, each member with a value of each type"""
    return operation(world, "unwrap", PLAIN)


def refusal(world):
    """a refusal, each member with a value of each type: it stays a refusal"""
    document = {"error": {"code": "Forbidden", "message": "Operation sign is not allowed on a disabled key.", "innererror": {"code": "KeyDisabled"}}}
    cases = 0
    for path in list(paths(document)):
        for value in VALUES:
            world.answers("POST", "^/keys", reply(403, json.dumps(changed(document, path, value))))
            answer = world.live(f"find={KEY}", "sign")
            cases += 1
            assert answer["sign"] not in (OK, None), f"{path} = {value!r}: {answer}"
            assert "HTTP 403" in world.logged() and "\x1b" not in world.logged(), world.logged()
    return cases


def token(world):
    """a token reply, each member with a value of each type: the vault is told nothing but the token that was given"""
    cases = 0
    for path in list(paths(world.grant)):
        for value in VALUES + ("a\r\nX-Injected: yes", "a b", "a\x00b"):
            document = changed(world.grant, path, value)
            world.answers("POST", "oauth2/v2.0/token$", reply(200, json.dumps(document)))
            given = document.get("access_token") if isinstance(document, dict) else None
            world.tokens = {world.token, given} if isinstance(given, str) else {world.token}
            world.server.requests.clear()
            answer = world.live(f"find={KEY}")
            cases += 1
            for request in world.server.requests:
                assert "x-injected" not in request.headers, request
            if not isinstance(given, str) or any(c in given for c in "\r\n \0[") or given == "":
                assert answer["find"] != OK and not any(r.bearer for r in world.server.requests), f"{path} = {value!r}: {answer}"
                assert "access_token" in world.logged() or "token reply" in world.logged(), world.logged()
    return cases


def certificate(world):
    """a certificate's document, each member with a value of each type: this certificate or none"""
    import base64
    import hashlib
    from peers import openssl
    world.config = world.configure(certificates="vault")
    folder = world.folder
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", folder / "web.key", "-subj", "/CN=web", "-days", 30, "-outform", "DER", "-out", folder / "web.der")
    der = (folder / "web.der").read_bytes()
    modulus = openssl("x509", "-inform", "DER", "-in", folder / "web.der", "-noout", "-modulus").decode().strip().split("=")[1]
    world.key["key"]["n"], world.key["managed"] = b64(bytes.fromhex(modulus)), True
    world.pages["/keys"] = {"value": [{**world.item(KEY), "managed": True}]}
    document = {"id": world.kid(KEY, VERSION, "certificates"), "kid": world.kid(KEY, VERSION), "sid": world.kid(KEY, VERSION, "secrets"),
                "x5t": b64(hashlib.sha1(der).digest()), "cer": base64.b64encode(der).decode(), "attributes": {"enabled": True}}

    def put(changed_document):
        world.answers("GET", "^/certificates", reply(200, json.dumps(changed_document)))

    def ask():
        answer = world.live("certificates")
        return {"certificates": answer["objects"]} if answer["certificates"] == OK and answer["objects"] else None

    return Walk(world, document, put, ask, {(n,) for n in ("id", "kid", "sid", "x5t", "cer")}).run()


SCENARIOS = (rsa_bundle, ec_bundle, keys_page, versions_page, sign_result, decrypt_result, unwrap_result, refusal, token, certificate)
