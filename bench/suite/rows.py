"""What is measured: for each row who takes part in turn, and the lines of the table that come of it."""
from dataclasses import dataclass, field


@dataclass
class Contender:
    worker: str
    workload: str
    arguments: dict = field(default_factory=dict)
    work: float | None = None  # units (operations, bytes) in one piece of work; None: as many as the row says
    server: str | None = None  # gets its port and pid as arguments
    alone: bool = False  # with a server of its own
    or_worker: str | None = None  # does the same in another way; the faster one counts


@dataclass
class Line:
    """Ours beside one peer's or one floor's, both by their label in the row."""
    name: str
    unit: str
    peer: str | None = None
    target: float | None = None  # at least that many times as good as the peer
    ours: str = 'shumai'
    limit: float | None = None  # at most that


@dataclass
class Row:
    contenders: dict
    lines: list
    work: float = 1
    seconds: float = 0.3  # of one turn
    once: bool = False  # not in turns: what can't be repeated in one process

    @property
    def name(self):
        return self.lines[0].name


# A piece of work that takes `seconds`, in a unit, and whether more is better.
UNITS = {
    'ns': (lambda seconds, _: seconds * 1e9, False),
    'us': (lambda seconds, _: seconds * 1e6, False),
    'ms': (lambda seconds, _: seconds * 1e3, False),
    'GFLOP/s': (lambda seconds, work: work / seconds * 1e-9, True),
    'GB/s': (lambda seconds, work: work / seconds * 1e-9, True),
    '/s': (lambda seconds, work: work / seconds, True),
    'B': (lambda size, _: size, False),
    'MB': (lambda size, _: size * 1e-6, False),
}


def ours(workload, **arguments):
    return Contender('workloads', workload, arguments)


def pytorch(workload, **arguments):
    """OpenMP's threads spin before they sleep, which is faster for some work and several times slower for other: both ways
    are tried."""
    return Contender('torch_tensors', workload, arguments, or_worker='torch_passive')


def tfjs(workload, **arguments):
    return Contender('tfjs', workload, arguments)


PEAK = Contender('floors', 'fma', {'threads': 0}, 1)
PEAK_OF_ONE = Contender('floors', 'fma', {'threads': 1}, 1)
TRIAD = Contender('floors', 'triad', {'threads': 0}, 1)


def small_rows():
    for name, targets in {'add': (20, 3), 'mul_number': (None, None), 'exp': (None, None), 'sum': (None, None),
                          'matmul_8': (None, None), 'scalar_step': (25, None)}.items():  # yapf: disable
        label = name if name in ('matmul_8', 'scalar_step') else name + '_32'
        yield Row(
            {'shumai': ours(name), 'node': Contender('node', name), 'bun': Contender('bun', name),
             'PyTorch': Contender('torch_tensors', name), 'tfjs': tfjs(name)},
            [Line(f'{label} C++', 'ns', 'PyTorch', targets[0]),
             Line(f'{label} Node', 'ns', 'PyTorch', targets[1], 'node'), Line(f'{label} Node', 'ns', 'tfjs', None, 'node'),
             Line(f'{label} Bun', 'ns', 'PyTorch', targets[1], 'bun'), Line(f'{label} Bun', 'ns', 'tfjs', None, 'bun')],
            seconds=0.2)  # yapf: disable


# Bytes that one fused pass reads and writes.
CHAINS = {'gate': 5 * 4e6, 'clip': 4 * 4e6}


def pointwise_rows():
    for chain, size in CHAINS.items():
        yield Row(
            {'shumai': ours('pointwise', chain=chain, backward=False),
             'PyTorch': pytorch('pointwise', chain=chain, backward=False), 'triad': TRIAD},
            [Line(f'pointwise_1M {chain} forward', 'us', 'PyTorch', 2.5),
             Line(f'pointwise_1M {chain} forward, bytes of a fused pass', 'GB/s', 'triad', 0.8)],
            work=size)  # yapf: disable
        yield Row(
            {'shumai': ours('pointwise', chain=chain, backward=True),
             'PyTorch': pytorch('pointwise', chain=chain, backward=True)},
            [Line(f'pointwise_1M {chain} forward+backward', 'us', 'PyTorch', 2)])  # yapf: disable


