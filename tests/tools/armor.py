"""Age files in ASCII armor: written for age, read from age, as strict as the format says; and every command that looks at a file looks through the armor."""
import base64
import pathlib
import re
import subprocess
import threading

from rewrap import BESIDE, counts, key, summary
from scan import backups, findings
from seal import CHUNK, age, contents, gives, keygen

BEGIN, END = b"-----BEGIN AGE ENCRYPTED FILE-----", b"-----END AGE ENCRYPTED FILE-----"
# Around a line's 48 bytes, whose end depends on the header's length; and around chunks and what is read at once.
SIZES = (*range(0, 48, 3), 1, 2, CHUNK - 1, CHUNK, 8 * CHUNK, 8 * CHUNK + 1, 3_000_000)


def lines_of(text):
    lines = text.split(b"\n")
    assert lines[0] == BEGIN and lines[-2:] == [END, b""], text[:200]
    return lines[1:-2]


def reads_and_writes_what_age_does(tool):
    """of every length of the last line: `seal -a` writes what age opens, and `open` reads what `age -a` writes; both write the same form"""
    identity, recipient = keygen(tool, "id")
    ends = set()
    for size in SIZES:
        plain = contents(size)
        text = gives(tool, "seal", "-a" if size % 2 else "--armor", "-r", recipient, input=plain)
        lines = lines_of(text)
        assert all(len(line) == 64 for line in lines[:-1]) and 0 < len(lines[-1]) <= 64, size
        ends.add(len(lines[-1]))
        base64.b64decode(b"".join(lines), validate=True)
        assert age(tool, "-d", "-i", identity, input=text) == plain, size
        assert gives(tool, "open", "-i", identity, input=text) == plain, size
        assert gives(tool, "open", "-i", identity, input=age(tool, "-a", "-r", recipient, input=plain)) == plain, size
    assert ends == set(range(4, 65, 4)), ends
    (tool.vault.dir / "file").write_bytes(text)
    assert gives(tool, "open", "-i", identity, "file") == plain


def comes_in_pieces(tool):
    """text that trickles in, a byte at a time or cut anywhere, is read as if it came at once, and what is whole is released"""
    identity, recipient = keygen(tool, "id")
    plain = contents(3 * CHUNK)
    text = age(tool, "-a", "-r", recipient, input=plain)
    for step in (1, 7, 4097):
        head = 700 if step == 1 else len(text)
        with subprocess.Popen([tool.vault.tool, "open", "-i", identity], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=tool.vault.environment(), bufsize=0) as process:
            def feed():
                for at in range(0, head, step):
                    yield text[at:min(at + step, head)]
                yield text[head:]
            writer = threading.Thread(target=lambda: ([process.stdin.write(piece) for piece in feed()], process.stdin.close()))
            writer.start()
            out = process.stdout.read()
            writer.join()
        assert out == plain and process.returncode == 0, step


