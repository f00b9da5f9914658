"""Backup tools that load the module themselves, each in a world of its own: gpg by gnupg-pkcs11-scd, LUKS by systemd-cryptenroll, openssl cms by engine and by provider."""
import base64
import hashlib
import itertools
import json
import re
import shutil

from kvtest import Emulator
from age_world import note
from certificates import gnupg
from failures import fails_closed
from p11_kit import as_root_knows_it, luks_form, luks_lines
from recipes import literal
from secret_tools import second_ago, tree
from tokens import Vault

OLD = ("rsa1_5 = yes", "self_signed = yes")  # what gpg and systemd 252 are bound to
OAEP = ["-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256", "-keyopt", "rsa_mgf1_md:sha256"]
VERSIONS, RSA = 100, 20


def card(world, settings):
    world.config = world.configure("kvp11.conf", settings)
    return Vault(world), world.create("backup-kek")


class Gpg:
    """The page's lines in a home of GnuPG."""

    def __init__(self, token, environment):
        self.token, self.environment = token, environment
        self.page = literal("gpg by gnupg-pkcs11-scd").replace("/restore/data", "restored").replace("/restore", "restore").replace("/srv", "srv")

    def restart(self):
        """As after the host's: another configuration, and versions that are new."""
        self.token.must(self.token.run(["gpgconf", "--kill", "all"], env=self.environment))

    def line(self, words, fingerprint="", name="data", options="", **more):
        """The line with these words; `name`: of the file; `options`: of duplicity."""
        text, = [line for line in self.page.splitlines() if words in line]
        text = text.replace("FINGERPRINT", fingerprint).replace("/backup/data", f"/backup/{name}").replace("/backup", f"{self.token.dir}/backup")
        text = text.replace("duplicity ", f"duplicity --no-print-statistics --archive-dir archive -v1 {options}", 1)
        return self.token.run(["bash", "-o", "pipefail", "-c", text], env=self.environment, **more)

    def key(self, known):
        """An OpenPGP key of the version whose keygrip is not known yet."""
        self.restart()
        said = self.token.must(self.line("learn")).decode()
        grip, = set(re.findall(r"^S KEY-FRIEDNLY (\S+) ", said, re.M)) - known
        known.add(grip)
        self.token.file("parameters", f"%no-protection\nKey-Type: RSA\nKey-Grip: {grip}\nKey-Usage: encrypt sign\nName-Email: b@example.invalid\nExpire-Date: 0\n%commit\n".encode())
        self.token.must(self.line("--full-generate-key"))
        listed = self.token.must(self.token.run(["gpg", "--batch", "--with-colons", "--list-keys"], env=self.environment)).decode()
        return re.findall(r"^fpr:+(\w+):", listed, re.M)[-1]


def gpg(world):
    """kvp11-recipes(7), gpg by gnupg-pkcs11-scd: the lines make an OpenPGP key of each version, and gpg and duplicity, without a PIN, open the oldest and the newest after rotations; not without rsa1_5, nor with a vault that fails, in any way"""
    token, version = card(world, OLD)
    data = world.folder("srv/data")
    for name in ("backup", "restore"):
        (world.dir / name).mkdir()
    with gnupg(token) as environment:
        tool, known, made, then = Gpg(token, environment), set(), [], None
        for name in ("oldest", "newest"):
            made.append(tool.key(known))
            world.must(tool.line("gpg --batch --encrypt", made[-1], name))
            world.must(tool.line(" full ", made[-1]))
            if not then:
                then = second_ago()
                shutil.copytree(data, world.dir / "then")
                (data / "new").write_text("after the rotation\n")
            world.must(world.kvp11("rotate", "backup-kek", config=world.operator))

        def duplicity(config=None, options=f"--time {then} "):
            tool.restart()
            shutil.rmtree(world.dir / "restored", ignore_errors=True)
            done = tool.line("restore file:", made[0], options=options, config=config)
            assert done.returncode == 0 or not any(path.is_file() for path in world.dir.glob("restored/**/*")), "it came back all the same"
            return done

        def decrypt(config):
            tool.restart()
            return token.run(["gpg", "--batch", "--decrypt", "backup/oldest.gpg"], env=environment, config=config)

        tool.restart()
        shutil.rmtree(world.dir / "archive")  # another host
        for name, expected, options in (("newest", data, ""), ("oldest", world.dir / "then", f"--time {then} ")):
            note(name)
            shutil.rmtree(world.dir / "restore")
            (world.dir / "restore").mkdir()
            world.must(tool.line("gpg --batch --decrypt", name=name))
            assert world.same(expected, world.dir / "restore/data")
            world.must(duplicity(options=options))
            assert world.same(expected, world.dir / "restored")
        assert all(b"BEGIN PGP PUBLIC KEY" in world.must(tool.line("--export", one)) for one in made)
        fails_closed(world, "backup-kek", version, {"gpg": decrypt, "duplicity": duplicity}, lambda: tree(world.dir / "backup"), OLD, masked=True)
        assert decrypt(world.configure("kvp11.conf", OLD[1:])).returncode, "it opened without rsa1_5"


