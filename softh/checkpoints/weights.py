"""What a weights format is: how its files are recognised, what their headers say, how transformers loads them."""

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from softh.checkpoints.config import Shape
from softh.checkpoints.files import CheckpointFiles, LocalFiles


class WeightsHeader(ABC):
    """What the headers of all weight files of a checkpoint say, once they have been checked."""

    label: str
    """The column `weights` of the tables: ``safetensors``, ``dequantised GGUF Q4_1`` …"""
    variant: str | None = None
    """Appended in brackets to the model's name, ``dequantised Q4_1``; None where the files are the model itself."""
    parameters: int
    """Numbers in the files."""
    dtype: str
    """Number format of most weights: ``float32``, ``Q4_1`` …"""
    bytes: int
    """Bytes of all weight files."""

    @abstractmethod
    def shape(self) -> Shape:
        """Architecture and sizes. Errors: InputError for a config that gives none."""


class Translation(NamedTuple):
    """A checkpoint whose architecture transformers does not know, as one that it knows and that computes the same."""

    config: dict[str, Any]
    """Settings, with their ``model_type`` and the name of the class in ``architectures``."""
    tensors: dict[str, Any]
    """All weights by name, as torch tensors."""


class WeightsFormat(ABC):
    """A file format of weights. Instances hold no state: two of one class are equal, also after pickling."""

    name: ClassVar[str]
    """For people: ``safetensors``, ``GGUF``."""
    suffix: ClassVar[str]
    """Ending of the names of its files."""
    self_contained: ClassVar[bool]
    """Whether one file holds weights, config and tokenizer, so that its path alone names a checkpoint."""
    upload_names: ClassVar[re.Pattern[str] | None] = None
    """Names of the weight files of an upload; None when uploads of the format are refused."""
    always_causal: ClassVar[bool] = False
    """Whether every model in the format predicts the next token, whatever its config says."""
    use_safetensors: ClassVar[bool | None] = None
    """The argument of that name of transformers' ``from_pretrained``."""

    @abstractmethod
    def select(self, names: set[str], source: str) -> tuple[str, ...]:
        """The weight files to use among the file names of a folder; empty when it holds none of this format.

        Errors: InputError when it is ambiguous which to use.
        """

    @abstractmethod
    def read_header(self, files: CheckpointFiles, names: Sequence[str]) -> WeightsHeader:
        """Check the header of every selected file, reading only the first bytes.

        Errors: InputError for a file that is truncated or damaged, and for files that do not belong together.
        """

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))

    def load_arguments(self, names: Sequence[str]) -> dict[str, Any]:
        """Arguments of ``from_pretrained`` of config, model and tokenizer, besides the folder."""
        return {}

    def model_arguments(self, files: CheckpointFiles, names: Sequence[str]) -> dict[str, Any]:
        """Arguments of ``from_pretrained`` of the model alone."""
        return {}

    def translate(self, files: LocalFiles, names: Sequence[str]) -> Translation | None:
        """What transformers is given in the place of the files; None where it reads them itself. Errors: InputError."""
        return None

    def adapt(self, config: Any, folder: Path, names: Sequence[str]) -> str:
        """Set in a config of transformers what the files say and transformers leaves out.

        Returns what was set, for the names of cached hidden states; empty when nothing was.
        """
        return ""

    def check_loaded(self, parameters: int, files: CheckpointFiles, names: Sequence[str]) -> None:
        """Check that transformers used every tensor. parameters: numbers of the model. Errors: InputError."""
        return


class WeightFiles(NamedTuple):
    """The weight files of a folder that are used, and their format."""

    format: WeightsFormat
    names: tuple[str, ...]
