"""Full training steps of the base by PyTorch: one line of JSON with the seconds taken for each number of steps read from standard input."""

import json
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[3] / "libs/training/golden"))
from pytorch_golden import load, loss_of  # noqa: E402

torch.set_num_threads(int(sys.argv[2]))
problem, parameters = load(Path(sys.argv[1]), "problem", torch.float32)
optimiser = torch.optim.AdamW(parameters.values(), lr=problem["rate"], weight_decay=problem["decay"], fused=True)
for line in sys.stdin:
    started = time.perf_counter()
    for _ in range(int(line)):
        optimiser.zero_grad()
        loss = loss_of(parameters, problem["config"], problem["batch"], torch.float32)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters.values(), problem["clip"])
        optimiser.step()
    print(json.dumps({"seconds": time.perf_counter() - started, "torch": torch.__version__}), flush=True)
