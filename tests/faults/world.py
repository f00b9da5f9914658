"""A vault with one key that has been used, and the words that scenarios are written in."""
import json
import os
import re

NOBODY = "65534"


class World:
    """`backup-kek` in vault `prod`, a signature made with it (so the map knows it), a blob wrapped under it."""

    def __init__(self, vault):
        self.vault = vault
        self.version = vault.create("backup-kek", kty="RSA", key_size=2048)
        self.operator = vault.configure("operator.conf", identity="operator")
        self.signs()

    # --- the module, by the openssl program ---
    def sign(self, label="backup-kek", config=None, prefix=()):
        """A signature by OpenSSL's engine: pkcs11-tool would take the first key whatever its label."""
        directory = self.vault.dir
        (directory / "engine.cnf").write_text("openssl_conf = i\n[i]\nengines = e\n[e]\npkcs11 = p\n[p]\nengine_id = pkcs11\n"
                                              f"MODULE_PATH = {self.vault.module}\ninit = 0\n")
        (directory / "data").write_bytes(b"data\n")
        command = [*prefix, "openssl", "dgst", "-engine", "pkcs11", "-keyform", "engine", "-sha256",
                   "-sign", f"pkcs11:token=prod;object={label};type=private", "-out", "/dev/null", directory / "data"]
        return self.vault.run(command, config=config, env={"OPENSSL_CONF": directory / "engine.cnf"})

    def signs(self, **options):
        done = self.sign(**options)
        assert done.returncode == 0, f"does not sign: {done.stderr.decode()}"

    def module_refuses(self, *words, **options):
        """A signature fails, and the module's log says each of the words in one line."""
        before = self.vault.log_size()
        done = self.sign(**options)
        assert done.returncode != 0, "it signed"
        lines = self.vault.logged(before).splitlines()
        assert any(all(re.search(w, line, re.I) for w in words) for line in lines), f"no log line with {words} in {lines}"

    # --- the tool ---
    def refuses(self, exit_code, words, *arguments, **options):
        """The tool exits so, says each of the words in its message, and prints nothing on stdout."""
        done = self.vault.kvp11(*arguments, **options)
        message = done.stderr.decode()
        assert done.returncode == exit_code, f"{arguments}: exit {done.returncode}, not {exit_code}: {message}"
        assert done.stdout == b"", f"{arguments}: wrote on stdout: {done.stdout[:300]}"
        for word in words:
            assert re.search(word, message, re.I), f"{arguments}: '{word}' is not in: {message}"
        return message

    def runs(self, *arguments, **options):
        done = self.vault.kvp11(*arguments, **options)
        assert done.returncode == 0, f"{arguments}: exit {done.returncode}: {done.stderr.decode()}"
        return done.stdout.decode()

    def versions(self, name="backup-kek", **options):
        """The rows of `kvp11 keys`, by version."""
        rows = json.loads(self.runs("--json", "keys", name, "--refresh", **options))
        return {row["version"]: row for row in rows}

    def unprivileged(self):
        """A command prefix under which file permissions hold, and the same world handed to that user."""
        if os.geteuid() != 0:
            return []
        for path in [self.vault.dir, *self.vault.dir.rglob("*")]:
            os.chown(path, int(NOBODY), int(NOBODY), follow_symlinks=False)
        return ["setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]
