"""Programs that read and write the age format. All are driven by the command line of age: -r RECIPIENT... for the standard input, -d -i FILE... FILE.

Debian's age is a package of the tests; the others are installed once into a folder of the build directory, from the registries of their languages."""
import os
import pathlib
import shutil
import subprocess
import sys

from kvtest import build_dir

HERE = pathlib.Path(__file__).resolve().parent
NEW_AGE, PYRAGE = "v1.3.2", "1.4.0"


class Peer:
    """`plugins`: it starts age-plugin-kvp11. `shows`: what the plugin says reaches its standard error."""

    def __init__(self, name, command, plugins=True, environment=None):
        self.name, self.command, self.plugins = name, [str(word) for word in command], plugins
        self.environment = environment or {}

    def encrypt(self, world, recipients, data, name):
        """Encrypts into a file and returns the CompletedProcess; stdout is the file."""
        words = [word for text in recipients for word in ("-r", text)]
        done = world.run([*self.command, *words], input=data, env=self.environment)
        (world.dir / name).write_bytes(done.stdout)
        return done

    def decrypt(self, world, name, identities=("id.txt",), **options):
        words = [word for text in identities for word in ("-i", text)]
        return world.run([*self.command, "-d", *words, name], env=self.environment, **options)


def folder_of(name):
    folder = build_dir() / "peers" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def quiet(command, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, timeout=900, stdin=subprocess.DEVNULL, **options)
    if done.returncode:
        print(f"# {' '.join(map(str, command))}: exit {done.returncode}: {done.stderr.decode(errors='replace')[-300:]}")
    return done.returncode == 0


def new_age():
    """The newest age, built by Go, which fetches the toolchain that age asks for where its own is older."""
    folder = folder_of(f"age-{NEW_AGE}")
    environment = {**os.environ, "GOBIN": str(folder), "GOPATH": str(folder / "go"), "GOCACHE": str(folder / "cache"), "GOFLAGS": "-modcacherw",
                   "GOTOOLCHAIN": "auto"}
    if not (folder / "age").exists() and not (
            shutil.which("go") and quiet(["go", "install", f"filippo.io/age/cmd/age@{NEW_AGE}"], env=environment)):
        return None
    return Peer(f"age {NEW_AGE}", [folder / "age"])


def rage_library():
    folder = folder_of(f"pyrage-{PYRAGE}")
    if not (folder / "pyrage").exists() and not quiet(
            [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder, f"pyrage=={PYRAGE}"]):
        return None
    return Peer("rage's library", [sys.executable, HERE / "pyrage_age.py"], environment={"PYTHONPATH": folder, "PYTHONDONTWRITEBYTECODE": "1"})


def typage():
    """age in TypeScript. It stays installed as long as the lock file does."""
    folder = folder_of("typage")
    sources = HERE / "typage"
    mark = folder / "installed-lock.json"
    lock = (sources / "package-lock.json").read_text()
    for name in ("package.json", "package-lock.json", "age.mjs"):
        shutil.copyfile(sources / name, folder / name)
    if not mark.exists() or mark.read_text() != lock:
        if not quiet(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"], cwd=folder):
            return None
        mark.write_text(lock)
    return Peer("typage", ["node", folder / "age.mjs"], plugins=False)


def all_peers():
    """(those there are, names of those that cannot be had here). rage itself takes minutes to build, so it is used only where it is installed."""
    found = {"age": Peer("age", ["age"]) if shutil.which("age") else None, f"age {NEW_AGE}": new_age(), "rage's library": rage_library(),
             "typage": typage()}
    if shutil.which("rage"):
        found["rage"] = Peer("rage", ["rage"])
    return [peer for peer in found.values() if peer], [name for name, peer in found.items() if not peer]
