"""One program of all C++ blocks: its argument says which runs."""

import re
import shutil
import subprocess
from pathlib import Path

from places import ROOT

PRELUDES = Path(__file__).parent / "preludes"
OPENING = """\
#include <cstdio>
#include <cstdlib>
#include <map>
#include <sstream>

namespace docs {
// What the documentation calls so, in this test: see places.py.
inline std::string here(std::string text) {
  std::istringstream places(std::getenv("DOCS_PLACES"));
  std::string line;
  std::getline(places, line);
  while (std::getline(places, line)) {
    const std::string from = line.substr(0, line.find('\\t')), to = line.substr(line.find('\\t') + 1);
    for (size_t at = 0; (at = text.find(from, at)) != text.npos; at += to.size()) text.replace(at, from.size(), to);
  }
  return text;
}
inline uint16_t port(int documented) {
  return static_cast<uint16_t>(documented - 3000 + std::atoi(std::getenv("DOCS_PLACES")));
}
}  // namespace docs
"""
AT_NAMESPACE_SCOPE = re.compile(r"^(#include|sm::Task<.*\) \{$|struct |class |int main\()", re.MULTILINE)
FUNCTION_OF_A_URL = re.compile(r"^sm::Task<> (\w+)\(std::string url\) \{$", re.MULTILINE)
PLACE = re.compile(r'"[^"\n]*(?:localhost:300|models\.example|/shared/|/etc/shumai)[^"\n]*"')


def _placed(text):
    text = PLACE.sub(lambda match: f"docs::here({match[0]})", text)
    return re.sub(r"(\.port = )(300\d)", r"\1docs::port(\2)", text)


def _one(number, block):
    """(definitions, what runs the block)"""
    name, text = f"block_{number}", _placed(block.text)
    text = re.sub(r"^#include .*$", "", text, flags=re.MULTILINE)
    at = f'#line {block.line} "{block.page}"\n'
    if not AT_NAMESPACE_SCOPE.search(block.text):
        waits = "co_await" in text
        returns = "sm::Task<>" if waits else "void"
        return f"{returns} {name}() {{\n{at}{text}}}\n", f"sm::run({name}())" if waits else f"{name}()"
    # Of all functions only main() may end without a return.
    text = re.sub(r"^int main\((.*?)^\}", r"int run_main(\1return 0;}", text, flags=re.DOTALL | re.MULTILINE)
    definitions = f"namespace {name} {{\n{at}{text}}}\n"
    if "int run_main(" in text:
        return definitions, f"{name}::run_main()"
    function = FUNCTION_OF_A_URL.search(text)
    return definitions, f'sm::run({name}::{function[1]}(docs::here("localhost:3000")))' if function else "(void)0"


def source(blocks, slug_of):
    """The program's text."""
    includes = {line for block in blocks for line in re.findall(r"^#include .*$", block.text, re.MULTILINE)}
    pages = {}
    for number, block in enumerate(blocks):
        pages.setdefault(block.page, []).append((number, block))
    body, table = [], []
    for page, numbered in pages.items():
        slug = slug_of(page)
        body.append(f"namespace page_{re.sub('[^a-z0-9]', '_', slug)} {{\n")
        prelude = PRELUDES / f"{slug}.cpp"
        if prelude.exists():
            body.append(f'#line 1 "{prelude.relative_to(ROOT)}"\n{_placed(prelude.read_text())}')
        for number, block in numbered:
            definitions, run = _one(number, block)
            body += [definitions, f"void run_{number}() {{ {run}; }}\n"]
            table.append(f'{{"{block.name}", page_{re.sub("[^a-z0-9]", "_", slug)}::run_{number}}},\n')
        body.append("}\n")
    return "".join([
        '#include "shumai/shumai.hpp"\n', *(f"{line}\n" for line in sorted(includes)), OPENING, *body,
        "int main(int, char** argv) {\nstatic const std::map<std::string, void (*)()> blocks = {\n", *table,
        "};\ntry {\nblocks.at(argv[1])();\n} catch (const std::exception& error) {\n",
        'std::fprintf(stderr, "%s\\n", error.what());\nreturn 1;\n}\n}\n'])


def build(text, build_folder):
    """(the program, "") or (None, what the compiler says). A compiler cache makes the second time quick."""
    folder = build_folder / "docs"
    folder.mkdir(exist_ok=True)
    file, program = folder / "blocks.cpp", folder / "blocks"
    file.write_text(text)
    cache = ["ccache"] if shutil.which("ccache") else []
    # Relative paths, and no debug information, let checkouts share what a compiler cache has.
    compiled = subprocess.run(
        [*cache, "g++", "-std=c++20", "-Wall", "-Wno-unused", "-Wno-subobject-linkage", "-Werror", f"-I{ROOT / 'include'}", "-c", str(file),
         "-o", f"{program}.o"], capture_output=True, text=True, cwd=folder)
    if compiled.returncode != 0:
        return None, compiled.stderr
    linked = subprocess.run(
        ["g++", f"{program}.o", f"-L{build_folder}", "-lshumai", f"-Wl,-rpath,{build_folder}", "-pthread", "-o", str(program)],
        capture_output=True, text=True)
    return (program, "") if linked.returncode == 0 else (None, linked.stderr)
