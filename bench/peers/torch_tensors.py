"""The workloads on tensors in PyTorch: torch_tensors.py THREADS."""
import sys

import torch
import torch.nn.functional as F

import worker

BATCH = 64
LEARNING_RATE = 0.01


def noise(shape, seed, scale=1.0):
    count = int(torch.Size(shape).numel())
    steps = torch.arange(count, dtype=torch.float64)
    x = torch.sin(12.9898 * steps + 78.233 * seed) * 43758.5453
    return (scale * (2 * (x - torch.floor(x)) - 1)).to(torch.float32).reshape(shape)


def fill_parameters(model):
    with torch.no_grad():
        for seed, weight in enumerate(model.parameters(), 1):
            columns = weight.numel() / weight.shape[0]
            weight.copy_(noise(weight.shape, seed, columns**-0.5 if columns > 1 else 0.1))


def operation(work):
    return worker.repeat(work, lambda: [work().square().mean().item()])


def add():
    a, b = noise([32], 1), noise([32], 2)
    return operation(lambda: a + b)


def mul_number():
    a = noise([32], 1)
    return operation(lambda: a * 2.0)


def exp():
    a = noise([32], 1)
    return operation(lambda: torch.exp(a))


def sum_():
    a = noise([32], 1)
    return operation(lambda: torch.sum(a))


def matmul_8():
    a = noise([8, 8], 1)
    return operation(lambda: a @ a)


def scalar_step():
    weight = torch.tensor(1.5, requires_grad=True)
    x = torch.tensor(2.0)

    def step():
        weight.grad = None
        (x * weight).square().backward()

    return worker.repeat(step, lambda: [step(), weight.grad.item()][1:])


CHAINS = {
    'gate': lambda x, y, z, w: torch.sigmoid(x * w + y) * x + z,
    'clip': lambda x, y, z, w: torch.square(torch.relu((x + y) * 0.5 - z)),
}


def pointwise(chain, backward):
    compute = CHAINS[chain]
    x, y, z, w = (noise([1_000_000], seed) for seed in (1, 2, 3, 4))
    if not backward:
        return operation(lambda: compute(x, y, z, w))
    x.requires_grad_()
    y.requires_grad_()
    gradient = noise([1_000_000], 5)

    def step():
        x.grad = y.grad = None
        compute(x, y, z, w).backward(gradient)

    return worker.repeat(step, lambda: [step(), x.grad.square().mean().item(), y.grad.square().mean().item()][1:])


def matmul(size):
    a, b = noise([size, size], 1), noise([size, size], 2)
    return worker.repeat(lambda: a @ b, lambda: [(a @ b).square().mean().item()])


def hidden(width, backward):
    linear = torch.nn.Linear(width, width)
    fill_parameters(linear)
    x = noise([64, width], 5)

    def layer():
        h = linear(x)
        return torch.relu(h * torch.sigmoid(h * 1.702) + x)

    def forward():
        with torch.no_grad():
            return layer()

    if not backward:
        return operation(forward)
    gradient = noise([64, width], 6)

    def step():
        linear.weight.grad = linear.bias.grad = None
        layer().backward(gradient)

    return worker.repeat(step, lambda: [step(), linear.weight.grad.square().mean().item()][1:])


def training(model, loss):
    fill_parameters(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE)

    def step():
        optimizer.zero_grad(set_to_none=True)
        value = loss()
        value.backward()
        optimizer.step()
        return value

    def check():
        fill_parameters(model)
        return [step().item(), step().item()]

    return worker.repeat(step, check)


def digits():
    return torch.tensor([i * 7 % 10 for i in range(BATCH)])


def mlp_step():
    model = torch.nn.Sequential(torch.nn.Linear(784, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))
    x, labels = noise([BATCH, 784], 7), digits()
    return training(model, lambda: F.cross_entropy(model(x), labels))


def cnn_step():
    nn = torch.nn
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(32 * 7 * 7, 10))  # yapf: disable
    x, labels = noise([BATCH, 1, 28, 28], 7), digits()
    return training(model, lambda: F.cross_entropy(model(x), labels))


def transformer_step():
    block = torch.nn.TransformerEncoderLayer(256, 4, 1024, dropout=0, activation='gelu', batch_first=True, norm_first=True)
    x = noise([8, 128, 256], 7).requires_grad_()
    target = noise([8, 128, 256], 8)

    def loss():
        x.grad = None
        return F.mse_loss(block(x), target)

    workload = training(block, loss)
    check = workload.check
    workload.check = lambda: check() + [x.grad.square().mean().item() * 1e6]
    return workload


OPTIMIZERS = {
    'sgd': lambda weights: torch.optim.SGD(weights, lr=1e-3),
    'momentum': lambda weights: torch.optim.SGD(weights, lr=1e-3, momentum=0.9),
    'adam': torch.optim.Adam,
    'rmsprop': torch.optim.RMSprop,
}


def update(optimizer, size):
    weight = noise([size], 1).requires_grad_()
    weight.grad = noise([size], 2)
    step = OPTIMIZERS[optimizer]([weight]).step

    def check():
        with torch.no_grad():
            weight.copy_(noise([size], 1))
        step()
        return [weight.square().mean().item()]

    return worker.repeat(step, check)


if __name__ == '__main__':
    torch.set_num_threads(int(sys.argv[1]))
    worker.run({
        'add': add, 'mul_number': mul_number, 'exp': exp, 'sum': sum_, 'matmul_8': matmul_8,
        'scalar_step': scalar_step,
        'pointwise': pointwise, 'matmul': matmul, 'hidden': hidden, 'mlp_step': mlp_step, 'cnn_step': cnn_step,
        'transformer_step': transformer_step, 'update': update,
    })  # yapf: disable
