"""Writes the PEFT folders beside this script: random LoRA over BERT encoders of the pico encoder's sizes, saved by PEFT.

Made once, with peft 0.21.2, transformers 4.57.6 and torch 2.15: python make_peft_folders.py FOLDER
delta.json holds what PEFT itself adds to the weights: the first row of the change of one layer.
"""

import json
import os
import sys

import torch
from peft import LoraConfig, get_peft_model
from transformers import BertConfig, BertForSequenceClassification, BertModel

SIZES = {
    "vocab_size": 100,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 32,
    "num_labels": 3,
}
LAYER = "encoder.layer.1.intermediate.dense"


def save(folder, model, **more):
    torch.manual_seed(7)
    targets = ["query", "value", "intermediate.dense"]
    peft = get_peft_model(model, LoraConfig(r=4, lora_alpha=6, target_modules=targets, **more))
    for parameter in peft.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.3)
    peft.save_pretrained(folder)
    os.remove(os.path.join(folder, "README.md"))
    name = os.path.join(folder, "adapter_config.json")
    with open(name) as file:
        config = json.load(file)
    config["target_modules"] = sorted(config["target_modules"])  # a set: its order changes from run to run
    with open(name, "w") as file:
        json.dump(config, file, indent=2, sort_keys=True)
        file.write("\n")
    layer = next(module for key, module in peft.named_modules() if key.endswith(LAYER))
    row = layer.get_delta_weight("default")[0]
    with open(os.path.join(folder, "delta.json"), "w") as file:
        json.dump({"layer": LAYER, "row": row.tolist()}, file, indent=2)
        file.write("\n")


out = sys.argv[1]
save(os.path.join(out, "classifier"), BertForSequenceClassification(BertConfig(**SIZES)), task_type="SEQ_CLS")
save(
    os.path.join(out, "rank-stabilised"),
    BertModel(BertConfig(**SIZES)),
    task_type="FEATURE_EXTRACTION",
    use_rslora=True,
)
