"""The transcribed exchanges and error texts: each is brought about on the emulator, and the replies are compared.
Used by recordings.py."""

import base64
import json
import re

from compare import compare_body, compare_some_headers, normal

API = "api-version=7.6"
ABBREVIATED_VALUE = base64.urlsafe_b64encode(b"a data key of thirty-two bytes..").rstrip(b"=").decode()
DIGEST = base64.urlsafe_b64encode(bytes(range(32))).rstrip(b"=").decode()

# id of the exchange → vault, method, path ({n}: a key of its own), what is done before (a function below or None)
EXCHANGES = {
    "kv-401": ("prod", "POST", "/keys/{n}/create", "no_token"),
    "mhsm-401": ("hsm", "POST", "/keys/{n}/create", "no_token"),
    "kv-create-rsa": ("prod", "POST", "/keys/{n}/create", None),
    "kv-wrapkey-versionless": ("prod", "POST", "/keys/{n}/wrapkey", "rsa"),
    "kv-import-hsm": ("premium", "PUT", "/keys/{n}", "import_rsa"),
    "kv-rotationpolicy-put": ("prod", "PUT", "/keys/{n}/rotationpolicy", "ec"),
    "kv-rotate": ("premium", "POST", "/keys/{n}/rotate", "ec_hsm_with_policy"),
    "kv-rotate-404": ("prod", "POST", "/keys/keynonexistent/rotate", None),
    "mhsm-rotationpolicy-put": ("hsm", "PUT", "/keys/{n}/rotationpolicy", "ec"),
    "mhsm-rotate-404": ("hsm", "POST", "/keys/keynonexistent/rotate", None),
    "mhsm-create-ec": ("hsm", "POST", "/keys/{n}/create", None),
    "mhsm-purge": ("hsm", "DELETE", "/deletedkeys/{n}", "deleted"),
    "mhsm-create-oct": ("hsm", "POST", "/keys/{n}/create", None),
    "mhsm-encrypt-cbcpad": ("hsm", "POST", "/keys/{n}/encrypt", "oct"),
    "mhsm-decrypt-cbcpad": ("hsm", "POST", "/keys/{n}/decrypt", "encrypted"),
    "mhsm-sign": ("hsm", "POST", "/keys/{n}/sign", "p256k"),
    "mhsm-verify": ("hsm", "POST", "/keys/{n}/verify", "signed"),
    "mhsm-import-oct": ("hsm", "PUT", "/keys/{n}", None),
    "mhsm-list-versions": ("hsm", "GET", "/keys/{n}/versions", "ec"),
}



class Scene:
    """Prepares a key for one exchange and may complete the request's body."""

    def __init__(self, emulator, vault, name, import_key):
        self.emulator, self.vault, self.name, self.import_key = emulator, vault, name, import_key

    def call(self, method, path, body=None, vault=None):
        reply = self.emulator.call(vault or self.vault, method, f"{path}?{API}", body)
        if reply.status not in (200, 204):
            raise RuntimeError(f"{method} {path}: {reply.status} {reply.text}")
        return reply.json() if reply.text else {}

    def create(self, **body):
        return self.call("POST", f"/keys/{self.name}/create", body)

    def rsa(self, body):
        self.create(kty="RSA", key_ops=["wrapKey", "unwrapKey"])
        return {**body, "value": ABBREVIATED_VALUE}

    def ec(self, body):
        self.create(kty="EC")
        return body

    def oct(self, body):
        self.create(kty="oct", key_size=256, key_ops=["encrypt", "decrypt"])
        return body

    def p256k(self, body):
        self.create(kty="EC", crv="P-256K")
        return body

    def deleted(self, body):
        self.create(kty="EC")
        self.call("DELETE", f"/keys/{self.name}")
        return body

    def import_rsa(self, body):
        return {**body, "key": {**self.import_key, "key_ops": body["key"]["key_ops"]}}

    def ec_hsm_with_policy(self, body):
        self.create(kty="EC-HSM")
        self.call("PUT", f"/keys/{self.name}/rotationpolicy", {
            "attributes": {"expiryTime": "P90D"},
            "lifetimeActions": [{"trigger": {"timeAfterCreate": "P30D"}, "action": {"type": "Rotate"}}]})
        return body

    def encrypted(self, body):
        self.oct(body)
        made = self.call("POST", f"/keys/{self.name}/encrypt", {**body, "value": ABBREVIATED_VALUE})
        return {**body, "value": made["value"]}

    def signed(self, body):
        self.p256k(body)
        made = self.call("POST", f"/keys/{self.name}/sign", {"alg": body["alg"], "value": DIGEST})
        return {**body, "digest": DIGEST, "value": made["value"]}


