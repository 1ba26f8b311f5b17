"""What the installed transformers knows, read from its files: the same as what it says when it is imported."""

import pytest
from transformers.models.auto.configuration_auto import CONFIG_MAPPING, CONFIG_MAPPING_NAMES
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
)

from softh.checkpoints import architectures


def test_the_files_say_what_the_library_says() -> None:
    assert architectures.model_types() == set(CONFIG_MAPPING_NAMES)
    names = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values()
    assert architectures.causal_classes() == {
        name for entry in names for name in ([entry] if isinstance(entry, str) else entry)
    }
    assert architectures.language_model_types() == {
        *MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        *MODEL_FOR_MASKED_LM_MAPPING_NAMES,
        *MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
    }


@pytest.mark.parametrize("kind", ["llama", "gpt2", "mpt", "bert", "gpt_neox", "mamba", "gemma3_text", "t5"])
def test_sizes_left_out_are_those_of_the_architecture(kind: str) -> None:
    config = CONFIG_MAPPING[kind]()
    known = architectures.read_architecture(kind)
    for name in ("num_hidden_layers", "hidden_size", "vocab_size"):
        assert known.get({}, name) == getattr(config, name, None), name
    assert bool(known.get({}, "is_encoder_decoder")) == config.is_encoder_decoder


def test_a_setting_is_found_under_either_of_its_names() -> None:
    known = architectures.read_architecture("gpt2")
    assert known.get({"n_embd": 5}, "hidden_size") == known.get({"hidden_size": 5}, "hidden_size") == 5


def test_whether_a_class_predicts_the_next_token() -> None:
    assert architectures.is_causal({"architectures": ["LlamaForCausalLM"]})
    assert not architectures.is_causal({"architectures": ["BertModel"]})
    assert not architectures.is_causal({"architectures": [["LlamaForCausalLM"]]})
    assert not architectures.is_causal({})
