"""tritonclient against one expert host: gRPC plain, with callbacks, streamed and with asyncio; HTTP plain, in threads and with
asyncio. Prints what each got as one JSON document."""

import asyncio
import json
import os
import queue

import numpy
import tritonclient.grpc as triton_grpc
import tritonclient.grpc.aio as triton_grpc_aio
import tritonclient.http as triton_http
import tritonclient.http.aio as triton_http_aio
from tritonclient.utils import InferenceServerException

GRPC = os.environ["MESH_HOST_GRPC"]
HTTP = os.environ["MESH_HOST_HTTP"]
MODEL = "snips7"
TEXTS = ["Add this song to my workout playlist", "Book a table for two", "Will it rain tomorrow in Rome"]


def texts(module, *prompts):
    tensor = module.InferInput("text", [len(prompts)], "BYTES")
    tensor.set_data_from_numpy(numpy.array([prompt.encode() for prompt in prompts], dtype=numpy.object_))
    return [tensor]


def answer(result):
    labels = [value.decode() for value in result.as_numpy("label").reshape(-1)]
    return {"labels": labels, "scores": [round(float(value), 4) for value in result.as_numpy("score")]}


def refused(call):
    try:
        call()
    except InferenceServerException as fault:
        return {"status": fault.status(), "message": fault.message()}
    return None


def grpc_plain(client):
    metadata = client.get_model_metadata(MODEL)
    statistics = client.get_inference_statistics(MODEL).model_stats
    client.unload_model(MODEL)
    away = client.is_model_ready(MODEL)
    client.load_model(MODEL)
    return {
        "answer": answer(client.infer(MODEL, texts(triton_grpc, *TEXTS))),
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "extensions": list(client.get_server_metadata().extensions),
        "inputs": [[tensor.name, tensor.datatype] for tensor in metadata.inputs],
        "config": client.get_model_config(MODEL).config.name,
        "index": [model.name for model in client.get_model_repository_index().models],
        "statistics": [entry.name for entry in statistics],
        "readyWhileUnloaded": away,
        "readyAgain": client.is_model_ready(MODEL),
        "unknown": refused(lambda: client.infer("nobody", texts(triton_grpc, "hello"))),
        "late": refused(lambda: client.infer(MODEL, texts(triton_grpc, "hello"), client_timeout=0.00001)),
    }


def grpc_callbacks(client):
    got = queue.Queue()
    client.async_infer(MODEL, texts(triton_grpc, *TEXTS), callback=lambda result, error: got.put((result, error)))
    result, error = got.get(timeout=30)
    return {"answer": answer(result), "error": error and error.message()}


def grpc_stream(client):
    got = queue.Queue()
    client.start_stream(callback=lambda result, error: got.put((result, error)))
    for index, text in enumerate(TEXTS):
        client.async_stream_infer(MODEL, texts(triton_grpc, text), request_id=str(index))
    # A failed request is a message of the stream, and the stream goes on.
    client.async_stream_infer("nobody", texts(triton_grpc, "hello"), request_id="wrong")
    client.async_stream_infer(MODEL, texts(triton_grpc, TEXTS[0]), request_id="after")
    messages = [got.get(timeout=30) for _ in range(len(TEXTS) + 2)]
    client.stop_stream()
    answers = [(result.get_response().id, answer(result)) for result, error in messages if error is None]
    return {
        "ids": [name for name, _ in answers],
        "answer": {
            "labels": [label for _, each in answers[: len(TEXTS)] for label in each["labels"]],
            "scores": [score for _, each in answers[: len(TEXTS)] for score in each["scores"]],
        },
        "faults": [error.message() for _, error in messages if error is not None],
    }


async def grpc_asyncio():
    async with triton_grpc_aio.InferenceServerClient(GRPC) as client:
        whole, *single = await asyncio.gather(
            client.infer(MODEL, texts(triton_grpc_aio, *TEXTS)),
            *(client.infer(MODEL, texts(triton_grpc_aio, text)) for text in TEXTS * 4),
        )

        async def requests():
            for text in TEXTS:
                yield {"model_name": MODEL, "inputs": texts(triton_grpc_aio, text)}

        streamed = [result async for result, error in client.stream_infer(requests()) if error is None]
        return {
            "answer": answer(whole),
            "single": [answer(result)["labels"][0] for result in single],
            "streamed": [answer(result)["labels"][0] for result in streamed],
        }


def http_plain(client):
    later = client.async_infer(MODEL, texts(triton_http, *TEXTS))
    return {
        "answer": answer(client.infer(MODEL, texts(triton_http, *TEXTS))),
        "later": answer(later.get_result()),
        "ready": client.is_model_ready(MODEL),
        "unknown": refused(lambda: client.infer("nobody", texts(triton_http, "hello"))),
    }


async def http_asyncio():
    async with triton_http_aio.InferenceServerClient(HTTP) as client:
        results = await asyncio.gather(*(client.infer(MODEL, texts(triton_http_aio, *TEXTS)) for _ in range(8)))
        return {"answer": answer(results[0]), "answered": len(results)}


with triton_grpc.InferenceServerClient(GRPC) as over_grpc:
    got = {
        "grpc": grpc_plain(over_grpc),
        "grpcCallbacks": grpc_callbacks(over_grpc),
        "grpcStream": grpc_stream(over_grpc),
    }
with triton_http.InferenceServerClient(HTTP, network_timeout=60.0) as over_http:
    got["http"] = http_plain(over_http)
got["grpcAsyncio"] = asyncio.run(grpc_asyncio())
got["httpAsyncio"] = asyncio.run(http_asyncio())
print(json.dumps(got))
