"""Real servers for tests: the programs of the build, and raw sockets that answer what a test wants."""

import contextlib
import json
import os
import queue
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("SHUMAI_BIN_DIR", ROOT / "build" / "test" / "bin"))
# A test that passes never waits this long.
PATIENCE = 120.0


def poll_until(done, patience=PATIENCE):
    """Asks again and again until `done()` or the deadline; returns whether it was."""
    deadline = time.monotonic() + patience
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True


class Process:
    """A program whose lines are read as they come. Ends with the `with` block."""

    def __init__(self, *argv, **options):
        self.process = subprocess.Popen(
            [str(each) for each in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, start_new_session=True, **options)
        self._lines = queue.Queue()
        self.output = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def wait_for_line(self, pattern):
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                line = self._lines.get(timeout=max(0, deadline - time.monotonic()))
            except queue.Empty:
                line = None
            if line is None:
                raise AssertionError(f"no line like '{pattern}' came; the output: {self.output}")
            self.output.append(line)
            if found := re.search(pattern, line):
                return found

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        self.process.stdout.close()


class Server(Process):
    """A program that prints "serving on URL"."""

    def __init__(self, program, *arguments, **options):
        super().__init__(program, *arguments, **options)
        try:
            self.url = self.wait_for_line(r"serving on (\S+)")[1]
        except AssertionError:
            self.kill()
            raise


class TrainingServer:
    """tests/e2e/programs/training_server.cpp, on the same port each time it is started."""

    def __init__(self, *options):
        self._options = list(options)
        self._server = Server(BIN / "training_server", *self._options)
        self.url = self._server.url
        self._options += ["--port", self.url.rpartition(":")[2]]

    def kill(self):
        self._server.kill()

    def start(self):
        with contextlib.suppress(ValueError):
            self._server.process.stdout.close()
        self._server = Process(BIN / "training_server", *self._options)

    def wait_until_serving(self):
        self._server.wait_for_line("serving on")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.__exit__()


def seed_server():
    return Server(BIN / "seed_server", "0")


def fast_directory():
    """For checkpoints: in memory where there is such a place."""
    return tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)


class RawServer:
    """Answers each connection by `script(connection, number)`; counts the connections and keeps what they sent."""

    def __init__(self, script, unix_path=None, tls=None):
        self._script = script
        self._tls = tls
        if unix_path:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(unix_path)
            self._listener.listen(64)
            self.url = f"unix:{unix_path}:"
        else:
            self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
            scheme = "https" if tls else "http"
            self.url = f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}"
        self.requests = []
        self.connections = 0
        self._open = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            number, self.connections = self.connections, self.connections + 1
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection, number), daemon=True).start()

    def _serve(self, connection, number):
        with contextlib.suppress(OSError):
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with connection:
                self._script(connection, number)

    def read_request(self, connection):
        """The head and the body of the next request; None when there is none."""
        data = b""
        while b"\r\n\r\n" not in data:
            piece = connection.recv(65536)
            if not piece:
                return None
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
        while len(body) < int(length[1] if length else 0):
            body += connection.recv(65536)
        self.requests.append((head.decode("latin-1") + "\r\n", body))
        return self.requests[-1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # A thread in accept() would keep the socket open.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def response(body=b"", *fields, status="200 OK", type_="application/x-safetensors"):
    """An answer's bytes."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", f"Content-Type: {type_}", *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def raw_server(*answers, tls=None):
    """Answers with these on each connection, with the last one again and again."""

    def script(connection, _):
        answer = iter(answers)
        last = b""
        while server.read_request(connection) is not None:
            last = next(answer, last)
            connection.sendall(last)

    server = RawServer(script, tls=tls)
    return server


def problem(status, code, detail, *fields):
    """An error's answer."""
    body = json.dumps({"status": int(status[:3]), "code": code, "detail": detail}).encode()
    return response(body, *fields, status=status, type_="application/problem+json")
