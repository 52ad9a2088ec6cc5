"""The recipe that `kasasagi init` writes."""

TEMPLATE = """\
# A recipe for kasasagi. `kasasagi check` says what is wrong with it, `kasasagi plan` what it will cost,
# `kasasagi run` runs it. What is left out has the default that `kasasagi schema` tells.
name: my-first-pairs

source:
  kind: dataset                   # or magpie: a model invents the prompts
  path: prompts.jsonl             # jsonl, json, csv, parquet, a folder saved by datasets, or a Hub id
  columns: {instruction: prompt}  # ours: theirs; or messages, for conversations
  # keep: [id, topic]             # columns carried to every table and to the output
  # limit: 1000

models:
  small: {kind: openai, base_url: "http://127.0.0.1:8000/v1", model: small}
  large: {kind: openai, base_url: "http://127.0.0.1:8001/v1", model: large}
  critic:
    kind: openai                  # without base_url: OpenAI itself
    model: gpt-4o-mini
    api_key_env: OPENAI_API_KEY   # the variable that holds the key; never the key itself
    usd_per_million_tokens: {input: 0.15, output: 0.60}

filter:
  rules: [{min_chars: 10}, {max_chars: 4000}]
  # where: {not_mine: "instruction NOT LIKE '%your home%'"}   # a reason, and the SQL that a row must satisfy

respond:
  models: [small, large]
  samples: 1                      # answers of each model to each prompt
  # system_prompt: You are a helpful assistant.
  sampling: {temperature: 0.8, max_tokens: 2048}

judge:
  model: critic
  aspects: [overall-rating]       # helpfulness, honesty, instruction-following, truthfulness
  orders: both                    # both orders of the texts; random asks once

pairs: {min_margin: 1}

gates: {on_fail: stop}            # or warn

# budget: {usd: 5}                # of one run; or tokens, or calls

publish: {path: out/my-first-pairs}
"""
