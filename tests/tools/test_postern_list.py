"""postern-list against policy.json files as published, read here a second time by Python's own JSON, and against faulty ones."""

import json
import os
import subprocess
import zlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "build/tools/postern-list"
DATA = Path(os.environ.get("POSTERN_TEST_DATA", ROOT / "../shared/data"))
REAL = sorted(DATA.glob("policy-*.json"))

HEAD = {
    "timestamp": "2020-05-20T10:25:12.710034-07:00",
    "expires": "2020-06-03T10:25:12.710055-07:00",
    "version": "0.1",
    "author": "Somebody",
}
GOOD = {"mode": "enforce", "mxs": ["mx.example.com", ".example.net"]}


def run(*args, code=0):
    result = subprocess.run([TOOL, *map(str, args)], capture_output=True, text=True, timeout=60)
    assert result.returncode == code, (args, result.returncode, result.stdout[-2000:], result.stderr[-2000:])
    return result


def compile_text(tmp_path, text, code=0):
    source, target = tmp_path / "policy.json", tmp_path / "out.list"
    source.write_bytes(text if isinstance(text, bytes) else text.encode())
    result = run("compile", source, "-o", target, code=code)
    assert target.exists() == (code == 0)
    assert list(tmp_path.glob("*.part")) == []
    return target, result


def compile_policies(tmp_path, policies, code=0, aliases=None, **head):
    top = {**HEAD, **head, "policies": policies}
    if aliases is not None:
        top["policy-aliases"] = aliases
    return compile_text(tmp_path, json.dumps({k: v for k, v in top.items() if v is not None}), code)


def entries(listing):
    found = {}
    for line in listing.splitlines():
        if not line.startswith("#"):
            name, mode, *mxs = line.split()
            assert name not in found
            found[name] = (mode, mxs)
    return found


def expected(path):
    """The meaning of a policy.json, from its definition and without the tool."""
    top = json.loads(path.read_text())
    result = {}
    for name, policy in top["policies"].items():
        if "policy-alias" in policy:
            policy = top["policy-aliases"][policy["policy-alias"]]
        mxs = []
        for mx in policy["mxs"]:
            if mx.lower() not in mxs:
                mxs.append(mx.lower())
        result[name.lower()] = (policy["mode"], mxs)
    return result


@pytest.mark.skipif(not REAL, reason="the published lists are not here")
@pytest.mark.parametrize("path", REAL, ids=[p.stem for p in REAL] or None)
def test_published_lists(tmp_path, path):
    target = tmp_path / "out.list"
    want = expected(path)
    run("compile", path, "-o", target)
    assert entries(run("show", target).stdout) == want
    assert entries(run("find", target, *want).stdout) == want
    assert "good" in run("verify", target, "--against", path).stdout
    order = list(entries(run("show", target).stdout))
    assert order == sorted(order, key=lambda name: [label.encode() for label in reversed(name.split("."))])
    misses = [f"x{name}" for name in want] + [f"x.{name}" for name in want] + [name.split(".", 1)[1] for name in want]
    misses = [name for name in misses if name not in want]
    for line in run("find", target, *misses, code=1).stdout.splitlines():
        assert line.endswith(" not listed")


@pytest.mark.skipif(not (DATA / "policy-2020-05-20.json").exists(), reason="the published list is not here")
def test_figures_of_the_last_published_list(tmp_path):
    target = tmp_path / "out.list"
    run("compile", DATA / "policy-2020-05-20.json", "-o", target)
    text = run("stats", target).stdout
    assert "published        2020-05-20T17:25:12Z" in text
    assert "expires          2020-06-03T17:25:12Z" in text
    assert "domains          926 (enforce 361, testing 565)" in text  # 553 of them by themselves, 12 by an alias
    again = tmp_path / "again.list"
    run("compile", DATA / "policy-2020-05-20.json", "-o", again)
    assert again.read_bytes() == target.read_bytes()


def test_the_format_is_frozen(tmp_path):
    """Lists are on boxes: bytes that change here want a new format number and a reader for both."""
    vectors = ROOT / "tests/vectors/list"
    target = tmp_path / "out.list"
    run("compile", vectors / "small.json", "-o", target)
    assert target.read_bytes() == (vectors / "small.list").read_bytes()


