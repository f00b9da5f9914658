"""Files of age, rage and typage, encrypted to a key of a vault and opened by it: rotated, offline, without the vault, moved, tampered with."""
import json
import re
import time

from age_world import broken, note

DATA = bytes(range(256)) * 600  # three chunks


def restores_after_rotations(world):
    """S1: a backup made before three rotations is restored by `age -d -j kvp11`, in one request, which names version 1"""
    first = world.create("cmk")
    recipient = world.text("recipient", "cmk")
    folder = world.folder("data")
    world.must(world.sh(f"tar c data | age -r {recipient} > b1.age"))
    for _ in range(3):
        world.must(world.kvp11("rotate", "cmk", config=world.operator))
    world.requests()
    world.must(world.sh("mkdir out && age -d -j kvp11 b1.age | tar x -C out"))
    assert world.same(folder, world.dir / "out/data")
    done = [r for r in world.requests() if r["kind"] == "vault"]
    assert [(r["method"], r["path"], r["status"]) for r in done] == [("POST", f"/keys/cmk/{first}/unwrapkey", 200)], done
    assert world.audited("age-plugin-kvp11", first), "the audit record does not name the version"


def one_line_for_ever(world):
    """S1: a cron line with a floating recipient writes the version of its day into the file, and each file is opened by its own"""
    line = f"age -r {world.text('recipient', 'cmk', '--floating', create='cmk')} > "
    versions = []
    for i in range(4):
        world.must(world.sh(f"printf backup-{i} | {line} {i}.age"))
        versions.append(world.kid_of(f"{i}.age").rsplit("/", 1)[1])
        world.must(world.kvp11("rotate", "cmk", config=world.operator))
    assert len(set(versions)) == 4, versions
    for i in (3, 0, 2, 1):
        world.requests()
        assert world.must(world.sh(f"age -d -j kvp11 {i}.age")) == f"backup-{i}".encode()
        assert world.unwrapped_by() == [versions[i]]


def encrypts_offline(world):
    """S2: with the vault out of reach backups are made without a request, and a restore fails in time: the version and the cause on stderr, nothing on stdout"""
    world.create("cmk")
    recipients = [world.text("recipient", "cmk"), world.text("recipient", "cmk", "--floating")]
    world.requests()
    for peer in world.peers:
        for i, recipient in enumerate(recipients):
            if peer.plugins or i == 0:
                note(f"{peer.name}, {('pinned', 'floating')[i]}")
                world.must(peer.encrypt(world, [recipient], DATA, f"{peer.name}-{i}.age"))
    assert world.requests() == [], "encrypting asked the vault"
    with world.out_of_reach(timeout=3) as config:
        for recipient in recipients:
            world.must(world.run(["age", "-r", recipient], input=DATA, config=config))
        for peer in world.with_plugins():
            note(peer.name)
            begun = time.monotonic()
            done = peer.decrypt(world, f"{peer.name}-1.age", config=config)
            assert time.monotonic() - begun < 10, "the deadline is not held"
            assert done.returncode and done.stdout == b"", done
            world.told(done, world.kid_of(f"{peer.name}-1.age"), "deadline")


def opens_without_the_vault(world):
    """S3: when the vault is gone the break-glass identity has its turn, in every program"""
    world.create("cmk")
    recipients = [world.text("recipient", "cmk"), world.breakglass()]
    for peer in world.peers:
        world.must(peer.encrypt(world, recipients, DATA, f"{peer.name}.age"))
    for peer in world.with_plugins():
        assert world.must(peer.decrypt(world, f"{peer.name}.age", ("id.txt", "breakglass.txt"))) == DATA
    world.stop()
    for peer in world.peers:
        note(peer.name)
        assert world.must(peer.decrypt(world, f"{peer.name}.age", ("id.txt", "breakglass.txt"))) == DATA


def read_by_the_others(world):
    """S14: what each program writes to our recipients, each of the others opens by the vault; typage, which knows no plugins, by the break-glass key"""
    world.create("cmk")
    breakglass = world.breakglass()
    forms = {"pinned": world.text("recipient", "cmk"), "floating": world.text("recipient", "cmk", "--floating")}
    files = []
    for peer in world.peers:
        for form, recipient in forms.items():
            if peer.plugins or form == "pinned":
                files.append(f"{peer.name}-{form}.age")
                world.must(peer.encrypt(world, [recipient, breakglass], DATA, files[-1]))
    for peer in world.peers:
        for name in files:
            note(f"{peer.name} opens {name}")
            identities = ("id.txt",) if peer.plugins else ("breakglass.txt",)
            assert world.must(peer.decrypt(world, name, identities)) == DATA