def matmul_rows():
    for size in (64, 128, 256, 512, 1024, 2048):
        flops = 2 * size**3
        yield Row({'shumai': ours('matmul', size=size), 'PyTorch': pytorch('matmul', size=size), 'FMA peak': PEAK},
                  [Line(f'matmul_{size}', 'GFLOP/s', 'PyTorch', 1),
                   Line(f'matmul_{size}', 'GFLOP/s', 'FMA peak', 0.85 if size >= 256 else None)], work=flops)  # yapf: disable


def hidden_rows():
    for width, target in {64: 8, 128: 5, 1024: 1.3}.items():
        for backward in (False, True):
            arguments = {'width': width, 'backward': backward}
            yield Row({'shumai': ours('hidden', **arguments), 'PyTorch': pytorch('hidden', **arguments)},
                      [Line(f'hidden_64x{width} {"forward+backward" if backward else "forward"}', 'us', 'PyTorch', target)])


def training_rows():
    """The operations of a step: products forward, and for the gradients of weights and inputs."""
    tokens, width = 8 * 128, 256
    block = 2 * tokens * (4 * width**2 + 2 * width * 4 * width) + 2 * 2 * tokens * 128 * width
    for name, flops, target, peak in (
            ('mlp_step', 64 * 2 * (2 * 784 * 128 + 3 * 128 * 10), 4, 0.35),
            ('cnn_step', 64 * 2 * (2 * 28 * 28 * 16 * 9 + 3 * 14 * 14 * 32 * 16 * 9 + 3 * 1568 * 10), 3, 0.30),
            ('transformer_step', 3 * block, 2.5, 0.45)):  # yapf: disable
        contenders = {'shumai': ours(name), 'PyTorch': pytorch(name), 'FMA peak': PEAK}
        lines = [Line(name, 'us', 'PyTorch', target), Line(name, 'GFLOP/s', 'FMA peak', peak)]
        if name == 'mlp_step':
            contenders['tfjs'] = tfjs(name)
            lines.insert(1, Line(name, 'us', 'tfjs'))
        yield Row(contenders, lines, flops, seconds=0.5)


def optimizer_rows():
    for optimizer in ('sgd', 'momentum', 'adam', 'rmsprop'):
        for size, label in ((32, '32'), (1_000_000, '1M')):
            arguments = {'optimizer': optimizer, 'size': size}
            yield Row({'shumai': ours('update', **arguments), 'PyTorch': pytorch('update', **arguments)},
                      [Line(f'update_{label} {optimizer}', 'us', 'PyTorch')], seconds=0.2)


def floor_rows():
    yield Row({'shumai': PEAK, 'one thread': PEAK_OF_ONE},
              [Line('FMA peak', 'GFLOP/s'), Line('FMA peak, one thread', 'GFLOP/s', ours='one thread')])
    yield Row({'shumai': TRIAD}, [Line('STREAM triad', 'GB/s')])


def load(server, workload, alone=False, **arguments):
    return Contender('load', workload, arguments, server=server, alone=alone)


def our_client(server, connections):
    return Contender('workloads', 'remote_forward', {'connections': connections}, server=server)


def remote_forward_rows():
    """256 float32 to a model and back: by our client, and by the one that costs little, each against the bare echo too."""
    yield Row(
        {'shumai': our_client('server', 1), 'echo, our client': our_client('echo', 1), 'server': load('server', 'latency'),
         'bare echo': load('echo', 'latency'), 'TCP ping-pong': Contender('floors', 'loopback', {'bytes': 1024})},
        [Line('remote_forward_1 C++ to C++', 'us', 'bare echo', 1 / 1.2),
         Line('remote_forward_1 C++ to C++', 'us', 'echo, our client', 1 / 1.2),
         Line('remote_forward_1 server alone', 'us', 'bare echo', 1 / 1.2, 'server'),
         Line('remote_forward_1 server alone', 'us', 'TCP ping-pong', None, 'server')])  # yapf: disable
    yield Row(
        {'C++': our_client('server', 32), 'Node': our_client('node_server', 32), 'Bun': our_client('bun_server', 32),
         'echo, our client': our_client('echo', 32)},
        [Line(f'remote_forward_32 C++ to {label}', '/s', 'echo, our client', target, label)
         for label, target in (('C++', 0.85), ('Node', 0.4), ('Bun', 0.4))])  # yapf: disable
    for name, server, peer, target in (('C++', 'server', None, 0.85), ('Node', 'node_server', 'node:http', 0.4),
                                       ('Bun', 'bun_server', 'Bun.serve', 0.4)):
        contenders = {'shumai': load(server, 'rate', connections=32), 'bare echo': load('echo', 'rate', connections=32)}
        lines = [Line(f'remote_forward_32 {name}', '/s', 'bare echo', target)]
        if peer:
            contenders[peer] = load('node_echo' if name == 'Node' else 'bun_echo', 'rate', connections=32)
            lines.append(Line(f'remote_forward_32 {name}', '/s', peer))
        yield Row(contenders, lines)


