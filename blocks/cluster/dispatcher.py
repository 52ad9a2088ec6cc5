"""The dispatcher of a run whose questions are answered on a cluster; a Batch API is still called from here."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kasasagi.blocks.canonical import canonical
from kasasagi.blocks.cluster.lane import ClusterLane
from kasasagi.blocks.cluster.transport import ClusterTransport
from kasasagi.blocks.cluster.worker import GO, HOLD, STOP
from kasasagi.blocks.dispatch.dispatcher import Dispatcher
from kasasagi.blocks.dispatch.lanes import Lane
from kasasagi.blocks.models.kinds import Budget, ModelConfig, OpenAIModel
from kasasagi.blocks.models.llm import Engine


class ClusterDispatcher(Dispatcher):
    """Sends questions to a cluster; order, budget, ledger and stop are those of any dispatcher.

    resources are the cluster's options for tasks that ask a model, by its label.
    """

    def __init__(
        self,
        models: Mapping[str, ModelConfig],
        engines: Mapping[str, Engine],
        ledger: tuple[Path, Budget],
        transport: ClusterTransport,
        resources: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self._transport, self._resources = transport, resources
        super().__init__(models, engines, *ledger)

    def _lane_name(self, label: str, model: ModelConfig) -> str:
        if isinstance(model, OpenAIModel) and model.batch:
            return super()._lane_name(label, model)
        return f"cluster {canonical(self._resources.get(label, {})).decode()}"

    def _new_lane(self, label: str, model: ModelConfig) -> Lane:
        if isinstance(model, OpenAIModel) and model.batch:
            return super()._new_lane(label, model)
        return ClusterLane(self, self._transport, self._resources.get(label, {}))

    def _stop(self, error: BaseException) -> None:
        self._transport.send_command(STOP)
        super()._stop(error)

    def _hold(self, held: bool) -> None:
        self._transport.send_command(HOLD if held else GO)
        super()._hold(held)
