"""The job as a distilabel pipeline with its cache on."""

import json
import sys
from pathlib import Path

from distilabel.models import OpenAILLM
from distilabel.pipeline import Pipeline
from distilabel.steps import GroupColumns, LoadDataFromDicts
from distilabel.steps.tasks import TextGeneration


def model(job: dict, name: str) -> OpenAILLM:
    """Return a model at the simulated server."""
    return OpenAILLM(model=name, base_url=job["base_url"], api_key="none", max_retries=6, timeout=120)


def main(job: dict) -> None:
    """Build the pipeline, run it and write the rows."""
    rows = [{"instruction": prompt} for prompt in job["prompts"] if len(prompt) >= job["least_chars"]]
    batch = min(len(rows), job["slots"])
    template = job["judge"].replace("{instruction}", "{{ instruction }}")
    template = template.replace("{small}", "{{ generations[0] }}").replace("{large}", "{{ generations[1] }}")
    template = "{% if generations %}" + template + "{% endif %}"  # it looks for the bare name of each column
    with Pipeline(name="peers", cache_dir=str(Path(job["folder"]) / "cache")) as pipeline:
        load = LoadDataFromDicts(data=rows, batch_size=batch)
        answers = [
            TextGeneration(name=name, llm=model(job, name), input_batch_size=batch) for name in ("small", "large")
        ]
        group = GroupColumns(columns=["generation"], output_columns=["generations"], input_batch_size=batch)
        judge = TextGeneration(
            name="judge",
            llm=model(job, "critic"),
            template=template,
            columns=["instruction", "generations"],
            input_batch_size=batch,
            output_mappings={"generation": "verdict"},
        )
        load >> answers >> group >> judge
    distiset = pipeline.run(use_cache=True)
    rows = distiset["default"]["train"].to_list()
    Path(job["folder"], "out.json").write_text(json.dumps(rows, default=str))


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