def test_forms_of_time(tmp_path):
    for stamp, shown in [
        (1589995512, "2020-05-20T17:25:12Z"),
        ("1589995512", "2020-05-20T17:25:12Z"),
        ("2020-05-20T17:25:12Z", "2020-05-20T17:25:12Z"),
        ("2020-05-20T19:25:12.999+02:00", "2020-05-20T17:25:12Z"),
    ]:
        target, _ = compile_policies(tmp_path, {"a.example": GOOD}, timestamp=stamp)
        assert f"published        {shown}" in run("stats", target).stdout
        target.unlink()


def test_names_are_folded(tmp_path):
    policies = {"EXAMPLE.com": {"mode": "testing", "mxs": ["MX.Example.COM", "mx.example.com."]}, "Bücher.example": GOOD}
    target, result = compile_policies(tmp_path, policies)
    assert entries(run("show", target).stdout) == {
        "example.com": ("testing", ["mx.example.com"]),
        "xn--bcher-kva.example": ("enforce", ["mx.example.com", ".example.net"]),
    }
    assert 'EXAMPLE.com: pattern "mx.example.com" is given twice' in result.stderr
    assert "xn--bcher-kva.example enforce" in run("find", target, "BÜCHER.example").stdout


def test_aliases(tmp_path):
    target, _ = compile_policies(
        tmp_path, {"a.example": {"policy-alias": "p"}, "b.example": {"policy-alias": "p"}}, aliases={"p": GOOD}
    )
    assert set(entries(run("show", target).stdout)) == {"a.example", "b.example"}
    assert "1 distinct" in run("stats", target).stdout


def test_an_empty_list(tmp_path):
    target, _ = compile_policies(tmp_path, {})
    assert entries(run("show", target).stdout) == {}
    run("verify", target)
    run("find", target, "example.com", code=1)


def policy(**changes):
    return {k: v for k, v in {**GOOD, **changes}.items() if v is not None}


