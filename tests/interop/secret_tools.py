"""Backup tools that get their passphrase from a key of the vault: through a password command, or from `kvp11 run`, which never lets them start without it."""
import json
import os
import shutil
import time

import failures


def tree(folder):
    """Every object of a repository; what a tool keeps beside it for itself (locks, caches) is elsewhere."""
    return sorted((str(path.relative_to(folder)), path.stat().st_size) for path in folder.rglob("*") if path.is_file())


def passphrase(world, key="cmk", name="pass.age"):
    """A new passphrase, wrapped for the current version and the break-glass key."""
    world.must(world.sh(f"head -c 32 /dev/urandom | base64 | tr -d '\\n' | kvp11 wrap -r {key} --break-glass {world.breakglass()} --out {name}"))
    return world.dir / name


def rotate(world):
    world.must(world.kvp11("rotate", "cmk", config=world.operator))


def restic(world):
    """S5: restic by RESTIC_PASSWORD_COMMAND: init, backup, rotation, backup, restore of the oldest and the newest, check; one unwrap each"""
    world.create("cmk")
    file = passphrase(world)
    env = {"RESTIC_PASSWORD_COMMAND": f"kvp11 unwrap {file}", "RESTIC_REPOSITORY": world.dir / "repo", "RESTIC_CACHE_DIR": world.dir / "cache"}
    data = world.folder("data")

    def run(*words):
        world.requests()
        out = world.must(world.run(["restic", "-q", *words], env=env, timeout=300))
        assert world.operations("unwrapkey") == 1, f"{words}: {world.operations('unwrapkey')} unwraps"
        return out

    run("init")
    run("backup", "--tag", "one", "data")
    rotate(world)
    (data / "new").write_text("after the rotation\n")
    run("backup", "--tag", "two", "data")
    rotate(world)
    for tag in ("one", "two"):
        run("restore", "latest", "--tag", tag, "--target", f"out-{tag}")
    assert world.same(data, world.dir / "out-two/data")
    (data / "new").unlink()
    assert world.same(data, world.dir / "out-one/data")
    run("check")


def borg(world):
    """S5: borg by BORG_PASSCOMMAND: the same"""
    world.create("cmk")
    file = passphrase(world)
    env = {"BORG_PASSCOMMAND": f"kvp11 unwrap {file}", "BORG_REPO": world.dir / "repo", "BORG_BASE_DIR": world.dir / "borg"}
    data = world.folder("data")

    def run(*words, cwd=world.dir):
        return world.must(world.run(["borg", *words], env=env, cwd=cwd, timeout=300))

    run("init", "-e", "repokey-blake2")
    run("create", "::one", "data")
    rotate(world)
    (data / "new").write_text("after the rotation\n")
    run("create", "::two", "data")
    rotate(world)
    for name in ("one", "two"):
        (world.dir / name).mkdir()
        run("extract", f"::{name}", cwd=world.dir / name)
    assert world.same(data, world.dir / "two/data")
    (data / "new").unlink()
    assert world.same(data, world.dir / "one/data")
    run("check")


def rclone_setup(world):
    """(the environment, the words in front of rclone's own) of an encrypted remote."""
    env = {"RCLONE_CONFIG": world.dir / "rclone.conf", "RCLONE_CONFIG_SAFE_TYPE": "crypt", "RCLONE_CONFIG_SAFE_REMOTE": world.dir / "remote"}
    (world.dir / "rclone.conf").touch()
    (world.dir / "remote").mkdir()
    return env, ["kvp11", "run", "--env", "RCLONE_CONFIG_SAFE_PASSWORD=pass.age", "--filter", "rclone obscure -", "--", "rclone"]


def rclone(world):
    """rclone crypt by kvp11 run and its filter: what went up before the rotations comes down after them"""
    world.create("cmk")
    passphrase(world)
    env, words = rclone_setup(world)
    data = world.folder("data")
    world.must(world.run([*words, "copy", "data", "safe:"], env=env))
    assert tree(world.dir / "remote") and not any("large" in name for name, _ in tree(world.dir / "remote"))
    rotate(world)
    rotate(world)
    world.requests()
    world.must(world.run([*words, "copy", "safe:", "out"], env=env))
    assert world.same(data, world.dir / "out") and world.operations("unwrapkey") == 1


