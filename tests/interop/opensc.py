"""pkcs11-tool (OpenSC)."""
import hashlib
import re

DATA = b"the data to be signed\n" * 3
LONG = b"0123456789abcdef" * 300  # over 1,025 bytes pkcs11-tool signs in parts


def sign_checked(token, key, mechanism, data, *options, verify=()):
    """Signs with pkcs11-tool and verifies with OpenSSL alone."""
    token.file("data", data)
    key_id = getattr(token, f"{key}_id")
    token.must(token.tool("--sign", "-m", mechanism, "--id", key_id, "-i", "data", "-o", "signature", *options))
    token.must(token.run(["openssl", "dgst", *verify, "-verify", token.public_pem(key), "-signature", "signature", token.file("whole", LONG if data == LONG else DATA)]))


def lists_objects(token):
    """pkcs11-tool lists a private and a public object of both keys"""
    out = token.must(token.tool("-O")).decode()
    for key in ("rsa", "ec"):
        assert out.count(f"label:      {key}\n") >= 2, out


def lists_mechanisms(token):
    """pkcs11-tool lists the mechanisms of the clients' contract"""
    out = token.must(token.tool("-M")).decode()
    for name in ("SHA256-RSA-PKCS,", "SHA512-RSA-PKCS-PSS,", "RSA-PKCS-OAEP,", "ECDSA,"):
        assert name in out, f"{name} missing in {out}"


def signs_rsa(token):
    """pkcs11-tool signs SHA256-RSA-PKCS"""
    sign_checked(token, "rsa", "SHA256-RSA-PKCS", DATA, verify=["-sha256"])


def signs_rsa_in_parts(token):
    """pkcs11-tool signs SHA512-RSA-PKCS over a file in parts"""
    sign_checked(token, "rsa", "SHA512-RSA-PKCS", LONG, verify=["-sha512"])


def signs_pss(token):
    """pkcs11-tool signs RSA-PKCS-PSS over a digest"""
    sign_checked(token, "rsa", "RSA-PKCS-PSS", hashlib.sha256(DATA).digest(), "--hash-algorithm", "SHA256", "--mgf", "MGF1-SHA256", "--salt-len", "32",
                 verify=["-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32"])


def signs_ecdsa(token):
    """pkcs11-tool signs ECDSA over a digest"""
    sign_checked(token, "ec", "ECDSA", hashlib.sha256(DATA).digest(), "--signature-format", "openssl", verify=["-sha256"])


def verifies(token):
    """pkcs11-tool verifies a good signature and refuses a changed one"""
    token.file("data", DATA)
    token.must(token.tool("--sign", "-m", "SHA256-RSA-PKCS", "--id", token.rsa_id, "-i", "data", "-o", "signature"))
    verify = ["--verify", "-m", "SHA256-RSA-PKCS", "--id", token.rsa_id, "--signature-file", "signature"]
    good = token.must(token.tool(*verify, "-i", "data"))
    assert b"Signature is valid" in good, good
    token.file("data", DATA + b"x")
    bad = token.tool(*verify, "-i", "data")
    assert b"Signature is valid" not in bad.stdout, bad.stdout


def decrypts_oaep(token):
    """pkcs11-tool decrypts OAEP with SHA-1"""
    decrypt(token, "SHA-1", "sha1")


def decrypts_oaep_256(token):
    """pkcs11-tool decrypts OAEP with SHA-256"""
    decrypt(token, "SHA256", "sha256")


decrypts_oaep_256.ours_only = "SoftHSM knows OAEP with SHA-1 alone"


def decrypt(token, hash_algorithm, openssl_name):
    token.file("plain", b"a data key of 32 bytes, exactly!")
    token.must(token.run(["openssl", "pkeyutl", "-encrypt", "-pubin", "-inkey", token.public_pem("rsa"), "-in", "plain", "-out", "cipher",
                          "-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", f"rsa_oaep_md:{openssl_name}"]))
    token.must(token.tool("--decrypt", "-m", "RSA-PKCS-OAEP", "--hash-algorithm", hash_algorithm, "--id", token.rsa_id, "-i", "cipher", "-o", "opened"))
    assert token.file("opened").read_bytes() == token.file("plain").read_bytes()


