"""Puts the pages of the site together, from where they are in the repository, and keeps their links."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "docs"))
import links  # noqa: E402

# Beside docs/, which is the site's root.
ELSEWHERE = {
    "README.md": "index.md", "js/README.md": "javascript.md", "SECURITY.md": "security.md", "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md", "bench/README.md": "bench/README.md", "bench/NOTES.md": "bench/NOTES.md",
    "examples/README.md": "examples.md",
}
PICTURES = {".png", ".svg", ".jpg", ".gif", ".webp"}


def place_of(source):
    """Where a file of the repository is in the site; files that are no pages are shown as they are."""
    if source in ELSEWHERE:
        return ELSEWHERE[source]
    path = PurePosixPath(source)
    if path.parts[0] == "docs" and path.suffix in {".md", *PICTURES}:
        return str(path.relative_to("docs"))
    return f"files/{source}" if path.suffix in {".md", *PICTURES} else f"files/{source}.txt"


def files_of_the_repository():
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True)
    return sorted(set(listed.stdout.splitlines()))


class Pages:
    def __init__(self, out, files):
        self.out, self.files, self.todo, self.done = out, files, [], set()

    def add(self, source):
        if source not in self.done:
            self.done.add(source)
            self.todo.append(source)

    def write_all(self):
        for page in [*ELSEWHERE, *(name for name in self.files if re.fullmatch(r"docs/(?!man/).*\.md", name))]:
            self.add(page)
        while self.todo:
            self.write(self.todo.pop())

    def write(self, source):
        file = ROOT / source
        if file.is_dir():
            return self.write_folder(source)
        target = self.out / place_of(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.suffix != ".md":
            shutil.copyfile(file, target)
            return None
        target.write_text(self.with_links(source, file.read_text()))

    def write_folder(self, source):
        inside = [name for name in self.files if name.startswith(f"{source}/")]
        rows = []
        for name in inside:
            self.add(name)
            rows.append(f"- [{name[len(source) + 1:]}]({self.link(f'files/{source}/index.md', name)})\n")
        target = self.out / "files" / source / "index.md"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(f"# {source}\n\n{''.join(rows)}")

    def link(self, place, source):
        """From a place in the site to a file, or folder, of the repository."""
        target = f"files/{source}/index.md" if (ROOT / source).is_dir() else place_of(source)
        return os.path.relpath(target, os.path.dirname(place) or ".")

    def with_links(self, source, text):
        """The page, with links that lead to the same in the site."""
        place = place_of(source)

        def moved(match):
            target = match[1] or match[2]
            path, mark, anchor = target.partition("#")
            if not path or links.is_external(target):
                return match[0]
            found = os.path.relpath((ROOT / source).parent / path, ROOT)
            if not (ROOT / found).exists():
                raise SystemExit(f"docs: {source} leads to {target}, which isn't there")
            self.add(found)
            return match[0].replace(target, self.link(place, found) + mark + anchor)

        plain, out, at = links.without_code(text), [], 0
        for match in links.LINK.finditer(plain):
            out += [text[at:match.start()], links.LINK.sub(moved, text[match.start():match.end()], count=1)]
            at = match.end()
        text = "".join(out) + text[at:]
        return re.sub(r"^[ ]*<!-- docs: [^>]*-->\n", "", text, flags=re.MULTILINE)
