"""Contracts on keys beyond the chat route: what a 401 asks for, and whether the list of models needs a key."""

from __future__ import annotations

from pytest_llmcompat.answer import came
from pytest_llmcompat.contract import MAY, contract
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.target import Target
from pytest_llmcompat.verdict import inconclusive, unsupported, warn_unless


@contract(
    "auth.www-authenticate",
    MAY,
    source="RFC 9110 section 11.6.1: a 401 must hold the header; what OpenAI sends is unverified",
    breaks="Generic HTTP clients and proxies cannot tell which credentials are missing.",
    fix="Send `WWW-Authenticate: Bearer` with each 401.",
    catches=("www-authenticate-missing",),
)
def test_401_names_the_scheme(auth_none: Exchange, auth_wrong: Exchange, llm_target: Target) -> None:
    """A 401 says in `WWW-Authenticate` which credentials are wanted; without it, that is a warning."""
    if llm_target.no_auth:
        unsupported("the server is declared to have no keys")
    refusals = [e for e in (auth_none, auth_wrong) if e.failure is None and e.status == 401]
    if not refusals:
        inconclusive("no request was answered 401")
    for refusal in refusals:
        named = refusal.header("www-authenticate") is not None
        warn_unless(named, refusal, "header www-authenticate", "Bearer")


@contract(
    "auth.checked-on-models",
    MAY,
    source="OpenAI's specification: the key is required of all operations",
    breaks="Set-up pages that try a key by listing the models call a wrong key good.",
    fix="Ask for the key on /models as well, unless the list is public on purpose.",
    catches=("models-without-key",),
)
def test_list_of_models_needs_the_key(
    models_noauth: Exchange, auth_none: Exchange, models_list: Exchange, llm_target: Target
) -> None:
    """GET /models needs the key, as a chat request does; a public list is a warning."""
    if llm_target.no_auth:
        unsupported("the server is declared to have no keys")
    if not models_list.ok:
        unsupported("the endpoint lists no models")
    if came(auth_none).status not in (401, 403):
        inconclusive("chat requests need no key either (auth.missing-401 judges that)")
    came(models_noauth)
    warn_unless(not models_noauth.ok, models_noauth, "status", "401, as for a chat request without a key")
