"""The stage `filter`: it filters prompts."""

from kasasagi.blocks.tables import PROMPTS, Table
from kasasagi.tasks.gate.expectation import rows, unique
from kasasagi.tasks.gate.gate import Gate
from kasasagi.tasks.stage import Stage

# Version 2: rules on texts that find more, and err less. 3: personal data is looked for in every turn, telephone
# numbers may have blanks, questions about a city are no address. 4: superscripts, indentation and lines of code tell
# exact duplicates apart, Chinese is not Japanese, rules on texts find more. 5: line breaks count in exact duplicates
# but in clear prose, rules on texts find more.
FILTER = Stage(
    "filter",
    version=5,
    wanted=lambda recipe: True,
    task="kasasagi.tasks.filter.task:filter_prompts",
    tables=(Table("prompts", PROMPTS, replaced=True),),
    pays=False,
    gate=Gate(
        "SELECT prompt_id, length(instruction) AS characters, finish_reason FROM prompts",
        "prompt_id",
        (rows("filter"), unique("filter", "prompt_id")),
        table="prompts",
    ),
)
ORIGINALS, REWRITES = 0, 1
"""The two parts of the prompts: those of the source, and those that are made of them."""
