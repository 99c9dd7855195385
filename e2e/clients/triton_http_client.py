"""tritonclient's HTTP clients, plain and asyncio, unchanged. Prints what they got as one JSON document."""

import asyncio
import json
import os

import numpy
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from tritonclient.utils import InferenceServerException

GATEWAY = os.environ["MESH_HTTP"].removeprefix("http://")
HOST = os.environ["MESH_HOST_HTTP"]
SONG = "Add this song to my workout playlist"
TABLE = "Book a table for two"


def key():
    # New each time: the client adds the headers of its body to those that it is given.
    return {"authorization": "Bearer " + os.environ["MESH_KEY"]}


def texts(module, *prompts, binary_data=True):
    tensor = module.InferInput("text", [len(prompts)], "BYTES")
    tensor.set_data_from_numpy(numpy.array(prompts, dtype=numpy.object_), binary_data=binary_data)
    return [tensor]


def strings(result, name):
    values = result.as_numpy(name).reshape(-1)
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]


def refused(call):
    try:
        call()
    except InferenceServerException as fault:
        return {"status": fault.status(), "message": fault.message()}
    return None


def door():
    client = triton.InferenceServerClient(GATEWAY)
    routed = client.infer("auto", texts(triton, SONG), headers=key(), request_id="mine")
    as_json = client.infer(
        "auto",
        texts(triton, SONG, binary_data=False),
        outputs=[triton.InferRequestedOutput(name, binary_data=False) for name in ("label", "score", "expert")],
        headers=key(),
    )
    named = client.infer("snips7", texts(triton, TABLE), model_version="2", headers=key())
    packed = client.infer(
        "snips7",
        texts(triton, *[TABLE] * 40),
        headers=key(),
        request_compression_algorithm="gzip",
        response_compression_algorithm="deflate",
    )
    later = client.async_infer("snips7", texts(triton, TABLE), headers=key())
    return {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "modelReady": client.is_model_ready("snips7", headers=key()),
        "metadata": client.get_model_metadata("snips7", headers=key())["name"],
        "index": [entry["name"] for entry in client.get_model_repository_index(headers=key())],
        "id": routed.get_response()["id"],
        "expert": strings(routed, "expert"),
        "label": strings(routed, "label"),
        "score": [float(value) for value in routed.as_numpy("score")],
        "jsonLabel": strings(as_json, "label"),
        "jsonScore": [float(value) for value in as_json.as_numpy("score")],
        "named": [named.get_response()["model_name"], named.get_response()["model_version"]],
        "packed": len(strings(packed, "label")),
        "later": strings(later.get_result(), "label"),
        "refused": refused(lambda: client.infer("nobody", texts(triton, "hello"), headers=key())),
        "wrongKey": refused(
            lambda: client.infer("snips7", texts(triton, "hello"), headers={"authorization": "Bearer thk_wrong"})
        ),
        "late": refused(lambda: client.infer("snips7", texts(triton, "hello"), headers=key(), timeout=1)),
    }


def host():
    client = triton.InferenceServerClient(HOST, network_timeout=60.0)
    classes = client.infer(
        "snips7", texts(triton, TABLE), outputs=[triton.InferRequestedOutput("scores", class_count=2)]
    )
    config = client.get_model_config("snips7")
    statistics = client.get_inference_statistics("snips7", "2")["model_stats"]
    client.unload_model("snips7")
    gone = client.is_model_ready("snips7")
    client.load_model("snips7")
    return {
        "live": client.is_server_live(),
        "server": client.get_server_metadata()["extensions"],
        "classes": strings(classes, "scores"),
        "config": [config["name"], config["input"][0]["data_type"], config["max_batch_size"]],
        "inferences": [entry["inference_count"] for entry in statistics],
        "readyWhileUnloaded": gone,
        "readyAgain": client.is_model_ready("snips7"),
    }


async def with_asyncio():
    async with triton_aio.InferenceServerClient(GATEWAY) as client:
        results = await asyncio.gather(
            *(client.infer("auto", texts(triton_aio, prompt), headers=key()) for prompt in (SONG, TABLE) * 4)
        )
        batch = await client.infer("snips7", texts(triton_aio, *[SONG, TABLE] * 20), headers=key())
        return {
            "ready": await client.is_server_ready(),
            "experts": [strings(result, "expert")[0] for result in results],
            "outputs": {output["name"]: output["shape"] for output in batch.get_response()["outputs"]},
        }


print(json.dumps({"door": door(), "host": host(), "asyncio": asyncio.run(with_asyncio())}))
