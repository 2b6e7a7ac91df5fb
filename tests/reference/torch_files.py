"""Files that the library wrote: .npy as NumPy reads it, safetensors by its specification."""

import json
import struct
from pathlib import Path

import numpy
import torch

from checks import Mismatch, expect_close

SAFETENSORS = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "I16": torch.int16,
    "I32": torch.int32,
    "I64": torch.int64,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
}


def read_safetensors(path):
    content = bytearray(path.read_bytes())
    (length,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8 : 8 + length])
    header.pop("__metadata__", None)
    data = content[8 + length :]
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        dtype = SAFETENSORS[entry["dtype"]]
        part = torch.frombuffer(data[begin:end], dtype=dtype) if end > begin else torch.empty(0, dtype=dtype)
        tensors[name] = part.reshape(entry["shape"])
    return tensors


FORMATS = {
    "npy": lambda path: {"tensor": torch.from_numpy(numpy.array(numpy.load(path, allow_pickle=False)))},
    "safetensors": read_safetensors,
}


def compare(case):
    got = FORMATS[case["name"]](Path(case["directory"]) / case["path"])
    expected = case.get("tensors") or {"tensor": case["tensor"]}
    if got.keys() != expected.keys():
        raise Mismatch(f"has {sorted(got)}, expected {sorted(expected)}")
    for name, tensor in expected.items():
        expect_close(name, got[name], tensor)
