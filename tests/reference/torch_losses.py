"""The losses in PyTorch, by name, from their inputs and options."""

import torch
import torch.nn.functional as F

from checks import run_both


def distance(function):
    def broadcast(a, b, **options):
        return function(*torch.broadcast_tensors(a, b), **options)

    return broadcast


def nll(scores, labels, weight, ignore_index, reduction):
    axis = 0 if scores.dim() == 1 else 1
    return F.nll_loss(torch.log_softmax(scores, axis), labels, weight, ignore_index=ignore_index, reduction=reduction)


def cross_entropy_of_probabilities(probabilities, target, reduction):
    losses = -(target * probabilities.log().clamp(min=-100)).sum(1)
    return {"mean": losses.mean, "sum": losses.sum, "none": lambda: losses}[reduction]()


def binary_cross_entropy(probabilities, target, weight, reduction, certain=False):
    return F.binary_cross_entropy(probabilities, target, weight, reduction=reduction)


def binary_cross_entropy_with_logits(logits, target, weight, positive, reduction):
    return F.binary_cross_entropy_with_logits(logits, target, weight, reduction=reduction, pos_weight=positive)


LOSSES = {
    "mse": distance(F.mse_loss),
    "mae": distance(F.l1_loss),
    "huber": distance(F.huber_loss),
    "smooth_l1": distance(F.smooth_l1_loss),
    "nll": nll,
    "cross_entropy": lambda scores, target, weight, **options: F.cross_entropy(scores, target, weight, **options),
    "cross_entropy_of_probabilities": cross_entropy_of_probabilities,
    "binary_cross_entropy": binary_cross_entropy,
    "binary_cross_entropy_with_logits": binary_cross_entropy_with_logits,
    "kl_div": F.kl_div,
}


def compare(case):
    # PyTorch takes the weights of classes and elements for constants.
    run_both(case, lambda *inputs: LOSSES[case["name"]](*inputs, **case["options"]), constants=(2, 3))


# (loss, part of the case's name and of what differs as a regular expression, why)
DIFFERENCES = [
    ("binary_cross_entropy", "certain.*gradient of input 0",
     "where a probability and its target are both 0, or both 1, the gradient is that of the logarithm; PyTorch's is 0"),
]
