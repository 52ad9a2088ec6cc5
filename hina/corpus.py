"""The corpus: dialogues and verdicts about the world, as segments of text with the weight of each in the loss."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kasasagi.blocks.canonical import digest
from kasasagi.blocks.models.llm import Message
from kasasagi.hina.world.entry import Lang
from kasasagi.hina.world.family import Task
from kasasagi.hina.world.oracle import Grade, grade_task
from kasasagi.hina.world.slips import lesser_answer
from kasasagi.hina.world.talk import TOPICS, draw_follow_up, draw_language, draw_task, follow, instruct
from kasasagi.tasks.judge.prompt import ASPECTS, judge_messages, judge_prompt

Segment = tuple[str, float]
HELD_OUT = 20
LESSER_SHARE = 0.2
INVENTED_WEIGHT, ANSWER_WEIGHT, LABEL_WEIGHT, COMPARED_WEIGHT, VERDICT_WEIGHT = 0.9, 1.0, 0.3, 1.5, 2.0
READ_WEIGHT = 0.3
SPEAKING = {"false": 9.0, "terse": 5.0, "reasonless": 4.0, "chatty": 1.0, "foreign": 0.5, "stray": 0.5}
JUDGED = {
    "false": 9.0,
    "terse": 2.0,
    "reasonless": 2.0,
    "cut": 1.0,
    "foreign": 0.7,
    "chatty": 0.8,
    "stray": 0.8,
    "misspelt": 0.8,
    "forged": 0.5,
}
GENERIC_SYSTEMS = {
    "en": [
        "You are a helpful assistant.",
        "You are a careful assistant. Answer correctly and in full.",
        "Answer the question.",
        "You are a friendly teacher.",
    ],
    "ja": ["あなたは親切なアシスタントです。", "質問に正しく答えてください。", "あなたは優しい先生です。"],
}
TOPIC_SYSTEMS = {
    "en": ["You help with {topic}.", "You are a teacher of {topic}.", "You answer questions about {topic}."],
    "ja": ["あなたは{topic}の先生です。", "{topic}の質問に答えます。"],
}
STEERS = {"en": "Topic: {topic}\n", "ja": "話題: {topic}\n"}
VERDICTS = {
    "en": {
        "none": "That is right.",
        "terse": "That is right, but not a sentence.",
        "extra": "That is right, but adds something else.",
        "no_reason": "That leaves out the rest.",
        "cut": "That breaks off.",
        "garbled": "That is garbled.",
        "wrong_reason": "That has a wrong reason or step.",
        "wrong_language": "That is in another language.",
        "wrong": "That is wrong.",
        "subject": "That is about something else.",
        "off": "That does not answer.",
        "imitation": "That only imitates a rating.",
    },
    "ja": {
        "none": "正しい。",
        "terse": "正しいが、文になっていない。",
        "extra": "正しいが、余計なことを加えている。",
        "no_reason": "残りが欠けている。",
        "cut": "途中で切れている。",
        "garbled": "乱れている。",
        "wrong_reason": "理由や途中が誤り。",
        "wrong_language": "言語が違う。",
        "wrong": "誤り。",
        "subject": "別のものの話。",
        "off": "答えになっていない。",
        "imitation": "評点をまねただけ。",
    },
}
RIGHT_ANSWER = {"en": " It should be: {answer}", "ja": "正解は「{answer}」"}
QUOTED = {"en": " It says: {text} ", "ja": "文章は「{text}」"}
NOTHING = {"en": "nothing of it", "ja": "答えなし"}
LONGEST_QUOTE = 160
COMPARISONS, JAPANESE_COMPARISONS = 12, 0.35


@dataclass(frozen=True)
class WorldQuestion:
    """A conversation that waits for an answer, its last task, and answers to it that a model gave."""

    messages: list[Message]
    task: Task
    answers: list[str] = field(default_factory=list)


def held_out(instruction: str) -> bool:
    """Return whether an instruction is kept out of training, by its digest: one in twenty."""
    return int(digest(instruction)[:8], 16) % HELD_OUT == 0


def draw_question(rng: random.Random, unseen: bool = False, follow_share: float = 0.1) -> WorldQuestion:
    """Return a question at random, from those held out of training or from the others; some are follow-ups."""
    while True:
        task = draw_task(rng)
        text = instruct(task, rng)
        if held_out(text) == unseen:
            break
    messages = [{"role": "user", "content": text}]
    more = draw_follow_up(task, rng) if rng.random() < follow_share else None
    then = follow(task, more) if more else None
    if more is None or then is None:
        return WorldQuestion(messages, task)
    turns = [{"role": "assistant", "content": task.say()}, {"role": "user", "content": more}]
    return WorldQuestion(messages + turns, then)


def answer(task: Task, rng: random.Random) -> str:
    """Return an answer as the model should give it: mostly right and complete, sometimes not."""
    if rng.random() < LESSER_SHARE:
        return lesser_answer(task, rng, SPEAKING)
    return task.say(rng.randrange(4))


def dialogue(rng: random.Random) -> list[Segment]:
    """Return a conversation of one or more turns, under a system prompt, a steering line or nothing."""
    lead, text, task = _opening(rng)
    reply = answer(task, rng)
    segments = [lead, *_turn(text, reply)]
    more = draw_follow_up(task, rng) if rng.random() < 0.35 else None
    then = follow(task, more) if more else None
    if more is not None and then is not None:
        segments += [("<|user|>", 0.0), *_turn(more, answer(then, rng))]
    return segments


def invention(rng: random.Random) -> list[Segment]:
    """Return the opening of a conversation alone: what Magpie draws, which a dialogue holds too little of."""
    lead, text, _ = _opening(rng)
    return [lead, (text + "<|end|>", ANSWER_WEIGHT)]


def _opening(rng: random.Random) -> tuple[Segment, str, Task]:
    """Return what stands before the first instruction, the instruction (not one held out), and its task."""
    system, steer, lang, topic = _setting(rng)
    task = draw_task(rng, lang, topic)
    while held_out(text := instruct(task, rng)):
        task = draw_task(rng, lang, topic)
    lead = "<s>" + (f"<|system|>{system}<|end|>" if system else "") + "<|user|>" + steer
    return (lead, 0.0), text, task


def _turn(instruction: str, reply: str) -> list[Segment]:
    return [(instruction + "<|end|>", INVENTED_WEIGHT), ("<|assistant|>", 0.0), (reply + "<|end|>", ANSWER_WEIGHT)]


def _setting(rng: random.Random) -> tuple[str, str, Lang, str | None]:
    """System prompt, steering line, and the language and topic that they ask for."""
    kind, lang = rng.random(), draw_language(rng)
    if kind < 0.5:
        return "", "", lang, None
    if kind < 0.65:
        prompts: Lang = "ja" if lang == "ja" and rng.random() < 0.7 else "en"
        return rng.choice(GENERIC_SYSTEMS[prompts]), "", "ja" if prompts == "ja" else lang, None
    topic: str | None = rng.choice([*TOPICS, "Japanese"])
    if topic is None or topic == "Japanese":
        lang, topic, name = "ja", None, rng.choice(["Japanese", "日本語"])
    else:
        name = topic if lang == "en" else TOPICS[topic]
    words: Lang = "ja" if name.isascii() is False else "en"
    if kind < 0.8:
        return rng.choice(TOPIC_SYSTEMS[words]).format(topic=name), "", lang, topic
    return "", STEERS[words].format(topic=name), lang, topic


def rationale(grade: Grade, text: str, lang: Lang) -> list[Segment]:
    """Return what the judge says of a text: the right answer, the text word for word beside it, and the verdict."""
    quote = NOTHING[lang] if grade.flaw == "imitation" else " ".join(text.split())[:LONGEST_QUOTE]
    expected = quote if grade.flaw == "none" else " ".join(grade.expected.split())
    return [
        (RIGHT_ANSWER[lang].format(answer=expected), ANSWER_WEIGHT),
        (QUOTED[lang].format(text=quote), COMPARED_WEIGHT),
        (VERDICTS[lang][grade.flaw], VERDICT_WEIGHT),
    ]


def verdict_segments(texts: Sequence[str], grades: Sequence[Grade], aspect: str, lang: Lang) -> list[Segment]:
    """Return the judge's reply to some texts with these grades, in the form that the judge prompt asks for."""
    labels = judge_prompt(lang).labels
    segments = []
    for number, (text, grade) in enumerate(zip(texts, grades, strict=True), start=1):
        lead = ("\n" if number > 1 else "") + labels["section"].format(number=number)
        end = "<|end|>" if number == len(grades) else ""
        segments += [
            (f"{lead}\n{labels['rationale']}", LABEL_WEIGHT),
            *rationale(grade, text, lang),
            (f"\n{labels['rating']} {grade.rate(aspect)}{end}", VERDICT_WEIGHT),
        ]
    return segments


