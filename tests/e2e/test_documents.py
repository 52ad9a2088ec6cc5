"""Every command that a document tells to type is typed, page by page and in their order, beside servers of our own."""

import re
import shutil
import signal
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from kasasagi.blocks.dispatch.batch.notes import BatchNotes
from tests.e2e.command import until
from tests.e2e.conftest import NewJob
from tests.e2e.document_session import KINDS, DocumentSession, forget_pools
from tests.e2e.job import Job, prompt_rows
from tests.e2e.pages import lines_of, pages
from tests.e2e.test_tutorial import TUTORIAL
from tests.e2e.warm import ROOT
from tests.fake_argilla import FakeArgilla
from tests.fake_hub import FakeHub
from tests.fake_server import FakeServer
from tests.test_docs import blocks

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
README = ROOT / "README.md"
JAPANESE = (ROOT / "README.ja.md", ROOT / "docs" / "tutorial-tanuki.ja.md")
KEY = "argilla-key-marked-55d0"
NEVER = {"stage": "respond", "expectation": "ExpectColumnValuesToBeInSet", "column": "refused", "value_set": [True]}
WALKED = [page for page in pages() if page not in (*JAPANESE, TUTORIAL)]
KUBERNETES = (
    "prefect work-pool create kasasagi-containers --type kubernetes --base-job-template deployments/kubernetes.json"
)

# What is not typed here, and why. A command that is neither typed nor named here fails the last test.
OTHERWISE = {
    "make demo": "makes an environment out of the package index; kasasagi run quickstart is typed",
    "make test": "makes an environment out of the package index, and runs these tests",
    "make test-vllm": "needs vLLM in an environment of its own",
    "make bench-vllm": "needs vLLM in an environment of its own, and takes minutes",
    ". .venv/bin/activate": "the tests have an environment",
    "pip install '.[argilla]'": "needs the package index; the extras are looked up in pyproject.toml",
    "pip install '.[litellm]'": "as the other extras",
    "pip install '.[s3]'": "as the other extras",
    "pip install '.[dask]'": "as the other extras",
    "pip install '.[math]'": "as the other extras",
    "pip install '.[train]'": "as the other extras",
    "docker compose -f deployments/compose.yaml up -d": "needs Docker; tests/flows/test_containers.py reads the file",
    "docker build --file deployments/Dockerfile --tag kasasagi:latest .": "as docker compose",
    "pip install 'prefect[docker]'": "as the other extras",
    "pip install 'prefect[kubernetes]'": "as the other extras",
    "prefect worker start --pool kasasagi-containers": "needs Docker, or a Kubernetes cluster",
    "vllm run-batch -i batches/NAME.jsonl -o batches/NAME.results.jsonl --model my/model": "needs vLLM",
    "vllm serve Qwen/Qwen2.5-1.5B-Instruct --served-model-name small --port 8000": "needs vLLM",
    "vllm serve Qwen/Qwen2.5-7B-Instruct --served-model-name large --port 8001": "needs vLLM",
    "python -m benchmarks.truth": "takes minutes; tests/benchmarks/test_truth.py runs its parts",
    "python -m benchmarks.truth --rich": "as python -m benchmarks.truth",
    "python -m benchmarks.dpo_gain": "takes half an hour; tests/benchmarks/test_dpo_gain.py runs its parts",
}


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory, warmed: Any) -> Iterator[Job]:
    """What the documents take for given: prompts, recipe.yaml, a workspace with two runs, a published folder."""
    with FakeServer(faults={"refusal": 0.1}, fault_models=("small",)) as server:
        job = Job(tmp_path_factory.mktemp("given"), server, {"OPENAI_API_KEY": "sk-none"}, warmed)
        job.prepare(40)
        job.write_prompts([{**row, "topic": "roads"} for row in _rows(job)])
        for changes in ((), ("--set", "pairs.min_margin=2")):
            job.command("run", "recipe.yaml", *changes).succeeded()
        yield job


def _rows(job: Job) -> list[dict[str, Any]]:
    text = (job.folder / "prompts.jsonl").read_text(encoding="utf-8")
    return [yaml.safe_load(line) for line in text.splitlines()]


