"""One turn of bench:merge by mergekit: python mergekit_merge.py FOLDER. Its own kernels, fed tensor by tensor as its planner does."""

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np
import torch
from mergekit.merge_methods import registry
from mergekit.merge_methods.base import ParameterScope, PerInputValues, TensorGroup

folder = Path(sys.argv[1])
imported = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
started = time.perf_counter()
problem = json.loads((folder / "problem.json").read_text())
torch.set_num_threads(problem["threads"])
method = registry.get(problem["method"])
given = {"weight": 1.0, "density": problem["density"]}
parents = problem["parents"]
parameters = {
    parameter.name: PerInputValues([(p, given.get(parameter.name, parameter.default)) for p in parents])
    for parameter in method.spec.parameters
    if parameter.scope != ParameterScope.SHARED
}
merge_seconds = merge_cpu_seconds = 0.0
at = 0
with torch.no_grad(), open(folder / "merged-mergekit.bin", "wb") as output:
    for tensor in problem["tensors"]:
        length = int(np.prod(tensor["dims"]))
        tensors = [
            torch.from_numpy(
                np.fromfile(folder / f"{name}.bin", dtype="<f4", count=length, offset=at)
            ).reshape(tensor["dims"])
            for name in ["base", *parents]
        ]
        group = TensorGroup.from_tensors(tensors, ids=["base", *parents], base_index=0, name=tensor["name"])
        merge_at, cpu_at = time.perf_counter(), time.process_time()
        (merged,) = method([group], parameters=parameters)
        merge_seconds += time.perf_counter() - merge_at
        merge_cpu_seconds += time.process_time() - cpu_at
        output.write(merged.numpy().tobytes())
        at += 4 * length
usage = resource.getrusage(resource.RUSAGE_SELF)
print(
    json.dumps(
        {
            "seconds": time.perf_counter() - started,
            "mergeSeconds": merge_seconds,
            "peakBytes": usage.ru_maxrss * 1024,
            "importedBytes": imported,
            "mergeCpuSeconds": merge_cpu_seconds,
            "torch": torch.__version__,
        }
    )
)
