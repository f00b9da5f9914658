"""Keys made, brought in and destroyed by pkcs11-tool and p11tool, with `manage = yes`."""
DATA = b"the data to be signed\n" * 3


def managed(token):
    """The environment in which the token lets keys be made: an operator's on kvp11, any on SoftHSM."""
    vault = getattr(token, "vault", None)
    return {"KVP11_CONFIG": vault.configure("manage.conf", ["manage = yes", "refresh_seconds = 0"], identity="operator", map=vault.dir / "manage.db")} if vault else {}


def id_of(token, label):
    """CKA_ID in hex: pkcs11-tool takes the first key when it is to sign with a label."""
    lines = [line.strip() for line in token.must(token.tool("-O", "--type", "privkey", env=managed(token))).decode().splitlines()]
    at = lines.index(f"label:      {label}")
    return next(line.split(":")[1].strip() for line in lines[at:] if line.startswith("ID:"))


def sign(token, key_id, mechanism, *options):
    token.file("data", DATA)
    return token.tool("--sign", "-m", mechanism, "--id", key_id, "-i", "data", "-o", "signature", *options, env=managed(token))


def sign_ec(token, label):
    token.must(token.run(["openssl", "dgst", "-sha256", "-binary", "-out", "digest", token.file("data", DATA)]))
    return token.tool("--sign", "-m", "ECDSA", "--id", id_of(token, label), "-i", "digest", "-o", "signature", "--signature-format", "openssl", env=managed(token))


def check_signature(token, pem):
    done = token.must(token.run(["openssl", "dgst", "-sha256", "-verify", pem, "-signature", "signature", token.file("data")]))
    assert b"Verified OK" in done, done


def public_of(token, label):
    der, pem = token.dir / f"{label}.der", token.dir / f"{label}.pem"
    token.must(token.tool("--read-object", "--type", "pubkey", "--label", label, "-o", der, env=managed(token)))
    token.must(token.run(["openssl", "pkey", "-pubin", "-inform", "DER", "-in", der, "-out", pem]))
    return pem


def makes_rsa(token):
    """pkcs11-tool makes an RSA key pair, and signs with it"""
    out = token.must(token.tool("--keypairgen", "--key-type", "rsa:2048", "--label", "tool-rsa", "--id", "31", env=managed(token))).decode()
    assert "Private Key Object; RSA" in out and "Public Key Object; RSA 2048 bits" in out, out
    token.must(sign(token, id_of(token, "tool-rsa"), "SHA256-RSA-PKCS"))
    check_signature(token, public_of(token, "tool-rsa"))


def makes_ec(token):
    """pkcs11-tool makes a key pair on P-256, and signs with it"""
    token.must(token.tool("--keypairgen", "--key-type", "EC:prime256v1", "--label", "tool-ec", "--id", "32", env=managed(token)))
    token.must(sign_ec(token, "tool-ec"))
    check_signature(token, public_of(token, "tool-ec"))


def private_key(token, name, *algorithm):
    """A private key of OpenSSL's as pkcs11-tool reads it, and its public half."""
    pem, der, public = (token.dir / f"{name}.{kind}" for kind in ("key", "der", "public"))
    token.must(token.run(["openssl", "genpkey", *algorithm, "-out", pem]))
    token.must(token.run(["openssl", "pkey", "-in", pem, "-traditional", "-outform", "DER", "-out", der]))
    token.must(token.run(["openssl", "pkey", "-in", pem, "-pubout", "-out", public]))
    return pem, der, public


def brings_rsa(token):
    """pkcs11-tool brings an RSA key in, and OpenSSL verifies what it signs there"""
    _, der, public = private_key(token, "tool-in-rsa", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
    token.must(token.tool("--write-object", der, "--type", "privkey", "--label", "tool-in-rsa", "--id", "33", "--usage-sign", env=managed(token)))
    token.must(sign(token, id_of(token, "tool-in-rsa"), "SHA256-RSA-PKCS"))
    check_signature(token, public)


def brings_ec(token):
    """pkcs11-tool brings an EC key in, and OpenSSL verifies what it signs there"""
    _, der, public = private_key(token, "tool-in-ec", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
    token.must(token.tool("--write-object", der, "--type", "privkey", "--label", "tool-in-ec", "--id", "34", "--usage-sign", env=managed(token)))
    token.must(sign_ec(token, "tool-in-ec"))
    check_signature(token, public)


def deletes(token):
    """pkcs11-tool deletes a private key, which signs no more"""
    token.must(token.tool("--keypairgen", "--key-type", "rsa:2048", "--label", "tool-gone", "--id", "35", env=managed(token)))
    key_id = id_of(token, "tool-gone")
    token.must(sign(token, key_id, "SHA256-RSA-PKCS"))
    token.must(token.tool("--delete-object", "--type", "privkey", "--label", "tool-gone", env=managed(token)))
    assert sign(token, key_id, "SHA256-RSA-PKCS").returncode != 0


def deletes_a_version(token):
    """what pkcs11-tool deletes is one version, disabled, while the others go on"""
    token.vault.create("tool-versions", kty="RSA")
    token.vault.rotate("tool-versions")
    lines = token.must(token.tool("-O", "--type", "privkey", env=managed(token))).decode().split()
    old = next(word for word in lines if word.startswith("tool-versions@"))
    token.must(token.tool("--delete-object", "--type", "privkey", "--label", old, env=managed(token)))
    assert sign(token, id_of(token, old), "SHA256-RSA-PKCS").returncode != 0
    token.must(sign(token, id_of(token, "tool-versions"), "SHA256-RSA-PKCS"))
    check_signature(token, public_of(token, "tool-versions"))


deletes_a_version.ours_only = "versions are a vault's"


def gnutls_makes(token):
    """p11tool makes an RSA key pair, and pkcs11-tool signs with it"""
    token.must(p11tool(token, "--generate-privkey", "rsa", "--bits", "2048", "--label", "gnutls-rsa"))
    token.must(sign(token, id_of(token, "gnutls-rsa"), "SHA256-RSA-PKCS"))
    check_signature(token, public_of(token, "gnutls-rsa"))


def gnutls_brings(token):
    """p11tool brings a key in, and OpenSSL verifies what it signs there"""
    pem, _, public = private_key(token, "gnutls-in", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
    token.must(p11tool(token, "--write", "--load-privkey", pem, "--label", "gnutls-in"))
    token.must(sign(token, id_of(token, "gnutls-in"), "SHA256-RSA-PKCS"))
    check_signature(token, public)


def p11tool(token, *arguments):
    pin = ["--login", "--set-pin", token.pin] if token.pin else []
    return token.run(["p11tool", "--provider", token.module, *pin, "--batch", *arguments, f"pkcs11:token={token.label}"], env=managed(token))


def refuses_an_existing_name(token):
    """pkcs11-tool makes no second key under one name, nor one without `manage`"""
    again = ["--keypairgen", "--key-type", "rsa:2048", "--label", "tool-rsa"]
    done = token.tool(*again, env=managed(token))
    assert done.returncode != 0 and b"CKR_TEMPLATE_INCONSISTENT" in done.stderr, done.stderr
    done = token.tool("--keypairgen", "--key-type", "rsa:2048", "--label", "tool-never")
    assert done.returncode != 0, done.stdout
    assert "tool-never" not in token.must(token.tool("-O", env=managed(token))).decode()


refuses_an_existing_name.ours_only = "SoftHSM has labels, not names, and no such setting"

SCENARIOS = (makes_rsa, makes_ec, brings_rsa, brings_ec, deletes, deletes_a_version, gnutls_makes, gnutls_brings, refuses_an_existing_name)
