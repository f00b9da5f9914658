"""Every fault at every kind of request: what the caller gets, what goes over the wire, how long it takes, what the log says, and that the next call works.

A row is a fault, a column a kind of request; a cell is one of them in one mode: the fault stays ("always"), or it hits one request ("once"). What a cell
must show follows from the columns of the row; where the two do not go together, the row says why.
"""
import collections
import json
import pathlib
import queue
import re
import threading
import time

from bench import TIMEOUT, Bench, Driver, wait_for
from peers import REFUSED, SILENT, STRANGER

WORKERS = 10
SLACK = 1.5     # seconds: what a busy machine may add
DELAY_MS = 3200  # of the row "slow"; longer than TIMEOUT

# What users see of a status: the module's return value, the tool's exit code.
CODES = {
    "OK": (0, 0),
    "UNREACHABLE": (0xCB560005, 69),
    "TLS": (0xCB560007, 69),
    "TIMED_OUT": (0xCB560006, 69),
    "THROTTLED": (0xCB560004, 75),
    "SERVER": (0x30, 69),
    "PROTOCOL": (0x30, 65),
    "WRONG_KEY": (0x30, 65),
    "CREDENTIAL": (0xCB560003, 77),
    "DENIED": (0x68, 77),
    "BLOCKED": (0x30, 77),
    "NOT_FOUND": (0x60, 66),
    "DISABLED": (0xCB560001, 77),
    "KEY_OPERATION": (0x68, 77),
    "CONFLICT": (0x06, 73),
}

# A kind of request: the fault's operation, the key in its path, whose tool or module call makes it, and whether it may be repeated blindly.
Column = collections.namedtuple("Column", "name operation host act cold identity changes")
COLUMNS = (
    Column("token", "token", "login", "sign", False, "workload", False),
    Column("get", "get", "prod", "find k", True, "workload", False),
    Column("list", "list", "prod", "list", True, "workload", False),
    Column("sign", "sign", "prod", "sign", False, "workload", False),
    Column("decrypt", "decrypt", "prod", "decrypt", False, "workload", False),
    Column("unwrap", "unwrapkey", "prod", "unwrap", False, "workload", False),
    Column("rotate", "rotate", "prod", ("rotate", "turning"), False, "operator", True),
)
OPERATIONS = ("sign", "decrypt", "unwrap")
ON_KEYS = ("get", *OPERATIONS)
LOST = ("UNREACHABLE", "TIMED_OUT", "PROTOCOL", "SERVER", "WRONG_KEY")  # a change that ends so may have been made: the versions are listed


def error(status, code, message, inner=None, **headers):
    body = {"error": {"code": code, "message": message}}
    if inner:
        body["error"]["innererror"] = {"code": inner}
    return {"kind": "status", "status": status, "body": json.dumps(body), "headers": headers}


def entra(status, number, code, description):
    return {"kind": "status", "status": status,
            "body": json.dumps({"error": code, "error_description": f"AADSTS{number}: {description}", "error_codes": [number]})}


def bare(status, **headers):
    return {"kind": "status", "status": status, "body": "", "headers": headers}


def challenge():
    return {"WWW-Authenticate": "Bearer authorization=\"{authority}/{tenant}\", resource=\"https://vault.localhost\""}


# How often a request goes out while the fault stays, in TIMEOUT seconds, by the retry rule of the contract (§9.3): a lost connection is tried again
# after 0.1 s and after 1 s; a refusal that may pass, after 1 s or when it says. Least and most seconds that the waits take.
Retry = collections.namedtuple("Retry", "attempts least most")
AT_ONCE = Retry(1, 0, 0)
LOST_CONNECTION = Retry(3, 0.85, 1.45)
MAY_PASS = Retry(2, 0.75, 1.35)
AS_ASKED = Retry(2, 1.5, 1.9)
TO_THE_END = Retry(1, TIMEOUT, TIMEOUT)