def broken(text):
    """name → a text that no reader takes."""
    lines = lines_of(text)
    body = [BEGIN, *lines, END]

    def put(at, *new, of=1):
        return b"\n".join(body[:at] + list(new) + body[at + of:]) + b"\n"

    last = len(body) - 2
    return {
        "no last line": b"\n".join(body[:-1]) + b"\n",
        "cut within a line": text[:200],
        "cut behind a line": b"\n".join(body[:3]) + b"\n",
        "something behind it": text + b"x",
        "a second file behind it": text + text,
        "too many blanks behind it": text + b" " * 1025,
        "too many blanks in front": b"\n" * 1025 + text,
        "something in front": b"x\n" + text,
        "a blank in front of the first line": b" " + text,
        "a blank behind the first line": put(0, BEGIN + b" "),
        "a blank behind the last line's dashes": put(last + 1, END + b" -"),
        "another type": text.replace(b"AGE ENCRYPTED FILE", b"AGE ENCRYPTED MESSAGE"),
        "another type at the end": put(last + 1, END.replace(b"FILE", b"BOOK")),
        "small letters": text.replace(BEGIN, BEGIN.lower()),
        "a header of PEM": put(1, b"Version: 1", b"", body[1]),
        "an empty line": put(2, b"", body[2]),
        "an empty line at the end": put(last, body[last], b""),
        "a blank line": put(2, b"    ", body[2]),
        "a short line": put(2, body[2][:60], body[2][60:] + body[3], of=2),
        "short lines of whole groups": put(2, body[2][:32], body[2][32:]),
        "a long line": put(2, body[2] + body[3][:4], body[3][4:], of=2),
        "two lines in one": put(2, body[2] + body[3], of=2),
        "a blank at a line's start": put(2, b" " + body[2]),
        "a blank at a line's end": put(2, body[2] + b" "),
        "a foreign letter": put(2, b"*" + body[2][1:]),
        "a letter of base64url": put(2, b"-" + body[2][1:]),
        "a NUL": put(2, b"\0" + body[2][1:]),
        "padding left away": put(last, body[last].rstrip(b"=")) if body[last].endswith(b"=") else put(last, body[last] + b"="),
        "padding within": put(2, body[2][:63] + b"="),
        "a checksum": put(last + 1, b"=abcd", END),
        "carriage returns alone": text.replace(b"\n", b"\r"),
    }


def is_strict(tool):
    """what is no armor by the letter is refused with 65 and its cause, and what is released is a true beginning; CR LF, blanks outside and a missing last line feed are none of it"""
    identity, recipient = keygen(tool, "id")
    plain = contents(2 * CHUNK + 30)
    text = age(tool, "-a", "-r", recipient, input=plain)
    lines = lines_of(text)
    good = {"CR LF": text.replace(b"\n", b"\r\n"), "blanks outside": b"\n \t\r\n" + text + b" \r\n\n\t", "no line feed at the end": text[:-1],
            "as many blanks as may be": b"\n" * 1024 + text + b" " * 1024}
    for name, given in good.items():
        assert gives(tool, "open", "-i", identity, input=given) == plain, name
    for name, given in broken(text).items():
        done = tool.run("open", "-i", identity, input=given)
        assert done.returncode == 65 and done.stderr.count(b"\n") == 1, f"{name}: exit {done.returncode}: {done.stderr.decode()}"
        assert plain.startswith(done.stdout) and len(done.stdout) % CHUNK == 0 and len(done.stdout) < len(plain), f"{name}: {len(done.stdout)} bytes"
    # a letter whose last bits say nothing
    size = next(size for size in range(50) if lines_of(age(tool, "-a", "-r", recipient, input=contents(size)))[-1].endswith(b"=="))
    text = age(tool, "-a", "-r", recipient, input=contents(size))
    last = lines_of(text)[-1]
    stray = last[:-3] + bytes([b"BRhx"[b"AQgw".index(last[-3:-2])]]) + b"=="
    assert base64.b64decode(stray) == base64.b64decode(last)
    tool.refuses(65, ["armor", "base64"], "open", "-i", identity, input=text.replace(last, stray))
    # the payload is looked at as ever
    changed = bytearray(base64.b64decode(b"".join(lines)))
    changed[-1] ^= 1
    again = base64.b64encode(changed)
    given = b"\n".join([BEGIN, *[again[at:at + 64] for at in range(0, len(again), 64)], END, b""])
    done = tool.run("open", "-i", identity, input=given)
    assert done.returncode == 65 and done.stdout == plain[:2 * CHUNK] and b"changed" in done.stderr, done


def takes_no_more_memory(tool):
    """64 MiB in armor go through either way in less memory than that"""
    identity, recipient = keygen(tool, "id")
    path, text = tool.vault.dir / "plain", tool.vault.dir / "text"
    path.write_bytes(contents(64 << 20))
    for command, given, out in ((("seal", "-a", "-r", recipient), path, text), (("open", "-i", identity), text, tool.vault.dir / "again")):
        with open(given, "rb") as source, subprocess.Popen([tool.vault.tool, *command, "--out", out], stdin=subprocess.PIPE, env=tool.vault.environment(), cwd=tool.vault.dir) as process:
            while piece := source.read(1 << 20):
                process.stdin.write(piece)
            most = int(re.search(r"VmHWM:\s+(\d+) kB", pathlib.Path(f"/proc/{process.pid}/status").read_text()).group(1))
            process.stdin.close()
        assert process.returncode == 0 and most < 32 << 10, (command, process.returncode, most)
    assert (tool.vault.dir / "again").read_bytes() == path.read_bytes()


