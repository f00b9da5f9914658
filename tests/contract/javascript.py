#!/usr/bin/python3
"""Installs the official JavaScript client in a folder of the build directory and drives it against the emulator.

Usage: javascript.py EMULATOR FOLDER"""

import json
import os
import shutil
import subprocess
import sys

from emulator import Emulator

SOURCES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "js")
FILES = ("package.json", "package-lock.json", "client.mjs")


def same(first, second):
    with open(first, "rb") as one, open(second, "rb") as two:
        return one.read() == two.read()


def install(folder):
    """The packages stay from run to run as long as the lock file does."""
    os.makedirs(folder, exist_ok=True)
    lock, mark = os.path.join(SOURCES, "package-lock.json"), os.path.join(folder, "installed-lock.json")
    for name in FILES:
        shutil.copyfile(os.path.join(SOURCES, name), os.path.join(folder, name))
    if os.path.exists(mark) and same(lock, mark):
        return
    subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"], cwd=folder,
                   check=True, stdout=subprocess.DEVNULL)
    shutil.copyfile(lock, mark)


def main(program, folder):
    for name in ("node", "npm"):
        if not shutil.which(name):
            print(f"not ok - official client: '{name}' is not installed")
            return 1
    try:
        install(folder)
    except subprocess.CalledProcessError as error:
        print(f"not ok - official client: npm ci ended with status {error.returncode}")
        return 1
    with Emulator(program) as emulator:
        ready_file = os.path.join(emulator.folder.name, "for-node.json")
        with open(ready_file, "w", encoding="utf-8") as file:
            json.dump(emulator.ready, file)
        environment = {**os.environ, "NODE_EXTRA_CA_CERTS": emulator.ready["ca_file"]}
        return subprocess.run(["node", "client.mjs", ready_file], cwd=folder, env=environment, check=False).returncode


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], os.path.abspath(sys.argv[2])))
