"""The credentials of an application, each against the emulator's directory, and what is said when one does not work."""
import base64
import json
import os
import pathlib
import subprocess
import time

from kvtest import private_file
from peers import openssl

SOFTHSM = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so", "/usr/lib64/libsofthsm2.so")
PERMS = "get,list,encrypt,decrypt,sign,verify,wrap,unwrap"


def command(*words, **options):
    done = subprocess.run([str(w) for w in words], capture_output=True, timeout=60, **options)
    assert done.returncode == 0, f"{words[0]}: {done.stderr.decode()}"
    return done.stdout


def certify(world, name="client", days="30"):
    """A key and its certificate, in files of their own, and the certificate at the identity `workload`."""
    key, certificate = world.vault.dir / f"{name}.key", world.vault.dir / f"{name}.crt"
    openssl("req", "-x509", "-newkey", "rsa:2048", "-noenc", "-keyout", key, "-out", certificate, "-days", days, "-subj", f"/CN={name}")
    key.chmod(0o600)
    register(world, certificate)
    return key, certificate


def register(world, certificate):
    world.vault.control("POST", "/identities", {"id": "workload", "secret": "", "perms": PERMS, "certificate": pathlib.Path(certificate).read_text()})


def together(world, key, certificate):
    return private_file(world.vault.dir / "client.pem", certificate.read_text() + key.read_text())


def configure(world, credential="client-certificate", **settings):
    """A fresh map, so that nothing is known and every run asks."""
    number = len(list(world.vault.dir.glob("c*.conf")))
    return world.vault.configure(f"c{number}.conf", map=world.vault.dir / f"c{number}.db", credential=credential,
                                 **{"client_secret_file": None, **settings})


def asked(world, **options):
    """A signature; returns the requests that it took, as (kind, method, status, bearer)."""
    world.vault.requests()
    world.signs(**options)
    return [(r["kind"], r["method"], r["status"], r["bearer"]) for r in world.vault.requests()]


def one_token(requests):
    tokens = [r for r in requests if r[0] == "token"]
    assert tokens == [("token", "POST", 200, False)], requests


def pem(world):
    """client-certificate, PEM with its key: PS256, RS256 and with its chain; one token request each"""
    path = together(world, *certify(world))
    one_token(asked(world, config=configure(world, client_certificate=path)))
    one_token(asked(world, config=configure(world, client_certificate=path, assertion_algorithm="rs256")))
    one_token(asked(world, config=configure(world, client_certificate=path, send_certificate_chain="yes")))


def by_name(world):
    """client-certificate, known by its name and authority: a renewed one needs no registration, but brings its chain; without it, of another name or authority it is told"""
    folder = world.vault.dir
    for authority in ("root", "stranger"):
        openssl("req", "-x509", "-newkey", "rsa:2048", "-noenc", "-keyout", folder / f"{authority}.key", "-out", folder / f"{authority}.crt", "-subj", f"/CN={authority}")
    world.vault.control("POST", "/identities", {"id": "workload", "secret": "", "perms": PERMS, "subject_name": "client.example",
                                                "authority": (folder / "root.crt").read_text()})

    def issue(name, authority="root"):
        stem = folder / f"{name}-{authority}-{len(list(folder.glob('*.csr')))}"
        openssl("req", "-newkey", "rsa:2048", "-noenc", "-keyout", f"{stem}.key", "-out", f"{stem}.csr", "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", f"{stem}.csr", "-CA", folder / f"{authority}.crt", "-CAkey", folder / f"{authority}.key", "-CAcreateserial",
                "-days", "30", "-out", f"{stem}.crt")
        parts = [pathlib.Path(f"{stem}.crt"), folder / f"{authority}.crt", pathlib.Path(f"{stem}.key")]
        return private_file(folder / f"{stem}.pem", "".join(part.read_text() for part in parts))

    first = issue("client.example")
    for path in (first, issue("client.example")):
        one_token(asked(world, config=configure(world, client_certificate=path, send_certificate_chain="yes")))
    one_token(asked(world, config=configure(world, client_certificate=first, send_certificate_chain="yes", assertion_algorithm="rs256")))

    def refuses(words, path, chain="yes"):
        world.refuses(77, words, "keys", "--refresh", config=configure(world, client_certificate=path, send_certificate_chain=chain))

    refuses(["AADSTS700027"], first, "no")
    refuses(["AADSTS700030", "subject"], issue("other.example"))
    refuses(["AADSTS7000213", "authority"], issue("client.example", "stranger"))