def second_ago():
    """The second that is over now: duplicity tells backups apart by no less."""
    then = int(time.time())
    while int(time.time()) == then:
        time.sleep(0.05)
    return then


DUPLICITY = ["kvp11", "run", "--env", "PASSPHRASE=pass.age", "--", "duplicity"]


def duplicity(world):
    """duplicity, symmetric, by kvp11 run: a full backup, a rotation, an incremental one, a rotation, and a restore of both times"""
    world.create("cmk")
    passphrase(world)
    env = {"GNUPGHOME": world.dir / "gnupg"}
    (world.dir / "gnupg").mkdir(mode=0o700)
    data = world.folder("data")
    url, quiet = f"file://{world.dir}/repo", ["--no-print-statistics", "--archive-dir", "archive", "-v1"]
    world.must(world.run([*DUPLICITY, "full", *quiet, "data", url], env=env, timeout=300))
    then = second_ago()
    rotate(world)
    (data / "new").write_text("after the rotation\n")
    world.must(world.run([*DUPLICITY, "incremental", *quiet, "data", url], env=env, timeout=300))
    rotate(world)
    world.must(world.run([*DUPLICITY, "restore", *quiet, url, "out-two"], env=env, timeout=300))
    assert world.same(data, world.dir / "out-two")
    world.must(world.run([*DUPLICITY, "restore", *quiet, "--time", str(then), url, "out-one"], env=env, timeout=300))
    (data / "new").unlink()
    assert world.same(data, world.dir / "out-one")


KOPIA = ["kvp11", "run", "--env", "KOPIA_PASSWORD=pass.age", "--", "kopia", "--no-progress"]


def kopia_setup(world):
    """The environment of kopia with an empty repository, whose password it keeps nowhere."""
    world.create("cmk")
    passphrase(world)
    world.folder("data")
    env = {"KOPIA_CONFIG_PATH": world.dir / "kopia.json", "KOPIA_CACHE_DIRECTORY": world.dir / "cache", "KOPIA_LOG_DIR": world.dir / "logs",
           "KOPIA_CHECK_FOR_UPDATES": "false", "KOPIA_PERSIST_CREDENTIALS_ON_CONNECT": "false"}
    world.must(world.run([*KOPIA, "repository", "create", "filesystem", "--path", world.dir / "repo"], env=env, timeout=300))
    return env


def kopia(world):
    """kopia by kvp11 run: a snapshot, a rotation, a snapshot, a rotation, and the restoration of both"""
    env, data, made = kopia_setup(world), world.dir / "data", []
    for _ in range(2):
        made.append(json.loads(world.must(world.run([*KOPIA, "snapshot", "create", "--json", "data"], env=env, timeout=300)))["id"])
        rotate(world)
        (data / "new").write_text("after the rotation\n")
    for number, snapshot in enumerate(made):
        world.requests()
        world.must(world.run([*KOPIA, "restore", snapshot, f"out-{number}"], env=env, timeout=300))
        assert world.operations("unwrapkey") == 1
    assert world.same(data, world.dir / "out-1")
    (data / "new").unlink()
    assert world.same(data, world.dir / "out-0")


def without_the_vault(world):
    """the passphrase is read with the break-glass key alone, by kvp11 and by age, on a host without any configuration"""
    world.create("cmk")
    file = passphrase(world)
    secret = world.must(world.kvp11("unwrap", file))
    world.stop()
    assert world.must(world.run(["age", "-d", "-i", "breakglass.txt", file])) == secret
    absent = {"KVP11_CONFIG": world.dir / "absent.conf"}
    assert world.must(world.run([world.tool, "unwrap", "-i", "breakglass.txt", file], env=absent)) == secret


