"""Client assertions (contract §14.2): what proves that an application has its certificate's key, and what does not.

The certificates are of the openssl program, the assertions of this file: neither the module nor the emulator has a part in them.
"""
import base64
import hashlib
import json
import pathlib
import subprocess
import tempfile
import urllib.parse
import uuid

BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
APPLICATION = "certified"
PERMS = "get,list"


def openssl(*words, data=None):
    return subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, timeout=60, input=data).stdout


def url64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Certified:
    """A key and its certificate, self-signed or issued."""

    def __init__(self, folder, name, issuer=None, days=30, extensions="basicConstraints=CA:FALSE"):
        stem = folder / str(uuid.uuid4())
        self.key, self.path = stem.with_suffix(".key"), stem.with_suffix(".pem")
        make = ("req", "-newkey", "rsa:2048", "-nodes", "-keyout", self.key, "-subj", f"/O=kvp11/CN={name}")
        if issuer:
            request, more = stem.with_suffix(".csr"), stem.with_suffix(".cnf")
            more.write_text(extensions + "\n")
            openssl(*make, "-out", request)
            openssl("x509", "-req", "-in", request, "-CA", issuer.path, "-CAkey", issuer.key, "-CAcreateserial", "-days", days, "-extfile", more, "-out", self.path)
        else:
            openssl(*make, "-x509", "-days", days, "-out", self.path)
        self.der = openssl("x509", "-in", self.path, "-outform", "DER")

    def pem(self):
        return self.path.read_text()

    def standard(self):
        return base64.b64encode(self.der).decode()

    def assertion(self, em, alg="PS256", **header):
        """A header member of None is left out."""
        now = em.control("GET", "/clock")["now"]
        tenant = em.ready["tenant"]
        claims = {"aud": f"https://login.localhost/{tenant}/oauth2/v2.0/token", "iss": APPLICATION, "sub": APPLICATION, "jti": str(uuid.uuid4()),
                  "nbf": now - 1, "exp": now + 600}
        head = {"alg": alg, "typ": "JWT", "x5t#S256": url64(hashlib.sha256(self.der).digest()), **header}
        head = {name: value for name, value in head.items() if value is not None}
        text = ".".join(url64(json.dumps(part).encode()) for part in (head, claims))
        padding = ("-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest") if alg == "PS256" else ()
        return text + "." + url64(openssl("dgst", "-sha256", "-sign", self.key, *padding, data=text.encode()))


def ask(em, assertion):
    """0: a token; else the number of the refusal."""
    form = {"grant_type": "client_credentials", "client_id": APPLICATION, "client_assertion_type": BEARER, "client_assertion": assertion,
            "scope": "https://vault.localhost/.default"}
    reply = em.send("login", "POST", f"/{em.ready['tenant']}/oauth2/v2.0/token", urllib.parse.urlencode(form).encode(),
                    {"Content-Type": "application/x-www-form-urlencoded"})
    told = reply.json()
    if reply.status == 200:
        assert told["access_token"], told
        return 0
    number = told["error_codes"][0]
    assert told["error_description"].startswith(f"AADSTS{number}: "), told
    return number


def register(em, **what):
    em.control("POST", "/identities", {"id": APPLICATION, "secret": "", "perms": PERMS, **what})


def demand(rows, em):
    for sentence, assertion, number in rows:
        told = ask(em, assertion)
        assert told == number, f"{sentence}: {told}, not {number}"


