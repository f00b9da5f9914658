"""The ways to tamper with a file, as rows, and what is looked at when it was."""
import re

FIRST, MIDDLE, NEXT, LAST = range(4)
DAMAGED, FOREIGN = (65,), (64, 65, 66)  # FOREIGN: it may also look like something that is not known here, or that is for somebody else
LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


class Sample:
    """A file: its header, the pieces of its payload, and where in the header the wrapped key stands. `resized`: (changed, by how much) → its lengths mended. `spared`:
    edits that change nothing in it. `other`: another one for the same recipients. `special`: what → (file, exit codes[, how many blocks are whole]), which only it has."""

    def __init__(self, file, head, blocks, wrapped=None, resized=None, spared=()):
        self.file, self.head, self.blocks, self.wrapped, self.resized, self.spared = file, head, blocks, wrapped, resized, spared
        self.other, self.special = None, {}

    def at(self, which):
        return (0, len(self.blocks) // 2, len(self.blocks) // 2 + 1, len(self.blocks) - 1)[which]

    def span(self, which):
        return self.blocks[self.at(which)]

    def block(self, which):
        return self.file[slice(*self.span(which))]

    def tail(self):
        return self.file[self.blocks[-1][1]:]

    def replaced(self, start, end, instead=b""):
        return self.file[:start] + instead + self.file[end:]

    def mended(self, start, end, instead=b""):
        changed = self.replaced(start, end, instead)
        return self.resized(changed, len(changed) - len(self.file)) if self.resized else changed

    def flipped(self, at):
        """A letter stays one, so that more than the look of it is put to the test."""
        was = self.file[at]
        now = LETTERS[LETTERS.index(was) ^ 1] if was in LETTERS and self.file[:16].isascii() else was ^ 1
        return self.replaced(at, at + 1, bytes([now]))

    def swapped(self):
        (a, b), (c, d) = self.span(MIDDLE), self.span(NEXT)
        return self.file[:a] + self.file[c:d] + self.file[b:c] + self.file[a:b] + self.file[d:]

    def refilled(self):
        """All blocks of the other one."""
        start, end = self.other.blocks[0][0], self.other.blocks[-1][1]
        return self.mended(self.blocks[0][0], self.blocks[-1][1], self.other.file[start:end])


def pair(one, two):
    one.other, two.other = two, one
    return one


# What it takes: a header (H), blocks (B), a wrapped key (K), something behind the blocks (T); which blocks are whole in front of it; exit codes.
EDITS = (
    ("flip: the first byte", "H", FIRST, FOREIGN, lambda s: s.flipped(0)),
    ("flip: in the middle of the header", "H", FIRST, FOREIGN, lambda s: s.flipped(s.head // 2)),
    ("flip: the wrapped key", "HK", FIRST, DAMAGED, lambda s: s.flipped(s.wrapped[0] + 9)),
    ("flip: the end of the header", "H", FIRST, FOREIGN, lambda s: s.flipped(s.head - 3)),
    ("flip: the byte behind the header", "B", FIRST, FOREIGN, lambda s: s.flipped(s.head)),
    ("flip: in the first block", "B", FIRST, DAMAGED, lambda s: s.flipped(s.span(FIRST)[0] + 7)),
    ("flip: in a block in the middle", "B", MIDDLE, DAMAGED, lambda s: s.flipped(s.span(MIDDLE)[0] + 7)),
    ("flip: in the last block", "B", LAST, DAMAGED, lambda s: s.flipped(s.span(LAST)[0] + 7)),
    ("flip: the last byte", "B", LAST, FOREIGN, lambda s: s.flipped(len(s.file) - 1)),
    ("cut: to nothing", "", FIRST, DAMAGED, lambda s: b""),
    ("cut: to one byte", "", FIRST, DAMAGED, lambda s: s.file[:1]),
    ("cut: within the header", "H", FIRST, DAMAGED, lambda s: s.file[:s.head - 9]),
    ("cut: behind the header", "B", FIRST, DAMAGED, lambda s: s.file[:s.head]),
    ("cut: within the first block", "B", FIRST, DAMAGED, lambda s: s.file[:s.span(FIRST)[0] + 20]),
    ("cut: within a block", "B", MIDDLE, DAMAGED, lambda s: s.file[:s.span(MIDDLE)[0] + 20]),
    ("cut: between two blocks", "B", MIDDLE, DAMAGED, lambda s: s.file[:s.span(MIDDLE)[0]]),
    ("cut: in front of the last block", "B", LAST, DAMAGED, lambda s: s.file[:s.span(LAST)[0]]),
    ("cut: behind the last block", "BT", LAST, DAMAGED, lambda s: s.file[:s.span(LAST)[1]]),
    ("cut: the last byte", "B", LAST, DAMAGED, lambda s: s.file[:-1]),
    ("swap: two blocks", "B", MIDDLE, DAMAGED, lambda s: s.swapped()),
    ("swap: a block comes twice", "B", NEXT, DAMAGED, lambda s: s.mended(s.span(MIDDLE)[1], s.span(MIDDLE)[1], s.block(MIDDLE))),
    ("swap: a block is left out", "B", MIDDLE, DAMAGED, lambda s: s.mended(*s.span(MIDDLE))),
    ("swap: the last block is left out", "B", LAST, DAMAGED, lambda s: s.mended(*s.span(LAST))),
    ("swap: a block of another file", "B", MIDDLE, DAMAGED, lambda s: s.mended(*s.span(MIDDLE), s.other.block(MIDDLE))),
    ("swap: all blocks of another file", "B", FIRST, DAMAGED, lambda s: s.refilled()),
    ("swap: the tail of another file", "BT", LAST, DAMAGED, lambda s: s.file[:s.span(LAST)[1]] + s.other.tail()),
    ("append: a byte", "B", LAST, DAMAGED, lambda s: s.file + b"\0"),
    ("append: a block", "B", LAST, DAMAGED, lambda s: s.file + s.block(LAST)),
    ("append: another file", "B", LAST, DAMAGED, lambda s: s.file + s.other.file),
    ("header: of another file", "HBK", FIRST, DAMAGED, lambda s: s.other.file[:s.other.head] + s.file[s.head:]),
    ("header: the wrapped key of another file", "HK", FIRST, DAMAGED, lambda s: s.replaced(*s.wrapped, s.other.file[slice(*s.other.wrapped)])),
)


def edits(s):
    """(what, file, how many whole blocks are in front of it, exit codes)"""
    has = set(("H" if s.head else "") + ("B" if s.blocks else "") + ("K" if s.wrapped else "") + ("T" if s.blocks and s.tail() else ""))
    rows = [(what, change(s), s.at(whole), codes) for what, needs, whole, codes, change in EDITS if set(needs) <= has and what not in s.spared]
    rows += [(what, file, whole[0] if whole else 0, codes) for what, (file, codes, *whole) in s.special.items()]
    for row in rows:
        assert row[1] != s.file, f"{row[0]} changes nothing"
    return rows


NAMED = "'bad'"
REMEDY = "another copy|add the vault|with -i|enable it"


class Cells:
    """What is wrong is gathered, so that one run tells all of it."""

    def __init__(self, tool):
        self.tool, self.count, self.wrong = tool, 0, []
        self.folder = tool.vault.dir / "out"
        self.folder.mkdir(exist_ok=True)
        self.kept = self.folder / "kept"
        self.kept.write_bytes(b"what was there")

    def look(self, what, holds, detail=""):
        if not holds:
            self.wrong.append(f"{what}: {detail}")

    def refused(self, what, codes, *words, plain=b"", most=0, unit=1, says="", **options):
        """`most`: so many bytes of `plain`, in whole `unit`s, may come out. `says`: a regular expression."""
        self.count += 1
        done = self.tool.run(*words, **options)
        out, message = done.stdout, done.stderr.decode()
        self.look(what, done.returncode in codes, f"{words}: exit {done.returncode} instead of {codes}: {message}")
        self.look(what, plain.startswith(out) and len(out) <= most and len(out) % unit == 0, f"{words}: {len(out)} bytes came out, {most} at the most are authentic")
        self.look(what, message and all(line.startswith("kvp11: ") for line in message.splitlines()), f"{words}: says '{message}'")
        self.look(what, NAMED in message and (done.returncode == 64 or re.search(REMEDY, message)), f"{words}: says not which file, or not what to do: {message}")
        self.look(what, re.search(says, message), f"{words}: says not '{says}': {message}")
        self.look(what, [*self.folder.iterdir()] == [self.kept] and self.kept.read_bytes() == b"what was there", f"{words}: leaves something behind")
        self.kept.write_bytes(b"what was there")

    def both(self, what, codes, *words, plain=b"", most=0, unit=1, says=""):
        """To the standard output, and to a file."""
        self.refused(what, codes, *words, plain=plain, most=most, unit=unit, says=says)
        self.refused(what, codes, *words, "--out", "out/kept", says=says)

    def either(self, what, codes, *words, says="", **options):
        """One as often as the other."""
        out = () if self.count % 2 else ("--out", "out/kept")
        self.refused(what, codes, *words, *out, says=says, **({} if out else options))

    def end(self, least):
        assert not self.wrong, f"{len(self.wrong)} things are wrong in {self.count} cells:\n" + "\n".join(self.wrong)
        assert self.count >= least, f"only {self.count} cells"
