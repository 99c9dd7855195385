"""The official openai package, unchanged but for the base URL. Prints what it got as one JSON document."""

import json
import os

import openai

client = openai.OpenAI(base_url=os.environ["MESH_HTTP"] + "/v1", api_key=os.environ["MESH_KEY"], max_retries=0)
messages = [{"role": "user", "content": os.environ["SAMPLE"]}]

whole = client.chat.completions.with_raw_response.create(model="auto", messages=messages)
answer = whole.parse()
stream = client.chat.completions.create(
    model="mixtral-8x7b", messages=messages, stream=True, stream_options={"include_usage": True}
)
chunks = list(stream)
cheap = client.chat.completions.create(
    model="auto:cost=0.5", messages=messages, extra_body={"thalamus": {"decision": True}}
)
completion = client.completions.create(model="mixtral-8x7b", prompt=os.environ["SAMPLE"])
embedding = client.embeddings.create(model="minilm-l6", input=["hello", "world"])


def refused(call):
    try:
        call()
    except openai.APIStatusError as fault:
        return {"type": type(fault).__name__, "status": fault.status_code, "code": fault.code}
    return None


print(
    json.dumps(
        {
            "text": answer.choices[0].message.content,
            "expert": whole.headers["x-thalamus-expert"],
            "usage": answer.usage.completion_tokens,
            "streamed": "".join(c.choices[0].delta.content or "" for c in chunks if c.choices),
            "streamedUsage": chunks[-1].usage.completion_tokens,
            "chunks": len(chunks),
            "cheap": cheap.model_extra["thalamus"]["expert"],
            "completion": completion.choices[0].text,
            "dimensions": [len(item.embedding) for item in embedding.data],
            "models": [model.id for model in client.models.list()],
            "unknownModel": refused(lambda: client.chat.completions.create(model="nobody", messages=messages)),
            "wrongKey": refused(lambda: client.with_options(api_key="tk_wrong").models.list()),
        }
    )
)
