"""Feed events to the triggers of Prefect's server, half a minute apart, and print which automation acts afterwards.

`python -m tests.flows.lost_runs AUTOMATIONS EVENT …`, in a process of its own with a database of its own.
"""

import asyncio
import sys
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from prefect.server.database import provide_database_interface
from prefect.server.events import triggers
from prefect.server.events.models.automations import create_automation
from prefect.server.events.schemas.automations import Automation
from prefect.server.events.schemas.events import ReceivedEvent
from prefect.types._datetime import now

NAME = "kasasagi-run-lost"
RELATED = [
    {"prefect.resource.id": "prefect.tag.kasasagi", "prefect.resource.role": "tag"},
    {"prefect.resource.id": "prefect.deployment.2", "prefect.resource.role": "deployment"},
]
LATER_S = 1500


async def main(file: Path, names: list[str]) -> None:
    """Print the automation that acts, or nothing."""
    acted: list[str] = []

    async def act(firing: Any) -> None:
        acted.append(firing.trigger.automation.name)

    database = provide_database_interface()
    await database.create_db()
    [entry] = [one for one in yaml.safe_load(file.read_text(encoding="utf-8"))["automations"] if one["name"] == NAME]
    automation = Automation.model_validate({**entry, "id": str(uuid.uuid4())})
    triggers.act = act
    triggers.load_automation(automation)
    async with database.session_context(begin_transaction=True) as session:
        await create_automation(session, automation)
    resource, began = {"prefect.resource.id": f"prefect.flow-run.{uuid.uuid4()}"}, now("UTC")
    for number, name in enumerate(names):
        at = began + timedelta(seconds=30 * number)
        await triggers.reactive_evaluation(
            ReceivedEvent(occurred=at, event=name, resource=resource, related=RELATED, id=uuid.uuid4(), received=at)
        )
    for trigger in list(triggers.triggers.values()):
        await triggers.proactive_evaluation(trigger, began + timedelta(seconds=LATER_S))
    print(acted[0] if acted else "nothing")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2:]))
