"""The op table in PyTorch: what each row computes, from arguments in the row's order.

Rows that PyTorch 1.13 lacks are plain formulas made of its tensors, so that their gradients are its own.
"""

import math

import numpy
import torch
import torch.nn.functional as F

from checks import TOLERANCE, Mismatch, Refused, expect_close


def floats(x):
    """Integers as float32, for operations that PyTorch has for floating-point numbers only."""
    return x if x.is_floating_point() else x.float()


def axes_of(x, axes):
    return list(axes) if axes else list(range(x.dim())) or [0]


def one_by_one(function, x, axes, keep):
    """A reduction that PyTorch does along one axis at a time."""
    axes = sorted(axis % max(x.dim(), 1) for axis in axes_of(x, axes))
    for axis in axes:
        x = function(x, axis, x.dim() > 0)
    return x if keep or x.dim() == 0 else x.reshape([n for i, n in enumerate(x.shape) if i not in axes])


def wrapped(indices, size):
    return torch.where(indices < 0, indices + size, indices)


def pick(x, axis, positions):
    return x.index_select(axis, torch.as_tensor(positions, dtype=torch.int64))


def pair(dims):
    return list(dims) * 2 if len(dims) == 1 else list(dims)


def argument_of(function, x, axis, keep):
    return function(x, axis[0], keep) if axis else function(x)


def count_nonzero(x, axes, keep):
    count = torch.count_nonzero(x, dim=axes_of(x, axes)) if x.dim() else torch.count_nonzero(x)
    if keep:
        for axis in sorted(axis % x.dim() for axis in axes_of(x, axes)):
            count = count.unsqueeze(axis)
    return count


def median(x, axes, keep):
    if x.dim() == 0:
        return x.median(0).values
    axes = [axis % x.dim() for axis in axes_of(x, axes)]
    kept = [axis for axis in range(x.dim()) if axis not in axes]
    count = math.prod(x.shape[axis] for axis in axes)
    flat = x.permute(kept + axes).reshape([x.shape[axis] for axis in kept] + [count])
    middle = flat.median(-1).values
    return middle.reshape([1 if i in axes else n for i, n in enumerate(x.shape)]) if keep else middle


def transpose(x, axes):
    return x.permute(axes or list(range(x.dim()))[::-1])


def squeeze(x, axes):
    if not axes:
        return x.squeeze()
    gone = [axis % x.dim() for axis in axes]
    return x.reshape([n for i, n in enumerate(x.shape) if i not in gone])


def positions(size, start, stop, step):
    return list(range(size))[start:stop:step]


def take(x, indices, axis):
    axis %= x.dim()
    rows = x.index_select(axis, wrapped(indices, x.shape[axis]).flatten())
    return rows.reshape(x.shape[:axis] + indices.shape + x.shape[axis + 1 :])


def take_gradient(gradient, indices, shape, axis):
    axis %= len(shape)
    rows = gradient.reshape(shape[:axis] + [indices.numel()] + shape[axis + 1 :])
    zeros = torch.zeros(shape, dtype=gradient.dtype)
    return zeros.index_add(axis, wrapped(indices, shape[axis]).flatten(), rows)


def grid(starts, counts, steps):
    lines = [[a + k * step for k in range(n)] for a, n, step in zip(starts, counts, steps)]
    return torch.meshgrid(*[torch.tensor(line, dtype=torch.int64) for line in lines], indexing="ij")


def window(x, starts, counts, steps):
    return x[grid(starts, counts, steps)] if starts else x.clone()


def assign_window(x, value, starts, counts, steps):
    value = value.to(x.dtype).expand(counts)
    return torch.index_put(x, grid(starts, counts, steps), value) if starts else value.clone()


def fitted(values, indices):
    fits = values.dim() == indices.dim() and all(v >= i for v, i in zip(values.shape, indices.shape))
    return values[tuple(slice(n) for n in indices.shape)] if fits else values.expand(indices.shape)


