"""Compares a recorded reply of the real service with the emulator's: status, header names and constant values, member
names, types and order, and the values that do not depend on the moment. Host names, ports, versions, GUIDs and
addresses are replaced by a word before a comparison."""

import base64
import json
import re

# Recorded differences that are not the emulator's fault. A row that never applies fails the run, so that this list
# cannot outlive its reasons. (service, status, difference as a pattern, reason)
ACCEPTED = [
    ("kv", r"header x-powered-by: missing", "sent until 2022 only (contract §3)"),
    ("kv", r"body\S*\.attributes: member exportable is new", "same api-version, since 2022 (contract §1)"),
    ("kv", r"body\S*\.attributes: member hsmPlatform is new", "came with 7.5 (contract §1, §5.3)"),
    ("kv", r"header x-ms-keyvault-rbac-assignment-id: new", "vaults with role assignments only; these had policies"),
    ("kv", r"body\.key: member crv is missing", "the service echoes a curve sent with an RSA key; clients ignore it"),
]

CONSTANT_HEADERS = {
    "cache-control", "pragma", "expires", "strict-transport-security", "x-content-type-options", "content-type",
    "x-frame-options", "content-security-policy", "www-authenticate", "x-ms-keyvault-network-info",
}
# Of the connection, not of the reply; how a body's end is marked is HTTP's business.
HOP_HEADERS = {"connection", "keep-alive", "transfer-encoding", "content-length"}
CONSTANT_MEMBERS = {
    "kid", "recoveryId", "id", "kty", "crv", "e", "code", "message", "alg", "type", "enabled", "timeAfterCreate",
    "timeBeforeExpiry", "expiryTime", "exportable", "tags", "sid", "status", "status_details", "target", "subject",
    "contentType", "action_type",
}
FIXED_LENGTH_MEMBERS = {"n", "x", "y", "iv", "tag"}

NORMAL_FORMS = [
    (r"https://login\.(windows\.net|microsoftonline\.com|localhost)(:\d+)?/[0-9a-f-]{36}", "https://AUTHORITY/TENANT"),
    (r"https://[A-Za-z0-9-]+\.vault\.(azure\.net|localhost)(:\d+)?", "https://VAULT"),
    (r"https://[A-Za-z0-9-]+\.managedhsm\.(azure\.net|localhost)(:\d+)?", "https://HSM"),
    (r"https://vault\.(azure\.net|localhost)", "https://VAULT-SERVICE"),
    (r"https://managedhsm\.(azure\.net|localhost)", "https://HSM-SERVICE"),
    (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "GUID"),
    (r"\b[0-9a-f]{32}\b", "VERSION"),
    (r"addr=[0-9.]+;", "addr=ADDRESS;"),
]


def normal(text):
    for pattern, word in NORMAL_FORMS:
        text = re.sub(pattern, word, text)
    return text


def kind(value):
    return {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", type(None): "null"}.get(
        type(value), type(value).__name__)


