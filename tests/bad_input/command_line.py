"""Command lines: overrides, and what Typer refuses."""

from __future__ import annotations

from pathlib import Path

from tests.bad_input.place import Place
from tests.bad_input.row import Chapter, Row

DIGITS, TRAIN = "builtin:digits/val", "builtin:digits/train"


def _set(name: str, title: str, override: str, *says: str, **more: object) -> Row:
    return Row(
        f"set-{name}", title, lambda at: at.train("--set", override), f"--set {override}", says, **more
    )


def _words(name: str, title: str, words: str, place: str, *says: str) -> Row:
    """A command line in words; CHAIN and MODEL stand for a good one, OUT for a folder that is not there."""

    def make(at: Place) -> list[str | Path]:
        files = {"CHAIN": at.chain, "MODEL": at.model, "OUT": lambda: at.folder / "out"}
        return [files[word]() if word in files else word for word in words.split()]

    return Row(f"line-{name}", title, make, place, says)


def _finetune_in_a_chain(at: Place) -> list[str | Path]:
    at.finish_a_stage()
    return ["finetune", at.kept, "--data", TRAIN, "--val", DIGITS, "--run-dir", at.run]


OVERRIDES = Chapter(
    "Overrides",
    "`--set KEY=VALUE` is checked like the chain file, and named as the place.",
    (
        _set("plain", "No equals sign", "seed", "no KEY=VALUE"),
        _set("dots", "A key with a hole", "train..lr=3", "no KEY=VALUE"),
        _set("unknown", "An unknown key", "train.lrr=3", "did you mean lr?"),
        _set("stage", "A stage that is not there", "stages.9.epochs=3", "there is no stage 9"),
        _set("stage-name", "A stage's name, misspelt", "stages.larg.epochs=3", "did you mean large?"),
        _set("yaml", "A value that is no YAML", "train.betas=[1, 2", "malformed YAML"),
        _set("tag", "A value with a tag", "name=!!python/name:os.system", "the YAML tag"),
        _set("through", "A path through a number", "train.lr.x=3", "train.lr: expected a number"),
        _set("type", "A word for a number", "train.lr=fast", "found the text 'fast'"),
        _set("null", "Nothing for a required key", "name=null", "found nothing"),
        _set("huge", "A number of 400 digits", "train.lr=" + "9" * 400, "train.lr: expected a number"),
    ),
)

