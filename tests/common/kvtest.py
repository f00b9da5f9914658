"""What the suites that drive real programs share: an emulator on free ports with its own folder, a configuration that points
at it, its control API, and checks that are counted.

    with Emulator() as vault:
        vault.control("POST", "/vaults/prod/keys/k/create", {"kty": "RSA"})
        vault.run(["pkcs11-tool", "--module", vault.module, "-O"])

Environment: KVP11_BUILD, the build directory (default: the newest of build-test, build, b beside this checkout).
"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROOM = 4 << 30  # of what lies in memory: no scenario needs a quarter of it

# nohup has SIGHUP ignored, a shell that runs us in the background SIGINT and SIGQUIT, and programs hand that on: those under test shall hear them.
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, lambda *_: None)
signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # servers that were started are stopped on the way out


def build_dir():
    """The build directory: KVP11_BUILD, or the newest that holds a module."""
    if os.environ.get("KVP11_BUILD"):
        return pathlib.Path(os.environ["KVP11_BUILD"]).resolve()
    found = [p for p in (ROOT / n for n in ("build-test", "build-try", "build", "b")) if (p / "module/libkvp11.so").exists()]
    if not found:
        sys.exit("no build directory: set KVP11_BUILD, or run `meson setup b && meson compile -C b` first")
    return max(found, key=lambda p: (p / "module/libkvp11.so").stat().st_mtime)


def new_folder(what, large=False):
    """A folder of its own for a test: in TMPDIR; or in memory, where the machine has room there for files and lets them run, since what waits for a disk in a
    test checks nothing; or in /tmp, as what is `large`."""
    place = None
    if not large and not os.environ.get("TMPDIR") and os.access("/dev/shm", os.R_OK | os.W_OK | os.X_OK):
        about = os.statvfs("/dev/shm")
        if about.f_bavail * about.f_frsize >= ROOM and not about.f_flag & os.ST_NOEXEC:
            place = "/dev/shm"
    return pathlib.Path(tempfile.mkdtemp(prefix=f"kvp11-{what}-", dir=place))


def private_file(path, text):
    """A file that only we can read, as secrets and configurations must be; returns its path."""
    path.touch(mode=0o600)
    path.write_text(text)
    return path


def clean_environment(**more):
    """Ours, without what the host's user has set up for the module, Azure, or other PKCS#11 programs."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("KVP11_", "AZURE_", "PKCS11", "SOFTHSM", "OPENSSL_CONF"))}
    env.update({k: str(v) for k, v in more.items()})
    return env


