"""kvp11 cms: envelopes of `openssl cms` opened with vault keys, and ours opened by it."""
import itertools
import json
import os
import pathlib
import random
import signal
import subprocess
import threading
import time

from seal import on_terminal

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
    process = subprocess.Popen([tool.vault.tool, "cms", "open", "sealed"], cwd=tool.vault.dir, env=tool.vault.environment(), stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    message = process.stderr.read()  # whichever thread writes
    assert process.wait(timeout=60) == 73 and b"Broken pipe" in message, (process.returncode, message)
    seal(tool, content(5 << 20), [pem], "-aes-256-cbc")
    opens(tool, "sealed", content(5 << 20), *CBC)


def opens_text(tool):
    """PEM and S/MIME, as `openssl cms` and `openssl smime` write them, come out as the binary form does: a file, a pipe, with --out; text that was
    cut, that goes on, or that is something else releases nothing"""
    tool.vault.create("k", kty="RSA", key_size=2048)
    pem = certificate(tool)
    rsa1_5 = tool.vault.configure("old.conf", ["rsa1_5 = yes"])
    for size in (0, 300001):
        (tool.vault.dir / "data").write_bytes(content(size))
        for form in ("PEM", "SMIME"):
            openssl(tool, "cms", "-encrypt", "-binary", "-outform", form, "-aes-256-gcm", "-keyid", "-to", "x@example.org", "-subject", "backup", "-recip", pem, *OAEP256,
                    "-in", "data", "-out", form)
            opens(tool, form, content(size))
            done = tool.run("cms", "open", input=(tool.vault.dir / form).read_bytes())
            assert done.returncode == 0 and done.stdout == content(size), done.stderr.decode()
            openssl(tool, "smime", "-encrypt", "-binary", "-outform", form, "-aes-256-cbc", "-in", "data", "-out", "smime", pem)
            certified = ["--certificate", "k.pem", *CBC]  # it knows nothing of key identifiers
            done = tool.run("cms", "open", "smime", *certified, config=rsa1_5)
            assert done.returncode == 0 and done.stdout == content(size), (form, size, done.stderr.decode())
    text = (tool.vault.dir / "PEM").read_bytes()
    for what, changed, words in (("cut", text[:200001], "it was cut"), ("without its last line", text[:text.rindex(b"-----END")], "it was cut"),
                                 ("going on", text + text, "further text behind the envelope"), ("another", text.replace(b" CMS-", b" X509-"), "-----BEGIN X509-----"),
                                 ("changed", text[:200000] + (b"A" if text[200000:200001] != b"A" else b"B") + text[200001:], "not what its sender wrote"),
                                 ("not base64", text[:200000] + b"*" + text[200001:], "not base64")):
        message = gives_nothing(tool, changed, what, codes=(65,))
        assert words in message, (what, message)


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



# --- tampering ---
def gives_nothing(tool, envelope, what, codes=(64, 65, 66), options=(), config=None):
    """Neither on the standard output nor in a file that was there before."""
    (tool.vault.dir / "changed").write_bytes(envelope)
    (tool.vault.dir / "old").write_bytes(b"old")
    for out in ([], ["--out", "old"]):
        done = tool.run("cms", "open", "changed", *out, *options, config=config)
        assert done.returncode in codes, f"{what} {out}: exit {done.returncode}: {done.stderr.decode()}"
        assert done.stdout == b"", f"{what}: {len(done.stdout)} bytes were released"
        assert (tool.vault.dir / "old").read_bytes() == b"old", what
        assert done.stderr.startswith(b"kvp11: ") and done.stderr.count(b"\n") == 1, done.stderr.decode()
    return done.stderr.decode()


def envelope(tool, size=9000, stream=True, name="sealed", **options):
    if not (tool.vault.dir / "k.pem").exists():
        tool.vault.create("k", kty="RSA", key_size=2048)
        certificate(tool)
    seal(tool, content(size), ["k.pem"], stream=stream, name=name, **options)
    return (tool.vault.dir / name).read_bytes()


def flipped(data, at, bit):
    return data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1:]


def notices_every_flip(tool):
    """a flipped bit in any byte before or behind the content, and anywhere in it, releases nothing"""
    whole = envelope(tool)
    head = whole.index(b"\xa0\x80\x04\x82\x10\x00") + 6  # the content and its first segment
    tail = len(whole) - 30
    chosen = random.Random(5)
    places = [*range(0, 24), *range(24, head, 3), *chosen.sample(range(head, tail), 12), head + 4096, head + 4097, *range(tail, len(whole))]
    for at in places:
        gives_nothing(tool, flipped(whole, at, chosen.randrange(8)), f"byte {at} of {len(whole)}")


