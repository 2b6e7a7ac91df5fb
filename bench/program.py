"""What the library and a server cost before they do anything, in the lines of worker.hpp: program.py BUILD.

stripped   bytes of libshumai.so without symbols
start      seconds from the start of a server to its first answer
resident   bytes of memory that it has then
"""
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import worker

BUILD = Path(sys.argv[1])
BODY = b'[1, 2, 3]'
REQUEST = (b'POST /forward HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n' %
           len(BODY)) + BODY


def stripped():
    def measure(_):
        with tempfile.NamedTemporaryFile() as copy:
            subprocess.run(['strip', '--strip-unneeded', '-o', copy.name, BUILD / 'libshumai.so'], check=True)
            return os.path.getsize(copy.name)

    return worker.Workload(measure)


def resident_bytes(pid):
    with open(f'/proc/{pid}/status', encoding='ascii') as status:
        for line in status:
            if line.startswith('VmRSS:'):
                return int(line.split()[1]) * 1024
    raise RuntimeError('no VmRSS')


def serve_once():
    """Seconds until the first answer of a fresh server, and its memory then."""
    begin = time.perf_counter()
    with subprocess.Popen([BUILD / 'bin' / 'bench_server'], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        port = int(server.stdout.readline())
        with socket.create_connection(('127.0.0.1', port)) as connection:
            connection.sendall(REQUEST)
            answer = connection.recv(4096)
        seconds = time.perf_counter() - begin
        if not answer.startswith(b'HTTP/1.1 200'):
            raise RuntimeError(f'the server answered {answer!r}')
        size = resident_bytes(server.pid)
        server.stdin.close()
    return seconds, size


worker.run({
    'stripped': stripped,
    'start': lambda: worker.Workload(lambda _: serve_once()[0]),
    'resident': lambda: worker.Workload(lambda _: serve_once()[1]),
})