class Emulator:
    """A kvp11-emulator of our own and a world around it: configuration, version map, logs, all below .dir."""
    large = False  # what is to lie there has gigabytes

    def __init__(self, *options, settings=(), vaults=("prod",), identity="workload", state=False):
        self.build = build_dir()
        self.tool = str(self.build / "tools/kvp11")
        self.options = list(options)
        self.settings, self.vaults, self.identity = list(settings), vaults, identity
        self.state = state  # True: keys survive stop() and start(ports=False)
        self.process = None
        self.prefix = []  # what the emulator is started by, as in another namespace

    def __enter__(self):
        self.dir = new_folder("test", self.large)
        self.module = str(self.dir / "module/libkvp11.so")  # a copy: scenarios of other users may not reach the build directory
        try:
            (self.dir / "module").mkdir()
            for name in ("libkvp11.so", "libkvp11-impl.so"):
                shutil.copy(self.build / "module" / name, self.dir / "module")
            self.start()
            self.config = self.configure("kvp11.conf")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def start(self, ports=True):
        ready = self.dir / "ready.json"
        ready.unlink(missing_ok=True)
        command = [str(self.build / "tools/emulator/kvp11-emulator"), "--ready-file", str(ready), "--tls-dir", str(self.dir / "tls")]
        if self.state:
            command += ["--state", str(self.dir / "state")]
        if not ports:  # again where it was
            command += ["--port", str(self.ready["port"]), "--control-port", str(self.ready["control_port"]),
                        "--imds-port", str(self.ready["imds_port"])]
        self.process = subprocess.Popen(self.prefix + command + self.options, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=open(self.dir / "emulator.log", "ab"))
        for _ in range(3000):
            if ready.exists():
                self.ready = json.loads(ready.read_text())
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.01)
        raise RuntimeError("the emulator did not start: " + (self.dir / "emulator.log").read_text()[-2000:])

    def stop(self, kill=False):
        if self.process and self.process.poll() is None:
            self.process.kill() if kill else self.process.terminate()
            self.process.wait()

    def configure(self, name, settings=(), identity=None, vaults=None, **replace):
        """Writes a configuration file and returns its path. `settings`: lines for every vault section; `replace`: settings by name, None leaves a line out."""
        identity = identity or self.identity
        secret = self.dir / f"{identity}.secret"
        if not secret.exists():
            private_file(secret, f"{identity}-secret\n")
        general = {"map": self.dir / "map.db", "log": self.dir / "kvp11.log", "log_level": "info", "audit": self.dir / "audit.jsonl"}
        general.update({k: replace.pop(k) for k in list(replace) if k in general})
        lines = ["[kvp11]"] + [f"{k} = {v}" for k, v in general.items() if v is not None]
        for vault in vaults or self.vaults:
            values = {"url": self.ready["vaults"][vault], "credential": "client-secret", "tenant": self.ready["tenant"],
                      "client_id": identity, "client_secret_file": secret, "authority": self.ready["authority"],
                      "ca_file": self.ready["ca_file"], "timeout": 10}
            values.update(replace)
            lines += [f"[{vault}]"] + [f"{k} = {v}" for k, v in values.items() if v is not None]
            lines += self.settings + list(settings)
        return str(private_file(self.dir / name, "\n".join(lines) + "\n"))

    def environment(self, **more):
        """A clean environment that names our configuration and nothing of the host's."""
        return clean_environment(**{"KVP11_CONFIG": self.config, "HOME": self.dir, **more})

    def run(self, command, env=None, config=None, **options):
        """Runs a program and returns the CompletedProcess, output as bytes."""
        env = self.environment(**(env or {}))
        if config:
            env["KVP11_CONFIG"] = config
        options.setdefault("timeout", 120)
        options.setdefault("cwd", self.dir)
        if "input" not in options:
            options.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.run([str(c) for c in command], env=env, capture_output=True, **options)

    def log(self):
        """The last lines of the module's and the tool's log."""
        return "".join(self.logged().splitlines(keepends=True)[-8:])

    def log_size(self):
        """For logged(): what is there so far."""
        return len(self.logged())

    def logged(self, since=0):
        path = self.dir / "kvp11.log"
        return path.read_text()[since:] if path.exists() else ""

    def kvp11(self, *arguments, **options):
        return self.run([self.tool, *arguments], **options)

    def control(self, method, path, body=None):
        request = urllib.request.Request(self.ready["control"] + path, method=method,
                                         data=None if body is None else json.dumps(body).encode(),
                                         headers={"Content-Type": "application/json"})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=300) as reply:
                return json.loads(reply.read() or b"null")
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {path}: {error.code} {error.read().decode()}") from None

    def create(self, name, vault="prod", **body):
        """A new key or version by the control API; returns its version id."""
        bundle = self.control("POST", f"/vaults/{vault}/keys/{name}/create", body or {"kty": "RSA"})
        return bundle["key"]["kid"].rsplit("/", 1)[1]

    def rotate(self, name, vault="prod"):
        return self.control("POST", f"/vaults/{vault}/keys/{name}/rotate")["key"]["kid"].rsplit("/", 1)[1]

    def requests(self, clear=True):
        """The request log since the last clear."""
        log = self.control("GET", "/log")
        if clear:
            self.control("DELETE", "/log")
        return log


def not_run(what):
    """What this machine cannot run is told, and in CI it has failed."""
    assert os.environ.get("CI", "") in ("", "false", "0"), f"not run: {what}"
    print(f"not run - {what}")


class Checks:
    """Counts what held and what did not; `end` prints the last line and gives the exit status."""

    def __init__(self):
        self.passed = self.failed = 0

    def check(self, what, holds, detail=""):
        if holds:
            self.passed += 1
            print(f"ok - {what}")
        else:
            self.failed += 1
            print(f"not ok - {what}")
            if isinstance(detail, subprocess.CompletedProcess):
                detail = f"exit {detail.returncode}\n{detail.stdout.decode(errors='replace')[-1500:]}\n{detail.stderr.decode(errors='replace')[-1500:]}"
            for line in str(detail).splitlines():
                print(f"#   {line}")
        sys.stdout.flush()
        return bool(holds)

    def attempt(self, what, scenario, log=lambda: ""):
        """One check: the scenario runs to its end. Whatever it raises is told, with the log, and the next one has its turn."""
        try:
            scenario()
        except AssertionError as error:
            self.check(what, False, f"{error}\n{log()}".strip())
        except Exception as error:  # pylint: disable=broad-except
            self.check(what, False, f"{type(error).__name__}: {error}\n{log()}".strip())
        else:
            self.check(what, True)

    def end(self):
        print(f"{self.passed} passed, {self.failed} failed")
        return 1 if self.failed or not self.passed else 0
