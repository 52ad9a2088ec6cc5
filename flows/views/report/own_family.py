"""Judges that rate answers of their own family, on the page."""

from kasasagi.flows.views.language import say
from kasasagi.flows.views.report.facts import Facts
from kasasagi.flows.views.safe_text import one_line
from kasasagi.tasks.mix.about import models_of
from kasasagi.tasks.reports.self_preference import WORDS, self_preference

NAME_CHARS = 60


def own_family(facts: Facts) -> list[dict[str, str]]:
    """Return the figures on judges and their own family, as the page shows them; none where no judge rates it."""
    return [
        {
            "figure": say(WORDS[row["figure"]]),
            "judge": one_line(row["judge"], NAME_CHARS),
            "family": one_line(row["subject"], NAME_CHARS),
            "value": f"{row['value']:.1%}",
            "interval": f"{row['low']:.1%} – {row['high']:.1%}",
            "cases": f"{row['cases']:,}",
        }
        for row in self_preference(facts.connection, models_of(facts.connection, facts.run.recipe()))
    ]
