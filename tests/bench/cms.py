"""Envelopes: how fast `kvp11 cms open` is beside `openssl cms -decrypt`, and what memory it takes for one that openssl wrote and cannot read."""
import os
import shutil
import subprocess
import sys
import time

OAEP = ["-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256", "-keyopt", "rsa_mgf1_md:sha256"]
MIB = 1 << 20
STREAM = "openssl enc -aes-256-ctr -K {0:064x} -iv {0:032x} -in /dev/zero 2>/dev/null | head -c {1}"  # the same bytes each time, and not compressible


def certificates(vault):
    """Of the key in the vault, by the module, and of a key in a file, for openssl."""
    config = vault.configure("self.conf", ["self_signed = yes"])
    run(vault, ["pkcs11-tool", "--module", vault.module, "--read-object", "--type", "cert", "--label", "bench", "-o", "vault.der"], config=config)
    run(vault, ["openssl", "x509", "-inform", "DER", "-in", "vault.der", "-out", "vault.pem"])
    run(vault, ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "file.key", "-out", "file.pem", "-subj", "/CN=file", "-days", "2"])


def run(vault, command, **options):
    done = vault.run(command, **options)
    if done.returncode:
        sys.exit(f"{command}: {done.stderr.decode()}")


def seal(vault, size):
    recipients = " ".join(f"-recip {pem} {' '.join(OAEP)}" for pem in ("vault.pem", "file.pem"))
    run(vault, ["sh", "-c", f"{STREAM.format(7, size)} | openssl cms -encrypt -binary -stream -outform DER -aes-256-gcm -keyid {recipients} -out sealed.cms"],
        timeout=1800)


def timed(vault, command, stdout):
    """(seconds, the most memory that it had, KiB)"""
    started = time.monotonic()
    process = subprocess.Popen([str(word) for word in command], cwd=vault.dir, env=vault.environment(), stdin=subprocess.DEVNULL, stdout=stdout)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{command}: exit {process.returncode}")
    return time.monotonic() - started, usage.ru_maxrss


def speed(vault, mib=512, rounds=3):
    seal(vault, mib * MIB)
    ours, theirs = [], []
    with open(os.devnull, "wb") as nowhere:
        for _ in range(rounds):
            ours.append(timed(vault, [vault.tool, "cms", "open", "sealed.cms"], nowhere)[0])
            theirs.append(timed(vault, ["openssl", "cms", "-decrypt", "-binary", "-inform", "DER", "-in", "sealed.cms", "-inkey", "file.key", "-recip", "file.pem",
                                        "-out", os.devnull], nowhere)[0])
    ours, theirs = sorted(ours)[rounds // 2], sorted(theirs)[rounds // 2]
    return {"ours_mib_per_second": mib / ours, "openssl_mib_per_second": mib / theirs, "ratio": round(theirs / ours, 2)}


def memory(vault, gib=5):
    """What comes out is compared, byte for byte."""
    size = gib << 30
    seal(vault, size)
    compare = subprocess.Popen(["bash", "-c", f"cmp - <({STREAM.format(7, size)})"], stdin=subprocess.PIPE, cwd=vault.dir)
    seconds, resident = timed(vault, [vault.tool, "cms", "open", "sealed.cms"], compare.stdin)
    compare.stdin.close()
    if compare.wait():
        sys.exit("kvp11 cms open gave other bytes than were sealed")
    (vault.dir / "sealed.cms").unlink()
    return {"gib": gib, "seconds": round(seconds, 1), "resident_mib": round(resident / 1024, 1)}


def rows(vault, figures):
    certificates(vault)
    figures["cms_open"] = got = speed(vault)
    yield ("(h) cms open, 512 MiB, ÷ openssl cms -decrypt", f"{got['ours_mib_per_second']:.0f} ÷ {got['openssl_mib_per_second']:.0f} MiB/s", got["ratio"], got["ratio"] >= 10)
    room = shutil.disk_usage(vault.dir).free >> 30
    gib = 5 if room >= 12 else max(1, room // 3)
    figures["cms_open_memory"] = got = memory(vault, gib)
    yield (f"(h) cms open, {gib} GiB", f"MiB resident, {got['seconds']} s", got["resident_mib"], got["resident_mib"] < 64 and gib == 5)