def own_name(body, name):
    """The recorded body, with its key called as the emulator's."""
    return re.sub(r"/keys/(?!keynonexistent)[A-Za-z0-9-]+", f"/keys/{name}", json.dumps(body)) if body else ""


def replay_exchange(emulator, exchange, import_key):
    vault, method, path, prepare = EXCHANGES[exchange["id"]]
    name = f"transcribed-{exchange['id']}"
    scene, body = Scene(emulator, vault, name, import_key), exchange.get("reqBody")
    target = f"{path.format(n=name)}?{API}"
    if prepare == "no_token":
        reply = emulator.send(vault, method, target)
    else:
        body = getattr(scene, prepare)(body) if prepare else body
        reply = emulator.call(vault, method, target, body)
    if reply.status != exchange["status"]:
        return [f"status {reply.status}, not {exchange['status']}: {reply.text[:200]}"]
    headers = {key.lower(): value for key, value in exchange.get("headers", {}).items()}
    found = list(compare_some_headers(headers, dict(reply.headers)))
    return found + list(compare_body(own_name(exchange["body"], name), reply.text, vault == "hsm"))


# ---------------------------------------------------------------------------------------------- error texts

def sign_body(alg="ES256", value=DIGEST):
    return {"alg": alg, "value": value}


def operation_forbidden(emulator, scene):
    scene.create(kty="RSA", key_ops=["encrypt"])
    return emulator.call("prod", "POST", f"/keys/{scene.name}/decrypt?{API}", {"alg": "RSA-OAEP", "value": "AAAA"})


def disabled_key(emulator, scene):
    scene.create(kty="EC", attributes={"enabled": False})
    return emulator.call("prod", "POST", f"/keys/{scene.name}/sign?{API}", sign_body())


def no_role(emulator, scene):
    scene.create(kty="EC")
    return emulator.call("prod", "POST", f"/keys/{scene.name}/sign?{API}", sign_body(), identity="restore")


def no_hsm_role(emulator, scene):
    scene.call("POST", f"/keys/{scene.name}/create", {"kty": "EC"}, vault="hsm")
    return emulator.call("hsm", "POST", f"/keys/{scene.name}/sign?{API}", sign_body(), identity="restore")


def throttled(emulator, scene):
    emulator.control("POST", "/throttle", {"vault": "prod", "per_second": 1})
    try:
        for _ in range(50):
            reply = emulator.call("prod", "GET", f"/keys?{API}")
            if reply.status == 429:
                break
        return reply
    finally:
        emulator.control("POST", "/throttle", {"vault": "prod", "per_second": 0})


def wrong_length(emulator, scene):
    scene.create(kty="EC")
    value = base64.urlsafe_b64encode(bytes(43)).rstrip(b"=").decode()
    return emulator.call("prod", "POST", f"/keys/{scene.name}/sign?{API}", sign_body(value=value))


def not_base64url(emulator, scene):
    scene.create(kty="EC")
    return emulator.call("prod", "POST", f"/keys/{scene.name}/sign?{API}", sign_body(value="not base64url!"))


def after_rotation(emulator, scene):
    scene.create(kty="RSA")
    wrapped = scene.call("POST", f"/keys/{scene.name}/wrapkey", {"alg": "RSA-OAEP", "value": ABBREVIATED_VALUE})
    scene.create(kty="RSA")
    return emulator.call("prod", "POST", f"/keys/{scene.name}/unwrapkey?{API}",
                         {"alg": "RSA-OAEP", "value": wrapped["value"]})


def bad_rsa1_5(emulator, scene):
    scene.create(kty="RSA")
    value = base64.urlsafe_b64encode(bytes(256)).rstrip(b"=").decode()
    return emulator.call("prod", "POST", f"/keys/{scene.name}/decrypt?{API}", {"alg": "RSA1_5", "value": value})


def wrong_curve(emulator, scene):
    scene.create(kty="EC", crv="P-256K")
    return emulator.call("prod", "POST", f"/keys/{scene.name}/sign?{API}", sign_body())


def wrong_audience(emulator, scene):
    headers = {"Authorization": f"Bearer {emulator.token('hsm')}"}
    return emulator.send("prod", "GET", f"/keys?{API}", None, headers)