class Row:
    """`fault`: the order for the emulator, or by column; `status`, `words`: likewise, what comes of it and what the log says of it in one line, the
    remedy last; `without`: columns that make no sense, with the reason. In `fault`, `status` and `words` "vault" is every column but "token".

    once         a single one is got over; a set: but not in these columns
    place        where the host is sought instead
    unprocessed  the refusal says that nothing was done, so a change may be repeated, too
    served       the vault did it, whatever becomes of the reply
    cools        seconds that the vault is left alone afterwards
    timeout      seconds, where TIMEOUT would leave a busy machine too little beside the wait
    """

    def __init__(self, name, fault, status, retry, words, without=None, once=False, **more):
        self.name, self.fault, self.status, self.retry, self.words, self.once = name, fault, status, retry, words, once
        self.without = without or {}
        self.place = more.pop("place", None)
        self.unprocessed = more.pop("unprocessed", False)
        self.served = more.pop("served", False)
        self.cools = more.pop("cools", 0)
        self.timeout = more.pop("timeout", TIMEOUT)
        assert not more, more

    def pick(self, what, column):
        value = getattr(self, what)
        if isinstance(value, dict) and "kind" not in value:
            return value.get(column.name, value.get("vault"))
        return value


NO_KEY = {c: "names no key, so nothing about one can be refused" for c in ("token", "list")}
TOKEN_ONLY_401 = "the directory refuses with 400 and 401; see the row of 401"
NO_LIST = ["does not let us list", "`keys =`"]
ROWS = (
    # --- no connection ---
    Row("the name is not known", None, "UNREACHABLE", LOST_CONNECTION, ["resolve|connect_timeout", "name service|firewall"], place="invalid"),
    Row("refused", None, "UNREACHABLE", LOST_CONNECTION, ["connect", "network, the firewall, and the url"], place=REFUSED),
    Row("unreachable", None, "UNREACHABLE", Retry(None, 2.0, TIMEOUT), ["cannot be reached", "network, the firewall, and the url"], place=SILENT),
    Row("TLS peer not trusted", None, "TLS", AT_ONCE, ["TLS with", "ca_file"], place=STRANGER),
    # --- cut ---
    Row("cut before it is served", {"kind": "cut_before"}, "PROTOCOL", LOST_CONNECTION, ["connection was cut"], once=True),
    Row("cut before the reply", {"kind": "cut"}, "PROTOCOL", LOST_CONNECTION, ["connection was cut"], once=True, served=True),
    Row("cut in the reply", {"kind": "truncate"}, "PROTOCOL", LOST_CONNECTION, ["connection was cut"], once=True, served=True),
    Row("cut after the reply", {"kind": "close"}, "OK", AT_ONCE, [], served=True),
    # --- refused ---
    Row("401", {"token": entra(401, 7000215, "invalid_client", "Invalid client secret provided."),
                "vault": {**error(401, "Unauthorized", "AKV10032: Invalid issuer."), "headers": challenge()}},
        "CREDENTIAL", Retry(2, 0, 0), {"token": ["AADSTS7000215", "client_secret_file"], "vault": ["HTTP 401", "check `tenant` and the credential"]},
        once={"token"}),
    # A listing that is refused goes by what `keys =` and the map name: here they name nothing.
    Row("403 by role", {"token": entra(403, 53003, "access_denied", "Access has been blocked by Conditional Access policies."),
                        "vault": error(403, "Forbidden", "Caller is not authorized to perform action on resource.", "ForbiddenByRbac")},
        {"token": "CREDENTIAL", "vault": "DENIED"}, AT_ONCE,
        {"token": ["AADSTS53003", "conditional access"], "list": NO_LIST, "vault": ["permission denied", "assign a role"]}),
    Row("403 by access policy", error(403, "Forbidden", "The user, group or application does not have the permission.", "AccessDenied"), "DENIED", AT_ONCE,
        {"list": NO_LIST, "vault": ["permission denied", "grant the permission"]}, {"token": TOKEN_ONLY_401}),
    Row("403 by firewall", error(403, "Forbidden", "Client address is not authorized.", "ForbiddenByFirewall"), "BLOCKED", AT_ONCE,
        ["blocked", "firewall admit"], {"token": TOKEN_ONLY_401}),
    Row("403 by connection", error(403, "Forbidden", "Public network access is disabled.", "ForbiddenByConnection"), "BLOCKED", AT_ONCE,
        ["blocked", "private endpoint"], {"token": TOKEN_ONLY_401}),
    Row("403 by policy", error(403, "Forbidden", "Denied by Azure Policy.", "ForbiddenByPolicy"), "BLOCKED", AT_ONCE,
        ["blocked", "policy's assignment"], {"token": TOKEN_ONLY_401}),
    Row("403 disabled", error(403, "Forbidden", "Operation is not allowed on a disabled key.", "KeyDisabled"), "DISABLED", AT_ONCE,
        ["disabled", "enable the version"], {**NO_KEY, "get": "a disabled version is shown like any other (contract §8.2)",
                                            "rotate": "it names no version, and makes one that is enabled"}),
    Row("403 key operation", error(403, "Forbidden", "Operation is not permitted on this key.", "KeyOperationForbidden"), "KEY_OPERATION", AT_ONCE,
        ["does not allow", "key_ops"], {**NO_KEY, "get": "is no operation of key_ops", "rotate": "is no operation of key_ops"}),
    Row("404", {"token": entra(404, 90002, "invalid_request", "Tenant not found."),
                "vault": error(404, "KeyNotFound", "A key with (name/id) k was not found in this key vault.")},
        {"token": "CREDENTIAL", "vault": "NOT_FOUND"}, AT_ONCE, {"token": ["AADSTS90002", "correct `tenant`"], "vault": ["if it was deleted, bring it back"]}),
    Row("409", error(409, "Conflict", "Key k is currently being recovered.", "ObjectIsBeingRecovered"), "CONFLICT", AT_ONCE,
        ["being recovered", "repeat in some seconds"], {"token": "a directory has no state that could be in the way"}),
    # --- not now ---
    Row("408", bare(408), {"token": "CREDENTIAL", "vault": "SERVER"}, MAY_PASS, ["HTTP 408"], once=True),
    Row("429", error(429, "Throttled", "too many requests"), {"token": "CREDENTIAL", "vault": "THROTTLED"}, MAY_PASS, ["HTTP 429"], once=True, unprocessed=True, cools=2.7),
    Row("429 with Retry-After", {**error(429, "Throttled", "too many requests"), "headers": {"Retry-After": "2"}},
        {"token": "CREDENTIAL", "vault": "THROTTLED"}, Retry(2, 2, 2.5), ["HTTP 429"], once=True, unprocessed=True, timeout=3.8),
    Row("429 with a Retry-After past the deadline", {**error(429, "Throttled", "too many requests"), "headers": {"Retry-After": "60"}},
        {"token": "CREDENTIAL", "vault": "THROTTLED"}, AT_ONCE, ["HTTP 429"], unprocessed=True, cools=60),
    Row("429 with milliseconds", {**error(429, "Throttled", "too many requests"), "headers": {"x-ms-retry-after-ms": "1500"}},
        {"token": "CREDENTIAL", "vault": "THROTTLED"}, AS_ASKED, ["HTTP 429"], once=True, unprocessed=True),
    Row("500", bare(500), {"token": "CREDENTIAL", "vault": "SERVER"}, MAY_PASS, ["HTTP 500"], once=True),
    Row("502", bare(502), {"token": "CREDENTIAL", "vault": "SERVER"}, MAY_PASS, ["HTTP 502"], once=True),
    Row("503", bare(503), {"token": "CREDENTIAL", "vault": "SERVER"}, MAY_PASS, ["HTTP 503"], once=True),
    Row("504", bare(504), {"token": "CREDENTIAL", "vault": "SERVER"}, MAY_PASS, ["HTTP 504"], once=True),
    # --- not an answer ---
    Row("broken JSON", {"kind": "broken_json"}, "PROTOCOL", AT_ONCE, ["JSON"], served=True),
    Row("wrong kid", {"kind": "wrong_kid"}, "WRONG_KEY", AT_ONCE, ["another"],
        {"token": "a token reply names no key", "list": "what a list names is what there is"}, served=True),
    Row("slow", {"kind": "delay", "ms": DELAY_MS}, "TIMED_OUT", TO_THE_END, ["did not answer before the deadline", "`timeout`"], served=True),
)


