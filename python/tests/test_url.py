import unittest

from shumai._url import parse_url, route_of


class Url(unittest.TestCase):
    def test_parses_as_the_other_clients_do(self):
        for text, origin, target, host in [
            ("localhost:3000/forward", "http://localhost:3000", "/forward", "localhost:3000"),
            ("localhost", "http://localhost:80", "/", "localhost"),
            ("example.com/a?b=c", "http://example.com:80", "/a?b=c", "example.com"),
            ("HTTP://Example.COM:80", "http://example.com:80", "/", "example.com"),
            ("https://host/x", "https://host:443", "/x", "host"),
            ("https://host:80/", "https://host:80", "/", "host:80"),
            ("host:/x", "http://host:80", "/x", "host"),
            ("host?q=http://other", "http://host:80", "/?q=http://other", "host"),
            ("host/x#part", "http://host:80", "/x", "host"),
            ("[::1]:3000/f", "http://[::1]:3000", "/f", "[::1]:3000"),
            ("http://[0:0:0:0:0:0:0:1]", "http://[::1]:80", "/", "[::1]"),
            ("unix:/run/a.sock", "unix:/run/a.sock", "/", "localhost"),
            ("unix:/run/a.sock:", "unix:/run/a.sock", "/", "localhost"),
            ("unix:/run/a.sock:/forward?x", "unix:/run/a.sock", "/forward?x", "localhost"),
            ("unix:a:b.sock:/f", "unix:a:b.sock", "/f", "localhost"),
        ]:
            with self.subTest(text):
                url = parse_url(text)
                self.assertEqual((url.origin, url.target, url.host_header), (origin, target, host))
                self.assertEqual(str(parse_url(str(url))), str(url))

    def test_refuses_with_the_reason(self):
        for text, reason in [
            ("", "empty"),
            ("ftp://host/x", "expected http, https or unix, got 'ftp'"),
            ("http://", "host is missing"),
            (":3000", "host is missing"),
            ("host:0", "port from 1 to 65535, got '0'"),
            ("host:65536/x", "got '65536'"),
            ("host:8o", "got '8o'"),
            ("host:-1", "got '-1'"),
            ("host:\u0661", "port from 1"),
            ("::1", "brackets"),
            ("[::1", "']' is missing"),
            ("[::g]", "isn't an IPv6 address"),
            ("[::1]3000", "expected ':'"),
            ("user:secret@host", "token"),
            ("ho st/", "isn't a host name"),
            ("host/a b", "percent-encode"),
            ("host/a\r\nX: y", "percent-encode"),
            ("host/\u00e4", "percent-encode"),
            ("unix:", "path is missing"),
            ("unix:/a\0b", "null character"),
        ]:
            with self.subTest(text), self.assertRaises(ValueError) as caught:
                parse_url(text)
            self.assertIn(reason, str(caught.exception))

    def test_routes_of_a_server(self):
        for url, expected in [
            ("localhost:3000", "localhost:3000/forward"),
            ("http://host/models/a/", "http://host/models/a/forward"),
            ("unix:/run/a.sock", "unix:/run/a.sock:/forward"),
            ("unix:/run/a.sock:", "unix:/run/a.sock:/forward"),
            ("unix:/run/a.sock:/models/a", "unix:/run/a.sock:/models/a/forward"),
        ]:
            self.assertEqual(route_of(url, "forward"), expected)
