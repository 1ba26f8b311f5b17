"""The Hugging Face hub: files and revisions of a model, downloads, and heads of files without a download."""

import re
from collections.abc import Generator, Iterable, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from huggingface_hub import (
    HfApi,
    constants,
    get_cached_repo_tree,
    hf_hub_url,
    scan_cache_dir,
    snapshot_download,
    try_to_load_from_cache,
)
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
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status, validate_repo_id

from softh.errors import InputError
from softh.format import and_more
from softh.locks import lock

_TIMEOUT = 20.0
"""Seconds that the hub may stay silent while a head is read."""
_PATIENCE = 5.0
"""Seconds that a search may take: somebody is typing."""
_LOGIN = "log in with `hf auth login` or set HF_TOKEN"
_UNREACHABLE = (
    "Cannot reach the Hugging Face hub, and there is no local folder {model}: check the network, or name a folder."
)
# The first exception type that matches decides: the most specific come first.
_SENTENCES: tuple[tuple[type[Exception], str], ...] = (
    (GatedRepoError, "{model} is gated and this account has no access: ask for it on the model's page, then {login}."),
    (DisabledRepoError, "{model} was disabled on the hub by its owner: choose another model."),
    (
        RepositoryNotFoundError,
        "{model} is no folder here and no model of the hub: check the spelling, or {login} if private.",
    ),
    (RevisionNotFoundError, "{model} has no revision {revision}; expected a branch, tag or commit: check its page."),
    (HFValidationError, "{model} is neither a folder here nor a hub id; expected owner/name: check the spelling."),
    (LocalEntryNotFoundError, _UNREACHABLE),
    (RevisionResolutionError, _UNREACHABLE),
    (HTTPError, _UNREACHABLE),
    (ConnectionError, _UNREACHABLE),
    (OSError, "{model} could not be stored ({error}): make room, or set HF_HOME to a folder that can be written."),
)


def check_id(model: str) -> None:
    """Raise InputError for a name that no model of the hub can have, without asking the hub."""
    try:
        validate_repo_id(split_name(model)[0])
    except HFValidationError as error:
        raise InputError(_sentence(error, model[:100], "main")) from None


_FILE = re.compile(r"([\w.-]+/[\w.-]+)(?::([\w.-]+)|/((?!.*\.\.).+\.gguf))")


def split_name(model: str) -> tuple[str, str | None]:
    """Repository of a hub model, and the file or quantisation that its name asks for.

    >>> split_name("acme/tiny-GGUF:Q4_K_M"), split_name("acme/tiny-GGUF/tiny-Q8_0.gguf"), split_name("acme/tiny")
    (('acme/tiny-GGUF', 'Q4_K_M'), ('acme/tiny-GGUF', 'tiny-Q8_0.gguf'), ('acme/tiny', None))
    """
    match = _FILE.fullmatch(model)
    return (match[1], match[2] or match[3]) if match else (model, None)


def digest_of(model: str, sha: str) -> str:
    """Digest of a hub model: its commit, and after a colon the file or quantisation that the name asks for."""
    part = split_name(model)[1]
    return f"{sha}:{part}" if part else sha


def commit_of(digest: str) -> str:
    """The commit in the digest of a hub model."""
    return digest.partition(":")[0]


def search(words: str, most: int = 8) -> list[str]:
    """Ids of models of the hub whose names hold some words, those downloaded most first; at most so many.

    One request, which may take as long as :data:`_PATIENCE`. Errors: InputError where the hub does not answer.
    """
    query = {"search": words, "sort": "downloads", "direction": -1, "limit": most}
    try:
        answer = get_session().get(
            f"{HfApi().endpoint}/api/models", params=query, headers=build_hf_headers(), timeout=_PATIENCE
        )
        hf_raise_for_status(answer)
        found = answer.json()
    except (HTTPError, OSError, ValueError) as error:
        raise InputError(
            "The Hugging Face hub does not answer this server: write the id in full, such as EleutherAI/pythia-14m, "
            "or choose a folder or an upload."
        ) from error
    return [str(each["id"]) for each in found[:most] if isinstance(each, dict) and "id" in each]


def list_files(model: str, revision: str) -> tuple[str, dict[str, int]]:
    """Commit sha of a branch or tag now, and file name → bytes of that commit, of the files that the name asks for.

    Without a network, what the hub answered last. Errors: InputError.
    """
    repo, part = split_name(model)
    with _in_sentences(repo, revision):
        api = HfApi()
        sha = api.resolve_revision(repo, revision=revision).resolved
        try:
            tree = list(get_cached_repo_tree(repo, revision=sha))
        except CachedRepoTreeNotFoundError:
            tree = api.list_repo_tree(repo, revision=sha, recursive=True)
        sizes = {entry.path: entry.size for entry in tree if isinstance(entry, RepoFile)}
    return sha, _chosen(sizes, model, part) if part else sizes