@pytest.fixture
def session(given: Job, new_job: NewJob, request: pytest.FixtureRequest, prefect_api: str) -> DocumentSession:
    """A copy of it, with a server of its own, for one document."""
    page: Path = request.param
    forget_pools(prefect_api)
    job = new_job("page", batch_s=3600.0 if page.name == "batches.md" else 0.0)
    for name in ("workspace", "out"):
        shutil.copytree(given.folder / name, job.folder / name)
    shutil.copy(given.folder / "prompts.jsonl", job.folder)
    job.write_recipe()
    session = DocumentSession(job, {"OPENAI_API_KEY": "sk-none"})
    prompt = job.command("sql", session.latest(), "from pairs select prompt_id", "--format", "csv").succeeded().out
    session.stands_for = {
        "3f9a1c": prompt.split()[1][:12],
        "003914f0": prompt.split()[1][:12],
        "ID": prompt.split()[1],
        "http://127.0.0.1:8000/v1": job.server.base_url,
        "http://127.0.0.1:4200/api": prefect_api,
        "owner/name": str(ROOT / "models" / "hina" / "hf"),
        "20260101-1200": session.runs()[0],
        "RECIPE": "recipe.yaml",
        "my-model": "small",
        "REASON": "context_too_long",
        "NAME": "refusal",
    }
    return session


def localised(session: DocumentSession, name: str) -> None:
    """A recipe that asks the machines of a document has the server of the test asked."""
    file = session.folder(name)
    recipe = yaml.safe_load(file.read_text(encoding="utf-8"))
    here = {"base_url": session.job.server.base_url, "api_key_env": None}
    recipe["models"] = {label: {**model, **here, "model": label} for label, model in recipe["models"].items()}
    file.write_text(yaml.safe_dump(recipe), encoding="utf-8")


def written(session: DocumentSession, name: str, recipe: dict[str, Any]) -> None:
    session.folder(name).write_text(yaml.safe_dump(recipe, allow_unicode=True), encoding="utf-8")


def without_a_recipe(session: DocumentSession) -> None:
    session.folder("recipe.yaml").unlink()


def a_recipe_of_its_own(session: DocumentSession) -> None:
    localised(session, "recipe.yaml")


def a_batch_that_waits(session: DocumentSession) -> None:
    """A run whose judge is asked in batches is interrupted while its first one is worked on."""
    session.job.write_recipe(models={"critic": {"batch": {"gather_s": 0, "poll_s": 0.1}}})
    running = session.job.command.start("run", "recipe.yaml", "--set", "judge.round=1")
    store = BatchNotes(session.folder("workspace") / "ledger" / "batches")
    until(lambda: any(note.batch_id for note in store.all()), "a batch is handed over")
    running.signal(signal.SIGINT)
    running.wait().failed(130)
    [note] = store.all()
    session.stands_for["batch_abc"] = str(note.batch_id)


def a_dialogue(session: DocumentSession) -> None:
    turns = "source.turns={count: 2, model: small, template: qwen-2.5}"
    session.job.command("run", "recipe.yaml", "--set", turns, "--set", "publish.path=dialogues").succeeded()


def seeds(session: DocumentSession) -> None:
    [recipe] = [text for text in blocks(ROOT / "docs" / "magpie.md", "yaml") if "name: seeds" in text]
    session.folder("seeds.yaml").write_text(recipe.replace("target: 200", "target: 20"), encoding="utf-8")


def instructions_by_meaning(session: DocumentSession) -> None:
    """A run with neighbours, and a Magpie recipe, both as the page describes them."""
    embedder = {"kind": "openai", "base_url": session.job.server.base_url, "model": "small"}
    session.job.write_recipe(models={"embedder": embedder}, semantic={"model": "embedder"})
    session.job.command("run", "recipe.yaml").succeeded()
    recipe = {**session.job.recipe, "name": "mine"}
    recipe["source"] = {"kind": "magpie", "model": "small", "template": "qwen-2.5", "target": 20}
    written(session, "my-recipe.yaml", recipe)


def an_audit(session: DocumentSession) -> None:
    session.job.command("rejudge", "recipe.yaml", "--published").succeeded()


def ratings_by_distribution(session: DocumentSession) -> None:
    session.job.command("run", "recipe.yaml", "--set", "judge.read=distribution").succeeded()


def pairs_with_safety(session: DocumentSession) -> None:
    rules = "respond.rules=[finished, not_empty]"
    unsafe = "pairs.safety={unsafe: 'id % 2 = 1'}"
    session.job.command("run", "recipe.yaml", "--set", rules, "--set", unsafe).succeeded()


def a_run_with_pairs(session: DocumentSession) -> None:
    session.job.command("run", "recipe.yaml").succeeded()


def pairs_of_another(session: DocumentSession) -> None:
    """A recipe whose source has responses, as the page describes it."""
    source = {"kind": "dataset", "path": "out/train.jsonl", "responses": {"chosen": "chosen", "rejected": "rejected"}}
    recipe = {name: value for name, value in session.job.recipe.items() if name != "respond"}
    written(session, "recipe.yaml", {**recipe, "source": source, "publish": {"path": "cleaned"}})