def key_apart(world):
    """client-certificate, certificate for all to read and an encrypted key apart: its password from a file; a wrong one is told"""
    key, certificate = certify(world)
    locked = world.vault.dir / "locked.key"
    openssl("rsa", "-in", key, "-aes256", "-passout", "pass:planted-word", "-out", locked)
    locked.chmod(0o600)
    right, wrong = private_file(world.vault.dir / "right", "planted-word\n"), private_file(world.vault.dir / "wrong", "planted-error\n")
    settings = {"client_certificate": certificate, "client_key": locked}
    one_token(asked(world, config=configure(world, client_certificate_password_file=right, **settings)))
    world.refuses(77, ["locked.key", "password"], "keys", "--refresh", config=configure(world, client_certificate_password_file=wrong, **settings))
    message = world.refuses(77, ["locked.key", "client_certificate_password_file"], "keys", "--refresh", config=configure(world, **settings))
    assert "planted" not in message + world.vault.log()


def pkcs12(world):
    """client-certificate, PKCS#12: its password from the environment; a wrong one and a file open to others are told"""
    key, certificate = certify(world)
    path = world.vault.dir / "client.p12"
    openssl("pkcs12", "-export", "-inkey", key, "-in", certificate, "-passout", "pass:planted-word", "-out", path)
    path.chmod(0o600)
    done = world.vault.kvp11("keys", "--refresh", config=configure(world, client_certificate=path), env={"AZURE_CLIENT_CERTIFICATE_PASSWORD": "planted-word"})
    assert done.returncode == 0 and b"backup-kek" in done.stdout, done
    message = world.refuses(77, ["client.p12", "password"], "keys", "--refresh", config=configure(world, client_certificate=path), env={"AZURE_CLIENT_CERTIFICATE_PASSWORD": "planted-error"})
    assert "planted" not in message
    path.chmod(0o644)
    world.refuses(77, ["client.p12", "chmod"], "keys", "--refresh", config=configure(world, client_certificate=path), env={"AZURE_CLIENT_CERTIFICATE_PASSWORD": "planted-word"})


def pkcs12_pin(world):
    """client-certificate, `pin = pkcs12-password`: the PIN opens the file, a wrong one is CKR_PIN_INCORRECT and asks nobody; an open file proves no PIN"""
    key, certificate = certify(world)
    path = world.vault.dir / "client.p12"
    openssl("pkcs12", "-export", "-inkey", key, "-in", certificate, "-passout", "pass:planted-word", "-out", path)
    path.chmod(0o600)

    def log_in(pin, file):
        world.vault.requests()
        done = world.vault.run(["pkcs11-tool", "--module", world.vault.module, "--token-label", "prod", "--login", "--pin", pin, "--list-objects", "--type", "privkey"],
                               config=configure(world, client_certificate=file, pin="pkcs12-password"))
        return done, [r["status"] for r in world.vault.requests() if r["kind"] == "token"]

    done, tokens = log_in("planted-word", path)
    assert done.returncode == 0 and b"backup-kek" in done.stdout and tokens == [200], (done, tokens)
    done, tokens = log_in("planted-error", path)
    assert b"CKR_PIN_INCORRECT" in done.stderr and not tokens, (done, tokens)
    done, tokens = log_in("planted-word", together(world, key, certificate))
    assert done.returncode != 0 and b"CKR_PIN_INCORRECT" not in done.stderr and not tokens, (done, tokens)
    log = world.vault.log()
    assert "any PIN would be right" in log and "planted" not in log, log


