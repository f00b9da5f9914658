"""The identities of machines and of people: each source asked in its way, never by a proxy, and what goes wrong with it."""
import json
import subprocess
import threading
import time
import urllib.request

from peers import Listener, openssl

SECRET = "platform-secret"
DEAD = "http://127.0.0.1:1"
# A proxy that is not there: what is asked through it fails. The vault's own name is excepted, addresses are not.
PROXY = {name: DEAD for name in ("http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY")} | {"no_proxy": ".localhost"}


def machine(world, credential="managed-identity", **settings):
    """A configuration that has nothing but this credential."""
    name = f"machine-{len(list(world.vault.dir.glob('machine-*')))}.conf"
    values = {"client_id": None, "client_secret_file": None, "imds_endpoint": world.vault.ready["imds"]} | settings
    return world.vault.configure(name, credential=credential, **values)


def asks(world, config, env=None, prefix=()):
    """`kvp11 keys`, which needs a token for more than the map knows: whether it got one, what it said, the requests for tokens."""
    before = world.vault.log_size()
    world.vault.requests()
    command = [*prefix, world.vault.tool, "keys", "backup-kek", "--refresh"]
    done = world.vault.run(command, config=config, env=PROXY | (env or {}))
    requests = world.vault.requests()
    said = done.stderr.decode() + world.vault.logged(before)
    served = done.returncode == 0 and any(r["kind"] == "vault" and r["status"] == 200 for r in requests)
    return served, said, [r for r in requests if r["kind"] == "imds"]


def gets(world, path, config, env=None, prefix=()):
    served, said, requests = asks(world, config, env, prefix)
    assert served, f"no token: {said}"
    assert [r["path"].split("?")[0] for r in requests] == path, f"asked {requests}"


def fails(world, words, config, env=None, prefix=()):
    served, message, requests = asks(world, config, env, prefix)
    assert not served, f"it got a token: {message}"
    for word in words:
        assert word in message, f"'{word}' is not in: {message}"
    assert SECRET not in message, f"the secret is in: {message}"
    return requests


def thumbprint(world):
    pem = world.vault.dir / "tls/server.pem"
    return openssl("x509", "-in", pem, "-noout", "-fingerprint", "-sha1").decode().strip().rsplit("=", 1)[1].replace(":", "")


def each_source(world):
    """managed identity: each platform is known by its environment and asked in its way, past a proxy"""
    imds, tls = world.vault.ready["imds"], f"https://127.0.0.1:{world.vault.ready['port']}"
    service = {"IDENTITY_ENDPOINT": imds + "/msi/token", "IDENTITY_HEADER": SECRET}
    fabric = {"IDENTITY_ENDPOINT": tls + "/fabric/metadata/identity/oauth2/token", "IDENTITY_HEADER": SECRET}
    config = machine(world)
    gets(world, ["/metadata/identity/oauth2/token"], config)
    gets(world, ["/msi/token"], config, service)
    gets(world, ["/MSI/auth"], config, {"MSI_ENDPOINT": imds + "/MSI/auth", "MSI_SECRET": SECRET})
    gets(world, ["/oauth2/token"], config, {"MSI_ENDPOINT": imds + "/oauth2/token"})
    gets(world, ["/fabric/metadata/identity/oauth2/token"], config, fabric | {"IDENTITY_SERVER_THUMBPRINT": thumbprint(world)})
    fails(world, ["401", "app-service"], config, service | {"IDENTITY_HEADER": "wrong"})


def another_certificate(world):
    """Service Fabric: a certificate of another thumbprint is told nothing, also by one who trusts its issuer"""
    url = f"https://login.localhost:{world.vault.ready['port']}/fabric/metadata/identity/oauth2/token"
    env = {"IDENTITY_ENDPOINT": url, "IDENTITY_HEADER": SECRET, "IDENTITY_SERVER_THUMBPRINT": "0" * 40}
    assert fails(world, ["thumbprint", "0" * 40], machine(world), env) == []


def user_assigned(world):
    """managed identity: a user-assigned one is named to the platform; one that is not there is named to the user"""
    config = machine(world, client_id="operator")
    _, _, requests = asks(world, config)
    assert len(requests) == 1 and "client_id=operator" in json.dumps(requests), requests
    config = machine(world, client_id="nobody-1")
    assert len(fails(world, ["nobody-1", "assign the identity"], config)) == 1
    fails(world, ["cloud-shell", "nobody-1"], config, {"MSI_ENDPOINT": world.vault.ready["imds"] + "/oauth2/token"})


def metadata_faults(world):
    """metadata service: 410, 404, 429 and 500 are waited for; a machine without identity is told so at once"""
    for status in (410, 404, 429, 500):
        world.vault.control("POST", "/faults", {"kind": "status", "status": status, "host": "imds"})
        gets(world, ["/metadata/identity/oauth2/token"] * 2, machine(world))
    world.vault.control("POST", "/faults", {"kind": "status", "status": 400, "host": "imds",
                                            "body": '{"error":"invalid_request","error_description":"Identity not found"}'})
    assert len(fails(world, ["Identity not found", "assign the identity"], machine(world))) == 1