def notices_every_cut(tool):
    """a file that was cut, or has something behind it, releases nothing, whatever its lengths are like"""
    for stream in (True, False):
        whole = envelope(tool, stream=stream)
        for length in (0, 1, 2, 20, 100, 380, 420, 430, 4500, 8000, len(whole) - 19, len(whole) - 18, len(whole) - 8, len(whole) - 2, len(whole) - 1):
            message = gives_nothing(tool, whole[:length], f"cut to {length} of {len(whole)}", codes=(65,))
            assert "it was cut" in message or "is empty" in message, message
        for more in (b"\0", b"\0\0", b"\n", whole):
            assert "further bytes" in gives_nothing(tool, whole + more, f"with {len(more)} bytes behind it", codes=(65,))


def notices_what_was_swapped(tool):
    """recipients, heads, segments and tags of two files cannot be exchanged"""
    one, two = envelope(tool, name="one"), envelope(tool, name="two")
    key = one.index(b"\x04\x82\x01\x00") + 4
    body = one.index(b"\xa0\x80\x04\x82\x10\x00") + 2
    assert two.index(b"\xa0\x80\x04\x82\x10\x00") + 2 == body
    first, second = one[body:body + 4100], one[body + 4100:body + 8200]
    for what, changed in (("the key of another file", one[:key] + two[key:key + 256] + one[key + 256:]),
                          ("the head of another file", two[:body] + one[body:]),
                          ("two segments", one[:body] + second + first + one[body + 8200:]),
                          ("a segment twice", one[:body] + first + first + one[body + 8200:]),
                          ("a segment left out", one[:body] + first + one[body + 8200:]),
                          ("a segment of another file", one[:body] + two[body:body + 4100] + one[body + 4100:]),
                          ("the tag of another file", one[:-24] + two[-24:])):
        assert "is not what its sender wrote" in gives_nothing(tool, changed, what, codes=(65,)), what


def notices_other_algorithms(tool):
    """edited algorithms are refused by name: no cipher without authentication, no OAEP without parameters, no PKCS#1 v1.5 in its place"""
    whole = envelope(tool)
    rsa1_5 = tool.vault.configure("old.conf", ["rsa1_5 = yes"])
    gcm = bytes.fromhex("060960864801650304012e")
    oaep = bytes.fromhex("303806092a864886f70d010107302b")
    start = whole.index(oaep)
    tool.vault.requests()

    def algorithm(inner):
        return whole[:start] + inner + whole[start + 58:]

    def sized(changed):
        """The same with the lengths around the recipient mended."""
        less = len(whole) - len(changed)
        set_at, entry_at = 22, 26
        for at in (set_at, entry_at):
            length = int.from_bytes(changed[at + 2:at + 4], "big") - less
            changed = changed[:at + 2] + length.to_bytes(2, "big") + changed[at + 4:]
        return changed

    sha512 = bytes.fromhex("608648016503040203")
    sha256 = bytes.fromhex("608648016503040201")
    for what, changed, code, words in (
            ("CBC in an authenticated envelope", whole.replace(gcm, gcm[:-1] + b"\x2a"), 65, "the parameters of AES-256-CBC"),
            ("another cipher", whole.replace(gcm, gcm[:-1] + b"\x2f"), 64, "2.16.840.1.101.3.4.1.47 is not known here"),
            ("OAEP without parameters", sized(algorithm(bytes.fromhex("300b06092a864886f70d010107"))), 65, "missing or malformed"),
            ("OAEP with NULL", sized(algorithm(bytes.fromhex("300d06092a864886f70d0101070500"))), 65, "missing or malformed"),
            ("PKCS#1 v1.5 in its place", sized(algorithm(bytes.fromhex("300d06092a864886f70d0101010500"))), 64, "rsa1_5 = yes"),
            ("another hash", whole.replace(sha256, sha512), 64, "RSA-OAEP with hash 2.16.840.1.101.3.4.2.3"),
            ("another mask", whole[:start] + whole[start:start + 58][::-1].replace(sha256[::-1], sha512[::-1], 1)[::-1] + whole[start + 58:], 64,
             "another hash in its mask"),
            ("another transport", whole.replace(bytes.fromhex("2a864886f70d010107"), bytes.fromhex("2a864886f70d01010a")), 64, "1.2.840.113549.1.1.10"),
            ("signed data", whole.replace(bytes.fromhex("2a864886f70d0109100117"), bytes.fromhex("2a864886f70d0109100102")), 64, "1.2.840.113549.1.9.16.1.2")):
        assert changed != whole, what
        message = gives_nothing(tool, changed, what, codes=(code,))
        assert words in message, f"{what}: {message}"
    assert sent(tool) == []
    # Where PKCS#1 v1.5 is allowed, a file that was turned into one fails as any other that was changed.
    changed = sized(algorithm(bytes.fromhex("300d06092a864886f70d0101010500")))
    assert "is not what its sender wrote" in gives_nothing(tool, changed, "PKCS#1 v1.5 where it is allowed", codes=(65,), config=rsa1_5)