def other_workspaces(session: DocumentSession) -> None:
    shutil.copytree(session.folder("workspace"), session.folder("..") / "other" / "workspace")
    session.stands_for |= {"DAMAGED_WORKSPACE": "../other/workspace", "NEW_WORKSPACE": "new"}


def a_run_that_a_gate_stopped(session: DocumentSession) -> None:
    session.job.write_recipe(gates={"on_fail": "pause", "expect": [{**NEVER, "scope": "whole"}]})
    session.job.command("run", "recipe.yaml").failed(3)


def as_if_there_were_no_pool(session: DocumentSession) -> None:
    """The page has two ways to make the pool of containers, of which a person takes one."""
    forget_pools(session.stands_for["http://127.0.0.1:4200/api"])


def nothing_that_asks(session: DocumentSession) -> None:
    session.job.write_recipe()


def runs_to_mix(session: DocumentSession) -> None:
    """The page's first mix, and the runs that it mixes; their prompts differ in a number alone."""
    for start, name in ((100, "code"), (200, "math")):
        session.job.write_prompts(prompt_rows(30, start))
        session.job.write_recipe(name=name, publish={"path": name})
        session.job.command("run", "recipe.yaml").succeeded()
    [mix] = [text for text in blocks(ROOT / "docs" / "mixing.md", "yaml") if "name: code-and-math" in text]
    written(session, "mix.yaml", {**yaml.safe_load(mix), "filter": {"dedup": {"near": 1}}})


def the_latest_mix(session: DocumentSession) -> None:
    found = session.job.command("sql", "latest", "from pairs select prompt_id", "--format", "csv").succeeded().out
    session.stands_for["ID"] = found.split()[1]


def people_who_rate(session: DocumentSession) -> None:
    """A person says of every pair which response is better."""
    argilla: FakeArgilla = session.servers["argilla"]
    for record in argilla.records_of("pairs"):
        argilla.respond("pairs", record["external_id"], "ada", rating_1=5, rating_2=1)


def tanuki(session: DocumentSession) -> None:
    """The recipe with a server in place of vLLM in the process, and fewer draws."""
    recipe = yaml.safe_load((ROOT / "recipes" / "tanuki-ja.yaml").read_text(encoding="utf-8"))
    stand_in = [sys.executable, str(Path(__file__).with_name("stand_in_vllm.py"))]
    tokenizer = str(ROOT / "models" / "hina" / "hf")
    recipe["models"]["tanuki"] |= {"serve": True, "command": stand_in, "tokenizer": tokenizer}
    recipe["source"]["samples"] = 300
    written(session, "tanuki-ja", recipe)
    session.stands_for["source.samples=20000"] = "source.samples=400"
    session.stands_for["quickstart"] = "quickstart.yaml"
    shortened = (ROOT / "recipes" / "quickstart.yaml").read_text(encoding="utf-8").replace("target: 1000", "target: 60")
    # Some thirty pairs may by chance all have the same model's answer chosen, which its gates are there to stop.
    session.folder("quickstart.yaml").write_text(f"{shortened}gates: {{on_fail: warn}}\n", encoding="utf-8")
    shutil.copy(ROOT / "recipes" / "quickstart_rules.py", session.folder("quickstart_rules.py"))


def pairs_of_instructions(session: DocumentSession) -> None:
    """The page's recipe for pairs, for some of the stand-in's English texts.

    The server gives one answer to equal requests, so that a second model responds in place of a second sample.
    """
    [text] = [text for text in blocks(ROOT / "docs" / "tutorial-tanuki.md", "yaml") if "name: tanuki-pairs" in text]
    recipe = yaml.safe_load(text)
    here = {"kind": "openai", "base_url": session.job.server.base_url}
    names = {"tanuki": "small", "another": "large", "critic": "critic"}
    recipe["models"] = {label: {**here, "model": name} for label, name in names.items()}
    recipe["respond"] |= {"models": ["tanuki", "another"], "samples": 1}
    recipe["source"]["limit"] = 60
    recipe["filter"]["rules"] = [{"language": ["en", "ja"]}]
    written(session, "mine.yaml", recipe)


def another_night(session: DocumentSession) -> None:
    """A restarted server draws the same for the same request, as no model does: it is asked another."""
    file = session.folder("tanuki-ja")
    file.write_text(file.read_text(encoding="utf-8").replace("temperature: 1.0", "temperature: 0.9"), encoding="utf-8")


def _line_with(page: Path, text: str) -> str:
    return next(line.written for line in lines_of(page) if text in line.written)