USAGE = Chapter(
    "Command lines",
    "`compt COMMAND --help` shows what a command takes.",
    (
        _words("command", "An unknown command", "trian digits", "compt", "'train'"),
        _words("option", "An unknown option", "train CHAIN --runs x", "compt train", "--runs", "--run-dir"),
        _words("missing", "No chain file", "train", "compt train", "FILE"),
        _words("extra", "An argument too many", "check CHAIN more", "compt check", "more"),
        _words("value", "An option without its value", "train CHAIN --run-dir", "compt", "--run-dir"),
        _words("number", "A word for a number", "plan CHAIN --samples many", "compt plan", "--samples"),
        _words("zero", "A number out of range", "plan CHAIN --samples 0", "compt plan", "--samples"),
        _words(
            "few", "Fewer samples than a batch", "plan CHAIN --samples 3", "train.global_batch", "do not fill"
        ),
        _words(
            "device",
            "A device that is not here",
            f"eval MODEL --data {DIGITS} --device tpu",
            "--device",
            "'tpu'",
        ),
        _words(
            "meta",
            "A device that computes nothing",
            f"eval MODEL --data {DIGITS} --device meta",
            "--device",
            "'meta'",
        ),
        _words(
            "doctor-set",
            "A key to change, and no chain file",
            "doctor --set seed=5",
            "--set",
            "no chain file",
        ),
        _words("no-data", "A model without data to evaluate on", "eval MODEL", "--data", "no shards"),
        _words(
            "builtin", "Unknown built-in data", "eval MODEL --data builtin:letters", "data", "builtin:letters"
        ),
        _words(
            "template",
            "A prompt without a place for the class",
            f"eval MODEL --data {DIGITS} --template photo",
            "data.class_templates",
            "'photo'",
        ),
        _words(
            "picture",
            "A picture size that patches do not divide",
            f"eval MODEL --data {DIGITS} --image-size 7",
            "model/model.safetensors",
            "multiple of patch_size",
        ),
        _words(
            "picture-huge",
            "A picture size of millions",
            f"eval MODEL --data {DIGITS} --image-size 4000000",
            "model/model.safetensors",
            "above 8192",
        ),
        _words("tracker", "An unknown tracker", "train digits --track paper", "compt train", "'paper'"),
        _words(
            "nothing",
            "A model that is not there",
            f"eval nowhere --data {DIGITS}",
            "nowhere",
            "unknown model",
        ),
        _words(
            "tag",
            "Weights that open_clip does not have",
            f"eval RN50x64/nosuch --data {DIGITS}",
            "RN50x64/nosuch",
            "no weights 'nosuch'",
        ),
        _words("suite", "An unknown suite", "eval MODEL --suite vtab", "vtab", "no such suite file"),
        _words(
            "suite-missing",
            "Data sets of a suite without the suite",
            "eval MODEL --datasets mnist",
            "--datasets",
            "belong to a suite",
        ),
        _words(
            "suite-data",
            "A suite and shards of one's own",
            f"eval MODEL --suite clip_benchmark --data {DIGITS}",
            "--data",
            "their own pictures",
        ),
        _words(
            "suite-name",
            "A data set of the suite, misspelt",
            "eval MODEL --suite clip_benchmark --datasets cifar-10 --dataset-root OUT",
            "--datasets",
            "did you mean cifar10?",
        ),
        _words(
            "suite-root",
            "A suite without a place for its data sets",
            "eval MODEL --suite clip_benchmark --datasets mnist",
            "--dataset-root",
            "no place",
        ),
        _words(
            "suite-one-folder",
            "Several WebDatasets in one folder",
            "eval MODEL --suite clip_benchmark --datasets retrieval --dataset-root sets",
            "--dataset-root sets",
            "one folder",
        ),
        _words(
            "suite-probe",
            "A linear probe of captions",
            "eval MODEL --suite clip_benchmark --datasets linear_probe:flickr30k --dataset-root sets",
            "--datasets linear_probe:flickr30k",
            "no classes",
        ),
        _words(
            "finetune-model",
            "Fine-tuning a model that is not there",
            f"finetune nowhere --data {TRAIN} --val {DIGITS} --run-dir OUT",
            "nowhere",
            "unknown model",
        ),
        _words(
            "finetune-val",
            "Fine-tuning without a validation split",
            f"finetune MODEL --data {TRAIN} --run-dir OUT",
            "compt finetune",
            "--val",
        ),
        _words(
            "finetune-key",
            "Fine-tuning with a key, misspelt",
            f"finetune MODEL --data {TRAIN} --val {DIGITS} --run-dir OUT --set train.lrr=1",
            "--set train.lrr=1",
            "did you mean lr?",
        ),
        _words(
            "finetune-epochs",
            "Fine-tuning for no epoch",
            f"finetune MODEL --data {TRAIN} --val {DIGITS} --run-dir OUT --epochs 0",
            "compt finetune",
            "epochs: expected a number",
        ),
        _words(
            "finetune-template",
            "Fine-tuning with a prompt without a place for the class",
            f"finetune MODEL --data {TRAIN} --val {DIGITS} --run-dir OUT --template digit",
            "compt finetune",
            "no place for the class",
        ),
        _words(
            "finetune-head",
            "An unknown head",
            f"finetune MODEL --data {TRAIN} --val {DIGITS} --run-dir OUT --head random",
            "compt finetune",
            "'zeros'",
        ),
        _words(
            "finetune-smoothing",
            "More label smoothing than there is",
            f"finetune MODEL --data {TRAIN} --val {DIGITS} --run-dir OUT --label-smoothing 2",
            "compt finetune",
            "--label-smoothing",
        ),
        Row(
            "line-finetune-run",
            "Fine-tuning in the run folder of a chain",
            _finetune_in_a_chain,
            "run",
            ("run folder of a chain",),
        ),
        _words(
            "teacher-command", "An unknown command of `teacher`", "teacher list", "compt teacher", "'list'"
        ),
        _words(
            "teacher-address",
            "Teachers of a cluster that is not there",
            "teacher ls --address 127.0.0.1:1",
            "address 127.0.0.1:1",
            "no Ray cluster answers",
        ),
        _words(
            "teacher-nothing",
            "Serving no model",
            "teacher serve OUT",
            "out/open_clip_config.json",
            "no model here",
        ),
        _words(
            "teacher-precision",
            "A precision that there is not",
            "teacher serve MODEL --precision int8",
            "--precision",
            "'int8'",
        ),
        _words("no-target", "Growing to nothing", "grow MODEL --out OUT", "compt grow", "--to"),
        _words(
            "target",
            "Growing to an unknown model",
            "grow MODEL --to ViT-Z --out OUT",
            "--to ViT-Z",
            "unknown model",
        ),
        _words(
            "operator",
            "An unknown operator",
            "grow MODEL --to S --out OUT --operator clown",
            "model --to S",
            "'clone'",
        ),
        _words(
            "seed",
            "A seed of 30 digits",
            f"grow MODEL --to S --out OUT --seed {'9' * 30}",
            "compt grow",
            "--seed",
        ),
    ),
)
