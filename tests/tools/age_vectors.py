"""The official vectors of the age format (C2SP's CCTV), as npm has them; fetched once into the build directory, never kept here."""
import hashlib
import json
import subprocess
import zlib

from kvtest import build_dir, not_run

RELEASE = "0.2.0"
LEAST = 85  # vectors of X25519 files, in that release


def vectors(folder):
    """name → (fields, identities, file); None when the package cannot be had."""
    folder.mkdir(parents=True, exist_ok=True)
    package = folder / "node_modules/cctv-age/index.js"
    if not package.exists():
        done = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", folder, f"cctv-age@{RELEASE}"],
                              capture_output=True, stdin=subprocess.DEVNULL, timeout=300)
        if done.returncode:
            print(f"# npm: exit {done.returncode}: {done.stderr.decode()[-300:]}")
            return None
    script = (f"import * as all from '{package}'; const found = {{}};"
              "const take = (names) => { for (const [name, value] of Object.entries(names)) if (value instanceof Uint8Array)"
              " found[name] = Buffer.from(value).toString('hex'); else if (value && typeof value == 'object') take(value); };"
              "take(all); console.log(JSON.stringify(found));")
    done = subprocess.run(["node", "--input-type=module", "-e", script], capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    found = {}
    for name, text in json.loads(done.stdout).items():
        head, _, file = bytes.fromhex(text).partition(b"\n\n")
        lines = [line.split(": ", 1) for line in head.decode().splitlines()]
        fields = dict(lines)
        file = zlib.decompress(file) if fields.get("compressed") == "zlib" else file
        found[name] = (fields, [value for key, value in lines if key == "identity"], file)
    return found


def is_ours(fields, identities):
    """What is not offered: passphrases, post-quantum keys."""
    return "passphrase" not in fields and identities and not any("-PQ-" in one for one in identities)


def holds_the_vectors(tool):
    """the official vectors: what shall open opens to the bytes that it shall, everything else fails, and releases nothing but a true beginning"""
    found = vectors(build_dir() / "peers" / "cctv-age")
    if found is None:
        return not_run("the official vectors: cctv-age cannot be had from npm")
    codes = {"success": {0}, "no match": {66}, "header failure": {65}, "HMAC failure": {65}, "payload failure": {65}, "armor failure": {65}}
    seen = 0
    for name, (fields, identities, file) in found.items():
        if not is_ours(fields, identities):
            continue
        path = tool.vault.dir / "vector.id"
        path.touch(mode=0o600)
        path.write_text("\n".join(identities) + "\n")
        done = tool.run("open", "-i", path, input=file)
        expect = fields["expect"]
        assert done.returncode in codes[expect], f"{name}: {expect}: exit {done.returncode}: {done.stderr.decode()}"
        if expect == "success":
            assert hashlib.sha256(done.stdout).hexdigest() == fields["payload"], name
        elif expect != "payload failure":
            assert done.stdout == b"", name
        assert len(done.stdout) % 65536 == 0 or expect == "success", name
        seen += 1
    assert seen >= LEAST, f"only {seen} vectors"


SCENARIOS = (holds_the_vectors,)
