"""loss.backward() through models of real servers."""

import copy
import gc
import pickle
import unittest
import weakref
from concurrent.futures import ThreadPoolExecutor

try:
    import torch
except ImportError as missing:
    raise unittest.SkipTest("PyTorch isn't installed") from missing

import numpy as np

import shumai
import shumai.torch
from shumai.torch import _from_part, _to_part

from .servers import TrainingServer, raw_server, response, seed_server


def setUpModule():
    torch.set_num_threads(1)


def weights_of(url):
    return torch.from_numpy(np.array(shumai.tfetch(url + "/weights")))


class Seed(unittest.TestCase):
    def test_plain_backward_trains_the_remote_model(self):
        torch.manual_seed(1)
        with seed_server() as server:
            model = shumai.torch.remote_model(server.url)
            losses = []
            for _ in range(200):
                x = torch.randn(128)
                loss = torch.nn.functional.mse_loss(model(x), 3 * x)
                loss.backward()
                losses.append(loss.item())
        self.assertLess(losses[-1], losses[0] / 1000)

    def test_tfetch_takes_tensors_and_a_grad_fn(self):
        torch.manual_seed(1)
        with seed_server() as server:
            def backward(grad):
                self.assertEqual((grad.output.tolist(), grad.inputs[0].tolist()), (y.tolist(), x.tolist()))
                self.assertFalse(grad.output.requires_grad)
                return shumai.tfetch(f"{server.url}/optimize", grad.grad_in)

            losses = []
            for _ in range(200):
                x = torch.randn(128)
                y = shumai.tfetch(f"{server.url}/forward", x, grad_fn=backward)
                loss = (y - 3 * x).square().mean()
                loss.backward()
                losses.append(loss.item())
        self.assertLess(losses[-1], losses[0] / 1000)

    def test_the_gradient_can_be_read_and_sent_by_hand(self):
        with TrainingServer("--model", "count") as server:
            y = shumai.tfetch(server.url + "/forward", torch.tensor([1, 4])).requires_grad_()
            (3 * y).sum().backward()
            shumai.tfetch(server.url + "/forward", torch.tensor([0]))
            shumai.tfetch(server.url + "/optimize", y.grad, ticket=y)
            self.assertEqual(weights_of(server.url).tolist(), [0, 3, 0, 0, 3, 0, 0, 0])


