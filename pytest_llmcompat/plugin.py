"""The pytest plugin: hooks and fixtures, and nothing else; each delegates.

pytest imports this module in every run of its users' environments, so it imports nothing but pytest. The
hooks of `RunHooks` are registered only when a run of the suite was asked for.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmcompat.options import add_options, hide_typed_key, is_asked_for, sends

if TYPE_CHECKING:
    import warnings

    import openai

    from pytest_llmcompat.ending import Ended
    from pytest_llmcompat.reference import Reference
    from pytest_llmcompat.run import Run
    from pytest_llmcompat.target import Target

_NOT_ASKED_FOR = "needs --llm-endpoint"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options `--llm-…`."""
    add_options(parser)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Hide a key on the command line before anybody writes that down."""
    hide_typed_key(early_config)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """`--llm-list` prints the contracts and ends; nothing is sent."""
    if not config.option.llm_list:
        return None
    from pytest_llmcompat.reporting.listing import print_contracts

    print_contracts()
    return 0


def pytest_configure(config: pytest.Config) -> None:
    """Begin a run: check the options, start the reference, find out the targets, and ask for the suite."""
    config.addinivalue_line("markers", "llmcompat: a contract of an OpenAI-compatible endpoint")
    if not is_asked_for(config):
        return
    from pytest_llmcompat import collection
    from pytest_llmcompat.beginning import begin

    hooks = RunHooks(begin(config))
    config.pluginmanager.register(hooks, "llmcompat-run")
    config.pluginmanager.register(collection.probe_fixtures(hooks.run), "llmcompat-probes")
    collection.ask_for_suite(config)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark contracts, for `-m llmcompat`, and skip them when no endpoint is given."""
    on_trial = config.pluginmanager.has_plugin("llmcompat-run")
    for item in items:
        if hasattr(getattr(item, "function", None), "__llmcompat_contract__"):
            item.add_marker("llmcompat")
            if not on_trial:
                item.add_marker(pytest.mark.skip(reason=_NOT_ASKED_FOR))


class RunHooks:
    """The hooks of a run on an endpoint."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.ended: Ended | None = None

    def pytest_unconfigure(self) -> None:
        """Close connections, stop the reference."""
        self.run.close()

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker of pytest-xdist what is on trial."""
        node.workerinput["llmcompat"] = self.run.handover()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collect_file(
        self, file_path: Path, parent: pytest.Collector
    ) -> Generator[None, Sequence[pytest.Collector], Sequence[pytest.Collector]]:
        """Collect the modules of the bundled suite by contract, whatever the user's name patterns say."""
        from pytest_llmcompat.collection import collected

        return collected(file_path, parent, (yield))

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run what reads a target once for each target."""
        from pytest_llmcompat.collection import parametrize

        parametrize(metafunc, self.run)

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Leave out the contracts that read nothing of the chosen suites, or of the recordings."""
        from pytest_llmcompat.collection import deselect, name_by_contract

        name_by_contract(items)
        deselect(config, self.run, items)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Send the probes that the chosen contracts read, many at a time, before the first is judged."""
        broken = session.testsfailed and not session.config.option.continue_on_collection_errors
        if sends(session.config) and not broken:
            from pytest_llmcompat.collection import probes_to_send
            from pytest_llmcompat.reporting.progress import progress_line

            probes = probes_to_send(session.items, self.run)
            with progress_line(session.config, self.run, probes):
                self.run.send(probes)
        return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool | None:
        """Judge a contract and turn its verdict into an outcome of pytest."""
        from pytest_llmcompat.judging import judge_item

        return judge_item(pyfuncitem, self.run)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Complete pytest's report by the result; it travels from workers to the main process."""
        from pytest_llmcompat.judging import complete_report

        report = yield
        complete_report(item, call, report, self.run)
        return report

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Modules of the user's may show a key when they cannot be loaded."""
        from pytest_llmcompat.cleaning import clean_report

        report = yield
        clean_report(report, self.run.secrets)
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_warning_recorded(self, warning_message: warnings.WarningMessage) -> None:
        """Warnings may quote the endpoint."""
        from pytest_llmcompat.cleaning import clean_warning

        clean_warning(warning_message, self.run.secrets)

    @pytest.hookimpl(tryfirst=True)
    def pytest_internalerror(self, excrepr: Any) -> None:
        """Errors in hooks and plugins may show a key."""
        from pytest_llmcompat.cleaning import clean_error

        clean_error(excrepr, self.run.secrets)

    @pytest.hookimpl(tryfirst=True)
    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """With `--full-trace` an interrupt shows the arguments of every function that it came through."""
        from pytest_llmcompat.cleaning import clean_interrupt

        clean_interrupt(excinfo, self.run.secrets)

    def pytest_report_teststatus(self, report: Any) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
        """Warnings, and failures that are accepted, are categories of their own."""
        from pytest_llmcompat.judging import category_of

        return category_of(report)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect the results, from whichever process they come."""
        if (result := getattr(report, "llmcompat", None)) is not None:
            self.run.judged[report.nodeid] = result

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Conclude the run in the main process: write the reports, and fail for what is no single contract's fault."""
        from pytest_llmcompat.ending import end

        self.ended = end(session, self.run)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """A worker of pytest-xdist has ended; one that was killed says nothing."""
        self.run.unwritten += getattr(node, "workeroutput", {}).get("llmcompat", [])

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """A table of verdicts for each target, what it comes to, and what the run cost; the like for GitHub."""
        from pytest_llmcompat.reporting.github import tell_github
        from pytest_llmcompat.reporting.terminal import print_summary

        if self.ended is None:
            return
        print_summary(terminalreporter, self.run, self.ended.conclusion)
        for command in tell_github(self.ended.document, os.environ):
            terminalreporter.write_line(command)


@pytest.fixture(scope="session")
def llm_target(request: pytest.FixtureRequest) -> Target:
    """What is on trial: endpoint, model and key. Tests that ask for it run once for each target."""
    if not hasattr(request, "param"):
        pytest.skip(_NOT_ASKED_FOR)
    target: Target = request.param
    return target


@pytest.fixture
def llm_client(request: pytest.FixtureRequest, llm_target: Target) -> Iterator[openai.OpenAI]:
    """An `openai.OpenAI` pointed at the target; skipped under `--llm-replay`, for it would send."""
    from pytest_llmcompat.clients import client_of

    _skip_when_replaying(request)
    with client_of(llm_target) as client:
        yield client


@pytest.fixture
def llm_async_client(request: pytest.FixtureRequest, llm_target: Target) -> openai.AsyncOpenAI:
    """An `openai.AsyncOpenAI` pointed at the target; skipped under `--llm-replay`, for it would send."""
    from pytest_llmcompat.clients import async_client_of

    _skip_when_replaying(request)
    return async_client_of(llm_target)


def _skip_when_replaying(request: pytest.FixtureRequest) -> None:
    hooks: Any = request.config.pluginmanager.get_plugin("llmcompat-run")
    if hooks.run.settings.replay:
        pytest.skip(f"{request.fixturename} would send, and --llm-replay forbids it")


@pytest.fixture(scope="session")
def llm_reference() -> Iterator[Reference]:
    """The embedded reference server, healthy, for tests of your own; works without `--llm-endpoint`."""
    from pytest_llmcompat.reference import serve

    with serve() as reference:
        yield reference
