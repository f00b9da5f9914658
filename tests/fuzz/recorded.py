"""Seeds from recorded traffic: the bodies and heads of its replies, by the target that reads them. usage: recorded.py TEST-DATA FOLDER"""
import glob
import json
import os
import sys


def exchanges(data):
    for path in sorted(glob.glob(os.path.join(data, "recordings", "*", "*.json"))):
        with open(path, encoding="utf-8") as file:
            for record in json.load(file).get("networkCallRecords", []):
                yield record


def target_of(status, body):
    if status >= 400:
        return "result", f"sign {status}\n{body}"
    if '"nextLink"' in body:
        return "page", body
    if '"cer"' in body:
        return "certificate", body
    if '"key":' in body:
        return "bundle", body
    return "result", f"sign {status}\n{body}"


def main(data, folder):
    seen = set()
    for record in exchanges(data):
        reply = record["Response"]
        head = "".join(f"{name}: {value}\r\n" for name, value in reply.items() if name.islower())
        found = [target_of(int(reply["STATUS_CODE"]), reply.get("BODY", "")), ("header", f"HTTP/1.1 {reply['STATUS_CODE']}\r\n{head}\r\n")]
        for target, text in found:
            if len(text) > 8192 or (target, text) in seen:
                continue
            seen.add((target, text))
            os.makedirs(os.path.join(folder, target), exist_ok=True)
            with open(os.path.join(folder, target, f"recorded-{len(seen):04d}"), "w", encoding="utf-8", newline="") as file:
                file.write(text)


main(*sys.argv[1:])
