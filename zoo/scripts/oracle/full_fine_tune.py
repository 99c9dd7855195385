"""Full fine-tune of the base by PyTorch on every set, which the zoo's classifiers are compared with. Run once; not needed by tests.

    node zoo/scripts/oracle/write-problems.mjs --data DIR --out /tmp/problems
    python3 zoo/scripts/oracle/full_fine_tune.py /tmp/problems docs/results/data/pytorch-full-fine-tune.json [threads] [epochs]

Same base, rows, start of the head, batch and schedule as `--method full`; what it gives goes into the file after each set, and
sets that are there are left alone. The best validation of a run is what is judged on the test rows.
"""

import json
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).parents[3] / "libs/training/golden"))
from pytorch_golden import load, logits_of  # noqa: E402

POOL = 24


def batches(ids, settings, generator):
    order = torch.randperm(len(ids), generator=generator).tolist() if generator else list(range(len(ids)))
    size = settings["rowsPerBatch"]
    pool = size * POOL if generator else len(ids)
    made = []
    for start in range(0, len(order), pool):
        batch, longest = [], 0
        for row in sorted(order[start : start + pool], key=lambda row: len(ids[row])):
            longest = max(longest, len(ids[row]))
            if batch and (len(batch) >= size or longest * (len(batch) + 1) > settings["tokensPerBatch"]):
                made.append(batch)
                batch, longest = [], len(ids[row])
            batch.append(row)
        made.append(batch)
    if not generator:
        return made
    return [made[at] for at in torch.randperm(len(made), generator=generator).tolist()]


@torch.no_grad()
def measure(parameters, config, part, settings):
    right, nats = 0, 0.0
    for rows in batches(part["ids"], settings, None):
        logits = logits_of(parameters, config, [part["ids"][row] for row in rows], torch.float32)
        wanted = torch.tensor([part["classes"][row] for row in rows])
        right += (logits.argmax(-1) == wanted).sum().item()
        nats += F.cross_entropy(logits, wanted, reduction="sum").item()
    return {"accuracy": right / len(part["ids"]), "logLoss": nats / len(part["ids"]), "n": len(part["ids"])}


def groups(parameters, settings):
    for name, value in parameters.items():
        is_head = name.startswith("head.")
        is_vector = name.endswith(".bias") or "LayerNorm" in name
        rate = settings["headRate"] if is_head else settings["rate"]
        yield {"params": [value], "lr": rate, "weight_decay": 0 if is_vector else settings["decay"]}


def fine_tune(folder, name, epochs):
    problem, parameters = load(folder, name, torch.float32)
    settings, config, parts = problem["settings"], problem["config"], problem["parts"]
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    optimiser = torch.optim.AdamW(list(groups(parameters, settings)), fused=True)
    per_epoch = len(batches(parts["train"]["ids"], settings, torch.Generator().manual_seed(1)))
    total = per_epoch * epochs
    warm = max(1, round(total * settings["warmUpShare"]))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / (warm + 1), max(0.0, 1 - (step - warm) / max(1, total - warm)))
    )
    best = {"validation": measure(parameters, config, parts["validation"], settings), "step": 0}
    best["weights"] = {key: value.detach().clone() for key, value in parameters.items()}
    step, started = 0, time.perf_counter()
    for _ in range(epochs):
        for rows in batches(parts["train"]["ids"], settings, generator):
            optimiser.zero_grad()
            logits = logits_of(parameters, config, [parts["train"]["ids"][row] for row in rows], torch.float32)
            F.cross_entropy(logits, torch.tensor([parts["train"]["classes"][row] for row in rows])).backward()
            torch.nn.utils.clip_grad_norm_(parameters.values(), settings["clipNorm"])
            optimiser.step()
            schedule.step()
            step += 1
            if step % max(1, per_epoch // settings["validationsPerEpoch"]) == 0 or step == total:
                found = measure(parameters, config, parts["validation"], settings)
                score = lambda of: (of["accuracy"], -of["logLoss"])
                if score(found) > score(best["validation"]):
                    best = {"validation": found, "step": step}
                    best["weights"] = {key: value.detach().clone() for key, value in parameters.items()}
                print(f"{name} step {step}: {found['accuracy']:.4f}, {found['logLoss']:.4f} nats", flush=True)
    return {
        "epochs": epochs,
        "steps": step,
        "bestStep": best["step"],
        "seconds": round(time.perf_counter() - started),
        "torch": torch.__version__,
        "validation": best["validation"],
        "test": measure(best["weights"], config, parts["test"], settings),
    }


def main():
    folder, target = Path(sys.argv[1]), Path(sys.argv[2])
    torch.set_num_threads(int(sys.argv[3]) if len(sys.argv) > 3 else 2)
    results = json.loads(target.read_text()) if target.exists() else {}
    for path in sorted(folder.glob("*.json"), key=lambda path: path.with_suffix(".json").stat().st_size):
        name = path.stem
        if name in results:
            continue
        epochs = int(sys.argv[4]) if len(sys.argv) > 4 else json.loads(path.read_text())["settings"]["epochs"]
        results[name] = fine_tune(folder, name, epochs)
        print(name, json.dumps(results[name]), flush=True)
        target.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
