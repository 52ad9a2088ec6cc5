"""The recipe that `kasasagi init` writes: the essential keys, which the reference lists first."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from kasasagi.flows.recipe.yaml import read_yaml

MAGPIE = "source: {kind: magpie, model: large, target: 1000}"
TEMPLATE = f"""\
# A recipe for kasasagi with the essential keys; `kasasagi init --full` lists all of them.
# Next: `kasasagi check` finds mistakes, `kasasagi plan` shows the cost, `kasasagi run` makes the dataset.
name: my-first-pairs

source:
  kind: dataset
  path: prompts.jsonl             # jsonl, json, csv, parquet, a folder saved by datasets, or a Hub id
  columns: {{instruction: prompt}}  # kasasagi's name: your column; or messages, for conversations
  # keep: [id, topic]             # further columns to keep in every table and in the dataset
  # limit: 1000                   # read only the first rows
# {MAGPIE}  # instead: a model generates the prompts

models:
  small: {{kind: openai, base_url: "http://127.0.0.1:8000/v1", model: small}}
  large: {{kind: openai, base_url: "http://127.0.0.1:8001/v1", model: large}}
  critic:
    kind: openai                  # without base_url: OpenAI itself
    model: gpt-4o-mini
    api_key_env: OPENAI_API_KEY   # name of the environment variable that holds the key, never the key itself
    usd_per_million_tokens: {{input: 0.15, output: 0.60}}
# To try a recipe without a server, write {{kind: bundled}} for each model (small, large, critic), and under respond:
# models: [{{use: small, sampling: {{temperature: 1.0}}}}, {{use: large, sampling: {{temperature: 1.35}}}}]

filter:
  rules: [{{min_chars: 10}}, {{max_chars: 4000}}]
  # where: {{not_mine: "instruction NOT LIKE '%your home%'"}}  # reason: SQL condition that a prompt must meet

respond:
  models: [small, large]
  samples: 1                      # responses of each model to each prompt
  # system_prompt: You are a helpful assistant.
  sampling: {{temperature: 0.8, max_tokens: 2048}}

judge:
  model: critic
  aspects: [overall-rating]       # also helpfulness, honesty, instruction-following, truthfulness
  orders: both                    # show the responses in both orders; random: in one order

pairs: {{min_margin: 1}}            # smallest difference between the ratings of chosen and rejected

gates: {{on_fail: stop}}            # or warn

# budget: {{usd: 5}}                # most that one run may spend; or tokens, or calls

publish: {{path: out/my-first-pairs}}
"""
_OPTIONAL = re.compile(r"^(\s*)# ((?:keep|limit|where|system_prompt|budget): .*)$", re.MULTILINE)


def essentials() -> dict[str, Any]:
    """Return the essential keys of a recipe, as dotted paths, each with an example."""
    written = read_yaml(_OPTIONAL.sub(r"\1\2", TEMPLATE))
    written["models"] = {"NAME": {**written["models"]["small"], **written["models"]["critic"]}}
    written["models"]["NAME"]["base_url"] = "http://127.0.0.1:8000/v1"
    found = dict(_keys(read_yaml(MAGPIE))) | dict(_keys(written))
    parts = list(written)
    return dict(sorted(found.items(), key=lambda entry: parts.index(entry[0].partition(".")[0])))


def _keys(part: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the keys of a part of a recipe; a mapping of sampling, columns, reasons or prices is one value."""
    for key, value in part.items():
        name = f"{path}.{key}" if path else key
        whole = name.rpartition(".")[2] in {"columns", "where", "sampling", "usd_per_million_tokens"}
        if isinstance(value, Mapping) and not whole:
            yield from _keys(value, name)
        else:
            yield name, value
