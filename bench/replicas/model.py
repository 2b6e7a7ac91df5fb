"""What an average of a group of replicas takes, by its messages: a simulation of events for small groups, and the formula
that it agrees with for large ones. docs/scale.md explains both.

An average is three ticks (it is wished, all have a copy, it counts), a sum of N numbers and of one, the sum of the weights,
and passes over the weights. A tick and a small sum go by Gloo's cube, halving while N is even; the others round a ring.
"""
import collections
import dataclasses
import heapq
import math
import random

SEGMENT = 1 << 20  # bytes that Gloo sends at once
NUMBER = 8
TICK = 0.05
PATIENCE = 2.0


@dataclasses.dataclass(frozen=True)
class Machine:
    message: float  # s of a core that a message takes at either end
    byte: float  # s of a core a byte that is received and added, with what its sender takes
    passes: float  # s of a core a byte of the weights, beside the network
    latency: float = 0.0  # s
    waiting: float = 0.0  # s more, where members share cores that are fewer than they
    bandwidth: float = math.inf  # bytes a second out of each member
    cores: int = 2
    shared: bool = False  # all members are on one machine


def cube(size):
    """Members of each step: whoever are in it send to each other."""
    steps = []
    while size % 2 == 0:
        steps.append(2)
        size //= 2
    return steps + [size] if size > 1 else steps


def cube_events(rank, size, numbers):
    stride, steps = 1, []
    for members in cube(size):
        mine = rank // stride % members
        steps.append([rank + (other - mine) * stride for other in range(members) if other != mine])
        stride *= members
    for peers in steps + steps[::-1]:
        for peer in peers:
            yield 'send', peer, NUMBER * numbers / (len(peers) + 1)
        for peer in peers:
            yield 'receive', peer, None


def segments(size, length):
    return max(2, math.ceil(length / size / SEGMENT))


def ring_events(rank, size, length):
    """One number goes round alone; else every member has two or more segments on the way."""
    before, after = (rank - 1) % size, (rank + 1) % size
    if length == NUMBER:
        for i in range(2 * (size - 1)):
            if (rank + i) % size == 0:
                yield 'send', after, NUMBER
            if (before + i) % size == 0:
                yield 'receive', before, None
        return
    count = segments(size, length)
    for i in range(2 * (size - 1) * count):
        if i >= count:
            yield 'receive', before, None
        yield 'send', after, length / size / count
    for _ in range(count):
        yield 'receive', before, None


def average_events(rank, size, length, machine):
    for _ in range(2):
        yield from cube_events(rank, size, 5)
    yield 'work', length * machine.passes / 2, None
    yield from cube_events(rank, size, size)
    yield from ring_events(rank, size, NUMBER)
    yield from ring_events(rank, size, length)
    yield 'work', length * machine.passes / 2, None
    yield from cube_events(rank, size, 5)


class Simulation:
    """Members that compute, send and receive; cores are taken in the order of asking."""

    def __init__(self, machine, size):
        self.machine = machine
        self.cores = [[0.0] * machine.cores] if machine.shared else [[0.0] * machine.cores for _ in range(size)]
        self.latency = machine.latency + (machine.waiting if machine.shared and size > machine.cores else 0.0)
        self.sent = [0.0] * size  # until when a member's link is taken
        self.queue, self.order = [], 0
        self.arrived = collections.defaultdict(collections.deque)
        self.waiting = {}
        self.messages, self.bytes = 0, 0.0

    def compute(self, member, when, seconds):
        cores = self.cores[0 if self.machine.shared else member]
        core = min(range(len(cores)), key=cores.__getitem__)
        cores[core] = max(when, cores[core]) + seconds
        return cores[core]

    def at(self, when, member):
        self.order += 1
        heapq.heappush(self.queue, (when, self.order, member))

    def deliver(self, member, peer, when):
        arrival, length = self.arrived[peer, member].popleft()
        self.at(self.compute(member, max(when, arrival), self.machine.message + length * self.machine.byte), member)

    def send(self, member, peer, length, when):
        done = self.compute(member, when, self.machine.message)
        self.sent[member] = max(self.sent[member], done) + length / self.machine.bandwidth
        self.arrived[member, peer].append((self.sent[member] + self.latency, length))
        self.messages += 1
        self.bytes += length
        self.at(done, member)
        if self.waiting.get(peer) == member:
            del self.waiting[peer]
            # The one that waits is called when the message is there: cores that others ask for before come first.
            self.at(self.arrived[member, peer][0][0], (peer, member))

    def run(self, programs):
        """Seconds until all have ended."""
        end = 0.0
        for member in range(len(programs)):
            self.at(0.0, member)
        while self.queue:
            when, _, member = heapq.heappop(self.queue)
            if isinstance(member, tuple):
                self.deliver(*member, when)
                continue
            end = max(end, when)
            what, value, length = next(programs[member], (None, None, None))
            if what == 'work':
                self.at(self.compute(member, when, value), member)
            elif what == 'send':
                self.send(member, value, length, when)
            elif what == 'receive':
                if self.arrived[value, member]:
                    self.deliver(member, value, when)
                else:
                    self.waiting[member] = value
        return end


