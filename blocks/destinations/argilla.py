"""A dataset on an Argilla server, where people rate: comparisons go there with suggestions, and verdicts come back."""

import io
import math
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, field
from typing import Any

from kasasagi.blocks.destinations import DestinationError, one_sentence
from kasasagi.blocks.destinations.argilla_scale import ArgillaScale
from kasasagi.blocks.hints import install

URL_VARIABLE, KEY_VARIABLE = "ARGILLA_API_URL", "ARGILLA_API_KEY"
SIDES = ("response_1", "response_2")
RATINGS = ("rating_1", "rating_2")
JUDGED, JUDGED_SCALE = ("judge_rating_1", "judge_rating_2"), "judge_scale"
COMMENT = "comment"
BATCH = 200
GUIDELINES = (
    "Read the prompt and both responses, and rate each. Which model a response is by is not shown, and the order says "
    "nothing. What is filled in already is a judge model's opinion: correct it."
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two responses to one prompt, and a judge's ratings of them; metadata comes back with every verdict."""

    id: str
    prompt: str
    responses: tuple[str, str]
    ratings: tuple[float | None, float | None]
    words: str
    judge: str
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HumanRating:
    """The ratings that one person submitted for a comparison, on the judge's scale."""

    person: str
    ratings: tuple[float, float]
    comment: str
    metadata: dict[str, str]


class ArgillaDataset:
    """One dataset in one of the server's workspaces (its first unless named). All methods raise DestinationError.

    The server's address and key are the values of ARGILLA_API_URL and ARGILLA_API_KEY, and are kept nowhere else.
    """

    def __init__(self, name: str, workspace: str | None = None) -> None:
        self.name = name
        self._url, self._key = (os.environ.get(variable) or "" for variable in (URL_VARIABLE, KEY_VARIABLE))
        for variable, value in ((URL_VARIABLE, self._url), (KEY_VARIABLE, self._key)):
            if not value:
                raise DestinationError(
                    f"the environment variable {variable} is not set: set {URL_VARIABLE} to the address of the Argilla "
                    f"server and {KEY_VARIABLE} to your key"
                )
        self._library = _library()
        with self._translate_errors():
            self._client = self._library.Argilla(api_url=self._url, api_key=self._key, retries=1)
            self._workspace = self._found(workspace)
            self._dataset = self._client.datasets(name, workspace=self._workspace)

    def push(self, comparisons: Sequence[Comparison], scale: ArgillaScale) -> str:
        """Add comparisons, or renew those that are there already, whose verdicts stay; gives the dataset's page.

        scale is that of the judge's ratings; a dataset that is there keeps its steps.
        """
        with self._translate_errors():
            if self._dataset is None:
                self._dataset = self._create_dataset(scale)
            scale = scale.on(self._steps())
            for start in range(0, len(comparisons), BATCH):
                self._dataset.records.log([self._record(one, scale) for one in comparisons[start : start + BATCH]])
            return f"{self._url.rstrip('/')}/dataset/{self._dataset.id}/annotation-mode"

    def verdicts(self) -> list[HumanRating]:
        """Return what people have submitted so far, without drafts and what they discarded."""
        if self._dataset is None:
            raise DestinationError(
                f"the Argilla server has no dataset {self.name!r} in the workspace {self._workspace.name!r}: push "
                "a run to it first, or name another with --dataset"
            )
        with self._translate_errors():
            people: dict[str, str] = {}
            steps = self._steps()
            return [verdict for record in self._dataset.records for verdict in self._of(record, people, steps)]

    def _steps(self) -> list[int]:
        """Return the steps that people may choose from in the dataset."""
        return [int(value) for value in self._dataset.settings.questions[RATINGS[0]].values]

    def _found(self, workspace: str | None) -> Any:
        found = self._client.workspaces(workspace) if workspace else self._client.workspaces.default
        if found is None:
            known = ", ".join(repr(one.name) for one in self._client.workspaces) or "none"
            raise DestinationError(
                f"the Argilla server has no workspace {workspace!r} for you (it has {known}): name one of those"
            )
        return found

    def _create_dataset(self, scale: ArgillaScale) -> Any:
        rg = self._library
        titles = ("Response 1", "Response 2")
        fields = [rg.TextField(name="prompt", title="Prompt", use_markdown=False)]
        fields += [rg.TextField(name=name, title=title) for name, title in zip(SIDES, titles, strict=True)]
        questions: list[Any] = [
            rg.RatingQuestion(
                name=name, title=f"How good is {title.lower()}?", values=list(scale.steps), description=scale.words
            )
            for name, title in zip(RATINGS, titles, strict=True)
        ]
        questions.append(rg.TextQuestion(name=COMMENT, title="Why?", required=False))
        settings = rg.Settings(fields=fields, questions=questions, guidelines=GUIDELINES, allow_extra_metadata=True)
        dataset = rg.Dataset(name=self.name, workspace=self._workspace, settings=settings, client=self._client)
        return dataset.create()

    def _record(self, one: Comparison, scale: ArgillaScale) -> Any:
        rg = self._library
        steps = [None if rating is None else scale.step_of(rating) for rating in one.ratings]
        suggested: list[tuple[str, Any]] = [*zip(RATINGS, steps, strict=True), (COMMENT, one.words)]
        return rg.Record(
            id=one.id,
            fields={"prompt": one.prompt, **dict(zip(SIDES, one.responses, strict=True))},
            metadata={**one.metadata, **_judge_metadata(one.ratings, scale)},
            suggestions=[
                rg.Suggestion(question_name=name, value=value, agent=one.judge, type="model")
                for name, value in suggested
                if value not in (None, "")
            ],
        )

    def _of(self, record: Any, people: dict[str, str], steps: Sequence[int]) -> Iterator[HumanRating]:
        """Yield the verdicts on one record, one for each person who rated both responses."""
        answers: dict[str, dict[str, Any]] = {}
        for response in record.responses:
            if getattr(response.status, "value", response.status) == "submitted":
                answers.setdefault(str(response.user_id), {})[response.question_name] = response.value
        metadata = {str(name): str(value) for name, value in record.metadata.to_dict().items()}
        for user, values in sorted(answers.items()):
            if all(_is_rating(values.get(name)) for name in RATINGS):
                one, other = (float(values[name]) for name in RATINGS)
                ratings = _on_the_judges_scale((one, other), metadata, steps)
                comment = str(values.get(COMMENT) or "")
                yield HumanRating(self._person(user, people), ratings, comment, metadata)

    def _person(self, user: str, people: dict[str, str]) -> str:
        """Return a person's name, where we may know it; else their number."""
        if user not in people:
            try:
                found = self._client.users(id=user)
                people[user] = found.username if found is not None else user
            except Exception:  # whatever the server says: a name is nice to have, and a verdict counts without one
                people[user] = user
        return people[user]

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        """Keep the library off the terminal, and turn what it raises into one sentence without the key."""
        try:
            with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
                warnings.simplefilter("ignore")
                yield
        except DestinationError:
            raise
        except Exception as error:
            raise DestinationError(
                f"the Argilla server {self._url} cannot be used ({one_sentence(error, self._key)}): check "
                f"{URL_VARIABLE}, {KEY_VARIABLE} and your rights there"
            ) from error


def _judge_metadata(ratings: Sequence[float | None], scale: ArgillaScale) -> dict[str, str]:
    """Return what a record remembers of the judge, so that ratings come back on its scale, and unchanged where they
    are.
    """
    known = {name: repr(float(rating)) for name, rating in zip(JUDGED, ratings, strict=True) if rating is not None}
    return {**known, JUDGED_SCALE: f"{float(scale.lowest)!r} {float(scale.highest)!r}"}


def _on_the_judges_scale(
    chosen: tuple[float, float], metadata: Mapping[str, str], steps: Sequence[int]
) -> tuple[float, float]:
    """Return what two chosen steps are on the judge's scale; themselves in a record that remembers none."""
    if JUDGED_SCALE not in metadata:
        return chosen
    try:
        lowest, highest = map(float, metadata[JUDGED_SCALE].split())
        judged = [float(metadata[name]) if name in metadata else None for name in JUDGED]
    except ValueError as error:
        raise DestinationError(
            f"a record's metadata {JUDGED_SCALE}, {' or '.join(JUDGED)} holds no numbers ({error}); push the run again"
        ) from error
    return ArgillaScale(lowest, highest, tuple(sorted(steps))).read_back(chosen, judged)


def _is_rating(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _library() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import argilla
    except ImportError as error:
        raise DestinationError(
            f"Argilla's client is not installed ({one_sentence(error)}): {install('argilla')}"
        ) from error
    return argilla
