"""The Hugging Face hub: which files a model has, and those asked for on this machine."""

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import HfApi, get_cached_repo_tree, snapshot_download
from huggingface_hub.errors import (
    CachedRepoTreeNotFoundError,
    DisabledRepoError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
    RevisionResolutionError,
)

from softh.errors import InputError

_LOGIN = "log in with `hf auth login` or set HF_TOKEN"
_AWAY = "{model} is no folder here and the hub cannot be reached: check the network, or name a folder."
# The first kind that fits speaks: the most particular stand first.
_SENTENCES: tuple[tuple[type[Exception], str], ...] = (
    (GatedRepoError, "{model} is gated and this account has no access: ask for it on the model's page, then {login}."),
    (DisabledRepoError, "{model} was disabled on the hub by its owner: choose another model."),
    (
        RepositoryNotFoundError,
        "{model} is no folder here and no model of the hub: check the spelling, or {login} if private.",
    ),
    (RevisionNotFoundError, "{model} has no revision {revision}; expected a branch, tag or commit: check its page."),
    (HFValidationError, "{model} is no folder here and no hub id; expected owner/name: check the spelling."),
    (LocalEntryNotFoundError, _AWAY),
    (RevisionResolutionError, _AWAY),
    (HTTPError, _AWAY),
    (ConnectionError, _AWAY),
    (OSError, "{model} could not be stored ({error}): make room, or set HF_HOME to a folder that can be written."),
)


def listing(model: str, revision: str) -> tuple[str, set[str]]:
    """Commit sha that the revision stands for now, and the names of all files of that commit.

    Without a network, the answer of the last time. Errors: InputError.
    """
    with _in_sentences(model, revision):
        api = HfApi()
        sha = api.resolve_revision(model, revision=revision).resolved
        try:
            return sha, {file.path for file in get_cached_repo_tree(model, revision=sha)}
        except CachedRepoTreeNotFoundError:
            return sha, set(api.list_repo_files(model, revision=sha))


def fetch(model: str, sha: str, names: Iterable[str]) -> Path:
    """Folder that holds these files of the commit, downloaded where they are not here yet. Errors: InputError."""
    with _in_sentences(model, sha):
        return Path(snapshot_download(model, revision=sha, allow_patterns=sorted(names)))


@contextmanager
def _in_sentences(model: str, revision: str) -> Generator[None]:
    try:
        yield
    except (HTTPError, OSError, HFValidationError, RevisionResolutionError) as error:
        raise InputError(_sentence(error, model, revision)) from error


def _sentence(error: Exception, model: str, revision: str) -> str:
    template = next(text for kind, text in _SENTENCES if isinstance(error, kind))
    if isinstance(error, HfHubHTTPError) and template is _AWAY:
        if error.response.status_code in {401, 403}:
            template = "The hub refused access to {model} (status {status}): {login}."
        else:
            template = "The hub answered with status {status} for {model}: try again later, or name a folder."
        return template.format(model=repr(model), status=error.response.status_code, login=_LOGIN)
    return template.format(model=repr(model), revision=repr(revision), error=error, login=_LOGIN)
