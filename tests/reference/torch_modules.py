"""The modules in PyTorch: each from the options of the case, with weights of the same names."""

import torch
import torch.nn.functional as F
from torch import nn

import torch_ops
from checks import Mismatch, expect_close, run_both


class RMSNorm(nn.Module):
    def __init__(self, shape, epsilon=1e-5, affine=True):
        super().__init__()
        self.axes, self.epsilon = len(shape), epsilon
        self.weight = nn.Parameter(torch.ones(shape)) if affine else None

    def forward(self, x):
        return torch_ops.rms_norm(x, self.weight, self.axes, self.epsilon)


def visible(shape, causal, padding, mask):
    """What the masks forbid together, as numbers to add to scores of `shape` [N, L, S]."""
    added = torch.zeros(shape, dtype=torch.float64)
    if causal:
        added = added.masked_fill(~torch.ones(shape[-2:], dtype=torch.bool).tril(), -torch.inf)
    if padding is not None:
        added = added.masked_fill(padding[:, None, :], -torch.inf)
    if mask is None:
        return added
    return added + mask.double() if mask.is_floating_point() else added.masked_fill(~mask, -torch.inf)


class DotProductAttention(nn.Module):
    def __init__(self, causal, scale=0):
        super().__init__()
        self.causal, self.scale = causal, scale

    def forward(self, query, key, value, padding, mask):
        shape = [query.shape[0], query.shape[1], key.shape[1]]
        added = visible(shape, self.causal, padding, mask).to(query.dtype)
        return torch_ops.attention(query, key, value, added, False, self.scale)


class MultiheadAttention(nn.MultiheadAttention):
    def __init__(self, width, heads, bias, causal):
        super().__init__(width, heads, bias=bias, batch_first=True)
        self.causal = causal

    def forward(self, query, key, value, padding, mask):
        shape = [query.shape[0], query.shape[1], key.shape[1]]
        added = visible(shape, self.causal, padding, mask).to(query.dtype).repeat_interleave(self.num_heads, 0)
        return super().forward(query, key, value, attn_mask=added, need_weights=False)[0]


class PositionalEncoding(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.width = width

    def forward(self, x):
        times = torch.arange(x.shape[-2], dtype=torch.float64)[:, None]
        turns = times / 10000 ** (torch.arange(0, self.width, 2, dtype=torch.float64) / self.width)
        encoding = torch.stack([turns.sin(), turns.cos()], -1).flatten(1)
        return x + encoding.float().to(x.dtype)


def transformer_options(feedforward, activation, norm_first, epsilon):
    function = F.relu if activation == "relu" else lambda x: x * (1 + torch.erf(x / 2))
    return {
        "dim_feedforward": feedforward,
        "activation": function,
        "norm_first": norm_first,
        "layer_norm_eps": epsilon,
        "dropout": 0,
        "batch_first": True,
    }


class Encoder(nn.TransformerEncoder):
    def __init__(self, width, heads, causal, final_norm, epsilon, **options):
        layer = nn.TransformerEncoderLayer(width, heads, **transformer_options(epsilon=epsilon, **options))
        super().__init__(layer, 2, nn.LayerNorm(width, epsilon) if final_norm else None)
        self.causal = causal

    def forward(self, x, memory, padding, memory_padding):
        mask = ~torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).tril() if self.causal else None
        return super().forward(x, mask, padding)


class EncoderLayer(nn.TransformerEncoderLayer):
    def __init__(self, width, heads, causal, final_norm, **options):
        super().__init__(width, heads, **transformer_options(**options))
        self.causal = causal

    def forward(self, x, memory, padding, memory_padding):
        mask = ~torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).tril() if self.causal else None
        return super().forward(x, mask, padding)


class Decoder(nn.TransformerDecoder):
    def __init__(self, width, heads, causal, final_norm, epsilon, **options):
        layer = nn.TransformerDecoderLayer(width, heads, **transformer_options(epsilon=epsilon, **options))
        super().__init__(layer, 2, nn.LayerNorm(width, epsilon) if final_norm else None)
        self.causal = causal

    def forward(self, x, memory, padding, memory_padding):
        mask = ~torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).tril() if self.causal else None
        return super().forward(x, memory, mask, None, padding, memory_padding)