def scatter(x, indices, values, axis):
    """PyTorch's own gives each of several values for one place the gradient; only the last one stays."""
    indices, values = wrapped(indices, x.shape[axis]), fitted(values, indices)
    if not x.is_floating_point() or indices.numel() == 0:
        return x.scatter(axis, indices, values)
    order = torch.arange(indices.numel()).reshape(indices.shape)
    last = torch.full(x.shape, -1).scatter(axis, indices, order)
    placed = torch.zeros_like(x).scatter_add(axis, indices, values * (last.gather(axis, indices) == order))
    return torch.where(last >= 0, placed, x)


def scatter_add(x, indices, values, axis):
    return x.scatter_add(axis, wrapped(indices, x.shape[axis]), fitted(values, indices))


def topk(x, k, axis, largest):
    values, places = torch.sort(x, dim=axis, descending=largest, stable=True)
    return (values, places) if x.dim() == 0 else (values.narrow(axis, 0, k), places.narrow(axis, 0, k))


def cumsum(x, axis, reverse):
    if x.dim() == 0 or not reverse:
        return x.cumsum(axis)
    return x.flip(axis).cumsum(axis).flip(axis)


def pad(x, before, after, value, mode):
    if mode == "constant":
        return F.pad(x, [n for sides in list(zip(before, after))[::-1] for n in sides], value=value)
    mode = {"replicate": "edge", "circular": "wrap"}.get(mode, mode)
    for axis, sides in enumerate(zip(before, after)):
        if any(sides) and mode == "wrap":  # NumPy's is wrong before 1.25 for more than one turn
            size = x.shape[axis]
            x = pick(x, axis, [i % size for i in range(-sides[0], size + sides[1])])
        elif any(sides):
            x = pick(x, axis, numpy.pad(numpy.arange(x.shape[axis]), sides, mode))
    return x


def conv2d(x, weight, bias, stride, padding, dilation, groups):
    return F.conv2d(x, weight, bias, pair(stride), pair(padding), pair(dilation), groups)


def conv2d_input_gradient(gradient, weight, shape, stride, padding, dilation, groups):
    return torch.nn.grad.conv2d_input(shape, weight, gradient, pair(stride), pair(padding), pair(dilation), groups)


def conv2d_filter_gradient(gradient, x, shape, stride, padding, dilation, groups):
    return torch.nn.grad.conv2d_weight(x, shape, gradient, pair(stride), pair(padding), pair(dilation), groups)


def avg_pool2d(x, kernel, stride, padding):
    return F.avg_pool2d(x, pair(kernel), pair(stride or kernel), pair(padding))


def avg_pool2d_gradient(gradient, shape, kernel, stride, padding):
    x = torch.zeros(shape, dtype=gradient.dtype, requires_grad=True)
    with torch.enable_grad():
        out = avg_pool2d(x, kernel, stride, padding)
        return torch.autograd.grad(out, x, gradient, create_graph=True)[0]


def max_positions(x, kernel, stride, padding):
    found = F.max_pool2d(x.detach(), pair(kernel), pair(stride or kernel), pair(padding), return_indices=True)
    return found[1]


def max_pool2d(x, kernel, stride, padding):
    return F.max_pool2d(x, pair(kernel), pair(stride or kernel), pair(padding))


def max_pool2d_gradient(gradient, x, kernel, stride, padding):
    places = max_positions(x, kernel, stride, padding)
    zeros = torch.zeros(x.shape, dtype=x.dtype).flatten(2)
    return zeros.scatter_add(2, places.flatten(2), gradient.flatten(2)).reshape(x.shape)


def max_pool2d_gather(values, x, kernel, stride, padding):
    places = max_positions(x, kernel, stride, padding)
    return values.flatten(2).gather(2, places.flatten(2)).reshape(places.shape)


def avg_pool1d(x, kernel, stride, padding):
    return F.avg_pool1d(x, kernel, stride or kernel, padding)


def max_pool1d(x, kernel, stride, padding):
    return F.max_pool1d(x, kernel, stride or kernel, padding)


def iota(shape, tiles, dtype):
    count = math.prod(shape)
    return torch.arange(count).reshape(shape).to(dtype).tile(list(tiles)) if tiles else torch.arange(count).reshape(shape).to(dtype)


