"""The job with Curator: two models one after the other, then a judge, each with its cache."""

import json
import sys
from pathlib import Path

from bespokelabs import curator
from bespokelabs.curator.request_processor.online.openai_online_request_processor import OpenAIOnlineRequestProcessor


class Characters:
    """Counts tokens where tiktoken's tables cannot be fetched: about four characters each."""

    def encode(self, text: str, **options: object) -> range:
        """Return as many numbers as there are tokens."""
        return range(len(text) // 4)


OpenAIOnlineRequestProcessor.get_token_encoding = lambda self: Characters()


class Answer(curator.LLM):
    """One answer to an instruction."""

    column = ""

    def prompt(self, row: dict) -> str:
        """Return the instruction as it is."""
        return row["instruction"]

    def parse(self, row: dict, response: str) -> dict:
        """Return the row with the answer in this model's column."""
        return {**row, self.column: response}


class Small(Answer):
    """The small model's answer."""

    column = "small"


class Large(Answer):
    """The large model's answer."""

    column = "large"


class Judge(curator.LLM):
    """A verdict on both answers."""

    template = ""

    def prompt(self, row: dict) -> str:
        """Return the judge's prompt."""
        return self.template.format(**row)

    def parse(self, row: dict, response: str) -> dict:
        """Return the row with the verdict."""
        return {**row, "verdict": response}


def main(job: dict) -> None:
    """Ask all models in their order and write the rows."""
    params = {
        "base_url": job["base_url"],
        "api_key": "none",
        "max_requests_per_minute": 10**7,
        "max_tokens_per_minute": 10**10,
        "max_concurrent_requests": job["slots"],
        "max_retries": 6,
    }
    rows = [{"instruction": prompt} for prompt in job["prompts"] if len(prompt) >= job["least_chars"]]
    Judge.template = job["judge"]
    for kind, name in ((Small, "small"), (Large, "large"), (Judge, "critic")):
        llm = kind(model_name=name, backend="openai", backend_params=params)
        rows = llm(rows, working_dir=str(Path(job["folder"]) / "cache")).dataset.to_list()
    Path(job["folder"], "out.json").write_text(json.dumps(rows))


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
