"""Training steps against fastapi_server.py, over one kept connection: fastapi_client.py THREADS."""
import http.client
import sys

import torch

import worker
from remote_steps import data, gradient, training


class Client:
    """Python's own HTTP client, which is faster than those that people install."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection('127.0.0.1', port)
        self.connection.connect()

    def post(self, path, tensor, **headers):
        headers['shape'] = ','.join(map(str, tensor.shape))
        self.connection.request('POST', path, tensor.numpy().tobytes(), headers)
        response = self.connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise RuntimeError(f'{path}: {response.status} {body[:200]}')
        return body, response.headers


def remote_step(model, port, **_):
    x, reference = data(model)
    path = '' if model == 'scalar' else '/matrix'
    client = Client(port)

    def step():
        body, headers = client.post(path + '/forward', x)
        shape = [int(size) for size in headers['shape'].split(',')]
        output = torch.frombuffer(bytearray(body), dtype=torch.float32).reshape(shape)
        loss, jacobian = gradient(output, reference)
        client.post(path + '/optimize', jacobian, step=headers['step'])
        return loss

    return training(step)


if __name__ == '__main__':
    torch.set_num_threads(int(sys.argv[1]))
    worker.run({'remote_step': remote_step})
