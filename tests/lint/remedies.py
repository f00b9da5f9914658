"""The commands of ours that texts tell people to run: each has to be one that kvp11 has, with options that it has, and with every name as one word of a shell."""

import re

import rules
import source

# Words behind "kvp11 " that are no command, and why.
NO_COMMANDS = {
    "container": "the issuer of a certificate that stands for a key",
    "names": "an identity of kvp11 names no key",
    "module": "a page on it",
    "take": "what tests of kvp11 do",
}
# What may stand in a command without kv_word(): it has no character that a shell would read.
PLAIN = re.compile(r"(->|\.|\b)(kid|version|age_text)$|\bcommand->\w+|^KVP11_RELEASE$")
TOKEN = re.compile(r'"(?:\\.|[^"\\\n])*"|[A-Za-z_]\w*|\S', re.S)
OURS = r"(?<![\w/-])kvp11 (?=[a-z%-])"
CONVERSION = re.compile(r"%[-+ #0]*(\*|\d+)?(?:\.(\*|\d+)?)?(?:hh|h|ll|l|z|j|t)?([a-zA-Z%])")


def commands_of(tree):
    """name → its options, of the table in main.c."""
    text = source.bare(tree.text("tools/main.c"), keep_strings=True)
    arrays = {}
    for path in tree.c_files("tools"):
        for match in re.finditer(r"struct kv_option (\w+)\[\] = \{(.*?)\n\};", source.bare(tree.text(path), keep_strings=True), re.S):
            arrays[match.group(1)] = set(re.findall(r'\{\s*"(--?[A-Za-z][a-z-]*)"', match.group(2)))
    shared = arrays.get("global_options", {"--config", "--vault", "--json"}) | {"-h"}
    found = {"help": shared}
    for match in re.finditer(r'^    \{ "([a-z][a-z-]*(?: [a-z-]+)?)",(.*?)\},\n', text, re.M | re.S):
        used = [arrays[word] for word in re.findall(r"\w+", re.sub(r'"(?:\\.|[^"\\\n])*"', "", match.group(2))) if word in arrays]
        found[match.group(1)] = set().union(shared, *used)
    return found


def macros_of(tree):
    """Texts that have a name."""
    found = {}
    for path in tree.c_files("include", "module", "tools"):
        for match in re.finditer(r"^#define (\w+)((?:[^\n\\]|\\\n|\\.)*)", tree.text(path), re.M):
            parts = re.findall(r'"((?:\\.|[^"\\\n])*)"', match.group(2))
            if parts and not re.sub(r'"(?:\\.|[^"\\\n])*"|[\s\\]', "", match.group(2)):
                found[match.group(1)] = "".join(parts)
    return found


def arguments_behind(tokens, i):
    """The arguments behind a format, as texts; None: it is none, or the last."""
    if i >= len(tokens) or tokens[i][0] != ",":
        return None
    depth, parts = 0, [""]
    for token, _ in tokens[i + 1:]:
        if token in "([{":
            depth += 1
        elif token in ")]}":
            depth -= 1
        if depth < 0 or (token == ";" and not depth):
            break
        if token == "," and not depth:
            parts.append("")
        else:
            parts[-1] += token
    return parts


def texts_of(text, macros):
    """(line, the text of neighbouring literals, the arguments behind it)."""
    tokens = [(match.group(0), match.start()) for match in TOKEN.finditer(source.bare(text, keep_strings=True))]
    i = 0
    while i < len(tokens):
        i += 2 if tokens[i][0] == "define" else 0
        start, whole, literal = i, "", False
        while i < len(tokens) and (tokens[i][0][0] == '"' or tokens[i][0] in macros or re.fullmatch(r"PRI\w+|KVP11_RELEASE", tokens[i][0])):
            token = tokens[i][0]
            literal |= token[0] == '"' or token in macros
            whole += token[1:-1] if token[0] == '"' else macros.get(token, "d" if token.startswith("PRI") else "1.0")
            i += 1
        if literal:
            yield source.line_of(text, tokens[start][1]), whole, arguments_behind(tokens, i)
        i += i == start


def span_of(text, start):
    """Where the command that begins at `start` ends: at the mark that it is set in, or at what no command has."""
    mark = text[start - 1:start]
    if mark in ("`", "'") and mark in text[start:]:
        return text.index(mark, start)
    end = re.search(r"; |, |: |[()`…]|\\\\n|\. ", text[start:])
    return start + end.start() if end else len(text)


def words_of(text):
    return [word.strip("`'\",:;.()[]") if word != "--" else word for word in text.replace("\\-", "-").split()]


