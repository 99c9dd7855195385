"""Gradients and a loss curve by PyTorch, which the training graphs are held against. Written once; not needed to run the tests.

    GOLDEN_PROBLEMS=/tmp/golden npx vitest run libs/training/src/graphs/pytorch-golden.spec.ts   # writes the problems
    python3 libs/training/golden/pytorch_golden.py /tmp/golden libs/training/golden             # needs torch and numpy

Fixtures: two-layer-gradients.json (float64 arithmetic) and loss-curve.json (float32, AdamW, gradients clipped at norm 1).
"""

import base64
import json
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F


def load(folder, name, dtype):
    problem = json.loads((folder / f"{name}.json").read_text())
    values = np.fromfile(folder / f"{name}.bin", dtype="<f4")
    parameters, at = {}, 0
    for row in problem["parameters"]:
        size = int(np.prod(row["shape"]))
        value = torch.tensor(values[at : at + size].reshape(row["shape"]), dtype=dtype)
        parameters[row["name"]] = value.requires_grad_()
        at += size
    return problem, parameters


def layer_norm(x, p, prefix, epsilon):
    return F.layer_norm(x, x.shape[-1:], p[f"{prefix}.weight"], p[f"{prefix}.bias"], epsilon)


def logits_of(p, config, rows, dtype):
    length = max(len(row) for row in rows)
    ids = torch.tensor([row + [0] * (length - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in rows], dtype=dtype)
    epsilon, heads, width = config["layerNormEpsilon"], config["heads"], config["hiddenSize"]
    x = p["embeddings.word_embeddings.weight"][ids] + p["embeddings.position_embeddings.weight"][:length]
    x = layer_norm(x, p, "embeddings.LayerNorm", epsilon)
    hidden_away = (1 - mask)[:, None, None, :] * -1e9
    split = lambda y: y.view(*y.shape[:2], heads, width // heads).transpose(1, 2)
    for layer in range(config["layers"]):
        at = f"encoder.layer.{layer}"
        linear = lambda name, y: y @ p[f"{at}.{name}.weight"] + p[f"{at}.{name}.bias"]
        query, key, value = (split(linear(f"attention.self.{name}", x)) for name in ("query", "key", "value"))
        scores = query @ key.transpose(2, 3) / (width // heads) ** 0.5 + hidden_away
        mixed = (scores.softmax(-1) @ value).transpose(1, 2).reshape(x.shape)
        x = layer_norm(linear("attention.output.dense", mixed) + x, p, f"{at}.attention.output.LayerNorm", epsilon)
        inner = F.gelu(linear("intermediate.dense", x))
        x = layer_norm(linear("output.dense", inner) + x, p, f"{at}.output.LayerNorm", epsilon)
    pooled = (x * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
    return F.normalize(pooled) @ p["head.weight"] + p["head.bias"]


def loss_of(p, config, batch, dtype):
    return F.cross_entropy(logits_of(p, config, batch["ids"], dtype), torch.tensor(batch["labels"]))


def gradients(source, target):
    problem, parameters = load(source, "two-layer-gradients", torch.float64)
    loss = loss_of(parameters, problem["config"], problem["batches"][0], torch.float64)
    loss.backward()
    encode = lambda g: base64.b64encode(g.numpy().astype("<f4").tobytes()).decode()
    result = {"loss": loss.item(), "gradients": {name: encode(p.grad) for name, p in parameters.items()}}
    (target / "two-layer-gradients.json").write_text(json.dumps(result, indent=1) + "\n")


def curve(source, target):
    problem, parameters = load(source, "loss-curve", torch.float32)
    optimiser = torch.optim.AdamW(parameters.values(), lr=problem["rate"], weight_decay=problem["decay"])
    losses = []
    for batch in problem["batches"]:
        optimiser.zero_grad()
        loss = loss_of(parameters, problem["config"], batch, torch.float32)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters.values(), problem["clip"])
        optimiser.step()
        losses.append(loss.item())
    (target / "loss-curve.json").write_text(json.dumps({"torch": torch.__version__, "losses": losses}, indent=1) + "\n")


if __name__ == "__main__":
    gradients(Path(sys.argv[1]), Path(sys.argv[2]))
    curve(Path(sys.argv[1]), Path(sys.argv[2]))