def says_nothing_about_padding(tool):
    """with PKCS#1 v1.5 a bad padding, a key of another length and a wrong key look the same; the log has the reason"""
    whole = envelope(tool, transport=[])
    config = tool.vault.configure("old.conf", ["rsa1_5 = yes"])
    key = whole.index(b"\x04\x82\x01\x00") + 4
    openssl(tool, "x509", "-in", "k.pem", "-pubkey", "-noout", "-out", "k.pub")
    messages = set()
    for name, plain in (("another key", bytes(32)), ("another length", bytes(16))):
        (tool.vault.dir / "plain").write_bytes(plain)
        openssl(tool, "pkeyutl", "-encrypt", "-pubin", "-inkey", "k.pub", "-in", "plain", "-out", "wrapped")
        changed = whole[:key] + (tool.vault.dir / "wrapped").read_bytes() + whole[key + 256:]
        messages.add(gives_nothing(tool, changed, name, codes=(65,), config=config))
    messages.add(gives_nothing(tool, flipped(whole, key + 9, 3), "a bad padding", codes=(65,), config=config))
    assert len(messages) == 1, messages
    log = (tool.vault.dir / "kvp11.log").read_text()
    assert "it has another length" in log and "cannot be unwrapped; a random one is used in its place: version 'prod/k@" in log, log[-2000:]


def asks_before_it_opens_cbc(tool):
    """CBC is refused with the option that allows it and what that means; with it a broken padding is an error all the same"""
    whole = envelope(tool, cipher="-aes-256-cbc")
    tool.vault.requests()
    assert "--allow-unauthenticated" in gives_nothing(tool, whole, "CBC", codes=(64,))
    assert sent(tool) == []
    opens(tool, "sealed", content(9000), *CBC)
    done = tool.run("cms", "open", "changed", *CBC)
    assert done.returncode == 0
    (tool.vault.dir / "changed").write_bytes(flipped(whole, len(whole) - 11, 0))
    done = tool.run("cms", "open", "changed", "--out", "new", *CBC)
    assert done.returncode in (0, 65) and (tool.vault.dir / "new").exists() == (done.returncode == 0), done.stderr
    (tool.vault.dir / "changed").write_bytes(whole[:-12] + whole[-10:])
    assert tool.run("cms", "open", "changed", "--out", "never", *CBC).returncode == 65
    assert not (tool.vault.dir / "never").exists()