class DecoderLayer(nn.TransformerDecoderLayer):
    def __init__(self, width, heads, causal, final_norm, **options):
        super().__init__(width, heads, **transformer_options(**options))
        self.causal = causal

    def forward(self, x, memory, padding, memory_padding):
        mask = ~torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).tril() if self.causal else None
        return super().forward(x, memory, mask, None, padding, memory_padding)


def conv(layer):
    return lambda inputs, outputs, kernel, **options: layer(inputs, outputs, kernel, **options)


def recurrent(layer):
    def make(inputs, hidden, layers, state, **options):
        return layer(inputs, hidden, layers, **options)

    return make


MODULES = {
    "Linear": lambda inputs, outputs, bias: nn.Linear(inputs, outputs, bias),
    "Conv1d": conv(nn.Conv1d),
    "Conv2d": conv(nn.Conv2d),
    "AvgPool2d": lambda kernel, **options: nn.AvgPool2d(kernel, **options),
    "MaxPool2d": lambda kernel, **options: nn.MaxPool2d(kernel, **options),
    "Flatten": nn.Flatten,
    "LayerNorm": lambda shape, epsilon, affine: nn.LayerNorm(shape, epsilon, affine),
    "RMSNorm": RMSNorm,
    "GroupNorm": lambda groups, channels, affine: nn.GroupNorm(groups, channels, affine=affine),
    "BatchNorm2d": lambda channels, epsilon, momentum, affine: nn.BatchNorm2d(channels, epsilon, momentum, affine),
    "Dropout": nn.Dropout,
    "Embedding": lambda count, width: nn.Embedding(count, width),
    "Sequential": lambda: nn.Sequential(nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 2)),
    "LSTM": recurrent(nn.LSTM),
    "GRU": recurrent(nn.GRU),
    "DotProductAttention": DotProductAttention,
    "MultiheadAttention": MultiheadAttention,
    "TransformerEncoderLayer": EncoderLayer,
    "TransformerEncoder": Encoder,
    "TransformerDecoderLayer": DecoderLayer,
    "TransformerDecoder": Decoder,
    "TransformerPositionalEncoding": PositionalEncoding,
}


def lstm(module, x, hidden, cell):
    output, (hidden, cell) = module(x, None if hidden is None else (hidden, cell))
    return output, hidden, cell


def compare_dropout(case, p):
    """Which elements are dropped is up to chance: each is 0 or divided by 1 - p, in about that share."""
    x, got = case["inputs"][0], case["results"][0]
    dropped = got == 0
    scaled = torch.where(dropped, torch.zeros_like(x), x / (1 - p) if p < 1 else x)
    expect_close("result", got, scaled)
    share = dropped.double().mean().item()
    if abs(share - p) > 5 * (p * (1 - p) / x.numel()) ** 0.5:
        raise Mismatch(f"{share} of the elements are dropped, expected {p}")
    kept = torch.where(dropped, torch.zeros_like(x), case["along"][0] / (1 - p) if p < 1 else x)
    expect_close("gradient", case["input_gradients"][0], kept)


def compare(case):
    name, options = case["name"], case["options"]
    if name == "Dropout" and case["train"]:
        return compare_dropout(case, options["p"])
    dtype = torch.float64 if "float64" in case["case"] else torch.float32
    module = MODULES[name](**options).to(dtype).train(case["train"])
    module.load_state_dict(case["before"], strict=True)
    function = (lambda *inputs: lstm(module, *inputs)) if name == "LSTM" else module
    run_both(case, function, dict(module.named_parameters()))
    after = module.state_dict()
    if set(after) != set(case["after"]):
        raise Mismatch(f"state {sorted(case['after'])}, expected {sorted(after)}")
    for key, want in after.items():
        expect_close(f"{key} afterwards", case["after"][key], want)
