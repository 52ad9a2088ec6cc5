"""Great Expectations' Data Docs of a run, from the validation results in its folder: counts, and no values of rows.

The pages of Great Expectations load styles and scripts from the network and do not escape all names. These load nothing
and run nothing.
"""

import html
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from kasasagi.blocks import telemetry
from kasasagi.blocks.workspace.runs import Run
from kasasagi.flows.errors import KasasagiError, UsageError
from kasasagi.tasks.gate.explain.words import SCOPES
from kasasagi.tasks.gate.validation_results import StageResults, ValidationResult, read_results

GENERATOR = '<meta name="generator" content="kasasagi data docs">'
POLICY = "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
STYLE = """<style>
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; } th, td { border-bottom: 1px solid #ddd; padding: .4rem; }
th, td { text-align: left; vertical-align: top; } thead[hidden] { display: none; }
.badge { background: #eee; border-radius: .25rem; padding: 0 .3rem; overflow-wrap: anywhere; }
.text-success { color: #17692d; } .text-danger { color: #a61b1b; }
.fa-check-circle::before { content: "✓ passed"; } .fa-times::before { content: "✗ failed"; }
.fa-exclamation-triangle::before { content: "! error"; }
.card, .col-lg-2, .navbar img, [data-toggle="collapse"] { display: none; } .collapse.card { display: block; }
</style>"""
_LOADED = re.compile(
    r"<script\b.*?</script>|<link\b[^>]*>|<style\b.*?</style>|<img\b[^>]*>|<footer\b.*?</footer>", re.S
)
_NEWSLETTER = re.compile(r"<p>Stay current on everything GX.*?</p>", re.S)
_TO_SUITE = re.compile(r'<a href="[^"]*expectations/[^"]*"\s*>(.*?)</a>', re.S)
_HOME = re.compile(r'href="(\.\./)+index\.html"')


def write_data_docs(run: Run, folder: Path) -> Path:
    """Write a page for each stage that was judged, and an index.

    Args:
        run: The run.
        folder: A new or empty folder, or one that holds earlier Data Docs.

    Returns:
        The index.

    Raises:
        UsageError: If the folder holds other files or cannot be made.
        KasasagiError: If no gate has evaluated the run, or the folder cannot be filled.
    """
    index = folder / "index.html"
    if folder.is_dir() and any(folder.iterdir()) and not (index.is_file() and GENERATOR in index.read_text("utf-8")):
        raise UsageError(f"--data-docs: {folder} is not empty; name a new folder")
    results = read_results(run)
    if not results:
        raise KasasagiError(
            f"no gate has been evaluated in the run {run.id}, so it has no Data Docs; run its recipe again"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(_unwritable(folder, error)) from error
    try:
        for one in results:
            (folder / _page_name(one)).write_text(page_of(one), encoding="utf-8")
        index.write_text(_index(run, results), encoding="utf-8")
    except OSError as error:
        raise KasasagiError(_unwritable(folder, error)) from error
    return index


def _unwritable(folder: Path, error: OSError) -> str:
    return f"--data-docs: {folder} cannot be written ({error.strerror or error}); name another folder"


def page_of(results: StageResults) -> str:
    """Return the page of Great Expectations on the results of a stage; it loads nothing and runs nothing."""
    telemetry.switch_off_telemetry()
    from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
    from great_expectations.render.view import DefaultJinjaPageView

    page = DefaultJinjaPageView().render(ValidationResultsPageRenderer().render(_suite_result(results)))
    page = _TO_SUITE.sub(r"\1", _NEWSLETTER.sub("", _LOADED.sub("", page)))
    page = _HOME.sub('href="index.html"', page)
    return page.replace("<head>", f'<head><meta charset="utf-8">{POLICY}{GENERATOR}{STYLE}', 1)


def _page_name(results: StageResults) -> str:
    return f"{results.stage}-{results.scope}.html"


def _index(run: Run, results: Sequence[StageResults]) -> str:
    rows = "".join(
        f'<tr><td><a href="{html.escape(_page_name(one))}">{html.escape(one.stage)}</a></td>'
        f"<td>{html.escape(SCOPES.get(one.scope, one.scope))}</td>"
        f"<td>{sum(each.success for each in one.results)} of {len(one.results)} passed</td></tr>"
        for one in results
    )
    head = f'<meta charset="utf-8">{POLICY}{GENERATOR}{STYLE}<title>Data Docs of {html.escape(run.id)}</title>'
    body = f"<h1>Data Docs of {html.escape(run.id)}</h1><table><tr><th>stage<th>judged on<th>expectations</tr>{rows}"
    return f'<!DOCTYPE html><html lang="en"><head>{head}</head><body>{body}</table></body></html>\n'


def _suite_result(results: StageResults) -> Any:
    """Return the results of a stage as Great Expectations holds them."""
    from great_expectations.core import ExpectationSuiteValidationResult

    passed = sum(one.success for one in results.results)
    count = len(results.results)
    return ExpectationSuiteValidationResult(
        success=results.success,
        results=[_validation_result(one) for one in results.results],
        suite_name=f"{results.stage}, {SCOPES.get(results.scope, results.scope)}",
        statistics={
            "evaluated_expectations": count,
            "successful_expectations": passed,
            "unsuccessful_expectations": count - passed,
            "success_percent": 100 * passed / count if count else None,
        },
        meta={"run_id": {"run_name": results.run, "run_time": datetime.fromtimestamp(results.judged, UTC).isoformat()}},
    )


def _validation_result(one: ValidationResult) -> Any:
    from great_expectations.core import ExpectationValidationResult

    return ExpectationValidationResult(
        success=one.success,
        expectation_config=_configuration(one),
        result=dict(one.counts),
        exception_info={"raised_exception": False, "exception_message": None, "exception_traceback": None},
    )


def _configuration(one: ValidationResult) -> Any:
    """Return an expectation as Great Expectations renders it; one that it does not know, or cannot build, as a
    sentence.
    """
    import great_expectations.expectations as gxe
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    # Great Expectations does not render the default of mostly.
    arguments = {key: value for key, value in one.arguments.items() if (key, value) != ("mostly", 1.0)}
    escaped = {key: _escape(value) if key.startswith("column") else value for key, value in arguments.items()}
    known = getattr(gxe, one.expectation.partition("(")[0], None)
    if known is not None and one.fault is None:
        made = ExpectationConfiguration(type=known.expectation_type, kwargs=escaped)
        try:
            if not made.to_domain_obj().description:
                return made
        except Exception:  # arguments that the installed version does not take
            known = None
    description = f"{one.name}: could not evaluate ({one.fault})" if one.fault else one.name
    column = {"column": escaped["column"]} if "column" in escaped else {}
    return ExpectationConfiguration(type=_in_words(), kwargs=column, description=html.escape(description))


def _escape(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_escape(one) for one in value]
    return html.escape(value) if isinstance(value, str) else value


@cache
def _in_words() -> str:
    """Return the type of an expectation that is rendered as its description."""
    from great_expectations.compatibility.pydantic import Extra
    from great_expectations.expectations.expectation import BatchExpectation

    class ExpectAsDescribed(BatchExpectation):  # type: ignore[misc]
        """An expectation that is shown and never evaluated."""

        metric_dependencies = ()

        class Config:
            """Any argument is shown."""

            extra = Extra.allow

        def _validate(self, *_: Any, **__: Any) -> Any:
            raise NotImplementedError

    return str(ExpectAsDescribed.expectation_type)
