"""A PyTorch client that trains a served network: which of two spirals does a point lie on?

This team has the points, the labels and a loss of PyTorch's. The network and its optimizer are the server's:

    build/release/bin/shumai serve examples/pytorch/model.json --lr 0.01 &
    PYTHONPATH=python python3 examples/pytorch/train.py [URL] [STEPS]
"""
import math
import sys

try:
    import torch
except ImportError:
    sys.exit("train.py: this example needs PyTorch: apt-get install python3-torch, or pip install torch")
import shumai.torch

url = sys.argv[1] if len(sys.argv) > 1 else "localhost:3000"
steps = int(sys.argv[2]) if len(sys.argv) > 2 else 600
generator = torch.Generator().manual_seed(1)


def spirals(count):
    label = torch.randint(2, (count,), generator=generator)
    turn = torch.rand(count, generator=generator)
    angle = 1.5 * math.pi * turn + math.pi * label
    radius = 0.2 + turn
    noise = 0.03 * torch.randn(count, 2, generator=generator)
    return torch.stack([radius * torch.cos(angle), radius * torch.sin(angle)], dim=1) + noise, label


def accuracy(model):
    points, labels = spirals(1000)
    with torch.no_grad():
        return (model(points).argmax(dim=1) == labels).float().mean().item()


model = shumai.torch.remote_model(url)
before = accuracy(model)
for step in range(steps):
    points, labels = spirals(128)
    loss = torch.nn.functional.cross_entropy(model(points), labels)
    loss.backward()  # the gradient goes to the server, whose optimizer moves its weights
    if step % 100 == 0:
        print(f"step {step}: loss {loss.item():.3f}", flush=True)
print(f"pytorch: {before:.0%} of new points right before, {accuracy(model):.0%} after {steps} steps")
