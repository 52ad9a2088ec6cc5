"""Ourselves and others: `python -m benchmarks.peers` has the same job done in turn on the same simulated server.

Two models answer each prompt and a third judges both answers: three calls a prompt, with 0.2 s to the first token and
10 ms for each of 100±30 tokens. Each tool has an environment of its own, made here where it is not there, and is left
out where it will not install. Measured are: the share of the slots that is busy between the first call and the last;
all seconds, and those before the first call, while calls were under way and after the last; CPU seconds and peak memory
of all its processes; and the calls that are sent again after a kill at half of the work, sent after one more row, after
a changed filter and after another judge prompt. Prints a Markdown table.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.fake_server import FakeServer

ROOT = Path(__file__).parents[2]
WORKERS = Path(__file__).parent / "workers"
TOOLS: dict[str, tuple[str, tuple[str, ...]]] = {
    "kasasagi": ("with_kasasagi.py", ()),
    "plain openai loop": ("plain_loop.py", ()),
    "distilabel": ("with_distilabel.py", ("distilabel[openai]", "requests")),
    "Curator": ("with_curator.py", ("bespokelabs-curator",)),
    "Data Designer": ("with_designer.py", ("data-designer",)),
}
JUDGE = "Which answer is better?\nInstruction: {instruction}\nA: {small}\nB: {large}"
OTHER_JUDGE = "Which answer is more useful?\nInstruction: {instruction}\nA: {small}\nB: {large}"
ASPECT, OTHER_ASPECT = "overall-rating", "helpfulness"
WORDS = ("river", "stone", "winter", "answer", "market", "letter", "garden", "signal", "bridge", "window")
LATENCY: dict[str, Any] = {"first_token_s": 0.2, "per_token_s": 0.01, "tokens_mean": 100, "tokens_sd": 30}
LEAST_CHARS = 20
LATER_RUNS = 3.0
LATER_RUNS_S = 60.0
COUNTED = {
    "share": "busy share of the slots",
    "seconds": "seconds",
    "phases": "of them before the first call / asking / after the last",
    "cpu_seconds": "CPU seconds",
    "peak_mb": "peak memory, MB",
    "after_a_kill": "calls re-sent after a kill",
    "one_more_row": "calls after one more row",
    "changed_filter": "calls after a changed filter",
    "changed_judge": "calls after another judge prompt",
}


@dataclass
class Usage:
    """What the processes of one tool have used so far; a process that ended counts with what was seen of it last."""

    cpu: dict[int, float] = field(default_factory=dict)
    peak: int = 0

    def look(self, root: psutil.Process) -> None:
        """Add up the tool's processes as they are now."""
        resident = 0
        try:
            processes = [root, *root.children(recursive=True)]
        except psutil.Error:
            return
        for process in processes:
            try:
                times = process.cpu_times()
                self.cpu[process.pid] = times.user + times.system
                resident += process.memory_info().rss
            except psutil.Error:
                continue
        self.peak = max(self.peak, resident)


@dataclass
class Done:
    """One run of a tool: how it ended, when it began by the monotonic clock, and what it cost."""

    code: int | None
    started: float
    seconds: float
    cpu: float
    peak: int


