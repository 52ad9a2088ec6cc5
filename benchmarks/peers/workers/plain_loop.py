"""The job as a plain loop around the openai client: two answers to each prompt, then a judge; nothing is kept."""

import asyncio
import json
import sys
from pathlib import Path

import openai


async def main(job: dict) -> None:
    """Ask all, a bounded number at a time, and write the rows."""
    client = openai.AsyncOpenAI(base_url=job["base_url"], api_key="none", http_client=openai.DefaultAioHttpClient())
    places = asyncio.Semaphore(job["slots"])

    async def ask(model: str, text: str) -> str:
        async with places:
            reply = await client.chat.completions.create(model=model, messages=[{"role": "user", "content": text}])
        return reply.choices[0].message.content or ""

    async def line(prompt: str) -> dict:
        small, large = await asyncio.gather(ask("small", prompt), ask("large", prompt))
        judged = job["judge"].format(instruction=prompt, small=small, large=large)
        return {"instruction": prompt, "small": small, "large": large, "verdict": await ask("critic", judged)}

    rows = await asyncio.gather(*(line(prompt) for prompt in job["prompts"] if len(prompt) >= job["least_chars"]))
    Path(job["folder"], "out.json").write_text(json.dumps(rows))


if __name__ == "__main__":
    asyncio.run(main(json.loads(Path(sys.argv[1]).read_text())))
