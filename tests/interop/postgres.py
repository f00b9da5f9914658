"""pgBackRest with a real PostgreSQL: its cipher passphrase comes from `kvp11 run`, for each backup and for each segment of the log, from the kernel's keyring meanwhile."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import time

import failures
import recipes
from age_world import STEP, note

BIN = max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), default=pathlib.Path("/nonexistent"))
SEGMENTS = int(os.environ.get("KVP11_WAL_SEGMENTS") or 60)
VAULT_CALLS, CACHE, LONG = 3, 300, 900  # --cache 300 stands in the recipe
LARGE = True  # the logs of 60 segments, their archive and what is restored from it
SEGMENT = b"insert into t select n, repeat('x', 200) from generate_series(1, 100) n; select pg_switch_wal();\n"


class Server:
    """A PostgreSQL of our own below world.dir, which no other user of this host may run as root."""

    def __init__(self, world):
        self.world = world
        self.user = []
        if os.geteuid() == 0:
            self.user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        tools = world.dir / "bin"
        tools.mkdir()
        for name in ("kvp11", "age-plugin-kvp11"):
            shutil.copy(world.build / "tools" / name, tools)
        self.path = f"{tools}:{BIN}:{os.environ['PATH']}"
        self.config = world.dir / "pgbackrest.conf"
        # The settings stand in the file; the passphrase stands nowhere.
        self.config.write_text(f"[global]\nrepo1-path={world.dir}/repo\nrepo1-cipher-type=aes-256-cbc\nlog-path={world.dir}\nlock-path={world.dir}\n"
                               f"spool-path={world.dir}\nlog-level-console=warn\nlog-level-file=off\nstart-fast=y\ncompress-type=none\n"
                               f"[main]\npg1-path={world.dir}/pg\npg1-socket-path={world.dir}\npg1-port=5432\n")
        page = recipes.PAGE.read_text().replace("/etc/kvp11/pg.age", f"{world.dir}/pass.age")
        page = page.replace("\\e\n ", "").replace("pgbackrest --stanza", f"pgbackrest --config={self.config} --stanza")
        self.run_line = re.search(r"^archive_command = '(.*) archive-push %p'$", page, re.M).group(1)
        self.backup = re.search(r"^kvp11 run .* backup$", page, re.M).group()
        self.restore = re.search(r"^kvp11 run .* restore$", page, re.M).group()

    def sh(self, line, config=None, timeout=120, **options):
        env = {"PATH": self.path, "PGHOST": self.world.dir, "PGDATA": self.world.dir / "pg", "PGUSER": "backup"}
        return self.world.run([*self.user, "bash", "-c", "set -o pipefail; " + line], env=env, config=config, timeout=timeout, **options)

    def must(self, line, **options):
        return self.world.must(self.sh(line, **options)).decode().strip()

    def sql(self, text):
        return self.must(f'psql -X -q -A -t -d postgres -c "{text}"')

    def give(self):
        """The world belongs to the server's user."""
        if self.user:
            for folder, _, files in os.walk(self.world.dir):
                for name in [folder, *(os.path.join(folder, name) for name in files)]:
                    shutil.chown(name, "postgres", "postgres")

    def make(self):
        self.give()
        self.must("initdb -U backup --auth=trust --wal-segsize=1 --no-sync >/dev/null")
        with open(self.world.dir / "pg/postgresql.conf", "a") as settings:
            settings.write(f"listen_addresses = ''\nunix_socket_directories = '{self.world.dir}'\nfsync = off\narchive_mode = on\n"
                           f"archive_command = '{self.run_line} archive-push %p'\n")

    def start(self, config=None):
        self.world.must(self.sh("pg_ctl -w -t 60 -l $PGHOST/server.log start >/dev/null || { tail -n 20 $PGHOST/server.log >&2; false; }", config=config))

    def come_back(self, how):
        """On a host that has lost its data: the page's line for the way back, with `how` to choose what comes."""
        self.stop()
        shutil.rmtree(self.world.dir / "pg")
        self.must(self.restore.replace("--stanza=main", f"--stanza=main {how} --target-action=promote", 1))
        self.start()
        self.must("until [ \"$(psql -X -A -t -d postgres -c 'select pg_is_in_recovery()')\" = f ]; do sleep 0.2; done", timeout=LONG)

    def stop(self):
        self.sh("pg_ctl -m fast -w -t 60 stop >/dev/null")


@contextlib.contextmanager
def server(world, **settings):
    """With what it archives going to the vault as these settings say."""
    world.create("cmk")
    world.must(world.sh(f"head -c 32 /dev/urandom | base64 | tr -d '\\n' | kvp11 wrap -r cmk --break-glass {world.breakglass()} --out pass.age"))
    made = Server(world)
    config = world.configure("server.conf", **settings)
    made.make()
    made.start(config)
    try:
        made.must(f"{made.run_line} stanza-create")
        yield made
    finally:
        made.stop()