def unwraps(token):
    """pkcs11-tool unwraps an AES key and shows its value"""
    key = bytes(range(32))
    token.file("plain", key)
    token.must(token.run(["openssl", "pkeyutl", "-encrypt", "-pubin", "-inkey", token.public_pem("rsa"), "-in", "plain", "-out", "wrapped",
                          "-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:sha1"]))
    out = token.must(token.tool("--unwrap", "-m", "RSA-PKCS-OAEP", "--id", token.rsa_id, "--application-id", "21",
                                "--key-type", "AES:", "--extractable", "-i", "wrapped"))
    assert key.hex() in out.decode().replace(" ", "").lower(), out


unwraps.ours_only = "pkcs11-tool sends an empty OAEP parameter, which SoftHSM refuses"


def wraps(token):
    """pkcs11-tool wraps an AES key with the public key, and the private key opens it"""
    key = bytes(range(100, 132))
    token.file("plain", key)
    token.must(token.run(["openssl", "pkeyutl", "-encrypt", "-pubin", "-inkey", token.public_pem("rsa"), "-in", "plain", "-out", "wrapped",
                          "-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:sha1"]))
    # One process, since the key lives in its session: unwrapped under an identifier, then found by it and wrapped again.
    token.must(token.tool("--unwrap", "--wrap", "-m", "RSA-PKCS-OAEP", "--id", token.rsa_id, "--application-id", token.rsa_id, "--key-type", "AES:",
                          "--extractable", "-i", "wrapped", "-o", "again"))
    assert token.file("again").read_bytes() != token.file("wrapped").read_bytes()
    token.must(token.tool("--decrypt", "-m", "RSA-PKCS-OAEP", "--hash-algorithm", "SHA-1", "--id", token.rsa_id, "-i", "again", "-o", "opened"))
    assert token.file("opened").read_bytes() == key


wraps.ours_only = "SoftHSM refuses the empty OAEP parameter that pkcs11-tool sends"


def own_test(token):
    """pkcs11-tool --test: random, digests, signatures, verification, wrapping and decryption pass without an error"""
    # It signs the DigestInfo of a SHA-1 digest too, which only `rsnull` lets through.
    only = token.vault.configure("own-test.conf", ["keys = rsa ec", "rsnull = yes"])
    done = token.tool("--test", config=only)
    out = (token.must(done) + done.stderr).decode()
    for words in ("all 4 digest functions seem to work", "RSA-PKCS: OK", "SHA256: OK", "No errors"):
        assert words in out, f"'{words}' is not in: {out[-1500:]}"
    assert "ERR:" not in out, out[-1500:]


own_test.ours_only = "SoftHSM refuses an OAEP label with a code that makes pkcs11-tool give up"


def test_fork(token):
    """pkcs11-tool --test-fork: the child can call C_Initialize"""
    done = token.run(["pkcs11-tool", "--module", token.module, "--test-fork"])
    out = token.must(done).decode()
    assert "Calling C_Initialize in forked child process" in out and not done.stderr.replace(b"Using slot 0 with a present token (0x0)\n", b""), done


test_fork.ours_only = "SoftHSM answers CKR_CRYPTOKI_ALREADY_INITIALIZED in a forked child"


def test_threads(token):
    """pkcs11-tool --test-threads: ten threads initialize and list slots, none sees anything but CKR_OK and that another was first"""
    threads = [word for _ in range(5) for word in ("--test-threads", "IL:GISLGISL", "--test-threads", "IN:GISLGISL")]
    done = token.run(["pkcs11-tool", "--module", token.module, *threads])
    out = (token.must(done) + done.stderr).decode()
    codes = set(re.findall(r"CKR_[A-Z_]+", out))
    assert "all threads have ended" in out and out.count("C_GetSlotList returned CKR_OK") >= 10, out
    assert codes <= {"CKR_OK", "CKR_CRYPTOKI_ALREADY_INITIALIZED"}, codes


test_threads.waits = "pkcs11-tool waits half a minute before it looks whether its threads have ended"
test_threads.ours_only = "SoftHSM crashes when two threads initialize it at once"


SCENARIOS = (lists_objects, lists_mechanisms, signs_rsa, signs_rsa_in_parts, signs_pss, signs_ecdsa, verifies, decrypts_oaep, decrypts_oaep_256,
             unwraps, wraps, own_test, test_fork, test_threads)
