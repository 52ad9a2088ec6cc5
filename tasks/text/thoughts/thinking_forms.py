"""How models mark their thinking: a table, in which a further model's form is one more line."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Form:
    """One way to mark thinking, as regular expressions.

    Attributes:
        begin: What stands in front of the thinking.
        end: What stands behind it; \\1 is the first group of begin.
        lone: Whether an end without a beginning marks thinking too.
        must_end: Whether a beginning without an end is text, since it consists of plain words.
        own_line: Whether a beginning without an end must end its line, since prose may name the tag.
        names: What \\1 may be, for an end without a beginning.
    """

    begin: str
    end: str
    lone: bool = False
    must_end: bool = False
    own_line: bool = False
    names: str = ""

    @property
    def any_end(self) -> str:
        """The end of thinking whose beginning is not known."""
        return self.end.replace(r"\1", f"(?:{self.names})")


def _tag(names: str, behind: str = "", signs: tuple[str, str] = ("<", ">"), **how: bool) -> Form:
    opened, closed = signs
    return Form(rf"{opened}\s*({names})\s*{closed}", rf"{opened}/\s*\1\s*{closed}{behind}", names=names, **how)


def own_form(begin: str, end: str) -> Form:
    """Return the form of a model that writes these texts around its thinking; "" begins nothing."""
    return Form(re.escape(begin) if begin else r"(?!)", re.escape(end), lone=True)


THINK_NAMES = r"(?:\w{1,12}[:|])?think(?:_\w{1,40}|:\w{1,20})?|longcat_think|seed:cot_budget_reflect"
"""Tags that hardly anything but a model writes: think, seed:think, mm:think, ifm|think_fast, think_faster."""
WORD_NAMES = (
    r"(?:ant)?thinking|thoughts?|reasoning|scratchpad|(?:inner|internal)_(?:monologue|thoughts?|reasoning)"
    r"|thought_process|chain_of_thought"
    r"|reflection"
)
"""Tags that consist of plain words, so that prose and XML may hold them."""
SQUARE_NAMES = r"REASONING|THOUGHTS?|SCRATCHPAD"
HARMONY_FINAL = r"(?<![_-])(?-i:assistantfinal(?![_.=(-]|[ \t]+[a-z]))"
"""What gpt-oss writes between its thinking and its answer, without the control tokens."""
HARMONY_BEGIN = r"(?<!\w)(?-i:(?:analysis|commentary)(?=[A-Z]))"
"""What begins such thinking; in the middle of a text, only a quote of it does."""
_ANSWER_NAMES = r"answer|response|output|final|final_answer|solution"
FORMS = (
    # DeepSeek, Qwen, GLM, MiniMax, Nemotron, SmolLM; ByteDance Seed; LongCat; K2, K2-Horizon.
    _tag(THINK_NAMES, lone=True),
    # EXAONE Deep, Marco-o1, Reflection, Claude's and many prompts.
    _tag(WORD_NAMES, own_line=True),
    # The same behind a page that escapes them; Open WebUI.
    _tag(THINK_NAMES, signs=("&lt;", "&gt;"), lone=True),
    _tag(WORD_NAMES, signs=("&lt;", "&gt;"), own_line=True),
    Form(r"<details\b[^<>\n]{0,100}\btype=[\"']reasoning[\"'][^<>\n]{0,100}>", r"</details>"),
    # XML has such elements too: only in front of an answer, not of a further element.
    _tag(r"analysis|reason|rationale|cot", rf"(?=\s*(?:[^\s<]|<(?:{_ANSWER_NAMES})>))", must_end=True),
    # Magistral; prompts for it; Command A Reasoning; Kimi; Gemma 4; Sky-T1; Apertus; PLaMo 3; DeepSeek V4.
    Form(r"\[(THINK(?:ING)?)\]", r"\[/\1\]", lone=True, names=r"THINK(?:ING)?"),
    Form(rf"\[({SQUARE_NAMES})\]", r"\[/\1\]", own_line=True, names=SQUARE_NAMES),
    Form(r"<\|START_THINKING\|>", r"<\|END_THINKING\|>", lone=True),
    Form("◁think▷", "◁/think▷", lone=True),
    Form(r"<\|channel>thought\b", r"<channel\|>", lone=True),
    Form(r"<\|begin_of_(?:thought|thinking)\|>", r"<\|end_of_(?:thought|thinking)\|>", lone=True),
    Form(r"<\|inner_prefix\|>", r"<\|inner_suffix\|>", lone=True),
    Form(r"<\|plamo:begin_think:plamo\|>", r"<\|plamo:end_think:plamo\|>", lone=True),
    Form("<｜begin▁of▁thinking｜>", "<｜end▁of▁thinking｜>", lone=True),
    Form(r"<\|(think(?:ing)?)\|>", r"<\|/\1\|>", lone=True, names=r"think(?:ing)?"),
    # gpt-oss (harmony), with its control tokens and without them.
    Form(
        r"(?:<\|start\|>assistant)?<\|channel\|>(?:analysis|commentary)[^<\n]{0,80}(?:<\|constrain\|>\w+)?<\|message\|>",
        r"<\|(?:end|call|return)\|>|(?=<\|start\|>)|(?=<\|channel\|>)",
    ),
    Form(r"(?:assistant)?(?:analysis|commentary)\s*(?=\S)", HARMONY_FINAL, lone=True, must_end=True),
    # Granite 3.2; Apriel, whose template writes the beginning.
    Form(r"Here(?: is|'s) my thought process:", r"Here(?: is|'s) my response:", must_end=True),
    Form(r"Here are my reasoning steps:", r"(?=\[BEGIN FINAL RESPONSE\])", lone=True, must_end=True),
)
WRAPPERS = (
    (r"<\|START_RESPONSE\|>", r"<\|END_RESPONSE\|>"),
    (r"(?:<\|start\|>assistant)?<\|channel\|>final[^<\n]{0,40}<\|message\|>", r"<\|(?:return|end)\|>"),
    (r"<\|begin_of_solution\|>", r"<\|end_of_solution\|>"),
    (r"\[BEGIN FINAL RESPONSE\]", r"\[END FINAL RESPONSE\](?:\s*<\|end\|>)?"),
)
"""What stands around the answer itself in some of the forms, with or without thinking."""
ENDS_OF_ANSWER = r"\[END FINAL RESPONSE\](?:\s*<\|end\|>)?|<\|END_RESPONSE\|>|<\|end_of_solution\|>"
"""What can follow an answer whose own beginning was taken for the end of thinking."""
WRAPPERS_OF_ALL = ((r"<final(?:_answer)?>", r"</final(?:_answer)?>"),)
"""Tags that mean it in a reply without thinking where both stand there."""
WRAPPERS_BEHIND_THINKING = ((rf"<(?:{_ANSWER_NAMES})>", rf"</(?:{_ANSWER_NAMES})>"),)
"""Tags that mean nothing of the kind in a reply without thinking (Hunyuan, ERNIE, Reflection)."""