def cells():
    """(row, column, mode), in an order that spreads the long ones."""
    for row in ROWS:
        for column in COLUMNS:
            if column.name in row.without:
                continue
            yield row, column, "always"
            if row.once and not (isinstance(row.once, set) and column.name in row.once):
                yield row, column, "once"


class Cell:
    def __init__(self, bench, row, column, mode):
        self.bench, self.vault, self.row, self.column, self.mode = bench, bench.vault, row, column, mode
        self.problems = []
        self.finds = column.cold  # a search, with a map that knows nothing

    def expect(self, holds, text):
        if not holds:
            self.problems.append(text)

    # --- planting ---
    def kind(self):
        return (self.row.pick("fault", self.column) or {}).get("kind")

    def order(self):
        fault = self.row.pick("fault", self.column)
        if fault is None:
            return None
        text = json.dumps(fault).replace("{authority}", self.vault.ready["authority"]).replace("{tenant}", self.vault.ready["tenant"])
        order = {**json.loads(text), "operation": self.column.operation, "host": self.column.host, "count": 99 if self.mode == "always" else 1}
        if self.column.host == "prod":
            order["bearer"] = True
        return order

    def place(self):
        """Settings that send the host elsewhere, and what replaces others."""
        host = {"prod": "prod.vault", "login": "login"}[self.column.host]
        if self.row.place == "invalid" and host == "prod.vault":
            return [], {"url": self.vault.ready["vaults"]["prod"].replace("localhost", "invalid")}
        if self.row.place == "invalid":
            return [], {"authority": self.vault.ready["authority"].replace("localhost", "invalid")}
        return ([self.bench.elsewhere(host, self.row.place)] if self.row.place else []), {}

    def plant(self):
        settings, replace = self.place()
        self.folder, self.config = self.bench.cell(self.column.cold, self.column.identity, settings, timeout=self.row.timeout, **replace)
        if "authority" in replace:  # the vault has to send us there
            self.vault.control("POST", "/faults", {"kind": "status", "status": 401, "host": "prod", "count": 99, "bearer": False, "body": "", "headers": {
                "WWW-Authenticate": f"Bearer authorization=\"{replace['authority']}/{self.vault.ready['tenant']}\", resource=\"https://vault.localhost\""}})
        if order := self.order():
            self.vault.control("POST", "/faults", order)

    # --- acting ---
    def act(self, driver):
        """(code, seconds, wrong): by the tool or the module."""
        if driver:
            return driver(self.column.act)
        started = time.monotonic()
        done = self.vault.kvp11(*self.column.act, config=self.config)
        self.said = done.stderr.decode()
        return done.returncode, time.monotonic() - started, done.returncode == 0 and not done.stdout

    def sent(self):
        """Requests of the column's kind that carried what they should, since the bench was cleared."""
        end = {"get": "/keys/k", "list": "/keys"}.get(self.column.name, "/" + self.column.operation)
        return [r for r in self.vault.requests(clear=False)
                if r["path"].endswith(end) and (r["bearer"] or r["kind"] == "token")]

    def log(self):
        path = self.folder / "log"
        return (path.read_text() if path.exists() else "") + getattr(self, "said", "")

    # --- judging ---
    def status(self):
        if self.mode == "once":
            return "OK"
        if self.column.changes and self.row.served and self.row.status in LOST and self.kind() != "delay":
            return "OK"  # the reply was lost, but the new version is found
        return self.row.pick("status", self.column)

    def attempts(self):
        """(least, most) requests of this kind."""
        retry, status = self.row.retry, self.status()
        if self.row.place:
            return 0, 0
        if self.mode == "once":
            return self.attempts_once()
        least = most = retry.attempts
        if self.row.name == "401" and self.column.name == "token":
            return 1, 1
        if self.finds and self.kind() in ("cut_before", "cut"):
            return most, most + 1  # the challenge came over the connection that is cut, so the transport tries another by itself
        if self.column.changes and not self.row.unprocessed:
            most = 1 if status == "OK" or self.row.pick("status", self.column) not in LOST or self.row.name == "slow" else 2
            least = most = 2 if self.row.name == "401" else most
        return min(least, most), most

    def attempts_once(self):
        if self.column.changes and self.row.served:
            return 1, 1
        return 2, 2

    def seconds(self):
        retry = self.row.retry
        if self.mode == "once":
            return 0, {LOST_CONNECTION: 0.2, MAY_PASS: 1.35}.get(retry, retry.most)
        if self.column.changes and not self.row.unprocessed and not self.row.place:
            return 0, retry.most if self.row.name == "slow" else 0.2
        return retry.least, retry.most

    def judge_code(self, code, wrong):
        status = self.status()
        wanted = CODES[status][not isinstance(self.column.act, str)]
        found_nothing = self.finds and status in ("NOT_FOUND", "DENIED")
        if found_nothing:  # a search that finds nothing is no failure
            wanted = 0
        if self.column.name == "unwrap" and status == "NOT_FOUND":
            wanted = 0xF0  # CKR_UNWRAPPING_KEY_HANDLE_INVALID
        self.expect(code == wanted, f"{status}: {wanted:#x} expected, not {code:#x}")
        self.expect(wrong == found_nothing or code, "the result is a wrong one")

    def judge_requests(self):
        least, most = self.attempts()
        count = len(self.sent())
        self.expect(least <= count <= most, f"{least} to {most} requests expected, not {count}")

    def judge_time(self, seconds):
        least, most = self.seconds()
        self.expect(seconds >= least, f"took {seconds:.2f} s, less than the {least} s that the waits take")
        self.expect(seconds <= most + SLACK, f"took {seconds:.2f} s, more than {most} s")

    def judge_words(self):
        if self.status() == "OK":
            return
        lines = self.log().splitlines()
        words = self.row.pick("words", self.column) if isinstance(self.row.words, dict) else self.row.words
        self.expect(any(all(re.search(word, line) for word in words) for line in lines), f"no line with {words} in {lines}")

    def stay_quiet(self, driver, code):
        """After a look that failed the vault is left alone for some seconds: the same answer, and nothing is sent."""
        before = len(self.sent())
        again, seconds, _ = driver(self.column.act)
        self.expect(again == code and seconds < 0.2, f"a search right after one that failed: {again:#x} in {seconds:.2f} s")
        self.expect(len(self.sent()) == before, "a search right after one that failed asks again")

    def leave_alone(self, driver):
        """What one call was told holds for the next, too: it is told so at once, and nothing is sent."""
        before = len(self.sent())
        code, seconds, _ = self.act(driver)
        self.expect(code == CODES["THROTTLED"][0] and seconds < 0.3, f"a call while the vault cools down: {code:#x} in {seconds:.2f} s")
        self.expect(len(self.sent()) == before, "a call while the vault cools down is sent all the same")

    def recover(self, driver, code):
        self.vault.control("DELETE", "/faults")
        if self.row.place:
            return None
        if self.finds and self.status() != "OK":
            self.stay_quiet(driver, code)
            if self.column.name == "list" and self.status() == "DENIED":  # remembered for refresh_seconds
                return self.expect(b"turning" in self.vault.kvp11("keys", "--refresh", config=self.config).stdout, "the tool does not list afterwards")
            with Driver(self.vault, self.config) as another:
                return self.goes_on(another)
        if self.mode == "always" and self.row.cools > 2 * TIMEOUT and self.column.host == "prod" and driver:
            return self.leave_alone(driver)
        if self.mode == "always" and self.column.host == "prod":
            time.sleep(self.row.cools if driver else 0)
        return self.goes_on(driver)

    def goes_on(self, driver):
        code, seconds, wrong = self.act(driver)
        self.expect(not code and not wrong and seconds < self.row.timeout, f"the next call, without the fault: {code:#x} in {seconds:.2f} s {self.log()[-600:]}")

    def try_out(self, driver):
        code, seconds, wrong = self.act(driver)
        if self.row.name == "slow":  # the emulator enters it when it has answered
            wait_for(lambda: len(self.sent()) >= 1)
        self.judge_code(code, wrong)
        self.judge_time(seconds)
        self.judge_requests()
        self.judge_words()
        self.recover(driver, code)

    def run(self):
        self.plant()
        if not isinstance(self.column.act, str):
            return self.try_out(None)
        with Driver(self.vault, self.config) as driver:
            if not self.column.cold:
                self.expect(driver("find k")[0] == 0, "the map does not know the key")
            self.try_out(driver)


def work(todo, results):
    with Bench() as bench:
        while True:
            try:
                row, column, mode = todo.get_nowait()
            except queue.Empty:
                return
            cell = Cell(bench, row, column, mode)
            try:
                cell.run()
            except Exception as error:  # pylint: disable=broad-except
                cell.problems.append(f"{type(error).__name__}: {error}")
            results.put((row, column, mode, cell.problems))


def run(checks, only=""):
    todo, results = queue.Queue(), queue.Queue()
    wanted = [cell for cell in cells() if re.search(only, f"{cell[1].name}: {cell[0].name} ({cell[2]})")]
    for cell in wanted:
        todo.put(cell)
    threads = [threading.Thread(target=work, args=(todo, results)) for _ in range(min(WORKERS, len(wanted)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = {}
    while not results.empty():
        row, column, mode, problems = results.get()
        found[row.name, column.name, mode] = problems
    for row, column, mode in wanted:
        problems = found.get((row.name, column.name, mode), ["not tried: its bench broke down"])
        checks.check(f"{column.name}: {row.name} ({mode})", not problems, "\n".join(problems))
    for row in ROWS:
        for column, reason in row.without.items():
            if not only:
                print(f"makes no sense - {column}: {row.name}: {reason}")