# Beginning of the recorded message → how to bring it about, or why it is not.
ERRORS = {
    "Operation decrypt is not permitted": operation_forbidden,
    "Operation get is not allowed on a disabled secret": "the emulator has no secrets",
    "Operation X is not allowed on a disabled key": disabled_key,
    "Caller is not authorized to perform action": no_role,
    "Client address is not authorized": "the emulator has no firewall",
    "Public network access is disabled": "the emulator has no firewall",
    "The user, group or application": "the emulator's vaults use role assignments, not access policies",
    "Not authorized to access Microsoft.KeyVault/managedHsm": no_hsm_role,
    "Request was not processed because too many requests were received. Reason: VaultRequestTypeLimitReached": throttled,
    "Request was not processed because too many requests were received. Reason: VaultOperationLimitReached": throttled,
    "Invalid length of 'value': 43 bytes": wrong_length,
    "Content of 'value' is not base64url": not_base64url,
    "Error occurred while decoding OAEP padding": after_rotation,
    "Unable to decrypt specified value": bad_rsa1_5,
    "Key and signing algorithm are incompatible": wrong_curve,
    "AKV10022": wrong_audience,
    "AKV10032": "the emulator's token endpoint serves one tenant",
}

# What differs from case to case in a text: the operation, the resource, the caller, which limit was hit.
FORMS = [
    (r"appid=[^;]*;oid=[^;]*;iss=[^\r]*", "CALLER"),
    (r"Microsoft\.KeyVault/(vaults|managedHsm)/[A-Za-z/]+", r"Microsoft.KeyVault/\1/ACTION"),
    (r"Resource: '[^']*'", "RESOURCE"),
    (r" on /[^ ]*", " on /SCOPE"),
    (r"Vault: [^;]*;location=\w+", "VAULT"),
    (r"\(Activity ID: [^)]*\)", "(Activity ID)"),
    (r"Reason: Vault\w+LimitReached", "REASON"),
    (r"(audience\. Expected) .*, found: .*?\.?$", r"\1 URL, found: URL"),
    (r"Key (<kid>|https://\S+) uses", "Key KID uses"),
    (r"Operation (X|sign) is", "Operation OP is"),
]


def form(message):
    message = normal(message)
    for pattern, word in FORMS:
        message = re.sub(pattern, word, message)
    return message.rstrip(".")


def compare_error(recorded, reply):
    wanted = recorded.get("body", {}).get("error", recorded)
    if reply.status != recorded["status"]:
        return [f"status {reply.status}, not {recorded['status']}: {reply.text[:200]}"]
    error, found = reply.json()["error"], []
    if form(error["message"]) != form(wanted["message"]):
        found.append(f"message '{form(error['message'])}', not '{form(wanted['message'])}'")
    if "code" in wanted and error["code"] != wanted["code"]:
        found.append(f"code '{error['code']}', not '{wanted['code']}'")
    inner = wanted.get("innererror")
    inner = inner["code"] if isinstance(inner, dict) else inner
    if inner and error.get("innererror", {}).get("code") != inner:
        found.append(f"innererror {error.get('innererror')}, not '{inner}'")
    if recorded["status"] == 429 and reply.header("retry-after"):
        found.append("header retry-after: the recorded reply had none")
    return found


def attempt(function, *arguments):
    try:
        return function(*arguments)
    except (RuntimeError, KeyError, ValueError) as error:
        return [f"{type(error).__name__}: {error}"]


def replay(emulator, judge, assets, import_key):
    """Yields (text, differences) for each exchange and each error text; names what it does not replay."""
    for exchange in assets["exchanges"]:
        service = "mhsm" if exchange["id"].startswith("mhsm") else "kv"
        found = attempt(replay_exchange, emulator, exchange, import_key)
        yield f"transcribed {exchange['id']}", judge.unaccepted(service, found)
    for index, recorded in enumerate(assets["errorsSeenInIssues"]):
        message = recorded.get("body", {}).get("error", recorded)["message"]
        how = next((how for start, how in ERRORS.items() if message.startswith(start)), "no scene brings it about")
        summary = message.split("\r\n")[0][:90]
        if isinstance(how, str):
            print(f"# not replayed: error text '{summary}': {how}")
            continue
        scene = Scene(emulator, "prod", f"error-{index}", import_key)
        yield f"error text '{summary}'", attempt(lambda: compare_error(recorded, how(emulator, scene)))
