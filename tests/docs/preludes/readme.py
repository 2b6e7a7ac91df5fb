import shumai.torch
import torch

images, labels = torch.randn(16, 784), torch.zeros(16, dtype=torch.long)
