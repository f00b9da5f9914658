"""The version map's file."""
import os
import shutil
import sqlite3


def map_path(world):
    return world.vault.dir / "map.db"


def read_only(world):
    """map read-only: the module works and says so once; the map is unchanged"""
    prefix = world.unprivileged()
    path = map_path(world)
    before = path.read_bytes()
    path.chmod(0o400)
    world.vault.dir.chmod(0o500)
    try:
        world.signs(prefix=prefix)
    finally:
        world.vault.dir.chmod(0o700)
    assert path.read_bytes() == before


def corrupt(world):
    """map corrupt: the tool names the file and the way back, the module goes on from memory, the file is not touched"""
    path = map_path(world)
    broken = bytearray(path.read_bytes())
    broken[0:64] = os.urandom(64)
    path.write_bytes(broken)
    world.refuses(65, [r"map\.db"], "map", "verify")
    world.signs()
    assert path.read_bytes() == bytes(broken), "somebody wrote to a damaged map"


def rotten(world):
    """map corrupt inside: verify names the row"""
    path = map_path(world)
    with sqlite3.connect(path) as db:
        changed = db.execute("UPDATE version SET spki_sha256 = zeroblob(32)").rowcount
    db.close()
    assert changed >= 1
    world.refuses(65, ["backup-kek", world.version], "map", "verify")


def newer(world):
    """map from a newer release: the tool says which release reads it, the module goes on, the file is not touched"""
    path = map_path(world)
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 9999")
    db.commit()
    db.close()
    before = path.read_bytes()
    world.refuses(78, [r"map\.db", "newer"], "map", "verify")
    world.refuses(78, [r"map\.db", "newer"], "rotate", "backup-kek", config=world.operator)
    world.signs()
    assert path.read_bytes() == before


def disk_full(world):
    """disk full while writing the map: the change in the vault is reported, the map stays whole and learns it later"""
    vault = world.vault
    small = vault.dir / "small"
    small.mkdir()
    script = ('mount -t tmpfs -o size=160k,mode=700 none "$1" && cp "$2" "$1/map.db" && { dd if=/dev/zero of="$1/ballast" bs=1k 2>/dev/null; '
              '"$3" --config "$4" rotate backup-kek; echo "exit $?"; rm "$1/ballast"; "$3" --config "$4" map verify; echo "verify $?"; cp "$1/map.db" "$5"; }')
    config = vault.configure("small.conf", identity="operator", map=small / "map.db")
    kept = vault.dir / "kept.db"
    command = ["unshare", "-m" if os.geteuid() == 0 else "-Urm", "sh", "-c", script, "sh", small, map_path(world), vault.tool, config, kept]
    done = vault.run(command)
    out, message = done.stdout.decode(), done.stderr.decode()
    assert "verify 0" in out, out + message
    assert "small/map.db" in message or "small/map.db" in vault.log(), f"the full disk is not told: {message}"
    shutil.copy(kept, map_path(world))
    rows = world.versions()
    assert world.version in rows and 1 <= len(rows) <= 2, rows
    world.signs()


SCENARIOS = (read_only, corrupt, rotten, newer, disk_full)
