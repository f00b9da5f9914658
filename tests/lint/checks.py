"""The checks. Each takes a Tree and yields "path:line: what is wrong"; the first line of its doc string is its name for people."""

import os
import re
import shutil
import subprocess

import rules
import source
from remedies import man_commands, remedies


class NotRun(Exception):
    """The check could not be made here: a failure in CI, a line elsewhere."""


class Tree:
    def __init__(self, root, build=None):
        self.root, self.build = root, build

    def text(self, path):
        return source.text(self.root, path)

    def c_files(self, *unders):
        return source.c_files(self.root, *unders)

    def files(self, under=""):
        return source.files(self.root, under)

    def has(self, path):
        return os.path.exists(os.path.join(self.root, path))


def layer_of(path):
    parts = path.split("/")
    if parts[0] in ("module", "include") and len(parts) > 2:
        return parts[1]
    if parts[0] == "tools":
        return "tools/emulator" if parts[1] == "emulator" else "tools"
    return None


def layers(tree):
    """an include goes down, never up or sideways"""
    for path in tree.c_files("include", "module", "tools"):
        layer = layer_of(path)
        if layer is None:
            continue
        if layer not in rules.LAYERS:
            yield f"{path}:1: folder '{layer}' is no layer: see LAYERS in tests/lint/rules.py"
            continue
        for line, name, quoted in source.includes(tree.text(path)):
            other = name.split("/")[0]
            if ".." in name.split("/"):
                yield f"{path}:{line}: '{name}' climbs out of its folder"
            elif quoted and name == rules.PUBLIC_HEADER and layer == "tools/emulator":
                yield f"{path}:{line}: the emulator shares nothing with the module"
            elif quoted and "/" in name and other != layer and other not in rules.LAYERS[layer]:
                yield f"{path}:{line}: {layer} may not see '{name}'"


def libraries(tree):
    """one library, one file"""
    for path in tree.c_files("include", "module", "tools"):
        for line, name, _ in source.includes(tree.text(path)):
            for header, allowed in rules.LIBRARIES:
                if re.match(header, name) and not re.fullmatch(allowed, path):
                    yield f"{path}:{line}: <{name}> may only be included by {allowed}"


def rest_layers(tree):
    """the REST layers know no PKCS#11"""
    folders = [f"{top}/{layer}" for top in ("include", "module") for layer in rules.NO_PKCS11]
    for path in tree.c_files(*folders):
        if path in rules.PKCS11_GUESTS:
            continue
        text = source.bare(tree.text(path))
        for match in re.finditer(r"\bCK[A-Z]?_[A-Z]\w+", text):
            yield f"{path}:{source.line_of(text, match.start())}: {match.group(0)} belongs above this layer"


def banned(tree):
    """no banned call"""
    for path in tree.c_files("include", "module", "tools", "tests"):
        text = source.bare(tree.text(path))
        for pattern, where, allowed, instead in rules.BANNED:
            if not re.match(where, path) or (allowed and re.match(allowed, path)):
                continue
            for match in re.finditer(pattern, text):
                yield f"{path}:{source.line_of(text, match.start())}: {match.group(0)!r} is banned: use {instead}"


def unfinished(tree):
    """no note of unfinished work"""
    for path in tree.files():
        for number, line in enumerate(tree.text(path).split("\n"), 1):
            if path != "tests/lint/rules.py" and re.search(rules.UNFINISHED, line):
                yield f"{path}:{number}: unfinished work belongs in the issue tracker"


def sizes(tree):
    """functions and files are short"""
    for path in tree.c_files("include", "module", "tools", "tests"):
        text = tree.text(path)
        lines = text.count("\n")
        if lines > rules.FILE_LINES and path not in rules.TABLE_FILES:
            yield f"{path}:1: {lines} lines, limit {rules.FILE_LINES}"
        for function in source.functions(text):
            if function.lines > rules.FUNCTION_LINES:
                yield f"{path}:{function.line}: {function.name} has {function.lines} lines, limit {rules.FUNCTION_LINES}"


def parameters(tree):
    """at most five parameters go in; outputs (ret…) and err are not counted"""
    for path in tree.c_files("module", "tools", "tests"):
        for function in source.functions(tree.text(path)):
            inputs = [p for p in function.parameters if not re.search(r"\b(ret(_\w+)?|err)(\[\w*\])?$", p)]
            foreign = any(re.fullmatch(name, f"{path}:{function.name}") for name in rules.FOREIGN_SIGNATURES)
            if len(inputs) > rules.PARAMETERS and not foreign:
                yield f"{path}:{function.line}: {function.name} takes {len(inputs)} parameters: make a struct"


def exports(tree):
    """the shared objects export three functions"""
    if not tree.build:
        raise NotRun("no build folder was given (--build)")
    for name in rules.SHARED_OBJECTS:
        found = [os.path.join(folder, name) for folder, _, names in os.walk(tree.build) if name in names]
        if not found:
            yield f"{name}: not in the build folder"
        for path in found:
            out = run("nm", "-D", "--defined-only", path)
            names = sorted(line.split()[-1].split("@")[0] for line in out.stdout.splitlines() if " A " not in line)
            if out.returncode or names != rules.EXPORTS:
                yield f"{name}: exports {' '.join(names) or 'nothing'}, not {' '.join(rules.EXPORTS)}"