class Local(unittest.TestCase):
    """Modules below and above a remote one."""

    def setUp(self):
        torch.manual_seed(3)
        self.server = TrainingServer("--model", "link").__enter__()
        self.addCleanup(self.server.__exit__)
        self.model = shumai.torch.remote_model(self.server.url)

    def test_gradients_are_those_of_a_local_model(self):
        below, above = torch.nn.Linear(4, 5).double(), torch.nn.Linear(5, 1).double()
        alone = copy.deepcopy((below, above))
        x = torch.randn(3, 4, dtype=torch.float64)
        above(self.model(below(x)).tanh()).square().mean().backward()
        w = torch.ones((), dtype=torch.float64, requires_grad=True)
        alone[1]((alone[0](x) * w).tanh()).square().mean().backward()
        for ours, theirs in zip((*below.parameters(), *above.parameters()),
                                (*alone[0].parameters(), *alone[1].parameters())):
            torch.testing.assert_close(ours.grad, theirs.grad)
        torch.testing.assert_close(weights_of(self.server.url), w.detach() - 0.02 * w.grad)

    def test_it_has_no_parameters_and_lies_in_a_sequential(self):
        net = torch.nn.Sequential(torch.nn.Linear(2, 2).double(), self.model)
        self.assertEqual(len(list(net.parameters())), 2)
        self.assertIn(self.server.url, repr(net))
        self.assertEqual(self.model.state_dict(), {})
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        x, losses = torch.randn(16, 2, dtype=torch.float64), []
        for _ in range(30):
            optimizer.zero_grad()
            loss = (net(x) - x.flip(1)).square().mean()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        self.assertLess(losses[-1], losses[0] / 2)

    def test_copies_train_the_same_model(self):
        for other in (copy.deepcopy(self.model), pickle.loads(pickle.dumps(self.model))):
            before = weights_of(self.server.url)
            other(torch.ones(1)).sum().backward()
            self.assertNotEqual(weights_of(self.server.url), before)

    def test_one_answer_used_twice_is_one_step(self):
        x = torch.ones(2, dtype=torch.float64, requires_grad=True)
        y = self.model(x)
        (y.sum() + (2 * y).sum()).backward()
        self.assertEqual(x.grad.tolist(), [3, 3])
        self.assertAlmostEqual(float(weights_of(self.server.url)), 1 - 0.02 * 6)

    def test_several_forwards_in_flight_and_accumulated_gradients(self):
        x = torch.ones(2, dtype=torch.float64, requires_grad=True)
        answers = [self.model(x) for _ in range(4)]
        for y in reversed(answers[:2]):
            y.sum().backward()
        (answers[2].sum() + answers[3].sum()).backward()
        # Each backward sees the weight of its forward.
        self.assertEqual(x.grad.tolist(), [4, 4])
        self.assertAlmostEqual(float(weights_of(self.server.url)), 1 - 0.02 * 8)

    def test_an_answer_may_be_changed_in_place(self):
        for dtype in (torch.float64, torch.bfloat16):
            for call in (self.model, lambda x: shumai.tfetch(self.server.url + "/forward", x, grad_fn=self.send)):
                x = torch.ones(2, dtype=dtype, requires_grad=True)
                y = call(x)
                y *= 0
                y[0] = 7
                y.sum().backward()
                self.assertEqual(x.grad.tolist(), [0, 0])

    def send(self, grad):
        return shumai.tfetch(self.server.url + "/optimize", grad.grad_in)

    def test_inputs_that_need_no_gradient_train_as_well(self):
        for x in (torch.ones(2, dtype=torch.float64), torch.ones((), dtype=torch.float64), torch.ones(2, 3).double().T):
            before = weights_of(self.server.url)
            y = self.model(x)
            self.assertTrue(y.requires_grad)
            y.sum().backward()
            self.assertIsNone(x.grad)
            self.assertAlmostEqual(float(weights_of(self.server.url)), float(before - 0.02 * x.numel()))

    def test_without_gradients_nothing_is_recorded(self):
        x = torch.ones(2, requires_grad=True)
        with torch.no_grad():
            y = self.model(x)
        self.assertFalse(y.requires_grad)
        with torch.inference_mode():
            self.assertEqual(self.model(x).shape, (2,))

    def test_floating_dtypes(self):
        for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
            with self.subTest(dtype):
                x = torch.tensor([1.0, -2.5], dtype=dtype, requires_grad=True)
                y = self.model(x)
                torch.testing.assert_close(y.double(), x.double() * weights_of(self.server.url), rtol=1e-2, atol=1e-2)
                y.sum().backward()
                self.assertEqual(x.grad.dtype, dtype)
                self.assertEqual(x.grad.shape, (2,))

    def test_dtypes_the_server_refuses_are_its_errors(self):
        with self.assertRaisesRegex(TypeError, "complex64"):
            self.model(torch.ones(1, dtype=torch.complex64))
        with self.assertRaisesRegex(TypeError, "sparse"):
            self.model(torch.ones(2).to_sparse())
        with self.assertRaisesRegex(TypeError, "expected a torch.Tensor, got ndarray"):
            self.model(np.ones(2))

    def test_a_second_backward_is_an_error(self):
        y = self.model(torch.ones(2))
        y.sum().backward(retain_graph=True)
        before = weights_of(self.server.url)
        with self.assertRaisesRegex(RuntimeError, "the step was taken"):
            y.sum().backward()
        self.assertEqual(weights_of(self.server.url), before)

    def test_gradients_of_gradients_are_an_error(self):
        x = torch.ones(2, requires_grad=True)
        (gradient,) = torch.autograd.grad(self.model(x).square().sum(), x, create_graph=True)
        with self.assertRaises(RuntimeError):
            gradient.sum().backward()

    def test_errors_come_out_of_backward_which_may_be_repeated(self):
        y = self.model(torch.ones(2, dtype=torch.float64))
        loss = (y * float("nan")).sum()
        with self.assertRaises(shumai.ShumaiError) as caught:
            loss.backward()
        self.assertEqual(caught.exception.code, "unprocessable")
        y.sum().backward()
        self.assertAlmostEqual(float(weights_of(self.server.url)), 1 - 0.02 * 2)

    def test_threads_share_a_model(self):
        def train(_):
            for _ in range(20):
                self.model(torch.zeros(3)).sum().backward()

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(train, range(4)))
        self.assertEqual(shumai.tfetch(self.server.url + "/statistics")["weights"]["version"], 80)

    def test_answers_are_let_go_without_the_garbage_collector(self):
        gc.disable()
        self.addCleanup(gc.enable)
        y = self.model(torch.ones(2))
        watched = weakref.ref(y.grad_fn.remote_backward)
        y.sum().backward()
        del y
        self.assertIsNone(watched())

    def test_the_input_may_change_before_the_backward(self):
        with TrainingServer("--model", "count", "--session-tickets", "1") as server:
            model = shumai.torch.remote_model(server.url)
            index = torch.tensor([2])
            y = model(index)
            index[0] = 5
            model(index)  # the server now forgets the first ticket
            y.sum().backward()
            self.assertEqual(weights_of(server.url).nonzero().tolist(), [[2]])


