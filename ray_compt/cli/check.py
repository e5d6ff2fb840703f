"""`compt check`: would this chain file train? Everything that can be said without data or a trained weight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ray_compt.cli.options import ChainFile, JsonOutput, Overrides, Verbose

if TYPE_CHECKING:
    from ray_compt.chain.prepare import StagePlan
    from ray_compt.config.schema import Chain

COLUMNS = ("stage", "model", "image", "text", "parameters", "epochs", "workers", "growth", "distillation")


def check(
    file: ChainFile, overrides: Overrides = None, as_json: JsonOutput = False, verbose: Verbose = False
) -> None:
    """Validate a chain file without running it."""
    from ray_compt.cli.chain_file import open_chain
    from ray_compt.cli.output import print_json, warn

    chain = open_chain(file, overrides)
    if chain.evaluate.suite is not None:
        from ray_compt.evaluate.suites import check_suite

        check_suite(chain.evaluate.suite, chain.data)
    stages = describe_stages(chain)
    warnings = missing_shards(chain)
    for warning in warnings:
        warn(warning)
    if as_json:
        print_json({"ok": True, "chain": chain.name, "stages": stages, "warnings": warnings})
    else:
        _print(chain.name, stages)


def describe_stages(chain: Chain) -> list[dict[str, Any]]:
    """What each stage would train, from what, and with how many workers."""
    from ray_compt.chain.prepare import prepare

    plans = prepare(chain)
    return [_describe(chain, plan, plans[plan.number - 1] if plan.number else None) for plan in plans]


def missing_shards(chain: Chain) -> list[str]:
    """A line for each split whose shards cannot be found from here; no shard is opened."""
    from ray_compt.data.named import named_source
    from ray_compt.data.patterns import find_shards

    warnings = []
    for key, spec in (("data.train", chain.data.train), ("data.val", chain.data.val)):
        if spec is None:
            warnings.append(f"{key} is not set: stages will not be evaluated")
            continue
        named = named_source(spec)
        try:
            if named is None:
                find_shards(spec)
            else:
                named.scan([])
        except Exception as error:  # Drivers of remote stores raise what they like.
            warnings.append(f"{key} cannot be found from here: {getattr(error, 'message', error)}")
    return warnings


def _describe(chain: Chain, plan: StagePlan, before: StagePlan | None) -> dict[str, Any]:
    from ray_compt.data import legal_world_sizes
    from ray_compt.models import model_name

    stage, workers = plan.config, plan.config.workers
    legal = legal_world_sizes(stage.train.global_batch, chain.data.lanes)
    return {
        "name": stage.name,
        "model": model_name(stage.model),
        "image": _tower(plan.model["vision_cfg"]),
        "text": _tower(plan.model["text_cfg"]),
        "embed_dim": plan.model["embed_dim"],
        "parameters": plan.parameters,
        "epochs": stage.epochs,
        "workers": [count for count in legal if workers.min <= count <= workers.most],
        "growth": _growth(plan, before),
        "distill": {
            "weight": plan.distill.weight,
            "stop_at": plan.distill.stop_at,
            "decay": plan.distill.decay,
            "reason": plan.distill.reason,
            "kind": plan.distill.kind,
            "towers": plan.distill.towers,
            "teachers": [{"model": teacher.name, "share": teacher.share} for teacher in plan.teachers],
        },
    }


def _tower(config: dict[str, Any]) -> dict[str, Any]:
    name = config.get("timm_model_name") or config.get("hf_model_name")
    return {"name": name} if name else {"width": config.get("width"), "layers": config.get("layers")}


def _growth(plan: StagePlan, before: StagePlan | None) -> dict[str, Any]:
    """The operator, "scratch" for a first stage; whether it keeps the predecessor's function; its notes."""
    from ray_compt.growth import explain

    source = before.model if before is not None else plan.init
    if source is None:
        return {"operator": "scratch", "lossless": None, "notes": []}
    if source == plan.model:
        return {"operator": "none, weights of init", "lossless": True, "notes": list(plan.notes)}
    if plan.growth is None:
        return {"operator": "random", "lossless": False, "notes": list(plan.notes)}
    growth = explain(source, plan.model, plan.growth)
    operators = dict.fromkeys(growth.operators.values())
    return {"operator": " + ".join(operators), "lossless": growth.lossless, "notes": list(growth.notes)}


def _print(chain: str, stages: list[dict[str, Any]]) -> None:
    from ray_compt.cli.output import print_table

    print_table(f"chain {chain}", COLUMNS, [_row(stage) for stage in stages])
    for stage in stages:
        for note in stage["growth"]["notes"]:
            print(f"{stage['name']}: {note}")
    print("ok")


def _row(stage: dict[str, Any]) -> tuple[str, ...]:
    from ray_compt.plan import format_count

    growth, distill = stage["growth"], stage["distill"]
    kept = {None: "", True: ", lossless", False: ", not lossless"}[growth["lossless"]]
    fade = "" if distill["stop_at"] == 1 else f" until {distill['stop_at']:.0%}"
    return (
        stage["name"],
        stage["model"],
        _tower_text(stage["image"]),
        _tower_text(stage["text"]),
        format_count(stage["parameters"]),
        f"{stage['epochs']:g}",
        ", ".join(map(str, stage["workers"])),
        growth["operator"] + kept,
        f"{distill['weight']:.3g}{fade}{_loss_text(distill)}" if distill["weight"] else "-",
    )


def _loss_text(distill: dict[str, Any]) -> str:
    """What differs from the paper's loss and its one teacher."""
    parts = [distill["kind"]] if distill["kind"] != "embedding" else []
    parts += [f"{distill['towers']} tower"] if distill["towers"] != "both" else []
    parts += [f"{len(distill['teachers'])} teachers"] if len(distill["teachers"]) > 1 else []
    return "".join(f", {part}" for part in parts)


def _tower_text(tower: dict[str, Any]) -> str:
    return tower.get("name") or f"{tower['width']}x{tower['layers']}"
