"""Tiny random models with a real tokenizer, and a little real text, made where a test wants them."""

import json
from pathlib import Path
from pydoc_data.topics import topics

import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import AutoModelForCausalLM, LlamaConfig, PretrainedConfig, PreTrainedTokenizerFast


def texts(count: int = 40, characters: int = 300) -> list[str]:
    """Different passages of real English."""
    whole = "\n".join(topics[name] for name in sorted(topics))
    return [whole[start : start + characters] for start in range(0, count * characters, characters)]


def save_text(path: Path, count: int = 40) -> Path:
    """A .jsonl file of documents."""
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts(count)))
    return path


def tokenizer(vocabulary: int = 300) -> PreTrainedTokenizerFast:
    """A byte-level BPE trained on the text."""
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(texts(), vocab_size=vocabulary, show_progress=False)
    return PreTrainedTokenizerFast(tokenizer_object=bpe._tokenizer)


def llama(**settings: float) -> LlamaConfig:
    """A configuration of two layers and 16 dimensions."""
    defaults = {
        "vocab_size": 300, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 128,
    }  # fmt: skip
    return LlamaConfig(**{**defaults, **settings})


def save_model(folder: Path, config: PretrainedConfig | None = None, seed: int = 0) -> Path:
    """A random causal model with its tokenizer, as safetensors."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        AutoModelForCausalLM.from_config(config or llama()).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder
