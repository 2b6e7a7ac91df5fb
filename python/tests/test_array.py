import pickle
import unittest

import numpy as np

import shumai
from shumai._array import Array, from_part, to_part
from shumai._requests import Ticket

TICKET = Ticket("t", "s", "http://localhost:3000", "")


def answer(values):
    out = from_part(to_part(values))
    out.ticket = TICKET
    return out


class Arrays(unittest.TestCase):
    def test_what_is_computed_is_a_plain_array(self):
        y = answer(np.ones((2, 3), np.float32))
        for result in [y * 2, 2 * y, y @ np.ones(3), np.sin(y), y.sum(axis=0), np.where(y > 0, y, 0)]:
            self.assertIsNone(getattr(result, "ticket", None))
        self.assertIs(type(y - 1), np.ndarray)
        self.assertNotIsInstance(y.sum(), np.ndarray)
        self.assertNotIsInstance(answer(2.0) * 3, np.ndarray)

    def test_views_and_copies_have_no_ticket(self):
        y = answer(np.ones((2, 3)))
        for other in [y[0], y.T, y.reshape(-1), y.copy(), pickle.loads(pickle.dumps(y))]:
            self.assertIsNone(other.ticket)

    def test_changing_it_in_place_keeps_the_ticket(self):
        y = answer(np.ones(3))
        y -= 1
        y[0] = 5
        self.assertIs(y.ticket, TICKET)
        np.testing.assert_array_equal(y, [5, 0, 0])

    def test_a_gradient_has_the_dtype_and_the_shape_of_the_answer(self):
        y = answer(np.ones((2, 3), np.float16))
        gradient = y.gradient(np.full((2, 3), 0.5))
        self.assertEqual((gradient.dtype, gradient._gradient_of), (np.float16, TICKET))
        self.assertEqual(y.gradient([[1, 2, 3], [4, 5, 6]]).shape, (2, 3))
        with self.assertRaisesRegex(ValueError, r"shape \(2, 3\), got \(3,\)"):
            y.gradient(np.ones(3))
        with self.assertRaisesRegex(ValueError, "no ticket"):
            y.copy().gradient(np.ones((2, 3)))

    def test_backward_says_what_it_lacks(self):
        with self.assertRaisesRegex(ValueError, "no answer of a remote_model"):
            answer(np.ones(3)).backward(np.ones(3))

    def test_a_gradient_does_not_change_the_jacobian(self):
        y, jacobian = answer(np.ones(3)), np.ones(3)
        self.assertTrue(np.shares_memory(y.gradient(jacobian), jacobian))
        self.assertIs(type(jacobian), np.ndarray)

    def test_bfloat16_rounds_to_nearest_even(self):
        for value, expected in [(1.0, 1.0), (1 + 2**-8, 1.0), (1 + 3 * 2**-8, 1 + 2**-6),
                                (1 + 2**-8 + 2**-20, 1 + 2**-7), (3.4e38, np.inf),
                                (-np.inf, -np.inf), (2.0**-133, 2.0**-133), (-0.0, -0.0)]:
            got = shumai.bfloat16(value)
            self.assertEqual(got, np.float32(expected), value)
            self.assertEqual(np.signbit(got), np.signbit(expected))
        for bits in (0x7F800001, 0x7FFFFFFF, 0xFFC00000):  # NaNs that rounding could turn into something else
            self.assertTrue(np.isnan(shumai.bfloat16(np.array(bits, "<u4").view("<f4"))))

    def test_bfloat16_is_sent_as_such_and_comes_as_float32(self):
        x = shumai.bfloat16([[1.0, 2.5]])
        part = to_part(x)
        self.assertEqual((part.dtype, part.shape, len(part.data)), ("BF16", (1, 2), 4))
        y = from_part(part)
        self.assertEqual(y.dtype, np.float32)
        np.testing.assert_array_equal(y, [[1.0, 2.5]])
        y.ticket = TICKET
        self.assertEqual(to_part(y.gradient([[0.5, 0.5]])).dtype, "BF16")
        self.assertEqual(to_part(y + 1).dtype, "F32")

    def test_other_dtypes_are_refused_by_name(self):
        for value, dtype in [(1j, "complex128"), (["a"], "<U1"), (np.longdouble(1), "longdouble|float128"),
                             ([object()], "object")]:
            with self.assertRaisesRegex(TypeError, f"numbers or booleans, got the dtype ({dtype})"):
                to_part(value)

    def test_arrays_of_answers_may_be_written_to(self):
        y = from_part(to_part(np.arange(4.0), own=True))
        y[1] = 7
        self.assertIsInstance(y, Array)
        self.assertEqual(y[1], 7)
