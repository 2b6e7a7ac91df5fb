"""The programs that do the work: started at first use, told a line at a time, silent while they wait."""
import contextlib
import glob
import json
import os
import shutil
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

BENCH = Path(__file__).resolve().parent.parent
ROOT = BENCH.parent


class Failure(Exception):
    """A workload that couldn't run."""


class Worker:
    """One process that speaks the lines of bench/worker.hpp."""

    def __init__(self, command, environment):
        self.process = subprocess.Popen(  # pylint: disable=consider-using-with
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def line(self):
        line = self.process.stdout.readline()
        if not line:
            raise Failure(f'{" ".join(self.process.args)} ended with status {self.process.wait()}')
        return line

    def ask(self, **request):
        try:
            self.process.stdin.write(json.dumps(request) + '\n')
        except BrokenPipeError:
            pass  # its end shows below
        answer = json.loads(self.line())
        if 'error' in answer:
            raise Failure(answer['error'])
        return answer

    def close(self):
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


class Server(Worker):
    """A process that prints its port and serves until it is told to end."""

    def __init__(self, command, environment):
        super().__init__(command, environment)
        self.port = int(self.line())

    def close(self):
        self.process.terminate()
        super().close()


@lru_cache
def bun():
    """Bun, on the path or from npm, which may install it for several C libraries; None when none runs here."""
    for path in [shutil.which('bun'), *glob.glob(str(ROOT / 'js' / 'node_modules' / '@oven' / '*' / 'bin' / 'bun'))]:
        with contextlib.suppress(OSError):  # it is of another C library
            if path and subprocess.run([path, '--version'], capture_output=True, check=False).returncode == 0:
                return path
    return None


@lru_cache
def python_with(*modules):
    """A Python that has all `modules`; None when there is none."""
    code = f'import importlib.util as u, sys; sys.exit(not all(u.find_spec(m) for m in {modules!r}))'
    for path in dict.fromkeys([sys.executable, '/usr/bin/python3']):
        if os.path.exists(path) and subprocess.run([path, '-c', code], check=False).returncode == 0:
            return path
    return None


class Workers:
    """All of them, by name and by a label that tells apart those that run twice. `peers` false leaves out what isn't ours."""

    def __init__(self, build, threads, peers=True):
        self.build, self.peers = Path(build).resolve(), peers
        self.running = {}
        self.environment = dict(
            os.environ, SHUMAI_ADDON=str(self.build / 'js' / 'shumai.node'), SHUMAI_THREADS=str(threads),
            OMP_NUM_THREADS=str(threads), GLOG_minloglevel='2',
            PYTHONPATH=str(BENCH))
        self.commands = self.all_commands(str(threads))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close_all()

    def all_commands(self, threads):
        """What starts each; a None in it means that it isn't installed."""
        programs, peers, node, torch = self.build / 'bin', BENCH / 'peers', shutil.which('node'), python_with('torch')
        fastapi = python_with('torch', 'fastapi', 'uvicorn')
        tfjs = (BENCH / 'node_modules' / '@tensorflow' / 'tfjs').exists()
        return {
            'workloads': [programs / 'bench_workloads'],
            'floors': [programs / 'floors'],
            'load': [programs / 'http_load'],
            'program': [sys.executable, BENCH / 'program.py', self.build],
            'node': [node, BENCH / 'tensors.js'],
            'bun': [bun(), BENCH / 'tensors.js'],
            'tfjs': [node if tfjs else None, peers / 'tfjs.js'],
            'torch_tensors': [torch, peers / 'torch_tensors.py', threads],
            'torch_passive': ['/usr/bin/env', torch and 'OMP_WAIT_POLICY=passive', torch, peers / 'torch_tensors.py', threads],
            'torch_rpc': [torch, peers / 'torch_rpc.py', threads],
            'fastapi_client': [fastapi, peers / 'fastapi_client.py', threads],
            # Servers.
            'server': [programs / 'bench_server'],
            'large_server': [programs / 'bench_server', '--many'],
            'batch_server': [programs / 'bench_server', '--batch', '64'],
            'single_server': [programs / 'bench_server', '--batch', '1'],
            'node_server': [node, BENCH / 'server.js'],
            'bun_server': [bun(), BENCH / 'server.js'],
            'echo': [programs / 'http_echo'],
            'node_echo': [node, peers / 'http_server.js'],
            'bun_echo': [bun(), peers / 'http_server.js'],
            'fastapi': [fastapi, peers / 'fastapi_server.py', threads],
        }

    def installed(self, contender):
        return all(self.is_installed(name) for name in (contender.worker, contender.server) if name)

    def is_installed(self, name):
        command = self.commands[name]
        is_peer = any('/peers/' in str(part) for part in command)
        return all(command) and os.path.exists(command[0]) and (self.peers or not is_peer)

    def start(self, kind, key):
        if key not in self.running:
            self.running[key] = kind([str(part) for part in self.commands[key[0]]], self.environment)
        return self.running[key]

    def ask(self, contender, label, **request):
        """The answer of a contender's worker, about its server if it has one."""
        arguments = dict(contender.arguments)
        # Who talks to a server has connections to it, which another contender shouldn't end.
        key = (contender.worker, label if contender.server else '')
        if contender.server:
            server = self.start(Server, (contender.server, label if contender.alone else ''))
            arguments.update(port=server.port, pid=server.process.pid)
        try:
            return self.start(Worker, key).ask(workload=contender.workload, arguments=arguments, **request)
        except Failure:
            # Started afresh the next time.
            worker = self.running.pop(key, None)
            if worker:
                worker.close()
            raise

    def close_servers(self):
        """And those that are connected to one, first."""
        connected = [key for key in self.running if key[1] or isinstance(self.running[key], Server)]
        for key in sorted(connected, key=lambda key: isinstance(self.running[key], Server)):
            self.running.pop(key).close()

    def close_all(self):
        self.close_servers()
        for worker in self.running.values():
            worker.close()
        self.running.clear()
