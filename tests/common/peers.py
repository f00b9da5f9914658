"""Addresses of this host at which nothing good answers: for tests of the way to a vault. All of 127.0.0.0/8 is ours; an emulator listens at 127.0.0.1."""
import socket
import ssl
import subprocess
import threading
import time

REFUSED, SILENT, STRANGER, FRONT = "127.0.0.9", "127.0.0.10", "127.0.0.11", "127.0.0.12"


def silent(port):
    """A listener that takes no connection: its queue is full, so what comes is dropped as a firewall does. To be closed one by one."""
    held = [socket.socket()]
    held[0].bind((SILENT, port))
    held[0].listen(0)
    for _ in range(4):
        held.append(socket.socket())
        held[-1].setblocking(False)
        held[-1].connect_ex((SILENT, port))
    return held


class Front:
    """nghttpx at FRONT before a server at 127.0.0.1, with the same port: it offers HTTP/2 unless `versions` says otherwise, and speaks HTTP/1.1 behind itself."""

    def __init__(self, folder, port, certificate, key, versions="h2,http/1.1"):
        self.log = folder / f"front{len(list(folder.glob('front*.log')))}.log"
        self.log.touch()
        self.process = subprocess.Popen(
            ["nghttpx", "--conf=/dev/null", "--single-process", "--workers=2", "--no-ocsp", "--insecure", "--errorlog-file=/dev/null", f"--accesslog-file={self.log}",
             "--accesslog-format=$alpn $method $path", f"--npn-list={versions}", f"--frontend={FRONT},{port}", f"--backend=127.0.0.1,{port};;tls", key, certificate],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(200):
            try:
                return socket.create_connection((FRONT, port)).close()
            except OSError:
                assert self.process.poll() is None, "nghttpx ended"
                time.sleep(0.02)
        raise AssertionError("nghttpx did not start")

    def close(self):
        self.process.terminate()
        self.process.wait()

    def spoken(self, end=""):
        """The protocol of each request so far whose path ends so."""
        return [line.split(" ")[0] for line in self.log.read_text().splitlines() if line.split("?")[0].endswith(end)]


def openssl(*words, **options):
    """What it wrote."""
    done = subprocess.run(["openssl", *map(str, words)], capture_output=True, timeout=60, **options)
    assert done.returncode == 0, f"openssl {words[0]}: {done.stderr.decode()}"
    return done.stdout


NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def self_signed(folder, name="prod.vault.localhost"):
    """A certificate that nobody issued; paths of it and of its key."""
    certificate, key = folder / "stranger.pem", folder / "stranger.key"
    openssl("req", "-x509", *NEW_KEY, "-days", "30", "-subj", "/CN=stranger", "-addext", f"subjectAltName=DNS:{name},DNS:login.localhost",
            "-keyout", key, "-out", certificate)
    return certificate, key


def issued(folder, authority, name="prod.vault.localhost", days=30):
    """One issued by the authority in a folder (an emulator's --tls-dir); with days below zero it has expired."""
    certificate, key, request, extensions = (folder / f"issued.{end}" for end in ("pem", "key", "csr", "cnf"))
    extensions.write_text(f"subjectAltName=DNS:{name}\n")
    openssl("req", *NEW_KEY, "-subj", f"/CN={name}", "-keyout", key, "-out", request)
    openssl("x509", "-req", "-in", request, "-CA", authority / "ca.pem", "-CAkey", authority / "ca.key", "-CAcreateserial", "-days", days,
            "-extfile", extensions, "-out", certificate)
    return certificate, key


class Listener:
    """Takes connections from its making on, and hands each to `take`."""

    def __init__(self, address="127.0.0.1", port=0):
        self.socket = socket.create_server((address, port), backlog=64)
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)  # wakes the one who waits in accept
        self.socket.close()

    def serve(self):
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            self.take(peer)

    def take(self, peer):
        raise NotImplementedError


class TlsPeer(Listener):
    """Shakes hands with any certificate, and hangs up."""

    def __init__(self, address, port, certificate, key):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        super().__init__(address, port)

    def take(self, peer):
        peer.settimeout(5)
        try:
            with self.context.wrap_socket(peer, server_side=True):
                pass
        except OSError:
            peer.close()


class Counter(Listener):
    """Stands where an emulator was: takes connections, holds each for a while, closes it without a word, and counts them."""

    def __init__(self, port, hold=0.0):
        self.hold, self.lock = hold, threading.Lock()
        self.count = self.peak = self.open = 0
        super().__init__(port=port)

    def take(self, peer):
        with self.lock:
            self.count += 1
            self.open += 1
            self.peak = max(self.peak, self.open)
        threading.Thread(target=self.serve_one, args=(peer,), daemon=True).start()

    def serve_one(self, peer):
        time.sleep(self.hold)
        with self.lock:
            self.open -= 1
        peer.close()
