"""p11-kit: its list of modules, the module behind `p11-kit server` and behind its proxy."""
import os
import re
import subprocess
import time

from recipes import literal
from tokens import PROGRAMS

NOBODY = "65534"


def configured(token, command, **options):
    """Runs a program for which p11-kit knows the token's module, and no other, by a .module file."""
    home = token.dir / "home"
    modules = home / ".config/pkcs11/modules"
    modules.mkdir(parents=True, exist_ok=True)
    (home / ".config/pkcs11/pkcs11.conf").write_text("user-config: only\n")
    (modules / "scenario.module").write_text(f"module: {token.module}\n" + reserved(token))
    if os.geteuid() == 0:  # p11-kit reads no user configuration for root
        hand_over(token)
        command = ["setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", *command]
    return token.run(command, env={"HOME": home, "XDG_CONFIG_HOME": home / ".config"}, **options)


def list_modules(token):
    """p11-kit list-modules shows the token of a module that a .module file names"""
    out = token.must(configured(token, ["p11-kit", "list-modules"])).decode()
    assert re.search(rf"token: {token.label}\b", out), out


def proxy(token):
    """pkcs11-tool signs through p11-kit's proxy module, and can fork there"""
    token.file("data", b"through a proxy\n")
    login = ["--login", "--pin", token.pin] if token.pin else []
    tool = ["pkcs11-tool", "--module", PROGRAMS["p11-kit's proxy module"], "--token-label", token.label]
    token.file("signature", b"")
    token.must(configured(token, [*tool, *login, "--sign", "-m", "SHA256-RSA-PKCS", "--id", token.rsa_id, "-i", "data", "-o", "signature"]))
    token.must(token.run(["openssl", "dgst", "-sha256", "-verify", token.public_pem("rsa"), "-signature", "signature", "data"]))
    out = token.must(configured(token, ["pkcs11-tool", "--module", PROGRAMS["p11-kit's proxy module"], "--test-fork"]))
    assert b"Calling C_Initialize in forked child process" in out, out


def reserved(token):
    """What p11-kit hands to C_Initialize: the module must take its configuration from there."""
    return f"x-init-reserved: config={token.vault.config}\n" if token.name == "kvp11" else ""


def hand_over(token):
    """Gives the scratch world to an unprivileged user for its scenarios; its files stay readable for root."""
    top = token.vault.dir if token.name == "kvp11" else token.dir
    for path in [top, *top.rglob("*")]:
        os.chown(path, int(NOBODY), int(NOBODY), follow_symlinks=False)


def server(token):
    """pkcs11-tool signs through p11-kit server and its client module"""
    socket = token.dir / "p11.sock"
    process = subprocess.Popen(["p11-kit", "server", "-f", "--provider", token.module, "-n", socket, f"pkcs11:token={token.label}"],
                               env=token.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(socket, process)
        token.file("data", b"through a socket\n")
        login = ["--login", "--pin", token.pin] if token.pin else []
        token.must(token.run(["pkcs11-tool", "--module", PROGRAMS["p11-kit's client module"], "--token-label", token.label, *login, "--sign", "-m", "SHA256-RSA-PKCS",
                              "--id", token.rsa_id, "-i", "data", "-o", "signature"], env={"P11_KIT_SERVER_ADDRESS": f"unix:path={socket}"}))
        token.must(token.run(["openssl", "dgst", "-sha256", "-verify", token.public_pem("rsa"), "-signature", "signature", "data"]))
    finally:
        process.terminate()
        process.wait()


def as_root_knows_it(token, script, modules, **options):
    """Runs shell lines in a mount namespace where p11-kit's own folder of modules is this one: root is given no other."""
    unshare = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    return token.run([*unshare, "sh", "-ec", f"mount --bind '{modules}' /usr/share/p11-kit/modules\n{script}"], **options)


def luks_lines(image, pin=""):
    """The page's lines on a file: what makes the URI, what enrols it, and what unlocks by it."""
    uri, enrol, unlock = literal("LUKS by systemd-cryptenroll").replace("/dev/sdb1", image).splitlines()
    enrol = enrol.replace("systemd-cryptenroll", f"PIN={pin} systemd-cryptenroll --unlock-key-file=passphrase", 1)
    return uri, enrol, unlock.replace("cryptsetup open", f"printf '%s' '{pin}' | cryptsetup open --test-passphrase -v")


def luks_form(token, image):
    """What makes an empty header."""
    token.file("passphrase", b"until the token is enrolled")
    return f"truncate -s 32M {image}\ncryptsetup luksFormat -q --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 {image} passphrase"


def luks(token):
    """kvp11-recipes(7), LUKS by systemd-cryptenroll: the lines enrol a header for a certificate's key and open it by the token, without a PIN where that has none; not without rsa1_5"""
    modules, pin = token.dir / "modules", token.pin or ""
    modules.mkdir()
    settings = f"x-init-reserved: config={token.vault.configure('luks.conf', ['rsa1_5 = yes'])}\n" if token.name == "kvp11" else ""
    (modules / "scenario.module").write_text(f"module: {token.module}\n{settings}")
    _, enrol, unlock = luks_lines("l.img", pin)
    token.must(as_root_knows_it(token, f"{luks_form(token, 'l.img')}\nuri='pkcs11:token={token.label};object=web'\n{enrol}", modules))
    out = token.must(as_root_knows_it(token, unlock, modules)).decode()
    assert "Key slot 1 unlocked" in out, out
    if token.pin is None:
        (modules / "scenario.module").write_text(f"module: {token.module}\n{reserved(token)}")
        assert as_root_knows_it(token, unlock, modules).returncode, "it opened without rsa1_5"
    token.file("l.img").unlink()


def wait_for(path, process):
    until = time.monotonic() + 20
    while not path.exists():
        assert process.poll() is None and time.monotonic() < until, "p11-kit server did not start"
        time.sleep(0.02)


SCENARIOS = (luks, server, list_modules, proxy)
