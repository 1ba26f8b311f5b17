"""Tiny random models of several architectures, each with the kind of tokenizer it wants."""

from collections.abc import Callable
from pathlib import Path

import torch
from tokenizers.processors import TemplateProcessing
from transformers import (
    AutoModel,
    BertConfig,
    CohereConfig,
    Gemma3TextConfig,
    GPT2Config,
    MambaConfig,
    Olmo2Config,
    PretrainedConfig,
    PreTrainedTokenizerFast,
)

from tests import tiny

VOCABULARY = 304
"""Rows of the embedding: 300 of the text and a few special ones."""
_SHAPE = {
    "vocab_size": VOCABULARY, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2,
    "num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 128,
    "bos_token_id": None, "eos_token_id": None, "pad_token_id": None,
}  # fmt: skip


def bos_tokenizer() -> PreTrainedTokenizerFast:
    """Puts <bos> before every text."""
    made = tiny.tokenizer()
    made.add_special_tokens({"bos_token": "<bos>"})
    single = TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", made.bos_token_id)])
    made.backend_tokenizer.post_processor = single
    return made


def bert_tokenizer() -> PreTrainedTokenizerFast:
    """Puts [CLS] before and [SEP] after every text."""
    made = tiny.tokenizer()
    made.add_special_tokens({"cls_token": "[CLS]", "sep_token": "[SEP]"})
    pieces = [("[CLS]", made.cls_token_id), ("[SEP]", made.sep_token_id)]
    made.backend_tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=pieces)
    return made


def _llama() -> PretrainedConfig:
    return tiny.llama(vocab_size=VOCABULARY)


def _gpt2() -> PretrainedConfig:
    return GPT2Config(vocab_size=VOCABULARY, n_embd=16, n_layer=2, n_head=2, n_positions=128,
                      bos_token_id=None, eos_token_id=None)  # fmt: skip


def _mamba() -> PretrainedConfig:
    return MambaConfig(vocab_size=VOCABULARY, hidden_size=16, num_hidden_layers=2, state_size=4,
                       bos_token_id=None, eos_token_id=None, pad_token_id=None)  # fmt: skip


CAUSAL: dict[str, Callable[[], PretrainedConfig]] = {
    "llama": _llama,
    "gpt2": _gpt2,  # embedding and head tied, learned positions
    "gemma3": lambda: Gemma3TextConfig(**_SHAPE, head_dim=8, sliding_window=8),
    "olmo2": lambda: Olmo2Config(**_SHAPE),
    "cohere": lambda: CohereConfig(**_SHAPE),  # scales its logits
    "mamba": _mamba,
}


def save(folder: Path, kind: str) -> Path:
    """A random model of this kind as safetensors, with its tokenizer."""
    if kind != "bert":
        tiny.save_model(folder, CAUSAL[kind]())
        (bos_tokenizer() if kind == "gemma3" else tiny.tokenizer()).save_pretrained(folder)
        return folder
    with torch.random.fork_rng():
        torch.manual_seed(0)
        shape = {name: value for name, value in _SHAPE.items() if name != "num_key_value_heads"}
        AutoModel.from_config(BertConfig(**{**shape, "pad_token_id": 0})).save_pretrained(folder)
    bert_tokenizer().save_pretrained(folder)
    return folder