class Tool:
    """One way to do the job, in a folder of its own."""

    def __init__(self, name: str, python: Path, server: FakeServer, patience_s: float) -> None:
        self.name, self.patience_s = name, patience_s
        self._python, self._server = python, server

    def run(self, folder: Path, prompts: Sequence[str], kill_at: int | None = None, **changes: Any) -> Done:
        """Do the job once, or until so many calls are finished; a run beyond our patience is killed, code None."""
        folder.mkdir(parents=True, exist_ok=True)
        job = {"prompts": list(prompts), "base_url": self._server.base_url, "slots": self._server.config.slots}
        job |= {"folder": str(folder), "judge": JUDGE, "aspect": ASPECT, "least_chars": 0, **changes}
        (folder / "out.json").unlink(missing_ok=True)
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
        usage, started = Usage(), time.monotonic()
        with (folder / "output.txt").open("ab") as output:
            process = subprocess.Popen(
                [str(self._python), str(WORKERS / TOOLS[self.name][0]), str(folder / "job.json")],
                cwd=folder,
                env={
                    **os.environ,
                    "PYTHONPATH": str(ROOT / "src") if self.name == "kasasagi" else "",
                    **_quiet(folder),
                },
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        killed = self._watch(process, usage, kill_at, started)
        seconds = time.monotonic() - started
        return Done(None if killed else process.returncode, started, seconds, sum(usage.cpu.values()), usage.peak)

    def _watch(self, process: "subprocess.Popen[bytes]", usage: Usage, kill_at: int | None, started: float) -> bool:
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            usage.look(watched)
            enough = kill_at is not None and self._server.stats()["samples_finished"] >= kill_at
            if enough or time.monotonic() - started > self.patience_s:
                kill(process.pid)
                process.wait()
                return True
            time.sleep(0.1)
        return False


def kill(pid: int) -> None:
    """Kill -9 a process and all that it started."""
    root = psutil.Process(pid)
    for process in [*root.children(recursive=True), root]:
        try:
            process.send_signal(signal.SIGKILL)
        except psutil.Error:
            continue


def _quiet(folder: Path) -> dict[str, str]:
    """Return settings by which nothing is sent home, and nothing is read from a person's own caches."""
    return {
        "HF_HUB_OFFLINE": "1",
        "DO_NOT_TRACK": "1",
        "TELEMETRY_ENABLED": "false",
        "NEMO_TELEMETRY_ENABLED": "false",
        "HF_HOME": str(folder / "hf"),
        "HOME": str(folder),
        "PREFECT_HOME": str(folder / "prefect"),
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }


def prompts_for(count: int) -> list[str]:
    """Different prompts; every tenth is short, so that a filter can tell."""
    return [
        f"Explain {number}."
        if number % 10 == 0
        else f"Explain number {number} to a friend: {' '.join(WORDS[(number * k) % 10] for k in range(1, 12))}."
        for number in range(count)
    ]


def environment(name: str, folder: Path) -> Path | None:
    """Return the interpreter of a tool's own environment, made where it is not there; None where it will
    not install.
    """
    packages = TOOLS[name][1]
    if not packages:
        return Path(sys.executable)
    place = folder / name.lower().replace(" ", "-")
    python = place / "bin" / "python"
    if not (place / ".ready").exists():
        made = subprocess.run([sys.executable, "-m", "venv", str(place)], capture_output=True, check=False)
        command = [str(python), "-m", "pip", "install", "--quiet", *packages]
        if made.returncode or subprocess.run(command, capture_output=True, check=False).returncode:
            return None
        (place / ".ready").touch()
    return python


def version(name: str, python: Path) -> str:
    """Return a tool's version behind its name, as it is installed there."""
    packages = TOOLS[name][1]
    if not packages:
        return name
    command = f"import importlib.metadata as m; print(m.version({packages[0].partition('[')[0]!r}))"
    found = subprocess.run([str(python), "-c", command], capture_output=True, text=True, check=True).stdout.strip()
    return f"{name} {found}"


def sent(server: FakeServer) -> int:
    """Calls that reached a model since the accounts were last reset."""
    return int(server.stats()["samples_begun"])


def measure(tool: Tool, server: FakeServer, folder: Path, prompts: Sequence[str]) -> dict[str, Any]:
    """Return all figures of one tool; a run that fails or takes too long gives a remark instead."""
    server.reset_stats()
    first = tool.run(folder / "job", prompts)
    stats = server.stats()
    figures: dict[str, Any] = {"seconds": round(first.seconds, 1), "cpu_seconds": round(first.cpu, 1)}
    figures["peak_mb"] = first.peak // 2**20
    if first.code != 0:
        print((folder / "job" / "output.txt").read_text(errors="replace")[-2_000:], file=sys.stderr)
        return {**figures, "seconds": _ending(first)}
    figures |= {"share": f"{stats['utilisation']:.1%}", "phases": _phases(first, stats)}
    tool.patience_s = LATER_RUNS * first.seconds + LATER_RUNS_S
    left = sum(len(prompt) >= LEAST_CHARS for prompt in prompts)
    changes: tuple[tuple[str, list[str], int, dict[str, Any]], ...] = (
        ("one_more_row", [*prompts, "Explain what was never asked before."], len(prompts) + 1, {}),
        ("changed_filter", list(prompts), left, {"least_chars": LEAST_CHARS}),
        ("changed_judge", list(prompts), len(prompts), {"judge": OTHER_JUDGE, "aspect": OTHER_ASPECT}),
    )
    for name, changed, wanted, options in changes:
        server.reset_stats()
        done = tool.run(folder / "job", changed, **options)
        figures[name] = f"{sent(server)}{_remark(done, folder / 'job', wanted)}"
    figures["after_a_kill"] = _after_a_kill(tool, server, folder / "killed", prompts)
    return figures


def _phases(done: Done, stats: dict[str, Any]) -> str:
    """Return the seconds of a run before its first call, between the first and the last, and after the last."""
    before, asking = stats["first_call"] - done.started, stats["span_s"]
    return f"{before:.1f} / {asking:.1f} / {done.seconds - before - asking:.1f}"


def _after_a_kill(tool: Tool, server: FakeServer, folder: Path, prompts: Sequence[str]) -> str:
    """Calls that were begun a second time, when a run was killed at half of the work and started again."""
    server.reset_stats()
    half = len(prompts) * 3 // 2
    tool.run(folder, prompts, kill_at=half)
    if server.stats()["samples_finished"] < half:
        return "half was not reached"
    done = tool.run(folder, prompts)
    again = int(server.stats()["samples_begun_again"])
    return f"{again}{_remark(done, folder, len(prompts))}"


def _remark(done: Done, folder: Path, wanted: int) -> str:
    """Return the remark on a run that did not end well, or whose rows are not those that were asked for."""
    if done.code != 0:
        return f", {_ending(done)}"
    file = folder / "out.json"
    rows = len(json.loads(file.read_bytes())) if file.exists() else wanted
    return "" if rows == wanted else f", but gave {rows} rows for {wanted}"


def _ending(done: Done) -> str:
    return "did not end" if done.code is None else f"failed ({done.code})"


def table(found: dict[str, dict[str, Any]], prompts: int, slots: int) -> str:
    """Return the figures as a Markdown table."""
    head = f"| {prompts:,} prompts, {slots} slots | " + " | ".join(found) + " |"
    rows = [
        f"| {words} | " + " | ".join(str(figures.get(name, "")) for figures in found.values()) + " |"
        for name, words in COUNTED.items()
    ]
    return "\n".join([head, "| --- |" + " --- |" * len(found), *rows])


def measured(name: str, environments: Path, prompts: int, slots: int, patience_s: float) -> dict[str, dict[str, Any]]:
    """Return the figures of one tool under its name and version, against a server of its own."""
    python = environment(name, environments)
    if python is None:
        return {name: {"seconds": "does not install"}}
    with tempfile.TemporaryDirectory() as folder, FakeServer(slots=slots, record=0, **LATENCY) as server:
        tool = Tool(name, python, server, patience_s)
        return {version(name, python): measure(tool, server, Path(folder), prompts_for(prompts))}


def main() -> None:
    """Measure each tool in its turn, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=2_000)
    parser.add_argument("--slots", type=int, default=512)
    parser.add_argument("--patience", type=float, default=600.0, help="seconds after which a first run is given up")
    parser.add_argument("--environments", type=Path, default=Path(tempfile.gettempdir()) / "kasasagi-peers")
    parser.add_argument("--only", nargs="*", choices=list(TOOLS), default=list(TOOLS))
    arguments = parser.parse_args()
    found: dict[str, dict[str, Any]] = {}
    for name in arguments.only:
        place = arguments.environments.absolute()
        one = measured(name, place, arguments.prompts, arguments.slots, arguments.patience)
        print(json.dumps(one), file=sys.stderr, flush=True)
        found |= one
    print(f"{platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}", file=sys.stderr)
    print(table(found, arguments.prompts, arguments.slots))


if __name__ == "__main__":
    main()
