"""The first question, and who may be told what. Contract §4."""
import json

from server import reply
from world import CREDENTIAL, DEVICE_ERROR, HOST, KEY, LOGIN, OK, TENANT


def honest(world):
    """an honest vault: no token and no body before its challenge, both after"""
    answer = world.live(f"find={KEY}", "sign")
    assert answer["find"] == OK and answer["sign"] == OK and len(answer["objects"]) == 1, answer
    assert world.server.requests[0].bearer == "" and len(world.bodies()) == 1, world.server.requests
    assert all(r.bearer for r in world.bodies())


def refused(world, header, code, words, **settings):
    """This challenge ends in an error that says each of the words; neither token nor secret nor body goes anywhere."""
    if settings:
        world.config = world.configure(**settings)
    world.answers("GET", ".", reply(401, "{}", **({"WWW_Authenticate": header} if header is not None else {})), always=True)
    world.server.requests.clear()
    answer = world.live(f"find={KEY}")
    assert answer["find"] == code, f"{header}: {answer}\n{world.logged()}"
    assert not any(r.host == LOGIN or r.bearer or r.body for r in world.server.requests), f"{header}: {world.server.requests}"
    assert any(all(w in line for w in words) for line in world.logged().splitlines()), f"{header}: {words} not in {world.logged()}"


def resources(world):
    """a challenge with the resource of another domain"""
    for resource in ("https://vault.azure.net", "https://ault.localhost", "https://localhost.evil.example", "https://localhost", f"https://{HOST}",
                     "https://.localhost", "https://", "https://vault.localhost@evil.example", "https://vault.localhost.evil.example",
                     "https://evil.example/vault.localhost", "https://evil.example#.vault.localhost", "https://prod.vault.localhost:443",
                     "https://x\\vault.localhost", "urn:vault.localhost"):
        refused(world, world.challenge(resource=resource), CREDENTIAL, ["resource", "does not match the requested domain"])


def plain_resource(world):
    """a resource that is no https address"""
    refused(world, world.challenge(resource="http://vault.localhost"), CREDENTIAL, ["does not match"])


def authorities(world):
    """an authority that nobody named: no secret goes there"""
    for authority in (f"{world.evil_url}/{TENANT}", f"https://{LOGIN}.evil.example:{world.server.port}/{TENANT}",
                      f"https://{LOGIN}:{world.evil.port}/{TENANT}"):
        refused(world, world.challenge(authority=authority), CREDENTIAL, ["authority", "no credential is sent there"])


def strange_authorities(world):
    """an authority that is no plain https address of host and tenant"""
    for authority in (f"http://{LOGIN}:{world.server.port}/{TENANT}", f"https://{LOGIN}:{world.server.port}@evil.example/{TENANT}",
                      f"https://{LOGIN}:{world.server.port}", f"https://{LOGIN}:{world.server.port}/..", f"https://{LOGIN}:{world.server.port}/a%2fb",
                      f"https://[::1]:{world.server.port}/{TENANT}", f"https://{LOGIN}:99999999/{TENANT}", "https:///tenant", "/tenant", "x"):
        refused(world, world.challenge(authority=authority), DEVICE_ERROR, ["names no Bearer authority and resource"])


def default_authorities(world):
    """without a configured authority, none but Microsoft's"""
    for authority in (f"https://{LOGIN}:{world.server.port}/{TENANT}", "https://login.microsoftonline.com.evil.example/t",
                      f"https://login.microsoftonline.com:{world.evil.port}/t"):
        refused(world, world.challenge(authority=authority), CREDENTIAL, ["authority", "is not a known one"], authority=None)


def other_tenant(world):
    """a tenant other than the configured one"""
    refused(world, world.challenge(authority=f"https://{LOGIN}:{world.server.port}/22222222-2222-3333-4444-555555555555"), CREDENTIAL,
            ["22222222-2222-3333-4444-555555555555", "tenant"])


def no_challenge(world):
    """a 401 without a challenge, or with one that is nonsense"""
    for header in (None, "", "Bearer", "Basic realm=\"x\"", "Bearer authorization=", "Bearer authorization=\"", "PoP authorization=\"https://x/y\", resource=\"z\"",
                   "Bearer " + "a=b, " * 5000, "Bearer authorization=\"" + "a" * 60000 + "\""):
        refused(world, header, DEVICE_ERROR, ["names no Bearer authority and resource"])


def answers_at_once(world):
    """an answer without a question for a token is not believed"""
    world.answers("GET", ".", reply(200, json.dumps(world.key)), always=True)
    answer = world.live(f"find={KEY}")
    assert answer["find"] == DEVICE_ERROR and "answered without asking for a token" in world.logged(), f"{answer} {world.logged()}"
    assert len(world.server.requests) == 1, world.server.requests


def moved_authority(world):
    """a vault that refuses the token and then names another authority or audience gets no second one"""
    for header in (world.challenge(authority=f"{world.evil_url}/{TENANT}"), world.challenge(resource="https://vault.azure.net")):
        world.reset()
        world.answers("GET", "^/keys", reply(401, "{}", WWW_Authenticate=header))
        answer = world.live(f"find={KEY}")
        assert answer["find"] == CREDENTIAL, f"{answer} {world.logged()}"
        assert sum(r.host == LOGIN for r in world.server.requests) == 1, world.server.requests


def for_ever_unauthorized(world):
    """a vault that refuses every token: two are tried, no more"""
    world.answers("GET", "^/keys", reply(401, "{}", WWW_Authenticate=world.challenge()))
    answer = world.live(f"find={KEY}")
    assert answer["find"] == CREDENTIAL and "HTTP 401" in world.logged(), f"{answer} {world.logged()}"
    assert sum(bool(r.bearer) for r in world.server.requests) == 2, world.server.requests


SCENARIOS = (honest, resources, plain_resource, authorities, strange_authorities, default_authorities, other_tenant, no_challenge, answers_at_once,
             moved_authority, for_ever_unauthorized)