def differences(left, left_path, right, right_path, what):
    for name in sorted(left - right):
        yield f"{right_path}:1: {what} '{name}' of {left_path} is missing"
    for name in sorted(right - left):
        yield f"{left_path}:1: {what} '{name}' of {right_path} is missing"


def man_settings(tree):
    """every setting has its paragraph in kvp11.conf(5)"""
    table, page = "module/config/keys.c", "conf/kvp11.conf.5"
    rows = re.findall(r"\{\s*(?:(?:KVP11|VAULT|WHO|WHERE)\(|\.info = \{\s*\"(?:kvp11|vault)\",\s*)\"([a-z][a-z0-9_]*)\"", tree.text(table))
    named = re.findall(r"^\.It (?:Ic|Cm|Va|Li|Sy|Ar) ([a-z][a-z0-9_]*)", tree.text(page), re.M)
    if not rows:
        yield f"{table}:1: no setting found"
    yield from differences(set(rows), table, set(named), page, "setting")


def man_options(text):
    return set(re.findall(r"\bFl (?:Fl |-|\\-)([a-z][a-z-]+)", text))


def man_tool(tree):
    """every command and option of kvp11 is in kvp11(1)"""
    page_path = "tools/kvp11.1"
    page = tree.text(page_path)
    commands = set(re.findall(r"^\s*\{\s*\"([a-z][a-z-]*(?: [a-z-]+)?)\",", tree.text("tools/main.c"), re.M))
    named = set(re.findall(r"^\.It Cm ([a-z][a-z-]*(?: (?!Op|Ar|Ns|Fl)[a-z-]+)?)", page, re.M))
    if not commands:
        yield "tools/main.c:1: no command found"
    yield from differences(commands, "tools/main.c", named, page_path, "command")
    sources = [path for path in tree.c_files("tools") if layer_of(path) == "tools"]
    options = {name for path in sources for name in re.findall(r'"--([a-z][a-z-]+)"', tree.text(path))}
    yield from differences(options, "tools/*.c", man_options(page), page_path, "option")


def man_emulator(tree):
    """every option of kvp11-emulator is in kvp11-emulator(1)"""
    folder, page = "tools/emulator", "tools/emulator/kvp11-emulator.1"
    used = source.bare
    options = {
        name
        for path in tree.c_files(folder)
        for name in re.findall(r'"[^"\n]*--([a-z][a-z-]+)', used(tree.text(path), keep_strings=True))
    } | {
        name
        for path in tree.c_files(folder)
        for name in re.findall(r'\{\s*"([a-z][a-z-]+)",\s*(?:no|required|optional)_argument', tree.text(path))
    }
    if not options:
        yield f"{folder}:1: no option found"
    yield from differences(options, folder, man_options(tree.text(page)), page, "option")


def told_features(tree, page):
    """name → (word, line, whether a reason follows) of the page's list of functions and mechanisms"""
    text = tree.text(page)
    told = {}
    for match in re.finditer(r"^\.It (?:Fn (C_\w+)|Dv (CKM_\w+)) No (\w+)\n", text, re.M):
        name, word = match.group(1) or match.group(2), match.group(3)
        explained = not re.match(r"\.(It|El)\b", text[match.end():])
        told.setdefault(name, []).append((word, source.line_of(text, match.start()), explained))
    return told


def features(tree):
    """kvp11-features(7) is true to the function lists and to the mechanism table"""
    page, lists, table = "conf/kvp11-features.7", "include/mech/functions.def", "module/mech/table.c"
    unsupported = set(re.findall(r"KV_UNSUPPORTED\((C_\w+)", tree.text("module/p11/unsupported.def")))
    functions = set(re.findall(r"^KV_FUNCTION_\w+\((C_\w+)", tree.text(lists), re.M))
    mechanisms = set(re.findall(r"\bROW\((CKM_\w+)\)", tree.text(table)))
    told = told_features(tree, page)
    if not functions or not mechanisms:
        yield f"{lists}:1: no function, or no mechanism in {table}"
    yield from differences(functions, lists, {n for n in told if n.startswith("C_")}, page, "function")
    yield from differences(mechanisms, table, {n for n in told if n.startswith("CKM_")}, page, "mechanism")
    for name, entries in sorted(told.items()):
        word, line, explained = entries[0]
        wanted = {"no"} if name in unsupported else {"yes", "limited"}
        if len(entries) > 1:
            yield f"{page}:{entries[1][1]}: '{name}' stands there twice"
        if word not in wanted:
            yield f"{page}:{line}: '{name}' is '{word}' here, and {' or '.join(sorted(wanted))} in the source"
        if word != "yes" and not explained:
            yield f"{page}:{line}: '{name}' is '{word}' without a reason"


