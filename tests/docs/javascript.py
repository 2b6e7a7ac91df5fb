"""JavaScript blocks as modules: with the package imported, what their page takes for granted, and types checked."""

import json
import re
import subprocess
from pathlib import Path

from places import ROOT

IMPORT = "import * as sm from '@shumai/shumai'"
END = "docs_test: the end of the block"


def module(block, prelude):
    """(text, lines before the block's first)"""
    if block.title:
        return block.text, 0
    imports = {IMPORT, *re.findall(r"^import .*$", block.text, re.MULTILINE)}
    # In a scope of its own a block may define again what its page takes for granted.
    head = [*sorted(imports), *prelude.splitlines(), "{"]
    body = re.sub(r"^import .*$", "", block.text, flags=re.MULTILINE)
    return "\n".join([*head, body, "}", f"console.log('{END}')\n"]), len(head)


def serves(block):
    return re.search(r"\bserve(_model)?\(", block.text) is not None


def complaints(modules, folder):
    """What TypeScript says of [(block, text, lines before)], by the lines of the documentation: [(block, message)]."""
    names = {}
    for number, (block, text, before) in enumerate(modules):
        name = f"{number}.{'ts' if block.language == 'ts' else 'mjs'}"
        names[name] = (block, before)
        (folder / name).write_text(text)
    js = ROOT / "js"
    (folder / "tsconfig.json").write_text(json.dumps({
        "compilerOptions": {
            "strict": True, "noImplicitAny": False, "noEmit": True, "allowJs": True, "checkJs": True, "target": "es2022",
            "module": "nodenext", "moduleResolution": "nodenext", "skipLibCheck": True,
            "paths": {"@shumai/shumai": [str(js / "index.d.ts")]}, "typeRoots": [str(js / "node_modules/@types")],
            "types": ["node"]},
        "files": sorted(names)}))
    tsc = subprocess.run(
        ["node", js / "node_modules/typescript/bin/tsc", "--project", folder, "--pretty", "false"], capture_output=True,
        text=True, cwd=folder)
    found = []
    for line in tsc.stdout.splitlines():
        match = re.match(r"(\S+?)\((\d+),\d+\): (.*)", line)
        if match and Path(match[1]).name in names:
            block, before = names[Path(match[1]).name]
            found.append((block, f"{block.page}:{block.line + int(match[2]) - before - 1}: {match[3]}"))
        elif match or tsc.returncode not in (0, 1, 2):
            raise RuntimeError(f"the compiler of TypeScript: {tsc.stdout}{tsc.stderr}")
    if tsc.returncode != 0 and not found:
        raise RuntimeError(f"the compiler of TypeScript: {tsc.stdout}{tsc.stderr}")
    return found
