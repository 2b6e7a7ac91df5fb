"""Optimizers, learning rate schedules and gradient clipping in PyTorch."""

import torch
from torch import optim
from torch.optim import lr_scheduler as schedules

from checks import TOLERANCE, expect_close

OPTIMIZERS = {
    "sgd": optim.SGD,
    "SGD": optim.SGD,
    "Adam": optim.Adam,
    "AdamW": optim.AdamW,
    "RMSprop": optim.RMSprop,
}


def sequential(optimizer, milestones):
    parts = [schedules.LinearLR(optimizer, 0.1, 1, 5), schedules.ExponentialLR(optimizer, 0.9)]
    return schedules.SequentialLR(optimizer, parts, milestones)


SCHEDULES = {
    "lambda_lr": lambda optimizer, base: schedules.LambdaLR(optimizer, lambda step: base**step),
    "step_lr": schedules.StepLR,
    "multi_step_lr": schedules.MultiStepLR,
    "exponential_lr": schedules.ExponentialLR,
    "constant_lr": schedules.ConstantLR,
    "linear_lr": schedules.LinearLR,
    "polynomial_lr": schedules.PolynomialLR,
    "cosine_annealing_lr": schedules.CosineAnnealingLR,
    "cosine_annealing_warm_restarts": schedules.CosineAnnealingWarmRestarts,
    "one_cycle_lr": lambda optimizer, **options: schedules.OneCycleLR(optimizer, cycle_momentum=False, **options),
    "sequential_lr": sequential,
}

CLIPS = {
    "clip_grad_norm": torch.nn.utils.clip_grad_norm_,
    "clip_grad_value": torch.nn.utils.clip_grad_value_,
}


def compare_steps(case, weights, optimizer, schedule=None):
    for step, (gradients, expected) in enumerate(zip(case["gradients"], case["steps"])):
        for i, weight in enumerate(weights):
            weight.grad = gradients[i].clone() if i < len(gradients) else None
        optimizer.step()
        if schedule:
            schedule.step()
        for i, weight in enumerate(weights):
            # Errors of single steps add up, and Adam divides by roots of small numbers.
            expect_close(f"weight {i} after step {step}", expected[i], weight.detach(), 10 * TOLERANCE[weight.dtype])


def compare_rates(case):
    weight = torch.zeros(1, requires_grad=True)
    optimizer = optim.SGD([weight], lr=case["initial"])
    schedule = SCHEDULES[case["name"]](optimizer, **case["options"])
    rates = []
    for _ in case["rates"]:
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if len(rates) < len(case["rates"]):
            schedule.step()
    expect_close("rates", case["rates"], torch.tensor(rates, dtype=torch.float64))


def compare_clip(case):
    leaves = [torch.zeros_like(gradient, requires_grad=True) for gradient in case["gradients"]]
    for leaf, gradient in zip(leaves, case["gradients"]):
        leaf.grad = gradient.clone()
    options = case["options"]
    if case["name"] == "clip_grad_norm":
        norm = CLIPS[case["name"]](leaves, options["max_norm"], float(options["norm_type"]))
        expect_close("norm", case["norm"], norm.to(case["norm"].dtype), TOLERANCE[norm.dtype])
    else:
        CLIPS[case["name"]](leaves, **options)
    for i, (got, leaf) in enumerate(zip(case["results"], leaves)):
        expect_close(f"gradient {i}", got, leaf.grad)


def compare(case):
    if case["kind"] == "clip":
        return compare_clip(case)
    if case["kind"] == "schedule":
        return compare_rates(case)
    weights = [weight.requires_grad_(True) for weight in case["weights"]]
    if case["kind"] == "optimizer":
        return compare_steps(case, weights, OPTIMIZERS[case["name"]](weights, **case["options"]))
    optimizer = optim.SGD(weights, lr=0.2, momentum=0.5)
    options = {key: value for key, value in case["options"].items() if key != "schedule"}
    compare_steps(case, weights, optimizer, SCHEDULES[case["options"]["schedule"]](optimizer, **options))
