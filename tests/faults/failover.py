"""A key of vault `prod` with a copy in vault `dr`: `failover = dr`, and everything that may be wrong with the first."""
import json
import time

from bench import Driver
from kvtest import Emulator
from peers import REFUSED, silent

TIMEOUT, CONNECT_TIMEOUT, PAUSE = 4, 1, 1.2  # seconds
SLACK = 1.5
CKR_NOT_PERMITTED, CKR_VERSION_DISABLED, CKR_UNREACHABLE = 0x68, 0xCB560001, 0xCB560005


class Two:
    """Two vaults of one emulator, the first of which has `failover` to the second; a configuration for each way to spoil that."""

    def __init__(self, vault, first="prod", second="dr"):
        self.vault, self.first, self.second = vault, first, second
        self.number = 0
        self.config = self.configure()

    def configure(self, first=(), both=(), failover=True, level="info"):
        """Lines for the first vault's section, for both; the log is its own, the map is not."""
        self.number += 1
        self.logged = self.vault.dir / f"failover{self.number}.log"
        lines = list(first) + ([f"failover = {self.second}"] if failover else [])
        path = self.vault.configure(f"failover{self.number}.conf", vaults=(self.first, self.second), settings=both, log=self.logged, log_level=level,
                                    timeout=TIMEOUT, connect_timeout=CONNECT_TIMEOUT, failover_pause=PAUSE)
        text = open(path).read().replace(f"[{self.second}]", "\n".join(lines) + f"\n[{self.second}]")
        open(path, "w").write(text)
        return path

    def copy(self, name, **how):
        """`as`: by another name."""
        self.vault.control("POST", f"/vaults/{self.first}/keys/{name}/copy", {"to": self.second, **how})

    def create(self, name="k", copied=True):
        version = self.vault.create(name, vault=self.first, kty="RSA", key_size=2048)
        if copied:
            self.copy(name)
        return version

    def resolve(self, address):
        """A line that sends the first vault's connections elsewhere."""
        host = self.vault.ready["vaults"][self.first].split("//")[1].rsplit(":", 1)[0]
        return f"resolve = {host}:{self.vault.ready['port']}:{address}"

    def learn(self):
        """What a program did before: the first vault's key is in the map."""
        with Driver(self.vault, self.config) as driver:
            opens(driver, "find k")
            self.asked()

    def asked(self, clear=True):
        """[(vault, last part of the path)] of the requests that carried a token, in order."""
        return [(r["host"].split(".")[0], r["path"].rstrip("/").rsplit("/", 1)[1]) for r in self.vault.requests(clear) if r["kind"] == "vault" and r["bearer"]]

    def fault(self, kind, vault=None, count=999, **more):
        self.vault.control("POST", "/faults", {"kind": kind, "host": vault or self.first, "count": count, **more})

    def log(self):
        return self.logged.read_text() if self.logged.exists() else ""

    def told(self, *words):
        lines = self.log().splitlines()
        assert any(all(word in line for word in words) for line in lines), f"no line with {words} in {lines}"

    def audited(self):
        """[(vault, operation, status)]"""
        rows = [json.loads(line) for line in (self.vault.dir / "audit.jsonl").read_text().splitlines()]
        return [(r["vault"], r["operation"], r["status"]) for r in rows]


def opens(driver, what, most=TIMEOUT):
    code, seconds, wrong = driver(what)
    assert code == 0 and not wrong, f"{what}: {code:#x}, wrong: {wrong}"
    assert seconds < most, f"{what} took {seconds} s"
    return seconds


def refuses(driver, what, wanted):
    code, _, _ = driver(what)
    assert code == wanted, f"{what}: {code:#x} instead of {wanted:#x}"


def refused(vault):
    """the first vault refuses connections: decrypt and unwrap by the second's copy, one GET of it, told and audited"""
    two = Two(vault)
    version = two.create()
    two.learn()
    config = two.configure([two.resolve(REFUSED)])
    with Driver(vault, config) as driver:
        opens(driver, "find k", 0.5)
        assert two.asked() == [], "the map knows the key"
        opens(driver, "decrypt", 1.5)
        assert two.asked() == [("dr", version), ("dr", "decrypt")]
        opens(driver, "unwrap", 0.5)
        assert two.asked() == [("dr", "unwrapkey")]
        refuses(driver, "sign", CKR_UNREACHABLE)
        assert two.asked() == [], "a signature stays with its own vault"
    two.told("C_Decrypt", f"'prod/k@{version}' was opened by 'dr/k@{version}'", "prod.vault.localhost")
    two.told("vault 'prod' failed")
    audit = two.audited()
    assert ("prod", "decrypt", "UNREACHABLE") in audit and ("dr", "decrypt", "OK") in audit, audit