def _chosen(sizes: Mapping[str, int], model: str, part: str) -> dict[str, int]:
    """The GGUF files of a repository that its name asks for. Errors: InputError when there is none."""
    files = [name for name in sizes if name.endswith(".gguf")]
    word = re.compile(rf"(?<![A-Za-z0-9]){re.escape(part)}(?![A-Za-z0-9_])", re.IGNORECASE)
    found = {name: sizes[name] for name in files if (name == part if part.endswith(".gguf") else word.search(name))}
    if not found:
        raise InputError(
            f"{model} names no GGUF file of its repository, which holds {and_more(sorted(files)) or 'none'}; "
            "expected owner/name:QUANTISATION or owner/name/FILE.gguf: name one of them."
        )
    return found


def fetch(model: str, sha: str, names: Iterable[str]) -> Path:
    """Download files of a commit that are not on this machine yet, and return their folder. Errors: InputError."""
    with _in_sentences(model, sha), _locked(shared=True):
        return Path(snapshot_download(split_name(model)[0], revision=sha, allow_patterns=sorted(names)))


def remove_commit(model: str, sha: str) -> None:
    """Delete the files of a commit from this machine, after the downloads that run now; no error if there are none.

    sha: the commit, or a digest of :func:`digest_of`.
    """
    model, sha = split_name(model)[0], commit_of(sha)
    if not Path(constants.HF_HUB_CACHE).exists():
        return
    with _locked(shared=False):
        cached = scan_cache_dir()
        if any(sha == found.commit_hash for repo in cached.repos if repo.repo_id == model for found in repo.revisions):
            cached.delete_revisions(sha).execute()


@contextmanager
def _locked(*, shared: bool) -> Generator[None]:
    """Commits of a model share files: while one is fetched none is removed, by whatever process."""
    path = Path(constants.HF_HUB_CACHE, ".locks", "softh.lock")
    with ExitStack() as held:
        with suppress(OSError):  # a folder that takes no lock is one that nobody can clear either
            path.parent.mkdir(parents=True, exist_ok=True)
            held.enter_context(lock(path, shared=shared))
        yield


class Ref(NamedTuple):
    """A branch or tag of a hub model."""

    name: str
    kind: str
    """``branch`` or ``tag``."""
    commit: str


def list_refs(model: str) -> tuple[Ref, ...]:
    """Branches, then tags of a hub model, each with its commit. Errors: InputError."""
    with _in_sentences(model, "main"):
        found = HfApi().list_repo_refs(split_name(model)[0])
    named = (("branch", found.branches), ("tag", found.tags))
    return tuple(Ref(ref.name, kind, ref.target_commit) for kind, several in named for ref in several)


def list_revisions(model: str) -> list[str]:
    """Names of all branches and tags of a hub model, in alphabetical order. Errors: InputError."""
    return sorted({ref.name for ref in list_refs(model)})


def read_head(model: str, sha: str, name: str, count: int) -> bytes:
    """The first `count` bytes of a file of a commit, from this machine if it is here, else by one range request.

    Not more, whatever the server sends. Errors: InputError.
    """
    repo = split_name(model)[0]
    here = try_to_load_from_cache(repo, name, revision=sha)
    if isinstance(here, str):
        with Path(here).open("rb") as file:
            return file.read(count)
    headers = {**build_hf_headers(), "Range": f"bytes=0-{count - 1}", "Accept-Encoding": "identity"}
    url = hf_hub_url(repo, name, revision=sha)
    content = bytearray()
    with (
        _in_sentences(model, sha),
        get_session().stream("GET", url, headers=headers, timeout=_TIMEOUT) as answer,
    ):
        hf_raise_for_status(answer)
        for piece in answer.iter_bytes():
            content += piece
            if len(content) >= count:
                break
    return bytes(content[:count])


class HubFiles:
    """The files of a commit of a hub model, of which only heads are fetched."""

    def __init__(self, model: str, sha: str, sizes: Mapping[str, int]) -> None:
        self.source, self.sha, self.sizes = model, sha, sizes

    def head(self, name: str, count: int) -> bytes:
        """The first `count` bytes of a file, by one range request unless it is on this machine. Errors: InputError."""
        return read_head(self.source, self.sha, name, count)


def not_downloaded(model: str, sha: str, names: Iterable[str]) -> set[str]:
    """Those of the files of a commit that are not on this machine."""
    repo = split_name(model)[0]
    return {name for name in names if not isinstance(try_to_load_from_cache(repo, name, revision=sha), str)}


@contextmanager
def _in_sentences(model: str, revision: str) -> Generator[None]:
    try:
        yield
    except (HTTPError, OSError, HFValidationError, RevisionResolutionError) as error:
        raise InputError(_sentence(error, model, revision)) from error


def _sentence(error: Exception, model: str, revision: str) -> str:
    template = next(text for kind, text in _SENTENCES if isinstance(error, kind))
    if isinstance(error, HfHubHTTPError) and template is _UNREACHABLE:
        if error.response.status_code in {401, 403}:
            template = "The hub refused access to {model} (status {status}): {login}."
        else:
            template = "The hub answered with status {status} for {model}: try again later, or name a folder."
        return template.format(model=repr(model), status=error.response.status_code, login=_LOGIN)
    return template.format(model=repr(model), revision=repr(revision), error=error, login=_LOGIN)