def norm(x, p, axes, keep):
    axes = axes_of(x, axes) if x.dim() else None
    return torch.linalg.vector_norm(floats(x), p, axes, keep and x.dim() > 0)


def linear(x, weight, bias):
    return x @ weight if bias is None else x @ weight + bias


def rms_norm(x, weight, axes, epsilon):
    over = list(range(-axes, 0))
    out = x * torch.rsqrt((x * x).mean(over, keepdim=True) + epsilon)
    return out if weight is None else out * weight


def batch_norm(x, mean, variance, weight, bias, epsilon):
    """PyTorch's has no gradient for the statistics."""

    def channels(v):
        return v.reshape([1, -1] + [1] * (x.dim() - 2))

    out = (x - channels(mean)) / torch.sqrt(channels(variance) + epsilon)
    out = out if weight is None else out * channels(weight)
    return out if bias is None else out + channels(bias)


def attention_weights(query, key, mask, causal, scale):
    scores = query @ key.transpose(-1, -2) * (scale or query.shape[-1] ** -0.5)
    if mask is not None:
        scores = scores + mask if mask.is_floating_point() else scores.masked_fill(~mask.bool(), -torch.inf)
    if causal:
        scores = scores.masked_fill(~torch.ones(scores.shape[-2:], dtype=torch.bool).tril(), -torch.inf)
    return torch.softmax(scores, -1).nan_to_num()


def attention(query, key, value, mask, causal, scale):
    return attention_weights(query, key, mask, causal, scale) @ value