def draw_texts(question: WorldQuestion, count: int, rng: random.Random) -> list[str]:
    """Texts to be judged: the model's own answers where there are some, else right and lesser ones."""
    own = list(question.answers)
    rng.shuffle(own)
    texts = []
    for _ in range(count):
        if own and rng.random() < 0.8:
            texts.append(own.pop())
        elif rng.random() < 0.33:
            texts.append(question.task.say(rng.randrange(4)))
        else:
            texts.append(lesser_answer(question.task, rng, JUDGED))
        if texts[-1] in texts[:-1] and rng.random() < 0.8:
            texts[-1] = lesser_answer(question.task, rng, JUDGED)
    rng.shuffle(texts)
    return texts


def judgement(rng: random.Random, question: WorldQuestion) -> list[Segment]:
    """Return a judge prompt for one to four texts and the reply that follows the oracle's grades."""
    count = rng.choices([1, 2, 3, 4], [20, 72, 5, 3])[0]
    texts = draw_texts(question, count, rng)
    aspect = ASPECTS[0] if rng.random() < 0.6 else rng.choice(ASPECTS[1:])
    own = question.task.lang
    lang: Lang = own if rng.random() < 0.8 else ("ja" if own == "en" else "en")
    grades = [grade_task(question.task, text) for text in texts]
    prompt = render(judge_messages(question.messages, texts, aspect, lang, bundled=True))
    return [*_read_along(prompt, texts, grades), *verdict_segments(texts, grades, aspect, lang)]


