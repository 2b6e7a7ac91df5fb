"""Models of real servers, trained with NumPy alone."""

import json
import random
import tempfile
import threading
import time
import unittest
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import shumai

from .servers import BIN, Server, TrainingServer, fast_directory, poll_until, seed_server


def statistics_of(url):
    with urllib.request.urlopen(url + "/statistics") as answer:
        return json.load(answer)


def weights_of(url):
    return shumai.tfetch(url + "/weights")


class Seed(unittest.TestCase):
    """y = w x, w = 1.718 at first; the data says 3."""

    def losses(self, url, steps, step):
        generator = np.random.default_rng(1)
        out = []
        for _ in range(steps):
            x = generator.standard_normal(128, dtype=np.float32)
            out.append(step(x, x * 3))
        return out

    def check(self, step_with):
        with seed_server() as server:
            losses = self.losses(server.url, 200, step_with(server.url))
        self.assertLess(losses[-1], losses[0] / 1000)

    def test_a_grad_fn_sends_the_gradient_back(self):
        def step_with(url):
            def backward(grad):
                shumai.tfetch(f"{url}/optimize", grad.grad_in)

            def step(x, reference):
                y = shumai.tfetch(f"{url}/forward", x, grad_fn=backward)
                y.backward(2 * (y - reference) / y.size)
                return np.mean((y - reference) ** 2)

            return step

        self.check(step_with)

    def test_a_gradient_carries_the_ticket_of_its_answer(self):
        def step_with(url):
            def step(x, reference):
                y = shumai.tfetch(f"{url}/forward", x)
                shumai.tfetch(f"{url}/optimize", y.gradient(2 * (y - reference) / y.size))
                return np.mean((y - reference) ** 2)

            return step

        self.check(step_with)

    def test_remote_model_takes_the_steps(self):
        def step_with(url):
            model = shumai.remote_model(url)

            def step(x, reference):
                y = model(x)
                self.assertIsNone(model.backward(y, 2 * (y - reference) / y.size))
                return np.mean((y - reference) ** 2)

            return step

        self.check(step_with)


class Reported(unittest.TestCase):
    def test_the_next_gradient_tells_the_loss(self):
        with TrainingServer("--model", "line", "--size", "1") as server:
            model = shumai.remote_model(server.url)
            for step, loss in enumerate([0.5, 0.25]):
                y = model(np.ones((1, 1)))
                model.report(loss, step)
                model.backward(y, np.ones(y.shape))
                told = statistics_of(server.url)["loss"]
                self.assertEqual((told["last"], told["step"], told["reports"]), (loss, step, step + 1))
            y = model(np.ones((1, 1)))
            model.backward(y, np.ones(y.shape))
            self.assertEqual(statistics_of(server.url)["loss"]["reports"], 2)

    def test_a_report_is_checked(self):
        model = shumai.remote_model("localhost:1")
        for loss, step, error in (("low", None, ValueError), (1.0, -1, ValueError), (1.0, 0.5, TypeError)):
            with self.assertRaises(error):
                model.report(loss, step)


