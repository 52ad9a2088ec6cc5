"""The job with Data Designer: two text columns and a verdict column over a seed dataset, resumed where it can be.

A row group is as large as the server has slots, three of them at a time, so that a kill loses no more than these.
"""

import json
import sys
from pathlib import Path

from data_designer import config
from data_designer.interface import DataDesigner
from data_designer.interface.data_designer import ResumeMode
from data_designer.interface.errors import DataDesignerGenerationError


def main(job: dict) -> None:
    """Build the columns, create the dataset and write the rows."""
    folder = Path(job["folder"])
    seed = folder / "seed.jsonl"
    rows = [{"instruction": prompt} for prompt in job["prompts"] if len(prompt) >= job["least_chars"]]
    seed.write_text("".join(json.dumps(row) + "\n" for row in rows))
    provider = config.ModelProvider(name="simulated", endpoint=job["base_url"], provider_type="openai", api_key="none")
    parameters = config.ChatCompletionInferenceParams(max_parallel_requests=job["slots"], timeout=120)
    models = [
        config.ModelConfig(
            alias=name, model=name, provider="simulated", inference_parameters=parameters, skip_health_check=True
        )
        for name in ("small", "large", "critic")
    ]
    builder = config.DataDesignerConfigBuilder(models)
    builder.with_seed_dataset(config.LocalFileSeedSource(path=str(seed)))
    for name in ("small", "large"):
        builder.add_column(config.LLMTextColumnConfig(name=name, prompt="{{ instruction }}", model_alias=name))
    template = job["judge"].replace("{", "{{ ").replace("}", " }}")
    builder.add_column(config.LLMTextColumnConfig(name="verdict", prompt=template, model_alias="critic"))
    designer = DataDesigner(artifact_path=folder / "artifacts", model_providers=[provider])
    slots = job["slots"]
    designer.set_run_config(
        config.RunConfig(buffer_size=slots, max_in_flight_tasks=max(1024, 2 * slots), otel_metrics_port=None)
    )
    try:
        made = designer.create(builder, num_records=len(rows), dataset_name="peers", resume=ResumeMode.IF_POSSIBLE)
    except DataDesignerGenerationError:  # it resumes no dataset that has more rows than are wanted now
        made = designer.create(builder, num_records=len(rows), dataset_name="peers", resume=ResumeMode.NEVER)
    made.load_dataset().to_json(folder / "out.json", orient="records")


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
