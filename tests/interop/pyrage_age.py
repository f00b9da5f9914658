#!/usr/bin/env python3
"""rage's library, by its Python binding, behind the command line of age as far as the scenarios use it: -r RECIPIENT... < plain > file, -d -i FILE... FILE > plain.

    PYTHONPATH=where pyrage is   pyrage_age.py ...
"""
import pathlib
import sys

import pyrage
from pyrage import plugin, x25519


class Terminal:
    """What the plugin says to a person."""

    def display_message(self, message):
        print(message, file=sys.stderr)

    def confirm(self, message, yes_string, no_string=None):
        return None

    def request_public_string(self, description):
        return None

    def request_passphrase(self, description):
        return None


def recipient_of(text):
    if not text.startswith("age1kvp111"):
        return x25519.Recipient.from_str(text)
    return plugin.RecipientPluginV1("kvp11", [plugin.Recipient.from_str(text)], [], Terminal())


def identity_of(line):
    if line.startswith("AGE-SECRET-KEY-1"):
        return x25519.Identity.from_str(line)
    return plugin.IdentityPluginV1("kvp11", [plugin.Identity.from_str(line)], Terminal())


def after(words, option):
    return [word for before, word in zip(words, words[1:]) if before == option]


def main(words):
    if "-d" not in words:
        sys.stdout.buffer.write(pyrage.encrypt(sys.stdin.buffer.read(), [recipient_of(text) for text in after(words, "-r")]))
        return
    lines = [line for path in after(words, "-i") for line in pathlib.Path(path).read_text().splitlines() if line.startswith("AGE-")]
    sys.stdout.buffer.write(pyrage.decrypt(pathlib.Path(words[-1]).read_bytes(), [identity_of(line) for line in lines]))


main(sys.argv[1:])
