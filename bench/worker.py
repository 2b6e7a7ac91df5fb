"""What bench/worker.hpp describes, for peers in Python."""
import json
import sys
import time


class Workload:
    """measure(seconds) works for about so many seconds and returns the seconds that one piece of work takes; check()
    returns figures on which all sides have to agree, computed from fresh weights."""

    def __init__(self, measure, check=None):
        self.measure = measure
        self.check = check or (lambda: [])


def seconds_each(seconds, work):
    """The mean over calls of `work` for about so many seconds."""
    clock = time.perf_counter
    start = clock()
    spent, calls, chunk = 0.0, 0, 1
    while spent < seconds:
        for _ in range(chunk):
            work()
        calls += chunk
        before, spent = spent, clock() - start
        if spent - before < 2e-4:
            chunk *= 2
    return spent / calls


def repeat(work, check=None):
    return Workload(lambda seconds: seconds_each(seconds, work), check)


class Worker:
    """Keeps the workload of the last request, since the next one is mostly for the same."""

    def __init__(self, workloads):
        self.workloads = workloads
        self.key, self.workload = None, None

    def answer(self, request):
        arguments = request.get('arguments', {})
        key = (request['workload'], json.dumps(arguments, sort_keys=True))
        if key != self.key:
            self.key, self.workload = None, None
            self.workload = self.workloads[request['workload']](**arguments)
            self.key = key
        if request.get('check'):
            return {'check': self.workload.check()}
        return {'value': self.workload.measure(request['seconds'])}


def run(workloads):
    worker = Worker(workloads)
    for line in sys.stdin:
        try:
            answer = worker.answer(json.loads(line))
        except Exception as error:  # pylint: disable=broad-except
            answer = {'error': f'{type(error).__name__}: {error}'}
        print(json.dumps(answer), flush=True)