def in_armor(world):
    """text: what `kvp11 seal -a` writes every age opens by the vault and by break-glass, and what `age -a` writes `kvp11 open` does"""
    world.create("cmk")
    recipient, breakglass = world.text("recipient", "cmk"), world.breakglass()
    (world.dir / "ours.age").write_bytes(world.must(world.kvp11("seal", "-a", "-r", "cmk", "--break-glass", breakglass, input=DATA)))
    peers = [peer for peer in world.peers if peer.name.startswith("age")]
    assert peers
    for peer in peers:
        for identity in ("id.txt", "breakglass.txt"):
            note(f"{peer.name} opens ours with {identity}")
            assert world.must(peer.decrypt(world, "ours.age", (identity,))) == DATA
        note(f"{peer.name} writes it")
        text = world.must(world.run([*peer.command, "-a", "-r", recipient, "-r", breakglass], input=DATA, env=peer.environment))
        assert text.startswith(b"-----BEGIN AGE ENCRYPTED FILE-----\n")
        for words in ((), ("-i", "breakglass.txt")):
            assert world.must(world.kvp11("open", *words, input=text)) == DATA


def opens_what_is_rewrapped(world):
    """S4: files of each program and of `kvp11 seal`, rewrapped in place, as copies and by a header beside them, are opened by every program, the old version disabled"""
    first, breakglass = world.create("cmk"), world.breakglass()
    recipient = world.text("recipient", "cmk")
    (world.dir / "store").mkdir()
    for peer in world.peers:
        world.must(peer.encrypt(world, [recipient, breakglass], DATA, f"store/{peer.name}.age"))
    world.must(world.kvp11("seal", "-r", "cmk", "--break-glass", breakglass, "--out", "store/kvp11.age", input=DATA))
    names = sorted(path.name for path in (world.dir / "store").iterdir())
    payloads = {name: (world.dir / "store" / name).read_bytes() for name in names}
    world.must(world.kvp11("rotate", "cmk", config=world.operator))
    world.must(world.kvp11("rewrap", "store", "--sidecar"))
    for name, file in payloads.items():
        end = file.index(b"\n", file.index(b"\n---") + 1) + 1
        (world.dir / f"joined-{name}").write_bytes((world.dir / f"store/{name}.kvp11-header").read_bytes() + file[end:])
        (world.dir / f"store/{name}.kvp11-header").unlink()
    world.must(world.kvp11("rewrap", "store", "--copy", "copies"))
    world.must(world.kvp11("rewrap", "store"))
    world.control("PATCH", f"/vaults/prod/keys/cmk/{first}", {"enabled": False})
    for peer in world.peers:
        for name in [f"{how}{name}" for name in names for how in ("joined-", "copies/", "store/")]:
            note(f"{peer.name} opens {name}")
            assert world.must(peer.decrypt(world, name, ("id.txt",) if peer.plugins else ("breakglass.txt",))) == DATA


def leaves_room(world):
    """a file of each program gets one spare stanza, whatever its recipients are, and rewrap in place has room in it for a larger key and a break-glass key; each program opens it then"""
    first, breakglass = world.create("cmk"), world.breakglass()
    world.create("large", kty="RSA", key_size=4096)
    pinned, floating = world.text("recipient", "cmk"), world.text("recipient", "cmk", "--floating")
    (world.dir / "store").mkdir()
    for peer in world.with_plugins():
        for name, recipients in (("one", [pinned]), ("floating", [floating])):
            path = world.dir / f"store/{peer.name}-{name}.age"
            world.must(peer.encrypt(world, recipients, DATA, f"store/{path.name}"))
            header = path.read_bytes()[:path.read_bytes().index(b"\n---")]
            assert header.count(b"\n-> kvp11-spare") == 1 and 1500 < len(header) < 2000, header
    files = {path: (path.stat().st_size, path.stat().st_ino) for path in (world.dir / "store").iterdir()}
    world.must(world.kvp11("rewrap", "store", "-r", "large", "--break-glass", breakglass))
    assert {path: (path.stat().st_size, path.stat().st_ino) for path in (world.dir / "store").iterdir()} == files
    world.control("PATCH", f"/vaults/prod/keys/cmk/{first}", {"enabled": False})
    for path in files:
        assert world.must(world.kvp11("open", path)) == DATA
        for peer in world.peers:
            note(f"{peer.name} opens {path.name}")
            for identity in ("id.txt",) * peer.plugins + ("breakglass.txt",):
                assert world.must(peer.decrypt(world, f"store/{path.name}", (identity,))) == DATA


