"""What the judges are asked: one request for each judge, aspect, order and group of a prompt's responses."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kasasagi.blocks.canonical import ledger_key
from kasasagi.blocks.dispatch.pending_requests import Question
from kasasagi.blocks.models.kinds import BundledModel, ModelConfig, RewardModel, extra_body_of
from kasasagi.blocks.models.logprobs import LOGPROBS
from kasasagi.blocks.own.python import is_own
from kasasagi.tasks.asking import Session
from kasasagi.tasks.judge.config import JudgeConfig, Vote
from kasasagi.tasks.judge.groups import in_order
from kasasagi.tasks.judge.methods import Method, MethodForOne, method_of
from kasasagi.tasks.judge.prompt import Language, instruction_text, repair_messages
from kasasagi.tasks.judge.rubric import columns_used
from kasasagi.tasks.judge.verify.work import shown_check
from kasasagi.tasks.stage import Example
from kasasagi.tasks.text.languages import script_of


@dataclass(frozen=True, slots=True)
class JudgeRequest:
    """One call of a judge: some of a prompt's responses under one aspect or several, in the order that it sees.

    data are the other texts in the request that come from data. method is the way of judging where it differs from
    response to response.
    """

    prompt_id: str
    vote: Vote
    aspects: tuple[str, ...]
    ordering: str
    responses: tuple[Mapping[str, Any], ...]
    question: Question
    language: Language
    data: tuple[str, ...] = ()
    method: MethodForOne | None = None


def judge_requests_for(
    session: Session,
    config: JudgeConfig,
    prompts: Sequence[Mapping[str, Any]],
    responses: Mapping[str, Sequence[Mapping[str, Any]]],
    orderings: Sequence[str] | None = None,
) -> list[JudgeRequest]:
    """Return all calls of the judges for some prompts.

    A prompt has none if it has fewer than two responses, or if the rubric cannot be rendered for it.

    responses holds the rows by prompt_id. They are put in the order of their ids first, so that the calls do not
    depend on who answered sooner or stands first in the recipe. orderings are those that are asked first, unless
    others are given.
    """
    names = config.asked_first if orderings is None else orderings
    judge_requests: list[JudgeRequest] = []
    methods = _methods(session, config)
    method = next(iter(methods.values()))
    for prompt in prompts:
        answers = sorted(responses.get(prompt["prompt_id"], ()), key=lambda row: row["response_id"])
        if len(answers) > 1 and method.problem(prompt) is None:
            judge_requests += _requests_for_prompt(session, config, methods, prompt, answers, names)
    return judge_requests


def _methods(session: Session, config: JudgeConfig) -> dict[str, Method]:
    """Return the way in which each judging model is asked: the same for all, but for the words of the bundled model."""
    bundled = {name: isinstance(session.models[name], BundledModel) for name in config.judges}
    made = {one: method_of(config, session.base, bundled=one) for one in set(bundled.values())}
    return {name: made[one] for name, one in bundled.items()}


def _requests_for_prompt(
    session: Session,
    config: JudgeConfig,
    methods: Mapping[str, Method],
    prompt: Mapping[str, Any],
    answers: Sequence[Mapping[str, Any]],
    names: Iterable[str],
) -> list[JudgeRequest]:
    language, data, judge_requests = judge_language(config, prompt), shown_data(config, prompt), []
    groups = next(iter(methods.values())).groups(prompt["prompt_id"], len(answers))
    for group in groups:
        for name in names:
            shown = tuple(answers[index] for index in in_order(group, name))
            for aspects in config.calls:
                asked = _requests(methods, prompt, [row["content"] for row in shown], aspects[0], language)
                prefix = f"{prompt['prompt_id']} {' '.join(row['response_id'] for row in shown)}"
                for vote, question in questions_to_judges(session, config, asked, prefix):
                    judge_requests.append(
                        JudgeRequest(prompt["prompt_id"], vote, aspects, name, shown, question, language, data)
                    )
    return judge_requests


def shown_data(config: JudgeConfig, prompt: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a judge is shown of a prompt: its turns, and the columns that the recipe's own words put in."""
    own = [one.text or "" for one in (config.rubric, config.prompt) if one is not None]
    names = frozenset().union(*map(columns_used, own)) - {"messages"}
    columns = [str(prompt[name]) for name in sorted(names) if prompt.get(name) is not None]
    return (*(turn["content"] for turn in prompt["messages"]), *columns)


