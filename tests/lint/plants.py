"""For each check a violation: planted in a small tree that is clean, it must be found, and at the place where it was planted."""

import os
import shutil
import subprocess
from functools import partial

import checks

MODULE_C = '/* Why. */\n#include "base/status.h"\n\nint kv_x(void)\n{\n    return 0;\n}\n'
MAIN_C = 'static const struct row rows[] = {\n    { "keys", "[NAME]", "lists" },\n};\nstatic const char *o = "--json";\n'
CLEAN = {
    "LICENSE": "Apache License\n",
    "README.md": "# x\n",
    ".clang-format": open(os.path.join(os.path.dirname(__file__), "../../.clang-format"), encoding="utf-8").read(),
    "include/base/status.h": "/* What. */\nint kv_x(void);\n",
    "module/base/status.c": MODULE_C,
    "module/vault/vault.c": "/* Why. */\nint kv_v(void);\n",
    "module/config/keys.c": 'static const struct row rows[] = {\n    { VAULT("url", "text") },\n};\n',
    "conf/kvp11.conf.5": '.Dd January 1, 2026\n.Dt KVP11.CONF 5\n.Os\n.Sh NAME\n.Nm kvp11.conf\n.Nd configuration\n'
                         ".Sh DESCRIPTION\n.Bl -tag -width x\n.It Ic url\nThe vault.\n.El\n",
    "tools/main.c": MAIN_C,
    "tools/kvp11.1": ".Dd January 1, 2026\n.Dt KVP11 1\n.Os\n.Sh NAME\n.Nm kvp11\n.Nd tool\n.Sh DESCRIPTION\n"
                     ".Bl -tag -width x\n.It Cm keys Op Ar NAME\nLists.\n.It Fl -json\nJSON.\n.El\n",
    "tools/emulator/main.c": 'static const char *help = "  --port N";\n',
    "tools/emulator/kvp11-emulator.1": ".Dd January 1, 2026\n.Dt KVP11-EMULATOR 1\n.Os\n.Sh NAME\n.Nm kvp11-emulator\n"
                                       ".Nd vault\n.Sh DESCRIPTION\n.Bl -tag -width x\n.It Fl -port Ar N\nPort.\n.El\n",
    "include/mech/functions.def": "KV_FUNCTION_2_40(C_Sign)\nKV_FUNCTION_2_40(C_InitToken)\nKV_FUNCTION_3_0(C_GetInterface, (int a))\n",
    "module/p11/unsupported.def": "KV_UNSUPPORTED(C_InitToken, (int a))\n",
    "module/p11/ckr.c": "static const int names[] = { NAMED(CKR_OK) };\n",
    "include/base/status.def": "KV_STATUS(OK, CKR_OK)\n",
    "tests/inject/scenario.c": "int a = p11->C_Sign(1) || p11->C_GetInterface(2);\n",
    "module/mech/table.c": "static const int rows[] = {\n    ROW(CKM_ECDSA),\n    ROW(CKM_ECDSA),\n};\n",
    "conf/kvp11-features.7": ".Dd January 1, 2026\n.Dt KVP11-FEATURES 7\n.Os\n.Sh NAME\n.Nm kvp11-features\n.Nd what is there\n"
                             ".Sh FUNCTIONS\n.Bl -tag -width x\n.It Fn C_Sign No yes\n.It Fn C_GetInterface No yes\n"
                             ".It Fn C_InitToken No no\nNever.\n.It Dv CKM_ECDSA No limited\nFour curves.\n.El\n",
    "tools/setup": "#!/bin/sh\nexit 0\n",
}
LONG = "int kv_long(void)\n{\n" + "    kv_x();\n" * 90 + "    return 0;\n}\n"

