"""Hub: a repository at a revision, downloaded by huggingface_hub with its own cache, login and offline switch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import Unavailable, UsageError
from .checkpoint import PICKLED, SAFE, read_config, refuse_own_code

if TYPE_CHECKING:
    from ..settings import Settings
    from ..source import Source

#: What a text model needs beside its weights.
SMALL_FILES = ["*.json", "*.model", "*.txt", "*.jinja", "*.py"]


def download(source: Source, settings: Settings) -> tuple[Path, str]:
    """The folder of a repository's files, and the commit they are of."""
    from huggingface_hub import errors, hf_hub_download, snapshot_download

    weights = [f"*{SAFE}"]
    if source.text in settings.allow_pickle:
        weights += [f"*{ending}" for ending in PICKLED]
    try:
        # The configuration first: what is refused is not fetched.
        config = hf_hub_download(source.place, "config.json", revision=source.revision)
        refuse_own_code(read_config(Path(config), source), source, settings)
        folder = snapshot_download(
            source.place,
            revision=source.revision,
            allow_patterns=SMALL_FILES + weights,
            # Sub-folders hold other forms of the same weights (onnx/, original/), as does Mistral's consolidated file.
            ignore_patterns=["*/*", "consolidated*"],
        )
    except errors.RevisionNotFoundError:
        raise UsageError(f"model {source.text!r}: the repository has no revision {source.revision!r}") from None
    except (errors.RepositoryNotFoundError, errors.HFValidationError) as error:
        raise UsageError(
            f"model {source.text!r}: no such repository, or it is private: check the name, or log in with "
            f"`hf auth login` ({type(error).__name__})"
        ) from error
    except errors.EntryNotFoundError as error:
        if isinstance(error, errors.LocalEntryNotFoundError):
            raise _unreachable(source, error) from error
        raise UsageError(
            f"model {source.text!r}: the repository has no config.json: not a transformers model"
        ) from None
    except (errors.OfflineModeIsEnabled, errors.HTTPError, OSError) as error:
        raise _unreachable(source, error) from error
    return Path(folder), Path(folder).name  # snapshots/<commit>


def _unreachable(source: Source, error: Exception) -> Unavailable:
    why = str(error).splitlines()[0] if str(error) else type(error).__name__
    return Unavailable(
        f"model {source.text!r} is not in the local cache and the hub cannot be reached ({why}): fetch it where "
        f"there is a network (hf download {source.place}), unset HF_HUB_OFFLINE, or use a folder, package: or random:"
    )
