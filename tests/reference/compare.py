#!/usr/bin/python3
"""compare.py PROGRAM [FILTER] [--seed N] [--verbose]

Runs PROGRAM (tests/reference/reference.cpp), which writes what the library computes from random inputs, computes the
same with PyTorch, and compares. FILTER is part of "kind/name", as in "op/conv". The last line is "N passed, N failed".
"""

import argparse
import json
import math
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

sys.dont_write_bytecode = True
import torch_ops

DTYPES = {
    "bool": torch.bool,
    "uint8": torch.uint8,
    "int8": torch.int8,
    "int16": torch.int16,
    "int32": torch.int32,
    "int64": torch.int64,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float32": torch.float32,
    "float64": torch.float64,
}

# How far two results may be apart, relative to the larger of 1 and the expected element. Integers must be equal.
TOLERANCE = {torch.float64: 1e-11, torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1.6e-2}


class Mismatch(Exception):
    pass


class Refused(Exception):
    """PyTorch doesn't do this for a dtype."""


class Files:
    """What the program wrote."""

    def __init__(self, directory):
        self.data = bytearray((directory / "data.bin").read_bytes())
        everything = json.loads((directory / "cases.json").read_text())
        self.expected, self.cases = everything["expected"], everything["cases"]

    def load(self, value):
        """A part of a record, with tensors in place of what stands for them."""
        if isinstance(value, list):
            return [self.load(item) for item in value]
        if not isinstance(value, dict) or "error" in value:
            return value
        if "number" in value:
            return float(value["number"])
        if "dtype" not in value:
            return {key: self.load(item) for key, item in value.items()}
        dtype = DTYPES[value["dtype"]]
        if "at" not in value:
            return dtype
        count = math.prod(value["shape"])
        if count == 0:
            return torch.empty(value["shape"], dtype=dtype)
        return torch.frombuffer(self.data, dtype=dtype, count=count, offset=value["at"]).reshape(value["shape"]).clone()


def expect_close(what, got, expected, tolerance=None):
    if got.dtype != expected.dtype:
        raise Mismatch(f"{what}: dtype {got.dtype}, expected {expected.dtype}")
    if got.shape != expected.shape:
        raise Mismatch(f"{what}: shape {list(got.shape)}, expected {list(expected.shape)}")
    if not got.is_floating_point():
        bad = got != expected
    else:
        a, b = got.double(), expected.double()
        limit = (tolerance or TOLERANCE[got.dtype]) * b.abs().clamp(min=1)
        bad = ~(((a - b).abs() <= limit) | (a == b) | (a.isnan() & b.isnan()))
    if bad.any():
        at = bad.nonzero()[0].tolist()
        raise Mismatch(f"{what}: {int(bad.sum())} of {bad.numel()} differ, first at {at}: "
                       f"{got[tuple(at)].item()}, expected {expected[tuple(at)].item()}")


def all_tensors(values):
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, list):
            yield from all_tensors(value)


def widened(args):
    if isinstance(args, list):
        return [widened(item) for item in args]
    return args.float() if isinstance(args, torch.Tensor) and args.dtype in (torch.float16, torch.bfloat16) else args


def native(name, args, output):
    try:
        result = torch_ops.OPS[name](*args)
    except (RuntimeError, ValueError) as error:
        if any(t.dtype in (torch.float32, torch.float64) for t in all_tensors(args)):
            raise
        raise Refused(str(error)) from error
    return result[output] if isinstance(result, (tuple, list)) else result


def run_op(name, args, output):
    """The op in PyTorch. Of 16-bit floats the dtype is PyTorch's, and the values are those in float32, rounded once."""
    small = [t.dtype for t in all_tensors(args) if t.dtype in (torch.float16, torch.bfloat16)]
    if not small:
        return native(name, args, output)
    wide = native(name, widened(args), output)
    try:
        return wide.to(native(name, args, output).dtype)
    except Refused:
        return wide.to(small[0]) if wide.dtype == torch.float32 else wide


def compare_op(case):
    args = case["args"]
    along = case.get("along")
    tensors = list(all_tensors(args))
    if along is not None:
        for x in tensors:
            if x.is_floating_point():
                x.requires_grad_(True)
    expected = run_op(case["name"], args, case["output"])
    if isinstance(case["result"], dict):
        raise Mismatch(f"throws \"{case['result']['error']}\", expected {expected}")
    expect_close("result", case["result"], expected.detach())
    if along is None:
        return
    leaves = [x for x in tensors if x.is_floating_point()]
    wanted = torch.autograd.grad(expected, leaves, along, allow_unused=True) if expected.requires_grad else [None] * len(leaves)
    wanted = iter(wanted)
    for i, (x, got) in enumerate(zip(tensors, case["gradients"])):
        want = next(wanted) if x.is_floating_point() else None
        if got is None and want is None:
            continue
        want = torch.zeros_like(x) if want is None else want
        got = torch.zeros_like(x) if got is None else got
        expect_close(f"gradient of input {i}", got, want.detach(), TOLERANCE[got.dtype] * 4)


KINDS = {"op": compare_op}
NO_COUNTERPART = {"op": torch_ops.NO_COUNTERPART}
DIFFERENCES = {"op": torch_ops.DIFFERENCES}


def difference(case):
    """Why this case is known to differ; None when it isn't."""
    for name, pattern, reason in DIFFERENCES.get(case["kind"], []):
        if re.fullmatch(name, case["name"]) and re.search(pattern, case["case"]):
            return reason
    return None


class Tally:
    def __init__(self):
        self.passed, self.failed, self.refused, self.known = 0, 0, {}, 0
        self.compared = set()

    def fail(self, text):
        self.failed += 1
        print(f"FAILED {text}")

    def run(self, case):
        key = f"{case['kind']}/{case['name']}"
        try:
            KINDS[case["kind"]](case)
        except Refused as refusal:
            self.refused.setdefault(key, set()).add(str(refusal).splitlines()[0])
            return
        except Exception as error:  # one bad case mustn't hide the others
            if difference(case):
                self.known += 1
            else:
                text = str(error).splitlines()
                self.fail(f"{case['kind']} {case['case']}: {type(error).__name__} {text[0] if text else ''}")
                self.compared.add(key)
            return
        self.passed += 1
        self.compared.add(key)


def run(files, wanted):
    tally = Tally()
    for case in files.cases:
        if wanted in f"{case['kind']}/{case['name']}":
            tally.run(files.load(case))
    for kind, names in files.expected.items():
        missing = [name for name in names if f"{kind}/{name}" not in tally.compared]
        for name in missing:
            if wanted in f"{kind}/{name}" and name not in NO_COUNTERPART.get(kind, {}):
                tally.fail(f"{kind} {name}: nothing compares it; add it to tests/reference, or say there why not")
    return tally


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("filter", nargs="?", default="")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    print(f"PyTorch {torch.__version__}, seed {options.seed} (again with --seed {options.seed})")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([options.program, directory, str(options.seed)], check=True)
        tally = run(Files(Path(directory)), options.filter)
    if options.verbose:
        for key, reasons in sorted(tally.refused.items()):
            print(f"PyTorch has no {key}: {'; '.join(sorted(reasons))}")
    print(f"{sum(map(len, tally.refused.values()))} calls that PyTorch refuses for a dtype, "
          f"{tally.known} differences that docs/parity.md explains")
    print(f"{tally.passed} passed, {tally.failed} failed")
    return 1 if tally.failed or not tally.passed else 0


if __name__ == "__main__":
    sys.exit(main())