def arc(world):
    """Azure Arc: the key file is read from its folder, and from no other"""
    folder = world.vault.dir / "arc"
    folder.mkdir()
    world.vault.stop()
    world.vault.options += ["--arc-folder", str(folder)]
    world.vault.start(ports=False)
    imds = world.vault.ready["imds"]
    env = {"IDENTITY_ENDPOINT": imds + "/arc/metadata/identity/oauth2/token", "IMDS_ENDPOINT": imds}
    assert len(fails(world, ["/var/opt/azcmagent/tokens"], machine(world), env)) == 1
    world.vault.control("POST", "/faults", {"kind": "status", "status": 401, "host": "imds",
                                            "headers": {"WWW-Authenticate": "Basic realm=/etc/shadow.key"}})
    assert len(fails(world, ["/etc/shadow.key", "not the agent"], machine(world), env)) == 1
    inside = ["unshare", "--mount", "--map-root-user", "sh", "-c",
              'mount -t tmpfs none /var/opt && mkdir -p /var/opt/azcmagent/tokens && mount --bind "$0" /var/opt/azcmagent/tokens && exec "$@"',
              str(folder)]
    if subprocess.run([*inside, "true"], capture_output=True).returncode:
        print("# skipped: Azure Arc's own folder: this machine allows no mount namespace")
        return
    gets(world, ["/arc/metadata/identity/oauth2/token"] * 2, machine(world), env, prefix=inside)


# ---- the Azure CLI ----

def az(world, body):
    path = world.vault.dir / "az"
    path.write_text("#!/bin/sh\n" + body + "\n")
    path.chmod(0o700)
    return path


def az_token(world):
    """What the program writes when somebody is logged in."""
    url = world.vault.ready["imds"] + "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://vault.localhost"
    request = urllib.request.Request(url, headers={"Metadata": "true"})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as reply:
        token = json.loads(reply.read())
    return "echo '" + json.dumps({"accessToken": token["access_token"], "expires_on": int(token["expires_on"])}) + "'"


def azure_cli(world):
    """Azure CLI: its login is used, its words are shown, and it cannot hold us up"""
    def config(body, **more):
        return machine(world, "azure-cli", azure_cli=az(world, body), **more)
    token = az_token(world)
    gets(world, [], config(token))
    ignoring = ["sh", "-c", "trap '' CHLD; exec \"$@\"", "sh"]
    gets(world, [], config(token), prefix=ignoring)
    fails(world, ["Please run 'az login'", "run `az login`"], config("echo \"ERROR: Please run 'az login'.\" >&2; exit 1"), prefix=ignoring)
    fails(world, ["JSON"], config("echo hello"))
    fails(world, ["65536"], config("exec yes"))
    started = time.monotonic()
    world.module_refuses("killed", config=config("exec sleep 60", timeout=2))
    assert time.monotonic() - started < 10, "the deadline was not kept"
    fails(world, ["no Azure CLI", "/nonexistent/az"], machine(world, "azure-cli", azure_cli="/nonexistent/az"))


class Mute(Listener):
    """Takes connections at the metadata service's place and says nothing, or a little at a time."""

    def __init__(self, drip=b""):
        self.drip, self.held = drip, []
        super().__init__()
        self.url = f"http://127.0.0.1:{self.port}"

    def close(self):
        super().close()
        for one in self.held:
            one.close()

    def take(self, peer):
        self.held.append(peer)
        threading.Thread(target=self.serve_one, args=(peer,), daemon=True).start()

    def serve_one(self, peer):
        for byte in self.drip:
            try:
                peer.send(bytes([byte]))
            except OSError:
                return
            time.sleep(0.1)


def mute_metadata(world):
    """metadata service that takes the connection and is silent, or drips: in a chain it costs a second, alone it is waited for"""
    program = az(world, az_token(world))
    for drip in (b"", b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 200):
        with Mute(drip) as mute:
            started = time.monotonic()
            gets(world, [], machine(world, "managed-identity azure-cli", azure_cli=program, imds_endpoint=mute.url))
            assert 1 <= time.monotonic() - started < 4, f"{time.monotonic() - started:.1f} s"
            assert len(mute.held) == 1, f"{len(mute.held)} connections"
    with Mute() as mute:
        fails(world, ["metadata service", mute.url, "within a second"], machine(world, "managed-identity workload-identity", imds_endpoint=mute.url))
        started = time.monotonic()
        world.module_refuses(mute.url, "did not answer before the deadline", config=machine(world, imds_endpoint=mute.url, timeout=3))
        assert 3 <= time.monotonic() - started < 8, "it was not waited for, or for too long"


def chains(world):
    """chain: what is absent is passed over, what refuses ends it, the environment narrows the standard one"""
    program = az(world, az_token(world))
    own = machine(world, "managed-identity azure-cli", azure_cli=program)
    gets(world, ["/metadata/identity/oauth2/token"] * 2, own)  # whether it is there, and a token
    gets(world, [], machine(world, "managed-identity azure-cli", azure_cli=program, imds_endpoint=DEAD))
    world.vault.control("POST", "/faults", {"kind": "status", "status": 403, "host": "imds"})
    gets(world, ["/metadata/identity/oauth2/token"], own)
    env = {"IDENTITY_ENDPOINT": world.vault.ready["imds"] + "/msi/token", "IDENTITY_HEADER": "wrong"}
    fails(world, ["app-service", "401"], own, env)
    standard = machine(world, "default", azure_cli=program)
    gets(world, ["/metadata/identity/oauth2/token"] * 2, standard, {"AZURE_TOKEN_CREDENTIALS": "PROD"})
    gets(world, [], standard, {"AZURE_TOKEN_CREDENTIALS": "dev"})
    gets(world, [], standard, {"AZURE_TOKEN_CREDENTIALS": "AzureCliCredential"})
    fails(world, ["production", "prod dev", "ManagedIdentityCredential"], standard, {"AZURE_TOKEN_CREDENTIALS": "production"})


SCENARIOS = (each_source, another_certificate, user_assigned, metadata_faults, arc, azure_cli, mute_metadata, chains)