FAULTS = {
    "no mode": ({"a.example": policy(mode=None)}, {}, 'a.example: "mode" is missing'),
    "unknown mode": ({"a.example": policy(mode="strict")}, {}, 'a.example: mode "strict" is neither'),
    "mode not text": ({"a.example": policy(mode=1)}, {}, "a.example: mode"),
    "no mxs": ({"a.example": policy(mxs=None)}, {}, 'a.example: "mxs" is missing'),
    "empty mxs": ({"a.example": policy(mxs=[])}, {}, "a.example: \"mxs\" is not a list with at least one"),
    "mxs not a list": ({"a.example": policy(mxs="mx.a.example")}, {}, "a.example: \"mxs\" is not a list"),
    "number in mxs": ({"a.example": policy(mxs=[3])}, {}, "a.example: \"mxs\" holds something that is not text"),
    "star": ({"a.example": policy(mxs=["*.a.example"])}, {}, 'a.example: pattern "*.a.example": a star'),
    "two dots": ({"a.example": policy(mxs=["..a.example"])}, {}, 'a.example: pattern "..a.example": not a host name'),
    "bad label": ({"a.example": policy(mxs=["mx..a.example"])}, {}, 'a.example: pattern "mx..a.example": not a host name'),
    "hyphen": ({"a.example": policy(mxs=["-mx.a.example"])}, {}, 'a.example: pattern "-mx.a.example"'),
    "address": ({"a.example": policy(mxs=["192.0.2.1"])}, {}, 'a.example: pattern "192.0.2.1"'),
    "whole TLD": ({"a.example": policy(mxs=[".com"])}, {}, 'a.example: pattern ".com": a suffix of one label'),
    "one label": ({"a.example": policy(mxs=["mail"])}, {}, 'a.example: pattern "mail": a host name has at least two'),
    "newline": ({"a.example": policy(mxs=["mx.a\n.example"])}, {}, r'a.example: pattern "mx.a\x0a.example"'),
    "too many": ({"a.example": policy(mxs=[f"mx{i}.a.example" for i in range(33)])}, {}, "a.example: 33 patterns"),
    "too long": ({"a.example": policy(mxs=[f"{'x' * 60}{i}.a.example" for i in range(20)])}, {}, "a.example: 20 patterns"),
    "long label": ({"a.example": policy(mxs=[f"{'x' * 64}.a.example"])}, {}, "a.example: pattern"),
    "mode and alias": ({"a.example": {"policy-alias": "p", **GOOD}}, {"aliases": {"p": GOOD}}, "a.example: has a policy of its own and"),
    "mxs not a list but an object": ({"a.example": policy(mxs={"mx.a.example": 1})}, {}, 'a.example: "mxs" is not a list'),
    "alias twice": ({"a.example": GOOD}, {"text": ('"q": {', '"p": {')}, 'alias "p" is defined twice, first in line 1'),
    "policies a list": ({}, {"policies": [1]}, 'top level: "policies" is not an object'),
    "aliases a list": ({}, {"aliases": []}, 'top level: "policy-aliases" is not an object'),
    "an endless value": ({"a.example": {"mode": "enforce", "mxs": ["x" * 200000]}}, {}, "a.example: takes more than 131072 bytes"),
    "an endless author": ({}, {"author": "x" * 200000}, "top level: takes more than 131072 bytes"),
    "not an object": ({"a.example": "enforce"}, {}, "a.example: not an object"),
    "no mail domain": ({"a b.example": GOOD}, {}, '"a b.example": not a mail domain'),
    "empty domain": ({"": GOOD}, {}, '"": not a mail domain'),
    "long domain": ({".".join(["x" * 63] * 4): GOOD}, {}, "not a mail domain"),
    "top-level domain": ({"example": GOOD}, {}, '"example": not a mail domain'),
    "same after case": ({"a.example": GOOD, "A.Example": GOOD}, {}, "a.example: is given twice"),
    "same after dot": ({"a.example": GOOD, "a.example.": GOOD}, {}, "a.example: is given twice"),
    "same after IDNA": ({"bücher.example": GOOD, "xn--bcher-kva.example": GOOD}, {}, "xn--bcher-kva.example: is given twice"),
    "unknown alias": ({"a.example": {"policy-alias": "nobody"}}, {}, 'a.example: there is no alias "nobody"'),
    "alias not text": ({"a.example": {"policy-alias": 7}}, {}, 'a.example: "policy-alias" is not text'),
    "faulty alias": ({"a.example": {"policy-alias": "p"}}, {"aliases": {"p": {"mxs": ["mx.example"]}}}, 'alias "p": "mode" is missing'),
    "ends too early": ({}, {"expires": "2020-05-20T10:25:11-07:00"}, "expires: before the timestamp"),
    "no end": ({}, {"expires": None}, '"expires" is missing'),
    "no start": ({}, {"timestamp": None}, '"timestamp" is missing'),
    "not a time": ({}, {"timestamp": "yesterday"}, "timestamp: neither an RFC 3339 date"),
    "no such day": ({}, {"timestamp": "2020-02-30T00:00:00Z"}, "timestamp: neither"),
    "half a second": ({}, {"timestamp": 1589995512.5}, "timestamp: neither"),
    "before 1970": ({}, {"timestamp": -1}, "timestamp: neither"),
    "far future": ({}, {"expires": 1e30}, "expires: neither"),
    "other version": ({}, {"version": "0.2"}, "version: 0.2 is not the version"),
    "no version": ({}, {"version": None}, '"version" is missing'),
    "author a number": ({}, {"author": 5}, "author: not text"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_named(tmp_path, name):
    policies, head, words = FAULTS[name]
    if name == "alias twice":
        text = json.dumps({**HEAD, "policy-aliases": {"p": GOOD, "q": GOOD}, "policies": policies})
        _, result = compile_text(tmp_path, text.replace(*head["text"]), code=1)
    elif name == "policies a list":
        _, result = compile_text(tmp_path, json.dumps({**HEAD, **head}), code=1)
    else:
        _, result = compile_policies(tmp_path, policies, code=1, **head)
    lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert any(words in line for line in lines), result.stderr
    assert all(str(tmp_path / "policy.json") in line for line in lines)
    assert len(lines) == 1, "one fault, one line"


def test_all_faults_are_told_at_once(tmp_path):
    policies = {"a.example": policy(mode="x"), "b.example": policy(mxs=[]), "c.example": GOOD}
    _, result = compile_policies(tmp_path, policies, code=1)
    assert "a.example" in result.stderr and "b.example" in result.stderr and "c.example" not in result.stderr


def test_very_many_faults_are_counted(tmp_path):
    _, result = compile_policies(tmp_path, {f"d{i}.example": policy(mode="x") for i in range(500)}, code=1)
    assert len(result.stderr.splitlines()) == 51
    assert "500 errors" in result.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "text, place",
    [
        ('{\n  "timestamp": 1,\n  oops\n}', "line 3, column "),
        ("{", "line 1, column"),
        ("", "line 1, column 1"),
        ("[1, 2]", "not a JSON object"),
        ('{"timestamp": 1} {"b": 2}', "line 1, column 18: not JSON: something follows"),
        ('{"timestamp": 1,}', "line 1, column 17: not JSON: a name is missing"),
        ('{"timestamp": 1 "expires": 2}', "line 1, column 17: not JSON: a comma"),
        ('{"policies": {"a.example" 1}}', "line 1, column 27: not JSON: a colon"),
        ('{"policies": {"a.example": {"mode": tru}}}', "line 1, column 37: not JSON at: tru"),
        ('{"policies": {"a.example": {\n "mxs": ["mx.example.com",]}}}', "line 2, column 27: not JSON at: ]"),
        ('{"author": "two\nlines"}', "line 1, column 16: a control character"),
        ('{"author": "no end', "line 1, column 19: a string does not end at the end of the file"),
        (b'{"author": "\xc3\xa9\xff"}', "line 1, column 14: bytes that are not UTF-8"),
        (b'{"author": "\xc0\x80"}', "line 1, column 13: bytes that are not UTF-8"),
        (b'{"author": "\xed\xa0\x80"}', "bytes that are not UTF-8"),
        ('{"policies": {"bank.example\\u0000.evil.example": 1}}', "line 1, column 28: a NUL character"),
        (b'{"a": "x\x00"}', "line 1, column 9: a NUL character"),
        ('{"policies": {"a.example": ' + "[" * 100000, "line 1, column 92: not JSON that is wanted here: nested too deep"),
    ],
)
def test_bad_json_says_where(tmp_path, text, place):
    _, result = compile_text(tmp_path, text, code=1)
    assert place in result.stderr and result.stderr.startswith("error: ")
    assert len(result.stderr.splitlines()) == 1


def test_a_key_given_twice(tmp_path):
    text = json.dumps({**HEAD, "policies": {"a.example": GOOD}})
    _, result = compile_text(tmp_path, text.replace('"mode": "enforce"', '"mode": "testing", "mode": "enforce"'), code=1)
    assert 'a.example: "mode" is given twice' in result.stderr
    _, result = compile_text(tmp_path, text[:-1] + ', "policies": {}}', code=1)
    assert 'top level: "policies" is given twice' in result.stderr
    doubled = text.replace('"policies": {', '"policies": {"a.example": ' + json.dumps(GOOD) + ", ")
    _, result = compile_text(tmp_path, doubled, code=1)
    assert "a.example: is given twice" in result.stderr


def test_what_is_not_known(tmp_path):
    target, result = compile_policies(tmp_path, {"a.example": {**GOOD, "mta-sts": True}}, comment="x", code=1)
    assert 'error: ' in result.stderr and 'a.example: "mta-sts" is not known' in result.stderr
    assert 'top level: "comment" is not known' in result.stderr
    result = run("compile", "--lenient", tmp_path / "policy.json", "-o", target)
    assert 'warning: ' in result.stderr and 'a.example: "mta-sts" is not known' in result.stderr
    assert set(entries(run("show", target).stdout)) == {"a.example"}


def test_faults_name_their_line(tmp_path):
    top = {**HEAD, "policy-aliases": {"p": GOOD, "q": policy(mode="x")},
           "policies": {"a.example": policy(mxs=[]), "b.example": {"policy-alias": "r"}, "B.example": {"policy-alias": "p"}}}
    text = json.dumps(top, indent=1)
    _, result = compile_text(tmp_path, text, code=1)
    at = {word: 1 + text[: text.index(word)].count("\n") for word in ('"q"', '"a.example"', '"b.example"', '"B.example"')}
    for words in (f'line {at[chr(34) + "q" + chr(34)]}: alias "q": mode', f"line {at[chr(34) + 'a.example' + chr(34)]}: a.example",
                  f"line {at[chr(34) + 'b.example' + chr(34)]}: b.example: there is no alias",
                  f"line {at[chr(34) + 'B.example' + chr(34)]}: b.example: is given twice, first in line {at[chr(34) + 'b.example' + chr(34)]}"):
        assert words in result.stderr, result.stderr
    assert len(result.stderr.splitlines()) == 4


def test_aliases_may_come_last(tmp_path):
    top = {"policies": {"a.example": {"policy-alias": "p"}, "b.example": GOOD}, "policy-aliases": {"p": policy(mode="testing")}, **HEAD}
    target, _ = compile_text(tmp_path, json.dumps(top))
    assert entries(run("show", target).stdout)["a.example"] == ("testing", GOOD["mxs"])


def test_the_timestamp_never_goes_back(tmp_path):
    target, _ = compile_policies(tmp_path, {"a.example": GOOD})
    before = target.read_bytes()
    source, older = tmp_path / "policy.json", tmp_path / "older.json"
    older.write_text(json.dumps({**HEAD, "timestamp": "2020-05-20T10:25:11-07:00", "policies": {}}))
    result = run("compile", older, "-o", target, code=1)
    assert "timestamp: 2020-05-20T17:25:11Z goes back behind 2020-05-20T17:25:12Z" in result.stderr
    assert target.read_bytes() == before
    run("compile", source, "-o", target)  # the same again is no step back
    other = tmp_path / "other.list"
    for previous in (target, source):
        assert "goes back" in run("compile", older, "--previous", previous, "-o", other, code=1).stderr
        assert not other.exists()
    run("compile", source, "--previous", older, "-o", other)
    damaged = bytearray(target.read_bytes())
    damaged[56 + damaged[7] + 81 + 8] = 0  # the length of the names' line
    other.write_bytes(damaged)
    assert f"{other}: is damaged" in run("compile", source, "--previous", other, "-o", tmp_path / "none", code=1).stderr
    assert not (tmp_path / "none").exists()


def test_what_is_no_list_is_not_written_over(tmp_path):
    source = tmp_path / "policy.json"
    source.write_text(json.dumps({**HEAD, "policies": {}}))
    before = source.read_text()
    assert "is not a compiled list" in run("compile", source, "-o", source, code=1).stderr
    assert source.read_text() == before
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert "not a regular file" in run("compile", source, "-o", pipe, code=1).stderr
    assert pipe.is_fifo()


def test_memory_is_bounded(tmp_path):
    """A hundred thousand domains in far less than their JSON takes as a tree (over 100 MB), and none of it left behind."""
    source, target = tmp_path / "policy.json", tmp_path / "out.list"
    with source.open("w") as f:
        f.write(json.dumps({**HEAD, "author": "x"})[:-1] + ', "policies": {')
        for i in range(100000):
            f.write(f'{"," if i else ""}\n"{i * 7919 % 100003}-name.example": {{"mode": "enforce", "mxs": ["mx{i % 50}.example.com"]}}')
        f.write("}}")
    limited = ["prlimit", f"--as={50 * 10**6}", TOOL, "compile", source, "-o", target]
    subprocess.run(limited, env={**os.environ, "TMPDIR": str(tmp_path)}, check=True, stdout=subprocess.DEVNULL, timeout=60)
    assert sorted(tmp_path.iterdir()) == sorted([source, target])
    assert len(entries(run("show", target).stdout)) == 100000


def test_progress_only_when_wanted(tmp_path):
    policies = {f"d{i}.example": GOOD for i in range(3000)}
    target, result = compile_policies(tmp_path, policies)
    assert result.stderr == ""
    result = run("compile", "--progress", tmp_path / "policy.json", "-o", target)
    assert "reading, bytes: " in result.stderr and result.stderr.endswith("\n\x1b[K")


def test_from_the_standard_input(tmp_path):
    text = json.dumps({**HEAD, "policies": {"a.example": GOOD, "b.example": policy(mode=None)}})
    args = [TOOL, "compile", "-", "-o", tmp_path / "out.list"]
    result = subprocess.run(args, input=text, capture_output=True, text=True, timeout=60)
    assert result.returncode == 1 and "error: -: line 1: b.example" in result.stderr
    text = text.replace("b.example", "b.example").replace('{"mxs"', '{"mode": "testing", "mxs"')
    assert subprocess.run(args, input=text, capture_output=True, text=True, timeout=60).returncode == 0
    assert set(entries(run("show", tmp_path / "out.list").stdout)) == {"a.example", "b.example"}


def test_diff(tmp_path):
    old, _ = compile_policies(tmp_path, {"a.example": GOOD, "b.example": GOOD, "c.example": GOOD, "e.example": GOOD, "f.example": GOOD})
    old = old.rename(tmp_path / "old.list")
    (tmp_path / "policy.json").rename(tmp_path / "old.json")
    new, _ = compile_policies(tmp_path, {
        "a.example": GOOD, "b.example": policy(mode="testing"), "d.example": GOOD,
        "e.example": policy(mxs=["mx.example.com", "mx.example.org"]), "f.example": policy(mxs=GOOD["mxs"][::-1])})
    want = [
        "~ b.example enforce->testing",
        "- c.example enforce mx.example.com .example.net",
        "+ d.example enforce mx.example.com .example.net",
        "~ e.example -.example.net +mx.example.org",
        "~ f.example order of patterns",
        "# 1 added, 1 removed, 3 changed",
    ]
    for a in (old, tmp_path / "old.json"):
        assert run("diff", a, old).stdout == ""
        for b in (new, tmp_path / "policy.json"):
            assert run("diff", a, b, code=1).stdout.splitlines() == want
    later, _ = compile_policies(tmp_path, {"a.example": GOOD}, timestamp="2020-05-21T00:00:00Z", author="Else")
    lines = run("diff", old, later, code=1).stdout.splitlines()
    assert lines[0] == "# published 2020-05-20T17:25:12Z -> 2020-05-21T00:00:00Z" and "# author Somebody -> Else" in lines
    assert "damaged" in damaged_diff(tmp_path, old).stderr


def damaged_diff(tmp_path, old):
    broken = tmp_path / "broken.list"
    broken.write_bytes(old.read_bytes()[:-1])
    return run("diff", old, broken, code=2)


def test_stats_of_a_list_that_breaks_off(tmp_path):
    target, _ = compile_policies(tmp_path, {f"{name}.example": GOOD for name in "abcdefghijkl"})
    whole, said = target.read_bytes(), set()
    for at in range(60, len(whole)):
        target.write_bytes(whole[:at] + bytes([whole[at] ^ 0xff]) + whole[at + 1:])
        result = subprocess.run([TOOL, "stats", target], capture_output=True, text=True, timeout=60)
        assert (result.returncode, result.stdout == "") in ((0, False), (1, True)), (at, result)
        said |= set(result.stderr.splitlines())
    assert said and all("the list is damaged" in line for line in said), said


def test_diff_of_a_list_that_breaks_off(tmp_path):
    old, _ = compile_policies(tmp_path, {f"{name}.example": GOOD for name in "abcdefghijkl"})
    whole, broken, said = old.read_bytes(), tmp_path / "broken.list", []
    for at in range(60, len(whole), 5):
        broken.write_bytes(whole[:at] + bytes([whole[at] ^ 0xff]) + whole[at + 1:])
        result = subprocess.run([TOOL, "diff", old, broken], capture_output=True, text=True, timeout=60)
        assert result.returncode in (0, 1, 2), at
        assert (result.returncode == 2) == ("damaged" in result.stderr), (at, result)
        said.append(result.stderr)
    assert "error: a list is damaged\n" in said  # seen while it was walked


def test_lists_in_images(tmp_path):
    old, _ = compile_policies(tmp_path, {"a.example": GOOD, "b.example": GOOD})
    old = old.rename(tmp_path / "old.list")
    new, _ = compile_policies(tmp_path, {"a.example": GOOD})
    image = tmp_path / "new.img"
    subprocess.run([ROOT / "build/tools/postern-image", "list", "--list", new, "--unsigned", "-o", image], check=True, capture_output=True)
    assert run("diff", old, image, code=1).stdout.splitlines() == [
        "- b.example enforce mx.example.com .example.net", "# 0 added, 1 removed, 0 changed"]
    assert set(entries(run("show", image).stdout)) == {"a.example"}
    assert set(entries(run("find", image, "a.example").stdout)) == {"a.example"}
    assert "good" in run("verify", image, "--against", tmp_path / "policy.json").stdout
    assert "a.example" in run("export", "--postfix", image).stdout
    whole = image.read_bytes()
    at = whole.index(b"PLST")
    image.write_bytes(whole[:at + 8] + b"\xff" + whole[at + 9:])
    assert "the list in the image is damaged" in run("verify", image, code=1).stderr
    image.write_bytes(whole[:100])
    assert "the image is damaged" in run("show", image, code=1).stderr
    subprocess.run([ROOT / "build/tools/postern-image", "list", "--roots", ROOT / "tests/vectors/roots/three.pem", "--unsigned", "--version",
                    "1", "--created", "2026-01-01T00:00:00Z", "--expires", "2027-01-01T00:00:00Z", "-o", image], check=True, capture_output=True)
    assert "an image that holds no list" in run("show", image, code=1).stderr


def test_export_for_postfix(tmp_path):
    target, _ = compile_policies(tmp_path, {"a.example": GOOD, "b.example": policy(mode="testing")})
    lines = run("export", "--postfix", target).stdout.splitlines()
    assert [line.split() for line in lines if not line.startswith("#")] == [
        ["a.example", "secure", "match=mx.example.com:.example.net"]
    ]
    assert "# b.example is testing" in lines


def test_find_by_text(tmp_path):
    target, _ = compile_policies(tmp_path, {"mail.a.example": GOOD, "b.example": GOOD})
    assert set(entries(run("find", target, "--text", "mail").stdout)) == {"mail.a.example"}
    run("find", target, "--text", "nothing", code=1)
    assert set(entries(run("find", target, "--prefix", "B").stdout)) == {"b.example"}
    run("find", target, "--prefix", "example", code=1)
    assert set(entries(run("find", target, "--within", "A.example.").stdout)) == {"mail.a.example"}
    assert set(entries(run("find", target, "--within", "example").stdout)) == {"mail.a.example", "b.example"}
    assert "usage:" in run("find", target, "--txt", "a", code=2).stderr
    assert "cannot be" in run("find", target, "--text", "", code=1).stderr
    assert set(entries(run("find", tmp_path / "policy.json", "b.example").stdout)) == {"b.example"}


def test_verify_sees_differences_and_damage(tmp_path):
    target, _ = compile_policies(tmp_path, {"a.example": GOOD, "b.example": GOOD})
    other = tmp_path / "other.json"
    other.write_text(json.dumps({**HEAD, "policies": {"a.example": GOOD, "b.example": policy(mode="testing")}}))
    assert "1 domains differ" not in run("verify", target).stderr
    assert "line 1: b.example is another policy in the list" in run("verify", target, "--against", other, code=1).stderr
    other.write_text(json.dumps({**HEAD, "policies": {"a.example": GOOD, "c.example": GOOD}}))
    assert "c.example is not in the list" in run("verify", target, "--against", other, code=1).stderr
    other.write_text(json.dumps({**HEAD, "policies": {"a.example": GOOD}}))
    assert "1 domains, the list has 2" in run("verify", target, "--against", other, code=1).stderr
    other.write_text(json.dumps({**HEAD, "author": "Else", "policies": {"a.example": GOOD, "b.example": GOOD}}))
    assert "author differs" in run("verify", target, "--against", other, code=1).stderr
    whole = target.read_bytes()
    target.write_bytes(whole[:-1])
    assert "damaged" in run("verify", target, code=1).stderr
    target.write_bytes(whole[:60] + bytes([whole[60] ^ 1]) + whole[61:])
    assert "damaged" in run("verify", target, code=1).stderr
    # A count of domains in mode enforce that is another's, under a good checksum.
    weights = whole.index(HEAD["author"].encode()) + len(HEAD["author"]) + 81
    head = whole[:28] + (1).to_bytes(4, "little") + whole[32:52]
    crc = zlib.crc32(head + whole[56:weights]).to_bytes(4, "little")
    target.write_bytes(head + crc + whole[56:])
    assert "mode enforce" in run("verify", target, code=1).stderr


def test_usage_and_files(tmp_path):
    assert "usage:" in run(code=2).stderr
    assert "usage:" in run("frobnicate", code=2).stderr
    assert "compile" in run("help").stdout
    assert "No such file" in run("show", tmp_path / "none", code=1).stderr
    (tmp_path / "text").write_text("hello")
    assert "not a compiled list" in run("show", tmp_path / "text", code=1).stderr
    source = tmp_path / "policy.json"
    source.write_text(json.dumps({**HEAD, "policies": {}}))
    assert "No such file" in run("compile", source, "-o", tmp_path / "no/such/place", code=1).stderr
