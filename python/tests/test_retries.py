"""Servers that are busy, slow, gone, or have forgotten."""

import contextlib
import os
import re
import socket
import threading
import time
import unittest

import numpy as np

import shumai
from shumai._array import to_part
from shumai._safetensors import encode

from .servers import PATIENCE, RawServer, problem, raw_server, response

GOOD = b"".join(encode([to_part(np.arange(3.0))]))
BUSY = response(b"", "Retry-After: 0", status="503 Service Unavailable")


class Retries(unittest.TestCase):
    def test_a_busy_server_is_asked_again(self):
        with raw_server(BUSY, response(b"", status="429 Too Many Requests"), response(GOOD)) as server:
            with self.assertLogs("shumai", "WARNING") as logs:
                self.assertEqual(len(shumai.tfetch(server.url + "/f", [1.0])), 3)
            self.assertEqual(len(server.requests), 3)
            self.assertEqual(len(logs.output), 1)
            self.assertIn("answered 503; trying again", logs.output[0])

    def test_retry_after_is_waited_for(self):
        busy = response(b"", "Retry-After: 1", status="503 Service Unavailable")
        with raw_server(busy, response(GOOD)) as server, self.assertLogs("shumai"):
            start = time.monotonic()
            shumai.tfetch(server.url + "/f")
            self.assertGreaterEqual(time.monotonic() - start, 1)

    def test_what_would_take_longer_than_retry_for_is_not_waited_for(self):
        busy = problem("503 Service Unavailable", "unavailable", "draining", "Retry-After: 3000")
        with raw_server(busy) as server:
            with self.assertRaises(shumai.ShumaiError) as caught:
                shumai.tfetch(server.url + "/f")
            self.assertEqual((caught.exception.code, str(caught.exception)), ("unavailable", "draining"))
            self.assertEqual(len(server.requests), 1)
        with raw_server(response(b"", status="503 Oops")) as server:
            with self.assertRaises(shumai.ShumaiError):
                shumai.tfetch(server.url + "/f", retry_for=0)
            self.assertEqual(len(server.requests), 1)

    def count_requests_of_breaking(self, **options):
        def script(connection, number):
            server.read_request(connection)
            if number > 0:
                connection.sendall(response(GOOD))

        with RawServer(script) as server:
            with contextlib.suppress(ConnectionError):
                self.assertEqual(len(shumai.tfetch(server.url + "/f", **options)), 3)
            return len(server.requests)

    def test_only_what_may_be_repeated_is(self):
        self.assertEqual(self.count_requests_of_breaking(input=[1.0]), 1)
        with self.assertLogs("shumai"):
            self.assertEqual(self.count_requests_of_breaking(input=[1.0], repeatable=True), 2)
        with self.assertLogs("shumai"):
            self.assertEqual(self.count_requests_of_breaking(), 2)
        with self.assertLogs("shumai"):
            self.assertEqual(self.count_requests_of_breaking(input=[1.0], grad_fn=lambda grad: None), 2)

    def test_a_gateways_502_is_repeated_and_a_servers_own_is_not(self):
        gateway = response(b"<html>", status="502 Bad Gateway", type_="text/html")
        own = problem("502 Bad Gateway", "connection", "the next server is down")
        for answer, repeatable, count in [(gateway, True, 2), (gateway, False, 1), (own, True, 1)]:
            with raw_server(answer, response(GOOD)) as server:
                with contextlib.suppress(shumai.ShumaiError):
                    shumai.tfetch(server.url + "/f", [1.0], repeatable=repeatable)
                self.assertEqual(len(server.requests), count)

    def test_a_kept_connection_that_died_is_replaced_at_once(self):
        answered = threading.Event()

        def script(connection, number):
            server.read_request(connection)
            connection.sendall(response(GOOD))
            if number == 0:
                # Closes when the second request comes, without an answer.
                connection.recv(1)
                answered.set()
            else:
                server.read_request(connection)

        with RawServer(script) as server, self.assertNoLogs("shumai"):
            shumai.tfetch(server.url + "/f")
            self.assertEqual(len(shumai.tfetch(server.url + "/f", retry_for=0)), 3)
            self.assertTrue(answered.is_set())
            self.assertEqual(server.connections, 2)

    def test_a_request_that_may_have_arrived_is_not_sent_again(self):
        def script(connection, number):
            server.read_request(connection)
            connection.sendall(response(GOOD))
            server.read_request(connection)

        with RawServer(script) as server:
            shumai.tfetch(server.url + "/f", [1.0])
            with self.assertRaises(ConnectionError):
                shumai.tfetch(server.url + "/f", [2.0])
            self.assertEqual(len(server.requests), 2)
            self.assertEqual(server.connections, 1)

    def test_a_connection_that_was_closed_meanwhile_is_not_used(self):
        closed = threading.Event()

        def script(connection, _):
            server.read_request(connection)
            connection.sendall(response(GOOD))
            connection.close()
            closed.set()

        with RawServer(script) as server:
            for _ in range(3):
                closed.clear()
                self.assertEqual(len(shumai.tfetch(server.url + "/f", [1.0])), 3)
                self.assertTrue(closed.wait(PATIENCE))

    def test_a_forked_child_has_connections_of_its_own(self):
        with raw_server(response(GOOD)) as server:
            shumai.tfetch(server.url + "/f")
            child = os.fork()
            if child == 0:
                try:
                    shumai.tfetch(server.url + "/child")
                    os._exit(0)
                finally:
                    os._exit(1)
            self.assertEqual(os.waitpid(child, 0)[1], 0)
            shumai.tfetch(server.url + "/f")
            self.assertEqual(server.connections, 2)

    def test_nobody_there_is_given_up_after_retry_for(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            url = f"127.0.0.1:{listener.getsockname()[1]}/f"
        start = time.monotonic()
        with self.assertRaises(shumai.ConnectionFailed), self.assertLogs("shumai"):
            shumai.tfetch(url, [1.0], retry_for=0.3)
        self.assertTrue(0.1 < time.monotonic() - start < 20)

    def test_a_server_that_comes_back_is_waited_for(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        came = threading.Event()

        def come():
            with socket.create_server(("127.0.0.1", port)) as late:
                came.set()
                connection, _ = late.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(response(GOOD))

        starter = threading.Timer(0.2, come)
        starter.start()
        with self.assertLogs("shumai"):
            self.assertEqual(len(shumai.tfetch(f"127.0.0.1:{port}/f", [1.0])), 3)
        starter.join()
        self.assertTrue(came.is_set())


class Models(unittest.TestCase):
    """remote_model's answers to what a server may say of a ticket."""

    FORWARD = response(GOOD, "Shumai-Ticket: t1", "Shumai-Session: s1")
    AGAIN = response(GOOD, "Shumai-Ticket: t2", "Shumai-Session: s2")

    def backward(self, *answers, **options):
        with raw_server(self.FORWARD, *answers) as server:
            model = shumai.remote_model(server.url, **options)
            y = model([1.0])
            try:
                return model.backward(y, [1.0, 2.0, 3.0])
            finally:
                self.heads = [head for head, _ in server.requests]
                self.bodies = [body for _, body in server.requests]

    def test_a_forgotten_or_stale_ticket_costs_another_forward(self):
        for code, status in [("gone", "410 Gone"), ("stale", "409 Conflict")]:
            got = self.backward(problem(status, code, "forward again"), self.AGAIN, response(GOOD))
            np.testing.assert_array_equal(got, [0, 1, 2])
            self.assertEqual([head.split()[1] for head in self.heads], ["/forward", "/optimize"] * 2)
            self.assertIn("Shumai-Ticket: t2", self.heads[3])
            self.assertIn("Shumai-Session: s2", self.heads[3])
            self.assertEqual(self.bodies[0], self.bodies[2])
            self.assertEqual(self.bodies[1], self.bodies[3])

    def test_a_step_that_was_taken_is_not_taken_again(self):
        done = problem("409 Conflict", "already_done", "the step was taken")
        self.assertIsNone(self.backward(done, input_gradient=False))
        self.assertEqual(len(self.heads), 2)
        self.assertIn("Shumai-Input-Gradient: none", self.heads[0])
        with self.assertRaises(shumai.ShumaiError) as caught:  # then the gradient of the input is lost
            self.backward(done)
        self.assertEqual(caught.exception.code, "already_done")
        self.assertEqual(len(self.heads), 2)

    def test_another_shape_of_the_repeated_forward_is_an_error(self):
        other = response(b"".join(encode([to_part(np.ones(4))])), "Shumai-Ticket: t2")
        with self.assertRaises(shumai.ShumaiError) as caught:
            self.backward(problem("410 Gone", "gone", "x"), other)
        self.assertEqual(caught.exception.code, "shape_mismatch")

    def test_a_ticket_that_is_always_forgotten_is_given_up(self):
        with self.assertRaises(shumai.ShumaiError) as caught:
            self.backward(*[problem("410 Gone", "gone", "x"), self.AGAIN] * 1000, retry_for=0.05)
        self.assertEqual(caught.exception.code, "gone")

    def test_a_token_stays_on_its_server(self):
        for options, sent in [({}, None), ({"backward_token": "b"}, "b")]:
            with raw_server(self.FORWARD) as one, raw_server(response(GOOD)) as other:
                model = shumai.remote_model(one.url, backward_url=other.url + "/o", token="a", **options)
                model([1.0]).backward([1.0, 2.0, 3.0])
                self.assertIn("Authorization: Bearer a\r\n", one.requests[0][0])
                found = re.search("Authorization: Bearer (.*)\r", other.requests[0][0])
                self.assertEqual(found and found[1], sent)
        self.backward(response(GOOD), token="a")
        self.assertIn("Authorization: Bearer a\r\n", self.heads[1])

    def test_no_tensor_is_an_error(self):
        with raw_server(response(b"1", type_="application/json")) as server:
            with self.assertRaisesRegex(shumai.ShumaiError, "answered no tensor, expected one"):
                shumai.remote_model(server.url + "/")([1.0])
            self.assertEqual(server.requests[0][0].split()[1], "/forward")
