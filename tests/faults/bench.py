"""Where the cells of the matrix are tried out: an emulator, addresses at which nothing good answers, and one key that the map knows.

A bench is used by one thread; a cell gets a map, a log and a configuration of its own.
"""
import pathlib
import shutil
import subprocess
import time

from kvtest import Emulator
from peers import STRANGER, TlsPeer, self_signed, silent

TIMEOUT = 2.4          # seconds: after the waits of the retry rule there is never doubt whether one more attempt fits
CONNECT_TIMEOUT = 1


class Driver:
    """The module in a process of its own; see driver.c."""

    def __init__(self, vault, config):
        self.process = subprocess.Popen([str(vault.build / "tests/faults/driver"), vault.module], env=vault.environment(KVP11_CONFIG=config),
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.communicate(timeout=30)
        assert self.process.returncode == 0, f"the driver ended with {self.process.returncode}"

    def __call__(self, line):
        """(CK_RV, seconds, whether the result was a wrong one)."""
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        words = self.process.stdout.readline().split()
        assert words, f"'{line}' ended the driver: {self.process.stderr.read()}"
        return int(words[0], 16), int(words[1]) / 1000, words[-1] == "wrong"


class Bench:
    """`k` (RSA, known to the map) and `turning` (EC, to be rotated) in vault `prod`."""

    def __enter__(self):
        self.vault = Emulator().__enter__()
        port = self.vault.ready["port"]
        self.held = silent(port)
        self.peer = TlsPeer(STRANGER, port, *self_signed(self.vault.dir))
        self.vault.create("k", kty="RSA", key_size=2048)
        self.vault.create("turning", kty="EC", crv="P-256")
        with Driver(self.vault, self.vault.config) as driver:
            assert driver("find k")[0] == 0 and driver("sign")[0] == 0
        self.number = 0
        return self

    def __exit__(self, *_):
        for one in self.held:
            one.close()
        self.peer.close()
        self.vault.__exit__()

    def elsewhere(self, host, address):
        """The setting that sends a host's connections to another address."""
        return f"resolve = {host}.localhost:{self.vault.ready['port']}:{address}"

    def cell(self, cold, identity, settings=(), timeout=TIMEOUT, **replace):
        """A folder with a configuration for one cell, and nothing left of the one before."""
        self.number += 1
        folder = pathlib.Path(self.vault.dir) / f"cell{self.number}"
        folder.mkdir()
        if not cold:
            shutil.copy(self.vault.dir / "map.db", folder / "map.db")
        self.vault.control("DELETE", "/faults")
        self.vault.requests()
        config = self.vault.configure(f"cell{self.number}/kvp11.conf", identity=identity, settings=settings, map=folder / "map.db", log=folder / "log",
                                      audit=folder / "audit", timeout=timeout, connect_timeout=CONNECT_TIMEOUT, **replace)
        return folder, config


def wait_for(condition, seconds=5):
    """Until it holds; for what the emulator does after it has answered, or after its client has gone."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)
