import json
import random
import struct
import unittest

import numpy as np

from shumai import ShumaiError
from shumai._array import from_part, to_part
from shumai._safetensors import Part, decode, encode


def file_of(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def info(begin, end, dtype="U8", shape=None):
    return {"dtype": dtype, "shape": [end - begin] if shape is None else shape, "data_offsets": [begin, end]}


class Safetensors(unittest.TestCase):
    def test_every_dtype_comes_back_as_it_was(self):
        generator = np.random.default_rng(2)
        for code in "? u1 i1 i2 u2 i4 u4 i8 u8 f2 f4 f8".split():
            for shape in [(), (0,), (3,), (2, 0, 3), (2, 3, 4)]:
                with self.subTest(code, shape=shape):
                    array = (generator.standard_normal(shape) * 100).astype(code)
                    (part,) = decode(b"".join(encode([to_part(array)])))
                    got = from_part(part)
                    self.assertEqual((got.dtype, got.shape, part.name), (array.dtype, shape, "0"))
                    np.testing.assert_array_equal(got, array)

    def test_order_of_memory_and_of_bytes_do_not_matter(self):
        array = np.arange(24.0).reshape(4, 6)
        for view in [array.T, array[::-2, 1::2], np.asfortranarray(array), array.astype(">f8"), array[:, ::-1]]:
            (part,) = decode(b"".join(encode([to_part(view)])))
            np.testing.assert_array_equal(from_part(part), view)

    def test_tensors_lie_aligned_and_keep_their_names_and_order(self):
        arrays = {"b": np.ones(3, "u1"), "": np.ones(5, "f8"), "\u00e4\"\n": np.ones((2, 8)), "a": np.ones((), "f2")}
        body = b"".join(encode([to_part(array, name) for name, array in arrays.items()]))
        (length,) = struct.unpack("<Q", body[:8])
        header = json.loads(body[8:8 + length])
        self.assertEqual((8 + length) % 64, 0)
        for name, array in arrays.items():
            self.assertEqual(header[name]["data_offsets"][0] % array.itemsize, 0, name)
        got = {part.name: from_part(part) for part in decode(body)}
        self.assertEqual(list(got), list(arrays))
        for name, array in arrays.items():
            np.testing.assert_array_equal(got[name], array)

    def test_unaligned_data_is_read(self):
        header = {"a": info(0, 1), "b": info(1, 9, "F64", [1])}
        parts = decode(bytearray(file_of(header, b"\7" + struct.pack("<d", 2.5))))
        self.assertEqual(from_part(parts[1])[0], 2.5)
        self.assertTrue(from_part(parts[1]).flags.aligned)

    def test_metadata_is_skipped(self):
        self.assertEqual(len(decode(file_of({"__metadata__": {"k": "v"}, "a": info(0, 1)}, b"x"))), 1)

    def test_lies_are_refused(self):
        deep = b"[" * 100_000
        one = info(0, 4)
        for body, reason in [
            (b"", "needs 8 bytes, got 0"),
            (b"\1\0\0\0", "needs 8 bytes, got 4"),
            (struct.pack("<Q", 100) + b"{}", "only 2 follow"),
            (struct.pack("<Q", (1 << 64) - 1) + b"{}", "a header of 18446744073709551615 bytes"),
            (file_of(b"[]"), "must start with {"),
            (file_of(b" {}"), "must start with {"),
            (file_of(b"{\"a\":" + deep), "no JSON"),
            (file_of(b"{\"\xff\":1}"), "no JSON"),
            (file_of(b"{\"a\":1}{}"), "no JSON"),
            (file_of(b"{\"a\":{\"dtype\":\"U8\",\"shape\":[NaN],\"data_offsets\":[0,0]}}"), "NaN isn't JSON"),
            (file_of(b"{\"a\":" + json.dumps(one).encode() + b",\"a\":" + json.dumps(one).encode() + b"}", b"1234"),
             "comes twice"),
            (file_of({"a": 1}), "needs an object"),
            (file_of({"a": {**one, "dtype": "C64"}}, b"1234"), "dtype C64, expected one of BOOL"),
            (file_of({"a": {**one, "dtype": ["U8"]}}, b"1234"), "dtype"),
            (file_of({"a": {**one, "shape": [-4]}}, b"1234"), "sizes"),
            (file_of({"a": {**one, "shape": [4.0]}}, b"1234"), "sizes"),
            (file_of({"a": {**one, "shape": [True] * 4}}, b"1234"), "sizes"),
            (file_of({"a": {**one, "shape": 4}}, b"1234"), "sizes"),
            (file_of({"a": {**one, "shape": [1] * 64 + [4]}}, b"1234"), "at most 64 sizes"),
            (file_of({"a": {**one, "shape": [1 << 62, 1 << 62]}}, b"1234"), "needs"),
            (file_of({"a": {**one, "data_offsets": [0]}}, b"1234"), "two offsets"),
            (file_of({"a": {**one, "data_offsets": [4, 0]}}, b"1234"), "outside"),
            (file_of({"a": {**one, "data_offsets": [0, 1 << 40]}}, b"1234"), "outside the data of 4 bytes"),
            (file_of({"a": info(0, 4, "F32", [2])}, b"1234"), "needs 8 bytes"),
            (file_of({"a": info(0, 3), "b": info(2, 4)}, b"1234"), "overlap"),
            (file_of({"a": info(0, 1), "b": info(2, 4)}, b"1234"), "gap"),
            (file_of({"a": info(0, 4)}, b"12345"), "expected 5"),
            (file_of({"a": info(0, 3, "BOOL")}, b"\0\2\1"), "other than 0 and 1"),
            (file_of({"__metadata__": {"a": 1}}), "object of strings"),
            (file_of({str(i): info(0, 0) for i in range(10_001)}), "10001 tensors"),
        ]:
            with self.subTest(reason), self.assertRaises(ShumaiError) as caught:
                decode(body)
            self.assertIn(caught.exception.code, ("protocol", "too_large"))
            self.assertIn(reason, str(caught.exception))

    def test_broken_files_are_errors_and_nothing_else(self):
        seed = random.randrange(1 << 30)
        generator = random.Random(seed)
        good = b"".join(encode([to_part(np.arange(6, dtype="f4"), "a"), to_part(np.array(True), "b")]))
        refused = 0
        for _ in range(3000):
            body = bytearray(good)
            for _ in range(generator.randint(1, 3)):
                body[generator.randrange(len(body))] = generator.choice(b"0123456789{}[]\",:-e \0\xff")
            body = body[:generator.choice([len(body), generator.randrange(len(body))])]
            try:
                for part in decode(body):
                    from_part(part)
            except ShumaiError:
                refused += 1
            except Exception as error:  # whatever it is, it must not be that
                self.fail(f"seed {seed}: {error!r} for {bytes(body)!r}")
        self.assertGreater(refused, 1000)

    def test_names_that_can_not_be_sent(self):
        for names in [("a", "a"), ("__metadata__",)]:
            with self.assertRaisesRegex(ValueError, "names must differ"):
                encode([Part(name, "U8", (0,), b"") for name in names])