def other_key(world):
    """client-certificate: a key that is not the certificate's, and a certificate that the directory does not know, are told apart"""
    _, certificate = certify(world)
    stranger = certify(world, "stranger")
    register(world, certificate)
    world.refuses(77, ["client.crt", "private key is not that"], "keys", "--refresh", config=configure(world, client_certificate=certificate, client_key=stranger[0]))
    world.refuses(77, ["workload", "700027", "add `client_certificate`"], "keys", "--refresh", config=configure(world, client_certificate=together(world, *stranger)))


def softhsm(world):
    """client-certificate, key in SoftHSM by a URI: PS256 and RS256; a wrong PIN, a missing key and our own module are told"""
    module = next(p for p in SOFTHSM if os.path.exists(p))
    key, certificate = certify(world)
    (world.vault.dir / "tokens").mkdir()
    settings = world.vault.dir / "softhsm2.conf"
    settings.write_text(f"directories.tokendir = {world.vault.dir}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n")
    env = {**os.environ, "SOFTHSM2_CONF": str(settings)}
    command("softhsm2-util", "--init-token", "--free", "--label", "other", "--pin", "12345678", "--so-pin", "12345678", env=env)
    command("softhsm2-util", "--import", key, "--token", "other", "--label", "client", "--id", "0a0b", "--pin", "12345678", env=env)
    key.unlink()
    pin, wrong = private_file(world.vault.dir / "pin", "12345678\n"), private_file(world.vault.dir / "wrong", "87654321\n")
    own = {"SOFTHSM2_CONF": settings}

    def lists(**more):
        config = configure(world, client_certificate=certificate, client_key_module=module, **more)
        world.vault.requests()
        done = world.vault.kvp11("keys", "--refresh", config=config, env=own)
        assert done.returncode == 0 and b"backup-kek" in done.stdout, done
        one_token([(r["kind"], r["method"], r["status"], r["bearer"]) for r in world.vault.requests()])

    lists(client_key="pkcs11:token=other;object=client;type=private", client_key_pin_file=pin)
    lists(client_key=f"pkcs11:token=other;id=%0a%0b?pin-source=file:{pin}", assertion_algorithm="rs256")

    def refuses(words, **more):
        config = configure(world, client_certificate=certificate, **{"client_key_module": module, **more})
        world.refuses(77, words, "keys", "--refresh", config=config, env=own)

    uri = "pkcs11:token=other;object=client"
    refuses(["C_Login", "PIN is wrong"], client_key=uri, client_key_pin_file=wrong)
    refuses(["no private key", "PIN"], client_key=uri)
    refuses(["no token"], client_key="pkcs11:token=none;object=client", client_key_pin_file=pin)
    refuses(["leads back here"], client_key=uri, client_key_module=world.vault.module)
    refuses(["pin-value"], client_key=uri + "?pin-value=12345678")


def environment(world):
    """environment: AZURE_* alone; a secret goes before a certificate"""
    path = together(world, *certify(world))
    settings = {"credential": "environment", "client_id": None, "tenant": None, "authority": None}
    env = {"AZURE_CLIENT_ID": "workload", "AZURE_TENANT_ID": world.vault.ready["tenant"], "AZURE_AUTHORITY_HOST": world.vault.ready["authority"],
           "AZURE_CLIENT_CERTIFICATE_PATH": path}
    done = world.vault.kvp11("keys", "--refresh", config=configure(world, **settings), env=env)
    assert done.returncode == 0 and b"backup-kek" in done.stdout, done
    world.refuses(77, ["7000215"], "keys", "--refresh", config=configure(world, **settings), env={**env, "AZURE_CLIENT_SECRET": "planted-error"})
    world.refuses(77, ["AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH"], "keys", "--refresh", config=configure(world, **settings), env={k: v for k, v in env.items() if k != "AZURE_CLIENT_CERTIFICATE_PATH"})


