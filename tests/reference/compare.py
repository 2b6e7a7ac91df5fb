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
import warnings
from pathlib import Path

import torch

sys.dont_write_bytecode = True
from checks import Mismatch, Refused
import torch_dtypes
import torch_files
import torch_losses
import torch_modules
import torch_ops
import torch_optim

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


class Files:
    """What the program wrote."""

    def __init__(self, directory):
        self.data = bytearray((directory / "data.bin").read_bytes())
        everything = json.loads((directory / "cases.json").read_text())
        self.expected, self.cases = everything["expected"], everything["cases"]
        for case in self.cases:
            case["directory"] = str(directory)

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


# For each kind of case the module with compare(case), and with NO_COUNTERPART and DIFFERENCES, if any; and its table.
KINDS = {
    "op": (torch_ops, torch_ops.OPS),
    "promotion": (torch_dtypes, torch_dtypes.FUNCTIONS),
    "integers": (torch_dtypes, torch_dtypes.FUNCTIONS),
    "cast": (torch_dtypes, torch_dtypes.FUNCTIONS),
    "loss": (torch_losses, torch_losses.LOSSES),
    "module": (torch_modules, torch_modules.MODULES),
    "optimizer": (torch_optim, torch_optim.OPTIMIZERS),
    "schedule": (torch_optim, torch_optim.SCHEDULES),
    "scheduled": (torch_optim, torch_optim.SCHEDULES),
    "clip": (torch_optim, torch_optim.CLIPS),
    "file": (torch_files, torch_files.FORMATS),
}

# What the public headers declare, and what isn't compared: kind, headers, pattern, {name: why}.
DECLARED = [
    ("loss", "loss.hpp", r"^Tensor (\w+)\(", {}),
    ("module", "*.hpp", r"^class (\w+) : public (?:Module|detail::Recurrent)\b", {
        "Recurrent": "the base of LSTM and GRU",
        "ModuleList": "a container without a call",
    }),
    ("optimizer", "optim.hpp", r"^(?:class|void) (\w+)(?: : public Optimizer|\()", {}),
    ("schedule", "schedule.hpp", r"^Schedule (\w+)\(", {}),
    ("clip", "optim.hpp", r"^\w+ (clip_\w+)\(", {}),
]


def declared():
    """Everything that there should be cases of, as (kind, name)."""
    headers = Path(__file__).resolve().parents[2] / "include/shumai"
    for kind, pattern, expression, left_out in DECLARED:
        names = {n for path in headers.glob(pattern) for n in re.findall(expression, path.read_text(), re.MULTILINE)}
        if not names:
            raise SystemExit(f"compare.py: no {kind} in {headers}/{pattern}")
        yield from ((kind, name) for name in sorted(names - left_out.keys()))


def is_known(case, mismatch):
    return any(
        re.fullmatch(name, case["name"]) and re.search(pattern, f"{case['case']}: {mismatch}")
        for name, pattern, reason in getattr(KINDS[case["kind"]][0], "DIFFERENCES", [])
    )


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
            KINDS[case["kind"]][0].compare(case)
        except Refused as refusal:
            self.refused.setdefault(key, set()).add(str(refusal).splitlines()[0])
            return
        except Exception as error:  # one bad case mustn't hide the others
            self.compared.add(key)
            if isinstance(error, Mismatch) and is_known(case, error):
                self.known += 1
            else:
                text = str(error).splitlines()
                self.fail(f"{case['kind']} {case['case']}: {type(error).__name__} {text[0] if text else ''}")
            return
        self.passed += 1
        self.compared.add(key)


def run(files, wanted):
    tally = Tally()
    for case in files.cases:
        if wanted in f"{case['kind']}/{case['name']}" and case["name"] in KINDS[case["kind"]][1]:
            tally.run(files.load(case))
    everything = [(case["kind"], case["name"]) for case in files.cases] + list(declared())
    everything += [(kind, name) for kind, names in files.expected.items() for name in names]
    seen = tally.compared | {key for key in tally.refused if not key.startswith("op/")}
    for kind, name in sorted(set(everything)):
        excused = name in getattr(KINDS[kind][0], "NO_COUNTERPART", {})
        if wanted in f"{kind}/{name}" and f"{kind}/{name}" not in seen and not excused:
            tally.fail(f"{kind} {name}: nothing compares it; add it to tests/reference, or say there why not")
    return tally


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("filter", nargs="?", default="")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_intermixed_args()
    print(f"PyTorch {torch.__version__}, seed {options.seed} (again with --seed {options.seed})")
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
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