# (check, what it is, path, text to add at its end or, with "=", to have instead, what the finding must name)
PLANTS = [
    (checks.layers, "base includes vault", "module/base/status.c", '#include "vault/vault.h"\n', "module/base/status.c:8"),
    (checks.layers, "p11 includes vault", "module/p11/slot.c", '=#include "vault/vault.h"\n', "module/p11/slot.c:1"),
    (checks.layers, "the tool includes net", "tools/main.c", '#include "net/http.h"\n', "tools/main.c:5"),
    (checks.layers, "the emulator includes base", "tools/emulator/main.c", '#include "base/json.h"\n', "main.c:2"),
    (checks.layers, "a header of base includes keys", "include/base/status.h", '#include "keys/key.h"\n', "status.h:3"),
    (checks.layers, "a folder that is no layer", "module/extra/x.c", "=int x;\n", "module/extra/x.c:1"),
    (checks.libraries, "curl in vault", "module/vault/vault.c", "#include <curl/curl.h>\n", "module/vault/vault.c:3"),
    (checks.libraries, "SQLite in core", "module/core/core.c", "=#include <sqlite3.h>\n", "module/core/core.c:1"),
    (checks.libraries, "OpenSSL in config", "module/config/keys.c", "#include <openssl/evp.h>\n", "keys.c:4"),
    (checks.rest_layers, "a mechanism in vault", "module/vault/vault.c", "int m = CKM_RSA_PKCS;\n", "vault.c:3"),
    (checks.banned, "strcpy", "tools/main.c", "void f(void)\n{\n    strcpy(a, b);\n}\n", "tools/main.c:7"),
    (checks.banned, "printf in the module", "module/base/status.c", 'int z = printf("x");\n', "status.c:8"),
    (checks.banned, "getenv outside config.c", "module/base/status.c", 'char *e = getenv("HOME");\n', "status.c:8"),
    (checks.banned, "memcmp in auth", "module/auth/token.c", "=int q = memcmp(a, b, 3);\n", "token.c:1"),
    (checks.banned, "abort in the module", "module/vault/vault.c", "int q(void)\n{\n    abort();\n}\n", "vault.c:5"),
    (checks.unfinished, "a note", "README.md", "TO" + "DO later\n", "README.md:2"),
    (checks.sizes, "a function of 93 lines", "module/base/status.c", LONG, "kv_long has 94 lines"),
    (checks.sizes, "a file of 600 lines", "module/vault/vault.c", "int x;\n" * 600, "602 lines"),
    (checks.parameters, "six parameters", "module/base/status.c",
     "int kv_six(int a, int b, int c,\n           int d, int e, void (*f)(int, int), int *ret)\n{\n    return 0;\n}\n",
     "kv_six takes 6"),
    (checks.man_settings, "a setting without paragraph", "module/config/keys.c",
     '=static const struct row rows[] = {\n    { VAULT("url", "text") },\n    { .info = { "vault", "pin", "" } },\n};\n',
     "'pin' of module/config/keys.c"),
    (checks.man_settings, "a paragraph without setting", "conf/kvp11.conf.5", ".Bl -tag\n.It Ic old\nOld.\n.El\n", "'old'"),
    (checks.man_tool, "a command without paragraph", "tools/main.c", '    { "map show", "", "" },\n', "'map show'"),
    (checks.man_tool, "an option without paragraph", "tools/main.c", 'static char *p = "--all";\n', "'all'"),
    (checks.man_commands, "an option that another paragraph tells", "tools/main.c",
     '=static const struct kv_option all[] = {\n    { "--json", NULL },\n    { "--size", NULL },\n};\n' + MAIN_C.replace('"lists"', '"lists", all'),
     "'keys' does not tell its option '--size'"),
    (checks.man_commands, "an option that the command does not have", "tools/kvp11.1",
     "=" + CLEAN["tools/kvp11.1"].replace("Ar NAME", "Ar NAME Op Fl -size"), "'keys' has no option '--size'"),
    (checks.remedies, "a command that is not there", "module/base/status.c", 'const char *r = "see `kvp11 kees`";\n', "status.c:8: kvp11 has no command 'kees'"),
    (checks.remedies, "an option that is not there", "module/base/status.c", 'const char *r = "run: kvp11 --vault %s keys --oll";\n', "'kvp11 keys' has no option '--oll'"),
    (checks.remedies, "a name as it is", "tools/main.c",
     'int y = f(err, KV_DENIED, "\'%.*s\': " "see `kvp11 --vault %s keys` %s", n, s, kv_word(a).text, b) || g("kvp11 --vault %s keys", c->name);\n',
     "main.c:5: 'c->name' stands in"),
    (checks.remedies, "a macro with a name as it is", "tools/main.c", '#define GO "kvp11 --vault %s keys"\nint y = f("x: " GO, c->name);\n', "main.c:6: 'c->name' stands in"),
    (checks.remedies, "an old option in a usage line", "tools/main.c", ("=" + MAIN_C).replace("[NAME]", "[NAME] [--old]"), "'keys' has no option '--old' that its usage"),
    (checks.remedies, "an old command in the README", "README.md", "Try `kvp11 list` first.\n", "README.md:2: kvp11 has no command 'list"),
    (checks.remedies, "an old option in a recipe", "tools/kvp11.1", ".Dl kvp11 keys --old\n", "'kvp11 keys' has no option '--old'"),
    (checks.man_emulator, "an option without paragraph", "tools/emulator/main.c", 'char *p = "--state DIR";\n', "'state'"),
    (checks.features, "a function that nobody tells of", "include/mech/functions.def", "KV_FUNCTION_2_40(C_Digest)\n", "'C_Digest'"),
    (checks.features, "a mechanism that nobody tells of", "module/mech/table.c", "ROW(CKM_AES_CTR),\n", "'CKM_AES_CTR'"),
    (checks.features, "a mechanism that is not there", "conf/kvp11-features.7",
     ".Bl -tag\n.It Dv CKM_RSA_X_509 No yes\n.El\n", "'CKM_RSA_X_509'"),
    (checks.features, "a function told to be there that is not", "module/p11/unsupported.def",
     "KV_UNSUPPORTED(C_Sign, (int a))\n", "'C_Sign' is 'yes' here, and no in the source"),
    (checks.features, "a function told not to be there that is", "module/p11/unsupported.def", "=\n",
     "'C_InitToken' is 'no' here, and limited or yes in the source"),
    (checks.features, "a function of 3.0 that nobody tells of", "include/mech/functions.def",
     "KV_FUNCTION_3_0(C_LoginUser, (int a))\n", "'C_LoginUser'"),
    (checks.features, "a function that stands there twice", "conf/kvp11-features.7",
     ".Bl -tag\n.It Fn C_Sign No limited\n.El\n", "'C_Sign' stands there twice"),
    (checks.features, "a word nobody knows", "conf/kvp11-features.7", ("=" + CLEAN["conf/kvp11-features.7"]).replace(
        "C_Sign No yes", "C_Sign No perhaps"), "'C_Sign' is 'perhaps'"),
    (checks.features, "a refusal without its reason", "conf/kvp11-features.7", ("=" + CLEAN["conf/kvp11-features.7"]).replace(
        "Never.\n", ""), "'C_InitToken' is 'no' without a reason"),
    (checks.codes, "a code without a name", "module/p11/slot.c", "=int rv = CKR_NO_EVENT;\n", "module/p11/slot.c:1: 'CKR_NO_EVENT'"),
    (checks.codes, "a status with such a code", "include/base/status.def", "KV_STATUS(X, CKR_PIN_LOCKED)\n", "'CKR_PIN_LOCKED'"),
    (checks.injected, "a function that no step calls", "tests/inject/scenario.c", "=\n", "calls 'C_Sign'"),
    (checks.man_syntax, "a list without end", "tools/kvp11.1", ".Bl -tag -width x\n.It Fl x\n", "kvp11.1"),
    (checks.formatting, "two statements on a line", "module/base/status.c", "int y(void)\n{\n  return 0; }\n", "status.c:1"),
    (checks.scripts, "an if without end", "tools/setup", "if true; then\n", "tools/setup:1"),
    (checks.places, "a folder of one machine", "README.md", "see /work/" + "main\n", "README.md:2"),
    (checks.places, "a mirror", "README.md", "https://registry.npmjs" + ".org/x\n", "README.md:2"),
    (checks.top_level, "a new folder", "docs/x.md", "=x\n", "docs"),
    (checks.top_level, "no licence", "LICENSE", "=\n", "LICENSE:1"),
    (checks.whitespace, "a blank at the end", "tools/main.c", "int x; \n", "tools/main.c:5"),
]


