"""Architectures of the installed transformers, read from its source files: importing it would import torch."""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_CLASS = re.compile(r"^class (\w+)\(([\w., ]*)\)", re.MULTILINE)
_MULTIMODAL = "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES"
_BASE, _ROPE = "configuration_utils.py", "modeling_rope_utils.py"


@dataclass(frozen=True)
class Architecture:
    """The config of an architecture, from its source files."""

    model_type: str
    """As config.json names it."""
    aliases: Mapping[str, str]
    """Usual name of a setting → its name in this architecture."""
    defaults: Mapping[str, Any]
    """Default values of settings, where they are literals."""
    fields: frozenset[str]
    """Names of all settings of the config, also of those whose default is computed."""
    identifiers: frozenset[str]
    """Every identifier in the files of the architecture and in those that all configs share, without what only the
    library itself sets: a setting that is not among them cannot change the model."""

    def get(self, config: Mapping[str, Any], name: str) -> Any:
        """Value of a setting by its usual name: that of the config, else the default, else None."""
        own = self.aliases.get(name, name)
        # Some configs give the usual name, some the architecture's own.
        return config.get(name, config.get(own, self.defaults.get(own, self.defaults.get(name))))


@cache
def model_types() -> frozenset[str]:
    """Every ``model_type`` that loads without code that comes with the model.

    >>> "llama" in model_types()
    True
    """
    return frozenset(_configs())


@cache
def causal_classes() -> frozenset[str]:
    """Names of the classes that predict the next token."""
    return frozenset(_classes("MODEL_FOR_CAUSAL_LM_MAPPING_NAMES"))


@cache
def language_model_types() -> frozenset[str]:
    """Every ``model_type`` of models that read text: decoders, masked encoders, and decoders that read images too."""
    tables = ("MODEL_FOR_CAUSAL_LM_MAPPING_NAMES", "MODEL_FOR_MASKED_LM_MAPPING_NAMES", _MULTIMODAL)
    return frozenset(kind for table in tables for kind in _table(table))


@cache
def multimodal_classes() -> frozenset[str]:
    """Names of the classes of models that read text and images, with their head and without."""
    kinds = _table(_MULTIMODAL)
    return frozenset({*_classes(_MULTIMODAL), *(str(name) for kind, name in _table("MODEL_MAPPING_NAMES").items() if
                                               kind in kinds)})  # fmt: skip


@cache
def tokenizer_classes() -> frozenset[str]:
    """Names of the tokenizer classes of transformers."""
    return frozenset(re.findall(r"\w*Tokenizer\w*", _text("models/auto/tokenization_auto.py")))


def is_causal(config: Mapping[str, Any]) -> bool:
    """Whether a config names a class that predicts the next token.

    >>> is_causal({"architectures": ["LlamaForCausalLM"]}), is_causal({"architectures": ["BertModel"]})
    (True, False)
    """
    names = config.get("architectures")
    return isinstance(names, list) and any(isinstance(name, str) and name in causal_classes() for name in names)


@cache
def read_architecture(model_type: str) -> Architecture:
    """The architecture of a ``model_type``; KeyError for one that is not in :func:`model_types`.

    >>> read_architecture("gpt2").get({"n_embd": 768}, "hidden_size")
    768
    """
    files = _class_files(_configs()[model_type])
    aliases: dict[str, str] = {}
    names: set[str] = set()
    defaults: dict[str, Any] = {}
    for name, path in reversed(files):  # the class itself has the last word
        names.update(_field_names(path, name))
        for field, value in _fields(path, name):
            aliases.update(value) if field == "attribute_map" else defaults.update({field: value})
    sources = {path for _, path in files} | {code for _, path in files for code in path.parent.glob("modeling_*.py")}
    text = [path.read_text(encoding="utf-8") for path in sources] + [_text(_BASE), _text(_ROPE)]
    owners = [*files, ("PreTrainedConfig", _folder() / _BASE)]
    internal = {name for owner, path in owners for name in _internal_names(path, owner)}
    identifiers = frozenset({*re.findall(r"\w+", "\n".join(text))} - internal)
    return Architecture(model_type, aliases, defaults, frozenset(names), identifiers)


