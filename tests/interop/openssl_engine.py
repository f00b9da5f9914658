"""The OpenSSL command line through its pkcs11 engine (libp11)."""
import hashlib

DATA = b"what openssl signs\n" * 100
ENGINE = ["-engine", "pkcs11", "-keyform", "engine"]


def dgst(token):
    """openssl dgst signs with RSA and EC"""
    token.file("data", DATA)
    for key, digest in (("rsa", "-sha256"), ("rsa", "-sha512"), ("ec", "-sha256")):
        token.must(token.engine("dgst", *ENGINE, digest, "-sign", token.uri(key), "-out", "signature", "data"))
        token.must(token.run(["openssl", "dgst", digest, "-verify", token.public_pem(key), "-signature", "signature", "data"]))


def dgst_pss(token):
    """openssl dgst signs PSS with the salt as long as the digest"""
    token.file("data", DATA)
    pss = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"]
    token.must(token.engine("dgst", *ENGINE, "-sha256", *pss, "-sign", token.uri("rsa"), "-out", "signature", "data"))
    token.must(token.run(["openssl", "dgst", "-sha256", *pss, "-verify", token.public_pem("rsa"), "-signature", "signature", "data"]))


def pkeyutl_sign(token):
    """openssl pkeyutl signs a digest"""
    token.file("data", DATA)
    token.file("digest", hashlib.sha256(DATA).digest())
    for key in ("rsa", "ec"):
        token.must(token.engine("pkeyutl", "-sign", *ENGINE, "-inkey", token.uri(key), "-pkeyopt", "digest:sha256", "-in", "digest", "-out", "signature"))
        token.must(token.run(["openssl", "dgst", "-sha256", "-verify", token.public_pem(key), "-signature", "signature", "data"]))


def pkeyutl_decrypt(token):
    """openssl pkeyutl decrypts OAEP with SHA-1 and SHA-256"""
    token.file("plain", b"a data key of 32 bytes, exactly!")
    for digest in ("sha1", "sha256"):
        oaep = ["-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", f"rsa_oaep_md:{digest}"]
        token.must(token.run(["openssl", "pkeyutl", "-encrypt", "-pubin", "-inkey", token.public_pem("rsa"), "-in", "plain", "-out", "cipher", *oaep]))
        token.must(token.engine("pkeyutl", "-decrypt", *ENGINE, "-inkey", token.uri("rsa"), "-in", "cipher", "-out", "opened", *oaep))
        assert token.file("opened").read_bytes() == token.file("plain").read_bytes()


def certificate(token, key="rsa"):
    """A self-signed certificate of the token's key."""
    token.must(token.engine("req", "-new", "-x509", *ENGINE, "-key", token.uri(key), "-subj", f"/CN={key}", "-out", f"{key}.crt"))
    return f"{key}.crt"


def req_and_x509(token):
    """openssl req makes requests and certificates, openssl x509 signs a request"""
    for key in ("rsa", "ec"):
        token.must(token.engine("req", "-new", *ENGINE, "-key", token.uri(key), "-subj", "/CN=leaf", "-out", "request.pem"))
        token.must(token.run(["openssl", "req", "-in", "request.pem", "-verify", "-noout"]))
        issuer = certificate(token, key)
        token.must(token.engine("x509", "-req", "-in", "request.pem", "-engine", "pkcs11", "-CAkeyform", "engine", "-CAkey", token.uri(key), "-CA", issuer,
                                "-set_serial", "1", "-out", "issued.crt"))
        token.must(token.run(["openssl", "verify", "-CAfile", issuer, "-partial_chain", "issued.crt"]))


def cms_sign(token):
    """openssl cms signs, and OpenSSL alone verifies"""
    token.file("data", DATA)
    signer = certificate(token)
    token.must(token.engine("cms", "-sign", "-binary", "-nodetach", *ENGINE, "-inkey", token.uri("rsa"), "-signer", signer, "-in", "data", "-outform", "DER",
                            "-out", "signed"))
    token.must(token.run(["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", "signed", "-CAfile", signer, "-purpose", "any", "-out", "content"]))
    assert token.file("content").read_bytes() == DATA


def cms_decrypt(token):
    """openssl cms decrypts what was encrypted to the key by OAEP"""
    token.file("data", DATA)
    recipient = certificate(token)
    token.must(token.run(["openssl", "cms", "-encrypt", "-binary", "-outform", "DER", "-aes-256-cbc", "-recip", recipient, "-keyopt", "rsa_padding_mode:oaep",
                          "-keyopt", "rsa_oaep_md:sha256", "-keyopt", "rsa_mgf1_md:sha256", "-in", "data", "-out", "sealed"]))
    token.must(token.engine("cms", "-decrypt", "-binary", "-inform", "DER", *ENGINE, "-inkey", token.uri("rsa"), "-recip", recipient, "-in", "sealed", "-out", "content"))
    assert token.file("content").read_bytes() == DATA


SCENARIOS = (dgst, dgst_pss, pkeyutl_sign, pkeyutl_decrypt, req_and_x509, cms_sign, cms_decrypt)
