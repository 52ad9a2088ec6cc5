"""The job with Data Designer: two text columns and a verdict column over a seed dataset, resumed where it can be."""

import json
import sys
from pathlib import Path

from data_designer import config
from data_designer.interface import DataDesigner
from data_designer.interface.data_designer import ResumeMode


def main(job: dict) -> None:
    """Build the columns, create the dataset and write the rows."""
    folder = Path(job["folder"])
    seed = folder / "seed.jsonl"
    seed.write_text("".join(json.dumps({"instruction": prompt}) + "\n" for prompt in job["prompts"]))
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
    made = designer.create(
        builder, num_records=len(job["prompts"]), dataset_name="peers", resume=ResumeMode.IF_POSSIBLE
    )
    made.load_dataset().to_json(folder / "out.json", orient="records")


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
