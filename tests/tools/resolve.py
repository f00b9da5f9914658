"""kvp11 resolve: which version do these bytes need?"""
import base64
import json

ENGINE = ["-engine", "pkcs11", "-keyform", "engine", "-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:sha256"]


def pkeyutl(tool, *arguments):
    (tool.vault.dir / "openssl.cnf").write_text(
        "openssl_conf = i\n[i]\nengines = e\n[e]\npkcs11 = p\n"
        f"[p]\nengine_id = pkcs11\nMODULE_PATH = {tool.vault.module}\ninit = 0\n")
    done = tool.vault.run(["openssl", "pkeyutl", *arguments, *ENGINE], env={"OPENSSL_CONF": tool.vault.dir / "openssl.cnf"})
    assert done.returncode == 0, f"{done.stderr.decode()}{tool.vault.log()}"


def opened_blob(tool):
    """A blob wrapped outside the module and opened once through it; returns its version."""
    version = tool.vault.create("k", kty="RSA", key_size=2048)
    (tool.vault.dir / "data").write_bytes(b"d" * 32)
    pkeyutl(tool, "-encrypt", "-pubin", "-inkey", "pkcs11:token=prod;object=k;type=public", "-in", "data", "-out", "blob")
    pkeyutl(tool, "-decrypt", "-inkey", "pkcs11:token=prod;object=k;type=private", "-in", "blob", "-out", "opened")
    assert (tool.vault.dir / "opened").read_bytes() == b"d" * 32
    return version


def names_the_version(tool):
    """a blob that was opened here once is known for ever, from a file and from stdin, after rotations too"""
    version = opened_blob(tool)
    tool.vault.rotate("k")
    tool.vault.rotate("k")
    row, = json.loads(tool.prints("--json", "resolve", "blob"))
    assert (row["name"], row["version"], row["state"]) == ("k", version, "enabled"), row
    assert row["wraps"] == 1
    piped = tool.run("--json", "resolve", "-", input=(tool.vault.dir / "blob").read_bytes())
    assert json.loads(piped.stdout)[0]["version"] == version


def says_when_it_cannot_be_opened(tool):
    """a blob whose version is disabled is exit 77 with the version and the command that mends it; --offline still answers"""
    version = opened_blob(tool)
    tool.vault.control("PATCH", f"/vaults/prod/keys/k/{version}", {"enabled": False})
    tool.refuses(77, [version, "disabled", "az keyvault key set-attributes"], "resolve", "blob")
    tool.vault.control("PATCH", f"/vaults/prod/keys/k/{version}", {"enabled": True})
    tool.prints("resolve", "blob")
    tool.vault.requests()
    assert version in tool.prints("resolve", "blob", "--offline")
    assert tool.vault.requests() == []


def says_what_it_does_not_know(tool):
    """unknown bytes are exit 66; no file, an empty file, a file that is no wrapped key are errors of their own"""
    opened_blob(tool)
    (tool.vault.dir / "foreign").write_bytes(b"x" * 256)
    (tool.vault.dir / "empty").write_bytes(b"")
    (tool.vault.dir / "backup").write_bytes(bytes(2 << 20))
    tool.refuses(66, ["no entry"], "resolve", "foreign")
    tool.refuses(64, ["absent"], "resolve", "absent")
    tool.refuses(65, ["'empty' is empty"], "resolve", "empty")
    tool.refuses(65, ["not the backup"], "resolve", "backup")


def says_where_else_the_key_is(tool):
    """a blob whose version is gone names the place where its key was shown to be, too"""
    version = opened_blob(tool)
    lines = [json.loads(line) for line in tool.prints("map", "export").splitlines()]
    (tool.vault.dir / "public.der").write_bytes(base64.b64decode(next(line["spki"] for line in lines if line["type"] == "version")))
    place = "https://dr.example/keys/copy/" + "ab" * 16
    tool.prints("map", "relocate", f"k@{version}", place, "--public-key", "public.der")
    tool.vault.control("POST", "/vaults/prod/keys/k/delete")
    tool.run("keys", "--refresh")
    tool.refuses(77, [version, "which is deleted", f"the same key is at '{place}'"], "resolve", "blob", "--offline")


SCENARIOS = (names_the_version, says_when_it_cannot_be_opened, says_what_it_does_not_know, says_where_else_the_key_is)
