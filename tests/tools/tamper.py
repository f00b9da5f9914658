"""S13: every format that is read × every way to tamper with it (tampering.py). Each cell: not exit 0, on the standard output nothing but an authentic beginning, --out
leaves what was there, and one line names the file and what to do."""
import base64
import json
import re

import cms
from map import file_of, known, lines_of, other_map
from rewrap import BESIDE, disable, key
from seal import CHUNK, TAG, contents, gives, header_len, keygen
from tampering import DAMAGED, FOREIGN, LAST, Cells, Sample, edits, pair

# --- age ---
PLAIN, OTHER = contents(10 * CHUNK + 100), contents(11 * CHUNK)[::-1][:10 * CHUNK + 100]
STANZA = re.compile(rb"-> kvp11-rsa-oaep-256 (\S+) (\S+)\n((?:\S{64}\n)*\S{0,63})\n")
MAC = 43


def of_age(file):
    head = header_len(file)
    blocks = [(at, min(at + CHUNK + TAG, len(file))) for at in range(head + 16, len(file), CHUNK + TAG)]
    return Sample(file, head, blocks, STANZA.search(file).span(3))


def other_headers(s, newer):
    """Kids, and what else can be done to a header of age: what → (file, exit codes). `newer`: a file for the next version of the key."""
    digest, kid, _ = STANZA.search(s.file).groups()
    next_digest, next_kid, _ = STANZA.search(newer).groups()
    stranger = b"https://stranger.example" + kid[kid.index(b"/keys/"):]
    names = {"of another version": digest + b" " + next_kid, "of a stranger": digest + b" " + stranger, "of nobody": digest + b" " + kid[:-32] + b"f" * 32, "none": digest,
             "the digest of another version": next_digest + b" " + kid, "all of another version": next_digest + b" " + next_kid, "the digest of nobody": b"A" * 43 + b" " + kid}
    (start, end), spare, mac = STANZA.search(s.file).span(), s.file.index(b"-> kvp11-spare"), s.head - MAC - 1
    last = mac - len(b"--- ")
    headers = {"a stanza more": s.replaced(last, last, b"-> more\n\n"), "a stanza less": s.replaced(spare, last), "the MAC of another file": s.replaced(mac, mac + MAC, s.other.file[mac:mac + MAC]),
               "two stanzas swapped": s.file[:start] + s.file[spare:last] + s.file[start:end] + s.file[last:], "of another type": s.file.replace(b"-oaep-256 ", b"-oaep-257 ", 1),
               "of another version of the format": s.file.replace(b"/v1\n", b"/v2\n", 1)}
    loose = ("the digest of nobody", "of another type")
    return {**{f"kid: {what}": (s.file.replace(digest + b" " + kid, name, 1), FOREIGN if what in loose else DAMAGED) for what, name in names.items()},
            **{f"header: {what}": (file, FOREIGN if what in loose else DAMAGED) for what, file in headers.items()}}


def is_of_header(what):
    return what.startswith(("header", "kid"))


class World:
    """A key of two versions, a break-glass key, and files for the older version and it."""

    def __init__(self, tool):
        self.tool, self.dir, self.cells = tool, tool.vault.dir, Cells(tool)
        self.identity, recipient = keygen(tool, "id")
        self.old = key(tool)
        tool.prints("keys")
        self.to = ("-r", f"cmk@{self.old}", "--break-glass", recipient)
        self.new = tool.vault.rotate("cmk")
        tool.prints("keys", "--refresh")
        self.path = {"PATH": f"{tool.vault.build / 'tools'}:/usr/local/bin:/usr/bin:/bin"}

    def put(self, file, name="bad"):
        (self.dir / name).write_bytes(file)

    def pair(self, *words, plain=PLAIN, other=OTHER):
        s = pair(*(of_age(gives(self.tool, *words, *self.to, input=given)) for given in (plain, other)))
        s.special = other_headers(s, gives(self.tool, "seal", "-r", "cmk", "--break-glass", "none", input=b"x"))
        return s

    def opens(self, what, codes, *by, whole=0, look=None):
        (look or self.cells.either)(what, codes, "open", *by, "bad", plain=PLAIN, most=whole * CHUNK, unit=CHUNK)


