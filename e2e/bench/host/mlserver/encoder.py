"""The encoder as MLServer serves it: a custom runtime with the same graph and tokenizer."""

import numpy
import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse
from tokenizers import Tokenizer


class Encoder(MLModel):
    async def load(self) -> bool:
        extra = self.settings.parameters.extra
        self.tokenizer = Tokenizer.from_file(extra["tokenizer"])
        self.tokenizer.enable_truncation(extra["max_tokens"])
        self.tokenizer.enable_padding()
        options = onnxruntime.SessionOptions()
        if extra["threads"] > 0:
            options.intra_op_num_threads = extra["threads"]
            options.inter_op_num_threads = 1
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = onnxruntime.InferenceSession(extra["graph"], options, providers=["CPUExecutionProvider"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        texts = StringCodec.decode_input(payload.inputs[0])
        rows = self.tokenizer.encode_batch(texts)
        feeds = {
            "input_ids": numpy.array([row.ids for row in rows], dtype=numpy.int64),
            "attention_mask": numpy.array([row.attention_mask for row in rows], dtype=numpy.int64),
        }
        (embedding,) = self.session.run(["embedding"], feeds)
        return InferenceResponse(
            id=payload.id,
            model_name=self.name,
            model_version=self.version,
            outputs=[NumpyCodec.encode_output("embedding", embedding)],
        )
