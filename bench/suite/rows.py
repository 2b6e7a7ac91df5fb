"""What is measured: for each row who takes part in turn, and the lines of the table that come of it."""
from dataclasses import dataclass, field


@dataclass
class Contender:
    worker: str
    workload: str
    arguments: dict = field(default_factory=dict)
    work: float | None = None  # units (operations, bytes) in one piece of work; None: as many as the row says


@dataclass
class Line:
    """Ours beside one peer's or one floor's, both by their label in the row."""
    name: str
    unit: str
    peer: str | None = None
    target: float | None = None  # at least that many times as good as the peer
    ours: str = 'shumai'


@dataclass
class Row:
    contenders: dict
    lines: list
    work: float = 1
    seconds: float = 0.3  # of one turn


# A piece of work that takes `seconds`, in a unit, and whether more is better.
UNITS = {
    'ns': (lambda seconds, _: seconds * 1e9, False),
    'us': (lambda seconds, _: seconds * 1e6, False),
    'ms': (lambda seconds, _: seconds * 1e3, False),
    'GFLOP/s': (lambda seconds, work: work / seconds * 1e-9, True),
    'GB/s': (lambda seconds, work: work / seconds * 1e-9, True),
    '/s': (lambda seconds, work: work / seconds, True),
}


def ours(workload, **arguments):
    return Contender('bench_workloads', workload, arguments)


def pytorch(workload, **arguments):
    return Contender('torch_tensors', workload, arguments)


def tfjs(workload, **arguments):
    return Contender('tfjs', workload, arguments)


PEAK = Contender('floors', 'fma', {'threads': 0}, 1)
PEAK_OF_ONE = Contender('floors', 'fma', {'threads': 1}, 1)
TRIAD = Contender('floors', 'triad', {'threads': 0}, 1)


def small_rows():
    for name, targets in {'add': (20, 3), 'mul_number': (None, None), 'exp': (None, None), 'sum': (None, None),
                          'scalar_step': (25, None)}.items():  # yapf: disable
        label = name if name == 'scalar_step' else name + '_32'
        yield Row(
            {'shumai': ours(name), 'node': Contender('node', name), 'bun': Contender('bun', name), 'PyTorch': pytorch(name),
             'tfjs': tfjs(name)},
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


def all_rows():
    for family in (floor_rows, small_rows, pointwise_rows, matmul_rows, hidden_rows, training_rows, optimizer_rows):
        yield from family()
