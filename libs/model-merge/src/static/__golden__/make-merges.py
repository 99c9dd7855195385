"""Writes merges.json: merged tensors by mergekit, and by the equations of the papers in float64 where mergekit has no such method.

pip install torch mergekit==0.1.5 sentencepiece && python make-merges.py

Masks of DARE come from the counter generator of ../counter-random.ts, written again here, so that both sides drop the same.
"""

import base64
import json
from pathlib import Path

import numpy as np
import torch
from mergekit.merge_methods import registry
from mergekit.merge_methods.base import PerInputValues, TensorGroup
from mergekit.merge_methods.base import ParameterScope

PARENTS = ["alpha", "beta", "gamma"]
SHAPES = {"encoder.layer.0.weight": (7, 33), "encoder.layer.0.bias": (40,), "embeddings.weight": (3, 701)}
SMALL = ["encoder.layer.0.weight", "encoder.layer.0.bias"]
SEED = 5_000_000_019  # more than 32 bits, so that both words of a seed count


def mix(z):
    z &= 0xFFFFFFFF
    z = ((z ^ (z >> 16)) * 0x21F0AAAD) & 0xFFFFFFFF
    z = ((z ^ (z >> 15)) * 0x735A2D97) & 0xFFFFFFFF
    return z ^ (z >> 15)


def counter_mask(seed, tensor, parent, n, density):
    low, high = seed & 0xFFFFFFFF, seed >> 32
    first, second = mix(low ^ 0x9E3779B9), mix(high ^ mix(low))
    for byte in f"{tensor}\0{parent}".encode():
        first = ((first ^ byte) * 0x01000193) & 0xFFFFFFFF
        second = (((second ^ byte) * 0x01000193) & 0xFFFFFFFF) ^ (second >> 15)
    first, second = mix(first), mix(second)
    numbers = [mix(mix(i * 0x9E3779B9 + first) + second) for i in range(n)]
    return np.array([number < density * 2**32 for number in numbers], dtype=np.float32)


def encoded(array):
    return base64.b64encode(np.ascontiguousarray(array, dtype="<f4").tobytes()).decode()


def make_inputs():
    random = np.random.default_rng(11)
    inputs = {}
    for name, shape in SHAPES.items():
        base = random.normal(0, 0.05, shape).astype(np.float32)
        # Heavy tails, as differences of fine-tuned models have.
        parents = {
            parent: (base + 0.01 * random.standard_t(3, shape)).astype(np.float32) for parent in PARENTS
        }
        information = {parent: random.gamma(0.3, 1e-4, shape).astype(np.float32) for parent in PARENTS}
        inputs[name] = {"base": base, "parents": parents, "information": information}
    return inputs


INPUTS = make_inputs()


def mergekit(method, tensor, shared, per_parent, parents, with_base):
    spec = registry.get(method)
    entry = INPUTS[tensor]
    ids = (["base"] if with_base else []) + parents
    tensors = ([entry["base"]] if with_base else []) + [entry["parents"][p] for p in parents]
    group = TensorGroup.from_tensors(
        [torch.from_numpy(t.copy()) for t in tensors],
        ids=ids,
        base_index=0 if with_base else None,
        name=tensor,
    )
    values = dict(shared)
    seed = values.pop("seed", None)
    for parameter in spec.spec.parameters:
        if parameter.scope != ParameterScope.SHARED:
            values[parameter.name] = PerInputValues(
                [(p, per_parent[p].get(parameter.name, parameter.default)) for p in parents]
            )
    if seed is not None:
        queue = [
            counter_mask(seed, tensor, p, entry["base"].size, per_parent[p]["density"]).reshape(entry["base"].shape)
            for p in parents
            if per_parent[p]["density"] < 1
        ]
        original = torch.bernoulli
        torch.bernoulli = lambda probabilities: torch.from_numpy(queue.pop(0)).to(probabilities.dtype)
        try:
            return spec([group], parameters=values)[0].numpy()
        finally:
            torch.bernoulli = original
            assert not queue
    return spec([group], parameters=values)[0].numpy()