def silent_first(vault):
    """no connection to the first vault comes about: within the deadline, by the second"""
    two = Two(vault)
    two.create()
    two.learn()
    held = silent(vault.ready["port"])
    try:
        with Driver(vault, two.configure([two.resolve("127.0.0.10")])) as driver:
            opens(driver, "find k", 0.5)
            opens(driver, "decrypt", TIMEOUT / 2 + SLACK)
            opens(driver, "unwrap", 0.5)
    finally:
        for one in held:
            one.close()


def hanging(vault):
    """the first vault takes the request and says nothing: half of the time for it, then the second; the next call goes there at once; back after the pause"""
    two = Two(vault)
    version = two.create()
    two.learn()
    with Driver(vault, two.config) as driver:
        opens(driver, "find k")
        opens(driver, "decrypt")
        assert two.asked()[-1] == ("prod", "decrypt")
        two.fault("delay", ms=60000, operation="decrypt")
        took = opens(driver, "decrypt", TIMEOUT / 2 + SLACK)
        assert took > TIMEOUT / 2 - 0.1, f"the first vault had {took} s"
        assert two.asked() == [("dr", version), ("dr", "decrypt")], "what hangs is logged when it is served"
        opens(driver, "unwrap", 0.5)
        assert two.asked() == [("dr", "unwrapkey")], "0 requests to the first"
        opens(driver, "decrypt", 0.5)
        assert two.asked() == [("dr", "decrypt")]
        vault.control("DELETE", "/faults")
        time.sleep(PAUSE)
        opens(driver, "decrypt", 0.5)
        assert two.asked() == [("prod", "decrypt")], "back at its own vault"
        opens(driver, "unwrap", 0.5)
        assert two.asked() == [("prod", "unwrapkey")]
    two.told("vault 'prod' answers again")


def failing(vault):
    """503, 429 with Retry-After, broken JSON, a blocked address, a cut connection: the second at once"""
    two = Two(vault)
    version = two.create()
    two.learn()
    blocked = {"status": 403, "body": json.dumps({"error": {"code": "Forbidden", "message": "no", "innererror": {"code": "ForbiddenByFirewall"}}})}
    for kind, more, times in (("status", {"status": 503, "body": ""}, 1), ("status", {"status": 429, "body": "", "headers": {"Retry-After": "2"}}, 1),
                              ("broken_json", {}, 1), ("status", blocked, 1), ("cut_before", {}, 2)):
        with Driver(vault, two.config) as driver:
            opens(driver, "find k")
            two.asked()
            two.fault(kind, operation="decrypt", **more)
            opens(driver, "decrypt", 1)
            asked = two.asked()
            assert [one for one in asked if one[0] == "dr"][-1] == ("dr", "decrypt") and ("dr", version) not in asked[2:], asked
            assert sum(one == ("prod", "decrypt") for one in asked) <= times, asked
            opens(driver, "unwrap", 0.5)
            assert two.asked() == [("dr", "unwrapkey")]
        vault.control("DELETE", "/faults")


def asked_to_wait(vault):
    """the first vault asks to be left alone for longer than the pause: nobody waits for it where the second can be asked"""
    two = Two(vault)
    two.create()
    with Driver(vault, two.config) as driver:
        opens(driver, "find k")
        two.fault("status", operation="decrypt", status=429, count=1, body="", headers={"Retry-After": "3"})
        opens(driver, "decrypt", 1)
        time.sleep(PAUSE)
        two.asked()
        opens(driver, "decrypt", 0.5)
        assert two.asked() == [("dr", "decrypt")]


