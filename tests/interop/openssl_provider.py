"""The OpenSSL command line through pkcs11-provider, as one provider among others and as the one that is preferred for everything: then all that happens
in the process, TLS with the vault included, would come back to the module, if the module did not keep an OpenSSL context of its own."""
from kvtest import build_dir

DATA = b"what openssl signs\n" * 100
NOT_SOFTHSM = "SoftHSM logs in by OpenSSL's default context: the provider asks it for a session, it asks OpenSSL, OpenSSL the provider, and they hang"


def both(scenario):
    """The scenario twice: with the provider beside OpenSSL's own, and, on kvp11 alone, with the provider preferred for everything."""
    def preferred(token):
        scenario(token, everything=True)
    preferred.__doc__ = scenario.__doc__ + ", the provider preferred for everything"
    preferred.ours_only = NOT_SOFTHSM
    return scenario, preferred


def dgst(token, everything=False):
    """openssl dgst signs with RSA, PSS and EC through pkcs11-provider"""
    token.file("data", DATA)
    pss = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"]
    for key, digest, options in (("rsa", "-sha256", []), ("rsa", "-sha512", []), ("rsa", "-sha256", pss), ("ec", "-sha256", [])):
        token.must(token.provider("dgst", digest, *options, "-sign", token.uri(key), "-out", "signature", "data", everything=everything))
        token.must(token.run(["openssl", "dgst", digest, *options, "-verify", token.public_pem(key), "-signature", "signature", "data"]))


def plain_digest(token, everything=False):
    """openssl dgst digests what no key has to do with"""
    token.file("data", DATA)
    ours = token.must(token.provider("dgst", "-sha256", "-r", "data", everything=everything))
    assert ours == token.must(token.run(["openssl", "dgst", "-sha256", "-r", "data"])), ours


def certificate(token, key, everything):
    token.must(token.provider("req", "-new", "-x509", "-key", token.uri(key), "-subj", f"/CN={key}", "-out", f"{key}.crt", everything=everything))
    return f"{key}.crt"


def req_and_x509(token, everything=False):
    """openssl req makes requests and certificates, openssl x509 signs a request through pkcs11-provider"""
    for key in ("rsa", "ec"):
        token.must(token.provider("req", "-new", "-key", token.uri(key), "-subj", "/CN=leaf", "-out", "request.pem", everything=everything))
        token.must(token.run(["openssl", "req", "-in", "request.pem", "-verify", "-noout"]))
        issuer = certificate(token, key, everything)
        token.must(token.provider("x509", "-req", "-in", "request.pem", "-CAkey", token.uri(key), "-CA", issuer, "-set_serial", "1", "-out", "issued.crt",
                                  everything=everything))
        token.must(token.run(["openssl", "verify", "-CAfile", issuer, "-partial_chain", "issued.crt"]))


def cms_sign(token, everything=False):
    """openssl cms signs through pkcs11-provider, and OpenSSL alone verifies"""
    token.file("data", DATA)
    for key in ("rsa", "ec"):
        signer = certificate(token, key, everything)
        token.must(token.provider("cms", "-sign", "-binary", "-nodetach", "-inkey", token.uri(key), "-signer", signer, "-in", "data", "-outform", "DER",
                                  "-out", "signed", everything=everything))
        token.must(token.run(["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", "signed", "-CAfile", signer, "-purpose", "any", "-out", "content"]))
        assert token.file("content").read_bytes() == DATA


def cms_decrypt(token, everything=False):
    """openssl cms decrypts through pkcs11-provider what was encrypted to the key by OAEP"""
    token.file("data", DATA)
    recipient = certificate(token, "rsa", everything)
    token.must(token.run(["openssl", "cms", "-encrypt", "-binary", "-outform", "DER", "-aes-256-cbc", "-recip", recipient, "-keyopt", "rsa_padding_mode:oaep",
                          "-in", "data", "-out", "sealed"]))
    token.must(token.provider("cms", "-decrypt", "-binary", "-inform", "DER", "-inkey", token.uri("rsa"), "-recip", recipient, "-in", "sealed",
                              "-out", "content", everything=everything))
    assert token.file("content").read_bytes() == DATA


def as_shipped(token):
    """openssl works with the configuration of conf/openssl-provider.cnf"""
    lines = (build_dir() / "conf/openssl-provider.cnf").read_text().splitlines(keepends=True)
    mine = [f"pkcs11-module-path = {token.module}\n" if line.startswith("pkcs11-module-path = ") else line for line in lines]
    assert mine != lines, lines
    config = token.file("shipped.cnf", "".join(mine).encode())
    token.file("data", DATA)
    token.must(token.run(["openssl", "dgst", "-sha256", "-sign", token.uri("ec"), "-out", "signature", "data"], env={"OPENSSL_CONF": config}, timeout=60))
    token.must(token.run(["openssl", "dgst", "-sha256", "-verify", token.public_pem("ec"), "-signature", "signature", "data"]))


as_shipped.ours_only = "it is the configuration for kvp11, and SoftHSM needs a quirk more"

SCENARIOS = tuple(form for scenario in (dgst, plain_digest, req_and_x509, cms_sign, cms_decrypt) for form in both(scenario)) + (as_shipped,)
