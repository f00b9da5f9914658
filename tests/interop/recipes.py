"""The lines of kvp11-recipes(7), as they stand there: once, each time, and on the way back, with rotations between them."""
import hashlib
import os
import re
import shutil

from kvtest import ROOT
from age_world import note
import failures

PAGE = ROOT / "tools/kvp11-recipes.7"


def recipes():
    """tool → what its section calls each block of lines → the lines"""
    found = {}
    for section in PAGE.read_text().split("\n.Ss ")[1:]:
        tool, text = section.split("\n", 1)
        blocks = re.findall(r"^(Environment|Once|Each time|Back):\n\.Bd [^\n]*\n(.*?)^\.Ed$", text, re.M | re.S)
        found[tool] = {what: lines.replace("\\e", "\\") for what, lines in blocks}
    return found


def literal(tool):
    """The only block of lines of a tool's section."""
    block, = re.findall(r"^\.Bd [^\n]*\n(.*?)^\.Ed$", PAGE.read_text().split(f"\n.Ss {tool}\n")[1].split("\n.S")[0], re.M | re.S)
    return block


class Kitchen:
    """The page's folders below world.dir."""

    def __init__(self, world, blocks):
        self.world, self.blocks = world, blocks
        for name in ("etc/kvp11", "srv", "backup", "restore"):
            (world.dir / name).mkdir(parents=True)
        self.data = world.folder("srv/data")
        self.restore = world.dir / "restore"
        if "glass.pem" in self.lines("Each time"):
            world.must(world.sh("openssl req -x509 -newkey rsa:2048 -nodes -keyout etc/kvp11/glass.key -out etc/kvp11/glass.pem -subj '/CN=break glass' -days 30"))
            for name in ("openssl-provider.cnf", "openssl-engine.cnf"):
                shipped = (world.build / "conf" / name).read_text()
                (world.dir / "etc/kvp11" / name).write_text(re.sub(r"(?m)^(pkcs11-module-path|MODULE_PATH) = .*$", rf"\1 = {world.module}", shipped))

    def lines(self, what):
        return self.text(self.blocks.get("Environment", "") + self.blocks.get(what, ""))

    def text(self, text):
        text = re.sub(r"(?<![\w.])/(?=(etc/kvp11|srv|backup|restore)\b)", f"{self.world.dir}/", text)
        return text.replace("age1...", self.world.breakglass()).replace("/usr/lib/x86_64-linux-gnu/pkcs11/libkvp11.so", self.world.module)

    def cook(self, what, **options):
        note(what)
        return self.run(self.lines(what), **options)

    def run(self, lines, **options):
        env = {"BORG_BASE_DIR": self.world.dir / "borg", "RCLONE_CONFIG": self.world.dir / "rclone.conf",
               "KOPIA_CACHE_DIRECTORY": self.world.dir / "kopia", "KOPIA_LOG_DIR": self.world.dir / "kopia"}
        return self.world.sh("set -e\n" + lines, env=env, timeout=300, **options)

    def back(self, lines=None, **options):
        """The way back, into a folder that was empty; a run that fails leaves nothing in it."""
        shutil.rmtree(self.restore)
        self.restore.mkdir()
        done = self.run(lines or self.lines("Back"), **options)
        assert done.returncode == 0 or not any(path.stat().st_size for path in self.restore.rglob("*") if path.is_file()), "it came back all the same"
        return done

    def restored(self):
        """Is the tree somewhere below /restore as it is in /srv/data?"""
        places = [path.parent for path in self.restore.rglob("small")]
        return any(self.world.same(self.data, place) for place in places)

    def backups(self):
        return {path: hashlib.sha256(path.read_bytes()).digest() for path in (self.world.dir / "backup").rglob("*") if path.is_file()}


