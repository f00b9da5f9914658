"""Replies that no vault gives."""
import json
import time

from server import reply
from world import DEVICE_ERROR, DISABLED, HOST, KEY, LOGIN, OK, OLDER, PLAIN, TIMED_OUT, VERSION, b64

HEAD = b"HTTP/1.1 200 OK\r\n"


def search_fails(world, answer, codes, *words, seconds=None):
    """What is said to a GET of the key; the code returned and a line of the log. Returns how long it took."""
    world.answers("GET", "^/keys", answer)
    began = time.monotonic()
    got = world.live(f"find={KEY}")
    took = time.monotonic() - began
    assert got["find"] in codes, f"{got['find']:#x}: {world.logged()}"
    assert any(all(w in line for w in words) for line in world.logged().splitlines()), f"{words} not in {world.logged()}"
    assert seconds is None or took < seconds, f"{took:.1f} s"
    return took


def sign_fails(world, answer, codes, *words):
    world.answers("POST", "^/keys", answer)
    got = world.live(f"find={KEY}", "sign")
    assert got["sign"] in codes, f"{got}: {world.logged()}"
    assert any(all(w in line for w in words) for line in world.logged().splitlines()), f"{words} not in {world.logged()}"


# --- sizes ---

def large_headers(world):
    """a header of 200 KiB, and 20,000 headers: too large, at the first attempt"""
    for head in (b"X-Large: " + b"a" * 200000 + b"\r\n", b"X-Many: a\r\n" * 20000):
        world.server.requests.clear()
        search_fails(world, HEAD + head + b"Content-Length: 2\r\n\r\n{}", [DEVICE_ERROR], HOST, "too large")
        assert sum(bool(r.bearer) for r in world.server.requests) == 1, world.server.requests


def endless(world, lead, unit):
    def say(request):
        yield lead
        while True:
            yield unit

    world.server.sent = 0
    search_fails(world, say, [DEVICE_ERROR], HOST, "too large", seconds=9)
    assert world.server.sent < 64 << 20, f"{world.server.sent} bytes were taken"


def endless_body(world):
    """a body without end: given up at its bound, long before the deadline"""
    endless(world, HEAD + b"\r\n", b" " * 65536)


def endless_chunks(world):
    """chunks without end"""
    endless(world, HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"[" * 65536 + b"\r\n")


def endless_interim(world):
    """100 Continue without end"""
    endless(world, b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 200)


def endless_headers(world):
    """headers without end"""
    endless(world, HEAD, b"X-More: more\r\n" * 1000)


def wrong_lengths(world):
    """lengths that are negative, huge, two at once, or more than comes"""
    body = json.dumps(world.key).encode()
    honest = world.live(f"find={KEY}")["objects"]
    for head in (b"Content-Length: -5", b"Content-Length: 99999999999999999999999", b"Content-Length: 2\r\nContent-Length: 700", b"Content-Length: 0x10"):
        world.answers("GET", "^/keys", lambda request, head=head: iter([HEAD + head + b"\r\nConnection: close\r\n\r\n" + body, 0.1]))
        got = world.live(f"find={KEY}", config=world.configure(timeout=2))
        assert got["find"] != OK or got["objects"] == honest, f"{head}: {got}"


def large_length(world):
    """a length of a terabyte"""
    search_fails(world, HEAD + b"Content-Length: 1099511627776\r\n\r\n{", [DEVICE_ERROR, TIMED_OUT], HOST, seconds=11)


# --- JSON ---

def strange_json(world):
    """JSON too deep, with a member twice, a NUL, a cut, or something behind it"""
    honest = json.dumps(world.key)
    for body in ("[" * 100000, '{"key":' * 5000, '{"a":' * 31 + honest + "}" * 31 + "}", honest[:-1], honest + honest, honest + "x", "",
                 honest.replace('"kty": "RSA"', '"kty": "RSA", "kty": "EC"'), honest.replace('"kty": "RSA"', '"kty": "RSA", "k\\u0074y": "RSA"'),
                 '{"key": {}, ' + honest[1:], honest.replace("RSA", "RSA\\u0000"), honest.replace("RSA", "RSA\0"), honest.replace("RSA", "RSA\n"),
                 honest.replace('"AQAB"', "'AQAB'"), honest.replace("true", "TRUE"), honest.replace("true", "true, // yes"), "NaN", honest.replace("90", "NaN"),
                 honest.replace("90", "Infinity"), honest.replace("90", "0090"), "\xef\xbb\xbf{}", "<html><body>Login</body></html>"):
        search_fails(world, reply(200, body), [DEVICE_ERROR], "vault 'prod'", "JSON")