def simulated(machine, size, length):
    """Seconds of one average of `size` members with `length` bytes of weights."""
    simulation = Simulation(machine, size)
    return simulation.run([average_events(rank, size, length, machine) for rank in range(size)])


def cube_time(machine, size, length=0):
    hops = sum(2 * (2 * (members - 1) * machine.message + machine.latency) for members in cube(size))
    return hops + 2 * (size - 1) / size * length * (1 / machine.bandwidth + machine.byte)


def ring_time(machine, size, length):
    """The chunks of all go round twice; a stage takes as long as its slowest part, and the first bytes a hop more."""
    hop = 2 * machine.message + machine.latency
    if length == NUMBER:
        return 2 * (size - 1) * hop
    count = segments(size, length)
    chunk = length / size
    stage = max(count * 2 * machine.message / min(machine.cores, 2) + chunk * machine.byte, chunk / machine.bandwidth,
                hop + chunk / count * (1 / machine.bandwidth + machine.byte))
    return 2 * (size - 1) * stage


def tree_time(machine, size, length):
    """Up and down a binary tree in segments, one behind the other."""
    depth, count = math.ceil(math.log2(size)), max(1, math.ceil(length / SEGMENT))
    segment = length / count
    stage = max(2 * segment / machine.bandwidth, 2 * (2 * machine.message + segment * machine.byte))
    return 2 * depth * (machine.latency + stage) + 2 * (count - 1) * stage


def average_time(machine, size, length):
    """As simulated(), for members on machines of their own and any size."""
    return (4 * cube_time(machine, size) + ring_time(machine, size, NUMBER) + ring_time(machine, size, length) +
            length * machine.passes)


@dataclasses.dataclass(frozen=True)
class Fleet:
    step: float  # s of an update of a replica, the mean
    spread: float  # of it, relative
    every: int
    life: float  # s until a replica dies, the mean
    forming: float  # s that a death costs the others


def progress(fleet, size, seconds, rounds=200, seed=1):
    """By chance: seconds between two averages, updates of a replica between them, and tries that an average takes."""
    chance = random.Random(seed)
    some = min(size, 1000)
    total = tries = 0.0
    for _ in range(rounds):
        # The one that is first with its updates begins; a sum of many steps is as good as normal. Then each ends a step
        # before it takes a copy, but nobody waits longer than PATIENCE.
        first = min(chance.gauss(1, fleet.spread / math.sqrt(fleet.every)) for _ in range(some))
        last = max(chance.random() * max(0.0, chance.gauss(1, fleet.spread)) for _ in range(some))
        average = TICK / 2 + min(last * fleet.step, PATIENCE) + seconds
        tries += 1
        while tries < 1e6 and chance.expovariate(size / fleet.life) < average:
            total += fleet.forming + average
            tries += 1
        # Meanwhile they go on.
        total += max(fleet.every * fleet.step * first, average)
    period = total / rounds
    return period, period / fleet.step, tries / rounds
