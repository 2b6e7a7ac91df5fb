"""Dtypes of results, integers at their limits and casts, in PyTorch."""

import torch

from checks import Mismatch, Refused, expect_close


def where(a, b):
    return torch.where(torch.tensor([True, False, True]), a, b)


FUNCTIONS = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "mod": torch.remainder,
    "power": torch.pow,
    "maximum": torch.maximum,
    "where": where,
    "eq": lambda a, b: a == b,
    "lt": lambda a, b: a < b,
    "bitwise_and": lambda a, b: a & b,
    "l_shift": lambda a, b: a << b,
    "r_shift": lambda a, b: a >> b,
    "logical_or": torch.logical_or,
    "concatenate": lambda a, b: torch.cat([a, b]),
    "matmul": torch.matmul,
    "sum": torch.sum,
    "mean": torch.mean,
    "prod": torch.prod,
    "cumsum": lambda x: torch.cumsum(x, 0),
    "variance": torch.var,
    "amax": torch.amax,
    "argmax": torch.argmax,
    "softmax": lambda x: torch.softmax(x, 0),
    "exp": torch.exp,
    "sqrt": torch.sqrt,
    "negative": torch.neg,
    "absolute": torch.abs,
    "sign": torch.sign,
    "square": torch.square,
    "relu": torch.relu,
    "floor": torch.floor,
    "bitwise_not": torch.bitwise_not,
    "astype": lambda x, dtype: x.to(dtype),
}

# (name, part of the case's text and of what differs as a regular expression, why)
DIFFERENCES = [
    ("astype", r" to u?int\d+, (NaN|infinite|of all sizes): result", "what doesn't fit is undefined in PyTorch"),
    ("sub", "(bool|true).* refuses: Subtraction", "booleans are subtracted as they are added"),
    ("matmul", "refuses: dot : expected both vectors to have same dtype", "dtypes are promoted as in other operations"),
    ("mean|variance", "refuses: .*(floating point|output dtype)", "integers give float32, as with exp"),
    ("sign|square", "bool: throws .*expects numbers", "a boolean isn't a number"),
]


def compare(case):
    got = case["result"]
    try:
        want = FUNCTIONS[case["name"]](*case["args"])
    except (RuntimeError, TypeError, ZeroDivisionError) as error:
        if isinstance(got, dict):
            return
        if "not implemented for" in str(error):
            raise Refused(str(error)) from error
        raise Mismatch(f"gives {got.dtype}, PyTorch refuses: {str(error).splitlines()[0]}") from error
    if isinstance(got, dict):
        raise Mismatch(f"throws \"{got['error']}\", expected {want.dtype}")
    expect_close("result", got, want)