# --- S6 ---
def fails_closed(world, repository, command, env):
    """The same backup under every failure of the vault."""
    def attempt(config):
        (world.dir / "data/more").write_bytes(os.urandom(100_000))
        return world.run(command, env=env, config=config, timeout=300)

    failures.fails_closed(world, "cmk", world.kid_of("pass.age").rsplit("/", 1)[1], {command[command.index("--") + 1]: attempt}, lambda: tree(repository))
    assert tree(repository)
    world.must(world.run(["age", "-d", "-i", "breakglass.txt", "pass.age"]))


def restic_fails_closed(world):
    """S6: restic under kvp11 run with a vault that answers 403, 404, 429, nothing, or "disabled": never exit 0, never a new object"""
    world.create("cmk")
    passphrase(world)
    world.folder("data")
    env = {"RESTIC_REPOSITORY": world.dir / "repo", "RESTIC_CACHE_DIR": world.dir / "cache"}
    words = ["kvp11", "run", "--env", "RESTIC_PASSWORD=pass.age", "--", "restic", "-q"]
    world.must(world.run([*words, "init"], env=env))
    fails_closed(world, world.dir / "repo", [*words, "backup", "data"], env)


def borg_fails_closed(world):
    """S6: borg, the same"""
    world.create("cmk")
    passphrase(world)
    world.folder("data")
    env = {"BORG_REPO": world.dir / "repo", "BORG_BASE_DIR": world.dir / "borg"}
    words = ["kvp11", "run", "--env", "BORG_PASSPHRASE=pass.age", "--", "borg"]
    world.must(world.run([*words, "init", "-e", "repokey-blake2"], env=env))
    fails_closed(world, world.dir / "repo", [*words, "create", "::{now:%s.%f}", "data"], env)


def rclone_fails_closed(world):
    """S6: rclone, which takes an empty passphrase for one and ends with 0: kvp11 run does not let it start"""
    world.create("cmk")
    passphrase(world)
    world.folder("data")
    env, words = rclone_setup(world)
    fails_closed(world, world.dir / "remote", [*words, "copy", "data", "safe:"], env)


def duplicity_fails_closed(world):
    """S6: duplicity, the same"""
    world.create("cmk")
    passphrase(world)
    world.folder("data")
    (world.dir / "gnupg").mkdir(mode=0o700)
    words = [*DUPLICITY, "--no-print-statistics", "--archive-dir", "archive", "-v1", "data", f"file://{world.dir}/repo"]
    fails_closed(world, world.dir / "repo", words, {"GNUPGHOME": world.dir / "gnupg"})


def kopia_fails_closed(world):
    """S6: kopia, the same"""
    env = kopia_setup(world)
    fails_closed(world, world.dir / "repo", [*KOPIA, "snapshot", "create", "--json", "data"], env)


def password_commands_fail_closed(world):
    """S6: the password commands of restic and borg, the same, and the operator reads why"""
    world.create("cmk")
    file = passphrase(world)
    world.folder("data")
    env = {"RESTIC_PASSWORD_COMMAND": f"kvp11 unwrap {file}", "RESTIC_REPOSITORY": world.dir / "repo", "RESTIC_CACHE_DIR": world.dir / "cache",
           "BORG_PASSCOMMAND": f"kvp11 unwrap {file}", "BORG_REPO": world.dir / "borg-repo", "BORG_BASE_DIR": world.dir / "borg"}
    world.must(world.run(["restic", "-q", "init"], env=env))
    world.must(world.run(["borg", "init", "-e", "repokey-blake2"], env=env))
    commands = {"restic": ["restic", "-q", "backup", "data"], "borg": ["borg", "create", "::{now:%s.%f}", "data"]}
    failures.fails_closed(world, "cmk", world.kid_of("pass.age").rsplit("/", 1)[1],
                          {name: lambda config, command=command: world.run(command, env=env, config=config, timeout=300) for name, command in commands.items()},
                          lambda: (tree(world.dir / "repo"), tree(world.dir / "borg-repo")))


SCENARIOS = (restic, borg, rclone, duplicity, without_the_vault, restic_fails_closed, borg_fails_closed, rclone_fails_closed, duplicity_fails_closed,
             password_commands_fail_closed)
if shutil.which("kopia"):
    SCENARIOS += (kopia, kopia_fails_closed)
