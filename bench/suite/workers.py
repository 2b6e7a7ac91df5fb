"""The programs that do the work: started at first use, told a line at a time, silent while they wait."""
import contextlib
import glob
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).resolve().parent.parent
ROOT = BENCH.parent


class Failure(Exception):
    """A workload that couldn't run."""


class Worker:
    """One process that speaks the lines of bench/worker.hpp."""

    def __init__(self, command, environment, cwd=None):
        self.process = subprocess.Popen(  # pylint: disable=consider-using-with
            command, env=environment, cwd=cwd, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def ask(self, **request):
        try:
            self.process.stdin.write(json.dumps(request) + '\n')
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ''
        if not line:
            raise Failure(f'{self.process.args[0]} ended with status {self.process.wait()}')
        answer = json.loads(line)
        if 'error' in answer:
            raise Failure(answer['error'])
        return answer

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


def bun():
    """Bun, on the path or from npm, which may install it for several C libraries; None when none runs here."""
    for path in [shutil.which('bun'), *glob.glob(str(ROOT / 'js' / 'node_modules' / '@oven' / '*' / 'bin' / 'bun'))]:
        if path and subprocess.run([path, '--version'], capture_output=True, check=False).returncode == 0:
            return path
    return None


def python_with(module):
    """A Python that has `module`; None when there is none."""
    for path in dict.fromkeys([sys.executable, '/usr/bin/python3']):
        if os.path.exists(path):
            code = f'import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is None)'
            if subprocess.run([path, '-c', code], check=False).returncode == 0:
                return path
    return None


class Workers:
    """All of them by name. `peers` false leaves out what isn't ours."""

    def __init__(self, build, threads, peers=True):
        self.build, self.threads, self.peers = Path(build).resolve(), threads, peers
        self.running, self.absent = {}, set()
        self.environment = dict(
            os.environ, SHUMAI_ADDON=str(self.build / 'js' / 'shumai.node'), SHUMAI_THREADS=str(threads),
            OMP_NUM_THREADS=str(threads), PYTHONPATH=str(BENCH / 'peers'))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for worker in self.running.values():
            worker.close()

    def command(self, name):
        """What starts worker `name`; None when it isn't installed."""
        peers = BENCH / 'peers'
        if name in ('bench_workloads', 'floors'):
            return self.found([str(self.build / 'bin' / name)])
        if name in ('node', 'bun'):
            return self.found([shutil.which('node') if name == 'node' else bun(), str(BENCH / 'tensors.js')])
        if name == 'tfjs':
            installed = (BENCH / 'node_modules' / '@tensorflow' / 'tfjs').exists()
            return self.found([installed and shutil.which('node'), str(peers / 'tfjs.js')])
        return self.found([python_with('torch'), str(peers / f'{name}.py'), str(self.threads)])

    @staticmethod
    def found(command):
        return command if command[0] and os.path.exists(command[0]) else None

    def get(self, name):
        """The worker, or None where it isn't installed."""
        if name in self.absent or (name not in ('bench_workloads', 'floors', 'node', 'bun') and not self.peers):
            return None
        if name not in self.running:
            command = self.command(name)
            if command is None:
                self.absent.add(name)
                return None
            self.running[name] = Worker(command, self.environment)
        return self.running[name]

    @contextlib.contextmanager
    def failing(self, name):
        """A worker that fails is started afresh the next time."""
        try:
            yield
        except Failure:
            worker = self.running.pop(name, None)
            if worker:
                worker.close()
            raise
