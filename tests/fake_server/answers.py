"""What the fake models say: readable, of varied length, and determined by the request alone."""

import random
import zlib

from tests.fake_server import words
from tests.fake_server.asks import KANA, Ask, Sample
from tests.fake_server.checklist import checklist_reply
from tests.fake_server.config import ServerConfig
from tests.fake_server.judge import judge_reply
from tests.fake_server.labeller import labeller_reply
from tests.fake_server.words import Language

MOST_SENTENCES = 6
DIMENSIONS = 64


class Answers:
    """The words of all models under one configuration."""

    def __init__(self, config: ServerConfig) -> None:
        self._config = config

    def tokens(self, sample: Sample) -> int:
        """The completion tokens of a sample, drawn from its digest; 0 where its text decides."""
        if not self._config.tokens_mean:
            return 0
        drawn = random.Random(f"{sample.digest}:{sample.index}:tokens").gauss(
            self._config.tokens_mean, self._config.tokens_sd
        )
        return max(1, round(drawn))

    def text(self, ask: Ask, sample: Sample, occurrence: int) -> str:
        """A good answer to a sample; occurrence counts the answers that were given to equal samples."""
        if ask.endpoint == "completions":
            number = occurrence if self._config.distinct_draws else sample.index
            return instruction(f"{sample.digest}:{number}", self._instruction_language(sample, number))
        reply = judge_reply(sample.prompt, sample.digest, self._config, "response_format" in ask.body)
        reply = reply or checklist_reply(sample.prompt, sample.digest, self._config, "response_format" in ask.body)
        reply = reply or labeller_reply(sample.prompt, sample.digest, self._config)
        if reply is not None:
            return reply
        repeats = self._config.distinct_repeats and ask.body.get("temperature", 1) > 0
        number = occurrence if repeats else sample.index
        return sentences(f"{sample.digest}:{number}", language_of(sample))

    def _instruction_language(self, sample: Sample, number: int) -> Language:
        wanted = self._config.instruction_language
        if wanted == "mixed":
            return "ja" if number % 2 else "en"
        return language_of(sample) if wanted == "auto" else wanted


def sentences(name: str, language: Language) -> str:
    """Some sentences that depend on the name alone, no two of them alike."""
    rng = random.Random(name)
    count = rng.randint(1, MOST_SENTENCES)
    pools = (words.OPENERS, words.SUBJECTS, words.VERBS, words.OBJECTS, words.TAILS)
    rows = zip(*(rng.sample(pool[language], count) for pool in pools), strict=True)
    if language == "ja":
        return "".join(
            f"{opener}、{subject}は{tail}{object_}を{verb}。" for opener, subject, verb, object_, tail in rows
        )
    return " ".join(f"{opener}, {subject} {verb} {object_} {tail}." for opener, subject, verb, object_, tail in rows)


def instruction(name: str, language: Language) -> str:
    """What a user could ask, such as a model invents behind its pre-query template; it depends on the name alone."""
    rng = random.Random(name)
    topic, reader = rng.choice(words.TOPICS[language]), rng.choice(words.READERS[language])
    task = rng.choice(words.TASKS[language]).format(topic=topic, reader=reader)
    limit = rng.choice(words.LIMITS[language]).format(number=rng.randint(2, 2000))
    if language == "ja":
        return f"{task}。{limit}。"
    question = task.startswith(("How", "What", "Why"))
    return f"{task}{'?' if question else '.'} {limit}."


def refusal(sample: Sample) -> str:
    """A typical refusal in the language of the sample."""
    return random.Random(sample.digest).choice(words.REFUSALS[language_of(sample)])


def embedding(text: str) -> list[float]:
    """A vector for a text: how often each three letters of it stand there, in few dimensions, so that like is near."""
    vector = [0.0] * DIMENSIONS
    for start in range(max(1, len(text) - 2)):
        vector[zlib.crc32(text[start : start + 3].lower().encode()) % DIMENSIONS] += 1.0
    return vector


def with_reasoning(content: str, sample: Sample, config: ServerConfig) -> dict[str, str]:
    """The fields of a chat message that carries the content and, as configured, a thinking model's reasoning."""
    thought = words.THOUGHTS[language_of(sample)][0]
    match config.reasoning:
        case "field":
            return {"content": content, "reasoning": thought}
        case "field_content":
            return {"content": content, "reasoning_content": thought}
        case "think_tags":
            return {"content": f"<think>\n{thought}\n</think>\n\n{content}"}
        case "lone_close":
            return {"content": f"{thought}\n</think>\n\n{content}"}
        case _:
            return {"content": content}


def language_of(sample: Sample) -> Language:
    """Japanese where the last user message, or the prompt, contains kana; else English."""
    return "ja" if KANA.search(_asked_text(sample)) else "en"


def prompt_tokens(sample: Sample) -> int:
    """The tokens of a sample's prompt: token ids counted, texts estimated from their length."""
    if isinstance(sample.prompt, str):
        return text_tokens(sample.prompt)
    if isinstance(sample.prompt[0], dict):
        return sum(text_tokens(message["content"]) + 4 for message in sample.prompt)
    return len(sample.prompt)


def text_tokens(text: str) -> int:
    """About how many tokens a text has: four ASCII characters each, else one and a half."""
    return 1 + (len(text) // 4 if text.isascii() else len(text) * 2 // 3)


def _asked_text(sample: Sample) -> str:
    if isinstance(sample.prompt, str):
        return sample.prompt
    for turn in reversed(sample.prompt):
        if isinstance(turn, dict) and turn["role"] == "user":
            return str(turn["content"])
    return ""
