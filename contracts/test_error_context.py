"""Contracts on a prompt that is longer than the model reads (opt-in: a server that takes it bills it)."""

from __future__ import annotations

from pytest_llmcompat.answer import body, decided
from pytest_llmcompat.contract import MUST, SHOULD, contract
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.probes.optional import context_listed
from pytest_llmcompat.target import Target
from pytest_llmcompat.tokens import PROMPT, counter
from pytest_llmcompat.verdict import expect, fail, inconclusive, warn_unless


@contract(
    "error.context-length-400",
    MUST,
    source="mindcraft-bots/mindcraft#814 shows OpenAI's 400; the specification is silent",
    breaks="The beginning of the conversation, instructions included, is silently lost; or clients retry a 500.",
    fix="Refuse a prompt that does not fit with 400; do not cut it.",
    catches=("long-prompt-truncated", "context-length-500"),
    cases=("ollama/ollama#4967", "ollama/ollama#17889", "kserve/kserve#3886"),
)
def test_prompt_that_is_too_long_is_refused(
    err_context: Exchange, models_list: Exchange, llm_target: Target
) -> None:
    """A prompt longer than the context is refused with 400, not cut, and is no failure of the server."""
    status = decided(err_context).status
    if not err_context.ok:
        expect(status < 500, err_context, "status", "400: the prompt is longer than the context")
        return
    size = context_listed(llm_target.model, models_list.json)
    read = counter(body(err_context), PROMPT)
    if size is None or read is None:
        inconclusive("it is not known how much the model reads, or how much it has read")
    if read >= size:
        inconclusive(f"the model reads more than the {size} tokens that the list of models says")
    fail(body(err_context), PROMPT, f"400, or more than {size} tokens read")


@contract(
    "error.context-length-code",
    SHOULD,
    source="mindcraft-bots/mindcraft#814 shows OpenAI's `context_length_exceeded`; the specification is silent",
    breaks="Programs that shorten the conversation when they see this code do not, and stop.",
    fix="Set `error.code` to `context_length_exceeded`.",
    catches=("context-length-code-other",),
    cases="vllm-project/vllm#12886",
)
def test_too_long_prompt_has_its_code(err_context: Exchange) -> None:
    """The `error.code` for a prompt that is too long is `context_length_exceeded`; all else is a warning."""
    decided(err_context)
    error = body(err_context)
    if not 400 <= err_context.status < 500 or not isinstance(error.at("/error"), dict):
        inconclusive("the prompt was not refused in the envelope (error.context-length-400 judges that)")
    code = error.at("/error/code")
    if isinstance(code, int):
        inconclusive("`error.code` is no text (error.code-string-or-null judges that)")
    warn_unless(code == "context_length_exceeded", error, "/error/code", "context_length_exceeded")