def by_thumbprint(em):
    """a client assertion names the registered certificate by every thumbprint that it has, is signed with its key, and brings no other"""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        one, other = Certified(folder, "one"), Certified(folder, "one")
        register(em, certificate=one.pem())
        sha1, strange = hashlib.sha1(one.der).digest(), hashlib.sha256(other.der).digest()
        demand((
            ("PS256 and x5t#S256", one.assertion(em), 0),
            ("x5t#S256 in standard base64", one.assertion(em, **{"x5t#S256": base64.b64encode(hashlib.sha256(one.der).digest()).decode()}), 0),
            ("RS256 and x5t", one.assertion(em, "RS256", x5t=url64(sha1), **{"x5t#S256": None}), 0),
            ("kid alone", one.assertion(em, "RS256", kid=sha1.hex().upper(), **{"x5t#S256": None}), 0),
            ("with its certificate", one.assertion(em, x5c=[one.standard()]), 0),
            ("no name at all", one.assertion(em, **{"x5t#S256": None}), 700027),
            ("another thumbprint", one.assertion(em, **{"x5t#S256": url64(strange)}), 700027),
            ("two thumbprints, one of them another's", one.assertion(em, x5t=url64(strange[:20])), 700027),
            ("a thumbprint that is no text", one.assertion(em, **{"x5t#S256": 7}), 700027),
            ("of another key", other.assertion(em), 700027),
            ("of another key under the right name", other.assertion(em, **{"x5t#S256": url64(hashlib.sha256(one.der).digest())}), 700027),
            ("with another's certificate", one.assertion(em, x5c=[other.standard()]), 700027),
            ("another's, which it brings", other.assertion(em, x5c=[other.standard()]), 700027),
            ("no certificates in x5c", one.assertion(em, x5c=[]), 50027),
            ("base64url in x5c", one.assertion(em, x5c=[url64(one.der) + "_"]), 50027),
            ("no DER in x5c", one.assertion(em, x5c=["AAAA"]), 50027),
            ("bytes behind the DER", one.assertion(em, x5c=[base64.b64encode(one.der + b"x").decode()]), 50027),
            ("x5c is a text", one.assertion(em, x5c=one.standard()), 50027),
            ("no algorithm", one.assertion(em, alg="none"), 700027),
        ), em)
        days = 40 * 86400
        em.advance_clock(days)
        demand((("a certificate that has expired", one.assertion(em), 700027),), em)
        em.advance_clock(-days)


def by_name(em):
    """where a subject name and an authority are registered, any certificate of both will do, if it is brought with its chain"""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        root, stranger = Certified(folder, "root"), Certified(folder, "root")
        middle = Certified(folder, "middle", root, extensions="basicConstraints=critical,CA:TRUE")
        leaf, renewed = Certified(folder, "client.example", root), Certified(folder, "client.example", root)
        deep, short = Certified(folder, "client.example", middle), Certified(folder, "client.example", root, days=1)
        below = Certified(folder, "client.example", leaf)
        alternative = Certified(folder, "whoever", root, extensions="subjectAltName=DNS:client.example")
        other, selfish, foreign = Certified(folder, "client.example.evil", root), Certified(folder, "client.example"), Certified(folder, "client.example", stranger)
        register(em, subject_name="client.example", authority=root.pem())

        def brings(one, *chain, **header):
            return one.assertion(em, x5c=[one.standard(), *(more.standard() for more in chain)], **header)

        demand((
            ("one of the authority", brings(leaf), 0),
            ("a renewed one", brings(renewed, root), 0),
            ("through another authority", brings(deep, middle), 0),
            ("RS256 and x5t", leaf.assertion(em, "RS256", x5t=url64(hashlib.sha1(leaf.der).digest()), x5c=[leaf.standard()], **{"x5t#S256": None}), 0),
            ("by an alternative name", brings(alternative), 0),
            ("without x5c", leaf.assertion(em), 700027),
            ("a thumbprint of another", brings(leaf, **{"x5t#S256": url64(hashlib.sha256(renewed.der).digest())}), 700027),
            ("signed by another key", renewed.assertion(em, x5c=[leaf.standard()], **{"x5t#S256": url64(hashlib.sha256(leaf.der).digest())}), 700027),
            ("another name", brings(other), 700030),
            ("self-signed", brings(selfish), 7000213),
            ("of another authority of the same name", brings(foreign, stranger), 7000213),
            ("the chain is not whole", brings(deep), 7000213),
            ("issued by who is no authority", brings(below, leaf), 7000213),
            ("the authority itself", brings(root), 7000213),
        ), em)
        em.advance_clock(2 * 86400)
        demand((("one that has expired", brings(short), 7000213), ("one that has not", brings(leaf), 0)), em)
        em.advance_clock(-2 * 86400)


CHECKS = (by_thumbprint, by_name)