def codes(tree):
    """every CKR_* that an application may get has its name in the log"""
    table = "module/p11/ckr.c"
    named = set(re.findall(r"\bNAMED\((CKR_\w+)\)", tree.text(table)))
    for path in tree.c_files("module/p11") + ["include/base/status.def"]:
        for match in re.finditer(r"\bCKR_[A-Z0-9_]+\b", tree.text(path)):
            if match.group() not in named:
                yield f"{path}:{source.line_of(tree.text(path), match.start())}: '{match.group()}' has no name in {table}"


def injected(tree):
    """failures are injected into every function that is offered"""
    lists, folder = "include/mech/functions.def", "tests/inject"
    unsupported = set(re.findall(r"KV_UNSUPPORTED\((C_\w+)", tree.text("module/p11/unsupported.def")))
    called = set(re.findall(r"->(C_\w+)", "".join(tree.text(path) for path in tree.c_files(folder))))
    for match in re.finditer(r"^KV_FUNCTION_\w+\((C_\w+)", tree.text(lists), re.M):
        if match.group(1) not in unsupported | called:
            yield f"{lists}:{source.line_of(tree.text(lists), match.start())}: no step in {folder} calls '{match.group(1)}'"


def man_syntax(tree):
    """mandoc accepts the manual pages"""
    pages = [path for path in tree.files() if re.search(r"\.[1-8]$", path)]
    if not pages:
        yield "tools/kvp11.1:1: no manual page found"
    for path in pages:
        out = run("mandoc", "-T", "lint", "-W", "warning", os.path.join(tree.root, path))
        for line in out.stdout.splitlines():
            yield line.replace("mandoc: " + tree.root + "/", "")


def formatting(tree):
    """clang-format would change nothing"""
    paths = [path for path in tree.c_files("include", "module", "tools", "tests") if not path.endswith(".def")]
    version = run("clang-format", "--version").stdout
    if not re.search(r"version 14\.", version):
        raise NotRun(f"clang-format 14 is needed, here is {version.strip() or 'none'}")
    out = run("clang-format", "--dry-run", "-Werror", *paths, cwd=tree.root)
    for path in sorted(set(re.findall(r"^([^:\n]+):\d+:\d+: error", out.stderr, re.M))):
        yield f"{path}:1: run clang-format -i on it"
    if out.returncode and not out.stderr.strip():
        yield f"clang-format: exit {out.returncode}"


def scripts(tree):
    """the shell scripts parse"""
    for path in tree.files():
        first = tree.text(path).split("\n", 1)[0]
        match = re.match(r"#!\s*(?:/usr)?/bin/(?:env )?(sh|bash)\b", first)
        if match:
            out = run(match.group(1), "-n", os.path.join(tree.root, path))
            if out.returncode:
                yield f"{path}:1: {out.stderr.strip()}"
            if not os.access(os.path.join(tree.root, path), os.X_OK):
                yield f"{path}:1: is not executable"


def places(tree):
    """nothing names a machine's own folders or a mirror"""
    for path in tree.files():
        if path.startswith("tests/lint/"):
            continue
        for number, line in enumerate(tree.text(path).split("\n"), 1):
            match = re.search(rules.FOREIGN_PLACES, line)
            if match:
                yield f"{path}:{number}: '{match.group(0)}' exists on one machine only"


def top_level(tree):
    """the top level holds what it should, the licence too"""
    for name in sorted(os.listdir(tree.root)):
        if name not in rules.TOP_LEVEL and not source.SKIPPED_FOLDERS.match(name):
            yield f"{name}: does not belong at the top level"
    if "Apache License" not in (tree.text("LICENSE") if tree.has("LICENSE") else ""):
        yield "LICENSE:1: the text of the Apache License 2.0 is missing"


def whitespace(tree):
    """no trailing blanks, no tabs in C, a newline at the end"""
    for path in tree.files():
        text = tree.text(path)
        if not text or path in ("LICENSE",) or path.startswith("tests/fuzz/seeds/"):  # of seeds every byte counts
            continue
        if not text.endswith("\n"):
            yield f"{path}:{text.count(chr(10)) + 1}: no newline at the end"
        for number, line in enumerate(text.split("\n"), 1):
            if line != line.rstrip() and not path.endswith(".md"):
                yield f"{path}:{number}: blanks at the end of the line"
            if "\t" in line and path.endswith((".c", ".h")):
                yield f"{path}:{number}: a tab"


def run(program, *arguments, cwd=None):
    if not shutil.which(program):
        raise NotRun(f"{program} is not installed: tools/setup lint")
    return subprocess.run([program, *arguments], capture_output=True, text=True, errors="replace", cwd=cwd, check=False)


ALL = [layers, libraries, rest_layers, banned, unfinished, sizes, parameters, exports, man_settings, man_tool,
       man_commands, man_emulator, remedies, features, codes, injected, man_syntax, formatting, scripts, places, top_level, whitespace]
