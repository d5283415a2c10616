"""Where cassettes lie: a folder an endpoint, a folder a model, a file a probe."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from pytest_llmcompat.cassette.recording import CassetteError
from pytest_llmcompat.foreign import leads_out
from pytest_llmcompat.target import Target

__all__ = ["check_inside", "path_of"]

_LONGEST_SLUG: Final = 80
_DEVICES: Final = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)")


def path_of(folder: Path, target: Target, probe_id: str) -> Path:
    """Where the cassette of a probe lies: folder/ENDPOINT/MODEL/PROBE.yaml; no two targets share one.

    Raises CassetteError when a symbolic link would lead out of the folder.
    """
    parts = urlsplit(target.place or target.endpoint)
    place = parts.netloc.rpartition("@")[2].lower()
    port = "80" if parts.scheme == "http" else "443"
    place = f"{place}:{port}" if port == "80" and not re.search(r":\d+$", place) else place
    place = place.removesuffix(":443")
    endpoint = _slug(f"{place}{parts.path.rstrip('/')}", {"/": "_", ":": "+"})
    path = folder / endpoint / _slug(target.model) / f"{_slug(probe_id)}.yaml"
    check_inside(folder, path)
    return path


def check_inside(folder: Path, path: Path) -> None:
    """Raise CassetteError when a symbolic link leads from below a folder out of it."""
    if leads_out(folder, path):
        raise CassetteError(path, f"a symbolic link leads out of {folder}", "remove the link")


def _slug(text: str, names: Mapping[str, str] | None = None) -> str:
    """A safe file name; what is not in the text word for word gets a hash, so that no two texts share a name.

    names: characters that always become another one, which itself then counts as a change.
    """
    names = names or {}
    kept = "".join(names.get(c, c) if c not in names.values() else "-" for c in text.lower())
    kept = re.sub(r"[^a-z0-9._+-]+", "-", kept)
    safe = kept.strip("-. ")[:_LONGEST_SLUG].rstrip("-. ") or "x"
    safe = f"x-{safe}" if _DEVICES.match(safe) else safe
    back = {new: old for old, new in names.items()}
    if "".join(back.get(c, c) for c in safe) == text:
        return safe
    return f"{safe}~{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