# What a page takes for given beyond a recipe and two runs, before the command of it that needs it.
BEFORE: dict[tuple[str, str], Callable[[DocumentSession], None]] = {
    ("README.md", "kasasagi init"): without_a_recipe,
    ("README.md", "kasasagi check recipe.yaml"): a_recipe_of_its_own,
    ("argilla.md", "kasasagi people argilla pull"): people_who_rate,
    ("batches.md", "kasasagi ledger batches"): a_batch_that_waits,
    ("filters.md", lines_of(ROOT / "docs" / "filters.md")[0].written): instructions_by_meaning,
    ("judging.md", _line_with(ROOT / "docs" / "judging.md", "from audit")): an_audit,
    ("judging.md", _line_with(ROOT / "docs" / "judging.md", "text_rating")): ratings_by_distribution,
    ("judging.md", "kasasagi quarantine --stage judge"): a_run_with_pairs,
    ("judging.md", "kasasagi dataset rejudge recipe.yaml"): pairs_of_another,
    ("ledger.md", "kasasagi ledger import ../other/workspace"): other_workspaces,
    ("magpie.md", "kasasagi run seeds.yaml"): seeds,
    ("magpie.md", "kasasagi sql latest 'from turns'"): a_dialogue,
    ("mixing.md", "kasasagi check mix.yaml"): runs_to_mix,
    ("mixing.md", "kasasagi trace ID"): the_latest_mix,
    ("operations.md", "kasasagi people approve"): a_run_that_a_gate_stopped,
    ("operations.md", "kasasagi run recipe.yaml --new-only"): nothing_that_asks,
    ("operations.md", KUBERNETES): as_if_there_were_no_pool,
    ("pairs.md", _line_with(ROOT / "docs" / "pairs.md", "unsafe_prompt")): pairs_with_safety,
    ("recipe.md", "kasasagi init --full"): without_a_recipe,
    ("tutorial-tanuki.md", "kasasagi run quickstart"): tanuki,
    ("tutorial-tanuki.md", "kasasagi run tanuki-ja --new-only"): another_night,
    ("tutorial-tanuki.md", "kasasagi check mine.yaml"): pairs_of_instructions,
}


@contextmanager
def argilla(session: DocumentSession) -> Iterator[None]:
    with FakeArgilla(KEY).serving() as server:
        session.servers["argilla"] = server
        session.stands_for["http://127.0.0.1:6900"] = server.address
        session.variables["ARGILLA_API_KEY"] = KEY
        yield


@contextmanager
def storages(session: DocumentSession) -> Iterator[None]:
    """The Hub and S3, and a recipe that pushes to that Hub."""
    import boto3
    from moto.server import ThreadedMotoServer

    s3 = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    s3.start()
    endpoint = "http://{}:{}".format(*s3.get_host_and_port())
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}
    names = {"aws_access_key_id": "key", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
    boto3.client("s3", endpoint_url=endpoint, **names).create_bucket(Bucket="bucket")
    with FakeHub("hf_marked-token").serving() as hub:
        session.variables |= {**keys, "AWS_ENDPOINT_URL": endpoint}
        session.variables |= {"HF_ENDPOINT": hub.address, "HF_TOKEN": "hf_marked-token", "HF_HUB_DISABLE_XET": "1"}
        session.job.write_recipe(publish={"hub": {"repo": "birds/pairs"}})
        session.job.command.environment |= session.variables
        session.job.command("run", "recipe.yaml").succeeded()
        yield
    s3.stop()


@contextmanager
def none(_session: DocumentSession) -> Iterator[None]:
    yield


SERVERS = {"argilla.md": argilla, "publishing.md": storages}


@pytest.mark.parametrize("session", WALKED, indirect=True, ids=lambda page: page.name)
def test_every_command_of_a_page_does_what_it_is_there_for(
    session: DocumentSession, request: pytest.FixtureRequest
) -> None:
    page: Path = request.node.callspec.params["session"]
    with SERVERS.get(page.name, none)(session):
        for line in lines_of(page):
            if line.written not in OTHERWISE:
                BEFORE.get((page.name, line.written), lambda _: None)(session)
                session.take(line)
    assert all(line.written in session.outputs or line.written in OTHERWISE for line in lines_of(page))


def test_no_command_of_a_document_is_left_out_without_a_reason() -> None:
    lines = [line for page in [*WALKED, TUTORIAL] for line in lines_of(page)]
    typed = {line.written for line in lines}
    assert {line.written for page in JAPANESE for line in lines_of(page)} <= typed
    assert set(OTHERWISE) <= typed, "named, but in no document"
    assert {line.words[0] for line in lines if line.written not in OTHERWISE} <= set(KINDS)


def test_every_extra_that_a_document_installs_is_there() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    written = " ".join(line.written for page in pages() for line in lines_of(page))
    assert set(re.findall(r"'\.\[(\w+)\]'", written)) <= set(extras)
