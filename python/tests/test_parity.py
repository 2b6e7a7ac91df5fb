"""Python's answers and gradients are those of the other clients."""

import json
import os
import random
import tempfile
import unittest
from pathlib import Path

import numpy as np

import shumai
from shumai._array import from_part, to_part
from shumai._safetensors import decode, encode

from .servers import BIN, ROOT, Process, Server

try:
    import torch

    import shumai.torch
except ImportError:
    torch = None


class Gradients(unittest.TestCase):
    """Of a random model, tests/e2e/programs/gradients.cpp."""

    def setUp(self):
        self.seed = random.randrange(1 << 30)
        generator = np.random.default_rng(self.seed)
        shape = tuple(generator.integers(1, 5, generator.integers(0, 3)))
        self.x = generator.standard_normal((*shape, 5), dtype=np.float32)
        self.jacobian = generator.standard_normal((*shape, 3), dtype=np.float32)
        self.server = Server(BIN / "gradients", "serve", str(self.seed)).__enter__()
        self.addCleanup(self.server.__exit__)

    def of_weights(self):
        found = shumai.tfetch(self.server.url + "/gradients")
        self.assertEqual(len(found), 6)
        return found

    def by_cpp(self):
        with tempfile.TemporaryDirectory() as directory:
            file = Path(directory, "x.safetensors")
            file.write_bytes(b"".join(encode([to_part(self.x, "input"), to_part(self.jacobian, "jacobian")])))
            with Process(BIN / "gradients", "ask", self.server.url, file) as client:
                self.assertEqual(client.process.wait(60), 0, client.output)
            found = {part.name: from_part(part) for part in decode(file.read_bytes())}
        return found["output"], found["input_gradient"], self.of_weights()

    def by_numpy(self):
        model = shumai.remote_model(self.server.url)
        y = model(self.x)
        return y, model.backward(y, self.jacobian), self.of_weights()

    def check_equal(self, ours, theirs):
        message = f"seed {self.seed}"
        for a, b in zip(ours[:2], theirs[:2]):
            np.testing.assert_array_equal(a, b, message)
        self.assertEqual(list(ours[2]), list(theirs[2]))
        for name, gradient in ours[2].items():
            np.testing.assert_array_equal(gradient, theirs[2][name], f"{name}, {message}")

    def test_numpys_are_cpps_bit_by_bit(self):
        self.check_equal(self.by_numpy(), self.by_cpp())

    @unittest.skipUnless(torch, "PyTorch isn't installed")
    def test_torchs_are_cpps_bit_by_bit(self):
        x = torch.tensor(self.x, requires_grad=True)
        y = shumai.torch.remote_model(self.server.url)(x)
        y.backward(torch.from_numpy(self.jacobian))
        self.check_equal((y.detach().numpy(), x.grad.numpy(), self.of_weights()), self.by_cpp())

    @unittest.skipUnless(torch, "PyTorch isn't installed")
    def test_they_are_those_of_the_same_model_in_torch(self):
        weights = {name: torch.tensor(np.array(w), dtype=torch.float64) for name, w in
                   shumai.tfetch(self.server.url + "/weights").items()}
        local = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.GELU(), torch.nn.LayerNorm(7), torch.nn.Tanh(),
                                    torch.nn.Linear(7, 3)).double()
        local.load_state_dict(weights)
        x = torch.tensor(self.x, dtype=torch.float64, requires_grad=True)
        y = local(x)
        y.backward(torch.tensor(self.jacobian, dtype=torch.float64))
        expected = {"output": y, "input": x.grad, **{name: w.grad for name, w in local.named_parameters()}}
        output, input_gradient, of_weights = self.by_numpy()
        for name, got in {"output": output, "input": input_gradient, **of_weights}.items():
            want = expected[name].detach().numpy()
            np.testing.assert_allclose(got, want, rtol=2e-4, atol=2e-5, err_msg=f"{name}, seed {self.seed}")


class JavaScript(unittest.TestCase):
    def test_the_seeds_server_in_node_is_trained(self):
        """examples/js/seed/server.js as it is, but for its port."""
        text = (ROOT / "examples" / "js" / "seed" / "server.js").read_text()
        self.assertIn("{ port: 3000 }", text)
        text = text.replace("{ port: 3000 }", "{ port: 0 }").replace("sm.io.serve(", "const server = sm.io.serve(")
        with tempfile.TemporaryDirectory() as directory:
            app = Path(directory)
            (app / "package.json").write_text(json.dumps({"type": "module"}))
            (app / "node_modules" / "@shumai").mkdir(parents=True)
            (app / "node_modules" / "@shumai" / "shumai").symlink_to(ROOT / "js")
            (app / "server.js").write_text(text + "\nconsole.log('serving on', server.url)\n")
            environment = {"SHUMAI_ADDON": str(BIN.parent / "js" / "shumai.node"), **os.environ}
            with Server("node", app / "server.js", env=environment) as server:
                model = shumai.remote_model(server.url)
                generator = np.random.default_rng(1)
                losses = []
                for _ in range(200):
                    x = generator.standard_normal(128, dtype=np.float32)
                    y = model(x)
                    losses.append(np.mean((y - 3 * x) ** 2))
                    model.backward(y, 2 * (y - 3 * x) / y.size)
        self.assertLess(losses[-1], losses[0] / 1000)


if __name__ == "__main__":
    unittest.main()
