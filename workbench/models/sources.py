"""Finding a model's folder: on this disk, in the hub's cache, or on the hub."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path, PureWindowsPath
from typing import Any

from workbench.known_models import known_policy

Report = Callable[[str, float], None]
"""Called with what is being done and the share done; may raise to cancel."""

_POINTER = b"version https://git-lfs"
_FILES = ["*.json", "*.safetensors", "*.bin", "*.model", "*.txt", "*.jinja"]
_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
_HUB_FILE = re.compile(r"([\w.-]+/[\w.-]+)/([\w./-]+\.gguf)", re.IGNORECASE)


class LoadError(Exception):
    """A model cannot be loaded. The message is one plain sentence; ``labels`` are set when the
    person must say which of several outputs is the score; ``package`` names one that carries the
    model and is not installed."""

    def __init__(
        self, sentence: str, *, labels: tuple[str, ...] = (), package: str = ""
    ) -> None:
        super().__init__(sentence)
        self.labels, self.package = labels, package
        self.part = 0
        """Which part of a reward it was, where there are several."""


def silent(text: str, share: float) -> None:
    """Serve as a report that nobody reads."""


def find_policy(source: str, report: Report) -> Path:
    """Return a policy's folder, or its GGUF file where it is kept in one.

    ``source`` is what :func:`find_folder` takes, a GGUF file, a folder with one, or the hub name
    of one (``owner/name/file.gguf``).

    Raises:
        LoadError: as :func:`find_folder`, or a folder holds several files to choose from.
    """
    path = Path(source.strip()).expanduser()
    if path.is_dir() and not (path / "config.json").exists():
        files = sorted(path.glob("*.gguf"))
        if len(files) > 1:
            raise LoadError(
                f"The folder {path} holds {len(files)} GGUF files ({files[0].name}, ...); choose "
                "one of them.")
        if files:
            return files[0]
    if path.is_file():
        if _begins(path, b"GGUF"):
            return path
        if is_pointer(path):
            raise LoadError(
                f"{path} is a pointer of git-lfs in place of the file; run `git lfs pull` in its "
                "folder, or download the file again.")
        raise LoadError(
            f"{path} is a file; choose the folder that holds the model, or a GGUF file.")
    if path.suffix.lower() != ".gguf":
        return find_folder(source, report)
    on_hub = _HUB_FILE.fullmatch(source.strip())
    if on_hub is None or _is_path(source.strip()):
        raise LoadError(f"There is no file {path}{_within(path)}; check its name.")
    name, wanted = on_hub.groups()
    file = _download(name, report, [wanted]) / wanted
    if not file.is_file():
        raise LoadError(f"{name} holds no file {wanted} on the hub; check its name.")
    return file


def find_folder(source: str, report: Report) -> Path:
    """Return the local folder of ``source``, a folder or a hub name, downloading if need be.

    Raises:
        LoadError: there is no such folder or hub name, it holds no model, or no network.
    """
    source = source.strip()
    if not source:
        raise LoadError("No model was named; choose a folder or type a hub name.")
    path = Path(source).expanduser()
    if path.is_dir():
        return _checked(path)
    if path.is_file():
        raise LoadError(f"{path} is a file; choose the folder that holds the model.")
    if _is_path(source):
        raise LoadError(f"There is no folder {path}{_within(path)}; check its name.")
    return _checked(_download(source, report, _FILES))


def check_on_disk(source: str, *, policy: bool) -> None:
    """Look at a source on this disk before anything is loaded; a hub name is left for later.

    Raises:
        LoadError: as :func:`find_policy` or :func:`find_folder`.
    """
    path = Path(source.strip()).expanduser()
    if not source.strip() or _is_path(source.strip()) or path.exists():
        (find_policy if policy else find_folder)(source, lambda _text, _share: None)


def _is_path(source: str) -> bool:
    """Whether a source can only be a path: no name on the hub, or within a folder that is here."""
    path = Path(source).expanduser()
    return (not (_HUB_NAME.fullmatch(source) or _HUB_FILE.fullmatch(source))
            or path.is_absolute() or source.startswith(".")
            or (path.parent.is_dir() and path.parent != Path() and not _is_kept(source)))


def _within(path: Path) -> str:
    """Say where a path that begins nowhere was looked for."""
    absolute = path.is_absolute() or PureWindowsPath(path).is_absolute()
    return "" if absolute else f" in {Path.cwd()}"


def _is_kept(source: str) -> bool:
    """Whether the hub's cache has a model of that name."""
    from huggingface_hub import constants

    owner_and_name = "--".join(source.split("/")[:2])
    return (Path(constants.HF_HUB_CACHE) / f"models--{owner_and_name}").is_dir()


def is_pointer(path: Path) -> bool:
    """Whether a file only says where git-lfs keeps it."""
    return _begins(path, _POINTER)


def _begins(path: Path, with_bytes: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(with_bytes)) == with_bytes
    except OSError:
        return False


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter, which is nothing without its base."""
    return (folder / "adapter_config.json").is_file() and any(folder.glob("adapter_model.*"))


def _checked(folder: Path) -> Path:
    if is_adapter(folder):
        return folder
    if not (folder / "config.json").is_file():
        raise LoadError(
            f"The folder {folder} holds no model: config.json is missing; choose the folder "
            "that a model was saved to.")
    if not any(folder.glob("*.safetensors")) and not any(folder.glob("*.bin")):
        raise LoadError(
            f"The folder {folder} has no weights (model.safetensors); save or download the model "
            "again.")
    return folder


def _download(name: str, report: Report, files: list[str]) -> Path:
    # Imported here: it takes a second or more, and what lies on this disk does without it.
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
    )

    try:
        kept = Path(snapshot_download(name, allow_patterns=files, local_files_only=True))
        # The cache may hold other files of it.
        if any(any(kept.glob(pattern)) for pattern in files):
            return kept
    except LocalEntryNotFoundError:
        pass
    except HFValidationError:
        raise LoadError(f"There is no folder {name}, and it is no name on the hub.") from None
    if constants.is_offline_mode():
        raise LoadError(
            f"There is no folder {name}, and it is not in the hub's cache here while offline "
            "mode is on; switch offline mode off (HF_HUB_OFFLINE) or choose a folder.",
            package=_package(name))
    try:
        return Path(snapshot_download(
            name, allow_patterns=files, tqdm_class=_progress_class(name, report)))
    except GatedRepoError as error:
        raise LoadError(
            f"{name} asks for permission on the hub; accept its terms there and log in with "
            "`hf auth login`.") from error
    except RepositoryNotFoundError as error:
        raise LoadError(
            f"There is no folder {name}, and no model of that name on the hub (or it is "
            "private); check the name.") from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
        raise LoadError(
            f"There is no folder {name}, and the hub cannot be reached; check the network or "
            "choose a folder.", package=_package(name)) from error


def _package(name: str) -> str:
    """Return the package that carries a model, where that is not installed."""
    known = known_policy(name)
    return known.package if known and known.file() is None else ""


def _progress_class(name: str, report: Report) -> Any:
    """Make a tqdm that shows nothing and reports downloaded bytes; ``report`` may cancel."""
    from tqdm.auto import tqdm

    class Progress(tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs.pop("name", None)
            super().__init__(*args, **kwargs, disable=False, gui=True)

        def display(self, *args: Any, **kwargs: Any) -> None:
            return None

        def update(self, n: float | None = 1) -> bool | None:
            result = super().update(n)
            if self.unit == "B" and self.total:
                report(f"Downloading {name}", min(1.0, self.n / self.total))
            return result

        def refresh(self, *args: Any, **kwargs: Any) -> None:
            return None

    return Progress
