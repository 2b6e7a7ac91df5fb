"""What is sent, and what comes of answers that no server of ours would give."""

import pickle
import socket
import struct
import tempfile
import threading
import unittest
import unittest.mock
from pathlib import Path

import numpy as np

import shumai
from shumai import _zstd
from shumai._array import to_part
from shumai._safetensors import encode
from shumai._url import parse_url

from .servers import PATIENCE, RawServer, problem, raw_server, response

GOOD = b"".join(encode([to_part(np.arange(3.0))]))


class Answers(unittest.TestCase):
    def fails(self, answer, code, message, **options):
        """What tfetch makes of the answer's bytes, after which the connection ends."""

        def script(connection, _):
            server.read_request(connection)
            connection.sendall(answer)

        with RawServer(script) as server:
            with self.assertRaises(shumai.ShumaiError) as caught:
                shumai.tfetch(server.url + "/f", [1.0], timeout=PATIENCE, **options)
            self.assertEqual(caught.exception.code, code, caught.exception)
            self.assertIn(message, str(caught.exception))
            return caught.exception

    def test_an_answer_that_breaks_off(self):
        whole = response(GOOD)
        for length in (len(whole) - 1, len(whole) - len(GOOD), 40, 9, 1):
            with self.subTest(length):
                error = self.fails(whole[:length], "connection" if length > 9 else "protocol", "")
                self.assertIn("http://127.0.0.1", str(error))
        self.assertIsInstance(self.fails(b"", "connection", "broke"), ConnectionError)

    def test_a_lying_header_of_tensors(self):
        self.fails(response(struct.pack("<Q", 1 << 60) + b"{}"), "too_large", "can't be read: safetensors: a header of")
        self.fails(response(b"\x10" + GOOD[1:]), "protocol", "can't be read: safetensors")

    def test_a_page_of_html(self):
        page = b"<html><body>Welcome to the hotel's network</body></html>"
        self.fails(response(page, type_="text/html; charset=utf-8"), "unsupported_media", "got \"text/html\"")
        self.fails(response(page, type_="text/html", status="404 Not Found"), "not_found", "/f answered 404")
        self.fails(response(page, type_="application/json"), "protocol", "can't be read")
        self.fails(response(page, type_="text/html", status="302 Found"), "internal", "answered 302")

    def test_lengths_that_can_not_be(self):
        for length, code in [("99999999999999999999", "too_large"), (str((1 << 30) + 1), "too_large"),
                             ("-5", "protocol"), ("abc", "protocol"), ("5\r\nContent-Length: 6", "protocol")]:
            with self.subTest(length):
                head = f"HTTP/1.1 200 OK\r\nContent-Type: application/x-safetensors\r\nContent-Length: {length}\r\n\r\n"
                self.fails(head.encode() + GOOD, code, "")

    def test_a_gigabyte_that_never_comes_takes_no_memory(self):
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/x-safetensors\r\nContent-Length: {1 << 30}\r\n\r\n"
        before = self.resident()
        self.fails(head.encode() + b"x", "connection", "ended after 1 of 1073741824 bytes")
        self.assertLess(self.resident() - before, 256 << 20)

    def resident(self):
        """The largest so far, in bytes."""
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    def test_what_is_no_http(self):
        self.fails(b"SSH-2.0-OpenSSH_9.2\r\n", "protocol", "isn't HTTP")
        self.fails(b"HTTP/1.1 abc\r\n\r\n", "protocol", "isn't HTTP")
        self.fails(b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "protocol", "unasked")
        self.fails(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n", "protocol", "isn't HTTP")
        self.fails(b"HTTP/1.1 200 " + b"x" * 100_000, "protocol", "isn't HTTP")
        self.fails(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "connection", "")

    def test_chunks_and_interim_answers_are_read(self):
        chunked = (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n"
                   b"Content-Type: application/x-safetensors\r\nTransfer-Encoding: chunked\r\n\r\n"
                   b"5\r\n" + GOOD[:5] + b"\r\n")
        rest = GOOD[5:]
        chunked += f"{len(rest):x}\r\n".encode() + rest + b"\r\n0\r\n\r\n"
        with raw_server(chunked) as server:
            for _ in range(3):
                np.testing.assert_array_equal(shumai.tfetch(server.url + "/f"), [0, 1, 2])
            self.assertEqual(server.connections, 1)

    def test_problems_become_exceptions(self):
        error = self.fails(problem("400 Bad Request", "shape_mismatch", "matmul: inner sizes differ"), "shape_mismatch",
                           "matmul: inner sizes differ")
        self.assertEqual(error.status, 400)
        again = pickle.loads(pickle.dumps(error))
        self.assertEqual((again.code, again.status, str(again)), (error.code, error.status, str(error)))
        # A code that is another status's can't be right.
        self.fails(problem("400 Bad Request", "gone", "x"), "invalid_argument", "x")
        self.assertEqual(self.fails(problem("418 I'm a teapot", "teapot", "x"), "invalid_argument", "x").status, 418)
        type_ = "application/problem+json"
        self.fails(response(b"[1]", status="409 Conflict", type_=type_), "conflict", "answered 409")
        self.fails(response(b"{", status="500 Oops", type_=type_), "internal", "answered 500")

    def test_a_drip_ends_with_the_timeout(self):
        stop = threading.Event()

        def script(connection, _):
            server.read_request(connection)
            for byte in response(GOOD):
                connection.sendall(bytes([byte]))
                if stop.wait(0.05):
                    return

        with RawServer(script) as server:
            with self.assertRaises(TimeoutError) as caught:
                shumai.tfetch(server.url + "/f", timeout=0.3)
            stop.set()
        self.assertEqual((caught.exception.code, caught.exception.status), ("timeout", 504))
        self.assertIn("no complete answer after", str(caught.exception))

    def test_a_server_that_takes_nothing_ends_with_the_timeout(self):
        with RawServer(lambda connection, _: threading.Event().wait(PATIENCE)) as server:
            with self.assertRaises(shumai.TimedOut):
                shumai.tfetch(server.url + "/f", np.zeros(1 << 23), timeout=0.2)

    def test_an_early_refusal_of_a_large_body_is_heard(self):
        def script(connection, _):
            connection.recv(1000)
            connection.sendall(problem("413 Payload Too Large", "too_large", "at most 1 MiB"))
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(1 << 20):
                pass

        with RawServer(script) as server, self.assertRaises(shumai.ShumaiError) as caught:
            shumai.tfetch(server.url + "/f", np.zeros(1 << 22))
        self.assertEqual((caught.exception.code, str(caught.exception)), ("too_large", "at most 1 MiB"))

    def test_what_comes_after_an_answer_does_not_reach_the_next(self):
        with raw_server(response(GOOD) + b"HTTP/1.1 200 OK\r\n") as server:
            for _ in range(3):
                self.assertEqual(len(shumai.tfetch(server.url + "/f")), 3)
            self.assertEqual(server.connections, 3)

    def test_json_and_nothing(self):
        json_answer = response(b"{\"a\": [1]}", type_="application/json")
        with raw_server(json_answer, response(b"", status="204 No Content")) as server:
            self.assertEqual(shumai.tfetch(server.url + "/f"), {"a": [1]})
            self.assertIsNone(shumai.tfetch(server.url + "/f"))

    @unittest.skipUnless(_zstd.is_available(), "no module for zstd")
    def test_zstd(self):
        packed = _zstd._module.compress(GOOD)
        with raw_server(response(packed, "Content-Encoding: zstd")) as server:
            y = shumai.tfetch(server.url + "/f", np.zeros(1000), compress="zstd")
            y += 1
            np.testing.assert_array_equal(y, [1, 2, 3])
            shumai.tfetch(server.url + "/f", [1.0])
            (head, body), (plain_head, _) = server.requests
        self.assertIn("\r\nAccept-Encoding: zstd\r\n", head)
        self.assertIn("\r\nContent-Encoding: zstd\r\n", head)
        self.assertIn(f"\r\nContent-Length: {len(body)}\r\n", head)
        self.assertEqual(_zstd.decompress(body, 10_000), b"".join(encode([to_part(np.zeros(1000))])))
        self.assertNotIn("zstd", plain_head)
        self.fails(response(GOOD, "Content-Encoding: zstd"), "protocol", "isn't zstd")
        for length in (1, len(packed) // 2, len(packed) - 1):
            self.fails(response(packed[:length], "Content-Encoding: zstd"), "protocol", "breaks off")
        self.fails(response(packed + b"xyz", "Content-Encoding: zstd"), "protocol", "")
        large = np.random.default_rng(1).integers(0, 200, 100_000)
        frames = [_zstd._module.compress(piece) for piece in encode([to_part(large)])]
        with raw_server(response(b"".join(frames), "Content-Encoding: zstd")) as server:
            np.testing.assert_array_equal(shumai.tfetch(server.url), large)
        bomb = _zstd._module.compress(bytes(1 << 20))
        with unittest.mock.patch("shumai._requests.MOST_BODY_BYTES", 1 << 18):
            self.fails(response(bomb, "Content-Encoding: zstd"), "too_large", "more than 262144 bytes")

    def test_without_a_module_for_zstd(self):
        with unittest.mock.patch("shumai._zstd._module", None):
            with self.assertRaisesRegex(ValueError, "zstd needs Python 3.14 or the package zstandard"):
                shumai.tfetch("localhost:1", compress="zstd")
            self.fails(response(GOOD, "Content-Encoding: zstd"), "unsupported_media", "wasn't asked for")

    @unittest.skipUnless(_zstd.is_available(), "no module for zstd")
    def test_what_gets_no_smaller_is_sent_as_it_is(self):
        noise = np.random.default_rng(1).integers(0, 256, 100_000, np.uint8)
        with raw_server(response(GOOD)) as server:
            shumai.tfetch(server.url, noise, compress="zstd")
            head, body = server.requests[0]
        self.assertNotIn("Content-Encoding", head)
        self.assertEqual(body, b"".join(encode([to_part(noise)])))

    def test_codings_that_were_not_asked_for(self):
        self.fails(response(GOOD, "Content-Encoding: gzip"), "unsupported_media", "gzip")


class Requests(unittest.TestCase):
    def headers_of(self, *args, **options):
        with raw_server(response(GOOD)) as server:
            shumai.tfetch(server.url + "/f", *args, **options)
            lines = server.requests[0][0].split("\r\n")
        return lines[0], {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}

    def test_headers(self):
        start, sent = self.headers_of([1.0], token="secret", headers={"X-Team": "data"}, timeout=3000)
        self.assertEqual(start, "POST /f HTTP/1.1")
        self.assertEqual((sent["authorization"], sent["x-team"]), ("Bearer secret", "data"))
        self.assertEqual(sent["content-type"], "application/x-safetensors")
        self.assertRegex(sent["traceparent"], "00-[0-9a-f]{32}-[0-9a-f]{16}-01")
        self.assertTrue(2_900_000 < int(sent["shumai-timeout"]) <= 3_000_000)
        start, sent = self.headers_of(timeout=None, headers={"accept": "application/x-safetensors"})
        self.assertEqual((start, sent["accept"]), ("GET /f HTTP/1.1", "application/x-safetensors"))
        self.assertNotIn("shumai-timeout", sent)
        self.assertNotIn("content-length", sent)

    def test_headers_that_would_be_two(self):
        for headers in [{"X": "a\r\nY: b"}, {"X:": "a"}, {"": "a"}, {"X": "\u20ac"}]:
            with self.subTest(headers), self.assertRaisesRegex(ValueError, "can't be sent"):
                self.headers_of(headers=headers)
        for options in [{"token": "secret\nX: y"}, {"headers": {"authorization": "Bearer secret\nX: y"}}]:
            with self.assertRaises(ValueError) as caught:
                self.headers_of(**options)
            self.assertNotIn("secret", str(caught.exception))

    def test_one_trace_through_forward_and_backward(self):
        trace = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-00"
        answer = response(GOOD, "Shumai-Ticket: t1", "Shumai-Session: s1")
        with raw_server(answer) as server:
            y = shumai.tfetch(server.url + "/f", [1.0], traceparent=trace)
            shumai.tfetch(server.url + "/o", y.gradient(y))
            shumai.tfetch(server.url + "/o", y, ticket=y)
            shumai.tfetch(server.url + "/o", y)
            heads = [head for head, _ in server.requests]
        for head in heads[:3]:
            self.assertRegex(head, trace[:36] + "[0-9a-f]{16}-00\r\n")
            self.assertNotIn(trace, head)
        for head in heads[1:3]:
            self.assertIn("\r\nShumai-Ticket: t1\r\n", head)
        self.assertNotIn("Shumai-Session", heads[0])
        self.assertIn("\r\nShumai-Session: s1\r\n", heads[3])
        self.assertNotIn("Shumai-Ticket", heads[3])

    def test_tickets_stay_with_their_server_and_sessions_with_their_token(self):
        answer = response(GOOD, "Shumai-Ticket: t1", "Shumai-Session: s1")
        with raw_server(answer) as one, raw_server(answer) as other:
            y = shumai.tfetch(one.url + "/f", [1.0], token="a")
            shumai.tfetch(other.url + "/f", y.gradient(y))
            with self.assertRaisesRegex(ValueError, "ticket: it is of http://127.0.0.1"):
                shumai.tfetch(other.url + "/f", y, ticket=y)
            shumai.tfetch(one.url + "/f", token="b")
            shumai.tfetch(one.url + "/f", headers={"AUTHORIZATION": "Bearer a"})
            self.assertNotIn("Shumai-Ticket", other.requests[0][0])
            self.assertNotIn("Shumai-Session", other.requests[0][0])
            # Without a session, all who use a token would share its own.
            for head, session in zip((head for head, _ in one.requests), ("new", "new", "s1")):
                self.assertIn(f"\r\nShumai-Session: {session}\r\n", head)

    def test_a_token_over_plain_http_is_warned_of_once(self):
        with self.assertLogs("shumai") as logs:
            for _ in range(2):
                with self.assertRaises(shumai.ShumaiError):
                    shumai.tfetch("shumai.invalid:9/f", token="secret", retry_for=0)
        self.assertEqual(len(logs.output), 1)
        self.assertIn("http://shumai.invalid:9 unencrypted", logs.output[0])
        self.assertNotIn("secret", logs.output[0])
        for host in ("localhost", "127.0.0.9", "[::1]"):
            self.assertTrue(parse_url(host).is_loopback)
        for host in ("localhost.example", "10.0.0.1"):
            self.assertFalse(parse_url(host).is_loopback)

    def test_unix_sockets(self):
        with tempfile.TemporaryDirectory() as directory:
            path = str(Path(directory, "s:1.sock"))
            with RawServer(lambda c, _: (server.read_request(c), c.sendall(response(GOOD))), path) as server:
                self.assertEqual(len(shumai.tfetch(f"unix:{path}:/f?x=1")), 3)
                self.assertTrue(server.requests[0][0].startswith("GET /f?x=1 HTTP/1.1\r\nHost: localhost\r\n"))

    def test_wrong_arguments(self):
        for options, message in [({"timeout": -1}, "timeout: expected seconds"), ({"retry_for": None}, "retry_for"),
                                 ({"timeout": float("nan")}, "timeout"), ({"ticket": np.ones(1)}, "ticket: expected"),
                                 ({"compress": "gzip"}, "compress: expected"),
                                 ({"tls": "ca.pem"}, "tls: expected shumai.Tls"),
                                 ({"tls": shumai.Tls()}, "options for TLS need a URL with https")]:
            with self.subTest(options), self.assertRaisesRegex((ValueError, TypeError), message):
                shumai.tfetch("localhost:1/f", **options)

    def test_a_grad_fn_needs_one_tensor(self):
        with raw_server(response(b"", status="204 No Content")) as server:
            with self.assertRaisesRegex(ValueError, "grad_fn needs a route that answers one tensor"):
                shumai.tfetch(server.url + "/f", [1.0], grad_fn=print)
