#!/usr/bin/python3
"""Replays the recorded exchanges of the real services against the emulator and compares every reply.

Usage: recordings.py EMULATOR TEST-DATA
Prints "ok - …" or "not ok - …" for each recording. Request bodies were not recorded: they are derived from the
recorded reply. A recorded version or page token is replaced by the emulator's own; where the recording polls until an
asynchronous deletion is done, the emulator's clock is moved."""

import base64
import glob
import json
import os
import re
import sys
import urllib.parse

import transcribed
from compare import Judge, compare_body, compare_headers
from emulator import Emulator

DELETE_LATENCY = 30
CERTIFICATE_LATENCY = 10
RECOVER_LATENCY = {"certificates": 30}  # the other recordings see a recovered key at once
DIGEST_LENGTHS = {"256": 32, "384": 48, "512": 64}


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def wycheproof_key(data_dir):
    """An RSA private key as a JWK."""
    with open(os.path.join(data_dir, "wycheproof", "rsa_pkcs1_2048_test.json"), encoding="utf-8") as file:
        jwk = json.load(file)["testGroups"][0]["privateKeyJwk"]
    return {name: jwk[name] for name in ("kty", "n", "e", "d", "p", "q", "dp", "dq", "qi")}


class Replay:
    """What one recording's later requests need from its earlier replies."""

    def __init__(self, emulator, name, import_key):
        self.emulator, self.name, self.import_key = emulator, name, import_key
        self.versions, self.pages, self.values, self.seen = {}, {}, {}, {}

    # One function for each verb whose request has a body; `recorded` is the parsed reply.
    def create(self, recorded):
        if "csr" in recorded:
            return {"policy": {"issuer": recorded["issuer"], "x509_props": {"subject": "CN=xyz", "ekus": []}}}
        if "key" not in recorded:
            return {"kty": "EC"}
        key, attributes = recorded["key"], recorded["attributes"]
        body = {"kty": key["kty"], "key_ops": key["key_ops"]}
        if "crv" in key:
            body["crv"] = key["crv"]
        body["attributes"] = {name: attributes[name] for name in ("nbf", "exp") if name in attributes}
        return body

    def import_(self, recorded):
        return {"key": {**self.import_key, "key_ops": recorded["key"]["key_ops"]}}

    def update(self, recorded):
        return {"attributes": {name: recorded["attributes"][name] for name in ("enabled", "nbf", "exp")
                               if name in recorded["attributes"]}}

    def rotationpolicy(self, recorded):
        return {"lifetimeActions": recorded["lifetimeActions"],
                "attributes": {"expiryTime": recorded["attributes"]["expiryTime"]}}

    def encrypt(self, _):
        return {"alg": "RSA-OAEP", "value": b64(b"A single block of plaintext\0")}

    def decrypt(self, _):
        return {"alg": "RSA-OAEP", "value": self.values["encrypt"]}

    def wrapkey(self, _):
        return {"alg": "RSA-OAEP", "value": b64(b"A single block of plaintext\0")}

    def unwrapkey(self, _):
        return {"alg": "RSA-OAEP", "value": self.values["wrapkey"]}

    def algorithm(self):
        bits = re.search(r"RSA(\d+)", self.name).group(1)
        return f"RS{bits}", b64(bytes(DIGEST_LENGTHS[bits]))

    def sign(self, _):
        alg, digest = self.algorithm()
        return {"alg": alg, "value": digest}

    def verify(self, _):
        alg, digest = self.algorithm()
        return {"alg": alg, "digest": digest, "value": self.values["sign"]}

    def restore(self, _):
        return {"value": self.values["backup"]}

    def rng(self, recorded):
        return {"count": len(base64.urlsafe_b64decode(recorded["value"] + "=="))}

    def body(self, method, verb, recorded):
        if method == "PATCH":
            return self.update(recorded)
        if method == "PUT" and verb != "rotationpolicy":
            return self.import_(recorded)
        if method in ("POST", "PUT") and verb not in ("backup", "rotate", "recover"):
            return getattr(self, verb)(recorded)
        return None

    def path(self, url):
        parts = urllib.parse.urlsplit(url)
        token = re.search(r"\$skiptoken=([^&]+)", url)
        if token:
            link = urllib.parse.urlsplit(self.pages[token.group(1)])
            return f"{link.path}?{link.query}"
        path = re.sub(r"\b[0-9a-f]{32}\b", lambda match: self.versions.get(match[0], match[0]), parts.path)
        return f"{path}?{parts.query}"

    def remember(self, verb, recorded, actual):
        kids = [reply.get("key", reply).get("kid") for reply in (recorded, actual)]
        if all(kids):
            self.versions[kids[0].rsplit("/", 1)[1]] = kids[1].rsplit("/", 1)[1]
        if recorded.get("nextLink") and actual.get("nextLink"):
            token = re.search(r"\$skiptoken=([^&]+)", recorded["nextLink"]).group(1)
            self.pages[token] = actual["nextLink"]
        if isinstance(actual.get("value"), str):
            self.values[verb] = actual["value"]

    def wait_if_recorded(self, record, recorded):
        """The recorded client polled: an answer changed although the request did not."""
        key, status = (record["Method"], record["Url"]), record["Response"]["STATUS_CODE"]
        before, now = self.seen.get(key), (status, recorded.get("status"))
        if before and (before[0] == "404" and status == "200" or before[1] == "inProgress" and now[1] == "completed"):
            self.emulator.advance_clock(2 * DELETE_LATENCY)
        self.seen[key] = now

    def furnish(self, recorded):
        """What else the recorded vault had when its certificates were listed."""
        for item in recorded["value"]:
            name = item["id"].rsplit("/", 1)[1]
            if self.emulator.call("prod", "GET", f"/certificates/{name}?api-version=7.3").status == 404:
                self.emulator.control("POST", f"/vaults/prod/certificates/{name}/create",
                                      {"policy": {"key_props": {"kty": "EC"}, "x509_props": {"subject": "CN=x"}}})

    def exchange(self, record):
        """Sends one request; returns the emulator's reply."""
        response, url = record["Response"], record["Url"]
        vault = "hsm" if ".managedhsm." in url else "prod"
        verb = urllib.parse.urlsplit(url).path.rsplit("/", 1)[1].lower()
        recorded = json.loads(response["BODY"] or "{}")
        headers = {"x-ms-client-request-id": record["Headers"]["x-ms-client-request-id"]}
        self.wait_if_recorded(record, recorded)
        if verb == "certificates":
            self.furnish(recorded)
        if response["STATUS_CODE"] == "401":
            return self.emulator.send(vault, record["Method"], self.path(url), None, headers)
        reply = self.emulator.call(vault, record["Method"], self.path(url),
                                   self.body(record["Method"], verb, recorded), headers=headers)
        if reply.status == 200:
            self.remember(verb, recorded, reply.json())
        return reply