class Pipelined(unittest.TestCase):
    def test_each_of_many_answers_finds_its_own_forward(self):
        with TrainingServer("--model", "count", "--size", "64") as server:
            model = shumai.remote_model(server.url)
            answers = [model(np.array([i, i])) for i in range(64)]
            self.assertEqual(len({y.ticket.id for y in answers}), 64)
            for i in reversed(range(64)):
                model.backward(answers[i], np.full(2, i + 1.0))
            np.testing.assert_array_equal(weights_of(server.url), 2 * np.arange(64.0) + 2)

    def test_threads_share_a_model(self):
        with TrainingServer("--model", "count", "--size", "8") as server:
            model = shumai.remote_model(server.url)

            def train(i):
                for _ in range(50):
                    y = model(np.array([i]))
                    model.backward(y, [1.0])

            with ThreadPoolExecutor(8) as pool:
                list(pool.map(train, range(8)))
            np.testing.assert_array_equal(weights_of(server.url), np.full(8, 50.0))

    def test_the_gradient_of_the_input_comes_back(self):
        with TrainingServer("--model", "line", "--size", "3") as server:
            model = shumai.remote_model(server.url)
            x = np.ones((2, 3))
            for _ in range(3):
                w = np.array(weights_of(server.url))
                y = model(x)
                np.testing.assert_allclose(y, x @ w)
                np.testing.assert_allclose(model.backward(y, np.ones((2, 1))), np.ones((2, 1)) @ w.T)

    def test_without_input_gradient_none_comes_back(self):
        with TrainingServer("--model", "line", "--size", "3") as server:
            model = shumai.remote_model(server.url, input_gradient=False)
            self.assertIsNone(model(np.ones((2, 3))).backward(np.ones((2, 1))))
            self.assertNotEqual(float(weights_of(server.url)[0, 0]), 0)

    def test_an_answer_has_one_backward(self):
        with TrainingServer("--model", "count") as server:
            y = shumai.remote_model(server.url)(np.array([1]))
            y.backward()
            with self.assertRaisesRegex(RuntimeError, "the step was taken"):
                y.backward()
            self.assertEqual(weights_of(server.url)[1], 1)

    def test_a_refused_gradient_is_an_error_and_moves_nothing(self):
        with TrainingServer("--model", "count") as server:
            y = shumai.remote_model(server.url)(np.array([1]))
            with self.assertRaises(shumai.ShumaiError) as caught:
                y.backward([np.nan])
            self.assertEqual((caught.exception.code, caught.exception.status), ("unprocessable", 422))
            y.backward([1.0])
            self.assertEqual(weights_of(server.url)[1], 1)

    def test_the_input_may_change_while_the_forward_is_out(self):
        with TrainingServer("--model", "count", "--session-tickets", "1") as server:
            model = shumai.remote_model(server.url)
            index = np.array([2])
            y = model(index)
            index[0] = 5
            model(index)  # the server now forgets the first ticket
            y.backward([1.0])
            np.testing.assert_array_equal(np.flatnonzero(weights_of(server.url)), [2])


class Guarded(unittest.TestCase):
    """A server behind a Unix socket that wants a token."""

    def test_a_token_opens_it(self):
        token = "0123456789abcdef0123"
        with tempfile.TemporaryDirectory() as directory, Server(
                BIN / "gradients", "serve", "1", f"unix:{directory}/s", token) as server:
            self.assertEqual(server.url, f"unix:{directory}/s")
            for wrong, code in [(None, "unauthorized"), ("x" * 20, "unauthorized")]:
                with self.assertRaises(shumai.ShumaiError) as caught:
                    shumai.tfetch(server.url + ":/weights", token=wrong)
                self.assertEqual(caught.exception.code, code)
            model = shumai.remote_model(server.url, token=token)
            with ThreadPoolExecutor(4) as pool:
                answers = list(pool.map(model, np.ones((4, 2, 5), np.float32)))
            for y in answers:
                self.assertEqual(model.backward(y, np.ones((2, 3))).shape, (2, 5))


class Killed(unittest.TestCase):
    def test_no_step_is_lost_or_doubled_when_the_server_is_killed(self):
        seed = random.randrange(1 << 30)
        moments = random.Random(seed)
        slots, kills, threads = 4096, 8, 4
        with fast_directory() as directory, TrainingServer(
                "--model", "count", "--size", str(slots), "--durability", "every-update",
                "--directory", directory) as server:
            weights_of(server.url)  # from now on this process is patient
            model = shumai.remote_model(server.url, timeout=100)
            steps, enough = [0] * threads, threading.Event()

            def train(first):
                for slot in range(first, slots, threads):
                    if enough.is_set():
                        return
                    y = model(np.array([slot]))
                    model.backward(y, [1.0])
                    steps[first] += 1

            with ThreadPoolExecutor(threads) as pool:
                clients = [pool.submit(train, first) for first in range(threads)]
                try:
                    for _ in range(kills):
                        before = sum(steps)
                        self.assertTrue(poll_until(lambda: sum(steps) > before or any(c.done() for c in clients)))
                        time.sleep(moments.uniform(0, 0.03))
                        server.kill()
                        server.start()
                    server.wait_until_serving()
                    before = sum(steps)
                    self.assertTrue(poll_until(lambda: sum(steps) > before + 20 or any(c.done() for c in clients)))
                finally:
                    enough.set()
                for client in clients:
                    client.result()
            expected = np.zeros(slots)
            for first in range(threads):
                expected[first::threads][:steps[first]] = 1
            np.testing.assert_array_equal(weights_of(server.url), expected, f"seed {seed}")


if __name__ == "__main__":
    unittest.main()