def case(method, shared, per_parent, tensors=SMALL, with_base=True):
    parents = list(per_parent)
    merged = {t: encoded(mergekit(method, t, shared, per_parent, parents, with_base)) for t in tensors}
    return {
        "source": "mergekit 0.1.5",
        "method": method,
        "shared": shared,
        "parents": [{"name": p, "parameters": per_parent[p]} for p in parents],
        "merged": merged,
    }


def flat(kind, parent, tensors):
    return np.concatenate([INPUTS[t][kind][parent].ravel() for t in tensors]).astype(np.float64)


def split(vector, tensors):
    merged, at = {}, 0
    for t in tensors:
        n = int(np.prod(SHAPES[t]))
        merged[t] = encoded(vector[at : at + n])
        at += n
    return merged


def own_case(source, method, shared, per_parent, vector, tensors):
    return {
        "source": source,
        "method": method,
        "shared": shared,
        "parents": [{"name": p, "parameters": per_parent[p]} for p in per_parent],
        "merged": split(vector, tensors),
    }


def base_of(tensors):
    return np.concatenate([INPUTS[t]["base"].ravel() for t in tensors]).astype(np.float64)


def fisher(shared, weights, tensors):
    """Matena and Raffel 2021, equation 3, with their code's floor and division by norms."""
    upper = lower = 0
    for parent, weight in weights.items():
        information = flat("information", parent, tensors)
        c = weight / np.linalg.norm(information) if shared["normalize"] else weight
        diagonal = c * np.maximum(information, shared["floor"])
        upper = upper + diagonal * flat("parents", parent, tensors)
        lower = lower + diagonal
    per_parent = {p: {"weight": w} for p, w in weights.items()}
    return own_case("arXiv 2111.09832, float64", "fisher", shared, per_parent, upper / lower, tensors)


def pcb(density, weights, tensors, tail=0.0001):
    """Du and others 2024 by the authors' root script: one vector a model, clamped tails, exp and tanh."""

    def min_max(x):
        return (x - x.min(1, keepdims=True)) / (x.max(1, keepdims=True) - x.min(1, keepdims=True))

    # Differences are float32, as in every method here.
    tau = np.stack(
        [
            np.concatenate([(INPUTS[t]["parents"][p] - INPUTS[t]["base"]).ravel() for t in tensors])
            for p in weights
        ]
    ).astype(np.float64)
    count, d = tau.shape
    ordered = np.sort(np.abs(tau), axis=1)
    magnitude = np.clip(
        np.abs(tau), ordered[:, int(d * tail)][:, None], ordered[:, int(d * (1 - tail) - 1)][:, None]
    )
    competition = np.exp(count * min_max(magnitude) ** 2) * np.tanh(tau * tau.sum(0))
    floor = np.sort(competition, axis=1)[:, int(d * (1 - density))][:, None]
    scale = min_max(np.maximum(competition, floor))
    lambdas = np.array(list(weights.values()))[:, None]
    merged = (lambdas * np.sign(tau) * magnitude * scale).sum(0) / np.maximum(scale.sum(0), 1e-12)
    per_parent = {p: {"weight": w} for p, w in weights.items()}
    shared = {"density": density}
    return own_case(
        "arXiv 2410.02396, authors' root script, float64", "pcb", shared, per_parent, base_of(tensors) + merged, tensors
    )


def ties_of_model(density, tensors):
    """Yadav and others 2023, algorithm 1: trim over the whole model."""
    tau = np.stack(
        [np.concatenate([(INPUTS[t]["parents"][p] - INPUTS[t]["base"]).ravel() for t in tensors]) for p in PARENTS]
    ).astype(np.float64)
    k = int(density * tau.shape[1])
    threshold = np.sort(np.abs(tau), axis=1)[:, -k][:, None]
    tau = np.where(np.abs(tau) >= threshold, tau, 0)
    sign = np.where(tau.sum(0) >= 0, 1, -1)
    agrees = np.sign(tau) == sign
    merged = (tau * agrees).sum(0) / np.maximum(agrees.sum(0), 1)
    shared = {"trim": "model", "lambda": 1.0, "normalize": True}
    per_parent = {p: {"weight": 1.0, "density": density} for p in PARENTS}
    return own_case("arXiv 2306.01708, float64", "ties", shared, per_parent, base_of(tensors) + merged, tensors)


