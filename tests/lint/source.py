"""What the checks know of a source tree: its files, C text without comments, and the functions in it."""

import os
import re

SKIPPED_FOLDERS = re.compile(r"^(\.git|b|build|build-.*|_.*|node_modules|__pycache__)$")
TEXT_LIMIT = 2_000_000


def files(root, under=""):
    """Paths relative to root of every text file below `under`, sorted; build folders are left out."""
    found = []
    for folder, folders, names in os.walk(os.path.join(root, under)):
        folders[:] = sorted(name for name in folders if not SKIPPED_FOLDERS.match(name))
        found += [os.path.relpath(os.path.join(folder, name), root) for name in names]
    return sorted(found)


def c_files(root, *unders):
    return [path for under in unders for path in files(root, under) if path.endswith((".c", ".h", ".def"))]


def text(root, path):
    with open(os.path.join(root, path), "rb") as stream:
        data = stream.read(TEXT_LIMIT)
    return "" if b"\0" in data else data.decode("utf-8", "replace")


TOKEN = re.compile(r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.S)


def bare(source, keep_strings=False):
    """C text with comments (and the contents of strings) blanked; lines stay where they are."""

    def blank(match):
        token = match.group(0)
        if token[0] in "\"'":
            return token if keep_strings else token[0] + " " * (len(token) - 2) + token[0]
        return re.sub(r"[^\n]", " ", token)

    return TOKEN.sub(blank, source)


def line_of(source, offset):
    return source.count("\n", 0, offset) + 1


class Function:
    def __init__(self, name, line, lines, parameters):
        self.name, self.line, self.lines, self.parameters = name, line, lines, parameters


def functions(source):
    """Function definitions. clang-format guarantees their shape: `{` and `}` alone in the first column."""
    lines = bare(source).split("\n")
    found = []
    for i, line in enumerate(lines):
        if line.rstrip() != "{":
            continue
        head = i - 1
        while head > 0 and lines[head - 1].strip() and not lines[head - 1].rstrip().endswith((";", "}")):
            head -= 1
        header = " ".join(lines[head:i])
        end = next((j for j in range(i, len(lines)) if lines[j].rstrip() == "}"), None)
        match = re.search(r"(\w+)\s*\(((?:[^()]|\([^()]*\))*)\)\s*$", header)
        if end is not None and match:
            found.append(Function(match.group(1), head + 1, end - head + 1, split_parameters(match.group(2))))
    return found


def split_parameters(inside):
    depth, start, parts = 0, 0, []
    for i, char in enumerate(inside + ","):
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            parts.append(inside[start:i].strip())
            start = i + 1
    return [part for part in parts if part and part != "void"]


def includes(source):
    """(line, "x/y.h" or <x.h> without its marks, whether it was in quotes) of every include."""
    for i, line in enumerate(source.split("\n"), 1):
        match = re.match(r'\s*#\s*include\s*(["<])([^">]+)[">]', line)
        if match:
            yield i, match.group(2), match.group(1) == '"'
