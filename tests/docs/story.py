"""Runs the blocks of a page one after another in a folder of their own, as a reader would.

What serves goes on in the background until the page ends, or until another block serves on the same port.
"""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import javascript
from places import FIRST, ROOT, Places, listens, served_ports

PRELUDES = Path(__file__).parent / "preludes"
# A block that passes never takes this long.
PATIENCE = 600.0
# Debian's own has Debian's NumPy and PyTorch.
PYTHON = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
HAS_TORCH = importlib.util.find_spec("torch") is not None


class BlockFailed(Exception):
    pass


class Skipped(Exception):
    pass


def slug_of(page):
    return page.removeprefix("docs/").removesuffix(".md").replace("/", "_").lower()


def prelude_of(page, ending):
    file = PRELUDES / f"{slug_of(page)}.{ending}"
    return file.read_text() if file.exists() else ""


class Background:
    """A process with a group of its own, whose output is kept in a file."""

    running = set()

    def __init__(self, command, folder, environment, ports, log):
        self.ports, self.log, self.ended = ports, log, False
        with open(log, "wb") as output:
            self.process = subprocess.Popen(
                [str(each) for each in command], cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, start_new_session=True)
        Background.running.add(self.process.pid)

    def output(self):
        return self.log.read_text(errors="replace")

    def wait_for(self, done):
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None and not done():
            if time.monotonic() > deadline:
                raise BlockFailed(f"still running after {PATIENCE:.0f} s\n{self.output()}")
            time.sleep(0.01)

    def wait_for_success(self):
        self.wait_for(lambda: False)
        self.check()

    def check(self):
        if self.process.poll() not in (None, 0):
            self.ended = True
            raise BlockFailed(f"exit status {self.process.returncode}\n{self.output()}")

    def end(self):
        """Whatever is left of the group ends."""
        self.ended = True
        for wanted in (signal.SIGTERM, signal.SIGKILL):
            deadline = time.monotonic() + 30
            while self.signal(wanted) and time.monotonic() < deadline:
                self.process.poll()
                time.sleep(0.01)
                wanted = 0
        self.process.wait()
        Background.running.discard(self.process.pid)

    def signal(self, number):
        """Whether the group was there to get it."""
        try:
            os.killpg(self.process.pid, number)
            return True
        except ProcessLookupError:
            return False

    @classmethod
    def kill_all(cls):
        for group in list(cls.running):
            try:
                os.killpg(group, signal.SIGKILL)
            except ProcessLookupError:
                pass


class Story:
    def __init__(self, page, blocks, folder, build, environment, cpp_program):
        self.page, self.blocks, self.folder, self.build, self.cpp_program = page, blocks, folder, build, cpp_program
        self.places = Places(folder)
        self.environment = {
            **environment, "HOME": str(folder), "PORT": str(self.places.port()),
            "DOCS_PLACES": self.places.for_programs()}
        self.background, self.python, self.count, self.output = [], None, 0, ""
        package = folder / "node_modules" / "@shumai"
        package.mkdir(parents=True)
        (package / "shumai").symlink_to(ROOT / "js")

    def start(self, command, ports):
        self.count += 1
        for other in self.background:
            if other.ports & ports:
                other.end()
        started = Background(command, self.folder, self.environment, ports, self.folder / f".log.{self.count}")
        self.background.append(started)
        return started

    def write(self, name, text):
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(self.places.put_into(text))
        return file

    def prepare(self):
        text = prelude_of(self.page, "sh")
        if text:
            self.run_shell(text, 1, "serves" in text.splitlines()[0])

    def run(self, block):
        if block.title:
            self.write(block.title, block.text)
        elif block.language in ("js", "py", "cpp", "sh", "json", "cmake"):
            getattr(self, f"run_{block.language}")(block)
        else:
            raise BlockFailed(f"no way to run {block.language}")

    def run_sh(self, block):
        self.run_shell(block.text, block.line, "server" in block.words)
        self.output = self.background[-1].output()

    def run_shell(self, text, line, serves):
        ports = served_ports(text) or {FIRST}
        script = self.write(f".script.{self.count}", "\n" * (line - 1) + text)
        process = self.start(["bash", "-euo", "pipefail", script], ports if serves else set())
        if not serves:
            return process.wait_for_success()
        process.wait_for(lambda: all(listens(self.places.port(port)) for port in ports))
        process.check()

    def run_js(self, block):
        text, _ = javascript.module(block, prelude_of(self.page, "js"))
        file = self.write(f"block-{block.line}.mjs", text)
        serves, ports = javascript.serves(block), served_ports(text)
        if serves and not ports:
            raise BlockFailed("a server here has to say its port, from 3000 on")
        process = self.start(["node", file], ports if serves else set())
        process.wait_for(lambda: serves and javascript.END in process.output())
        process.check()
        if javascript.END not in process.output():
            raise BlockFailed(f"it ended before its last line\n{process.output()}")

    def run_cpp(self, block):
        if self.cpp_program is None:
            raise BlockFailed("the program of all C++ blocks doesn't compile")
        ports = served_ports(block.text)
        process = self.start([self.cpp_program, block.name], ports)
        if ".wait()" not in block.text:
            return process.wait_for_success()
        process.wait_for(lambda: all(listens(self.places.port(port)) for port in ports))
        process.check()

    def run_py(self, block):
        before = [each for each in self.blocks if each.language == "py" and each.line <= block.line]
        if not HAS_TORCH and ("torch" in prelude_of(self.page, "py") or any("torch" in each.text for each in before)):
            raise Skipped("PyTorch isn't installed; ./dev test --reference runs it")
        if self.python is None:
            self.python = subprocess.Popen(
                [PYTHON, Path(__file__).parent / "python_driver.py"], cwd=self.folder, env=self.environment, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)
            if prelude := prelude_of(self.page, "py"):
                self.run_python(f"the prelude of {self.page}", 1, prelude)
        self.run_python(block.page, block.line, block.text)

    def run_python(self, file, line, text):
        request = {"page": file, "line": line, "text": self.places.put_into(text)}
        print(json.dumps(request), file=self.python.stdin, flush=True)
        error = json.loads(self.python.stdout.readline() or '"Python ended"')
        if error:
            raise BlockFailed(error)

    def run_json(self, block):
        if "output" in block.words and block.text.split() != self.output.split():
            raise BlockFailed(f"what the block before wrote is\n{self.output}")
        try:
            json.loads(block.text)
        except ValueError as error:
            raise BlockFailed(f"not JSON: {error}") from None

    def run_cmake(self, block):
        project = f"cmake-{block.line}"
        self.write(f"{project}/CMakeLists.txt", prelude_of(self.page, "cmake") + block.text)
        self.write(f"{project}/main.cpp", "int main() {}\n")
        self.start(["cmake", "-S", project, "-B", f"{project}/build"], set()).wait_for_success()

    def end(self):
        if self.python is not None:
            self.python.stdin.close()
            self.python.wait()
            self.python.stdout.close()
        died = [each for each in self.background if not each.ended and each.process.poll() not in (None, 0)]
        for each in self.background:
            each.end()
        return "\n".join(f"exit status {each.process.returncode}\n{each.output()}" for each in died)