def judge(words, commands):
    """What is wrong with the words behind "kvp11"; None: nothing."""
    while words and words[0].startswith("--"):
        option = words.pop(0)
        if option not in commands["help"]:
            return f"kvp11 has no option '{option}'"
        if option in ("--vault", "--config") and words:
            words.pop(0)
    if not words or not re.fullmatch(r"[a-z][a-z-]*", words[0]) or words[0] in NO_COMMANDS:
        return None
    name = " ".join(words[:2]) if " ".join(words[:2]) in commands else words[0]
    if name not in commands:
        return f"kvp11 has no command '{' '.join(words[:2])}'"
    for word in words:
        if word == "--":
            break
        match = re.fullmatch(r"(--?[A-Za-z][a-z-]*)(=.*)?", word)
        if match and match.group(1) not in commands[name]:
            return f"'kvp11 {name}' has no option '{match.group(1)}'"
    return None


def unquoted(text, span, arguments):
    """The arguments that stand within the span as they are."""
    at = 0
    for match in CONVERSION.finditer(text):
        if match.group(3) == "%":
            continue
        at += (match.group(1) == "*") + (match.group(2) == "*")
        if span[0] <= match.start() < span[1] and match.group(3) == "s" and at < len(arguments):
            argument = re.sub(r"\s", "", arguments[at])
            chosen = re.fullmatch(r'.*\?"[^"]*":"[^"]*"', argument)  # one of two texts of our own
            if "kv_word(" not in argument and not chosen and not PLAIN.search(argument):
                yield argument
        at += 1


def man_commands(tree):
    """the paragraph of a command in kvp11(1) tells its options, and its first line no others"""
    page, commands = tree.text("tools/kvp11.1"), commands_of(tree)
    heads = list(re.finditer(r"^\.It Cm (.*)$", page, re.M))
    for name, options in sorted(commands.items()):
        own = options - commands["help"]
        at = [i for i, head in enumerate(heads) if re.match(re.escape(name) + r"(?= (?:Ar|Fl|Oo|Op)\b|$)", head.group(1))]
        if name == "help" or not at:
            continue
        head = heads[at[0]]
        end = heads[at[0] + 1].start() if at[0] + 1 < len(heads) else len(page)
        told, first = (set(re.findall(r"\bFl (-?[A-Za-z][a-z-]*)", text)) for text in (page[head.start():end], head.group(1)))
        for option in sorted(own - {"-" + word for word in told}):
            yield f"tools/kvp11.1:{source.line_of(page, head.start())}: '{name}' does not tell its option '{option}'"
        for word in sorted(first - {option[1:] for option in options}):
            yield f"tools/kvp11.1:{source.line_of(page, head.start())}: '{name}' has no option '-{word}'"


def usages(tree, commands):
    """The usage line of a command against its own options."""
    text = source.bare(tree.text("tools/main.c"), keep_strings=True)
    for match in re.finditer(r'^    \{ "([a-z][a-z -]*)",\s*((?:"(?:\\.|[^"\\\n])*"\s*)+),', text, re.M):
        told = "".join(re.findall(r'"((?:\\.|[^"\\\n])*)"', match.group(2)))
        for option in set(re.findall(r"(?<![\w-])(--?[A-Za-z][a-z-]*)", told)) - commands[match.group(1)]:
            yield f"tools/main.c:{source.line_of(text, match.start())}: '{match.group(1)}' has no option '{option}' that its usage line names"


def remedies(tree):
    """every command that a text or a page tells to run is one of kvp11's, with options it has; names in it are kv_word()"""
    commands, macros = commands_of(tree), macros_of(tree)
    yield from usages(tree, commands)
    for path in tree.c_files("include", "module", "tools"):
        if path.startswith("tools/emulator/"):
            continue
        for line, text, arguments in texts_of(tree.text(path), macros):
            for match in re.finditer(OURS, text):
                end = span_of(text, match.start())
                wrong = judge(words_of(text[match.end():end]), commands)
                if wrong:
                    yield f"{path}:{line}: {wrong}: {text[match.start():end]!r}"
                for argument in unquoted(text, (match.start(), end), arguments or ()):
                    yield f"{path}:{line}: '{argument}' stands in {text[match.start():end]!r} as it is: kv_word({argument}).text"
    for path in tree.files():
        if not re.search(rules.PAGES, path):
            continue
        for number, line in enumerate(tree.text(path).split("\n"), 1):
            for match in re.finditer(OURS, line):
                end = re.search(r"[|&;#>]| [a-z]+ --? |[`)\"]|, |: |\. |$", line[match.end():]).start() + match.end()
                wrong = judge(words_of(line[match.end():end]), commands)
                if wrong:
                    yield f"{path}:{number}: {wrong}: {line[match.start():end]!r}"
