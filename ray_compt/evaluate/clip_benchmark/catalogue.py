"""Names of data sets as clip_benchmark 1.6 knows them, and the groups of them. To add a name, add it to its tuple.

`wds/NAME` is the same data set as WebDataset shards in clip_benchmark's layout; its maintainers publish most of
them in that form, and `clip_benchmark_export_wds` makes it of any. Groups mean that form, because a third of them
has no other without TensorFlow. Plain names are read by torchvision and clip_benchmark's own readers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from ray_compt.errors import UserError
from ray_compt.models.names import meant

WEBDATASET = "wds/"
PROBE = "linear_probe:"


class Task(Enum):
    """What is measured; the values are clip_benchmark's names."""

    CLASSIFICATION = "zeroshot_classification"
    RETRIEVAL = "zeroshot_retrieval"
    PROBE = "linear_probe"


RETRIEVAL = ("mscoco_captions", "flickr30k", "flickr8k")
IMAGENETS = ("imagenet1k", "imagenetv2", "imagenet_sketch", "imagenet-a", "imagenet-r", "objectnet")
# Readers of torchvision's and of clip_benchmark's own.
PLAIN = (
    "fer2013",
    "voc2007",
    "voc2007_multilabel",
    "sun397",
    "cars",
    "fgvc_aircraft",
    "mnist",
    "stl10",
    "gtsrb",
    "country211",
    "renderedsst2",
)
# With the splits of VTAB (arXiv 1910.04867), which only TensorFlow's readers know: here as WebDatasets.
VTAB = (
    "vtab/caltech101",
    "vtab/cifar10",
    "vtab/cifar100",
    "vtab/clevr_count_all",
    "vtab/clevr_closest_object_distance",
    "vtab/diabetic_retinopathy",
    "vtab/dmlab",
    "vtab/dsprites_label_orientation",
    "vtab/dsprites_label_x_position",
    "vtab/dtd",
    "vtab/eurosat",
    "vtab/kitti_closest_vehicle_distance",
    "vtab/flowers",
    "vtab/pets",
    "vtab/pcam",
    "vtab/resisc45",
    "vtab/smallnorb_label_azimuth",
    "vtab/smallnorb_label_elevation",
    "vtab/svhn",
)
VTAB_PLUS = (*IMAGENETS, *PLAIN, *VTAB)
OTHERS = ("imagenet-o", "vtab/dsprites_label_y_position")
# Data sets of VTAB with torchvision's splits.
TORCHVISION = ("caltech101", "cifar10", "cifar100", "dtd", "eurosat", "flowers", "food101", "pcam", "pets")

# CoM-PT names neither its 45 data sets nor their tasks in what is public: VTAB+ and the two usual retrieval sets.
GROUPS: dict[str, tuple[str, ...]] = {
    "paper": (*VTAB_PLUS, "mscoco_captions", "flickr30k"),
    "vtab+": VTAB_PLUS,
    "imagenets": IMAGENETS,
    "retrieval": RETRIEVAL,
    "all": (*VTAB_PLUS, *OTHERS, *RETRIEVAL),
}
NAMES = (*VTAB_PLUS, *OTHERS, *RETRIEVAL, *TORCHVISION)
# What can be read without TensorFlow in its plain form.
READABLE = tuple(name for name in NAMES if not name.startswith("vtab/"))


@dataclass(frozen=True)
class Request:
    """One task on one data set.

    Attributes:
        name: as clip_benchmark takes it.
        task: what to measure; None: what the data set is made for.
    """

    name: str
    task: Task | None = None

    @property
    def short(self) -> str:
        """The name without the form that it is stored in."""
        return self.name.removeprefix(WEBDATASET)

    @property
    def is_webdataset(self) -> bool:
        return self.name.startswith(WEBDATASET)

    def __str__(self) -> str:
        return f"{PROBE}{self.name}" if self.task is Task.PROBE else self.name


def choose(words: Sequence[str]) -> list[Request]:
    """What names and groups ask for, each once, in their order.

    Args:
        words: `NAME`, `wds/NAME` of any folder, a group of `GROUPS`, or any of them after `linear_probe:`; several
            may share a word, with commas between them.

    Raises:
        UserError: a name that clip_benchmark does not know, or a linear probe of captions.
    """
    parts = [part.strip() for word in words for part in word.split(",")]
    requests = [request for part in parts for request in _requests(part)]
    if not requests:
        raise UserError(
            "no data sets to evaluate on",
            where="--datasets",
            mend=f"name some, or one of {', '.join(GROUPS)}",
        )
    return list(dict.fromkeys(requests))


def _requests(word: str) -> list[Request]:
    name = word.removeprefix(PROBE)
    task = Task.PROBE if word.startswith(PROBE) else None
    if name in GROUPS:
        members = [member for member in GROUPS[name] if task is None or member not in RETRIEVAL]
        return [Request(WEBDATASET + member, task) for member in members]
    _check(name)
    if task is Task.PROBE and name.removeprefix(WEBDATASET) in RETRIEVAL:
        raise UserError(
            f"{name} has captions and no classes, which a linear probe needs",
            where=f"--datasets {word}",
            mend=f"write {name} for its retrieval",
        )
    return [Request(name, task)]


def _check(name: str) -> None:
    if name in READABLE or (len(name) > len(WEBDATASET) and name.startswith(WEBDATASET)):
        return
    if name.startswith("vtab/"):
        mend = f"write wds/{name}, the same as WebDataset shards: clip_benchmark reads {name} with TensorFlow only"
    else:
        hint = meant(name, (*READABLE, *GROUPS))
        mend = f"{hint}write wds/NAME for a folder of your own; docs/wide_evaluation.md lists the names"
    raise UserError(f"clip_benchmark has no data set {name!r} for us", where="--datasets", mend=mend)
