"""A small vault and its authority on a hostile server: honest unless a scenario says otherwise, and the words that scenarios are written in."""
import base64
import json
import os
import pathlib
import re
import subprocess

from kvtest import build_dir, clean_environment, new_folder, private_file
from server import Certificates, Server, reply

VERSION = "0123456789abcdef0123456789abcdef"
OLDER = "00000000000000000000000000000001"
HOST, LOGIN, TENANT = "prod.vault.localhost", "login.localhost", "11111111-2222-3333-4444-555555555555"
SECRET = "planted-client-secret-7Jq2"
KEY = "backup-kek"
PLAIN = bytes(range(32))


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def vendor(number):
    return 0x80000000 | 0x4B560000 | number


# Return values by name: those of the standard that scenarios meet, and our own (include/kvp11.h).
OK, DEVICE_ERROR, FUNCTION_FAILED = 0, 0x30, 0x6
CREDENTIAL, UNREACHABLE, TIMED_OUT, TLS = vendor(3), vendor(5), vendor(6), vendor(7)
DISABLED = vendor(1)


class World:
    """Made anew by reset(): `key`, `pages`, `grant` and `result` are what the honest vault says, `override` what is said instead."""

    def __init__(self):
        self.folder = new_folder("hostile")
        self.certificates = Certificates(self.folder)
        self.server = Server(self.answer, self.certificates.context(self.certificates.good))
        self.evil = Server(lambda request: reply(200, "{}"), self.certificates.context(self.certificates.good))
        self.secret = private_file(self.folder / "secret", SECRET + "\n")
        self.build = build_dir()
        self.client = None
        self.number = 0
        self.violations = []
        self.reset()

    def close(self):
        self.end_client()
        self.server.close()
        self.evil.close()
        subprocess.run(["rm", "-rf", str(self.folder)], check=False)

    # --- the module ---
    def start_client(self):
        environment = clean_environment(ASAN_OPTIONS="detect_leaks=1:abort_on_error=0:" + os.environ.get("ASAN_OPTIONS", ""), HOME=self.folder)
        self.client = subprocess.Popen([self.build / "tests/hostile/hostile_client", self.build / "module/libkvp11.so"], env=environment,
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=open(self.folder / "client.err", "ab"), text=True)

    def end_client(self):
        """The exit status: a leak or an overflow is one of AddressSanitizer's."""
        if not self.client:
            return 0
        self.client.stdin.close()
        status = self.client.wait(timeout=120)
        self.client = None
        return status

    def live(self, *steps, config=None):
        """One life of the module; what it answered. A module that died is an AssertionError."""
        if not self.client:
            self.start_client()
        self.log.unlink(missing_ok=True)
        self.client.stdin.write(" ".join([str(config or self.config), *steps]) + "\n")
        self.client.stdin.flush()
        line = self.client.stdout.readline()
        if not line:
            self.client.wait()
            self.client = None
            raise AssertionError("the module died: " + (self.folder / "client.err").read_text()[-3000:])
        answer = json.loads(line)
        assert answer["finalize"] == 0, answer
        for known in answer.get("objects", ()):
            known.update({name: bytes.fromhex(known[name]).decode() for name in ("label", "kid", "version", "state", "created") if name in known})
        self.watch()
        return answer

    def logged(self):
        return self.log.read_text() if self.log.exists() else ""

    # --- the server ---
    def reset(self, **settings):
        """The honest vault again, and a configuration of its own; settings that are None are left out."""
        self.override, self.evil_seen = [], self.evil.connections
        self.token = f"planted-bearer.{b64(b'{}')}.{self.number}"
        self.tokens = {self.token}
        self.server.requests.clear()
        self.server.context = self.certificates.context(self.certificates.good)
        self.server.silent = False
        self.key = self.bundle(KEY, VERSION)
        self.pages = {"/keys": {"value": [self.item(KEY), self.item("signer")], "nextLink": None},
                      f"/keys/{KEY}/versions": {"value": [self.item(KEY, VERSION)], "nextLink": None},
                      "/keys/signer/versions": {"value": [self.item("signer", VERSION)], "nextLink": None}}
        self.grant = {"token_type": "Bearer", "expires_in": 3599, "refresh_in": 1800, "access_token": self.token}
        self.result = {"kid": self.key["key"]["kid"], "value": b64(bytes(256))}
        self.log = self.folder / "kvp11.log"
        self.audit = self.folder / "audit.json"
        self.config = self.configure(**settings)

    def configure(self, name="kvp11.conf", **settings):
        values = {"url": self.url, "credential": "client-secret", "tenant": TENANT, "client_id": "app", "client_secret_file": self.secret,
                  "authority": f"https://{LOGIN}:{self.server.port}", "ca_file": self.certificates.ca, "timeout": 10, "connect_timeout": 5,
                  "certificates": "none", **settings}
        lines = ["[kvp11]", f"map = {values.pop('map', 'none')}", f"log = {self.log}", f"log_level = {values.pop('log_level', 'debug')}",
                 f"audit = {self.audit}", "[prod]", *[f"{k} = {v}" for k, v in values.items() if v is not None]]
        return private_file(self.folder / name, "\n".join(lines) + "\n")

    @property
    def url(self):
        return f"https://{HOST}:{self.server.port}"

    @property
    def evil_url(self):
        return f"https://evil.vault.localhost:{self.evil.port}"

    def kid(self, name, version=None, kind="keys"):
        return f"{self.url}/{kind}/{name}" + (f"/{version}" if version else "")

    def attributes(self):
        return {"enabled": True, "nbf": 1600000000, "exp": 4000000000, "created": 1600000001, "updated": 1600000002,
                "recoveryLevel": "Recoverable+Purgeable", "recoverableDays": 90, "exportable": False, "hsmPlatform": "0"}

    def item(self, name, version=None):
        return {"kid": self.kid(name, version), "attributes": self.attributes(), "tags": {"a": "b"}}

    def bundle(self, name, version):
        modulus = b"\xc5" + bytes([len(name), 0x5a] * 127) + b"\x01"
        return {"key": {"kid": self.kid(name, version), "kty": "RSA", "n": b64(modulus), "e": "AQAB",
                        "key_ops": ["encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"]},
                "attributes": self.attributes(), "tags": {"a": "b"}, "managed": False}

    def challenge(self, authority=None, resource=None):
        authority = authority or f"https://{LOGIN}:{self.server.port}/{TENANT}"
        resource = resource or "https://vault.localhost"
        return f'Bearer authorization="{authority}", resource="{resource}"'

    def answer(self, request):
        path = request.path.split("?")[0]
        for method, pattern, answer, always in self.override:
            if request.method == method and re.search(pattern, request.path) and (always or request.bearer or request.host == LOGIN):
                return answer(request) if callable(answer) else answer
        if request.host == LOGIN:
            return reply(200, json.dumps(self.grant))
        if not request.bearer:
            return reply(401, json.dumps({"error": {"code": "Unauthorized", "message": "AKV10000"}}), WWW_Authenticate=self.challenge())
        if request.method == "POST":
            return reply(200, json.dumps(self.result))
        if path in self.pages:
            return reply(200, json.dumps(self.pages[path]))
        if path.startswith("/keys/signer"):
            return reply(200, json.dumps(self.bundle("signer", VERSION)))
        if path.startswith(f"/keys/{KEY}"):
            return reply(200, json.dumps(self.key))
        return reply(404, json.dumps({"error": {"code": "KeyNotFound", "message": "not here"}}))

    def answers(self, method, pattern, answer, always=False):
        """From now on, and before what was said so far; to the vault only with a token, unless `always`."""
        self.override.insert(0, (method, pattern, answer, always))

    # --- what must hold whatever the server says ---
    def watch(self):
        """Looks through all that the server was told."""
        for request in self.server.requests:
            if request.host == LOGIN:
                assert not request.bearer, f"a token went to the authority: {request}"
                assert request.method == "POST" and request.path == f"/{TENANT}/oauth2/v2.0/token", request
                continue
            assert request.host == HOST, f"another host was asked: {request}"
            assert SECRET.encode() not in request.body, f"the client secret went to the vault: {request}"
            if not request.bearer:
                assert request.body == b"", f"a body without a token: {request}"
            else:
                assert request.bearer.removeprefix("Bearer ") in self.tokens, f"another token: {request}"
        for request in self.evil.requests:
            raise AssertionError(f"the other host was asked: {request}")
        assert self.evil.connections == self.evil_seen, "there was a connection to the other host"

    def bodies(self):
        return [r for r in self.server.requests if r.host == HOST and r.body]
