"""One client of `benchmarks.busy` in a process of its own: `python -m benchmarks.parts.busy_worker CLIENT JOB.json`.

The loops answer each prompt with two models and have a third compare the answers; they keep nothing. Prints what the
process used: CPU seconds, without those of processes that it started and with them, and peak memory.
"""

import asyncio
import json
import resource
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

Ask = Callable[[str, str], Awaitable[str]]
JUDGE = "Which answer is better?\nInstruction: {instruction}\nA: {small}\nB: {large}"


async def openai_loop(job: Mapping[str, Any]) -> None:
    """Ask with the openai client on aiohttp."""
    import openai

    client = openai.AsyncOpenAI(base_url=job["base_url"], api_key="none", http_client=openai.DefaultAioHttpClient())

    async def ask(model: str, text: str) -> str:
        reply = await client.chat.completions.create(model=model, messages=[{"role": "user", "content": text}])
        return reply.choices[0].message.content or ""

    await answer_all(job, ask)
    await client.close()


async def aiohttp_loop(job: Mapping[str, Any]) -> None:
    """Ask with aiohttp and orjson alone."""
    import aiohttp
    import orjson

    headers = {"content-type": "application/json"}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), headers=headers) as session:

        async def ask(model: str, text: str) -> str:
            body = orjson.dumps({"model": model, "messages": [{"role": "user", "content": text}]})
            async with session.post(f"{job['base_url']}/chat/completions", data=body) as response:
                return str(orjson.loads(await response.read())["choices"][0]["message"]["content"])

        await answer_all(job, ask)


async def answer_all(job: Mapping[str, Any], ask: Ask) -> None:
    """Have all prompts answered and judged, as many calls at a time as the server has slots."""
    places = asyncio.Semaphore(job["slots"])

    async def bounded(model: str, text: str) -> str:
        async with places:
            return await ask(model, text)

    async def one(prompt: str) -> None:
        small, large = await asyncio.gather(bounded("small", prompt), bounded("large", prompt))
        await bounded("critic", JUDGE.format(instruction=prompt, small=small, large=large))

    await asyncio.gather(*(one(prompt) for prompt in read_prompts(job)))


def read_prompts(job: Mapping[str, Any]) -> Sequence[str]:
    """Return the job's prompts."""
    lines = Path(job["prompts"]).read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["instruction"] for line in lines]


def main(client: str, job: Mapping[str, Any]) -> None:
    """Do the job with one client and print what it cost."""
    if client == "kasasagi":
        from kasasagi.flows.runner import run_recipe

        run_recipe(job["recipe"], workspace=Path(job["workspace"]))
    else:
        asyncio.run({"openai": openai_loop, "aiohttp": aiohttp_loop}[client](job))
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    used = {"cpu_s": own.ru_utime + own.ru_stime, "peak_mb": own.ru_maxrss // 1024}
    print(json.dumps({**used, "cpu_with_children_s": used["cpu_s"] + children.ru_utime + children.ru_stime}))


if __name__ == "__main__":
    main(sys.argv[1], json.loads(Path(sys.argv[2]).read_text(encoding="utf-8")))
