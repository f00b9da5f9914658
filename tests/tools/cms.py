"""kvp11 cms: envelopes of `openssl cms` opened with vault keys, and ours opened by it."""
import hashlib
import itertools
import json
import os
import random

OAEP256 = ["-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256", "-keyopt", "rsa_mgf1_md:sha256"]
OAEP1 = ["-keyopt", "rsa_padding_mode:oaep"]
SIZES = (0, 1, 15, 16, 17, 4096, 300001)
CBC = ["--allow-unauthenticated"]


def content(size):
    return random.Random(size).randbytes(size)


def certificate(tool, name="k", version=None, vault="prod"):
    """The certificate that the module made of this key's version, as a PEM file."""
    config = tool.vault.configure(f"{vault}-self.conf", ["self_signed = yes"], vaults=[vault])
    label = f"{name}@{version}" if version else name
    done = tool.vault.run(["pkcs11-tool", "--module", tool.vault.module, "--token-label", vault, "--read-object", "--type", "cert", "--label", label,
                           "-o", f"{label}.der"], config=config)
    assert done.returncode == 0, f"{done.stderr.decode()}{tool.vault.log()}"
    openssl(tool, "x509", "-inform", "DER", "-in", f"{label}.der", "-out", f"{label}.pem")
    return f"{label}.pem"


def openssl(tool, *arguments, **options):
    done = tool.vault.run(["openssl", *arguments], **options)
    assert done.returncode == 0, f"openssl {arguments}: {done.stderr.decode()}"
    return done.stdout


def breakglass(tool):
    """A key of its own, with a certificate that has a subject key identifier."""
    if not (tool.vault.dir / "glass.pem").exists():
        openssl(tool, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "glass.key", "-out", "glass.pem", "-subj", "/CN=break glass", "-days", "30")
    return "glass.pem"


def seal(tool, data, certificates, cipher="-aes-256-gcm", transport=OAEP256, stream=True, name="sealed", key_id=True):
    stream = stream and (data or not cipher.endswith("gcm"))  # openssl 3.0 cannot write an empty content of GCM by -stream
    (tool.vault.dir / "data").write_bytes(data)
    recipients = [word for pem in certificates for word in ("-recip", pem, *transport)]
    openssl(tool, "cms", "-encrypt", "-binary", *(["-stream"] if stream else []), "-outform", "DER", cipher, *(["-keyid"] if key_id else []), *recipients,
            "-in", "data", "-out", name)
    return name


def sent(tool):
    """The versions that the vault was asked to unwrap with since the last look."""
    return [entry["path"].split("/")[3] for entry in tool.vault.requests() if entry["path"].rsplit("/", 1)[-1] in ("decrypt", "unwrapkey")]


def opens(tool, name, data, *options):
    (tool.vault.dir / "opened").unlink(missing_ok=True)
    done = tool.run("cms", "open", name, *options)
    assert done.returncode == 0, f"{options}: exit {done.returncode}: {done.stderr.decode()}"
    assert done.stdout == data, f"{options}: {len(done.stdout)} bytes came out instead of {len(data)}"
    done = tool.run("cms", "open", "--in", name, "--out", "opened", *options)
    assert done.returncode == 0 and done.stdout == b"", f"--out {options}: exit {done.returncode}: {done.stderr.decode()}"
    assert (tool.vault.dir / "opened").read_bytes() == data, f"--out {options}: other bytes"


def opens_what_openssl_makes(tool):
    """every kind that `openssl cms -encrypt` writes is opened: streamed or not, GCM and CBC, OAEP and PKCS#1 v1.5, one recipient and two"""
    tool.vault.create("k", kty="RSA", key_size=2048)
    config = tool.vault.configure("old.conf", ["rsa1_5 = yes"])
    certificates = {False: [certificate(tool)], True: [breakglass(tool), certificate(tool)]}
    kinds = itertools.product((True, False), ("-aes-256-gcm", "-aes-128-gcm", "-aes-256-cbc", "-des3"), (OAEP256, OAEP1, []), (True, False))
    for i, (stream, cipher, transport, two) in enumerate(kinds):
        data = content(SIZES[i % len(SIZES)])
        seal(tool, data, certificates[two], cipher, transport, stream)
        done = tool.run("cms", "open", "sealed", *([] if cipher.endswith("gcm") else CBC), config=config)
        assert done.returncode == 0 and done.stdout == data, f"{stream} {cipher} {transport} {two} {len(data)}: {done.returncode} {done.stderr.decode()}"


def opens_every_size(tool):
    """sizes around blocks and segments come out whole, to the standard output, to a file and from a pipe"""
    tool.vault.create("k", kty="RSA", key_size=2048)
    pem = certificate(tool)
    for size in (*SIZES, 1 << 18, (1 << 18) + 1, (1 << 20) - 1, 5 << 20):
        for stream in (True, False):
            seal(tool, content(size), [pem], stream=stream)
            opens(tool, "sealed", content(size))
    for options in ([], ["-"]):
        done = tool.run("cms", "open", *options, input=(tool.vault.dir / "sealed").read_bytes())
        assert done.returncode == 0 and done.stdout == content(5 << 20), done.stderr.decode()
    seal(tool, content(5 << 20), [pem], "-aes-256-cbc")
    opens(tool, "sealed", content(5 << 20), *CBC)


def goes_to_the_version_that_is_named(tool):
    """after rotations every file goes to the version in it with one request, and no other is ever tried"""
    versions = [tool.vault.create("k", kty="RSA", key_size=2048)] + [tool.vault.rotate("k") for _ in range(2)]
    tool.prints("keys", "--all")
    files = []
    for i, version in enumerate(versions):
        pem = certificate(tool, "k", version if i < 2 else None)
        files.append(seal(tool, content(100 + i), [breakglass(tool), pem], name=f"sealed{i}"))
    tool.vault.requests()
    for i, version in enumerate(versions):
        done = tool.run("cms", "open", files[i])
        assert done.stdout == content(100 + i), done.stderr.decode()
        asked = sent(tool)
        assert asked == [version], (asked, version)


def is_found_on_a_new_host(tool):
    """without a version map the key is looked for in the vaults, by its identifier; --vault says where not to look"""
    tool.vault.create("k", kty="RSA", key_size=2048)
    tool.vault.create("other", kty="RSA", key_size=2048)
    seal(tool, content(50), [breakglass(tool), certificate(tool)])
    (tool.vault.dir / "map.db").unlink()
    assert tool.run("cms", "open", "sealed").stdout == content(50), tool.vault.log()
    tool.refuses(64, ["no vault 'dr'"], "--vault", "dr", "cms", "open", "sealed")


SCENARIOS = (opens_what_openssl_makes, opens_every_size, goes_to_the_version_that_is_named, is_found_on_a_new_host)
