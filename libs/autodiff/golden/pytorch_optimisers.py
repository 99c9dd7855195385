"""Steps of PyTorch's optimisers in float64, which the step graphs are held against. Written once; not needed to run the tests.

    python3 libs/autodiff/golden/pytorch_optimisers.py libs/autodiff/golden/optimiser-steps.json    # needs torch

Two parameters in groups of their own, gradients that are clipped in some steps and not in others, rates that change.
"""

import json
import sys
from pathlib import Path

import torch

SHAPES = {"matrix": [3, 4], "vector": [4]}
GROUPS = {"matrix": {"rateFactor": 1.0, "decay": 0.1}, "vector": {"rateFactor": 2.5, "decay": 0.0}}
RATES = [0.01, 0.02, 0.015, 0.005, 0.001]
CLIP = 1.5
RUNS = {
    "adamw": {"kind": "adamw", "beta1": 0.9, "beta2": 0.98, "epsilon": 1e-6},
    "sgd": {"kind": "sgd", "momentum": 0.0, "nesterov": False},
    "momentum": {"kind": "sgd", "momentum": 0.9, "nesterov": False},
    "nesterov": {"kind": "sgd", "momentum": 0.9, "nesterov": True},
}


def rounded(tensor):
    return [round(value, 12) for value in tensor.flatten().tolist()]


def draw(generator, shape, scale):
    # Few digits, so that float32 and float64 start from nearly the same.
    return (torch.randn(shape, generator=generator, dtype=torch.float64) * scale).mul(1024).round().div(1024)


def optimiser_of(run, parameters):
    groups = [{"params": [p], "name": n, "weight_decay": GROUPS[n]["decay"]} for n, p in parameters.items()]
    if run["kind"] == "adamw":
        return torch.optim.AdamW(groups, betas=(run["beta1"], run["beta2"]), eps=run["epsilon"])
    # PyTorch adds the decay of SGD to the gradient; decoupled decay is applied below, before the step.
    return torch.optim.SGD([{**g, "weight_decay": 0.0} for g in groups], momentum=run["momentum"], nesterov=run["nesterov"])


def steps(run, start, gradients):
    parameters = {name: value.clone().requires_grad_() for name, value in start.items()}
    optimiser = optimiser_of(run, parameters)
    result = []
    for rate, given in zip(RATES, gradients):
        for name, parameter in parameters.items():
            parameter.grad = given[name].clone()
        norm = torch.nn.utils.clip_grad_norm_(parameters.values(), CLIP)
        for group in optimiser.param_groups:
            group["lr"] = rate * GROUPS[group["name"]]["rateFactor"]
            if run["kind"] == "sgd":
                with torch.no_grad():
                    group["params"][0].mul_(1 - group["lr"] * GROUPS[group["name"]]["decay"])
        optimiser.step()
        result.append({"norm": norm.item(), "values": {name: rounded(p.detach()) for name, p in parameters.items()}})
    return result


if __name__ == "__main__":
    generator = torch.Generator().manual_seed(7)
    start = {name: draw(generator, shape, 1) for name, shape in SHAPES.items()}
    scales = [1, 0.01, 0.3, 3, 0.1]
    gradients = [{name: draw(generator, shape, scale) for name, shape in SHAPES.items()} for scale in scales]
    content = {
        "torch": torch.__version__,
        "shapes": SHAPES,
        "groups": GROUPS,
        "rates": RATES,
        "clipNorm": CLIP,
        "start": {name: rounded(value) for name, value in start.items()},
        "gradients": [{name: rounded(value) for name, value in step.items()} for step in gradients],
        "runs": [{"name": name, **run, "steps": steps(run, start, gradients)} for name, run in RUNS.items()],
    }
    Path(sys.argv[1]).write_text(json.dumps(content, indent=1) + "\n")