def batch_rows():
    """One row of 784 from each of 64 clients, for an MLP 784-1024-10 that runs them together or one by one."""
    arguments = {'connections': 64, 'rows': 1, 'elements': 784}
    yield Row({'shumai': load('batch_server', 'rate', **arguments), 'batching off': load('single_server', 'rate', **arguments)},
              [Line('batches of 64 clients, MLP 784-1024-10', '/s', 'batching off', 5)])


def remote_step_rows():
    for model, fastapi, rpc in (('scalar', 15, 5), ('matrix', 10, 4)):
        arguments = {'model': model}
        contenders = {
            'shumai': Contender('workloads', 'remote_step', arguments, server='server'),
            'FastAPI': Contender('fastapi_client', 'remote_step', arguments, server='fastapi'),
            'PyTorch RPC': Contender('torch_rpc', 'remote_step', arguments),
        }
        name = 'remote_step ' + ('scalar' if model == 'scalar' else '512x128 @ 128x8')
        lines = [Line(f'{name} C++', '/s', 'FastAPI', fastapi), Line(f'{name} C++', '/s', 'PyTorch RPC', rpc)]
        if model == 'scalar':
            for runtime, label in (('node', 'Node'), ('bun', 'Bun')):
                contenders[label] = Contender(runtime, 'remote_step', server=f'{runtime}_server')
                lines += [Line(f'{name} {label}', '/s', peer, None, label) for peer in ('FastAPI', 'PyTorch RPC')]
        yield Row(contenders, lines)


def remote_copy_rows():
    size = 64 << 20
    yield Row(
        {'shumai': Contender('workloads', 'remote_copy', {'bytes': size}, server='server'),
         'raw loopback': Contender('floors', 'loopback', {'bytes': size})},
        [Line('remote_copy 64 MB there and back', 'GB/s', 'raw loopback', 0.7)], work=2 * size)  # yapf: disable


def scale_rows():
    """What many connections, tickets and sessions cost. Of a floor that falls as well, the fall is the kernel's."""
    for name, server, target in (('shumai', 'large_server', 0.8), ('bare echo', 'echo', None)):
        contenders = {
            '10 open': load(server, 'rate', connections=10),
            '5000 open': load(server, 'rate', connections=10, open=5000, used=10),
            '5000 in use': load(server, 'rate', connections=10, open=5000),
        }
        yield Row(contenders, [Line(f'connections {label}, {name}', '/s', '10 open', target, label)
                               for label in ('5000 open', '5000 in use')])  # yapf: disable
    contenders = {f'{count} tickets': load('large_server', 'latency', alone=True, tickets=count) for count in (0, 100_000)}
    yield Row(contenders, [Line('live tickets 100000, forward', 'us', '0 tickets', 0.95, '100000 tickets')])
    growth = {'connections': 32, 'count': 100_000}
    yield Row({'shumai': load('large_server', 'growth', alone=True, path='/ticket', **growth)},
              [Line('bytes of a live ticket', 'B', limit=1000)], once=True)
    yield Row({'shumai': load('large_server', 'growth', alone=True, path='/echo', keeps_session=False, **growth)},
              [Line('bytes of an idle session', 'B', limit=1000)], once=True)


def program_rows():
    yield Row({'shumai': Contender('program', 'stripped')}, [Line('libshumai stripped', 'MB', limit=6)], once=True)
    yield Row({'shumai': Contender('program', 'start')}, [Line('start of a server to its first answer', 'ms', limit=30)])
    yield Row({'shumai': Contender('program', 'resident')}, [Line('resident memory of a server', 'MB', limit=30)])


FAMILIES = (floor_rows, small_rows, pointwise_rows, matmul_rows, hidden_rows, training_rows, optimizer_rows,
            remote_forward_rows, batch_rows, remote_step_rows, remote_copy_rows, scale_rows, program_rows)  # yapf: disable


def families():
    """The rows, in groups after each of which servers and workers may end."""
    for family in FAMILIES:
        yield list(family())
