"""The code in README.md and the tutorials runs and prints what it says; links lead somewhere.

Blocks fenced ```python run in order, in one namespace per file, in an empty folder. A block
fenced ```output shows what the block before it prints (spacing apart).
"""

from __future__ import annotations

import contextlib
import io
import os
import re
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import pytest

ROOT = Path(__file__).parents[1]
CODE = [
    ROOT / name
    for name in (
        "README.md",
        "docs/tutorial.md",
        "docs/tutorial.ru.md",
        "docs/training.md",
        "docs/filters.md",
    )
    if (ROOT / name).exists()
]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

FENCE = re.compile(r"^( *)(`{3,}|~{3,})(.*)$")
LINK = re.compile(r"!?\[[^\]\n]*(?:\n[^\]\n]*)*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
REFERENCE = re.compile(r"^ {0,3}\[[^\]]+\]:\s*(\S+)", re.MULTILINE)
HTML = re.compile(r"(?:src|href|srcset)=\"([^\"]+)\"")
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    language: str
    line: int  # of its first line of text, counted from 1
    text: str


def split(document: str) -> tuple[list[Block], str]:
    """The fenced blocks of a document, and what remains without them."""
    blocks, prose = [], []
    fence, language, start, inside = "", "", 0, []
    for number, line in enumerate(document.splitlines(), start=1):
        found = FENCE.match(line)
        if fence:
            closes = found and found[2].startswith(fence) and not found[3].strip()
            if closes:
                blocks.append(Block(language, start, "\n".join(inside) + "\n"))
                fence, inside = "", []
            else:
                inside.append(line)
        elif found:
            fence, language, start = found[2], found[3].strip(), number + 1
        else:
            prose.append(line)
    assert not fence, f"the block that begins in line {start} has no end"
    return blocks, "\n".join(prose)


def read(path: Path) -> tuple[list[Block], str]:
    return split(path.read_text(encoding="utf-8"))


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def anchors(prose: str) -> set[str]:
    """The names that headings get: lower case, punctuation dropped, spaces made hyphens."""
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text) for text in HEADING.findall(prose))
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in plain}


@pytest.mark.parametrize("path", CODE, ids=name)
def test_code_runs_and_prints_what_the_text_says(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    matplotlib.use("Agg")
    namespace: dict[str, object] = {"__name__": "__main__"}
    printed = None
    for block in read(path)[0]:
        where = f"{name(path)}, line {block.line}"
        if block.language == "output":
            assert printed is not None, f"{where}: no code comes before this output"
            assert printed.split() == block.text.split(), (
                f"{where}: the code printed\n{printed}"
            )
        printed = None
        if block.language == "python":
            # Empty lines before the code make the line numbers of a traceback right.
            code = compile("\n" * (block.line - 1) + block.text, name(path), "exec")
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(code, namespace)
            printed = out.getvalue()


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_links_lead_somewhere(path):
    _, prose = read(path)
    text = re.sub(r"`[^`\n]*`", "", prose)
    missing = []
    for target in (*LINK.findall(text), *REFERENCE.findall(text), *HTML.findall(text)):
        if re.match(r"[a-z][a-z+.-]*:", target):  # http:, https:, mailto:
            continue
        file, _, anchor = target.partition("#")
        there = Path(os.path.normpath(path.parent / file)) if file else path
        found = there.is_relative_to(ROOT) and there.exists()
        if found and anchor and there.suffix == ".md":
            found = anchor in anchors(read(there)[1])
        if not found:
            missing.append(target)
    assert not missing, f"{name(path)} links to what does not exist: {missing}"


def test_tutorials_have_the_same_structure():
    english, russian = (read(ROOT / "docs" / f"tutorial{end}.md") for end in ("", ".ru"))
    levels = [
        [len(marks) for marks in re.findall(r"^(#+) ", prose, re.MULTILINE)]
        for _, prose in (english, russian)
    ]
    assert levels[0] == levels[1]
    code = [
        [(block.language, re.sub(r"  #.*", "", block.text)) for block in blocks]
        for blocks, _ in (english, russian)
    ]
    assert code[0] == code[1]  # but for comments
    pictures = [re.findall(r"\((pictures/[^)]+)\)", prose) for _, prose in (english, russian)]
    assert pictures[0] == pictures[1]
    assert len(pictures[0]) == len(set(pictures[0]))


def test_every_picture_is_small_and_used():
    pictures = sorted((ROOT / "docs" / "pictures").glob("*.png"))
    assert pictures
    used = "".join(path.read_text(encoding="utf-8") for path in DOCUMENTS)
    for picture in pictures:
        assert picture.stat().st_size < 150_000, picture.name
        assert f"pictures/{picture.name}" in used, picture.name
    assert sum(picture.stat().st_size for picture in pictures) < 800_000
