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
            complain(f'{row.lines[0].name}: {other} computes {figures} where {label} computes {expected}')
            return False
    return True


def ask(workers, contender, **request):
    with workers.failing(contender.worker):
        return workers.get(contender.worker).ask(workload=contender.workload, arguments=contender.arguments, **request)


def present(workers, row):
    """The contenders that are installed and can run this, with their checks."""
    checks = {}
    for label, contender in row.contenders.items():
        if workers.get(contender.worker) is None:
            continue
        try:
            checks[label] = ask(workers, contender, check=True)['check']
        except Failure as failure:
            complain(f'{row.lines[0].name}: {label}: {failure}')
    return checks


def run_row(workers, row, turns, scale):
    """Median seconds by label; None when they don't compute the same."""
    checks = present(workers, row)
    if not agree(row, {label: figures for label, figures in checks.items() if figures}):
        return None
    samples = {label: [] for label in checks}
    for turn in range(-1, turns):  # the first one warms up
        for label, of_label in samples.items():
            time.sleep(PAUSE)
            answer = ask(workers, row.contenders[label], seconds=row.seconds * scale)
            if turn >= 0:
                of_label.append(answer['seconds'])
    return {label: statistics.median(of_label) for label, of_label in samples.items() if of_label}


def results(row, medians):
    """One dictionary a line, with the keys of the JSON and what the table shows beside."""
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
            'target': line.target,
        }  # yapf: disable
