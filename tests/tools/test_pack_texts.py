"""toolchain/pack-texts: what it makes of lines is what hal/base/packed_text.c reads (tests/unit/hal/packed_text_test.c)."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "toolchain/pack-texts"
VECTORS = ROOT / "tests/vectors/texts"


def pack(tmp_path, text):
    (tmp_path / "lines").write_bytes(text)
    subprocess.run([TOOL, "--lines", tmp_path / "lines", tmp_path / "packed"], check=True)
    return (tmp_path / "packed").read_bytes()


def test_the_golden_file_is_what_it_makes(tmp_path):
    assert pack(tmp_path, (VECTORS / "lines.txt").read_bytes()) == (VECTORS / "lines.packed").read_bytes()


def test_even_a_few_texts_take_two_thirds():
    assert (VECTORS / "lines.packed").stat().st_size < 0.67 * (VECTORS / "lines.txt").stat().st_size


@pytest.mark.parametrize("text", [b"a\n", b"\n", b"\n\n\n", b"aaaa" * 999 + b"\n", b"ab\n" * 999, bytes(range(1, 256)) + b"\n",
                                  b"".join(b"%d\n" % (i * i) for i in range(300))])
def test_it_unpacks_to_the_same(tmp_path, text):
    pack(tmp_path, text)  # which compares


def test_the_last_symbol_may_cover_the_last_block(tmp_path):
    for n in (6, 12, 18, 23):
        pack(tmp_path, b"a line that is said again and again, but for\n" * n)


@pytest.mark.parametrize("text", [b"", b"no end"])
def test_what_does_not_end_is_refused(tmp_path, text):
    with pytest.raises(subprocess.CalledProcessError):
        pack(tmp_path, text)


def test_a_program_is_packed_again_to_the_same(tmp_path):
    """The build packed it: its texts are still there, beside the program's memory."""
    program = tmp_path / "postern.elf"
    program.write_bytes((ROOT / "build/mps2-an500/postern.elf").read_bytes())
    subprocess.run([TOOL, program], check=True)
    assert program.read_bytes() == (ROOT / "build/mps2-an500/postern.elf").read_bytes()


def test_a_file_that_is_no_program_is_left(tmp_path):
    (tmp_path / "x").write_bytes(b"not an ELF file" * 9)
    assert subprocess.run([TOOL, tmp_path / "x"], capture_output=True).returncode != 0
    assert (tmp_path / "x").read_bytes() == b"not an ELF file" * 9