def breadcrumbs_of_rows(density, gamma, weight, tensors):
    """Davari and Belilovsky 2023: both tails of each row of the last axis."""
    vector = []
    for t in tensors:
        base = INPUTS[t]["base"].reshape(-1, SHAPES[t][-1])
        merged = np.zeros(base.shape)
        n = base.shape[1]
        for p in PARENTS:
            tau = (INPUTS[t]["parents"][p].reshape(base.shape) - base).astype(np.float64)
            order = np.argsort(-np.abs(tau), axis=1)
            kept = order[:, int(gamma * n) : int(gamma * n) + int(density * n)]
            mask = np.zeros(base.shape)
            np.put_along_axis(mask, kept, 1, 1)
            merged += weight * mask * tau
        vector.append((base + merged).ravel())
    shared = {"mask": "row"}
    per_parent = {p: {"weight": weight, "density": density, "gamma": gamma} for p in PARENTS}
    return own_case("arXiv 2312.06795, float64", "breadcrumbs", shared, per_parent, np.concatenate(vector), tensors)


def each(**parameters):
    return {p: dict(parameters) for p in PARENTS}


def graded(**extra):
    return {p: {"weight": w, "density": d, **extra} for p, w, d in zip(PARENTS, [0.7, 0.3, -0.2], [0.2, 0.55, 1.0])}


ALL = list(SHAPES)
CASES = [
    case("linear", {}, {"alpha": {"weight": 0.2}, "beta": {"weight": 0.5}, "gamma": {"weight": 1.3}}, with_base=False),
    case("linear", {"normalize": False}, each(weight=0.4), with_base=False),
    case("task_arithmetic", {}, each(weight=0.3)),
    case("task_arithmetic", {"normalize": True, "lambda": 1.7}, graded()),
    case("ties", {}, each(weight=1.0, density=0.2), ALL),
    case("ties", {"normalize": False, "lambda": 0.3}, each(weight=1.0, density=0.5)),
    case("ties", {"rescale": True, "int8_mask": True}, graded()),
    case("ties", {"lambda": 2.0}, each(weight=0.5)),
    case("dare_linear", {"seed": SEED}, each(weight=0.4, density=0.1), ALL),
    case("dare_linear", {"seed": SEED, "rescale": False, "normalize": True}, graded()),
    case("dare_ties", {"seed": SEED}, each(weight=0.6, density=0.5)),
    case("dare_ties", {"seed": 7, "lambda": 0.8, "normalize": True}, graded()),
    case("breadcrumbs", {}, each(weight=0.3, density=0.9)),
    case("breadcrumbs", {"lambda": 0.4}, graded(gamma=0.1)),
    case("breadcrumbs", {"rescale": True}, each(weight=0.5, density=0.6, gamma=0.7)),
    case("breadcrumbs_ties", {}, each(weight=0.8, density=0.3, gamma=0.05), ALL),
    case("breadcrumbs_ties", {"normalize": True}, graded(gamma=0.02)),
    *[case("slerp", {"t": t}, {"beta": {}}) for t in (0.0, 0.25, 0.8, 1.0)],
    case("slerp", {"t": 0.5}, {"gamma": {}}),
    fisher({"normalize": True, "floor": 1e-6}, {"alpha": 1.0, "beta": 1.0, "gamma": 1.0}, SMALL),
    fisher({"normalize": False, "floor": 1e-5}, {"alpha": 0.2, "beta": 0.5, "gamma": 0.3}, SMALL),
    pcb(0.1, {"alpha": 1.0, "beta": 1.0, "gamma": 1.0}, ALL),
    pcb(0.35, {"alpha": 1.2, "beta": 0.8, "gamma": 1.0}, SMALL),
    ties_of_model(0.2, SMALL),
    breadcrumbs_of_rows(0.4, 0.1, 0.3, SMALL),
]

golden = {
    "inputs": {
        name: {
            "dims": list(SHAPES[name]),
            "base": encoded(entry["base"]),
            "parents": {p: encoded(entry["parents"][p]) for p in PARENTS},
            "information": {p: encoded(entry["information"][p]) for p in PARENTS},
        }
        for name, entry in INPUTS.items()
    },
    "cases": CASES,
}
Path(__file__).with_name("merges.json").write_text(json.dumps(golden, indent=1) + "\n")
