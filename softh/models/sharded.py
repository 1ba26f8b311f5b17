"""Models in the hands of a training: wrapped, compiled, with adapters, or sharded over processes (FSDP, DTensor, ZeRO).

A sharded model runs only when all processes run it together, through its outermost module. Here they all run every
batch, and the first process keeps the hidden states in host memory: what follows is its own work, in which no other
process waits.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed import is_available, is_initialized
from torch.distributed.tensor import DTensor

from softh.checkpoints.revisions import family_from_name
from softh.errors import InputError
from softh.models.forward import LOGITS, check_rows, losses_of, padded
from softh.models.hidden_states import HiddenStates
from softh.models.loading import LoadedModel, longest_context
from softh.text.corpus import TokenizedCorpus


def unwrapped(model: Any) -> Any:
    """The model inside DistributedDataParallel, DeepSpeed, torch.compile and PEFT; adapters stay part of its layers."""
    while True:
        if hasattr(model, "_orig_mod"):  # of torch.compile
            model = model._orig_mod
        elif isinstance(model, nn.parallel.DistributedDataParallel | nn.DataParallel) or hasattr(
            model, "zero_optimization"
        ):
            model = model.module
        elif hasattr(model, "get_base_model"):  # of PEFT
            model = model.get_base_model()
        else:
            return model


def is_sharded(model: nn.Module) -> bool:
    """Whether weights are spread over processes, which must then run the model together.

    >>> is_sharded(nn.Linear(2, 2))
    False
    """
    if not (is_available() and is_initialized()):
        return False
    from torch.distributed.fsdp import FullyShardedDataParallel  # loads much of torch.distributed

    return any(isinstance(weight, DTensor) or hasattr(weight, "ds_id") for weight in model.parameters()) or any(
        isinstance(part, FullyShardedDataParallel) for part in model.modules()
    )


def whole(weight: Tensor) -> Tensor:
    """A weight with all its parts, gathered by all processes together."""
    if hasattr(weight, "ds_id"):
        from deepspeed.runtime.zero import GatheredParameters  # ty: ignore[import-not-found]  (who has such weights has it)

        with GatheredParameters([weight]):
            return weight.detach().clone()
    return weight.full_tensor() if isinstance(weight, DTensor) else weight


def describe_sharded(module: Any, tokenizer: Any, name: str) -> LoadedModel:
    """Describe a sharded module in evaluation mode; all processes call it.

    Raises:
        InputError: when it gives no hidden states of one width.
    """
    device = next(module.parameters()).device
    ids = torch.arange(8, device=device)[None] % module.config.get_text_config().vocab_size
    hidden, logits = _outputs(module, ids, torch.ones_like(ids))
    if not hidden or any(states.shape != hidden[-1].shape for states in hidden):
        raise InputError(f"{name} gives no hidden states of one width; expected a language model: choose one.")
    text = module.config.get_text_config()
    return LoadedModel(
        module=module,
        tokenizer=tokenizer,
        layers=len(hidden) - 1,
        width=hidden[-1].shape[-1],
        has_head=logits is not None,
        plain_head=False,
        dtype=str(hidden[-1].dtype).removeprefix("torch."),
        attention=str(getattr(text, "_attn_implementation", None) or "none"),
        device=str(device),
        architecture=type(getattr(module, "module", module)).__name__.removeprefix("FSDP"),
        family=family_from_name(name) or module.config.model_type,
        parameters=sum(getattr(weight, "ds_numel", weight.numel()) for weight in module.parameters()),
        vocabulary=text.vocab_size,
        longest_context=longest_context(module),
    )


class GatheredStates(HiddenStates):
    """Hidden states of a sharded model, computed by all processes together and kept by the first in host memory."""

    def __init__(self, model: LoadedModel, tokenized: TokenizedCorpus, digest: str, *, keep: bool) -> None:
        """Run every batch; `keep` in the process that estimates."""
        tokens = min(4096, LOGITS[torch.device(model.device).type] // model.vocabulary)  # the logits of a batch exist
        super().__init__(model, tokenized, digest, cache=None, batch_tokens=max(1, tokens))
        self._kept: list[list[Tensor]] = []
        for documents in self.blocks:
            ids, mask, text = (part.to(model.device) for part in padded(tokenized, documents))
            hidden, logits = _outputs(model.module, ids, mask)
            if keep:
                self._kept.append([states[text].cpu() for states in hidden])
                if logits is not None:
                    self._nll[documents[0]] = (documents, losses_of(logits, ids, text).cpu())
        self.forward_passes = len(self.blocks)

    def _run(self, block: int) -> list[Tensor]:
        hidden, documents = self._kept[block], self.blocks[block]
        check_rows(hidden, documents, [len(self.tokenized.ids[document]) for document in documents])
        return hidden


@torch.no_grad()  # not inference mode: its tensors would stay in the buffers of FSDP, where a backward pass meets them
def _outputs(module: Any, ids: Tensor, mask: Tensor) -> tuple[list[Tensor], Tensor | None]:
    found = module(input_ids=ids, attention_mask=mask, output_hidden_states=True, use_cache=False)
    logits = getattr(found, "logits", None)
    return [whole(states) for states in found.hidden_states], None if logits is None else whole(logits)
