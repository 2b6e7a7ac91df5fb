"""How results are compared."""

import torch

# How far two results may be apart, relative to the larger of 1 and the expected element. Integers must be equal.
TOLERANCE = {torch.float64: 1e-11, torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1.6e-2}


class Mismatch(Exception):
    pass


class Refused(Exception):
    """PyTorch doesn't do this for a dtype."""


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


def run_both(case, function, weights=None, constants=()):
    """Compares a record of Recorder::keep_run with `function` of the same inputs.

    `weights` are named leaves; for the inputs numbered in `constants` PyTorch has no gradient.
    """
    inputs = case["inputs"]
    for i, x in enumerate(inputs):
        if x is not None:
            x.requires_grad_(x.is_floating_point() and i not in constants)
    results = function(*inputs)
    results = list(results) if isinstance(results, (tuple, list)) else [results]
    if "error" in case:
        raise Mismatch(f"throws \"{case['error']}\", expected {[list(r.shape) for r in results]}")
    if len(results) != len(case["results"]):
        raise Mismatch(f"{len(case['results'])} results, expected {len(results)}")
    for i, (got, want) in enumerate(zip(case["results"], results)):
        expect_close(f"result {i}", got, want.detach())
    named = {f"input {i}": (x, case["input_gradients"][i]) for i, x in enumerate(inputs) if i not in constants}
    for name, leaf in (weights or {}).items():
        named[name] = (leaf, case["weight_gradients"][name])
    total = sum((result * along).sum() for result, along in zip(results, case["along"]))
    if total.requires_grad:
        total.backward()
    for name, (leaf, got) in named.items():
        if leaf is None or (got is None and leaf.grad is None):
            continue
        zeros = torch.zeros_like(leaf)
        want = zeros if leaf.grad is None else leaf.grad
        expect_close(f"gradient of {name}", zeros if got is None else got, want, 4 * TOLERANCE[leaf.dtype])
