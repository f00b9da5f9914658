"""The lines of kvp11-recipes(7), as they stand there: once, each time, and on the way back, with rotations between them."""
import os
import re
import shutil

from kvtest import ROOT
from age_world import note

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

    def lines(self, what):
        text = self.blocks.get("Environment", "") + self.blocks.get(what, "")
        text = re.sub(r"(?<![\w.])/(?=(etc/kvp11|srv|backup|restore)\b)", f"{self.world.dir}/", text)
        return text.replace("age1...", self.world.breakglass())

    def cook(self, what, **options):
        note(what)
        env = {"BORG_BASE_DIR": self.world.dir / "borg", "RCLONE_CONFIG": self.world.dir / "rclone.conf",
               "KOPIA_CACHE_DIRECTORY": self.world.dir / "kopia", "KOPIA_LOG_DIR": self.world.dir / "kopia"}
        return self.world.sh("set -e\n" + self.lines(what), env=env, timeout=300, **options)

    def restored(self):
        """Is the tree somewhere below /restore as it is in /srv/data?"""
        places = [path.parent for path in (self.world.dir / "restore").rglob("small")]
        return any(self.world.same(self.data, place) for place in places)


def restores(tool):
    blocks = recipes()[tool]

    def scenario(world):
        world.create("backup-kek")
        kitchen = Kitchen(world, blocks)
        (world.dir / "rclone.conf").touch()
        if "Once" in blocks:
            world.must(kitchen.cook("Once"))
        for i in range(2):
            world.must(kitchen.cook("Each time"))
            world.must(world.kvp11("rotate", "backup-kek", config=world.operator))
            if i == 0:
                (kitchen.data / "new").write_text("after the rotation\n")
        world.must(kitchen.cook("Back"))
        assert kitchen.restored(), "what came back is not what went in"
        shutil.rmtree(world.dir / "restore")
        (world.dir / "restore").mkdir()
        world.control("POST", "/vaults/prod/keys/backup-kek/delete")
        done = kitchen.cook("Back")
        assert done.returncode and not list((world.dir / "restore").rglob("small")), "it came back without the vault"
        world.told(done, "kvp11 --vault prod recover backup-kek")

    scenario.__doc__ = f"kvp11-recipes(7), {tool}: once, each time, a rotation, each time, a rotation, and back; with the key deleted, not back"
    return scenario


def luks(world):
    """kvp11-recipes(7), LUKS: a key that nobody sees, made before a rotation, opens after it; it does not when the vault refuses. Without the kernel's device mapper"""
    version = world.create("backup-kek")
    (world.dir / "etc/kvp11").mkdir(parents=True)
    make, *lines = literal("LUKS").replace("age1...", world.breakglass()).replace("/etc/", f"{world.dir}/etc/").replace("/dev/sdb1", "l.img").splitlines()
    form, attach = (line.replace("luksFormat", "luksFormat --pbkdf pbkdf2").replace("cryptsetup open", "cryptsetup open --test-passphrase") for line in lines)
    world.must(world.sh(f"{make} && truncate -s 32M l.img && {form}", timeout=300))
    world.must(world.kvp11("rotate", "backup-kek", config=world.operator))
    world.must(world.sh(attach, timeout=300))
    world.control("PATCH", f"/vaults/prod/keys/backup-kek/{version}", {"enabled": False})
    for line in (attach, form):
        world.refused(world.sh(line, timeout=300), version, "disabled")


def amanda(world):
    """kvp11-recipes(7), Amanda: a filter from standard input to standard output, and back with -d; it fails when the vault does, and writes nothing"""
    world.create("backup-kek")
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
    world.control("POST", "/vaults/prod/keys/backup-kek/delete")
    world.refused(world.run([script, "-d"], input=files[0]), "kvp11 --vault prod recover backup-kek")


# Debian has no kopia, and to build one takes many minutes: it is used where it is.
TOOLS = ("restic", "BorgBackup", "rclone", "duplicity", "tar and age", "tar and kvp11 seal", *(["kopia"] if shutil.which("kopia") else []))
SCENARIOS = (*map(restores, TOOLS), luks, amanda)
