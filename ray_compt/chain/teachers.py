"""Teachers as a stage's workers get them; those from outside the chain are checked before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence

from ray_compt.chain.folder import run_place
from ray_compt.chain.prepare import StagePlan
from ray_compt.data import Order, Preprocess, legal_world_sizes
from ray_compt.distill.teachers import ChosenTeacher
from ray_compt.models import load_scale, load_state
from ray_compt.models.store import check_finite
from ray_compt.storage import Place
from ray_compt.teacher import TeacherSpec
from ray_compt.teacher.spec import rows_at_once, weights_digest
from ray_compt.train.job import StageTeacher

# Most samples that a teacher runs at once where the chain file does not say.
MOST_ROWS = 256


def check_outside(plans: Sequence[StagePlan]) -> None:
    """Read the weights of every teacher from outside the chain once.

    Raises:
        UserError: they are missing, damaged, not finite or not those of their configuration.
    """
    names = {teacher.name: None for plan in plans for teacher in plan.teachers if teacher.stage is None}
    for name in names:
        check_finite(load_state(name), where=f"teacher {name}")


def stage_teacher(
    teacher: ChosenTeacher, plan: StagePlan, folders: Sequence[Place], preprocess: Preprocess, order: Order
) -> StageTeacher:
    """What the workers of a stage need of one of its teachers.

    Args:
        plan: of the stage.
        folders: of the chain's finished stages.
        order: of the stage's samples.
        preprocess: of the stage; a teacher without a normalisation of its own takes its.

    Raises:
        UserError: the teacher's weights cannot be read.
    """
    folder = run_place(teacher.name) if teacher.stage is None else folders[teacher.stage]
    config = plan.config.teacher
    counts = legal_world_sizes(order.global_batch, order.lanes)
    most = max(count for count in counts if count <= plan.config.workers.most)
    spec = TeacherSpec(
        str(folder),
        weights_digest(str(folder)),
        teacher.mean or preprocess.mean,
        teacher.std or preprocess.std,
        config.precision,
        config.rows or rows_at_once(order.global_batch // most, MOST_ROWS),
        config.compile,
    )
    scale = load_scale(folder) if plan.distill.kind == "relational" else 1.0
    return StageTeacher(spec, teacher.model["embed_dim"], teacher.share, scale)