def restores(tool):
    blocks = recipes()[tool]
    certified = tool.startswith("openssl cms")

    def scenario(world):
        version = world.create("backup-kek")
        if certified:
            world.config = world.configure("kvp11.conf", CERTIFIED)
        kitchen = Kitchen(world, blocks)
        backup, oldest = world.dir / "backup", world.dir / "oldest"
        (world.dir / "rclone.conf").touch()
        if "Once" in blocks:
            world.must(kitchen.cook("Once"))
        for i in range(2):
            world.must(kitchen.cook("Each time"))
            if i == 0:
                shutil.copytree(backup, oldest)
                (kitchen.data / "new").write_text("after the rotation\n")
            world.must(world.kvp11("rotate", "backup-kek", config=world.operator))
        note("the newest")
        world.must(kitchen.back())
        assert kitchen.restored(), "what came back is not what went in"
        if tool not in WITH_HISTORY:
            note("the oldest")
            shutil.rmtree(backup)
            oldest.rename(backup)
            (kitchen.data / "new").unlink()
            world.must(kitchen.back())
            assert kitchen.restored(), "what came back of the oldest is not what went in"
        for what, lines in OTHER_WAYS if certified else ():
            note(what)
            world.must(kitchen.back(kitchen.text(lines)))
            assert kitchen.restored(), f"what came back by {what} is not what went in"
        if tool in STREAMS:
            failures.fails_closed(world, "backup-kek", version, {tool: lambda config: kitchen.back(config=config)}, kitchen.backups,
                                  settings=CERTIFIED if certified else (), masked=certified)
            return
        world.control("POST", "/vaults/prod/keys/backup-kek/delete")
        done = kitchen.back()
        assert done.returncode, "it came back without the vault"
        world.told(done, "kvp11 --vault prod recover backup-kek")

    scenario.__doc__ = (f"kvp11-recipes(7), {tool}: once, each time, a rotation, each time, a rotation, and back, the newest{'' if tool in WITH_HISTORY else ' and the oldest'}; "
                        + ("with a vault that fails, in every way, not back" if tool in STREAMS else "with the key deleted, not back"))
    return scenario


def luks(world):
    """kvp11-recipes(7), LUKS: keys that nobody sees, made before two rotations, open after them; with a vault that fails, in every way, nothing is opened, and nothing formatted. Without the kernel's device mapper"""
    version = world.create("backup-kek")
    (world.dir / "etc/kvp11").mkdir(parents=True)
    page = literal("LUKS").replace("age1...", world.breakglass()).replace("/etc/", f"{world.dir}/etc/").replace("/dev/sdb1", "disk.img")
    page = page.replace("luksFormat", "luksFormat --pbkdf pbkdf2 --pbkdf-force-iterations 1000").replace("cryptsetup open", "cryptsetup open --test-passphrase")
    disks = {name: page.replace("disk.", f"{name}.").splitlines() for name in ("oldest", "newest")}
    for name, (make, form, _) in disks.items():
        world.must(world.sh(f"{make} && truncate -s 32M {name}.img && {form}", timeout=300))
        world.must(world.kvp11("rotate", "backup-kek", config=world.operator))
    for _, _, attach in disks.values():
        world.must(world.sh(attach, timeout=300))
    image = world.dir / "oldest.img"
    failures.fails_closed(world, "backup-kek", version, {
        "cryptsetup luksFormat": lambda config: world.sh(disks["oldest"][1], config=config), "cryptsetup open": lambda config: world.sh(disks["oldest"][2], config=config),
    }, lambda: hashlib.sha256(image.read_bytes()).digest())


def amanda(world):
    """kvp11-recipes(7), Amanda: a filter from standard input to standard output, and back with -d, the oldest and the newest after rotations; with a vault that fails, in every way, it fails and writes nothing"""
    version = world.create("backup-kek")
    script = world.dir / "amcrypt-kvp11"
    script.write_text(literal("Amanda").replace("age1...", world.breakglass()))
    script.chmod(0o755)
    data = os.urandom(200_000)
    files = []
    for _ in range(2):
        files.append(world.must(world.run([script], input=data)))
        world.must(world.kvp11("rotate", "backup-kek", config=world.operator))
    for sealed in files:
        assert world.must(world.run([script, "-d"], input=sealed)) == data
    failures.fails_closed(world, "backup-kek", version, {"amcrypt-kvp11 -d": lambda config: world.run([script, "-d"], input=files[0], config=config)})


CERTIFIED = ("self_signed = yes",)
# Of an envelope: the page's line that needs no fallback, and what the break-glass key is for.
OTHER_WAYS = (("kvp11 cms open", re.search(r"^\.Dl (kvp11 cms open .*)$", PAGE.read_text(), re.M).group(1)),
              ("break-glass", "openssl cms -decrypt -binary -inform DER -inkey /etc/kvp11/glass.key -recip /etc/kvp11/glass.pem -in /backup/data.cms | tar -C /restore -x"))
WITH_HISTORY = ("restic", "BorgBackup", "kopia")  # which of what they have is restored, is told in secret_tools
STREAMS = ("tar and age", "tar and kvp11 seal", "openssl cms by pkcs11-provider", "openssl cms by the pkcs11 engine")  # how the others meet a vault that fails, too
# Debian has no kopia, and to build one takes many minutes: it is used where it is.
TOOLS = ("restic", "BorgBackup", "rclone", "duplicity", *STREAMS, *(["kopia"] if shutil.which("kopia") else []))
SCENARIOS = (*map(restores, TOOLS), luks, amanda)