def write(root, path, text, append=False):
    path = os.path.join(root, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "a" if append else "w", encoding="utf-8") as stream:
        stream.write(text)
    if path.endswith("/setup"):
        os.chmod(path, 0o755)


def make_tree(root):
    for path, text in CLEAN.items():
        write(root, path, text)


def cases(scratch):
    """Yields (sentence, function that gives its verdict)."""
    clean = os.path.join(scratch, "clean")
    make_tree(clean)
    for check in checks.ALL:
        if check is not checks.exports:
            yield f"{check.__name__}: nothing in a clean tree", partial(verdict, check, checks.Tree(clean), None)
    for number, (check, what, path, text, finding) in enumerate(PLANTS):
        root = os.path.join(scratch, str(number))
        make_tree(root)
        write(root, path, text.removeprefix("="), append=not text.startswith("="))
        yield f"{check.__name__}: finds {what}", partial(verdict, check, checks.Tree(root), finding)
        shutil.rmtree(root)
    yield "exports: finds a fourth function", partial(verdict, checks.exports, exporting_tree(scratch), "kv_leak")


def exporting_tree(scratch):
    build = os.path.join(scratch, "build")
    os.makedirs(build)
    names = [*checks.rules.EXPORTS, "kv_leak"]
    write(build, "x.c", "".join(f"void {name}(void);\nvoid {name}(void)\n{{\n}}\n" for name in names))
    for name in checks.rules.SHARED_OBJECTS:
        subprocess.run(["cc", "-shared", "-fPIC", "-o", os.path.join(build, name), os.path.join(build, "x.c")],
                       check=True, capture_output=True)
    return checks.Tree(scratch, build)


def verdict(check, tree, finding):
    """(good, lines to show); finding None: nothing may be found."""
    found = list(check(tree))
    if finding is None:
        return not found, found
    return any(finding in line for line in found), found or ["nothing was found"]
