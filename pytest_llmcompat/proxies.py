"""Which requests may go by a proxy of the environment: one that is asked in clear sees the key."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from pytest_llmcompat.redaction import secrets_of
from pytest_llmcompat.target import Target

__all__ = ["direct", "passes_over_proxy", "proxy_fault"]

_LOOPBACK: Final = ("all://localhost", "all://127.0.0.1", "all://[::1]")
_CLEAR: Final = "http://"


def direct(target: Target) -> dict[str, None]:
    """What is asked without a proxy, as httpx takes it for `mounts`: servers on this machine, and http with a key.

    By https a proxy gets the host's name and passes on what it cannot read (RFC 9110 section 9.3.6).
    """
    return dict.fromkeys((*_LOOPBACK, _CLEAR) if secrets_of(target) else _LOOPBACK)


def passes_over_proxy(target: Target) -> bool:
    """True when the environment names a proxy for a target, and it is not asked because it would see the key."""
    host = urlsplit(target.endpoint).hostname or ""
    named = any(name in getproxies() for name in ("http", "all")) and not proxy_bypass(host)
    loopback = any(pattern.endswith((f"/{host}", f"[{host}]")) for pattern in _LOOPBACK)
    return named and not loopback and target.endpoint.startswith(_CLEAR) and _CLEAR in direct(target)


def proxy_fault() -> str | None:
    """Why the proxies that the environment names cannot be used; None when they can, or when there are none."""
    if not any(name in getproxies() for name in ("http", "https", "all")):
        return None
    import httpx

    try:
        httpx.Client(verify=False).close()
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        return (
            f"the environment names a proxy that cannot be used ({error}); set HTTP_PROXY, HTTPS_PROXY and ALL_PROXY "
            "right, or unset them"
        )
    return None