def wrong_encodings(world):
    """a packed body, and one in UTF-16, are not looked into"""
    import gzip
    honest = json.dumps(world.key)
    search_fails(world, reply(200, gzip.compress(honest.encode()), Content_Encoding="gzip"), [DEVICE_ERROR], "not JSON")
    search_fails(world, reply(200, honest.encode("utf-16")), [DEVICE_ERROR], "not JSON")


def bad_utf8(world):
    """bytes that are no UTF-8, and characters that drive a terminal: neither is shown"""
    honest = json.dumps(world.key).encode()
    for bad in (b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x80"):
        search_fails(world, reply(200, honest.replace(b'"b"', b'"' + bad + b'"')), [DEVICE_ERROR], "not UTF-8")
        world.override.clear()
        refusal = b'{"error":{"code":"Forbidden","message":"' + bad + b'"}}'
        sign_fails(world, reply(403, refusal), range(1, 1 << 32), "HTTP 403")
        world.logged().encode("ascii")
        world.override.clear()
    for character in "\x1b\x07\x85\x9b":
        sign_fails(world, reply(403, json.dumps({"error": {"code": "For" + character, "message": "a" + character + "b"}})), range(1, 1 << 32), "HTTP 403")
        assert character not in world.logged(), world.logged()


# --- whose result is it? ---

def wrong_kid(world):
    """a result that names another version or another key is not used"""
    for kid in (world.kid(KEY, OLDER), world.kid("signer", VERSION), world.kid(KEY), world.kid(KEY + "x", VERSION), world.kid(KEY, VERSION + "0"),
                world.kid(KEY, VERSION, "secrets"), "", "x", f"https://{HOST}/keys/../keys/{KEY}/{VERSION}"):
        sign_fails(world, reply(200, json.dumps({"kid": kid, "value": b64(bytes(256))})), [DEVICE_ERROR], "sign", KEY)
        assert "CKR_DEVICE_ERROR" in world.logged()


def wrong_bundle(world):
    """a document of another key, asked for by name: the key is not shown"""
    for name in ("signer", "backup-kek2", "backup"):
        search_fails(world, reply(200, json.dumps(world.bundle(name, VERSION))), [DEVICE_ERROR], KEY, name, "was asked for")


def wrong_size(world):
    """a signature that is shorter or longer than the key's"""
    for size in (0, 1, 64, 255, 257, 512):
        sign_fails(world, reply(200, json.dumps({"kid": world.kid(KEY, VERSION), "value": b64(bytes(size))})), [DEVICE_ERROR], KEY)


def long_plaintext(world):
    """a plaintext that is longer than the key could have held"""
    for size in (191, 257, 5000):
        world.answers("POST", "^/keys", reply(200, json.dumps({"kid": world.kid(KEY, VERSION), "value": b64(bytes(size))})))
        for step in ("decrypt", "unwrap"):
            got = world.live(f"find={KEY}", step)
            assert got[step] != OK, f"{size} bytes: {got}"


def replayed(world):
    """the reply of another operation, sent again: of another key or version it is refused, and a refusal said again stays one"""
    old = json.dumps({"kid": world.kid(KEY, OLDER), "value": b64(PLAIN)})
    for step in ("decrypt", "unwrap", "sign"):
        world.answers("POST", "^/keys", reply(200, old))
        got = world.live(f"find={KEY}", step)
        assert got[step] == DEVICE_ERROR and "is not used" in world.logged(), f"{got} {world.logged()}"


def swapped_kinds(world):
    """the document of one question as the answer to another"""
    bundle, page, result = json.dumps(world.key), json.dumps(world.pages["/keys"]), json.dumps(world.result)
    for body in (page, result, json.dumps(world.grant), json.dumps({"error": {"code": "x"}})):
        search_fails(world, reply(200, body), [DEVICE_ERROR], KEY)
    world.override.clear()
    for body in (bundle, page, json.dumps(world.grant)):
        sign_fails(world, reply(200, body), [DEVICE_ERROR], KEY)


def other_public_key(world):
    """the same version with another public key than before: the map's key stays and the log says so"""
    world.config = world.configure(map=world.folder / "map.db", refresh_seconds=0)
    first = world.live(f"find={KEY}")["objects"][0]
    world.key["key"]["n"] = world.bundle("signer", VERSION)["key"]["n"]
    second = world.live(f"find={KEY}")
    assert all(o["modulus"] == first["modulus"] for o in second["objects"]), second
    assert "public key" in world.logged(), world.logged()


# --- elsewhere ---

def redirects(world):
    """redirects of every kind, to another host or the same: not followed"""
    for status in (301, 302, 303, 307, 308):
        for where in (f"{world.evil_url}/keys/{KEY}", f"/keys/{KEY}/{OLDER}", "//evil.vault.localhost/"):
            world.server.requests.clear()
            search_fails(world, reply(status, "", Location=where), [DEVICE_ERROR], KEY, f"HTTP {status}")
            assert len([r for r in world.server.requests if r.bearer]) == 1, world.server.requests


def token_redirects(world):
    """a redirect of the token request: the secret does not follow it"""
    for status in (302, 307, 308):
        world.answers("POST", "oauth2", reply(status, "", Location=f"{world.evil_url}/token"))
        got = world.live(f"find={KEY}")
        assert got["find"] != OK and f"HTTP {status}" in world.logged(), f"{got} {world.logged()}"


def links(world):
    """a nextLink to another host, port or scheme, or of no form at all: not followed"""
    port = world.server.port
    for link in (f"{world.evil_url}/keys", f"http://{HOST}:{port}/keys", f"https://{HOST}/keys", f"https://{HOST}:{port}@evil.vault.localhost:{world.evil.port}/keys",
                 f"https://{HOST}:{port}.evil.example/keys", f"//evil.vault.localhost:{world.evil.port}/keys", "/keys?more", "x", "https://",
                 f"https:\\\\{HOST}:{port}/keys", f"https://{HOST}:{port}/keys HTTP/1.1\r\nX-Injected: yes\r\n\r\nGET /secrets", f"https://{HOST}:{port}/keys\tx",
                 f"https://{HOST}:{port}#@evil.vault.localhost:{world.evil.port}/", f"https://{HOST}\u3002evil.example:{port}/keys", f"https://user:word@{HOST}:{port}/keys"):
        world.pages["/keys"]["nextLink"] = link
        world.server.requests.clear()
        world.live("list")
        assert not any("x-injected" in r.headers or "secrets" in r.path for r in world.server.requests), world.server.requests
        assert "another host; not followed" in world.logged(), f"{link!r}: {world.logged()}"


def endless_pages(world):
    """pages that go on for ever end with the deadline"""
    world.pages["/keys"]["nextLink"] = f"{world.url}/keys?again"
    began = time.monotonic()
    world.live("list", config=world.configure(timeout=3))
    assert time.monotonic() - began < 6, "it went on for too long"


def alternative_service(world):
    """Alt-Svc, HSTS, cookies and Refresh move nobody"""
    body = json.dumps(world.key)
    world.answers("GET", "^/keys", reply(200, body, Alt_Svc=f'h2="evil.vault.localhost:{world.evil.port}"', Set_Cookie="a=b; Domain=localhost",
                                         Refresh=f"0;url={world.evil_url}", Location=f"{world.evil_url}/"))
    got = world.live(f"find={KEY}", "sign", "sign-again")
    assert got["sign"] == OK and got["sign-again"] == OK, f"{got} {world.logged()}"
    assert not any("cookie" in r.headers for r in world.server.requests), world.server.requests


def upgrade(world):
    """a change of protocol that nobody asked for"""
    search_fails(world, b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n" + b"\0" * 64, [DEVICE_ERROR, TIMED_OUT], HOST)


def no_http(world):
    """something that is not HTTP"""
    for words in (b"SSH-2.0-OpenSSH_9.2\r\n", b"\0\0\0\0\r\n\r\n", b"HTTP/0.9 200\r\n\r\n{}", b"HTTP/9.9 200 OK\r\n\r\n{}", b"{}\r\n\r\n"):
        world.config = world.configure(timeout=2)
        world.answers("GET", "^/keys", lambda request, words=words: iter([words, 0.2]))
        got = world.live(f"find={KEY}")
        assert got["find"] != OK, f"{words}: {got}"


def two_answers(world):
    """a second answer behind the first, for the next question to find: it is not taken for its answer"""
    honest, forged = json.dumps(world.result), json.dumps({"kid": world.kid(KEY, VERSION), "value": b64(b"\xff" * 256)})
    world.answers("POST", "^/keys", reply(200, honest) + reply(200, forged))
    got = world.live(f"find={KEY}", "sign", "sign-again")
    assert got["sign"] == OK and got["sign-value"] == "00" * 256, got
    assert got["sign-again"] != OK or got["sign-again-value"] == "00" * 256, got


# --- time ---

def drips(world):
    """a head, or a body, that comes a byte at a time: the call ends at its deadline"""
    def head(request):
        for byte in HEAD + b"X: " + b"a" * 1000:
            yield bytes([byte])
            yield 0.1

    def body(request):
        yield HEAD + b"Content-Length: 5000\r\n\r\n"
        for byte in json.dumps(world.key).encode():
            yield bytes([byte])
            yield 0.1

    world.config = world.configure(timeout=2)
    for answer in (head, body):
        took = search_fails(world, answer, [TIMED_OUT], HOST, "deadline")
        assert 1.8 < took < 4, f"{took:.1f} s"


def slow_token(world):
    """an authority that drips: the call ends at its deadline"""
    world.config = world.configure(timeout=2)
    world.answers("POST", "oauth2", lambda request: (part for byte in reply(200, json.dumps(world.grant)) for part in (bytes([byte]), 0.1)))
    began = time.monotonic()
    got = world.live(f"find={KEY}")
    assert got["find"] == TIMED_OUT and time.monotonic() - began < 4, f"{got} {time.monotonic() - began:.1f}"


def long_waits(world):
    """Retry-After of a year, of the past, of nonsense: never past the deadline"""
    for after in ("31536000", "-1", "1e9", "Fri, 31 Dec 9999 23:59:59 GMT", "Thu, 01 Jan 1970 00:00:00 GMT", "x" * 50000, "99999999999999999999", "\x80"):
        world.config = world.configure(timeout=2)
        world.answers("GET", "^/keys", reply(429, json.dumps({"error": {"code": "Throttled", "message": "x"}}), Retry_After=after))
        began = time.monotonic()
        got = world.live(f"find={KEY}")
        assert got["find"] != OK and time.monotonic() - began < 4, f"{after[:40]}: {got} {time.monotonic() - began:.1f} s"


def disabled_stays(world):
    """and after all that an ordinary refusal is told as what it is"""
    world.answers("POST", "^/keys", reply(403, json.dumps({"error": {"code": "Forbidden", "message": "x", "innererror": {"code": "KeyDisabled"}}})))
    assert world.live(f"find={KEY}", "sign")["sign"] == DISABLED, world.logged()


SCENARIOS = (large_headers, endless_body, endless_chunks, endless_interim, endless_headers, wrong_lengths, large_length, strange_json, wrong_encodings, bad_utf8,
             wrong_kid, wrong_bundle, wrong_size, long_plaintext, replayed, swapped_kinds, other_public_key, redirects, token_redirects, links, endless_pages,
             alternative_service, upgrade, no_http, two_answers, drips, slow_token, long_waits, disabled_stays)