def _requests(
    methods: Mapping[str, Method],
    prompt: Mapping[str, Any],
    texts: Sequence[str],
    aspect: str,
    language: Language,
) -> dict[str, dict[str, Any]]:
    """Return what each judging model is asked about some texts; a way that several share is asked once."""
    made = {id(method): method.request(prompt, texts, aspect, language) for method in methods.values()}
    return {name: made[id(method)] for name, method in methods.items()}


def questions_to_judges(
    session: Session, config: JudgeConfig, asked: Mapping[str, Mapping[str, Any]], prefix: str
) -> list[tuple[Vote, Question]]:
    """Return the question to every judge; two that are the same model take different draws of it."""
    drawn: Counter[str] = Counter()
    questions = []
    for vote in config.votes:
        identity, request = session.identities[vote.use], {**asked[vote.use], **body_of(session, config, vote)}
        same = ledger_key(identity, request, 0)
        question = Question.of(vote.use, identity, request, drawn[same], config.round, prefix)
        questions.append((vote, question))
        drawn[same] += 1
    return questions


def body_of(session: Session, config: JudgeConfig, vote: Vote) -> dict[str, Any]:
    """Return the part of a judge's requests that is the same for all prompts."""
    return body_for(config, session.models[vote.use])


def body_for(config: JudgeConfig, model: ModelConfig) -> dict[str, Any]:
    """Return what each request to a judging model carries besides the question: sampling, and the model's further
    fields.
    """
    extra = extra_body_of(model)
    if isinstance(model, RewardModel):
        return extra
    wanted = LOGPROBS if config.read == "distribution" else {}
    return {**config.sampling.over(model.sampling).parameters(), **wanted, **extra}


def judge_language(config: JudgeConfig, prompt: Mapping[str, Any]) -> Language:
    """Return the language of the judge's prompt: as set, else Japanese for Japanese instructions and English for the
    rest.
    """
    if config.language != "auto":
        return config.language
    return "ja" if script_of(instruction_text(prompt["messages"], "en")) == "ja" else "en"


def example(recipe: Any, base: Path, row: Mapping[str, Any]) -> Iterator[Example]:
    """Yield what answers to a row are checked against, and what the judges are asked about two of them."""
    config: JudgeConfig = recipe.judging
    if config.checks:
        then = "judges rank correct ones" if config.ranks_correct else "no model is asked"
        yield Example(f"answers are checked, and {then}", "", shown_check(config.verifying, row))
    if config.verifies:
        return
    method = method_of(config, base, bundled=isinstance(recipe.models[config.judges[0]], BundledModel))
    texts = ["(first answer)", "(second answer)"][: len(method.groups(row["prompt_id"], 2)[0])]
    request = method.request(row, texts, config.criteria[0], judge_language(config, row))
    text = "\n".join(turn["content"] for turn in request["messages"])
    yield Example("{model} judges", ", ".join(config.judges), text)


def repair_request(
    session: Session, config: JudgeConfig, judge_request: JudgeRequest, reply: str, problem: str
) -> JudgeRequest:
    """Return the request that asks for an unreadable reply once more, with the problem named."""
    request = judge_request.question.request
    words = [] if is_own(config.method) else [config.method]
    messages = repair_messages(request["messages"], reply, problem, judge_request.language, *words)
    again = {**request, "messages": messages}
    vote = judge_request.vote
    prefix = judge_request.question.prefix
    question = Question.of(vote.use, session.identities[vote.use], again, vote.draw, config.round, prefix)
    return replace(judge_request, question=question)