def unwraps(world):
    return len(world.unwrapped_by())


def point_in_time(world):
    """S7: pgBackRest and PostgreSQL: a backup, the log of a load and a rotation between them, and a restore to a point in time with every row; one unwrap serves the log, one the backup and one the restore"""
    with server(world) as db:
        keeps = b"the kernel keeps nothing" not in db.sh(f"kvp11 unwrap --cache 300 {world.dir}/pass.age").stderr
        world.requests()
        begun = time.monotonic()
        db.must(db.backup)
        db.sql("create table t (n int, filler text)")
        load = "psql -X -q -d postgres >/dev/null"
        db.must(load, input=SEGMENTS // 2 * SEGMENT, timeout=LONG)
        world.must(db.sh("kvp11 rotate cmk", config=world.operator))
        db.must(load, input=(SEGMENTS - SEGMENTS // 2) * SEGMENT, timeout=LONG)
        db.sql("select pg_create_restore_point('here')")
        rows = db.sql("select count(*) from t")
        db.sql("delete from t; select pg_switch_wal()")
        db.must(f"until [ $(psql -X -A -t -d postgres -c 'select archived_count from pg_stat_archiver') -ge {SEGMENTS} ]; do sleep 0.1; done", timeout=LONG)
        db.must(f"{db.run_line} check")
        archived = int(db.sql("select archived_count from pg_stat_archiver"))
        assert archived >= SEGMENTS and db.sql("select failed_count from pg_stat_archiver") == "0", archived
        note("restoring")
        db.come_back("--type=name --target=here")
        assert db.sql("select count(*) from t") == rows == str(100 * SEGMENTS)
        seconds = time.monotonic() - begun
        note(f"{archived} segments, {unwraps(world)} unwraps, {seconds:.0f} s")
        # When the kernel forgets, those who ask at that moment are the archiver and perhaps one more.
        assert not keeps or unwraps(world) <= VAULT_CALLS + 2 * (seconds // CACHE), f"{unwraps(world)} unwraps for {archived} segments"
        if SEGMENTS > 60:
            print(f"# {STEP[0]}")


def oldest_and_newest(world):
    """pgBackRest: a backup, a rotation, a backup, a rotation, and the newest and the oldest come back with their rows"""
    with server(world) as db:
        db.sql("create table t (n int, filler text)")
        rows = {}
        for number in (1, 2):
            db.sql(f"insert into t select {number}, md5(random()::text) from generate_series(1, 500)")
            rows[number] = db.sql("select n, filler from t order by n, filler")
            db.must(db.backup)
            world.must(db.sh("kvp11 rotate cmk", config=world.operator))
        sets = [backup["label"] for backup in json.loads(db.must(f"{db.run_line} info --output=json"))[0]["backup"]]
        assert len(sets) == 2, sets
        for number in (2, 1):
            note(f"backup {number}")
            db.come_back(f"--set={sets[number - 1]} --type=immediate")
            assert db.sql("select n, filler from t order by n, filler") == rows[number]


def fails_closed(world):
    """S6: pgBackRest and its archive_command with a vault that answers 403, 404, 429, nothing, or "disabled": no backup, no segment is taken for archived, and none is lost"""
    with server(world) as db:
        version = world.kid_of("pass.age").rsplit("/", 1)[1]
        line = db.run_line.replace(" --cache 300", "")
        assert db.backup == f"{line} backup"
        db.sql("create table t (n int); select pg_switch_wal()")
        db.must(f"{line} check")
        db.must(f"sed -i 's/ --cache 300//' $PGDATA/postgresql.conf && pg_ctl reload >/dev/null")
        rows = 0

        def archived():
            note("the log that waited is archived")
            db.must("until [ -z \"$(ls $PGDATA/pg_wal/archive_status | grep ready)\" ]; do sleep 0.1; done")

        for _, config, words in failures.each(world, "cmk", version, name="server.conf", well=archived):
            objects = sorted(str(path) for path in (world.dir / "repo").rglob("*"))
            done = db.sh(f"{line} backup", config=config)
            assert done.returncode and done.stdout == b"", done
            world.told(done, version, words)
            before = int(db.sql("select failed_count from pg_stat_archiver"))
            db.sql("insert into t values (1); select pg_switch_wal()")
            rows += 1
            db.must(f"until [ $(psql -X -A -t -d postgres -c 'select failed_count from pg_stat_archiver') -gt {before} ]; do sleep 0.2; done")
            assert sorted(str(path) for path in (world.dir / "repo").rglob("*")) == objects, "something was written into the repository"
        archived()
        db.must(f"{line} check")
        assert db.sql("select count(*) from t") == str(rows)


SCENARIOS = (point_in_time, oldest_and_newest, fails_closed)
