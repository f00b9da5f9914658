"""10,000 wrapped keys over 100 versions: wrapped by one process of the module, opened by another one, and the emulator says how many requests that were."""
import collections
import json

BLOBS, VERSIONS = 10_000, 100


def rows(vault, figures, blobs=BLOBS, versions=VERSIONS):
    bench = vault.build / "tests/bench/kvp11-bench"
    made = [vault.create("restore", kty="RSA", key_size=2048)] + [vault.rotate("restore") for _ in range(versions - 1)]
    config = vault.configure("restore.conf", map=vault.dir / "restore.db", audit=None, log_level=None, rate_limit=1000000, keys="restore")
    listed = vault.kvp11("--json", "keys", "restore", "--refresh", config=config)
    if listed.returncode or len(json.loads(listed.stdout)) != versions:
        raise SystemExit(f"kvp11 keys: exit {listed.returncode}: {listed.stderr.decode()}")

    def run(what, count):
        vault.requests()
        done = vault.run([bench, "--module", vault.module, "--token", "prod", "--key", "restore", "--blobs", vault.dir / "blobs", "--count", count, what], config=config, timeout=600)
        if done.returncode:
            raise SystemExit(f"bench {what}: {done.stderr.decode()}")
        return json.loads(done.stdout), [r for r in vault.requests() if r["kind"] == "vault"]

    wrapped, sent = run("wrap", blobs)
    if sent:
        raise SystemExit(f"wrapping with public keys sent {len(sent)} requests")
    opened, sent = run("restore", 1)
    asked = collections.Counter((r["method"], r["path"].split("?")[0].rsplit("/", 1)[0]) for r in sent)
    each = all(asked[("POST", f"/keys/restore/{version}")] == blobs // versions for version in made)
    good = each and len(sent) == blobs and all(r["status"] == 200 for r in sent) and (opened["opened"], opened["wrong"]) == (blobs, 0)
    figures["restore"] = {**opened, "requests": len(sent), "wrapping_seconds": wrapped["seconds"]}
    yield f"(j) requests for {blobs:,} keys of {versions} versions", f"{opened['seconds']:.1f} s, wrapped in {wrapped['seconds']:.1f} s", len(sent), good
