"""The text format of Prometheus 0.0.4, as its node exporter's textfile collector takes it: a strict reader of our own."""
import re

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\Z")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|\Z)')
SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? ([^ ]+)\Z")
ESCAPES = {r"\\": "\\", r"\"": '"', r"\n": "\n"}


def labels_of(text):
    labels = {}
    while text:
        found = LABEL.match(text)
        assert found, f"no label: {text!r}"
        name, value, comma = found.groups()
        text = text[found.end():]
        assert name not in labels and not name.startswith("__"), f"label '{name}' stands twice, or is Prometheus's own"
        assert not comma or text, "a comma behind the last label"
        labels[name] = re.sub(r"\\.", lambda m: ESCAPES[m.group()], value)
    return labels


def read(text):
    """{(metric, ((label, value), ...)): value}; AssertionError names the line that is wrong."""
    assert text.endswith("\n"), "no line feed at the end"
    samples, helped, typed, open_family, closed = {}, set(), {}, None, set()
    for line in text[:-1].split("\n"):
        if line.startswith("# "):
            _, word, name, rest = (line + "   ").split(" ", 3)
            assert word in ("HELP", "TYPE") and NAME.match(name), line
            assert name not in (helped if word == "HELP" else typed), f"twice: {line}"
            assert name not in closed, f"the lines of a metric stand together: {line}"
            if name != open_family:
                closed.add(open_family)
                open_family = name
            if word == "HELP":
                helped.add(name)
            else:
                typed[name] = rest.strip()
                assert typed[name] in ("counter", "gauge", "histogram", "summary", "untyped"), line
            continue
        found = SAMPLE.match(line)  # no third column: the collector refuses time stamps
        assert found, f"no sample: {line!r}"
        name, labels, value = found.groups()
        assert name == open_family and name in helped and name in typed, f"without HELP and TYPE right before: {line}"
        key = name, tuple(sorted(labels_of(labels or "").items()))
        assert key not in samples, f"twice: {line}"
        samples[key] = float(value)
        check_name(name, typed[name])
    for name in typed:
        assert any(metric == name for metric, _ in samples), f"'{name}' has no sample"
    return samples


def check_name(name, kind):
    """What Prometheus advises: one prefix, lower case, base units at the end, `total` for counters alone."""
    assert re.match(r"kvp11_[a-z0-9_]+\Z", name), name
    assert name.endswith("_total") == (kind == "counter"), name
    for unit in ("days", "minutes", "hours", "milliseconds", "ms", "kib", "mib", "percent"):
        assert unit not in name.split("_"), f"'{name}': not a base unit"
    if "timestamp" in name:
        assert name.endswith("_timestamp_seconds"), name
