"""Names and versions are of a bounded kind: what is none of it never reaches a request line."""
import json
import re
import subprocess

from kvtest import clean_environment
from server import reply
from world import HOST, KEY, LOGIN, OK, VERSION

STRANGE = ("../secrets/x", "..", ".", "a/b", "a%2fb", "a%252fb", "a?b", "a#b", "a b", "a\r\nX-Injected: yes", "a\tb", "a;b", "a&b=c", "a\\b", "a@evil", "a:80", "a\u00e9b",
           "\u212aek", "a" * 128, "a" * 5000, "a\x01b", "a\x7fb", "", " ", "a_b", "a.b", "*", "?", "backup-kek/" + VERSION, "backup-kek@" + VERSION + "/../x",
           "backup-kek@a%2fb", "backup-kek@", "@" + VERSION, "backup-kek@" + "a" * 65, "backup-kek@\r\nx")
PATH = re.compile(r"/(keys|certificates)(/[0-9A-Za-z-]{1,127}(/[0-9A-Za-z-]{1,64})?(/[a-z]+)?)?(\?api-version=[0-9.]+(&[!-~]*)?)?")


def coded(text):
    return "".join(f"%{b:02x}" if b <= 0x20 or b >= 0x7f or b == 0x25 else chr(b) for b in text.encode())


def clean(world):
    """Every request line so far is one of ours."""
    for request in world.server.requests:
        assert "x-injected" not in request.headers, request
        assert request.host == LOGIN or PATH.fullmatch(request.path), request
        assert request.line.count(" ") == 2, request


def labels(world):
    """labels and identifiers in a search: a strange one finds nothing and is not sent"""
    for name in STRANGE:
        answer = world.live(f"find={coded(name)}")
        assert answer["find"] == OK and not answer["objects"], f"{name!r}: {answer}"
        clean(world)
        if not re.fullmatch(r"[0-9A-Za-z-]{1,127}(@[0-9A-Za-z-]{1,64})?", name):
            assert not any(r.host == HOST and re.match(r"/keys/.", r.path) for r in world.server.requests), f"{name!r}: {world.server.requests}"
        world.server.requests.clear()
    return len(STRANGE)


def arguments(world):
    """arguments of the tool: a strange name is refused, and not sent"""
    tool = world.build / "tools/kvp11"
    environment = clean_environment(KVP11_CONFIG=world.config)
    cases = 0
    for name in STRANGE:
        for command in (["keys", name], ["resolve", name], ["rotate", name], ["create", name, "--type", "RSA"]):
            done = subprocess.run([tool, *command], env=environment, capture_output=True, timeout=60, stdin=subprocess.DEVNULL)
            assert 0 < done.returncode < 128, f"{command}: {done}"
            assert done.stdout == b"", done
            assert all(c >= 0x20 or c == 0x0a for c in done.stderr), f"{command}: {done.stderr}"
            clean(world)
            world.watch()
            assert not any(r.method != "GET" and r.host == HOST for r in world.server.requests), f"{command}: {world.server.requests}"
            world.server.requests.clear()
            cases += 1
    return cases


def kids(world):
    """names and versions in a list of the vault: what is none is left out, and never asked for"""
    for name in STRANGE:
        if re.fullmatch(r"[0-9A-Za-z-]{1,127}(/[0-9A-Za-z-]{1,64})?", name):
            continue
        world.pages["/keys"] = {"value": [{**world.item(name)}, world.item("signer")]}
        world.server.requests.clear()
        answer = world.live("list")
        assert [o["label"] for o in answer["objects"]] == ["signer"], f"{name!r}: {answer}"
        clean(world)
    return len(STRANGE)


def versions(world):
    """strange versions in a list and in a document: left out, and never asked for"""
    for version in ("..", "a%2fb", "a/b", "a?b", "a b", "a\r\nX-Injected: yes", "a" * 65, "\u00e9", "a#b"):
        world.pages[f"/keys/{KEY}/versions"] = {"value": [world.item(KEY, version)]}
        world.server.requests.clear()
        answer = world.live("list")
        assert all(o["version"] == VERSION for o in answer["objects"]), f"{version!r}: {answer}"
        clean(world)
        world.answers("GET", f"^/keys/{KEY}\\?", reply(200, json.dumps(world.bundle(KEY, version))))
        answer = world.live(f"find={KEY}")
        assert not answer["objects"], f"{version!r}: {answer}"
        clean(world)


def settings(world):
    """strange values in the configuration: refused before anything is sent"""
    for name, value in (("api_version", "7.6&x=y"), ("api_version", "7.6 HTTP/1.1"), ("tenant", "../x"), ("tenant", "a/b"), ("client_id", "a&b"), ("keys", "a/b"),
                        ("keys", "a%2f"), ("url", f"https://{HOST}/keys/.."), ("url", f"https://{HOST}?x"), ("url", f"https://user@{HOST}"), ("url", f"http://{HOST}"),
                        ("authority", f"https://{LOGIN}/x"), ("authority", f"http://{LOGIN}"), ("url", "https://0x7f000001"), ("url", "https://127.1")):
        world.server.requests.clear()
        config = world.configure("strange.conf", **{name: value})
        done = subprocess.run([world.build / "tools/kvp11", "--config", config, "config", "check"], capture_output=True, timeout=60, stdin=subprocess.DEVNULL)
        assert done.returncode == 78 and name.encode() in done.stderr, f"{name} = {value}: {done}"
        assert not world.server.requests, world.server.requests


SCENARIOS = (labels, arguments, kids, versions, settings)
