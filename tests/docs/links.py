"""Links of Markdown files, by GitHub's rules: what they point to exists, anchors included."""

import html
import re
from pathlib import Path

SKIPPED = {"build", "node_modules", ".git", "corpus"}
_CODE = re.compile(r"^(?P<indent> *)(?P<fence>```+|~~~+).*?^ *(?P=fence) *$|`+[^`\n]+`+", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)|(?:src|href)=\"([^\"]+)\"")
_HEADING = re.compile(r"^#{1,6} +(.*?) *#*$", re.MULTILINE)


def markdown_files(root):
    return sorted(file for file in Path(root).rglob("*.md") if not SKIPPED & set(file.relative_to(root).parts))


def without_code(text):
    """The text with code blanked out, so that lines keep their numbers."""
    return _CODE.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)


def slug(heading):
    """The anchor that GitHub makes of a heading."""
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    text = html.unescape(re.sub(r"[`*]|(?<!\w)_|_(?!\w)", "", text)).lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def anchors(text):
    seen, found = {}, set()
    for heading in _HEADING.findall(re.sub(r"^ *```.*?^ *``` *$", "", text, flags=re.DOTALL | re.MULTILINE)):
        base = slug(heading)
        count = seen.get(base, 0)
        seen[base] = count + 1
        found.add(f"{base}-{count}" if count else base)
    return found | set(re.findall(r"<a (?:id|name)=\"([^\"]+)\"", text))


def links(text):
    """(line, target) of each."""
    for match in LINK.finditer(without_code(text)):
        yield text.count("\n", 0, match.start()) + 1, match[1] or match[2]


def is_external(target):
    return re.match(r"[a-z][a-z0-9+.-]*:", target) is not None


def broken(file):
    """(line, target, why) of each link that leads nowhere."""
    text = file.read_text()
    for line, target in links(text):
        if is_external(target):
            continue
        path, _, anchor = target.partition("#")
        at = file if not path else (file.parent / path)
        if not at.exists():
            yield line, target, "no such file"
        elif anchor and at.suffix == ".md" and anchor not in anchors(at.read_text()):
            yield line, target, f"no heading of {at.name} makes this anchor"


def external(root):
    return sorted({target for file in markdown_files(root) for _, target in links(file.read_text()) if is_external(target)})