def differences(record, reply):
    response = record["Response"]
    if str(reply.status) != response["STATUS_CODE"]:
        return [f"status {reply.status}, not {response['STATUS_CODE']}: {reply.text[:200]}"]
    headers = {name: value for name, value in response.items() if name == name.lower()}
    return [*compare_headers(headers, dict(reply.headers)),
            *compare_body(response["BODY"], reply.text, ".managedhsm." in record["Url"])]


def replay_file(emulator, judge, file, import_key):
    """Returns (exchanges compared, differences)."""
    with open(file, encoding="utf-8") as source:
        records = json.load(source)["networkCallRecords"]
    if os.path.basename(os.path.dirname(file)) == "challenge":
        records = [record for record in records if record["Response"]["STATUS_CODE"] == "401"]
    replay, found = Replay(emulator, os.path.basename(file), import_key), []
    for record in records:
        service = "mhsm" if ".managedhsm." in record["Url"] else "kv"
        try:
            reply = replay.exchange(record)
        except KeyError as error:
            return len(records), found + [f"{record['Method']} {record['Url']}: an earlier reply lacked {error}"]
        except ValueError as error:
            return len(records), found + [f"{record['Method']} {record['Url']}: the reply is not JSON: {error}"]
        found += [f"{record['Method']} {record['Url']}: {difference}"
                  for difference in judge.unaccepted(service, differences(record, reply))]
    return len(records), found


def notices(emulator, folder, fault):
    """A comparison that never finds anything proves nothing: the same recording, with a reply spoilt on purpose."""
    emulator.control("POST", "/faults", {"host": "prod", "path": "/create", **fault})
    _, found = replay_file(emulator, Judge(), f"{folder}/keys/KeyVaultKeyClient.CreateKey.json", None)
    emulator.control("DELETE", "/faults")
    return bool(found)


SPOILT = [
    ("unknown members", {"kind": "unknown_members"}),
    ("another status", {"kind": "status", "status": 201, "body": "{}"}),
    ("HTML", {"kind": "html"}),
    ("a kid of another form", {"kind": "status", "status": 200, "body": '{"key":{"kid":"https://prod/1"}}'}),
]


def report(good, text, details=()):
    print(f"{'ok' if good else 'not ok'} - {text}")
    for detail in list(dict.fromkeys(details))[:20]:
        print(f"#   {detail}")


def main(program, data_dir):
    judge, exchanges, failures = Judge(), 0, 0
    folder = os.path.join(data_dir, "recordings")
    arguments = ("--delete-latency", str(DELETE_LATENCY), "--vault", "prod", "--vault", "premium:premium",
                 "--hsm", "hsm")
    with Emulator(program, *arguments) as emulator:
        emulator.control("POST", "/settings", {"certificate_latency": CERTIFICATE_LATENCY})
        for file in sorted(glob.glob(f"{folder}/*/*.json")):
            kind, name = file.split(os.sep)[-2:]
            emulator.control("POST", "/settings", {"recover_latency": RECOVER_LATENCY.get(kind, 0)})
            count, found = replay_file(emulator, judge, file, wycheproof_key(data_dir))
            exchanges, failures = exchanges + count, failures + bool(found)
            report(not found, f"{kind}/{name} ({count} exchanges)", found)
        with open(f"{folder}/assets-transcribed.json", encoding="utf-8") as source:
            assets = json.load(source)
        for text, found in transcribed.replay(emulator, judge, assets, wycheproof_key(data_dir)):
            exchanges, failures = exchanges + 1, failures + bool(found)
            report(not found, text, found)
        for text, fault in SPOILT:
            good = notices(emulator, folder, fault)
            failures += not good
            report(good, f"the comparison notices {text}")
    unused = [f"{row[1]} ({row[2]})" for row in judge.unused()]
    report(not unused, "every accepted difference is still seen", unused)
    report(exchanges > 0, f"{exchanges} recorded exchanges compared")
    return 1 if failures or unused or not exchanges else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2]))
