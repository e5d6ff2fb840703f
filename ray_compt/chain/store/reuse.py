"""What a run does with a stage store: each stage is taken from it, or trained and put there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from ray_compt.chain.folder import RunFolder, run_place
from ray_compt.chain.inputs import Inputs
from ray_compt.chain.ledger import Ledger, StageEntry
from ray_compt.chain.lock import HeldElsewhere
from ray_compt.chain.prepare import StagePlan
from ray_compt.chain.store.key import StageKey, Surroundings, stage_key
from ray_compt.chain.store.store import StageStore, entry_fields
from ray_compt.errors import UserError
from ray_compt.evaluate.suites import check_suite
from ray_compt.report.terminal import Terminal
from ray_compt.storage import Place
from ray_compt.teacher.spec import weights_digest


@dataclass(frozen=True)
class Reuse:
    """A run and its store.

    Attributes:
        around: what the run's stages have in common.
        steps: optimizer steps of a stage.
        terminal: hears where a stage comes from, and what is waited for.
        interrupt: called while another run is waited for; may raise to wait no longer.
    """

    store: StageStore
    around: Surroundings
    steps: Callable[[StagePlan], int]
    terminal: Terminal
    interrupt: Callable[[], None] = lambda: None

    def stage(
        self,
        plan: StagePlan,
        before: Sequence[StagePlan],
        entry: StageEntry,
        folder: RunFolder,
        ledger: Ledger,
        train: Callable[[StageEntry], StageEntry],
    ) -> None:
        """Take a stage from the store; where it is not there, train it and put it there.

        Args:
            before: the stages before it in the chain.
            entry: the stage's, in `ledger`.
            train: trains the stage and returns its entry.
        """
        key = self.key(plan, before)
        if entry.state == "pending":
            entry = ledger.update(entry, key=key.name)
        with self.store.held(key, self._waiting(entry)):
            found = self.store.find(key)
            if found is None or not self._taken(key, folder.stage(entry)):
                self._keep(key, train(entry), folder)
                return
        ledger.update(entry, **entry_fields(found), error=None, key=key.name, reused=True)
        self.terminal.line(f"  {entry.name}: taken from {self.store}, trained before")

    def offer(
        self, plan: StagePlan, before: Sequence[StagePlan], entry: StageEntry, folder: RunFolder
    ) -> None:
        """Put a stage into the store whose run broke off just before it could."""
        key = self.key(plan, before)
        if entry.key != key.name or self.store.find(key) is not None:
            return
        with self.store.held(key, self._waiting(entry)):
            if self.store.find(key) is None:
                self._keep(key, entry, folder)

    def key(self, plan: StagePlan, before: Sequence[StagePlan]) -> StageKey:
        """The key of a stage that comes after `before`."""
        names: list[str] = []
        for past in before:
            names.append(self._key(past, names).name)
        return self._key(plan, names)

    def _key(self, plan: StagePlan, names: Sequence[str]) -> StageKey:
        """The key of a stage whose predecessors' keys have these names."""
        teachers = [
            (
                weights_digest(str(run_place(teacher.name)))
                if teacher.stage is None
                else names[teacher.stage],
                teacher.share,
            )
            for teacher in plan.teachers
        ]
        init = plan.config.transfer.init_folder
        source = names[-1] if names else None
        if init is not None:
            source = weights_digest(init)
        return stage_key(self.around, plan, self.steps(plan), source, teachers)

    def _taken(self, key: StageKey, target: Place) -> bool:
        try:
            self.store.take(key, target)
        except FileNotFoundError:
            # Somebody has removed it meanwhile, which they may; half a copy is none.
            target.remove()
            return False
        return True

    def _keep(self, key: StageKey, entry: StageEntry, folder: RunFolder) -> None:
        """Put a finished stage into the store. The run does without where the store cannot take it."""
        # A stage that began under another key is not what this one says: it was trained in part by another version.
        if entry.key != key.name:
            return
        try:
            self.store.keep(key, folder.stage(entry), asdict(entry))
        except (UserError, OSError) as error:
            reason = error.message if isinstance(error, UserError) else error.strerror or str(error)
            self.terminal.warn(f"{entry.name}: not put into {self.store}: {reason}")

    def _waiting(self, entry: StageEntry) -> Callable[[HeldElsewhere], None]:
        told = False

        def waiting(error: HeldElsewhere) -> None:
            nonlocal told
            if not told:
                self.terminal.line(
                    f"  {entry.name}: waits, because {error.message} and this is the same stage"
                )
                told = True
            self.interrupt()

        return waiting


def surroundings(inputs: Inputs) -> Surroundings:
    """What the stages of a run have in common."""
    chain = inputs.chain
    config = check_suite(chain.evaluate.suite, chain.data)
    named = {"name": chain.evaluate.suite} if chain.evaluate.suite else None
    return Surroundings(
        chain,
        inputs.train.digest,
        inputs.val.digest if inputs.val else "",
        config.model_dump(mode="json") if config else named,
    )