def workload_identity(world):
    """workload-identity: the token is read at each request, through a link; another subject, an old token and an empty file are told"""
    folder = world.vault.dir
    openssl("genrsa", "-out", folder / "issuer.key", "2048")
    public = openssl("rsa", "-in", folder / "issuer.key", "-pubout").decode()
    record = {"issuer": "https://issuer.example", "subject": "system:serviceaccount:a:b", "audience": "api://AzureADTokenExchange", "key": public}
    world.vault.control("POST", "/identities", {"id": "workload", "secret": "", "perms": PERMS, "federated": record})

    def put(name, lifetime=600, **claims):
        body = {"iss": record["issuer"], "sub": record["subject"], "aud": record["audience"], "exp": int(time.time()) + lifetime, **claims}
        text = encode(json.dumps({"alg": "RS256", "typ": "JWT"}).encode()) + "." + encode(json.dumps(body).encode())
        signed = openssl("dgst", "-sha256", "-sign", folder / "issuer.key", input=text.encode())
        (folder / name).write_text(f"{text}.{encode(signed)}\n")
        (folder / name).chmod(0o644)
        (folder / "fresh").symlink_to(folder / name)
        (folder / "fresh").rename(folder / "token")

    def refuses(words):
        world.refuses(77, words, "keys", "--refresh", config=configure(world, "workload-identity", federated_token_file=folder / "token"))

    put("one")
    one_token(asked(world, config=configure(world, "workload-identity", federated_token_file=folder / "token")))
    put("two", sub="somebody else")
    refuses(["700213", "subject"])
    put("three", lifetime=-60)
    refuses(["token", "expired"])
    (folder / "three").write_text("")
    refuses(["token", "does not hold"])
    put("four")
    one_token(asked(world, config=configure(world, "workload-identity", federated_token_file=folder / "token")))


def claims_challenge(world):
    """a claims challenge: one more token, with the claims and cp1, and the request once more; without `continuous_access` the claims alone"""
    demanded = {"access_token": {"nbf": {"essential": True, "value": "1726077595"}}}
    world.vault.control("POST", "/faults", {"kind": "insufficient_claims", "path": "/sign", "claims": demanded})
    world.vault.requests()
    world.signs(config=configure(world, "client-secret", **secret(world)))
    log = world.vault.requests()
    told = [(r["kind"], r["status"], json.loads(r["claims"]) if r["claims"] else None) for r in log if r["kind"] == "token" or "/sign" in r["path"]]
    capable = {"xms_cc": {"values": ["cp1"]}}
    assert told == [("token", 200, {"access_token": capable}), ("vault", 401, None),
                    ("token", 200, {"access_token": {**demanded["access_token"], **capable}}), ("vault", 200, None)], told
    world.vault.control("POST", "/faults", {"kind": "insufficient_claims", "path": "/sign", "claims": demanded})
    done = world.sign(config=configure(world, "client-secret", continuous_access="no", **secret(world)))
    assert done.returncode != 0, "the emulator took a token without cp1"
    log = [r for r in world.vault.requests() if r["kind"] == "token"]
    assert [json.loads(r["claims"]) if r["claims"] else None for r in log] == [None, demanded], log


def tenant_change(world):
    """the vault moves to another tenant: followed where none is set or it is allowed, else told with both; the requests are those needed"""
    old, new = world.vault.ready["tenant"], "22222222-3333-4444-5555-666666666666"
    free = configure(world, "client-secret", tenant=None, **secret(world))
    fixed = configure(world, "client-secret", **secret(world))
    more = configure(world, "client-secret", additionally_allowed_tenants=f"elsewhere.example, {new}", **secret(world))
    for config in (free, fixed, more):
        one_token(asked(world, config=config))
    world.vault.control("POST", "/tenant", {"tenant": new})
    for config in (free, more):
        world.vault.requests()
        world.signs(config=config)
        told = [(r["kind"], r["path"].split("/")[1], r["status"]) for r in world.vault.requests() if r["kind"] == "token" or "/sign" in r["path"]]
        assert told == [("token", old, 200), ("vault", "keys", 401), ("token", new, 200), ("vault", "keys", 200)], told
    world.module_refuses(old, new, "additionally_allowed_tenants", config=fixed)
    assert not [r for r in world.vault.requests() if r["kind"] == "token" and new in r["path"]], "a token of a tenant that was not allowed"


