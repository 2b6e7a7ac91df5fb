"""Runs the contenders of a row in turn, and makes lines of what they took."""
import dataclasses
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


def takers_of(workers, row):
    """Label and contender of all that are installed; those that can work in two ways are there twice."""
    for label, contender in row.contenders.items():
        if workers.installed(contender):
            yield label, contender
            if contender.or_worker:
                yield label, dataclasses.replace(contender, worker=contender.or_worker)


def check_all(workers, row):
    """Those that can run this; None when our own can't, or they don't compute the same."""
    checks, able = {}, []
    for label, contender in takers_of(workers, row):
        try:
            figures = workers.ask(contender, label, check=True)['check']
        except Failure as failure:
            complain(f'{row.name}: {label}: {failure}')
            if label in {line.ours for line in row.lines}:
                return None
            continue
        able.append((label, contender))
        if figures:
            checks[label] = figures
    return able if agree(row, checks) else None


def run_row(workers, row, turns, scale):
    """Median values by label, without peers that failed; None when there is nothing to compare."""
    takers = check_all(workers, row)
    if takers is None:
        return None
    taking = [(label, contender, []) for label, contender in takers]
    first = 0 if row.once else -1  # a turn to warm up
    for turn in range(first, 1 if row.once else turns):
        for one in list(taking):
            label, contender, own = one
            time.sleep(PAUSE)
            try:
                value = workers.ask(contender, label, seconds=row.seconds * scale)['value']
            except Failure as failure:
                complain(f'{row.name}: {label}: {failure}')
                if label in {line.ours for line in row.lines}:
                    return None
                taking.remove(one)
                continue
            if turn >= 0:
                own.append(value)
    medians = {}
    for label, _, own in taking:
        medians[label] = min(statistics.median(own), medians.get(label, math.inf))
    return medians


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
