"""A client of the Open Inference Protocol in NumPy and the standard library, against servers of both languages."""

import http.client
import itertools
import json
import os
import shutil
import subprocess
import unittest
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
DATATYPES = {
    "BOOL": np.bool_, "UINT8": np.uint8, "INT8": np.int8, "UINT16": np.uint16, "INT16": np.int16, "UINT32": np.uint32,
    "INT32": np.int32, "UINT64": np.uint64, "INT64": np.int64, "FP16": np.float16, "FP32": np.float32,
    "FP64": np.float64,
}
OF_DTYPE = {np.dtype(dtype): datatype for datatype, dtype in DATATYPES.items()}


class Client:
    """`send` takes {name: array}, of which those in `binary` go as bytes, and gives {name: array} and the JSON."""

    def __init__(self, url):
        self.connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)

    def get(self, path):
        self.connection.request("GET", path)
        response = self.connection.getresponse()
        return response.status, json.loads(response.read())

    def post(self, model, body, headers):
        self.connection.request("POST", f"/v2/models/{model}/infer", body, headers)
        response = self.connection.getresponse()
        return response, response.read()

    def send(self, model, inputs, binary=(), padding=0, **request):
        entries, blobs = [], []
        for name, array in inputs.items():
            entry = {"name": name, "shape": list(array.shape), "datatype": OF_DTYPE[array.dtype]}
            if name in binary:
                blobs.append(array.tobytes())
                entry["parameters"] = {"binary_data_size": len(blobs[-1])}
            else:
                entry["data"] = array.tolist()
            entries.append(entry)
        text = json.dumps({"inputs": entries, **request}).encode() + b" " * padding
        headers = {"Content-Type": "application/json"}
        if blobs:
            headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(text))}
        return self.receive(*self.post(model, text + b"".join(blobs), headers))

    @staticmethod
    def receive(response, body):
        size = int(response.getheader("Inference-Header-Content-Length", len(body)))
        answer, rest = json.loads(body[:size]), body[size:]
        if response.status != 200:
            return response.status, answer
        outputs = {}
        for entry in answer["outputs"]:
            dtype = np.dtype(DATATYPES[entry["datatype"]])
            length = entry.get("parameters", {}).get("binary_data_size")
            if length is None:
                flat = np.array(entry["data"], dtype)
            else:
                flat, rest = np.frombuffer(rest[:length], dtype), rest[length:]
            outputs[entry["name"]] = flat.reshape(entry["shape"])
        assert not rest, "bytes that belong to no output"
        return outputs, answer


class Cases:
    """What holds for a server in any language."""

    command = []

    @classmethod
    def setUpClass(cls):
        cls.process = subprocess.Popen(cls.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        cls.addClassCleanup(cls.end)
        line = cls.process.stdout.readline()
        assert line.startswith("serving on "), line
        cls.url = line.split()[-1]

    @classmethod
    def end(cls):
        cls.process.kill()
        cls.process.wait()
        cls.process.stdout.close()

    def setUp(self):
        self.client = Client(self.url)
        self.addCleanup(self.client.connection.close)

    def check(self, expected, outputs):
        self.assertEqual(list(expected), list(outputs))
        for name, array in expected.items():
            self.assertEqual(array.dtype, outputs[name].dtype)
            np.testing.assert_array_equal(array, outputs[name])

    def test_metadata_and_health(self):
        self.assertEqual(self.client.get("/v2")[1]["extensions"], ["binary_tensor_data"])
        for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/echo/ready"):
            self.assertEqual(self.client.get(path)[0], 200, path)
        self.assertEqual(
            self.client.get("/v2/models/digits")[1],
            {"name": "digits", "versions": ["0"], "platform": "shumai",
             "inputs": [{"name": "image", "datatype": "UINT8", "shape": [-1, 4]}],
             "outputs": [{"name": "scores", "datatype": "FP32", "shape": [-1, 2]}]})
        self.assertEqual(self.client.get("/v2/models/none")[0], 404)

    def test_every_datatype_in_both_forms(self):
        random = np.random.default_rng(7)
        for datatype, dtype in DATATYPES.items():
            x = (random.integers(0, 2, (3, 4)) if datatype == "BOOL" else random.normal(0, 30, (3, 4))).astype(dtype)
            for sent, back in itertools.product((True, False), repeat=2):
                if datatype == "FP16" and not (sent and back):
                    continue
                outputs, _ = self.client.send("echo", {"x": x}, ["x"] if sent else [],
                                              parameters={"binary_data_output": back})
                self.check({"0": x}, outputs)

    def test_extremes_survive_json(self):
        for dtype in (np.int64, np.uint64):
            info = np.iinfo(dtype)
            outputs, _ = self.client.send("echo", {"x": np.array([info.min, info.max], dtype)})
            self.check({"0": np.array([info.min, info.max], dtype)}, outputs)
        tiny = np.array([5e-324, 1.7976931348623157e308, -0.0, 0.1])
        outputs, _ = self.client.send("echo", {"x": tiny})
        self.assertEqual(outputs["0"].tobytes(), tiny.tobytes())

    def test_forms_mix_and_keep_their_order(self):
        inputs = {"a": np.arange(6, dtype=np.float64).reshape(2, 3), "b": np.array([True, False, True]),
                  "c": np.arange(5, dtype=np.int16), "d": np.zeros((0, 3), np.float32), "e": np.array(4, np.uint8)}
        outputs, answer = self.client.send(
            "echo", inputs, ["b", "c", "d", "e"], id="é",
            outputs=[{"name": "c", "parameters": {"binary_data": False}}, {"name": "e"}, {"name": "a"}, {"name": "d"}],
            parameters={"binary_data_output": True})
        self.check({name: inputs[name] for name in "cead"}, outputs)
        self.assertEqual([answer["id"], answer["model_name"], answer["model_version"]], ["é", "echo", "0"])

    def test_binary_data_may_begin_anywhere(self):
        x = np.arange(1000, dtype=np.float64)
        for padding in range(9):
            outputs, _ = self.client.send("echo", {"x": x}, ["x"], padding, parameters={"binary_data_output": True})
            self.check({"0": x}, outputs)

    def test_many_megabytes(self):
        x = np.random.default_rng(7).normal(size=(1 << 20, 2))
        outputs, _ = self.client.send("echo", {"x": x}, ["x"], parameters={"binary_data_output": True})
        self.check({"0": x}, outputs)

    def test_declared_tensors(self):
        image = np.arange(8, dtype=np.uint8).reshape(2, 4)
        outputs, _ = self.client.send("digits", {"image": image}, ["image"], outputs=[{"name": "scores"}])
        self.check({"scores": np.array([[1, 5], [9, 13]], np.float32)}, outputs)
        for wrong in (image.astype(np.int8), image.reshape(4, 2)):
            status, answer = self.client.send("digits", {"image": wrong})
            self.assertEqual([status, list(answer)], [400, ["error"]])

    def test_a_refused_request_leaves_the_connection_usable(self):
        for body, headers in ((b"{", {}), (b"{}", {}), (b'{"inputs":[]}123', {"Inference-Header-Content-Length": "13"})):
            response, answer = self.client.post("echo", body, headers)
            self.assertEqual([response.status, list(json.loads(answer))], [400, ["error"]])
        self.check({"0": np.array([1.5])}, self.client.send("echo", {"x": np.array([1.5])})[0])


class Native(Cases, unittest.TestCase):
    command = [Path(os.environ["SHUMAI_BIN_DIR"]) / "inference_server"]


class Script(Cases, unittest.TestCase):
    command = [shutil.which("node"), ROOT / "tests" / "exchange" / "inference_server.mjs"]
