"""https://, with certificates made for the test."""

import ssl
import subprocess
import tempfile
import unittest
from pathlib import Path

import numpy as np

import shumai
from shumai._array import to_part
from shumai._safetensors import encode

from .servers import RawServer, raw_server, response

GOOD = response(b"".join(encode([to_part(np.arange(3.0))])))


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


class Https(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        for authority in ("ca", "other"):
            openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", f"/CN={authority}", "-keyout", cls.file(authority, "key"), "-out", cls.file(authority))
        cls.certify("server", "ca", "IP:127.0.0.1,DNS:models.example")
        cls.certify("client", "ca", "DNS:client")
        cls.certify("stranger", "other", "DNS:client")

    @classmethod
    def file(cls, name, kind="crt"):
        return str(cls.directory / f"{name}.{kind}")

    @classmethod
    def certify(cls, name, authority, names):
        Path(cls.file(name, "ext")).write_text(f"subjectAltName={names}\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=127.0.0.1",
                "-keyout", cls.file(name, "key"), "-out", cls.file(name, "csr"))
        openssl("x509", "-req", "-in", cls.file(name, "csr"), "-CA", cls.file(authority), "-CAkey",
                cls.file(authority, "key"), "-CAcreateserial", "-days", "2", "-out", cls.file(name), "-extfile",
                cls.file(name, "ext"))

    def server(self, certificate="server", client_ca=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.file(certificate), self.file(certificate, "key"))
        if client_ca:
            context.load_verify_locations(self.file(client_ca))
            context.verify_mode = ssl.CERT_REQUIRED
        return raw_server(GOOD, tls=context)

    def refused(self, server, message, **options):
        with self.assertRaisesRegex(shumai.ConnectionFailed, message), self.assertNoLogs("shumai"):
            shumai.tfetch(server.url + "/f", [1.0], repeatable=True, **options)

    def test_a_server_of_a_trusted_authority_is_spoken_to_over_one_connection(self):
        with self.server() as server:
            for _ in range(3):
                y = shumai.tfetch(server.url + "/f", np.zeros(1 << 18), token="t", tls=shumai.Tls(ca=self.file("ca")))
                np.testing.assert_array_equal(y, [0, 1, 2])
            self.assertEqual(server.connections, 1)
            context = ssl.create_default_context(cafile=self.file("ca"))
            self.assertEqual(len(shumai.tfetch(server.url + "/f", tls=context)), 3)

    def test_other_servers_are_refused_at_once(self):
        with self.server() as server:
            self.refused(server, "its certificate: .*self-signed|its certificate: .*issuer")
            self.refused(server, "its certificate", tls=shumai.Tls(ca=self.file("other")))
            self.refused(server, "not valid for 'elsewhere.example'", tls=shumai.Tls(
                ca=self.file("ca"), server_name="elsewhere.example"))
            named = shumai.Tls(ca=self.file("ca"), server_name="models.example")
            self.assertEqual(len(shumai.tfetch(server.url + "/f", tls=named)), 3)
            self.assertEqual(server.requests[0][0].split()[0], "GET")
        with self.server("client") as server:  # whose common name alone is the address
            self.refused(server, "not valid for '127.0.0.1'", tls=shumai.Tls(ca=self.file("ca")))

    def test_a_client_shows_its_certificate(self):
        with self.server(client_ca="ca") as server:
            def tls(name):
                return shumai.Tls(self.file("ca"), self.file(name), self.file(name, "key"))

            self.assertEqual(len(shumai.tfetch(server.url + "/f", [1.0], tls=tls("client"))), 3)
            self.refused(server, "the server refuses|broke", tls=shumai.Tls(self.file("ca")))
            self.refused(server, "the server refuses|broke", tls=tls("stranger"))

    def test_files_are_read_again_when_they_change(self):
        changing = self.file("changing")
        Path(changing).write_bytes(Path(self.file("other")).read_bytes())
        with self.server() as server:
            self.refused(server, "its certificate", tls=shumai.Tls(changing))
            Path(changing).write_bytes(Path(self.file("other")).read_bytes() + Path(self.file("ca")).read_bytes())
            self.assertEqual(len(shumai.tfetch(server.url + "/f", tls=shumai.Tls(changing))), 3)

    def test_what_can_not_be_used_says_so(self):
        with self.assertRaisesRegex(ValueError, "a certificate and its key belong together, got only me.crt"):
            shumai.Tls(cert="me.crt")
        with self.server() as server:
            for tls in (shumai.Tls(self.file("nowhere")), shumai.Tls(self.file("server", "key"))):
                with self.assertRaisesRegex(ValueError, "tls: "), self.assertNoLogs("shumai"):
                    shumai.tfetch(server.url + "/f", tls=tls)

    def test_a_server_without_tls_is_an_error(self):
        def script(connection, _):
            connection.recv(1)
            connection.sendall(response(b"", status="400 Bad Request"))

        with RawServer(script) as server, self.assertRaises(shumai.ConnectionFailed):
            shumai.tfetch(server.url.replace("http:", "https:"), retry_for=0)


if __name__ == "__main__":
    unittest.main()