def source(file: str) -> str:
    """Text of a file of the installed transformers, by its path in the package. Errors: FileNotFoundError."""
    return _text(file)


@cache
def literal(file: str, name: str) -> dict[str, Any]:
    """A dictionary that a file of the installed transformers writes out. Errors: LookupError."""
    for node in ast.parse(_text(file)).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == name:
            return ast.literal_eval(node.value)
    raise LookupError(f"{file} of the installed transformers has no table {name}.")


def _internal_names(path: Path, name: str) -> Iterator[str]:
    """Methods of a class, and attributes that are not settings of its instances."""
    # A property may be set through a setter, or be taken from the arguments under its name.
    found = {*re.findall(r"@(\w+)\.setter|kwargs\.pop\(\s*\"(\w+)", path.read_text(encoding="utf-8"))}
    settable = {name for pair in found for name in pair}
    for node in _body(path, name):
        if isinstance(node, ast.FunctionDef):
            yield from {node.name} - settable
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield from [node.target.id] if "ClassVar" in ast.unparse(node.annotation) else []


def _class_files(name: str) -> list[tuple[str, Path]]:
    """A class and its base classes, each with its file."""
    if name not in _config_classes():
        return []
    path, bases = _config_classes()[name]
    return [(name, path), *(entry for base in bases for entry in _class_files(base))]


def _fields(path: Path, name: str) -> Iterator[tuple[str, Any]]:
    """Fields of a class whose values are literals."""
    for node in _body(path, name):
        target = node.target if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [None])[0]
        value = getattr(node, "value", None)
        if isinstance(target, ast.Name) and value is not None:
            try:
                yield target.id, ast.literal_eval(value)
            except ValueError:
                continue


def _field_names(path: Path, name: str) -> Iterator[str]:
    for node in _body(path, name):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id


def _body(path: Path, name: str) -> list[ast.stmt]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return next(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)


@cache
def _config_classes() -> dict[str, tuple[Path, tuple[str, ...]]]:
    """Config class → its file and its base classes."""
    return {
        name: (path, tuple(base.strip() for base in bases.split(",")))
        for path in sorted((_folder() / "models").rglob("configuration_*.py"))
        for name, bases in _CLASS.findall(path.read_text(encoding="utf-8"))
    }


@cache
def _configs() -> dict[str, str]:
    """``model_type`` → name of its config class: the generated table, and what the library adds to it elsewhere."""
    added = (
        ast.literal_eval(node)
        for node in ast.walk(ast.parse(_text("models/auto/configuration_auto.py")))
        if isinstance(node, ast.Dict) and node.keys and all(isinstance(part, ast.Constant) for part in node.values)
    )
    table = dict(_assigned("models/auto/auto_mappings.py", "CONFIG_MAPPING_NAMES"))
    for names in added:
        table.update({kind: name for kind, name in names.items() if str(name).endswith("Config")})
    return table


def _table(name: str) -> dict[str, Any]:
    return _assigned("models/auto/modeling_auto.py", name)


def _classes(name: str) -> Iterator[str]:
    for classes in _table(name).values():
        yield from (classes,) if isinstance(classes, str) else classes


@cache
def _assigned(file: str, name: str) -> dict[str, Any]:
    """An OrderedDict that a file of the library writes out."""
    for node in ast.parse(_text(file)).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == name:
            assert isinstance(node.value, ast.Call)
            return dict(ast.literal_eval(node.value.args[0]))
    raise LookupError(f"{file} of the installed transformers has no table {name}.")


def _text(file: str) -> str:
    return (_folder() / file).read_text(encoding="utf-8")


@cache
def _folder() -> Path:
    spec = find_spec("transformers")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("transformers is not installed")
    return Path(spec.submodule_search_locations[0])