def says_what_is_wrong(world):
    """a version that is disabled, deleted or forbidden: key, version, cause and the command that mends it; exit code not 0, nothing on stdout"""
    version = world.create("cmk")
    world.must(world.sh(f"printf x | age -r {world.text('recipient', 'cmk')} > f.age"))
    kid = world.kid_of("f.age")

    def refused(*words, peers=world.with_plugins()):
        for peer in peers:
            done = peer.decrypt(world, "f.age")
            assert done.returncode and done.stdout == b"", done
            world.told(done, kid, "cmk", version, *words)

    world.control("PATCH", f"/vaults/prod/keys/cmk/{version}", {"enabled": False})
    refused("disabled", f"az keyvault key set-attributes --enabled true --id '{kid}'")
    world.control("PATCH", f"/vaults/prod/keys/cmk/{version}", {"enabled": True})
    body = '{"error":{"code":"Forbidden","message":"no","innererror":{"code":"ForbiddenByRbac"}}}'
    fault = {"method": "POST", "path": "/unwrapkey", "kind": "status", "status": 403, "body": body, "count": 1}
    for peer in world.with_plugins():
        world.control("POST", "/faults", fault)
        refused("403|denied", "kvp11 doctor prod --key cmk", peers=[peer])
    world.control("POST", "/vaults/prod/keys/cmk/delete")
    refused("kvp11 --vault prod recover cmk")


def goes_on_to_the_next_stanza(world):
    """two versions in one file: with the first one disabled the second one opens it"""
    first = world.create("cmk")
    old = world.text("recipient", "cmk")
    world.must(world.kvp11("rotate", "cmk", config=world.operator))
    new = world.text("recipient", "cmk")
    for order in ([old, new], [new, old]):
        world.must(world.peers[0].encrypt(world, order, DATA, "both.age"))
        world.control("PATCH", f"/vaults/prod/keys/cmk/{first}", {"enabled": False})
        for peer in world.with_plugins():
            assert world.must(peer.decrypt(world, "both.age")) == DATA
        world.control("PATCH", f"/vaults/prod/keys/cmk/{first}", {"enabled": True})


def without_a_map(world):
    """on a host that has never seen the key, the file says where it is: one GET of that version, and its public key is compared"""
    first = world.create("cmk")
    recipient = world.text("recipient", "cmk")
    world.must(world.sh(f"printf x | age -r {recipient} > f.age"))
    world.rotate("cmk")
    world.forget()
    assert world.must(world.sh("age -d -j kvp11 f.age")) == b"x"
    asked = [(r["method"], r["path"]) for r in world.requests() if r["kind"] == "vault" and r["status"] == 200]
    assert asked == [("GET", f"/keys/cmk/{first}"), ("POST", f"/keys/cmk/{first}/unwrapkey")], asked


def without_a_configuration(world):
    """a pinned recipient is enough to encrypt: no configuration, no map; the file is opened where there is one"""
    version = world.create("cmk")
    recipient = world.text("recipient", "cmk")
    told, = json.loads(world.must(world.kvp11("--json", "recipient", "cmk")))
    assert (told["recipient"], told["form"], told["name"], told["version"]) == (recipient, "pinned", "cmk", version), told
    world.must(world.run(["sh", "-c", f"printf x | age -r {recipient} > f.age"], config=world.dir / "absent.conf"))
    assert world.kid_of("f.age") is None
    assert world.must(world.sh("age -d -j kvp11 f.age")) == b"x"
    done = world.run(["age", "-d", "-j", "kvp11", "f.age"], config=world.dir / "absent.conf")
    assert done.returncode and done.stdout == b""
    world.told(done, "absent.conf")


