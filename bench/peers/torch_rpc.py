"""Training steps by torch.distributed.rpc with a process of its own: torch_rpc.py THREADS. Two calls a step, as over HTTP:
distributed autograd with DistributedOptimizer takes several times as long for the same."""
import os
import socket
import sys

import torch
import torch.distributed.rpc as rpc
import torch.multiprocessing as multiprocessing

import worker
from remote_steps import data, gradient, training

LEARNING_RATE = 1e-2


class Model:
    """Lives in the server's process."""

    def __init__(self, weight, function):
        self.weight = weight.requires_grad_()
        self.function = function
        self.optimizer = torch.optim.SGD([self.weight], lr=LEARNING_RATE)
        self.output = None

    def forward(self, x):
        self.output = self.function(x, self.weight)
        return self.output.detach()

    def optimize(self, jacobian):
        self.optimizer.zero_grad(set_to_none=True)
        self.output.backward(jacobian)
        self.optimizer.step()


MODELS = {}


def forward(model, x):
    return MODELS[model].forward(x)


def optimize(model, jacobian):
    MODELS[model].optimize(jacobian)


def join(rank, port, threads):
    torch.set_num_threads(threads)
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    rpc.init_rpc(('client', 'server')[rank], rank=rank, world_size=2)


def serve(port, threads):
    MODELS['scalar'] = Model(torch.tensor(1.718), torch.mul)
    MODELS['matrix'] = Model(torch.zeros(128, 8), torch.matmul)
    join(1, port, threads)
    rpc.shutdown()


def remote_step(model):
    x, reference = data(model)

    def step():
        output = rpc.rpc_sync('server', forward, (model, x))
        loss, jacobian = gradient(output, reference)
        rpc.rpc_sync('server', optimize, (model, jacobian))
        return loss

    return training(step)


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def main():
    threads, port = int(sys.argv[1]), free_port()
    server = multiprocessing.get_context('spawn').Process(target=serve, args=(port, threads), daemon=True)
    server.start()
    join(0, port, threads)
    worker.run({'remote_step': remote_step})
    rpc.shutdown()


if __name__ == '__main__':
    main()
