"""A server that says whatever a test wants, and writes down all that it is told.

One port of 127.0.0.1 for every host name; what is asked for is told apart by the Host header. A reply is bytes, or an iterable of bytes and of seconds to
wait; None cuts the connection. `Certificates` makes the certificates, good and bad."""
import pathlib
import socket
import ssl
import struct
import threading
import time

from peers import openssl


class Certificates:
    """A CA of our own and, from it or beside it, what a server may show."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.ca = self.issue("ca", "/CN=hostile tests", ["basicConstraints=critical,CA:true"], sign=False)
        names = "subjectAltName=" + ",".join(f"DNS:{n}" for n in ("*.vault.localhost", "*.managedhsm.localhost", "login.localhost"))
        self.good = self.issue("good", "/CN=vault", [names])
        self.other_host = self.issue("other", "/CN=other", ["subjectAltName=DNS:prod.vault.example"])
        self.expired = self.issue("expired", "/CN=vault", [names], days=-1)
        self.self_signed = self.issue("self", "/CN=vault", [names], sign=False)
        self.by_name_only = self.issue("cn", "/CN=prod.vault.localhost", [])

    def issue(self, name, subject, extensions, sign=True, days=30):
        key, certificate = self.folder / f"{name}.key", self.folder / f"{name}.pem"
        openssl("ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", key)
        added = [part for line in extensions for part in ("-addext", line)]
        if not sign:
            openssl("req", "-x509", "-new", "-key", key, "-subj", subject, "-days", days, "-out", certificate, *added)
            return certificate
        request, lines = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        openssl("req", "-new", "-key", key, "-subj", subject, "-out", request)
        lines.write_text("\n".join(extensions) + "\n")
        openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.folder / "ca.key", "-CAcreateserial", "-days", days,
                "-extfile", lines, "-out", certificate)
        return certificate

    def context(self, certificate):
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(certificate, certificate.with_suffix(".key"))
        return made


CLOSE, RESET = object(), object()


class Request:
    def __init__(self, head, body):
        lines = head.decode("latin-1").split("\r\n")
        self.line = lines[0]
        self.method, self.path = (lines[0].split(" ") + ["", ""])[:2]
        self.headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            self.headers.setdefault(name.lower(), value.strip())
        self.host = self.headers.get("host", "").split(":")[0]
        self.bearer = self.headers.get("authorization", "")
        self.body = body

    def __repr__(self):
        return f"{self.line} ({self.host}{', ' + self.bearer if self.bearer else ''}) {self.body[:200]!r}"


class Server:
    """`answer(request)` gives the reply: bytes, or parts of them with seconds to wait between; None or CLOSE hang up, RESET does it rudely. `context` None: no
    TLS at all. `requests`: what came; `connections`, and how many of them `resumed` a TLS session."""

    def __init__(self, answer, context=None, address="127.0.0.1", port=0):
        self.answer, self.context = answer, context
        self.requests, self.connections, self.sent, self.resumed = [], 0, 0, 0
        self.peers = []  # the addresses that connections come from
        self.socket = socket.create_server((address, port), backlog=64, family=socket.AF_INET6 if ":" in address else socket.AF_INET)
        self.port = self.socket.getsockname()[1]
        self.open = True
        self.silent = False  # takes connections and says nothing
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        self.open = False
        self.socket.close()

    def accept(self):
        while self.open:
            try:
                peer, address = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            self.peers.append(address[0])
            threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def serve(self, peer):
        peer.settimeout(60)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while self.silent and self.open:
                time.sleep(0.05)
            if self.context:
                peer = self.context.wrap_socket(peer, server_side=True)
                self.resumed += bool(peer.session_reused)
            while self.open and self.exchange(peer):
                pass
        except (OSError, ValueError):
            pass
        finally:
            peer.close()

    def exchange(self, peer):
        data = b""
        while b"\r\n\r\n" not in data:
            more = peer.recv(65536)
            if not more:
                return False
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        request = Request(head, b"")
        wanted = int(request.headers.get("content-length", 0))
        while len(body) < wanted:
            body += peer.recv(65536)
        request.body = body
        self.requests.append(request)
        reply = self.answer(request)
        if reply is None:
            return False
        for part in [reply] if isinstance(reply, bytes) else reply:
            if part is CLOSE:
                return False
            if part is RESET:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return False
            if isinstance(part, (int, float)):
                time.sleep(part)
            else:
                peer.sendall(part)
                self.sent += len(part)
        return True


class ConnectProxy:
    """A proxy for CONNECT: `asked` has its request lines. `refuses`: the status with which it turns all away."""

    def __init__(self):
        self.asked, self.refuses = [], None
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def accept(self):
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def serve(self, peer):
        head = b""
        while b"\r\n\r\n" not in head:
            more = peer.recv(65536)
            if not more:
                return peer.close()
            head += more
        line = head.decode("latin-1").split("\r\n")[0]
        self.asked.append(line)
        method, target, _ = line.split(" ")
        if self.refuses or method != "CONNECT":
            peer.sendall(f"HTTP/1.1 {self.refuses or 405} X\r\nContent-Length: 0\r\n\r\n".encode())
            return peer.close()
        far = socket.create_connection(("127.0.0.1", int(target.rsplit(":", 1)[1])))
        peer.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        threading.Thread(target=self.pass_on, args=(far, peer), daemon=True).start()
        self.pass_on(peer, far)

    @staticmethod
    def pass_on(near, far):
        try:
            while data := near.recv(65536):
                far.sendall(data)
        except OSError:
            pass
        for end in (near, far):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def reply(status, body=b"", **headers):
    """A whole HTTP reply; header names with _ for -."""
    body = body if isinstance(body, bytes) else body.encode()
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body
