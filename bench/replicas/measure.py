"""Real groups on this machine: processes that find each other in a folder and average over loopback."""
import json
import queue
import statistics
import subprocess
import tempfile
import threading
import time
from pathlib import Path

PATIENCE = 60.0


class Member:
    def __init__(self, program, place, name, size, members):
        self.process = subprocess.Popen([program, place, name, str(size), str(members)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.lines = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.lines.put(json.loads(line))

    def send(self, command):
        self.process.stdin.write(command + '\n')
        self.process.stdin.flush()

    def wait_for(self, accept):
        deadline = time.monotonic() + PATIENCE
        while True:
            line = self.lines.get(timeout=max(0.0, deadline - time.monotonic()))
            if accept(line):
                return line

    def value(self, name):
        return self.wait_for(lambda line: name in line)[name]

    def kill(self):
        self.process.kill()
        self.process.wait()


class Group:
    """`members` replicas of `size` bytes, which have found each other."""

    def __init__(self, build, members, size):
        self.program = str(Path(build) / 'bin' / 'bench_replica')
        self.folder = tempfile.TemporaryDirectory()  # pylint: disable=consider-using-with
        self.size = size
        self.members = [self.start(i, members) for i in range(members)]
        self.wait_for_all(members)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for member in self.members:
            member.kill()
        self.folder.cleanup()

    def start(self, i, members):
        return Member(self.program, self.folder.name, f'm{i}', self.size, members)

    def wait_for_all(self, count):
        """When the last of them was in a forming of `count`."""
        return max(member.wait_for(lambda line: line.get('members') == count)['at'] for member in self.members)

    def passes(self, times=9):
        self.members[0].send(f'passes {times}')
        return self.members[0].value('passes')

    def busy(self, times):
        """Seconds from one average to the next when each is due as soon as the one before has ended."""
        for member in self.members:
            member.send(f'busy {times}')
        return statistics.median(member.value('busy') for member in self.members)

    def ask(self, times):
        """Seconds until an average that one of them asks for while the others wait."""
        self.members[0].send(f'ask {times}')
        return self.members[0].value('ask')

    def lose_one(self):
        """Seconds from the death of one until the others are a group."""
        began = time.monotonic()
        self.members.pop().kill()
        return self.wait_for_all(len(self.members)) - began

    def gain_one(self):
        """Seconds from the start of a process until all are a group with it."""
        began = time.monotonic()
        count = len(self.members) + 1
        self.members.append(self.start(count, count))
        return self.wait_for_all(count) - began

    def records(self):
        """Bytes of the largest value of each folder of the rendezvous."""
        sizes = {}
        for path in Path(self.folder.name, 'scale').rglob('*'):
            kind = path.relative_to(Path(self.folder.name, 'scale')).parts[0]
            try:
                if path.is_file() and not path.name.startswith('.'):
                    sizes[kind] = max(sizes.get(kind, 0), path.stat().st_size)
            except FileNotFoundError:  # written anew meanwhile
                pass
        return sizes