def age_binary(tool):
    """age: `open` by a break-glass key and by the vault, once asked; `rewrap`, which makes no header good that was changed; and age itself with the plugin"""
    world = World(tool)
    s = world.pair("seal")
    s.special["cut: between two batches"] = (s.file[:s.blocks[8][0]], DAMAGED, 8)
    world.put(s.file)
    assert gives(tool, "open", "bad") == gives(tool, "open", "-i", world.identity, "bad") == tool.vault.run(["age", "-d", "-j", "kvp11", "bad"], env=world.path).stdout == PLAIN
    for what, file, whole, codes in edits(s):
        world.put(file)
        world.opens(what, DAMAGED, "-i", world.identity, whole=whole, look=world.cells.both)
        if file[:s.head] == s.file[:s.head]:
            continue
        tool.vault.requests()
        world.opens(what, codes)
        sent = cms.sent(tool)
        world.cells.look(what, len(sent) <= 1, f"more than one unwrap: {sent}")
        done = tool.vault.run(["age", "-d", "-j", "kvp11", "bad"], env=world.path)
        world.cells.look(what, done.returncode and not done.stdout, f"age: exit {done.returncode}, {len(done.stdout)} bytes")
        tool.run("rewrap", "bad")
        world.cells.look(what, (world.dir / "bad").read_bytes() == file and not (world.dir / f"bad{BESIDE}").exists(), "rewrap changed it")
    world.cells.end(90)


# Its last line feed may be missing; with all lines of another text it is that one.
SAME_TEXT = ("cut: the last byte", "swap: all blocks of another file", "swap: the tail of another file")


def of_text(text, first):
    """Text whose lines are the blocks."""
    end = text.rindex(b"-----END") if b"-----END" in text else len(text.rstrip(b"\n")) + 1
    breaks = [first, *(at.end() for at in re.finditer(rb"\n", text) if first < at.end() <= end)]
    return Sample(text, first, list(zip(breaks, breaks[1:])), spared=SAME_TEXT)


def in_text(text, file):
    """The text with another file in it."""
    letters, lines = base64.b64encode(file), text.split(b"\n")
    first = next(i for i, line in enumerate(lines) if len(line) == 64 and b" " not in line)
    end = next((i for i, line in enumerate(lines) if line.startswith(b"-----END")), len(lines) - 2)
    return b"\n".join(lines[:first] + [letters[at:at + 64] for at in range(0, len(letters), 64)] + lines[end:])


def is_below(what):
    """Of the edits below a text those that are no matter of its letters."""
    return what.startswith(("swap", "header", "kid")) or what in ("flip: in the first block", "flip: the last byte", "cut: between two blocks")


