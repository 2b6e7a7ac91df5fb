"""Runs the contenders of a row in turn, and makes lines of what they took."""
import math
import statistics
import sys
import time

from suite.rows import UNITS
from suite.workers import Failure

TOLERANCE = 1e-4
PAUSE = 0.01  # lets the threads of the last turn go to sleep


def complain(text):
    print(f'bench: {text}', file=sys.stderr)


def agree(row, checks):
    """Whether all that have figures have the same ones."""
    label, expected = next(iter(checks.items()), (None, []))
    for other, figures in checks.items():
        same = len(figures) == len(expected) and all(
            math.isclose(a, b, rel_tol=TOLERANCE) for a, b in zip(figures, expected))
        if not same:
            complain(f'{row.name}: {other} computes {figures} where {label} computes {expected}')
            return False
    return True


def checks_of(workers, row):
    """The checks of all contenders that are installed. Failure of our own is one of the row."""
    checks = {}
    for label, contender in row.contenders.items():
        if not workers.installed(contender):
            continue
        try:
            checks[label] = workers.ask(contender, label, check=True)['check']
        except Failure as failure:
            complain(f'{row.name}: {label}: {failure}')
            if label in {line.ours for line in row.lines}:
                return None
    return checks


def run_row(workers, row, turns, scale):
    """Median values by label; None when our own fails or they don't compute the same."""
    checks = checks_of(workers, row)
    if checks is None or not agree(row, {label: figures for label, figures in checks.items() if figures}):
        return None
    samples = {label: [] for label in checks}
    first = 0 if row.once else -1  # a turn to warm up
    for turn in range(first, 1 if row.once else turns):
        for label, of_label in samples.items():
            time.sleep(PAUSE)
            value = workers.ask(row.contenders[label], label, seconds=row.seconds * scale)['value']
            if turn >= 0:
                of_label.append(value)
    return {label: statistics.median(of_label) for label, of_label in samples.items()}


def results(row, medians):
    """One dictionary a line: the keys of the JSON, and what the table shows beside."""
    for line in row.lines:
        convert, higher = UNITS[line.unit]

        def value(label, convert=convert):
            if label not in medians:
                return None
            work = row.contenders[label].work
            return convert(medians[label], row.work if work is None else work)

        of_peer = value(line.peer) if line.peer else None
        yield {
            'json': {'name': line.name, 'value': value(line.ours), 'unit': line.unit, 'higher_is_better': higher,
                     'peer': line.peer, 'peer_value': of_peer},
            'target': line.target, 'limit': line.limit,
        }  # yapf: disable
