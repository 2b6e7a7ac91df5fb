"""docs_test itself: what is broken is found, and named by its line in the documentation."""

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import blocks
import cpp
import links
import places

sys.path.insert(0, str(places.ROOT / "tools" / "site"))
import pages  # noqa: E402
import site_check  # noqa: E402

BUILD = Path(os.environ.get("DOCS_TEST_BUILD", places.ROOT / "build" / "test"))


class Folder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)

    def write(self, name, text):
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file


class Broken(Folder):
    def docs_test(self, **pages):
        for name, text in pages.items():
            self.write(f"docs/{name}.md", text)
        # Its own program of C++ blocks, beside the one of the documentation.
        build = self.root / "build"
        build.mkdir()
        for name in ("bin", "js", "libshumai.so", "libshumai.so.0", "cmake_install.cmake", "CMakeCache.txt"):
            (build / name).symlink_to(BUILD / name)
        return subprocess.run(
            [sys.executable, places.ROOT / "tools" / "docs_test", build, "--root", self.root], capture_output=True, text=True)

    def test_each_broken_block_is_named_and_counted(self):
        run = self.docs_test(page="\n".join([
            "```sh\nfalse | true\n```",
            "```js\nthrow new Error('oops')\n```",
            "```js\nsm.no_such_function()\n```",
            "```python\nimport os\nos.no_such_function()\n```",
            "```json\n{\"a\": ...}\n```",
            "```cpp\nsm::no_such_function();\n```",
            "```cmake\nno_such_command()\n```",
            "```ts\nconst one: number = 1\n```",
            "```js\nprocess.exit(0)\n```",
            "```sh\necho fine\n```",
            "<!-- docs: output -->\n```json\n[]\n```",
            "[nowhere](nowhere.md)"]) + "\n", dies="""
```js
sm.io.serve({ forward: (user, x) => { setTimeout(() => process.exit(3)); return x } }, { port: 3000 })
```
```sh
curl -sS -d '[1]' -H 'Content-Type: application/json' localhost:3000/forward || true  # the server may end before it answers
until ! curl -s localhost:3000/health/live; do :; done
```
""")
        self.assertEqual(run.returncode, 1, run.stdout + run.stderr)
        failed = [line.removeprefix("FAILED: ") for line in run.stdout.splitlines() if line.startswith("FAILED: ")]
        self.assertEqual(sorted(failed), sorted([
            "docs/page.md:2 (sh)", "docs/page.md:5 (js)", "docs/page.md:8 (js)", "docs/page.md:11 (py)",
            "docs/page.md:15 (json)", "docs/page.md:18 (cpp)", "docs/page.md:21 (cmake)", "docs/page.md:24 (ts)",
            "docs/page.md:27 (js)", "docs/page.md:34 (json)", "types of JavaScript", "the program of all C++ blocks",
            "links of docs/page.md", "docs/dies.md: a server ended early"]))
        self.assertIn("docs/page.md:18:", run.stdout)
        self.assertIn("docs/page.md:8: error TS", run.stdout)
        self.assertIn('File "docs/page.md", line 12', run.stdout)
        self.assertIn("docs/dies.md: a server ended early\nexit status 3", run.stdout)
        self.assertEqual(run.stdout.splitlines()[-1], "5 passed, 14 failed")

    def test_what_works_passes(self):
        run = self.docs_test(page="""
<!-- docs: server -->
```sh
echo '[{"layer": "mean", "axes": [1]}]' >mean.json
shumai serve mean.json --port 3000
```
```sh
curl -sS -d '[[1, 2]]' -H 'Content-Type: application/json' localhost:3000/forward
```
<!-- docs: output -->
```json
[1.5]
```
""")
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        self.assertEqual(run.stdout.splitlines()[-1], "6 passed, 0 failed")


