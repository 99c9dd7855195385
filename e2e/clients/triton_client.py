"""tritonclient's gRPC clients, plain and asyncio, unchanged. Prints what they got as one JSON document."""

import asyncio
import json
import os

import numpy
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from tritonclient.utils import InferenceServerException

ADDRESS = os.environ["MESH_GRPC"]
HEADERS = {"authorization": "Bearer " + os.environ["MESH_KEY"]}


def texts(module, *prompts):
    tensor = module.InferInput("text", [len(prompts)], "BYTES")
    tensor.set_data_from_numpy(numpy.array([p.encode() for p in prompts], dtype=numpy.object_))
    return [tensor]


def strings(result, name):
    return [value.decode() for value in result.as_numpy(name)]


def plain():
    client = triton.InferenceServerClient(ADDRESS)
    routed = client.infer("auto", texts(triton, "Add this song to my workout playlist"), headers=HEADERS)
    named = client.infer("snips7", texts(triton, "Book a table for two"), model_version="2", headers=HEADERS)
    try:
        client.infer("nobody", texts(triton, "hello"), headers=HEADERS)
        refused = None
    except InferenceServerException as fault:
        refused = {"status": fault.status(), "message": fault.message()}
    return {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "modelReady": client.is_model_ready("snips7"),
        "metadata": client.get_model_metadata("snips7", headers=HEADERS).name,
        "expert": strings(routed, "expert"),
        "label": strings(routed, "label"),
        "score": [float(value) for value in routed.as_numpy("score")],
        "named": named.get_response().model_name,
        "namedVersion": named.get_response().model_version,
        "refused": refused,
    }


async def with_asyncio():
    async with triton_aio.InferenceServerClient(ADDRESS) as client:
        prompts = ["Add this song to my workout playlist", "Book a table for two"]
        results = await asyncio.gather(
            *(client.infer("auto", texts(triton_aio, prompt), headers=HEADERS) for prompt in prompts * 4)
        )
        batch = await client.infer("snips7", texts(triton_aio, *prompts), headers=HEADERS)
        return {
            "ready": await client.is_server_ready(),
            "experts": [strings(result, "expert")[0] for result in results],
            "outputs": {output.name: list(output.shape) for output in batch.get_response().outputs},
        }


print(json.dumps({"plain": plain(), "asyncio": asyncio.run(with_asyncio())}))