class Integers(unittest.TestCase):
    def test_integer_inputs_get_no_gradient(self):
        with TrainingServer("--model", "count") as server:
            model = shumai.torch.remote_model(server.url)
            for dtype in (torch.int64, torch.int32):
                model(torch.tensor([3], dtype=dtype)).sum().backward()
            self.assertEqual(weights_of(server.url)[3], 2)

    def test_the_server_restarts_between_forward_and_backward(self):
        with TrainingServer("--model", "count") as server:
            y = shumai.torch.remote_model(server.url)(torch.tensor([3]))
            server.kill()
            server.start()
            server.wait_until_serving()
            y.sum().backward()
            self.assertEqual(weights_of(server.url)[3], 1)

    def test_named_tensors_come_as_tensors(self):
        from shumai._safetensors import encode

        tensors = {"a": torch.ones(2, 3), "b": torch.tensor(True)}
        body = b"".join(encode([_to_part(tensor, name) for name, tensor in tensors.items()]))
        with raw_server(response(body)) as server:
            got = shumai.tfetch(server.url, tensors)
            self.assertEqual(server.requests[0][1], body)
        self.assertTrue(torch.equal(got["a"], tensors["a"]) and got["b"].dtype == torch.bool)


class Parts(unittest.TestCase):
    def test_every_dtype_and_layout_comes_back(self):
        for name in "bool uint8 int8 int16 int32 int64 float16 bfloat16 float32 float64".split():
            for x in (torch.arange(6).reshape(2, 3).T, torch.tensor(1), torch.empty(0, 3), torch.ones(4).expand(2, 4)):
                x = x.to(getattr(torch, name))
                got = _from_part(_to_part(x))
                self.assertEqual((got.dtype, got.shape), (x.dtype, x.shape))
                self.assertTrue(torch.equal(got, x), name)

    def test_numpy_and_torch_make_the_same_bytes(self):
        from shumai._array import to_part

        x = torch.randn(3, 4).T
        self.assertEqual(bytes(_to_part(x).data), bytes(to_part(x.numpy()).data))
        a, b = _to_part(x.bfloat16()), to_part(shumai.bfloat16(x.numpy()))
        self.assertEqual((a.dtype, bytes(a.data)), (b.dtype, bytes(b.data)))

    def test_dtypes_that_this_pytorch_lacks_are_named(self):
        from shumai._array import to_part

        part = to_part(np.ones(2, np.uint16))
        if hasattr(torch, "uint16"):
            self.assertEqual(_from_part(part).dtype, torch.uint16)
        else:
            with self.assertRaisesRegex(TypeError, "has no uint16"):
                _from_part(part)


if __name__ == "__main__":
    unittest.main()