def notices_a_file_that_changes_under_it(tool):
    """between the two readings somebody puts other bytes into the file: what was released before is authentic, nothing follows"""
    size = 6 << 20
    whole = envelope(tool, size)
    for change in ("flip", "cut", "longer"):
        (tool.vault.dir / "sealed").write_bytes(whole)
        process = subprocess.Popen([tool.vault.tool, "cms", "open", "sealed"], cwd=tool.vault.dir, env=tool.vault.environment(), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
        first = process.stdout.read(1)  # the pipe is full now: the second reading has begun and waits
        with open(tool.vault.dir / "sealed", "r+b") as file:
            if change == "cut":
                file.truncate(5 << 20)
            else:
                file.seek(5 << 20)
                file.write(flipped(whole[5 << 20:(5 << 20) + 1], 0, 0) if change == "flip" else whole[4 << 20:])
        out, message = process.communicate(timeout=60)
        assert process.returncode == 65, (change, process.returncode, message)
        assert content(size).startswith(first + out) and len(out) < (5 << 20), (change, len(out))
        assert any(words in message for words in (b"changed while it was read", b"it was cut", b"no envelope that can be read")), (change, message)


def leaves_nothing_when_it_is_killed(tool):
    """killed in the middle of a content, --out leaves what was there before, and no piece of what was not checked yet"""
    whole = envelope(tool, 4 << 20)
    folder = tool.vault.dir / "restored"
    folder.mkdir()
    (folder / "file").write_bytes(b"old")
    os.mkfifo(tool.vault.dir / "pipe")
    try:
        os.close(os.open(folder, os.O_TMPFILE | os.O_WRONLY))
        nameless = True
    except OSError:
        nameless = False  # then only an end that can be caught takes the name away
    for end in (signal.SIGKILL, signal.SIGTERM) if nameless else (signal.SIGTERM,):
        process = subprocess.Popen([tool.vault.tool, "cms", "open", "pipe", "--out", "restored/file"], cwd=tool.vault.dir, env=tool.vault.environment(),
                                   stdin=subprocess.DEVNULL)
        with open(tool.vault.dir / "pipe", "wb") as pipe:
            pipe.write(whole[:3 << 20])  # more than the pipe holds: most of it has been read
            pipe.flush()
            process.send_signal(end)
            assert process.wait(timeout=30) == -end
        assert [entry.name for entry in folder.iterdir()] == ["file"] and (folder / "file").read_bytes() == b"old", list(folder.iterdir())


# --- what stands in the way ---
def goes_on_to_another_recipient_of_ours(tool):
    """of two versions that can open it the first is disabled, or gone: the other one does; a wrapped key that is wrong is the end"""
    first = tool.vault.create("k", kty="RSA", key_size=2048)
    one = certificate(tool)
    second = tool.vault.rotate("k")
    tool.prints("keys", "--all", "--refresh")
    two = certificate(tool, "k")
    (tool.vault.dir / "two.pem").write_bytes((tool.vault.dir / two).read_bytes())
    one = certificate(tool, "k", first)
    seal(tool, content(70), [one, "two.pem"])
    tool.vault.requests()
    assert tool.run("cms", "open", "sealed").stdout == content(70)
    asked, = sent(tool)  # openssl sorts the recipients
    first, second = (first, second) if asked == first else (second, first)
    tool.vault.control("PATCH", f"/vaults/prod/keys/k/{first}", {"enabled": False})
    done = tool.run("cms", "open", "sealed")
    assert done.stdout == content(70), done.stderr
    assert sent(tool)[-1] == second
    tool.vault.control("PATCH", f"/vaults/prod/keys/k/{second}", {"enabled": False})
    assert "disabled" in gives_nothing(tool, (tool.vault.dir / "sealed").read_bytes(), "both disabled", codes=(77,))
    tool.vault.control("PATCH", f"/vaults/prod/keys/k/{first}", {"enabled": True})
    tool.vault.control("PATCH", f"/vaults/prod/keys/k/{second}", {"enabled": True})
    tool.prints("keys", "--all", "--refresh")
    tool.vault.requests()
    whole = (tool.vault.dir / "sealed").read_bytes()
    key = whole.index(b"\x04\x82\x01\x00") + 4
    (tool.vault.dir / "changed").write_bytes(flipped(whole, key + 100, 0))
    tool.refuses(65, ["which the data name, cannot open them"], "cms", "open", "changed")
    assert len(sent(tool)) == 1


def says_why_it_cannot_be_opened(tool):
    """foreign recipients, disabled versions, a vault out of reach and bad arguments are told apart, each with its exit code"""
    version = tool.vault.create("k", kty="RSA", key_size=2048)
    pem = certificate(tool)
    seal(tool, content(40), [breakglass(tool)], name="foreign")
    seal(tool, content(40), [pem], name="sealed")
    seal(tool, content(40), [breakglass(tool)], name="named", key_id=False)
    tool.refuses(66, ["none of the recipients", "key id "], "cms", "open", "foreign")
    tool.refuses(66, ["a certificate of 'break glass'", "--certificate", "-keyid"], "cms", "open", "named")
    tool.refuses(64, ["cannot read 'absent'"], "cms", "open", "absent")
    tool.refuses(64, ["named twice"], "cms", "open", "sealed", "--in", "sealed")
    tool.refuses(73, ["'no/where'", "folder"], "cms", "open", "sealed", "--out", "no/where")
    tool.vault.control("PATCH", f"/vaults/prod/keys/k/{version}", {"enabled": False})
    tool.refuses(77, ["disabled", version], "cms", "open", "sealed")
    tool.vault.control("PATCH", f"/vaults/prod/keys/k/{version}", {"enabled": True})
    tool.vault.stop()
    tool.refuses(69, ["prod"], "cms", "open", "sealed", config=tool.vault.configure("short.conf", timeout=2, connect_timeout=1))


def finds_a_key_by_its_certificate(tool):
    """an envelope by issuer and serial number is opened where the certificate is known: from the map, from a folder"""
    tool.vault.create("k", kty="RSA", key_size=2048)
    pem = certificate(tool)
    seal(tool, content(60), [breakglass(tool), pem], key_id=False)
    assert tool.run("cms", "open", "sealed", config=str(tool.vault.dir / "prod-self.conf")).stdout == content(60), tool.vault.log()
    openssl(tool, "x509", "-in", pem, "-pubkey", "-noout", "-out", "k.pub")
    openssl(tool, "req", "-new", "-key", "glass.key", "-subj", "/CN=leaf", "-out", "leaf.csr")
    (tool.vault.dir / "folder").mkdir()
    openssl(tool, "x509", "-req", "-in", "leaf.csr", "-CA", "glass.pem", "-CAkey", "glass.key", "-set_serial", "77", "-force_pubkey", "k.pub", "-days", "9",
            "-out", "folder/leaf.pem")
    seal(tool, content(61), ["folder/leaf.pem"], key_id=False)
    tool.refuses(66, ["a certificate of 'break glass'"], "cms", "open", "sealed")
    assert tool.run("cms", "open", "--certificate", "folder/leaf.pem", "sealed").stdout == content(61), tool.vault.log()
    tool.refuses(66, ["names no certificate", "'k'"], "cms", "open", "--certificate", pem, "sealed")
    config = tool.vault.configure("folder.conf", certificate_folder=tool.vault.dir / "folder")
    assert tool.run("cms", "open", "sealed", config=config).stdout == content(61), tool.vault.log()


def minds_terminals(tool):
    """no binary to a terminal, also where a character is cut in two by a piece's end; text is shown; a bar on stderr while it lasts, and no trace of it elsewhere"""
    tool.vault.create("k", kty="RSA", key_size=2048)
    recipients = [certificate(tool)]
    for data, wanted in (("grüß\tdich\n".encode(), 0), (b"\x1b]0;owned\x07", 64), (b"a" * ((1 << 18) - 1) + "\x9b31m".encode(), 64)):
        seal(tool, data, recipients)
        code, shown, err = on_terminal(tool, ["cms", "open", "sealed"])
        assert code == wanted and (b"terminal" in err) == (wanted != 0), (code, shown, err)
        assert shown == (data.replace(b"\n", b"\r\n") if not wanted else data[:1 << 18][:-1] + b"\xc2" if len(data) > 1 << 18 else b""), (len(shown), shown[-40:])
    seal(tool, bytes(9_000_000), recipients)
    os.mkfifo(tool.vault.dir / "slow")

    def feed():
        with open(tool.vault.dir / "slow", "wb") as slow:
            sealed = (tool.vault.dir / "sealed").read_bytes()
            slow.write(sealed[:8_000_000])
            slow.flush()
            time.sleep(0.3)
            slow.write(sealed[8_000_000:])

    feeder = threading.Thread(target=feed)
    feeder.start()
    code, shown, out = on_terminal(tool, ["cms", "open", "slow"], errors=True)
    feeder.join()
    assert code == 0 and out == bytes(9_000_000), (code, shown)
    assert b"MiB" in shown and b"/s" in shown and shown.rstrip(b"\r\n").endswith(b"\x1b[K"), shown


# --- sealing ---
def engine(tool, *arguments, **options):
    (tool.vault.dir / "engine.cnf").write_text(f"openssl_conf = i\n[i]\nengines = e\n[e]\npkcs11 = p\n[p]\nengine_id = pkcs11\nMODULE_PATH = {tool.vault.module}\ninit = 0\n")
    return openssl(tool, *arguments, "-engine", "pkcs11", "-keyform", "engine", env={"OPENSSL_CONF": tool.vault.dir / "engine.cnf"}, **options)


def provider(tool, *arguments, **options):
    found = sorted(pathlib.Path("/usr/lib").glob("*/ossl-modules/pkcs11.so"))
    assert found, "pkcs11-provider is not installed"
    (tool.vault.dir / "provider.cnf").write_text(
        "openssl_conf = i\n[i]\nproviders = p\n[p]\ndefault = d\npkcs11 = k\n[d]\nactivate = 1\n"
        f"[k]\nmodule = {found[0]}\npkcs11-module-path = {tool.vault.module}\nactivate = 1\n")
    return openssl(tool, *arguments, env={"OPENSSL_CONF": tool.vault.dir / "provider.cnf"}, **options)


def is_opened_by_openssl(tool):
    """what is sealed here is opened by `openssl cms -decrypt`: through the engine, through the provider, and with a break-glass key alone"""
    tool.vault.create("k", kty="RSA", key_size=2048)
    tool.prints("keys")
    glass = breakglass(tool)
    for size in (0, 1, 17, 100000):
        data = content(size)
        (tool.vault.dir / "data").write_bytes(data)
        tool.vault.requests()
        done = tool.run("cms", "seal", "-r", "k", "--break-glass", f"./{glass}", "--out", "sealed", "data")
        assert done.returncode == 0 and done.stdout == b"" and done.stderr == b"", done.stderr.decode()
        assert tool.vault.requests() == [], "sealing asked the vault"
        assert (tool.vault.dir / "sealed").stat().st_mode & 0o777 == 0o600
        decrypt = ["cms", "-decrypt", "-binary", "-inform", "DER", "-in", "sealed"]
        assert openssl(tool, *decrypt, "-inkey", "glass.key", "-recip", glass) == data
        opens(tool, "sealed", data)
        if size in (0, 17):
            continue
        uri = "pkcs11:token=prod;object=k;type=private"
        assert engine(tool, *decrypt, "-inkey", uri) == data
        assert provider(tool, *decrypt, "-inkey", uri) == data


def seals_for_whom_it_is_told(tool):
    """old versions by name, certificates without a key identifier, a pipe; the ledger knows the version; what cannot be a recipient is said"""
    version = tool.vault.create("k", kty="RSA", key_size=2048)
    tool.vault.rotate("k")
    tool.vault.create("ec", kty="EC", crv="P-256")
    tool.prints("keys", "--all")
    glass = breakglass(tool)
    openssl(tool, "req", "-new", "-key", "glass.key", "-subj", "/CN=bare", "-out", "bare.csr")
    openssl(tool, "x509", "-req", "-in", "bare.csr", "-CA", glass, "-CAkey", "glass.key", "-set_serial", "5", "-days", "9", "-out", "bare.pem")
    done = tool.run("cms", "seal", "-r", f"prod/k@{version}", "-r", "bare.pem", input=b"a secret")
    assert done.returncode == 0, done.stderr.decode()
    (tool.vault.dir / "sealed").write_bytes(done.stdout)
    assert openssl(tool, "cms", "-decrypt", "-binary", "-inform", "DER", "-in", "sealed", "-inkey", "glass.key", "-recip", "bare.pem") == b"a secret"
    tool.vault.requests()
    assert tool.run("cms", "open", "sealed").stdout == b"a secret" and sent(tool) == [version]
    tool.refuses(64, ["--break-glass none"], "cms", "seal", "-r", "k", "--out", "never")
    done = tool.run("cms", "seal", "-r", "k", "--break-glass", "none", input=b"x")
    assert done.returncode == 0 and done.stderr == b"", done.stderr
    assert not (tool.vault.dir / "never").exists()
    rows = {row["version"]: row["wraps"] for row in json.loads(tool.prints("--json", "keys", "--all")) if row["name"] == "k"}
    assert sorted(rows.values()) == [1, 1], rows
    (tool.vault.dir / "large").write_bytes(bytes((16 << 20) + 1))
    (tool.vault.dir / "no.pem").write_bytes(b"nothing")
    for code, words, arguments in ((64, ["-r"], []), (64, ["no RSA key"], ["-r", "ec", "-r", glass]),
                                   (66, ["absent"], ["-r", "absent", "-r", glass]), (65, ["no certificate"], ["-r", "no.pem"]),
                                   (66, ["there.pem"], ["-r", "there.pem"]), (65, ["longer than 16 MiB"], ["-r", glass, "large"]),
                                   (64, ["no certificate's file"], ["-r", glass, "--break-glass", "k"])):
        tool.refuses(code, words, "cms", "seal", *arguments)


SCENARIOS = (
    opens_what_openssl_makes, opens_every_size, opens_text, goes_to_the_version_that_is_named, is_found_on_a_new_host, notices_every_flip, notices_every_cut,
    notices_what_was_swapped, notices_other_algorithms, says_nothing_about_padding, asks_before_it_opens_cbc, notices_a_file_that_changes_under_it,
    leaves_nothing_when_it_is_killed, minds_terminals, goes_on_to_another_recipient_of_ours, says_why_it_cannot_be_opened, finds_a_key_by_its_certificate,
    is_opened_by_openssl, seals_for_whom_it_is_told,
)
