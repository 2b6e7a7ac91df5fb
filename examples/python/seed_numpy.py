"""The data team's side of the seed with NumPy: the gradient of the loss is worked out by hand.

What this team knows and the model team doesn't is that y = 3 x. Usage: seed_numpy.py [URL]
"""
import sys

import numpy as np
import shumai

url = sys.argv[1] if len(sys.argv) > 1 else "localhost:3000"
generator = np.random.default_rng()


def get_data():
    x = generator.standard_normal(128, dtype=np.float32)
    return x, 3 * x


# Called by output.backward().
def backward(grad):
    shumai.tfetch(f"{url}/optimize", grad.grad_in)


losses = []
for _ in range(200):
    x, reference = get_data()
    output = shumai.tfetch(f"{url}/forward", x, grad_fn=backward)
    losses.append(np.mean((output - reference) ** 2))
    output.backward(2 * (output - reference) / output.size)
print(f"loss {losses[0]:.3g} -> {losses[-1]:.3g}")