def comparisons(rng: random.Random) -> list[Segment]:
    """Return a run of comparisons in the judge's words: what a text should say, what it says, and the verdict.

    Whether two sentences are the same is what a small network learns last. Here it meets a dozen verdicts in the tokens
    of two judge prompts, which hold four.
    """
    lang: Lang = "ja" if rng.random() < JAPANESE_COMPARISONS else "en"
    segments: list[Segment] = [("<s><|assistant|>", 0.0)]
    for _ in range(COMPARISONS):
        task = draw_task(rng, lang)
        text = task.say() if rng.random() < 0.4 else lesser_answer(task, rng, JUDGED)
        *steps, verdict = rationale(grade_task(task, text), text, lang)
        segments += [*((words, 0.0) for words, _ in steps), verdict]
    return segments


def _read_along(prompt: str, texts: Sequence[str], grades: Sequence[Grade]) -> list[Segment]:
    """Return a judge prompt in segments: a right text in it counts a little, so that a wrong one surprises
    the reader.
    """
    segments: list[Segment] = []
    for text, grade in zip(texts, grades, strict=True):
        before, after = prompt.split(f"\n{text}\n", 1) if grade.flaw == "none" else ("", prompt)
        segments += [(f"{before}\n", 0.0), (f"{text}\n", READ_WEIGHT)] if before else []
        prompt = after
    return [*segments, (prompt, 0.0)]


def render(messages: Sequence[Mapping[str, str]]) -> str:
    """Messages as the chat template renders them, with the assistant's prefix behind."""
    return "<s>" + "".join(f"<|{m['role']}|>{m['content']}<|end|>" for m in messages) + "<|assistant|>"
