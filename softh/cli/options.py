"""Options that several commands share, and options made from the fields of a specification."""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from softh import settings
from softh.errors import InputError
from softh.spec import Spec, choices_of, option_name, stored_name, types_of

TEXT, ESTIMATOR, MACHINE, OUTPUT = "Text", "Estimator", "Machine", "Tables and output"
"""Boxes of options in --help."""
Data = Annotated[
    Path | None, typer.Option(help="Folder of the tables; by default that of SOFTH_DATA.", rich_help_panel=OUTPUT)
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON for machines, and nothing else, on stdout.", rich_help_panel=OUTPUT)
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, or one GPU such as cuda:1.", rich_help_panel=MACHINE)]
Layers = Annotated[bool, typer.Option("--layers", help="Show every layer at every order, too.", rich_help_panel=OUTPUT)]
Queue = Annotated[bool, typer.Option("--queue", help="Queue it for a worker instead.")]


def folder(data: Path | None) -> Path:
    """The data folder of a command: of its option ``--data``, else that of the settings."""
    return data or settings.data()


def with_options_of(spec: type[Spec]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command an option for every field of a specification, in place of its first parameter ``spec``.

    Typer reads the options of a command from its signature, so the signature is written here: the fields' options,
    then the command's own. The command is called with the specification that the options describe. A renamed field
    has its former name as a hidden option.
    """
    parameters = [parameter for field in dataclasses.fields(spec) for parameter in _parameters(spec, field)]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        first, *own = inspect.signature(command, eval_str=True).parameters.values()
        assert first.name == "spec"

        @functools.wraps(command)
        def run(**values: Any) -> None:
            given = {parameter.name: values.pop(parameter.name) for parameter in parameters}
            command(_spec(spec, given), **values)

        keyword_only = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
        run.__signature__ = inspect.Signature([*parameters, *keyword_only])  # ty: ignore[missing-attribute]
        return run

    return decorate


def _parameters(spec: type[Spec], field: dataclasses.Field[Any]) -> Iterator[inspect.Parameter]:
    """The argument or options of a field: none where it has one value, a hidden one more for a former name."""
    kind, choices = types_of(spec)[field.name], choices_of(types_of(spec)[field.name])
    if len(choices) == 1:
        return
    if field.name == "model":
        yield _parameter(field.name, str, typer.Argument(metavar="MODEL", help=field.metadata["help"]), field.default)
        return
    default = field.default
    if choices or kind == tuple[int, ...]:
        kind = str
    if isinstance(default, tuple):
        default = ",".join(map(str, default))
    option = f"--{option_name(field.name)}"
    metavar = f"[{'|'.join(choices)}]" if choices else None
    shown = typer.Option(option, help=field.metadata["help"], metavar=metavar, rich_help_panel=_panel(field.name))
    yield _parameter(field.name, kind, shown, default)
    former = stored_name(field)
    if former != field.name:
        yield _parameter(former, kind | None, typer.Option(f"--{option_name(former)}", hidden=True), None)


def _panel(name: str) -> str | None:
    """The box that the option of a field stands in; None for the first."""
    if name in ("corpus", "documents", "context", "orders", "labels", "pairs", "limit"):
        return TEXT
    return {"dtype": MACHINE, "revision": None}.get(name, ESTIMATOR)


def _parameter(name: str, kind: Any, option: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        annotation=Annotated[kind, option],
        default=inspect.Parameter.empty if default is dataclasses.MISSING else default,
    )


def _spec(spec: type[Spec], given: dict[str, Any]) -> Spec:
    """The specification that the values of a command's options describe. Errors: InputError."""
    for field in dataclasses.fields(spec):
        former = stored_name(field)
        if former != field.name and (value := given.pop(former)) is not None:
            if given[field.name] != field.default:
                raise InputError(
                    f"--{option_name(former)} is the former name of --{option_name(field.name)}: give the latter alone."
                )
            given[field.name] = value
    if isinstance(orders := given.get("orders"), str):
        given["orders"] = numbers(orders)
    return spec.from_options(given)


def numbers(text: str) -> tuple[int, ...]:
    """Orders between commas. Errors: InputError."""
    try:
        return tuple(int(number) for number in text.split(","))
    except ValueError:
        raise InputError(f"orders was {text!r}; expected whole numbers between commas: try --orders 1,2,3,4.") from None