class Blocks(unittest.TestCase):
    def test_languages_titles_words_and_lines(self):
        text = "a\n<!-- docs: server -->\n```sh\none\ntwo\n```\n```text\nnot run\n```\n  ```js title=\"a.mjs\"\n  three\n  ```\n"
        found = [(each.line, each.language, each.title, each.words, each.text) for each in blocks.blocks("p.md", text)]
        self.assertEqual(found, [(4, "sh", "", ("server",), "one\ntwo\n"), (11, "js", "a.mjs", (), "three\n")])

    def test_an_exempt_block_that_is_gone_is_noticed(self):
        exempt = blocks.Exempt("# why\np.md | one | needs root\np.md | three | needs a network\n")
        self.assertTrue(exempt.has(blocks.Block("p.md", 1, "sh", "", (), "one\ntwo\n")))
        self.assertFalse(exempt.has(blocks.Block("p.md", 1, "sh", "", (), "two\n")))
        self.assertEqual(exempt.unused, {("p.md", "three")})

    def test_places_are_those_of_the_test(self):
        here = places.Places("/somewhere")
        self.assertEqual(here.put_into("localhost:3001 --port 3000 3000 steps /shared/a"),
                         f"localhost:{here.port(3001)} --port {here.port()} 3000 steps /somewhere/shared/a")
        self.assertEqual(places.served_ports("{ port: 3002 } localhost:3001"), {3002})

    def test_a_program_has_every_block(self):
        text = cpp.source([blocks.Block("docs/p.md", 7, "cpp", "", (), "co_await f();\n")], lambda page: "p")
        self.assertIn('#line 7 "docs/p.md"', text)
        self.assertIn("sm::run(block_0())", text)


class Site(Folder):
    def test_a_header_becomes_comments_of_doxygen(self):
        file = self.write("shumai/a.hpp", "// What f\n// does.\nint f();\nstruct S {  // few\n  int x;  // one\n  // --- Part ---\n};\n")
        run = subprocess.run([places.ROOT / "tools/site/doxygen_filter", file], capture_output=True, text=True, check=True)
        self.assertEqual(run.stdout, "\n".join([
            "/** \\verbatim", "What f", "does.", "\\endverbatim */", "int f();", "/** \\verbatim", "few", "\\endverbatim */",
            "struct S {", "  int x; /**< \\verbatim", "one", "\\endverbatim */", "  // --- Part ---", "};", ""]))

    def test_links_lead_to_the_same_in_the_site(self):
        made = pages.Pages(self.root, [])
        text = "[a](docs/tls.md#a-server) [b](deploy) [c](LICENSE) [d](https://example.org) `[e](x)`\n<!-- docs: server -->\n"
        self.assertEqual(made.with_links("README.md", text),
                         "[a](tls.md#a-server) [b](files/deploy/index.md) [c](files/LICENSE.txt) [d](https://example.org) `[e](x)`\n")
        self.assertEqual(made.with_links("docs/tls.md", "[a](../js/README.md)"), "[a](javascript.md)")

    def test_nothing_is_loaded_from_elsewhere_and_no_link_is_dead(self):
        self.write("a.html", """<h1 id="top"><a href="b.html#there">b</a><a href="b.html#gone">b</a><a href="c.html">c</a>
            <a href="https://example.org/">fine</a><script src="https://example.org/x.js"></script><img src="//example.org/x.png">
            <link rel="stylesheet" href="d.css"><style>@font-face { src: url(https://example.org/f.woff) }</style>""")
        self.write("b.html", '<p id="there" style="background: url(https://example.org/y.png)">')
        self.write("d.css", "p { background: url('https://example.org/z.png') } q { background: url(data:image/png;base64,AA) }")
        self.assertEqual(sorted(site_check.complaints(self.root)), [
            "a.html leads to b.html#gone, which has no such anchor", "a.html leads to c.html, which isn't there",
            "a.html loads //example.org/x.png from elsewhere", "a.html loads https://example.org/f.woff from elsewhere",
            "a.html loads https://example.org/x.js from elsewhere", "b.html loads https://example.org/y.png from elsewhere",
            "d.css loads https://example.org/z.png from elsewhere"])


class Links(Folder):
    def test_files_and_anchors_have_to_exist(self):
        self.write("other.md", "# A `title`, with_an under_score & more\n# Twice\n# Twice\n```\n# no heading\n```\n")
        file = self.write("page.md", "\n".join([
            "[a](other.md#a-title-with_an-under_score--more) [b](other.md#twice-1) ![c](image.png)",
            "[d](other.md#no-heading) `[e](nothing.md)` [f](https://example.org/)",
            "```\n[g](nothing.md)\n```\n[h](#here)\n# Here"]))
        self.assertEqual([(line, target) for line, target, _ in links.broken(file)],
                         [(1, "image.png"), (2, "other.md#no-heading")])
        self.assertEqual(links.external(self.root), ["https://example.org/"])


if __name__ == "__main__":
    unittest.main()