def moved_to_another_vault(world):
    """the same key in another vault opens the file, under its name or, once the map knows it, under any; a different key of that name does not"""
    jwk = world.own_key()
    world.bring_in("prod", "cmk", jwk)
    world.must(world.sh(f"printf x | age -r {world.text('recipient', 'cmk')} > f.age"))
    there = world.bring_in("dr", "cmk", jwk)
    world.create("cmk", vault="dr")  # and a newer version, which is another key
    renamed = world.bring_in("dr", "renamed", jwk)
    elsewhere = world.configure("elsewhere.conf", vaults=("dr",), map=world.dir / "dr.db")
    decrypt = ["age", "-d", "-j", "kvp11", "f.age"]
    world.requests()
    assert world.must(world.run(decrypt, config=elsewhere)) == b"x"
    assert world.unwrapped_by() == [there]
    world.lose("dr", "cmk")
    world.requests()
    world.must(world.kvp11("keys", "--refresh", config=elsewhere))
    assert world.must(world.run(decrypt, config=elsewhere)) == b"x"
    assert world.unwrapped_by()[-1] == renamed
    world.lose("dr", "renamed")
    world.create("cmk", vault="dr")
    again = world.configure("again.conf", vaults=("dr",), map=world.dir / "again.db")
    world.requests()
    world.refused(world.run(decrypt, config=again), world.kid_of("f.age"), "'dr'", "kvp11 recover", "kvp11 key-backup restore")
    assert world.unwrapped_by() == [], "a version that the file does not name was tried"


def relocated(world):
    """S10: the old vault is gone, and the key is in another one under another name: after `kvp11 map relocate` the file opens; a different key is refused"""
    jwk = world.own_key()
    old = world.bring_in("prod", "cmk", jwk)
    world.must(world.kvp11("keys", "cmk", "--refresh"))
    world.must(world.sh(f"printf x | age -r {world.text('recipient', 'cmk')} > f.age"))
    world.must(world.run(["openssl", "rsa", "-in", "own.pem", "-pubout", "-out", "own.pub"]))
    there = f"{world.ready['vaults']['dr']}/keys/renamed/{world.bring_in('dr', 'renamed', jwk)}"
    other = f"{world.ready['vaults']['dr']}/keys/other/{world.create('other', vault='dr')}"
    version = next(row for row in json.loads(world.must(world.kvp11("--json", "keys", "--all"))) if row["version"] == old)
    both = world.configure("both.conf", vaults=("prod", "dr"))
    world.refused(world.kvp11("map", "relocate", version["kid"], other, config=both), "another key")
    # Shown by its public key, while the new vault is not configured; that comes later, and without the old one.
    world.must(world.kvp11("map", "relocate", version["kid"], there, "--public-key", "own.pub"))
    elsewhere = world.configure("elsewhere.conf", vaults=("dr",))
    world.requests()
    assert world.must(world.run(["age", "-d", "-j", "kvp11", "f.age"], config=elsewhere)) == b"x"
    assert world.unwrapped_by() == [there.rsplit("/", 1)[1]]
    assert [r["path"] for r in world.requests() if r["kind"] == "vault" and r["status"] == 404] == [], "it was looked for where it is not"


def tampered_with(world):
    """a header that was changed opens nothing: another kid, another digest, another file's stanza"""
    world.create("cmk")
    recipient = world.text("recipient", "cmk")
    for name in ("a", "b"):
        world.must(world.sh(f"printf {name} | age -r {recipient} > {name}.age"))
    other = world.rotate("cmk")
    world.must(world.kvp11("keys", "--refresh"))
    text = (world.dir / "a.age").read_bytes()
    kid = world.kid_of("a.age").encode()
    for what, changed in (
            ("another kid", text.replace(kid, kid.rsplit(b"/", 1)[0] + b"/" + other.encode())),
            ("a kid of a stranger", text.replace(kid, b"https://stranger.example/keys/cmk/" + other.encode())),
            ("another digest", re.sub(rb"oaep-256 \S+", b"oaep-256 " + b"A" * 43, text)),
            ("a stanza of another file", broken(text, (world.dir / "b.age").read_bytes())),
            ("a body of one byte less", re.sub(rb"\n(\S{1,63})\n-", rb"\nAAAA\n-", text, count=1)),
    ):
        assert changed != text, what
        (world.dir / "changed.age").write_bytes(changed)
        for peer in world.with_plugins():
            done = peer.decrypt(world, "changed.age")
            assert done.returncode and done.stdout == b"", f"{peer.name}, {what}: {done}"


