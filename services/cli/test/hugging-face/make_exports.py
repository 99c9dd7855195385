"""Makes the folders beside this file: tiny random models exported with Optimum, as `optimum-cli export onnx` writes them.

Made once, with optimum-onnx 0.1.0, transformers 4.57.6, onnx 1.23.2 and torch 2.15: python make_exports.py

Each folder has expected.json: what transformers answers to a text in PyTorch.
"""

import json
import pathlib
import shutil
import sys
import tempfile

import torch
from optimum.exporters.onnx import main_export
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForSequenceClassification,
)

HERE = pathlib.Path(__file__).parent
TEXT = "the card is lost"
WORDS = ["the", "card", "is", "lost", "law", "court", "hello", "world", "my"]
KEPT = ["config.json", "tokenizer.json", "tokenizer_config.json", "model.onnx"]


def tokenizer(special, limit):
    """A word tokenizer whose ids begin with the special tokens, in their order; given by their role."""
    vocabulary = {token: index for index, token in enumerate([*special.values(), *WORDS])}
    pad, unknown, first, last, mask = (special[role] for role in ("pad", "unknown", "first", "last", "mask"))
    made = Tokenizer(models.WordLevel(vocabulary, unk_token=unknown))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}", special_tokens=[(first, vocabulary[first]), (last, vocabulary[last])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        pad_token=pad,
        unk_token=unknown,
        cls_token=first,
        sep_token=last,
        mask_token=mask,
        model_max_length=limit,
    )


def export(name, model, words, task):
    model.eval()
    out = HERE / name
    with tempfile.TemporaryDirectory() as saved, tempfile.TemporaryDirectory() as exported:
        model.save_pretrained(saved)
        words.save_pretrained(saved)
        main_export(saved, exported, task=task, do_validation=False)
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        for file in KEPT:
            shutil.copy(pathlib.Path(exported) / file, out / file)
        print(name, sorted(path.name for path in pathlib.Path(exported).iterdir()))
    text = TEXT.replace("lost", words.mask_token) if task == "fill-mask" else TEXT
    encoded = words(text, return_tensors="pt")
    encoded.pop("token_type_ids", None)
    with torch.no_grad():
        logits = model(**encoded).logits[0]
    expected = {"text": text, "inputIds": encoded["input_ids"][0].tolist(), "logits": logits.tolist()}
    (out / "expected.json").write_text(json.dumps(expected) + "\n")


def main():
    torch.manual_seed(7)
    bert = dict(pad="[PAD]", unknown="[UNK]", first="[CLS]", last="[SEP]", mask="[MASK]")
    sizes = dict(
        vocab_size=len(bert) + len(WORDS),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        initializer_range=0.5,
    )
    labels = {0: "lost_card", 1: "law", 2: "greeting"}
    named = dict(id2label=labels, label2id={label: row for row, label in labels.items()})
    config = BertConfig(**sizes, max_position_embeddings=32, **named)
    export("bert-classifier", BertForSequenceClassification(config), tokenizer(bert, 24), "text-classification")
    masked = BertConfig(**sizes, max_position_embeddings=32)
    export("bert-masked", BertForMaskedLM(masked), tokenizer(bert, 32), "fill-mask")
    # RoBERTa pads with 1 and counts positions from 2, so that a table of 34 is for texts of 32.
    roberta = dict(first="<s>", pad="<pad>", last="</s>", unknown="<unk>", mask="<mask>")
    multi = RobertaConfig(
        **sizes,
        max_position_embeddings=34,
        problem_type="multi_label_classification",
        **named,
    )
    export("roberta-multi-label", RobertaForSequenceClassification(multi), tokenizer(roberta, 10**30), "text-classification")


if __name__ == "__main__":
    sys.exit(main())