def threads(vault):
    """the first vault hangs under 8 threads: not one unwrap of 2000 fails, and after each pause one thread alone finds out that it still hangs"""
    two = Two(vault)
    two.create()
    two.fault("delay", ms=60000, operation="unwrapkey", count=1000)
    config = two.configure(level="warn")
    started = time.monotonic()
    done = vault.run([vault.build / "tests/bench/kvp11-bench", "--module", vault.module, "--token", "prod", "--key", "k", "--threads", 8, "--count", 2000, "load"],
                     config=config)
    took = time.monotonic() - started
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout)["failures"] == 0, done.stdout
    hung = 1000 - sum(fault["count"] for fault in vault.control("GET", "/faults"))
    print(f"#   {hung} requests hung in {took:.1f} s")
    assert 1 <= hung <= 8 + took / (TIMEOUT / 2) + 1, f"{hung} requests to a vault that hangs, in {took:.1f} s"


def another_key(vault):
    """another key under the same name and version: told with both addresses, never used"""
    two = Two(vault)
    version = two.create(copied=False)
    vault.create("k", vault="dr", kty="RSA", key_size=2048)
    two.learn()
    # The service gives every version a name of its own; this one answers with another key for the name that is asked for.
    stranger = vault.control("POST", "/vaults/dr/keys/other/create", {"kty": "RSA", "key_size": 2048})
    stranger["key"]["kid"] = f"{vault.ready['vaults']['dr']}/keys/k/{version}"
    two.fault("status", vault="dr", operation="get", status=200, bearer=True, body=json.dumps(stranger), headers={"Content-Type": "application/json"})
    with Driver(vault, two.configure([two.resolve(REFUSED)])) as driver:
        opens(driver, "find k", 0.5)
        two.asked()
        for _ in range(2):
            refuses(driver, "decrypt", CKR_UNREACHABLE)
        asked = two.asked()
    assert asked == [("dr", version)], asked
    told = [line for line in two.log().splitlines() if " warn: " in line and "has another public key than" in line]
    assert len(told) == 1 and all(f"{vault.ready['vaults'][one]}/keys/k/{version}" in told[0] for one in ("prod", "dr")), told


def forbidden(vault):
    """denied, or disabled, by the first vault: its word stays, the second is not asked"""
    two = Two(vault)
    version = two.create()
    with Driver(vault, two.config) as driver:
        opens(driver, "find k")
        opens(driver, "decrypt")
        two.asked()
        vault.control("POST", "/identities", {"id": "workload", "secret": "workload-secret", "perms": "get,list,encrypt,wrap,unwrap,decrypt@k,-decrypt@k"})
        refuses(driver, "decrypt", CKR_NOT_PERMITTED)
        assert two.asked() == [("prod", "decrypt")]
        vault.control("POST", "/identities", {"id": "workload", "secret": "workload-secret", "perms": "get,list,encrypt,decrypt,wrap,unwrap"})
        vault.control("PATCH", f"/vaults/prod/keys/k/{version}", {"enabled": False})
        refuses(driver, "decrypt", CKR_VERSION_DISABLED)
        assert {one[0] for one in two.asked()} == {"prod"}


def pkeyutl(vault, config, kind, *words):
    """The openssl program on key k, in a process of its own."""
    (vault.dir / "engine.cnf").write_text("openssl_conf = i\n[i]\nengines = e\n[e]\npkcs11 = p\n[p]\nengine_id = pkcs11\n"
                                          f"MODULE_PATH = {vault.module}\ninit = 0\n")
    done = vault.run(["openssl", "pkeyutl", "-engine", "pkcs11", "-keyform", "engine", "-inkey", f"pkcs11:token=prod;object=k;type={kind}",
                      "-pkeyopt", "rsa_padding_mode:oaep", *words], config=config, env={"OPENSSL_CONF": vault.dir / "engine.cnf"})
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def deleted(vault):
    """the key is deleted in the first vault: by the second's copy, in a new process too; recovered, it is used again"""
    two = Two(vault)
    version = two.create()
    (vault.dir / "secret").write_bytes(b"a secret")
    pkeyutl(vault, two.config, "public", "-pubin", "-encrypt", "-in", "secret", "-out", "sealed")
    with Driver(vault, two.config) as driver:
        opens(driver, "find k")
        opens(driver, "decrypt")
        two.asked()
        vault.control("POST", "/vaults/prod/keys/k/delete")
        opens(driver, "decrypt", 1)
        assert two.asked() == [("prod", "decrypt"), ("dr", version), ("dr", "decrypt")]
        opens(driver, "unwrap", 1)
        assert two.asked() == [("dr", "unwrapkey")]
        vault.kvp11("keys", "k", "--refresh", config=two.config)  # so that the map knows, too
        two.asked()
        assert pkeyutl(vault, two.config, "private", "-decrypt", "-in", "sealed") == b"a secret"
        assert two.asked() == [("dr", "decrypt")]
        vault.control("POST", "/vaults/prod/keys/k/recover")
        time.sleep(PAUSE)
        opens(driver, "decrypt", 1)
        assert two.asked() == [("prod", "decrypt")]
    two.told("C_Decrypt", f"opened by 'dr/k@{version}'", "HTTP 404")


