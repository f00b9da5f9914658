"""The facts that the checks read: which layer may see which, who may use a library, what is banned and what is exempt and why."""

# Folders of the tool: "room/header.h" for those outside.
ROOMS = ["age", "cms", "doctor", "drill", "explain", "key_backup", "kvmap", "policy", "process", "rewrap", "scan", "secret", "sync", "token"]
# A layer sees itself and what stands here.
LAYERS = {
    "base": [],
    "config": ["base"],
    "net": ["base", "config"],
    "auth": ["base", "config", "net"],
    "mech": ["base"],
    "vault": ["base", "config", "net", "auth"],
    "keys": ["base", "config", "net", "auth", "mech", "vault"],
    "core": ["base", "config", "net", "auth", "mech", "vault", "keys"],
    "p11": ["base", "config", "mech", "keys", "core"],
    "tools": ["base", "config", "mech", "keys", "core", *ROOMS],
    "tools/emulator": [],  # another implementation: it shares nothing with the module
}
PUBLIC_HEADER = "kvp11.h"

# A library (by header) and the only files that may include it.
LIBRARIES = [
    (r"curl/", r"module/net/http\w*\.[ch]"),
    (r"(cjson/)?cJSON", r"module/base/json\.c"),
    (r"sqlite3", r"module/keys/version_map\w*\.[ch]"),
    (r"ini\.h", r"module/config/config\.c"),
    (r"jansson", r"tools/emulator/\w+\.[ch]"),
    (r"microhttpd", r"tools/emulator/\w+\.[ch]"),
    (r"openssl/", r"include/base/ossl\.h|module/base/(bytes|encode|ossl)\.c|module/mech/\w+\.[ch]|module/auth/(client_key|key_file|pss|token_keyring)\.[ch]|"
                  r"module/net/http\w*\.[ch]|module/p11/call\.c|module/keys/key_ops\w*\.c|tools/age/(primitives|cipher|ssh_keys)\.c|tools/cms/(cipher|private_key|text)\.c|tools/emulator/\w+\.[ch]"),
    (r"p11-kit/", r"include/mech/pkcs11\.h|module/auth/foreign_key\.c|tools/token/\w+\.[ch]"),
]

# Layers that speak REST and know nothing of PKCS#11.
NO_PKCS11 = ["net", "auth", "vault"]
# A file of theirs that speaks it all the same, and why.
PKCS11_GUESTS = {
    "module/auth/foreign_key.c": "asks another PKCS#11 module, as any application would, for a credential's signature",
}

# (pattern in code without comments and strings, where it is banned, where it is allowed, what to use)
C_UNDER = r"(include|module|tools|tests)/.*\.[ch]$"
BANNED = [
    (r"\b(strcpy|strcat|sprintf|vsprintf|stpcpy)\s*\(", C_UNDER, None, "kv_text_fit, kv_text_format or snprintf"),
    (r"\b(atoi|atol|atoll|atof)\s*\(", C_UNDER, None, "strtoll with its end checked"),
    (r"\bgets\s*\(", C_UNDER, None, "getline or fread"),
    (r"\bstrtok\s*\(", C_UNDER, None, "strcspn or strtok_r"),
    (r"\balloca\s*\(", C_UNDER, None, "kv_bytes_alloc"),
    (r"\b(v?printf|puts|putchar|perror)\s*\(", r"(include|module)/", None, "kv_log_line; a module never prints"),
    (r"\bv?fprintf\s*\(\s*(stdout|stderr)\b|\bfputs\s*\([^;]*\b(stdout|stderr)\b", r"(include|module)/", None,
     "kv_log_line; a module never prints"),
    (r"\b(exit|_exit|abort|assert)\s*\(", r"(include|module)/", None, "a status: a module never ends its host"),
    (r"\b(secure_)?getenv\s*\(", r"(include|module)/", r"module/config/config\.c$", "config: only config.c reads it"),
    (r"\bmemcmp\s*\(", r"module/(auth/|p11/(operation|sign|cipher|session|entry_)\w*\.c)", None,
     "kv_view_equal_ct, or kv_view_equal where nothing is secret"),
    (r"\b(setlocale|signal|srand|rand|system|popen)\s*\(", r"(include|module)/", None,
     "nothing: it changes the host, or is not random"),
]
# Unfinished work is written in the issue tracker, not in the source.
UNFINISHED = r"\b(TO" + r"DO|FIX" + r"ME|X" + r"XX)\b"

FUNCTION_LINES = 80
FILE_LINES = 500
PARAMETERS = 5
# Files over FILE_LINES because they are tables, and nothing but.
TABLE_FILES = {
    "module/mech/table.c": "one row for each pair of mechanism and algorithm",
    "module/config/keys.c": "one row for each setting",
}
# Parameter counts that somebody else's interface sets.
FOREIGN_SIGNATURES = {
    r"module/p11/\w+\.c:C_\w+": "PKCS#11",
    r"tools/emulator/http\.c:on_request": "libmicrohttpd",
}

# Names of hosts that only one machine or one mirror has, and folders of the machine this was written on.
FOREIGN_PLACES = (
    r"(?<![\w.])/(work|tmp/b-|tmp/brief|root/|home/\w)[\w/-]*"
    r"|https?://[^\s\"'>]*(artifactory|nexus|mirror|registry\.npmjs|pypi\.org|deb\.debian|snapshot\.debian|proxy\.golang)[^\s\"'>]*"
)

# Pages whose lines people copy into a shell.
PAGES = r"^README\.md$|^(tools|conf)/[^/]+\.[1-8]$|^conf/.*\.(service|timer|conf|example|module)(\.in)?$"

TOP_LEVEL = {
    "meson.build", "meson_options.txt", "module", "include", "tools", "tests", "conf", "README.md", "LICENSE",
    "CHANGELOG.md", "SECURITY.md", ".ci", ".clang-format", ".editorconfig", ".git", ".gitignore",
}
EXPORTS = ["C_GetFunctionList", "C_GetInterface", "C_GetInterfaceList"]
SHARED_OBJECTS = ["libkvp11.so", "libkvp11-impl.so"]