def is_looked_through(tool):
    """scan, explain, drill, unwrap and the map know an armored file as any other; its size is that of the text"""
    version = key(tool)
    (tool.vault.dir / "store").mkdir()
    _, recipient = keygen(tool, "id")
    text = tool.vault.dir / "store/a.age"
    gives(tool, "seal", "-a", "-r", "cmk", "--break-glass", recipient, "--out", text, "--register", "nightly", input=contents(200_000))
    (line,) = backups(tool).values()
    assert line["size"] == text.stat().st_size and line["id"] == "nightly", line
    tool.prints("scan", "store")
    (line,) = backups(tool).values()
    assert line["size"] == text.stat().st_size, line
    row, = findings(tool, 0, "drill")
    assert row["result"] == "opened: whole" and version in row["by"], row
    told = tool.prints("explain", text)
    assert "age file for 2 recipients" in told and version in told and "X25519" in told, told
    gives(tool, "open", "--out", "again", text)
    assert (tool.vault.dir / "again").read_bytes() == contents(200_000)
    secret = gives(tool, "seal", "-a", "-r", "cmk", "--break-glass", "none", input=b"correct horse")
    (tool.vault.dir / "pass.age").write_bytes(secret)
    assert gives(tool, "unwrap", "pass.age") == b"correct horse"
    text.write_bytes(text.read_bytes()[:300])
    findings(tool, 2, "drill")
    assert any(row["object"] == "a.age" and "armor" in row["found"] for row in findings(tool, 3, "scan", "store")), "a cut one is told"


def is_rewrapped_beside(tool):
    """--sidecar writes a new header beside an armored file, by which open and drill read it; in place and as a copy it is refused with that remedy; those of others are let alone"""
    old = key(tool)
    (tool.vault.dir / "store").mkdir()
    _, recipient = keygen(tool, "id")
    path, other = tool.vault.dir / "store/a.age", tool.vault.dir / "store/other.age"
    plain = contents(150_000)
    gives(tool, "seal", "-a", "-r", "cmk", "--break-glass", "none", "--out", path, input=plain)
    other.write_bytes(age(tool, "-a", "-r", recipient, input=b"x"))
    text = path.read_bytes()
    new = tool.vault.rotate("cmk")
    for way in ((), ("--copy", "copies")):
        row, told = summary(tool, "store", *way, code=64)
        assert counts(row) == (0, 0, 0, 1, 1) and "ASCII armor" in told and "--sidecar" in told, (row, told)
    row, told = summary(tool, "store", "--sidecar")
    assert counts(row) == (1, 0, 0, 1, 0), (row, told)
    assert path.read_bytes() == text and new.encode() in (tool.vault.dir / f"store/a.age{BESIDE}").read_bytes()
    row, _ = summary(tool, "store", "--sidecar")
    assert counts(row) == (0, 0, 1, 1, 0), row
    tool.vault.control("PATCH", f"/vaults/prod/keys/cmk/{old}", {"enabled": False})
    assert gives(tool, "open", path) == plain
    tool.prints("scan", "store")
    rows = findings(tool, 0, "drill")
    assert [row["by"] for row in rows] == [f"prod/cmk@{new}"], rows
    # its sidecar is of this file and no other
    (tool.vault.dir / f"store/a.age{BESIDE}").rename(tool.vault.dir / f"store/other.age{BESIDE}")
    _, told = summary(tool, other, "--sidecar", code=65)
    assert "another file" in told, told


SCENARIOS = (reads_and_writes_what_age_does, comes_in_pieces, is_strict, takes_no_more_memory, is_looked_through, is_rewrapped_beside)
