"""What stands in the documentation for ports, machines and folders, and what it is in a test."""

import random
import re
import socket
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FIRST, COUNT = 3000, 8
_PORT = re.compile(r"(localhost:|127\.0\.0\.1:|\bport[ =:]{1,3})(300[0-7])\b")


def free_ports():
    """As many as a page names, side by side, below those that the system gives to others."""
    for _ in range(1000):
        first = random.randrange(12000, 30000, COUNT)
        sockets = [socket.socket() for _ in range(COUNT)]
        try:
            for offset, each in enumerate(sockets):
                each.bind(("127.0.0.1", first + offset))
            return first
        except OSError:
            continue
        finally:
            for each in sockets:
                each.close()
    raise RuntimeError(f"no {COUNT} free ports side by side")


class Places:
    def __init__(self, folder):
        self.folder = folder
        self.first = free_ports()
        self.texts = [("models.example:3000", "localhost:3000"), ("models.example/", "localhost:3000/"),
                      ("'models.example'", "'localhost:3000'"), ("/path/to/shumai", str(ROOT)), ("./dev shumai ", "shumai "), ("/shared/", f"{folder}/shared/"),
                      ("/etc/shumai", f"{folder}/etc/shumai")]
        self.texts += [(f"localhost:{FIRST + n}", f"localhost:{self.first + n}") for n in range(COUNT)]

    def port(self, documented=FIRST):
        return self.first + documented - FIRST

    def put_into(self, text):
        for documented, here in self.texts:
            text = text.replace(documented, here)
        return _PORT.sub(lambda match: match[1] + str(self.port(int(match[2]))), text)

    def for_programs(self):
        """The same for a program that was compiled from the text as it is: see cpp.py."""
        return "\n".join([str(self.first)] + [f"{documented}\t{here}" for documented, here in self.texts])


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def served_ports(text):
    """Ports that a text opens, as it is documented."""
    return {int(match[2]) for match in _PORT.finditer(text) if match[1].startswith("port")}