def one_version_alone(world):
    """what a version cannot unwrap is tried with no other, though ledger and decrypt_fallback would find it: one request"""
    world.create("cmk")
    world.must(world.sh(f"printf x | age -r {world.text('recipient', 'cmk')} > old.age"))
    world.must(world.kvp11("rotate", "cmk", config=world.operator))
    world.must(world.sh(f"printf x | age -r {world.text('recipient', 'cmk')} > new.age"))
    old, new = (re.search(rb"oaep-256 (\S+) (\S+)", (world.dir / name).read_bytes()) for name in ("old.age", "new.age"))
    for what in (1, 2), (1,):
        changed = (world.dir / "old.age").read_bytes()
        for part in what:
            changed = changed.replace(old.group(part), new.group(part))
        (world.dir / "changed.age").write_bytes(changed)
        world.requests()
        world.refused(world.sh("age -d -j kvp11 changed.age"), new.group(2).decode())
        assert world.unwrapped_by() == [new.group(2).decode().rsplit("/", 1)[1]]


def managed_hsm(world):
    """an AES key of a Managed HSM wraps and unwraps by RFC 3394, one request each; its recipients are names"""
    for size in (128, 256):
        name = f"kek{size}"
        version = world.create(name, vault="hsm", kty="oct-HSM", key_size=size)
        world.create(name, vault="hsm", kty="oct-HSM", key_size=size)
        config = world.hsm
        now = world.text("recipient", name, "--floating", config=config)
        pinned = world.text("recipient", name, "--version", version, config=config)
        for peer in world.with_plugins():
            for recipient in (now, pinned):
                world.requests()
                words = ["-r", recipient, "-r", world.breakglass()]
                (world.dir / "h.age").write_bytes(world.must(world.run([*peer.command, *words], input=DATA, config=config, env=peer.environment)))
                assert world.operations("wrapkey") == 1
                world.requests()
                assert world.must(peer.decrypt(world, "h.age", config=config)) == DATA
                used, = world.unwrapped_by()
                assert (used == version) == (recipient == pinned)


def many_files(world):
    """60 files over six versions are restored by 60 requests, each by its own version"""
    world.create("cmk")
    recipient = world.text("recipient", "cmk", "--floating")
    versions = {}
    for i in range(60):
        if i and i % 10 == 0:
            world.must(world.kvp11("rotate", "cmk", config=world.operator))
        world.must(world.run(["age", "-r", recipient, "-o", f"{i}.age"], input=b"%d" % i))
        versions[i] = world.kid_of(f"{i}.age").rsplit("/", 1)[1]
    assert len(set(versions.values())) == 6
    world.requests()
    for i in sorted(versions, key=lambda i: i % 7):
        assert world.must(world.sh(f"age -d -j kvp11 {i}.age")) == b"%d" % i
    assert world.unwrapped_by() == [versions[i] for i in sorted(versions, key=lambda i: i % 7)]
    assert len([r for r in world.requests() if r["kind"] == "vault"]) == 60


def wrong_recipients(world):
    """a misspelt recipient, a key that is not there, a key that cannot encrypt: encryption fails and writes nothing"""
    world.create("cmk")
    world.create("ec", kty="EC", crv="P-256")
    good = world.text("recipient", "cmk", "--floating")
    world.refused(world.kvp11("recipient", "ec"), "ec", "RSA")
    world.refused(world.kvp11("recipient", "nobody"), "nobody")
    world.refused(world.kvp11("recipient", "cmk", "--floating", "--version", "1"), "exclude")
    floating_ec = world.bech32("prod/ec")
    for peer in world.with_plugins():
        note(peer.name)
        for recipient, words in ((good[:-1] + ("q" if good[-1] != "q" else "p"), ""), (floating_ec, "ec"), (world.bech32("prod/nobody"), "nobody"),
                                 (world.bech32("nowhere/cmk"), "nowhere")):
            done = peer.encrypt(world, [world.breakglass(), recipient], DATA, "w.age")
            assert done.returncode and done.stdout == b"", f"{recipient}: {done}"
            world.told(done, words)


SCENARIOS = (restores_after_rotations, one_line_for_ever, encrypts_offline, opens_without_the_vault, read_by_the_others, in_armor, opens_what_is_rewrapped, leaves_room,
             says_what_is_wrong,
             goes_on_to_the_next_stanza, without_a_map, without_a_configuration, moved_to_another_vault, relocated, tampered_with, one_version_alone, many_files, managed_hsm, wrong_recipients)