OPS = {
    "zeros": lambda shape, dtype: torch.zeros(shape, dtype=dtype),
    "ones": lambda shape, dtype: torch.ones(shape, dtype=dtype),
    "full": lambda shape, value, dtype: torch.full(shape, value, dtype=dtype),
    "arange": lambda start, stop, step, dtype: torch.arange(start, stop, step, dtype=dtype),
    "linspace": lambda start, stop, steps, dtype: torch.linspace(start, stop, steps, dtype=dtype),
    "identity": lambda n, dtype: torch.eye(n, dtype=dtype),
    "negative": torch.neg,
    "absolute": torch.abs,
    "sign": torch.sign,
    "exp": torch.exp,
    "log": torch.log,
    "log1p": torch.log1p,
    "sqrt": torch.sqrt,
    "square": torch.square,
    "reciprocal": torch.reciprocal,
    "sin": torch.sin,
    "cos": torch.cos,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "erf": torch.erf,
    # F.softplus is linear above 20, which float64 can tell.
    "softplus": lambda x: torch.logaddexp(floats(x), torch.zeros_like(floats(x))),
    "relu": torch.relu,
    "log2": torch.log2,
    "log10": torch.log10,
    "expm1": torch.expm1,
    "rsqrt": torch.rsqrt,
    "tan": torch.tan,
    "asin": torch.asin,
    "acos": torch.acos,
    "atan": torch.atan,
    "sinh": torch.sinh,
    "cosh": torch.cosh,
    "trunc": torch.trunc,
    "log_sigmoid": lambda x: F.logsigmoid(floats(x)),
    "elu": lambda x, alpha: F.elu(floats(x), alpha),
    "gelu": lambda x, approximate: F.gelu(floats(x), approximate=approximate),
    "silu": lambda x, beta: floats(x) * torch.sigmoid(beta * floats(x)),
    # F.hardsigmoid's gradient has a sixth in float32 only.
    "hard_sigmoid": lambda x: F.relu6(floats(x) + 3) / 6,
    "hard_tanh": lambda x, low, high: F.hardtanh(floats(x), low, high),
    "leaky_relu": lambda x, slope: F.leaky_relu(floats(x), slope),
    "relu6": lambda x: F.relu6(floats(x)),
    "softsign": lambda x: F.softsign(floats(x)),
    # F.threshold leaves out the threshold itself.
    "threshold_relu": lambda x, threshold: floats(x) * (x >= threshold),
    "floor": torch.floor,
    "ceil": torch.ceil,
    "rint": torch.round,
    "clip": torch.clamp,
    "isnan": torch.isnan,
    "isinf": torch.isinf,
    "isfinite": torch.isfinite,
    "logical_not": torch.logical_not,
    "bitwise_not": torch.bitwise_not,
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.div,
    "mod": torch.remainder,
    "floor_divide": lambda x, y: torch.floor_divide(x.detach(), y.detach()),
    "atan2": torch.atan2,
    "logaddexp": torch.logaddexp,
    "power": torch.pow,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "where": lambda condition, a, b: torch.where(condition.bool(), a, b),
    "bitwise_and": torch.bitwise_and,
    "bitwise_or": torch.bitwise_or,
    "bitwise_xor": torch.bitwise_xor,
    "l_shift": torch.bitwise_left_shift,
    "r_shift": torch.bitwise_right_shift,
    "eq": torch.eq,
    "neq": torch.ne,
    "lt": torch.lt,
    "lte": torch.le,
    "gt": torch.gt,
    "gte": torch.ge,
    "logical_and": torch.logical_and,
    "logical_or": torch.logical_or,
    "logical_xor": torch.logical_xor,
    "sum": lambda x, axes, keep: x.sum(axes_of(x, axes), keep),
    "mean": lambda x, axes, keep: floats(x).mean(axes_of(x, axes), keep),
    "amax": lambda x, axes, keep: torch.amax(x, axes_of(x, axes), keep),
    "amin": lambda x, axes, keep: torch.amin(x, axes_of(x, axes), keep),
    "argmax": lambda x, axis, keep: argument_of(torch.argmax, x, axis, keep),
    "argmin": lambda x, axis, keep: argument_of(torch.argmin, x, axis, keep),
    "all": lambda x, axes, keep: one_by_one(torch.all, x.bool(), axes, keep),
    "any": lambda x, axes, keep: one_by_one(torch.any, x.bool(), axes, keep),
    "variance": lambda x, axes, keep, less: torch.var(floats(x), axes_of(x, axes), correction=int(less), keepdim=keep),
    "std": lambda x, axes, keep, less: torch.std(floats(x), axes_of(x, axes), correction=int(less), keepdim=keep),
    "softmax": lambda x, axis: torch.softmax(floats(x), axis),
    "log_softmax": lambda x, axis: torch.log_softmax(floats(x), axis),
    "logsumexp": lambda x, axes, keep: torch.logsumexp(floats(x), axes_of(x, axes), keep),
    "sum_to": lambda x, shape: (x if x.is_floating_point() else x.long()).sum_to_size(shape),
    "reshape": torch.reshape,
    "transpose": transpose,
    "expand": lambda x, shape: x.expand(shape),
    "squeeze": squeeze,
    "unsqueeze": torch.unsqueeze,
    "slice": lambda x, axis, start, stop, step: pick(x, axis, positions(x.shape[axis], start, stop, step)),
    "unslice": lambda x, shape, axis, start, stop, step: torch.zeros(shape, dtype=x.dtype).index_add(
        axis, torch.tensor(positions(shape[axis], start, stop, step)), x
    ),
    "concatenate": torch.cat,
    "stack": torch.stack,
    "pad_constant": lambda x, before, after, value: pad(x, before, after, value, "constant"),
    "contiguous": torch.clone,
    "astype": lambda x, dtype: x.to(dtype),
    "matmul": torch.matmul,
    "conv2d": conv2d,
    "conv2d_input_gradient": conv2d_input_gradient,
    "conv2d_filter_gradient": conv2d_filter_gradient,
    "avg_pool2d": avg_pool2d,
    "avg_pool2d_gradient": avg_pool2d_gradient,
    "max_pool2d": max_pool2d,
    "max_pool2d_gradient": max_pool2d_gradient,
    "max_pool2d_gather": max_pool2d_gather,
    "one_hot": lambda labels, classes: F.one_hot(labels.long(), classes).float(),
    "take": take,
    "take_gradient": take_gradient,
    "embedding": lambda weight, indices: F.embedding(indices, weight),
    "window": window,
    "assign_window": assign_window,
    "gather": lambda x, indices, axis: x.gather(axis, wrapped(indices, x.shape[axis])),
    "scatter": scatter,
    "scatter_add": scatter_add,
    "masked_select": lambda x, mask: torch.masked_select(x, mask.bool()),
    "masked_fill": lambda x, mask, value: torch.where(mask.bool(), value.to(x.dtype), x),
    "nonzero": torch.nonzero,
    "sort": lambda x, axis, descending: torch.sort(x, dim=axis, descending=descending, stable=True)[0],
    "argsort": lambda x, axis, descending: torch.sort(x, dim=axis, descending=descending, stable=True)[1],
    "topk": topk,
    "median": median,
    "cumsum": cumsum,
    "prod": lambda x, axes, keep: one_by_one(torch.prod, x, axes, keep),
    "count_nonzero": count_nonzero,
    "tile": torch.tile,
    "flip": lambda x, axes: x.flip(axes or list(range(x.dim()))),
    "roll": lambda x, shifts, axes: x.roll(shifts, axes),
    "split": lambda x, sizes, axis: torch.split(x, sizes[0] if len(sizes) == 1 else sizes, axis),
    "pad": pad,
    "triu": torch.triu,
    "tril": torch.tril,
    "diagonal": torch.diagonal,
    "undiagonal": lambda x, shape, offset, axis1, axis2: torch.diagonal_scatter(
        torch.zeros(shape, dtype=x.dtype), x, offset, axis1, axis2
    ),
    "diag": torch.diag,
    "linear": linear,
    "dropout": lambda x, p, training: F.dropout(x, p, training),
    "layer_norm": lambda x, weight, bias, axes, epsilon: F.layer_norm(x, x.shape[-axes:], weight, bias, epsilon),
    "rms_norm": rms_norm,
    "group_norm": lambda x, groups, weight, bias, epsilon: F.group_norm(x, groups, weight, bias, epsilon),
    "batch_norm": batch_norm,
    "norm": norm,
    "normalize": lambda x, p, axis, epsilon: F.normalize(floats(x), p, axis, epsilon),
    "einsum": torch.einsum,
    "conv1d": lambda x, w, bias, stride, padding, dilation, groups: F.conv1d(x, w, bias, stride, padding, dilation, groups),
    "avg_pool1d": avg_pool1d,
    "max_pool1d": max_pool1d,
    "iota": iota,
    "attention": attention,
    "attention_weights": attention_weights,
}