def tenant_gone(world):
    """the tenant that the map remembers is gone: the vault is asked once, without a token, and the answer remembered; where the vault says nothing new, that is all"""
    old, new = world.vault.ready["tenant"], "33333333-4444-5555-6666-777777777777"
    config = configure(world, "client-secret", tenant=None, **secret(world))
    one_token(asked(world, config=config))
    world.vault.control("POST", "/tenant", {"tenant": new, "gone": True})

    def told():
        return [(r["kind"], r["path"].split("/")[1], r["status"], r["bearer"]) for r in world.vault.requests()]

    world.vault.requests()
    world.signs(config=config)
    anew = [("token", old, 400, False), ("vault", "keys", 401, False), ("token", new, 200, False)]
    requests = told()
    assert requests[:3] == anew and all(r[0] == "vault" and r[2:] == (200, True) for r in requests[3:]) and len(requests) > 3, requests
    world.signs(config=config)
    requests = told()
    assert [r for r in requests if r[0] == "token"] == [("token", new, 200, False)] and all(r[3] for r in requests if r[0] == "vault"), requests
    fixed = configure(world, "client-secret", **secret(world))
    pathlib.Path(fixed).with_suffix(".db").write_bytes(pathlib.Path(config).with_suffix(".db").read_bytes())
    world.module_refuses(old, new, "additionally_allowed_tenants", config=fixed)
    assert not [r for r in told() if r[0] == "token"], "a token of a tenant that was not allowed"


def tenant_unknown(world):
    """the vault itself sends to a tenant that is not known: one greeting, one token request, and the remedy; `kvp11 login check` finds where a vault has moved"""
    config = configure(world, "client-secret", tenant=None, **secret(world))
    one_token(asked(world, config=config))
    lie = {"kind": "status", "status": 401, "host": "prod", "count": 9, "bearer": False, "body": "",
           "headers": {"WWW-Authenticate": f"Bearer authorization=\"{world.vault.ready['authority']}/{world.vault.ready['tenant']}\", resource=\"https://vault.localhost\""}}
    new = "44444444-5555-6666-7777-888888888888"
    world.vault.control("POST", "/tenant", {"tenant": new, "gone": True})
    world.vault.control("POST", "/faults", lie)
    world.vault.requests()
    world.module_refuses("AADSTS90002", "correct `tenant`", config=config)
    told = [(r["kind"], r["status"]) for r in world.vault.requests()]
    assert told == [("token", 400), ("vault", 401)], told
    world.vault.control("DELETE", "/faults")
    assert new in world.runs("login", "check", config=config)


def adfs(world):
    """Active Directory Federation Services (tenant adfs): a secret and a certificate get a token there, and a wrong secret is told"""
    world.vault.control("POST", "/tenant", {"tenant": "adfs", "gone": True})
    settings = {"tenant": "adfs", **secret(world)}
    path = together(world, *certify(world))
    one_token(asked(world, config=configure(world, client_certificate=path, tenant="adfs")))
    world.vault.control("POST", "/identities", {"id": "workload", "secret": "workload-secret", "perms": PERMS})
    world.vault.requests()
    world.signs(config=configure(world, "client-secret", **settings))
    assert [r["path"] for r in world.vault.requests() if r["kind"] == "token"] == ["/adfs/oauth2/token"]
    wrong = private_file(world.vault.dir / "wrong", "planted-error\n")
    world.refuses(77, ["7000215"], "keys", "--refresh", config=configure(world, "client-secret", tenant="adfs", client_secret_file=wrong))


def secret(world):
    return {"client_secret_file": world.vault.dir / "workload.secret"}


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


SCENARIOS = (pem, by_name, key_apart, pkcs12, pkcs12_pin, other_key, softhsm, environment, workload_identity, claims_challenge, tenant_change, tenant_gone, tenant_unknown, adfs)
