"""Connections that are kept: they die without a word, and new ones need not begin from nothing."""
import json
import subprocess
import time

from server import CLOSE, RESET, reply
from world import KEY, OK


def posts(world, end="/sign"):
    return [r for r in world.server.requests if r.method == "POST" and f"{end}?" in r.path]


def attempts(world, operation):
    """Their numbers in the audit record; what libcurl repeats of itself is none."""
    lines = [json.loads(line) for line in world.audit.read_text().splitlines()]
    return [line["attempt"] for line in lines if line["operation"].lower() == operation]


def died_when_asked(world):
    """a connection that was idle dies when it is asked, closed or reset: sign, decrypt and unwrap are sent once more, at once"""
    cases = 0
    for rudely in (None, RESET):
        for step, path in (("sign", "sign"), ("decrypt", "decrypt"), ("unwrap", "unwrapkey")):
            world.reset()
            world.audit.unlink(missing_ok=True)
            world.result["value"] = world.result["value"] if step == "sign" else "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
            died = []

            def once(request):
                if died:
                    return reply(200, json.dumps(world.result))
                died.append(request)
                return None if rudely is None else [rudely]

            world.answers("POST", f"^/keys/.*/{path}", once)
            began = time.monotonic()
            got = world.live(f"find={KEY}", step)
            took = time.monotonic() - began
            assert got[step] == OK, f"{step}: {got} {world.logged()}"
            assert len(posts(world, "/" + path)) == 2 and took < 2, f"{len(posts(world, '/' + path))} requests in {took:.1f} s"
            assert attempts(world, path) == [1], f"not by the transport itself: {attempts(world, path)}"
            cases += 1
    return cases


def closed_while_idle(world):
    """a server that closes after each reply: each operation is sent once, on a new connection"""
    world.answers("POST", "^/keys", lambda request: [reply(200, json.dumps(world.result)), CLOSE])
    before = world.server.connections
    began = time.monotonic()
    got = world.live(f"find={KEY}", *["sign", "sign-again"] * 5)
    assert got["sign"] == got["sign-again"] == OK, f"{got} {world.logged()}"
    assert len(posts(world)) == 10, f"{len(posts(world))} requests"
    assert world.server.connections - before == 11, f"{world.server.connections - before} connections"  # the authority, and the first that also found the key
    assert time.monotonic() - began < 3


def changes_are_not_repeated(world):
    """a change whose connection dies without a byte of a reply: sent on a connection of its own, and never again before the versions were listed"""
    for command, key, path in (("rotate", KEY, "/rotate"), ("create", "fresh", "/create")):
        world.reset()
        world.answers("GET", "^/keys/fresh", reply(404, json.dumps({"error": {"code": "KeyNotFound", "message": "not here"}})))
        world.answers("POST", f"^/keys/.*{path}", None)
        done = subprocess.run([world.build / "tools/kvp11", command, key], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60,
                              env={"KVP11_CONFIG": str(world.config), "HOME": str(world.folder), "PATH": "/usr/bin:/bin"}, check=False)
        assert done.returncode != 0 and "may have been done" in done.stderr, done
        sent = [r.path.split("?")[0].rsplit("/", 1)[1] for r in world.server.requests if r.bearer]
        at = [i for i, what in enumerate(sent) if what == path[1:]]
        assert 1 <= len(at) <= 2, f"{len(at)} times: {sent}"
        assert all("versions" in sent[a:b] for a, b in zip(at, at[1:])), f"{path} again without a look: {sent}"


def listing(world):
    """kvp11 keys --refresh: a listing may take longer than `timeout`, none of its requests may"""
    def keys(**settings):
        world.config = world.configure(timeout=2, **settings)
        began = time.monotonic()
        done = subprocess.run([world.build / "tools/kvp11", "keys", "--refresh"], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60,
                              env={"KVP11_CONFIG": str(world.config), "HOME": str(world.folder), "PATH": "/usr/bin:/bin"}, check=False)
        return done, time.monotonic() - began

    world.answers("GET", "^/keys/signer/versions", lambda request: [1.2, reply(200, json.dumps(world.pages["/keys/signer/versions"]))])
    world.answers("GET", "^/keys\\?", lambda request: [1.2, reply(200, json.dumps(world.pages["/keys"]))])
    done, took = keys()
    assert done.returncode == 0 and KEY in done.stdout and "signer" in done.stdout and took > 2.4, f"{took:.1f} s: {done}"
    world.answers("GET", "^/keys\\?", lambda request: [30, b""])
    done, took = keys()
    assert done.returncode == 69 and "`timeout`" in done.stderr and 1.9 < took < 4, f"{took:.1f} s: {done}"


def sessions(world):
    """TLS sessions: another connection to the vault resumes one, also for another thread; a session is the vault's own"""
    world.server.resumed = 0
    before = world.server.connections
    world.answers("POST", "^/keys", lambda request: [0.3, reply(200, json.dumps(world.result))])
    got = world.live(f"find={KEY}", "crowd")
    made = world.server.connections - before
    assert got["crowd"] == OK and made >= 8, f"{got}, {made} connections"
    assert 1 <= world.server.resumed <= made - 2, f"{world.server.resumed} of {made} were resumed"


SCENARIOS = (died_when_asked, closed_while_idle, changes_are_not_repeated, listing, sessions)