def luks(world):
    """kvp11-recipes(7), LUKS by systemd-cryptenroll: a slot for each version, enrolled before and after a rotation, opens after the next; none with a vault that fails, in any way"""
    token, version = card(world, OLD)
    modules = world.dir / "modules"
    modules.mkdir()
    (modules / "scenario.module").write_text(f"module: {world.module}\n")
    unlock = {}
    for name in ("oldest.img", "newest.img"):
        uri, enrol, unlock[name] = luks_lines(name)
        world.must(as_root_knows_it(token, f"{luks_form(token, name)}\n{uri}\n{enrol}", modules))
        world.must(world.kvp11("rotate", "backup-kek", config=world.operator))
    for name, line in unlock.items():
        note(name)
        assert b"Key slot 1 unlocked" in world.must(as_root_knows_it(token, line, modules))
    quiet = unlock["oldest.img"].replace(" -v", "")
    fails_closed(world, "backup-kek", version, {"cryptsetup": lambda config: as_root_knows_it(token, quiet, modules, config=config)},
                 lambda: hashlib.sha256(token.file("oldest.img").read_bytes()).digest(), OLD, masked=True)


def private_keys(world):
    """RSA keys as JWK, each of two of a few primes: to make each by itself would take seconds."""
    said = world.must(world.sh("for i in $(seq 8); do openssl prime -generate -bits 1024; done")).decode().split()
    primes = [int(number) for number in said if (int(number) - 1) % 65537]

    def text(number):
        return base64.urlsafe_b64encode(number.to_bytes((number.bit_length() + 7) // 8, "big")).rstrip(b"=").decode()

    for p, q in itertools.islice(itertools.combinations(primes, 2), RSA):
        d = pow(65537, -1, (p - 1) * (q - 1))
        numbers = {"n": p * q, "e": 65537, "d": d, "p": p, "q": q, "dp": d % (p - 1), "dq": d % (q - 1), "qi": pow(q, -1, p)}
        yield {"kty": "RSA", **{name: text(number) for name, number in numbers.items()}}


def vault_requests(world):
    return [(entry["method"], entry["path"]) for entry in world.requests() if entry["kind"] == "vault"]


def openssl_cms(world):
    """S9: openssl cms, OAEP-256, 100 versions in the map (20 of RSA): listing them asks the vault nothing; by engine and by provider, first and second of two, the oldest file opens with one request, and ends with 0; kvp11 cms open opens that file, and gives nothing of a changed one"""
    token = Vault(world)
    versions = [world.bring_in("prod", "cmk", jwk) for jwk in private_keys(world)]
    versions += [Emulator.create(world, "cmk", kty="EC", crv="P-256") for _ in range(VERSIONS - len(versions))]
    rows = {row["version"]: row for row in json.loads(world.must(world.kvp11("--json", "keys", "cmk", "--refresh")))}
    assert set(rows) == set(versions) and len(versions) == VERSIONS
    uri = rows[versions[0]]["uri"]
    data = token.file("data", bytes(range(256)) * 1000).read_bytes()
    provider = {"PKCS11_PROVIDER_MODULE": world.module}

    note("making the envelope")
    config = world.configure("self.conf", ["self_signed = yes"])
    # In this order: the provider, asked first, takes the certificate's key for one of a token, and finds no token.
    world.must(world.run(["openssl", "cms", "-encrypt", "-provider", "default", "-provider", "pkcs11", "-binary", "-outform", "DER", "-aes-256-gcm", "-keyid",
                          "-recip", uri.replace("type=private", "type=cert"), *OAEP, "-in", "data", "-out", "sealed"], env=provider, config=config, timeout=60))
    whole = token.file("sealed").read_bytes()
    token.file("changed", whole[:-1000] + bytes([whole[-1000] ^ 1]) + whole[-999:])
    world.requests()

    note("listing")
    listed = world.must(token.tool("-O", "--type", "privkey")).decode()
    assert listed.count("Private Key Object;") == VERSIONS
    listed = world.must(world.run(["p11tool", "--provider", world.module, "--batch", "--list-privkeys", "pkcs11:token=prod"])).decode()
    assert listed.count("Type: Private key") == VERSIONS
    listed = world.must(world.run(["openssl", "storeutl", "-provider", "pkcs11", "-provider", "default", "-noout", "-text", "pkcs11:token=prod;type=private"], env=provider, timeout=60)).decode()
    assert f"Total found: {VERSIONS}" in listed, listed[-200:]
    assert world.requests() == [], "listing asked for something"

    def opens(what, run):
        for name, good in (("sealed", True), ("changed", False)):
            note(f"{what}, {name}")
            token.file("opened").unlink(missing_ok=True)
            done = run(["cms", "-decrypt", "-debug_decrypt", "-binary", "-inform", "DER", "-inkey", uri, "-in", name, "-out", "opened"])
            asked = vault_requests(world)
            assert asked == [("POST", f"/keys/cmk/{versions[0]}/decrypt")], asked
            assert done.returncode == 0 if good else done.returncode == 4, done
            assert not good or token.file("opened").read_bytes() == data

    opens("engine", lambda words: token.engine(*words, "-engine", "pkcs11", "-keyform", "engine", timeout=60))
    for order in (("pkcs11", "default"), ("default", "pkcs11")):
        opens(" ".join(order), lambda words: world.run(["openssl", *words, "-provider", order[0], "-provider", order[1]], env=provider, timeout=60))
    note("kvp11 cms open")
    assert world.must(world.kvp11("cms", "open", "sealed")) == data
    assert vault_requests(world) == [("POST", f"/keys/cmk/{versions[0]}/unwrapkey")]
    world.refused(world.kvp11("cms", "open", "changed"), "not what its sender wrote", code=65)


SCENARIOS = (gpg, luks, openssl_cms)