def other_name(vault):
    """a copy under another name, which the map knows by its public key: used at once, without a look"""
    two = Two(vault)
    version = two.create(copied=False)
    two.copy("k", **{"as": "from-prod"})
    two.learn()
    assert vault.kvp11("keys", "--refresh", config=two.config).returncode == 0
    two.asked()
    with Driver(vault, two.configure([two.resolve(REFUSED)])) as driver:
        opens(driver, "find k", 0.5)
        opens(driver, "decrypt", 1.5)
    assert two.asked() == [("dr", "decrypt")]
    two.told(f"'prod/k@{version}' was opened by 'dr/from-prod@{version}'")


def nobody(vault):
    """all fail: one line names each place and why; the status is that of the own vault"""
    two = Two(vault)
    two.create()
    two.learn()
    config = two.configure([two.resolve(REFUSED)])
    two.fault("status", vault="dr", status=503, body="")
    with Driver(vault, config) as driver:
        opens(driver, "find k")
        started = time.monotonic()
        refuses(driver, "decrypt", CKR_UNREACHABLE)
        assert time.monotonic() - started < TIMEOUT + SLACK
    two.told("vault 'prod'", "nor does another vault of `failover` open it", "'dr", "503")


def nowhere_else(vault):
    """no copy anywhere, and the first vault throttles: it gets the rest of the time, as it would without `failover`"""
    two = Two(vault)
    two.create(copied=False)
    with Driver(vault, two.config) as driver:
        opens(driver, "find k")
        two.asked()
        two.fault("status", operation="decrypt", status=429, count=1, body="", headers={"Retry-After": "1"})
        opens(driver, "decrypt")
        asked = two.asked()
    assert [one for one in asked if one[0] == "prod"] == [("prod", "decrypt"), ("prod", "decrypt")], asked


def secret_key(vault):
    """a secret key of a Managed HSM: by another region only where the configuration vouches for it"""
    two = Two(vault, "hsm", "west")
    version = vault.create("s", vault="hsm", kty="oct-HSM", key_size=256)
    two.copy("s")
    for vouched in (False, True):
        more = ["failover_secret_keys = yes"] if vouched else []
        with Driver(vault, two.configure(more)) as driver:
            opens(driver, "secret s")
            opens(driver, "open")
            two.asked()
            two.fault("cut_before", operation="decrypt")
            if vouched:
                opens(driver, "open")
                asked = two.asked()
                assert [one for one in asked if one[0] == "west"] == [("west", version), ("west", "decrypt")], asked
            else:
                code, _, _ = driver("open")
                assert code, "it opened"
                assert {one[0] for one in two.asked()} <= {"hsm"}
        vault.control("DELETE", "/faults")


SCENARIOS = (refused, silent_first, hanging, failing, asked_to_wait, threads, another_key, forbidden, deleted, other_name, nobody, nowhere_else, secret_key)


def run(checks):
    for scenario in SCENARIOS:
        with Emulator("--vault", "prod", "--vault", "dr", "--hsm", "hsm", "--hsm", "west") as vault:
            what = "failover: " + scenario.__doc__.strip()
            try:
                scenario(vault)
            except (AssertionError, RuntimeError) as error:
                logs = "".join(f"{p.name}: {p.read_text()[-1500:]}" for p in sorted(vault.dir.glob("failover*.log")))
                checks.check(what, False, f"{type(error).__name__}: {error}\n{logs}")
            else:
                checks.check(what, True)
