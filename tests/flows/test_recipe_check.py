"""`check`: what it reports of a recipe and its endpoints before anything is paid for."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kasasagi.blocks.engines.kinds import vllm_engine_for
from kasasagi.blocks.engines.streaming import EngineFailedError
from kasasagi.blocks.models.kinds import VLLMModel
from kasasagi.blocks.workspace.runs import Workspace
from kasasagi.flows.check.before_start import problems_before_start
from kasasagi.flows.check.endpoints import check_endpoints, example_requests, price_notes, warnings
from kasasagi.flows.check.prefect_limits import check_limits
from kasasagi.flows.check.vllm import describe_vllm, vllm_problems
from kasasagi.flows.recipe.errors import RecipeError
from kasasagi.flows.recipe.loading import LoadedRecipe, check_recipe, override, parse_yaml
from kasasagi.flows.runner import run_recipe
from tests.blocks.helpers import ScriptedServer, answer_body, error_body
from tests.fake_server import FakeServer
from tests.flows.test_recipe import TEXT

SEEDS = "name: seeds\nsource: {}\nmodels: {}\n"
SECRET = "sk-SECRETsecretSECRETsecret0123456789"


@pytest.fixture(scope="module")
def server() -> Iterator[FakeServer]:
    with FakeServer(models=("small", "large")) as running:
        yield running


def loaded(*settings: str) -> LoadedRecipe:
    return LoadedRecipe(recipe=check_recipe(override(parse_yaml(TEXT, "r"), settings), Path()), base=Path())


def at(address: str, *settings: str) -> LoadedRecipe:
    return loaded(*(f"models.{name}.base_url={address}" for name in ("small", "large")), *settings)


def checked(recipe: LoadedRecipe, ping: bool = False) -> tuple[list[str], list[str]]:
    logged: list[str] = []
    return check_endpoints(recipe, ping, logged.append), logged


def test_endpoints_that_know_their_models_are_said_to(server: FakeServer) -> None:
    server.reset_stats()
    problems, logged = checked(at(server.base_url, "models.own={kind: bundled}"))
    assert problems == []
    assert logged == [
        f"small: {server.base_url} knows small",
        f"large: {server.base_url} knows large",
        "own: the bundled model",
    ]
    assert server.stats()["calls"] == 0


def test_a_ping_sends_one_question_to_each_model(server: FakeServer) -> None:
    server.reset_stats()
    problems, logged = checked(at(server.base_url), ping=True)
    assert problems == []
    assert server.stats()["calls"] == 2
    assert sum("it answered" in line for line in logged) == 1
    assert sum("'The capital of Japan is Tokyo.'" in line for line in logged) == 1


def test_a_ping_says_what_to_write_where_a_model_does_not_take_a_parameter() -> None:
    refused = (400, {}, error_body("Unsupported value: 'temperature' does not support 0.8 with this model."))
    models = (200, {}, b'{"data": [{"id": "small"}, {"id": "large"}]}')

    with ScriptedServer(
        lambda number, headers: refused if number == 0 else (200, {}, answer_body("Hello.")), models
    ) as at_work:
        _, logged = checked(at(at_work.base_url, "respond.sampling.temperature=0.8"), ping=True)
    [line] = [line for line in logged if "does not accept" in line]
    assert line.startswith(
        "  small does not accept temperature: write sampling: {temperature: null} where it is asked; "
    )


def test_a_model_that_the_server_does_not_know_is_named_with_the_nearest(server: FakeServer) -> None:
    problems, _ = checked(at(server.base_url, "models.small.model=smal"))
    assert problems == [f"models.small.model: 'smal' is not a model of {server.base_url}; did you mean 'small'?"]


def test_nobody_at_the_address_a_missing_key_and_a_refused_one_are_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMALL_KEY", SECRET)
    monkeypatch.delenv("LARGE_KEY", raising=False)
    refused = (401, {}, error_body(f"Incorrect API key provided: {SECRET}."))
    with ScriptedServer(lambda number, headers: refused, refused) as server:
        settings = [f"models.small.base_url={server.base_url}", "models.small.api_key_env=SMALL_KEY"]
        settings += ["models.large.api_key_env=LARGE_KEY"]
        settings += ["models.third={kind: openai, model: x, base_url: 'http://127.0.0.1:9/v1'}"]
        problems, _ = checked(loaded(*settings))
    assert len(problems) == 2
    assert "answers 401" in problems[0]
    assert problems[0].endswith("; check the key and api_key_env")
    assert "SECRET" not in problems[0]
    assert problems[1].startswith("models.third.base_url: cannot connect to http://127.0.0.1:9/v1")


@pytest.mark.parametrize(("status", "words"), [(503, "is loading or down"), (500, "answers 500")])
def test_a_server_that_fails_is_not_blamed_on_the_key(status: int, words: str) -> None:
    failing = (status, {}, error_body("Loading model"))
    with ScriptedServer(lambda number, headers: failing, failing) as server:
        problems, _ = checked(at(server.base_url, "models.small.patience_s=90"), ping=True)
    assert problems[0].startswith(f"models.small: {server.base_url} {words}")
    assert f"{status}: Loading model" in problems[0]
    assert "key" not in problems[0]
    assert ("waits up to 90 s (patience_s)" in problems[0]) == (status == 503)


@pytest.mark.parametrize(
    ("turns", "words"),
    [
        ("{model: large, count: 2}", "source.turns.template: 'auto' needs the tokenizer of 'large'"),
        (
            "{model: large, count: 2, template: '<user>'}",
            "source.turns.template: the text '<user>' has no place",
        ),
        ("{model: large, count: 2, template: qwen-3}", ""),
    ],
)
def test_a_model_that_cannot_play_the_user_is_found_before_anything_is_paid(
    tmp_path: Path, turns: str, words: str
) -> None:
    (tmp_path / "prompts.jsonl").write_text('{"instruction": "Why is the sky blue?", "topic": "light"}\n')
    recipe = loaded(f"source.turns={turns}").model_copy(update={"base": tmp_path})
    problems = problems_before_start(recipe, Workspace(tmp_path / "ws"), publish=False)
    assert [problem[: len(words)] for problem in problems] == ([words] if words else [])


def test_all_faults_that_show_without_asking_are_found_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LARGE_KEY", raising=False)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    (tmp_path / "prompts.jsonl").write_text('{"topics": 1}\n')
    settings = ["models.large.api_key_env=LARGE_KEY", "models.small.prefect_limit=gpu", "publish.path=ledger"]
    settings += ["source.columns={instruction: text}"]
    recipe = loaded(*settings).model_copy(update={"base": tmp_path})
    monkeypatch.chdir(tmp_path)
    workspace = Workspace(tmp_path)
    problems = problems_before_start(recipe, workspace)
    places = ["source.columns.instruction", "source.keep", "models.large.api_key_env", "models.small.prefect_limit"]
    assert [problem.split(":")[0] for problem in problems[:4]] == places
    assert problems[4:] == [problem for problem in problems if "publish.path" in problem]
    assert len(problems) == 5
    assert problems_before_start(recipe, workspace, publish=False) == problems[:4]
    recipe.base.joinpath("prompts.jsonl").unlink()
    assert "'prompts.jsonl' does not exist" in problems_before_start(recipe, workspace)[0]


def test_what_a_provider_cannot_do_is_named() -> None:
    able, unable = (
        loaded(f"models.small.provider={name}", "judge.model=small", "judge.output=json")
        for name in ("openai", "anthropic")
    )
    assert not [text for text in warnings(able.recipe) if "JSON schema" in text]
    found = [text for text in warnings(unable.recipe) if "JSON schema" in text]
    assert len(found) == 1
    assert "anthropic did not offer on 20" in found[0]


def test_a_limit_is_looked_for_on_the_prefect_server(prefect_server: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
    from prefect.settings import get_current_settings

    monkeypatch.setenv("PREFECT_API_URL", str(get_current_settings().api.url))
    with get_client(sync_client=True) as client:
        client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name="there", limit=40))
    logged: list[str] = []
    recipe = loaded("models.small.prefect_limit=there", "models.large.prefect_limit=away")
    (problem,) = check_limits(recipe, logged.append)
    assert logged == ["small: Prefect's limit 'there' has 40 slots"]
    assert problem.startswith("models.large.prefect_limit: Prefect has no global concurrency limit 'away'")
    assert "prefect gcl create away --limit 100" in problem
    assert check_limits(loaded(), logged.append) == []


def test_a_limit_without_a_lasting_server_is_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    (problem,) = check_limits(loaded("models.small.prefect_limit=gpu"), print)
    assert problem.startswith("models.small.prefect_limit: 'gpu' needs a Prefect server that outlives the run")
    file = tmp_path / "recipe.yaml"
    file.write_text(TEXT, encoding="utf-8")
    with pytest.raises(RecipeError, match="PREFECT_API_URL names none"):
        run_recipe(file, ["models.small.prefect_limit=gpu"], workspace=tmp_path / "ws")
    assert not (tmp_path / "ws" / "prefect").exists()


def test_a_price_of_our_table_is_told_with_its_date() -> None:
    recipe = loaded(
        "models.paid={kind: openai, model: gpt-4o-mini}",
        "models.own={kind: openai, model: gpt-4o, usd_per_million_tokens: {input: 1}}",
    )
    (note,) = price_notes(recipe.recipe)
    assert note.startswith("paid: $0.15 and $0.6 a million tokens asked and answered, by our table of 20")


def test_each_address_of_a_model_is_asked(server: FakeServer) -> None:
    away = "http://127.0.0.1:9/v1"
    problems, logged = checked(at(server.base_url, f"models.small.base_url=[{server.base_url}, '{away}']"))
    assert logged == [f"small: {server.base_url} knows small", f"large: {server.base_url} knows large"]
    assert len(problems) == 1
    assert problems[0].startswith(f"models.small.base_url: cannot connect to {away}")


def test_one_rendered_request_is_shown_for_each_model() -> None:
    recipe = loaded(
        "respond.template='{{ topic }}: {{ instruction }}'",
        "respond.system_prompt=Be kind.",
        "respond.models.0.system_prompt=''",
        "respond.sampling.temperature=0.25",
    )
    shown = dict(example_requests(recipe))
    assert list(shown) == ["small is asked", "large is asked", "large judges"]
    assert "(topic): What is the capital of Japan?" in shown["small is asked"]
    assert "0.25" in shown["small is asked"]
    assert "Be kind." not in shown["small is asked"]
    assert "Be kind." in shown["large is asked"]
    assert "(first answer)" in shown["large judges"]


def test_a_judge_prompt_of_ones_own_is_shown_with_the_form_of_the_reply() -> None:
    own = "judge.prompt={text: 'Serve beginners. {{ instruction }} {{ topic }} {{ responses }}'}"
    shown = dict(example_requests(loaded(own)))["large judges"]
    assert "Serve beginners. [" in shown
    assert "(topic)" in shown
    assert "(first answer)" in shown
    assert "Rating: a whole number from 1 to 5" in shown


def test_the_bundled_judge_is_shown_its_own_words_and_warned_of_others() -> None:
    bundled = ("models.own={kind: bundled}", "judge.model=own")
    shown = dict(example_requests(loaded(*bundled)))["own judges"]
    assert "Weigh four criteria alike." not in shown
    assert "Weigh four criteria alike." in dict(example_requests(loaded()))["large judges"]
    own = "judge.prompt={text: 'Serve beginners. {{ instruction }} {{ responses }}'}"
    assert "understands only our judge prompt" in warnings(loaded(*bundled, own).recipe)[0]
    assert warnings(loaded(*bundled).recipe) == []


def test_what_is_seldom_meant_is_a_warning() -> None:
    assert "judges its own answers" in warnings(loaded().recipe)[0]
    assert "gives no pairs" in warnings(loaded("respond.models=[small]").recipe)[0]
    assert warnings(loaded("judge.model=small", "respond.models=[large]", "respond.samples=2").recipe) == []


@pytest.mark.parametrize(
    "settings",
    [("pairs.min_margin=5",), ("pairs.min_margin=2", "judge.method=rubric", "judge.rubric={text: Good., highest: 2}")],
)
def test_a_margin_wider_than_the_scale_is_a_warning(settings: tuple[str, ...]) -> None:
    assert [
        text for text in warnings(loaded(*settings).recipe) if "gives no pairs, since ratings are from 1 to" in text
    ]
    narrow = loaded(*settings, "pairs.min_margin=1").recipe
    assert not [text for text in warnings(narrow) if "min_margin" in text]


def magpie(address: str) -> LoadedRecipe:
    source = "source={kind: magpie, model: small, template: qwen-3, target: 4}"
    return at(address, source, "respond.template='{{ instruction }}'", "filter={}")


GREETING = (200, {}, b'{"data": [{"id": "small"}, {"id": "large"}]}')


def test_a_server_that_goes_on_from_a_text_can_invent(server: FakeServer) -> None:
    problems, logged = checked(magpie(server.base_url))
    assert problems == []
    assert logged[-1].startswith("small: invents '")
    assert server.requests()[-1]["body"]["prompt"] == "<|im_start|>user\n"


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ((404, {}, error_body("This is a chat model")), "cannot continue a text: 404: This is a chat model;"),
        ((405, {}, error_body("Method Not Allowed")), "cannot continue a text: 405: Method Not Allowed;"),
        ((200, {}, b'{"choices": [{"text": "Hello! How can I help?"}]}'), "greets ('Hello! How can I help?')"),
        ((200, {}, '{"choices": [{"text": "何かお手伝いできますか"}]}'.encode()), "greets ('何かお手伝いできますか')"),
    ],
)
def test_a_server_for_chats_alone_cannot_invent_and_check_says_what_to_do(
    reply: tuple[int, dict[str, str], bytes], words: str
) -> None:
    with ScriptedServer(lambda number, headers: reply, GREETING) as chats:
        problems, _ = checked(magpie(chats.base_url))
    assert len(problems) == 1
    assert problems[0].startswith(f"source.model: 'small' at {chats.base_url} {words}")
    assert problems[0].count("serve the model where /v1/completions takes such a text") == 1


def turns(address: str, template: str = "qwen-3") -> LoadedRecipe:
    wanted = f"source.turns={{count: 2, model: small, template: {template}}}"
    return at(address, wanted, "source.keep=[]", "respond.template='{{ instruction }}'", "filter={}")


def test_who_plays_the_user_in_further_turns_must_go_on_from_a_text_too(server: FakeServer) -> None:
    server.reset_stats()
    problems, logged = checked(turns(server.base_url))
    assert problems == []
    assert logged[-1].startswith("small: invents '")
    assert server.requests()[-1]["body"]["prompt"].endswith("Tokyo.<|im_end|>\n<|im_start|>user\n")
    with ScriptedServer(lambda number, headers: (404, {}, error_body("This is a chat model")), GREETING) as chats:
        problems, _ = checked(turns(chats.base_url))
    assert [one.partition(" at ")[0] for one in problems] == ["source.turns.model: 'small'"]


def test_a_model_behind_litellm_cannot_invent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kasasagi.blocks.endpoints.litellm.library", lambda: None)
    monkeypatch.setattr("kasasagi.flows.check.before_start.find_spec", lambda name: name)
    source = "source={kind: magpie, model: writer, template: qwen-3, target: 4}"
    writer = "models={writer: {kind: litellm, model: groq/some}}"
    alone = LoadedRecipe(recipe=check_recipe(override(parse_yaml(SEEDS, "r"), [source, writer]), Path()), base=Path())
    [text] = checked(alone)[0]
    assert text.startswith("source.model: 'writer' at litellm:groq cannot continue a text: a model of kind litellm")


@pytest.mark.parametrize("template", ["tanuki", "{literal: '### 指示:'}"])
def test_a_named_family_or_a_text_needs_no_tokenizer_to_be_shown(
    monkeypatch: pytest.MonkeyPatch, template: str
) -> None:
    def fetched(name: str, revision: str | None) -> Path:
        raise AssertionError(f"the tokenizer {name!r} was fetched")

    monkeypatch.setattr("kasasagi.blocks.models.chat_template._fetch", fetched)
    writer = "models.small={kind: vllm, model: nobody/has-this, revision: r}"
    shown = dict(
        example_requests(
            loaded(writer, f"source={{kind: magpie, model: small, template: {template}, target: 4}}", "filter={}")
        )
    )
    assert shown["small continues this text as a user"].endswith("### 指示:\n" if template == "tanuki" else "### 指示:")


def test_weights_beside_the_recipe_are_found_and_lost_ones_named(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    logged: list[str] = []

    def problems(**fields: str) -> list[str]:
        model = VLLMModel.model_validate({"kind": "vllm", "serve": True, "command": [sys.executable], **fields})
        describe_vllm("writer", model, tmp_path, logged.append)
        return vllm_problems("writer", model, tmp_path)

    assert problems(model="./mine", tokenizer="mine", lora="me/adapter") == []
    assert logged == [f"writer: {tmp_path / 'mine'} on a vLLM server that we start"]
    lost = problems(model="./mine", tokenizer="./other", lora="~/none/of/this")
    assert [problem.split(" is neither")[0] for problem in lost] == [
        "models.writer.tokenizer: './other'",
        "models.writer.lora: '~/none/of/this'",
    ]


def test_a_missing_vllm_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for module in (
        "kasasagi.blocks.engines.vllm",
        "kasasagi.blocks.engines.vllm_server",
        "kasasagi.flows.check.vllm",
    ):
        monkeypatch.setattr(f"{module}.find_spec", lambda name: None)
    config = VLLMModel.model_validate({"kind": "vllm", "model": "some/model"})
    [problem] = vllm_problems("writer", config, tmp_path)
    assert problem.startswith("models.writer: vLLM is not installed in this environment: it is kasasagi's extra [vllm]")
    for model in (config, config.model_copy(update={"serve": True})):
        with pytest.raises(EngineFailedError, match=r"extra \[vllm\]"):
            vllm_engine_for(model, tmp_path).load()  # type: ignore[attr-defined]


def test_sampling_of_a_model_that_the_stage_overrules_is_named() -> None:
    warm, stage = "models.small.sampling.temperature=1.2", "respond.sampling.temperature=0.8"
    [found] = [text for text in warnings(loaded(warm, stage).recipe) if "no effect" in text]
    assert "models.small.sampling.temperature: 1.2 has no effect" in found
    assert "respond.models: [{use: small, sampling: {temperature: 1.2}}]" in found
    both = "respond.models=[{use: small, sampling: {temperature: 1.2}}, large]"
    for settings in ((warm,), (warm, "respond.sampling.temperature=1.2"), (warm, stage, both)):
        assert not [text for text in warnings(loaded(*settings).recipe) if "no effect" in text]


def test_an_address_without_the_path_of_the_api_is_noticed() -> None:
    with ScriptedServer(lambda number, headers: (404, {}, b"{}")) as scripted:
        root = scripted.base_url.removesuffix("/v1")
        _, lines = checked(at(root))
        assert f"small: most servers answer at {root}/v1: write that into base_url" in lines
        _, lines = checked(at(scripted.base_url))
        assert "most servers" not in "".join(lines)
