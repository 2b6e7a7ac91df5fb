"""The fenced blocks of Markdown files, and which of them aren't run."""

import re
from dataclasses import dataclass
from pathlib import Path

LANGUAGES = {
    "bash": "sh", "cmake": "cmake", "cpp": "cpp", "javascript": "js", "js": "js", "json": "json", "python": "py", "sh": "sh",
    "ts": "ts", "typescript": "ts",
}
PAGES = ("README.md", "SECURITY.md", "CONTRIBUTING.md", "docs/**/*.md", "js/README.md", "python/README.md")
FENCE = re.compile(
    r"^(?:[ ]*<!-- docs: (?P<words>[^>]*?) -->\n)?"
    r"^(?P<indent>[ ]*)```(?P<language>[^\s`]*)(?P<info>[^`\n]*)\n(?P<text>.*?)^[ ]*```[ ]*$",
    re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    page: str
    line: int  # of the first line within the fence
    language: str
    title: str
    words: tuple
    text: str

    @property
    def name(self):
        return f"{self.page}:{self.line}"


def blocks(page, text):
    """Those of a page in a language that is run."""
    found = []
    for match in FENCE.finditer(text):
        language = LANGUAGES.get(match["language"])
        if language is None:
            continue
        title = re.search(r'title="([^"]+)"', match["info"])
        code = re.sub("^" + match["indent"], "", match["text"], flags=re.MULTILINE)
        found.append(Block(page, text.count("\n", 0, match.start("text")) + 1, language, title[1] if title else "",
                           tuple((match["words"] or "").split()), code))
    return found


def pages(root):
    """The Markdown files whose blocks are run, by their paths."""
    files = sorted({file for pattern in PAGES for file in Path(root).glob(pattern)})
    return [str(file.relative_to(root)) for file in files]


class Exempt:
    """tests/docs/exempt: a page, a line that a block begins with, and why it isn't run."""

    def __init__(self, text):
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        self.entries = {tuple(part.strip() for part in line.split(" | ")[:2]): line for line in lines}
        self.unused = set(self.entries)

    def has(self, block):
        key = (block.page, block.text.split("\n", 1)[0].strip())
        self.unused.discard(key)
        return key in self.entries