def decoded_length(text):
    return len(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def compare_order(recorded, actual, path, alphabetical):
    common = [name for name in actual if name in recorded]
    wanted = sorted(common) if alphabetical else [name for name in recorded if name in actual]
    if common != wanted:
        yield f"{path}: members are ordered {common}, not {wanted}"
    if alphabetical and list(actual) != sorted(actual):
        yield f"{path}: members are not in alphabetical order: {list(actual)}"


def compare_object(recorded, actual, path, alphabetical):
    for name in actual:
        if name not in recorded:
            yield f"{path}: member {name} is new"
    for name in recorded:
        if name not in actual:
            yield f"{path}: member {name} is missing"
        else:
            yield from compare_value(recorded[name], actual[name], f"{path}.{name}", alphabetical)
    yield from compare_order(recorded, actual, path, alphabetical)
    if "scheduledPurgeDate" in actual and "deletedDate" in actual:
        days = actual.get("attributes", {}).get("recoverableDays", 0)
        if actual["scheduledPurgeDate"] - actual["deletedDate"] != days * 86400:
            yield f"{path}: scheduledPurgeDate is not {days} days after deletedDate"


def compare_array(recorded, actual, path, alphabetical):
    if len(recorded) != len(actual):
        yield f"{path}: {len(actual)} elements, not {len(recorded)}"
    for theirs, mine in zip(recorded, actual):
        yield from compare_value(theirs, mine, f"{path}[]", alphabetical)
    kids = [item["kid"] for item in actual if isinstance(item, dict) and "kid" in item]
    if kids != sorted(kids):
        yield f"{path}: not sorted by kid"


def compare_key_ops(recorded, actual, path, unordered):
    same = set(recorded) == set(actual) and len(actual) == len(recorded) if unordered else recorded == actual
    if not same:
        yield f"{path}: {actual}, not {recorded}"


def compare_recovery_level(recorded, actual, path):
    levels = r"(Customized)?Recoverable\+Purgeable|Purgeable|(Customized)?Recoverable(\+ProtectedSubscription)?"
    if not re.fullmatch(levels, actual):
        yield f"{path}: '{actual}' is no recovery level"


def compare_next_link(recorded, actual, path):
    def form(url):
        return re.sub(r"(\$skiptoken)=[^&]*", r"\1=…", normal(url))
    if form(recorded) != form(actual):
        yield f"{path}: '{form(actual)}', not '{form(recorded)}'"


def compare_string(recorded, actual, path):
    name = path.rsplit(".", 1)[-1]
    if name == "recoveryLevel":
        yield from compare_recovery_level(recorded, actual, path)
    elif name == "nextLink":
        yield from compare_next_link(recorded, actual, path)
    elif "..." in recorded or recorded == "(sanitized)":
        return
    elif name in CONSTANT_MEMBERS and normal(recorded) != normal(actual):
        yield f"{path}: '{normal(actual)}', not '{normal(recorded)}'"
    elif name in FIXED_LENGTH_MEMBERS and decoded_length(recorded) != decoded_length(actual):
        yield f"{path}: {decoded_length(actual)} bytes, not {decoded_length(recorded)}"


def compare_value(recorded, actual, path, alphabetical):
    if kind(recorded) != kind(actual):
        yield f"{path}: {kind(actual)}, not {kind(recorded)}"
    elif path.endswith(".key_ops"):
        yield from compare_key_ops(recorded, actual, path, alphabetical)
    elif isinstance(recorded, dict):
        yield from compare_object(recorded, actual, path, alphabetical)
    elif isinstance(recorded, list):
        yield from compare_array(recorded, actual, path, alphabetical)
    elif isinstance(recorded, str):
        yield from compare_string(recorded, actual, path)
    elif isinstance(recorded, bool) and recorded != actual:
        yield f"{path}: {actual}, not {recorded}"


def compare_headers(recorded, actual):
    """recorded, actual: {lower-case name: value}"""
    for name in sorted(set(actual) - HOP_HEADERS - set(recorded)):
        yield f"header {name}: new"
    yield from compare_some_headers(recorded, actual)


def compare_some_headers(recorded, actual):
    """Where the recording holds only some of the headers, the reply may have more."""
    for name in sorted(set(recorded) - HOP_HEADERS - set(actual)):
        yield f"header {name}: missing"
    for name in sorted(CONSTANT_HEADERS & set(recorded) & set(actual)):
        if normal(recorded[name]) != normal(actual[name]):
            yield f"header {name}: '{normal(actual[name])}', not '{normal(recorded[name])}'"


def compare_body(recorded, actual, alphabetical):
    """recorded, actual: text"""
    if not recorded or not actual:
        if recorded != actual:
            yield f"body: {len(actual)} bytes, not {len(recorded)}"
        return
    try:
        mine = json.loads(actual)
    except ValueError:
        yield "body: not JSON"
        return
    yield from compare_value(json.loads(recorded), mine, "body", alphabetical)


class Judge:
    """Keeps the accepted differences apart and remembers which rows of the table were of use."""

    def __init__(self):
        self.used = set()

    def unaccepted(self, service, differences):
        rest = []
        for difference in differences:
            row = next((row for row in ACCEPTED if row[0] == service and re.fullmatch(row[1], difference)), None)
            if row:
                self.used.add(row)
            else:
                rest.append(difference)
        return rest

    def unused(self):
        return [row for row in ACCEPTED if row not in self.used]
