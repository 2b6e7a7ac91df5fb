"""The examples with PyTorch, from their start to their end."""

import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from .servers import BIN, PATIENCE, ROOT, Process

EXAMPLES = ROOT / "examples" / "pytorch"


def run_client(*arguments, without_torch=False):
    paths = [str(ROOT / "python")]
    with tempfile.TemporaryDirectory() as folder:
        if without_torch:
            Path(folder, "torch.py").write_text("raise ImportError('no torch')\n")
            paths.insert(0, folder)
        environment = {**os.environ, "PYTHONPATH": ":".join(paths), "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(
            [sys.executable, str(EXAMPLES / "train.py"), *arguments], env=environment, capture_output=True, text=True,
            timeout=PATIENCE)


class PyTorchExample(unittest.TestCase):
    @unittest.skipUnless(importlib.util.find_spec("torch"), "PyTorch isn't installed")
    def test_a_served_network_learns_the_spirals(self):
        server = Process(BIN / "shumai", "serve", EXAMPLES / "model.json", "--port", "0", "--lr", "0.01", "--seed", "1")
        with server:
            url = server.wait_for_line(r"(http://\S+)")[1]
            done = run_client(url, "400")
        self.assertEqual(done.returncode, 0, done.stderr)
        figures = re.search(r"^pytorch: (\d+)% of new points right before, (\d+)% after 400 steps$", done.stdout, re.M)
        self.assertTrue(figures, done.stdout)
        self.assertGreater(int(figures[2]), max(85, int(figures[1])))

    def test_without_pytorch_it_says_what_to_install(self):
        done = run_client(without_torch=True)
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stderr, r"^train\.py: this example needs PyTorch: apt-get install python3-torch")
        self.assertNotIn("Traceback", done.stderr)
