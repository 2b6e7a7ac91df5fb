"""The data team's side of the seed with PyTorch: a plain backward trains the model that this team never sees.

What this team knows and the model team doesn't is that y = 3 x. Usage: seed_torch.py [URL]
"""
import sys

import shumai.torch
import torch

model = shumai.torch.remote_model(sys.argv[1] if len(sys.argv) > 1 else "localhost:3000")


def get_data():
    x = torch.randn(128)
    return x, 3 * x


losses = []
for step in range(200):
    x, reference = get_data()
    loss = torch.nn.functional.mse_loss(model(x), reference)
    model.report(loss.item(), step)  # for the model team's dashboard
    loss.backward()
    losses.append(loss.item())
print(f"loss {losses[0]:.3g} -> {losses[-1]:.3g}")