# Rows that can't be compared, and why.
NO_COUNTERPART = {
    "rand": "the random streams differ; the sweep tests the distribution",
    "randn": "the random streams differ; the sweep tests the distribution",
    **{name: "the random streams differ; the sweep tests bounds and moments"
       for name in ("uniform", "normal", "bernoulli", "randint", "randperm", "xavier_uniform", "xavier_normal",
                    "kaiming_uniform", "kaiming_normal")},
}

# (op, part of the case's name and of what differs as a regular expression, why)
DIFFERENCES = [
    ("einsum", r"on u?int(8|16|32)\b.*dtype torch\.u?int\d+, expected torch\.int64",
     "integers keep their dtype, as in NumPy; PyTorch gives int64 where it happens to sum"),
    ("sign", "with NaN", "the sign of NaN is NaN, as in NumPy; PyTorch gives 0"),
]


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
        result = OPS[name](*args)
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


def compare(case):
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
    wanted = [None] * len(leaves)
    if expected.requires_grad:
        wanted = torch.autograd.grad(expected, leaves, along, allow_unused=True)
    wanted = iter(wanted)
    for i, (x, got) in enumerate(zip(tensors, case["gradients"])):
        want = next(wanted) if x.is_floating_point() else None
        if got is None and want is None:
            continue
        want = torch.zeros_like(x) if want is None else want
        got = torch.zeros_like(x) if got is None else got
        expect_close(f"gradient of input {i}", got, want.detach(), 4 * TOLERANCE[got.dtype])
