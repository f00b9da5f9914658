"""The vault, its network and its credentials."""
import time

from kvtest import private_file


def unreachable(world):
    """vault unreachable: host and cause in the error, within the deadline; what the map knows stays; works again afterwards"""
    world.vault.stop()
    started = time.monotonic()
    world.module_refuses("vault 'prod'", "backup-kek", world.version, "connect")
    world.refuses(69, ["vault 'prod'", "backup-kek"], "rotate", "backup-kek", config=world.operator)
    assert time.monotonic() - started < 30, "took longer than the deadlines allow"
    assert world.version in world.runs("keys", "backup-kek"), "the map forgot the version"
    world.vault.start(ports=False)
    world.signs()


def looking_needs_no_vault(world):
    """vault unreachable: listing keys and the map need no vault"""
    world.vault.stop()
    assert world.version in world.runs("keys", "backup-kek")
    world.runs("map", "verify")
    world.runs("config", "check")


def tls(world):
    """TLS not trusted: the error names the host and ca_file"""
    path = world.vault.configure("tls.conf", ca_file=None)
    world.module_refuses("vault 'prod'", "backup-kek", "ca_file", config=path)
    world.refuses(69, ["vault 'prod'", "ca_file"], "rotate", "backup-kek", config=path)


def wrong_tenant(world):
    """wrong tenant: the error names both tenants or the setting"""
    path = world.vault.configure("tenant.conf", tenant="99999999-0000-0000-0000-000000000000")
    world.module_refuses("tenant", config=path)
    world.refuses(77, ["tenant"], "rotate", "backup-kek", config=path)


def wrong_secret(world):
    """wrong secret: the error names the identity and never the secret"""
    wrong = private_file(world.vault.dir / "stranger.secret", "a-planted-secret\n")
    path = world.vault.configure("secret.conf", client_id="workload", client_secret_file=wrong)
    world.module_refuses("workload", "secret", config=path)
    message = world.refuses(77, ["workload", "secret"], "rotate", "backup-kek", config=path)
    assert "a-planted-secret" not in message + world.vault.log()


def no_permission_to_rotate(world):
    """no permission to rotate: key, action and identity in the error, nothing created"""
    world.refuses(77, ["backup-kek", "rotate"], "rotate", "backup-kek")
    assert list(world.versions()) == [world.version]


def one_forbidden_key(world):
    """no permission for one key: the others are listed and work"""
    world.vault.create("payroll", kty="RSA", key_size=2048)
    world.vault.control("POST", "/identities", {"id": "workload", "secret": "workload-secret", "perms": "get,list,sign,verify,encrypt,decrypt,wrap,unwrap,-get@payroll,-sign@payroll"})
    done = world.vault.kvp11("keys", "--refresh")
    assert done.returncode == 0 and b"backup-kek" in done.stdout, done
    assert b"payroll" in done.stderr or "payroll" in world.vault.log(), "nothing tells that 'payroll' was left out"
    world.signs()
    assert world.sign(label="payroll").returncode != 0, "the forbidden key signed"


def no_list(world):
    """no list permission: named keys work"""
    world.vault.control("POST", "/identities", {"id": "workload", "secret": "workload-secret", "perms": "get,sign,verify,encrypt,decrypt,wrap,unwrap"})
    world.signs(config=world.vault.configure("nolist.conf", map=world.vault.dir / "nolist.db", keys="backup-kek"))


def deleted(world):
    """key deleted: the error says so, the map keeps the version, recovery mends it"""
    world.vault.control("POST", "/vaults/prod/keys/backup-kek/delete")
    world.module_refuses("backup-kek", "recover|deleted")
    rows = world.versions()
    assert rows[world.version]["state"] == "deleted", rows
    world.vault.control("POST", "/vaults/prod/keys/backup-kek/recover")
    assert world.versions()[world.version]["state"] == "enabled"
    world.signs()


def disabled(world):
    """version disabled: version, cause and remedy in the error; enabling mends it"""
    world.vault.control("PATCH", f"/vaults/prod/keys/backup-kek/{world.version}", {"enabled": False})
    world.module_refuses(world.version, "disabled", "enable")
    assert world.versions()[world.version]["state"] == "disabled"
    world.vault.control("PATCH", f"/vaults/prod/keys/backup-kek/{world.version}", {"enabled": True})
    assert world.versions()[world.version]["state"] == "enabled"
    world.signs()


def offline(world):
    """vault unreachable, a cold start, a map that is old: encryption and verification go on, told once; signing fails at the deadline"""
    vault = world.vault
    config = vault.configure("offline.conf", refresh_seconds=0, timeout=4, log_level="info")
    for name in ("spare", "other"):
        vault.create(name, kty="RSA", key_size=2048)
        world.signs(label=name, config=config)
    vault.stop()
    before = vault.log_size()
    (vault.dir / "secret").write_bytes(b"a secret")
    started = time.monotonic()
    done = vault.run(["openssl", "pkeyutl", "-engine", "pkcs11", "-keyform", "engine", "-pubin", "-inkey", "pkcs11:token=prod;object=backup-kek;type=public",
                      "-encrypt", "-pkeyopt", "rsa_padding_mode:oaep", "-in", "secret", "-out", "sealed"],
                     config=config, env={"OPENSSL_CONF": vault.dir / "engine.cnf"})
    assert done.returncode == 0, done.stderr.decode()
    assert time.monotonic() - started < 8, "one refresh may take no longer than its deadline"
    told = [line for line in vault.logged(before).splitlines() if "out of reach" in line]
    assert len(told) == 1 and "connect" in told[0], told
    before = vault.log_size()
    listed = world.runs("keys", config=config)
    assert all(name in listed for name in ("backup-kek", "spare", "other"))
    told = [line for line in vault.logged(before).splitlines() if "out of reach" in line or "left out" in line]
    assert len(told) <= 1, told
    started = time.monotonic()
    world.module_refuses("backup-kek", "connect", config=config)
    assert time.monotonic() - started < 12
    vault.start(ports=False)
    done = vault.run(["openssl", "pkeyutl", "-engine", "pkcs11", "-keyform", "engine", "-inkey", "pkcs11:token=prod;object=backup-kek;type=private",
                      "-decrypt", "-pkeyopt", "rsa_padding_mode:oaep", "-in", "sealed"],
                     config=config, env={"OPENSSL_CONF": vault.dir / "engine.cnf"})
    assert done.stdout == b"a secret", done


def read_only(world):
    """vault read-only during a fail-over: changes are refused as such, not as a missing permission; reading and signing go on"""
    world.vault.control("POST", "/settings", {"readonly": True})
    message = world.refuses(73, ["backup-kek", "takes no changes now", "repeat"], "rotate", "backup-kek", config=world.operator)
    assert "permission" not in message, message
    world.refuses(73, ["takes no changes now"], "create", "fresh", config=world.operator)
    world.signs()
    assert list(world.versions()) == [world.version]
    other = world.vault.configure("other.conf", identity="operator", read_only_errors="*frozen*")
    world.refuses(77, ["backup-kek"], "rotate", "backup-kek", config=other)
    world.vault.control("POST", "/settings", {"readonly": False})
    world.runs("rotate", "backup-kek", config=world.operator)


SCENARIOS = (unreachable, looking_needs_no_vault, tls, wrong_tenant, wrong_secret, no_permission_to_rotate, one_forbidden_key, no_list, deleted, disabled, offline, read_only)
