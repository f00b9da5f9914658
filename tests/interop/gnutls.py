"""p11tool and certtool (GnuTLS)."""


def p11tool(token, *arguments):
    login = {"GNUTLS_PIN": token.pin} if token.pin else {}
    return token.run(["p11tool", "--provider", token.module, *(["--login"] if token.pin else []), "--batch", *arguments], env=login)


def lists_tokens(token):
    """p11tool lists the token"""
    out = token.must(p11tool(token, "--list-tokens")).decode()
    assert f"Label: {token.label}" in out, out


def lists_objects(token):
    """p11tool lists both keys"""
    out = token.must(p11tool(token, "--list-all", f"pkcs11:token={token.label}")).decode()
    assert "Label: rsa" in out and "Label: ec" in out, out


def test_signs(token):
    """p11tool --test-sign with RSA and with EC"""
    for key in ("rsa", "ec"):
        done = p11tool(token, "--test-sign", f"pkcs11:token={token.label};object={key};type=private")
        token.must(done)
        assert b"ok" in done.stdout + done.stderr, done


def makes_request(token):
    """certtool makes a certificate request that OpenSSL verifies"""
    token.file("template", b"cn = interop\n")
    for key in ("rsa", "ec"):
        token.must(token.run(["certtool", "--provider", token.module, "--generate-request", "--load-privkey", token.uri(key), "--template", "template",
                              "--outfile", "request.pem"], env={"GNUTLS_PIN": token.pin} if token.pin else {}))
        token.must(token.run(["openssl", "req", "-in", "request.pem", "-verify", "-noout"]))


SCENARIOS = (lists_tokens, lists_objects, test_signs, makes_request)