def age_armored(tool):
    """age in ASCII armor: its lines and letters, and below them what it holds"""
    world = World(tool)
    s = world.pair("seal")
    text, other = (gives(tool, "seal", "-a", *world.to, input=plain) for plain in (PLAIN, OTHER))
    lines = pair(*(of_text(each, each.index(b"\n") + 1) for each in (text, other)))
    lines.special = {"append: a second armor": (text + text, DAMAGED, lines.at(LAST)), "header: another type": (text.replace(b"AGE ENC", b"PGP ENC"), DAMAGED)}
    for good in (text, in_text(text, s.file)):
        world.put(good)
        assert gives(tool, "open", "bad") == PLAIN
    for what, file, whole, _ in edits(lines):
        world.put(file)
        world.opens(what, DAMAGED, "-i", world.identity, whole=min(max(0, whole * 48 - s.blocks[0][0]) // (CHUNK + TAG), 10))
    for what, file, whole, codes in edits(s):
        if is_below(what):
            world.put(in_text(text, file))
            world.opens(f"below: {what}", codes, *(() if is_of_header(what) else ("-i", world.identity)), whole=whole)
    world.cells.end(50)


def age_sidecar(tool):
    """age with a header beside it: one that rewrap left for good, and one of a change that was cut off; either is changed, or is another file's"""
    world = World(tool)
    s = world.pair("seal")
    for name, file in (("bad", s.file), ("two", s.other.file)):
        world.put(file, name)
        tool.prints("rewrap", "--sidecar", name)
    beside = f"bad{BESIDE}"
    one, two = ((world.dir / f"{name}{BESIDE}").read_bytes() for name in ("bad", "two"))
    side = pair(*(Sample(each, len(each), [], STANZA.search(each).span(3)) for each in (one, two)))
    mark = re.compile(rb"-> kvp11-sidecar \S+\n")
    side.special = {"header: of another file": (two, DAMAGED), "header: of another file, as if it were of this": (mark.sub(mark.search(one).group(), two), DAMAGED),
                    "header: no longer of this file": (mark.sub(b"", one), DAMAGED), "header: the one in the file": (s.file[:s.head], DAMAGED),
                    "append: a byte": (one + b"\0", DAMAGED), "append: a header": (one + two, DAMAGED),
                    "kid: of another version": (one.replace(world.new.encode(), world.old.encode()), DAMAGED)}
    disable(tool, world.old)  # where the header beside it is passed over, the one in the file is for a version that is disabled: exit 77
    assert gives(tool, "open", "bad") == PLAIN
    for what, file, _, codes in edits(side):
        world.put(file, beside)
        world.opens(f"beside: {what}", (*codes, 77))
    world.put(one, beside)
    for what, file, whole, codes in edits(s):
        if is_below(what):
            world.put(file)
            world.opens(what, (*codes, 77), whole=whole)
    tool.vault.control("PATCH", f"/vaults/prod/keys/cmk/{world.old}", {"enabled": True})
    torn, header = bytes(s.head) + s.file[s.head:], s.file[:s.head]
    world.put(torn)
    world.put(header, beside)
    assert gives(tool, "open", "bad") == PLAIN
    for what, file, _, _ in edits(s):
        if is_of_header(what) or what.startswith("flip") and file[:s.head] != header:
            world.put(file[:file.find(b"\n", file.find(b"\n---") + 1) + 1] or file[:s.head], beside)
            world.opens(f"cut off, beside: {what}", FOREIGN)
            tool.run("rewrap", "bad")
            world.cells.look(what, (world.dir / "bad").read_bytes() == torn, "rewrap wrote it into the file")
    world.cells.end(55)


def secrets(tool):
    """secrets in files, of `wrap`: `unwrap` prints nothing, `run` starts nothing"""
    world = World(tool)
    cells = world.cells
    s = world.pair("wrap", plain=b"correct horse battery", other=b"staple battery horses")
    s.spared = ("swap: two blocks",)  # there is one
    world.put(s.file)
    assert gives(tool, "unwrap", "bad") == gives(tool, "unwrap", "-i", world.identity, "bad") == b"correct horse battery"
    places = [*range(30, len(s.file), 61), *range(len(s.file) - 48, len(s.file), 5)]
    more = [(f"flip: byte {at}", s.flipped(at), 0, DAMAGED) for at in places] + [(f"cut: to {at}", s.file[:at], 0, DAMAGED) for at in places]
    for what, file, _, codes in [*edits(s), *more]:
        world.put(file)
        cells.refused(what, DAMAGED, "unwrap", "-i", world.identity, "bad")
        if is_of_header(what):
            cells.refused(what, codes, "unwrap", "bad")
            cells.refused(what, codes, "run", "--env", "SECRET=bad", "--", "touch", "started")
    assert not (world.dir / "started").exists(), "a program was started"
    cells.end(130)


# --- CMS ---
CMS_PLAIN, CMS_OTHER = cms.content(300_000), cms.content(300_000)[::-1]
PIECE = 65536  # what has no pieces of its own is cut into


def resizing(der, at):
    """(changed, by how much) → with the lengths around the place mended."""
    def resized(changed, by):
        out, here = bytearray(changed), 0
        while True:
            size, count = der[here + 1], der[here + 1] & 0x7F if der[here + 1] & 0x80 else 0
            start = here + 2 + count
            length = int.from_bytes(der[here + 2:start], "big") if count else size
            if size != 0x80 and start + length <= at:
                here = start + length
                continue
            if count:
                out[here + 2:start] = (length + by).to_bytes(count, "big")
            if not der[here] & 0x20:
                return bytes(out)
            here = start
    return resized


def segments(der, at):
    while der[at] == 4:
        count = der[at + 1] & 0x7F if der[at + 1] & 0x80 else 0
        end = at + 2 + count + (int.from_bytes(der[at + 2:at + 2 + count], "big") if count else der[at + 1])
        yield at, end
        at = end


def of_cms(der):
    wrapped = der.index(b"\x04\x82\x01\x00") + 4
    if b"\xa0\x80\x04\x82\x10\x00" in der:  # in pieces
        head = der.index(b"\xa0\x80\x04\x82\x10\x00") + 2
        return Sample(der, head, list(segments(der, head)), (wrapped, wrapped + 256))
    head = der.index(b"\x80\x83" + len(CMS_PLAIN).to_bytes(3, "big")) + 5
    blocks = [(head + at, head + min(at + PIECE, len(CMS_PLAIN))) for at in range(0, len(CMS_PLAIN), PIECE)]
    return Sample(der, head, blocks, (wrapped, wrapped + 256), resized=resizing(der, head))


SAYS = {"header: a tag": "", "cut": "it was cut|is empty", "append": "further bytes", "swap": "not what its sender wrote", "header": "not what its sender wrote"}


class Envelopes:
    """Two keys of one size, and envelopes for the first of them."""

    def __init__(self, tool):
        self.tool, self.dir = tool, tool.vault.dir
        for name in ("k", "other"):
            tool.vault.create(name, kty="RSA", key_size=2048)
        self.pem, other = cms.certificate(tool, "k"), cms.certificate(tool, "other")
        self.ids = [self.id_of(pem) for pem in (self.pem, other)]

    def id_of(self, pem):
        text = cms.openssl(self.tool, "x509", "-in", pem, "-noout", "-ext", "subjectKeyIdentifier").decode()
        return bytes.fromhex(re.search(r"(?:[0-9A-F]{2}:){19}[0-9A-F]{2}", text).group().replace(":", ""))

    def pair(self, make):
        s = pair(*(of_cms(make(plain)) for plain in (CMS_PLAIN, CMS_OTHER)))
        at = s.file.index(self.ids[0])
        s.special = {"kid: of another key": (s.replaced(at, at + 20, self.ids[1]), DAMAGED), "kid: of nobody": (s.replaced(at, at + 20, bytes(20)), (66,)),
                     **{f"header: a tag of {left} bytes": (self.short_tag(s, left), DAMAGED) for left in (0, 1, 4, 15) if b"\x04\x10" in s.tail()},
                     **{f"cut: {less} bytes of the tail": (s.file[:-less], DAMAGED) for less in (2, 8, 18, 19)}}
        return s

    @staticmethod
    def short_tag(s, left):
        """Its tag cut, and the lengths around it mended: so few bytes are soon guessed."""
        at = s.file.index(b"\x04\x10", s.blocks[-1][1])
        changed = s.replaced(at, at + 18, bytes([4, left]) + s.file[at + 2:at + 2 + left])
        return resizing(s.file, at)(changed[:at + 1] + b"\x10" + changed[at + 2:], left - 16)

    def by_openssl(self, plain, stream=True, **options):
        return (self.dir / cms.seal(self.tool, plain, [self.pem], stream=stream, **options)).read_bytes()

    def put(self, file):
        (self.dir / "bad").write_bytes(file)

    def look(self, s, of, least, wanted=lambda what: True, put=lambda file: file):
        """Nothing comes out of any of them."""
        cells = Cells(self.tool)
        look = cells.both if of.startswith("in ") else cells.either
        self.put(put(s.file))
        cms.opens(self.tool, "bad", CMS_PLAIN)
        for what, file, _, codes in edits(s):
            if wanted(what):
                self.put(put(file))
                says = next((words for start, words in SAYS.items() if what.startswith(start)), "")
                look(f"{of}: {what}", codes, "cms", "open", "bad", says=says if of in ("in pieces", "sealed here") else "")
        cells.end(least)


def cms_gcm(tool):
    """CMS AuthEnvelopedData (GCM): in pieces, as `openssl cms -stream` writes it, in one, also with all lengths around mended, and as `cms seal` writes it: nothing comes out"""
    world = Envelopes(tool)
    world.look(world.pair(world.by_openssl), "in pieces", 60)
    world.look(world.pair(lambda plain: world.by_openssl(plain, stream=False)), "in one piece", 60)
    world.look(world.pair(lambda plain: gives(tool, "cms", "seal", "-r", "k", "--break-glass", "none", input=plain)), "sealed here", 10, is_below)


# Whatever a mail's header says, and whether there is an empty line at the end.
SAME_MAIL = (*SAME_TEXT, "flip: the first byte", "flip: in the middle of the header", "cut: behind the last block")


def cms_text(tool):
    """CMS as PEM and as S/MIME: lines and letters, and below them the envelope: nothing comes out"""
    world = Envelopes(tool)
    below = world.pair(world.by_openssl)
    for form, start, same in (("PEM", b"\n", SAME_TEXT), ("SMIME", b"\n\n", SAME_MAIL)):
        texts = []
        for plain in (CMS_PLAIN, CMS_OTHER):
            (world.dir / "data").write_bytes(plain)
            cms.openssl(tool, "cms", "-encrypt", "-binary", "-outform", form, "-aes-256-gcm", "-keyid", "-recip", "k.pem", *cms.OAEP256, "-in", "data", "-out", form)
            texts.append((world.dir / form).read_bytes())
        s = pair(*(of_text(text, text.index(start) + len(start)) for text in texts))
        s.spared = same
        world.look(s, form, 20)
        world.look(below, f"below {form}", 5, lambda what: is_of_header(what) or what == "swap: two blocks", lambda file, text=texts[0]: in_text(text, file))


def cms_cbc(tool):
    """CMS EnvelopedData (CBC): without the option nothing, whatever it is like; with it what is no envelope any more is refused, and --out has a file only where the exit code is 0"""
    world, cells = Envelopes(tool), Cells(tool)
    s = world.pair(lambda plain: world.by_openssl(plain, cipher="-aes-256-cbc"))
    s.spared = ("swap: the tail of another file",)  # they end alike
    world.put(s.file)
    cms.opens(tool, "bad", CMS_PLAIN, *cms.CBC)
    for what, file, whole, codes in edits(s):
        world.put(file)
        cells.refused(what, FOREIGN, "cms", "open", "bad", "--out", "out/kept")
        if what.startswith(("cut", "append", "kid")):  # the envelope itself is broken
            cells.refused(what, codes, "cms", "open", "bad", *cms.CBC, plain=CMS_PLAIN, most=len(CMS_PLAIN))
            cells.refused(what, codes, "cms", "open", "bad", *cms.CBC, "--out", "out/kept")
            continue
        done = tool.run("cms", "open", "bad", *cms.CBC, "--out", "out/new")
        cells.look(what, done.returncode in (0, *FOREIGN) and (world.dir / "out/new").exists() == (done.returncode == 0), done)
        (world.dir / "out/new").unlink(missing_ok=True)
    cells.end(50)


# --- copies of the map ---
def kvmap(tool):
    """a copy of the map: `map import` takes nothing in, and `map compare` compares with nothing; also where who edited it has mended its digest"""
    known(tool, "k", "e")
    lines = lines_of(tool.prints("map", "export"))
    later = [{**line, "wraps": line["wraps"] + 1} if line["type"] == "version" else line for line in lines]
    texts = [file_of(tool, "copy", of).read_bytes() for of in (lines, later)]

    def of_lines(text):
        ends = [at.end() for at in re.finditer(b"\n", text)]
        return Sample(text, ends[0], list(zip(ends, ends[1:-1])))

    def mended(**change):
        return file_of(tool, "copy", [lines[0], {**lines[1], **change}, *lines[2:]]).read_bytes(), DAMAGED

    s = pair(*map(of_lines, texts))
    two = lines[2]
    s.special = {"kid: of another version": mended(kid=lines[1]["kid"][:-32] + "f" * 32), "kid: its version": mended(version="f" * 32), "kid: its name": mended(name="other"),
                 "kid: a public key": mended(spki=two["spki"]), "kid: a digest": mended(spki_sha256=two["spki_sha256"]), "kid: an identifier": mended(cka_id=two["cka_id"]),
                 "header: none": (texts[0][s.head:], DAMAGED), "header: twice": (texts[0][:s.head] + texts[0], DAMAGED),
                 "header: of a newer format": (file_of(tool, "copy", [{**lines[0], "format": 99}, *lines[1:]]).read_bytes(), DAMAGED)}
    cells, fresh = Cells(tool), other_map(tool)
    for what, file, _, _ in edits(s):
        (tool.vault.dir / "bad").write_bytes(file)
        for verb in ("import", "compare"):
            cells.refused(what, FOREIGN, "map", verb, "bad", config=fresh)
    assert json.loads(tool.prints("--json", "map", "verify", config=fresh))[0]["entries"] == 0, "something was taken in"
    cells.end(50)


SCENARIOS = (age_binary, age_armored, age_sidecar, secrets, cms_gcm, cms_text, cms_cbc, kvmap)
