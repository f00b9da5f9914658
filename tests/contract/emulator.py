"""Starts an emulator of its own for a test and speaks HTTPS to it: names are not looked up, all hosts are loopback."""

import http.client
import json
import socket
import ssl
import subprocess
import tempfile
import urllib.parse


class LoopbackConnection(http.client.HTTPSConnection):
    """HTTPS to 127.0.0.1, with the host's own name in TLS and in the Host header."""

    def connect(self):
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        self.sock = self._context.wrap_socket(plain, server_hostname=self.host)


class Reply:
    def __init__(self, response):
        self.status = response.status
        self.headers = [(name.lower(), value) for name, value in response.getheaders()]
        self.text = response.read().decode()

    def header(self, name):
        return dict(self.headers).get(name)

    def json(self):
        return json.loads(self.text)


class Emulator:
    """with Emulator(program, "--delete-latency", "30") as em: em.call("prod", "GET", "/keys?api-version=7.5")"""

    def __init__(self, program, *arguments):
        self.folder = tempfile.TemporaryDirectory(prefix="kvp11-contract-")
        self.process = subprocess.Popen([program, "--quiet", "--tls-dir", self.folder.name, *arguments],
                                        stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the emulator ended with status {self.process.wait()} before it was ready")
        self.ready = json.loads(line)
        self.context = ssl.create_default_context(cafile=self.ready["ca_file"])
        self.tokens = {}
        self.clock_offset = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=30)
        self.process.stdout.close()
        self.folder.cleanup()

    def host(self, vault):
        url = self.ready["authority"] if vault == "login" else self.ready["vaults"][vault]
        return urllib.parse.urlsplit(url).hostname

    def send(self, vault, method, path, body=None, headers=None):
        """One request on a connection of its own. body: bytes or None."""
        connection = LoopbackConnection(self.host(vault), self.ready["port"], context=self.context)
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in (headers or {}).items():
                connection.putheader(name, value)
            if method != "GET" or body:
                connection.putheader("Content-Length", str(len(body or b"")))
            connection.endheaders(body)
            return Reply(connection.getresponse())
        finally:
            connection.close()

    def token(self, vault, identity="operator"):
        service = self.host(vault).split(".", 1)[1]
        if (service, identity) not in self.tokens:
            form = urllib.parse.urlencode({
                "grant_type": "client_credentials", "client_id": identity, "client_secret": f"{identity}-secret",
                "scope": f"https://{service}/.default"})
            reply = self.send("login", "POST", f"/{self.ready['tenant']}/oauth2/v2.0/token", form.encode(),
                              {"Content-Type": "application/x-www-form-urlencoded"})
            if reply.status != 200:
                raise RuntimeError(f"no token for '{identity}' at '{service}': {reply.status} {reply.text}")
            self.tokens[service, identity] = reply.json()["access_token"]
        return self.tokens[service, identity]

    def call(self, vault, method, path, body=None, identity="operator", headers=None):
        """An authorised request; body is a JSON value or None."""
        all_headers = {"Authorization": f"Bearer {self.token(vault, identity)}", **(headers or {})}
        if body is not None:
            all_headers["Content-Type"] = "application/json"
        return self.send(vault, method, path, None if body is None else json.dumps(body).encode(), all_headers)

    def control(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.ready["control_port"], timeout=30)
        try:
            connection.request(method, path, None if body is None else json.dumps(body),
                               {"Content-Type": "application/json"})
            reply = Reply(connection.getresponse())
        finally:
            connection.close()
        if reply.status != 200:
            raise RuntimeError(f"control {method} {path}: {reply.status} {reply.text}")
        return reply.json()

    def advance_clock(self, seconds):
        self.clock_offset += seconds
        self.control("POST", "/clock", {"offset": self.clock_offset})
