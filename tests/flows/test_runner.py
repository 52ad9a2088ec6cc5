"""Running a recipe from Python: where this thread has a loop already, and what an interrupt does there."""

import asyncio
import signal
import threading
from pathlib import Path

import pytest

from kasasagi.blocks.workspace.runs import Workspace
from kasasagi.flows.check.check_recipe import check_recipe
from kasasagi.flows.recipe.errors import RecipeError
from kasasagi.flows.recipe.loading import load_recipe
from kasasagi.flows.reporting.report_timeouts import Reports
from kasasagi.flows.runner import _in_own_loop, run_recipe


def test_an_invalid_recipe_fails_before_anything_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def started(*_: object) -> None:
        raise AssertionError("a server was started")

    monkeypatch.setattr("kasasagi.flows.runner.prefect_server", started)
    with pytest.raises(RecipeError, match="no recipe 'nowhere'"):
        run_recipe("nowhere")


def test_a_run_names_the_faults_that_check_names_before_anything_is_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def started(*_: object) -> None:
        raise AssertionError("a server was started")

    monkeypatch.setattr("kasasagi.flows.runner.prefect_server", started)
    monkeypatch.delenv("NO_KEY", raising=False)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "{name: a, source: {kind: dataset, path: gone.jsonl}, respond: {models: [m]}, judge: {model: m}, "
        "models: {m: {kind: openai, model: x, api_key_env: NO_KEY}}}"
    )
    with pytest.raises(RecipeError) as by_run:
        run_recipe(recipe, workspace=tmp_path / "w")
    with pytest.raises(RecipeError) as by_check:
        check_recipe(load_recipe(str(recipe)), Workspace(tmp_path / "w"), False, lambda text, style: None)
    assert str(by_run.value) == str(by_check.value)
    assert "gone.jsonl" in str(by_run.value)
    assert "NO_KEY" in str(by_run.value)


def test_a_coroutine_runs_where_a_loop_runs_already() -> None:
    async def work() -> str:
        await asyncio.sleep(0)
        return threading.current_thread().name

    async def notebook() -> str:
        return _in_own_loop(work, Reports())

    assert _in_own_loop(work, Reports()) == threading.current_thread().name
    assert asyncio.run(notebook()) == "kasasagi-run"


def test_an_interrupt_in_a_notebook_ends_the_run_cleanly() -> None:
    ended: list[str] = []
    begun = threading.Event()
    main = threading.get_ident()

    async def work() -> str:
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("cleaned up")
        return "never"

    def interrupt() -> None:
        begun.wait(10)
        signal.pthread_kill(main, signal.SIGINT)

    async def notebook() -> None:
        # asyncio would take the interrupt for itself; a notebook's kernel does not.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        threading.Thread(target=interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            _in_own_loop(work, Reports())

    before = signal.getsignal(signal.SIGINT)
    try:
        asyncio.run(notebook())
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended == ["cleaned up"]
