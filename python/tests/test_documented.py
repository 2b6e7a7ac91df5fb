"""The programs of examples/python, and the package as pip installs it."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from .servers import ROOT, seed_server

HAS_TORCH = importlib.util.find_spec("torch") is not None


class Examples(unittest.TestCase):
    def check(self, name):
        with seed_server() as server:
            run = subprocess.run(
                [sys.executable, ROOT / "examples" / "python" / name, server.url], capture_output=True, text=True,
                timeout=300, env={**os.environ, "PYTHONPATH": str(ROOT / "python")})
        found = re.fullmatch(r"loss (\S+) -> (\S+)\n", run.stdout)
        self.assertTrue(found, run.stdout + run.stderr)
        self.assertLess(float(found[2]), float(found[1]) / 1000)

    def test_seed_numpy(self):
        self.check("seed_numpy.py")

    @unittest.skipUnless(HAS_TORCH, "PyTorch isn't installed")
    def test_seed_torch(self):
        self.check("seed_torch.py")


class Package(unittest.TestCase):
    @unittest.skipUnless(importlib.util.find_spec("pip"), "pip isn't installed")
    def test_pip_installs_it_without_a_network(self):
        with tempfile.TemporaryDirectory() as directory:
            # Builds leave files beside the sources.
            source = Path(directory, "source")
            shutil.copytree(ROOT / "python", source, ignore=shutil.ignore_patterns("tests", "__pycache__"))
            target = Path(directory, "target")
            run = subprocess.run(
                [sys.executable, "-m", "pip", "install", "--no-index", "--no-deps", "--no-build-isolation", "--quiet",
                 "--disable-pip-version-check", "--root-user-action=ignore", "--target", target, source],
                capture_output=True, text=True, timeout=300)
            self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
            for file in ("py.typed", "torch.py", "__init__.py"):
                self.assertTrue((target / "shumai" / file).exists(), file)
            self.assertEqual(len(list(target.glob("shumai_client-*.dist-info"))), 1)
            found = subprocess.run(
                [sys.executable, "-c", "import shumai; print(shumai.__file__, 'torch' in __import__('sys').modules)"],
                capture_output=True, text=True, cwd=directory, env={**os.environ, "PYTHONPATH": str(target)})
            self.assertEqual(found.stdout, f"{target}/shumai/__init__.py False\n", found.stderr)

    def test_versions_and_licences_agree(self):
        import shumai

        version = re.search(r"^version = \"(.+)\"$", (ROOT / "python" / "pyproject.toml").read_text(), re.MULTILINE)[1]
        self.assertEqual(shumai.__version__, version)
        self.assertEqual((ROOT / "python" / "LICENSE").read_text(), (ROOT / "LICENSE").read_text())

    def test_no_line_is_too_long(self):
        files = [*(ROOT / "python").rglob("*.py"), *(ROOT / "examples" / "python").glob("*.py")]
        self.assertGreater(len(files), 15)
        for file in files:
            lines = file.read_text().splitlines()
            self.assertLessEqual(len(lines), 500, file)
            for number, line in enumerate(lines, 1):
                self.assertLessEqual(len(line), 120, f"{file}:{number}")


if __name__ == "__main__":
    unittest.main()
