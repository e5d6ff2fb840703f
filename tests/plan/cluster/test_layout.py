from __future__ import annotations

import pytest

from ray_compt.errors import UserError
from ray_compt.plan.cluster import Assumptions
from ray_compt.plan.cluster.layout import find_layouts, without_teachers

from .conftest import rented

GIVEN = Assumptions()


def layouts(cluster, stage, *, teachers=0, wanted=None, node_type=None, lanes=64):
    return find_layouts(
        cluster, stage, lanes, teachers=teachers, wanted=wanted, node_type=node_type, given=GIVEN
    )


def test_workers_fill_nodes_by_gpus_and_by_cpus(make_cluster, make_stage):
    cluster = make_cluster(gpu=rented("g6.12xlarge"))
    (by_gpus,) = layouts(cluster, make_stage(workers=8))
    assert (by_gpus.workers, by_gpus.per_node, by_gpus.nodes) == (8, 4, 2)
    (by_cpus,) = layouts(cluster, make_stage(workers=8, cpus=20.0))
    assert (by_cpus.per_node, by_cpus.nodes) == (2, 4)
    (shared,) = layouts(cluster, make_stage(workers=8, gpus=0.5, cpus=1.0))
    assert (shared.per_node, shared.place.amount) == (8, 0.5)


def test_there_are_as_many_workers_as_fit_and_are_legal(make_cluster, make_stage):
    cluster = make_cluster(gpu=rented("g6.12xlarge", most=3))
    assert layouts(cluster, make_stage(workers=64))[0].workers == 8  # of 12: what divides 64 lanes
    assert layouts(cluster, make_stage(workers=2))[0].workers == 2
    assert layouts(cluster, make_stage(workers=64), wanted=4)[0].workers == 4


def test_each_node_type_with_room_is_a_way(make_cluster, make_stage):
    cluster = make_cluster(
        large=rented("p5.48xlarge"),
        small=rented("g6.12xlarge"),
        tiny=rented("g6.xlarge"),
        few=rented("p4d.24xlarge", most=0),
    )
    assert [one.node_type.name for one in layouts(cluster, make_stage())] == ["large", "small"]
    assert [one.node_type.name for one in layouts(cluster, make_stage(), node_type="small")] == ["small"]


def test_money_is_that_of_all_nodes_and_the_head(make_cluster, make_stage):
    cluster = make_cluster(gpu=rented("g6.12xlarge"))
    (found,) = layouts(cluster, make_stage(workers=16))
    assert found.price(cluster) == pytest.approx(4 * 4.6 + 0.19)


@pytest.mark.parametrize(
    "workers, placement, nodes, services",
    [
        (2, "auto", 1, 1),  # two GPUs are left
        (4, "auto", 1, 0),  # none is: inside the workers
        (4, "actor", 2, 1),  # a node for it alone
        (2, "inline", 1, 0),
    ],
)
def test_teachers_are_where_training_would_put_them(
    make_cluster, make_stage, workers, placement, nodes, services
):
    cluster = make_cluster(gpu=rented("g6.12xlarge"))
    stage = make_stage(workers=workers, teacher_placement=placement)
    (found,) = layouts(cluster, stage, teachers=1)
    assert (found.nodes, found.services) == (nodes, services)
    alone = without_teachers(found, stage, GIVEN)
    assert (alone.nodes, alone.services, alone.workers) == (1, 0, workers)


def test_a_network_of_nodes_is_shared_by_their_workers(make_cluster, make_stage):
    cluster = make_cluster(gpu=rented("g6.12xlarge"))
    (inside,) = layouts(cluster, make_stage(workers=4))
    (between,) = layouts(cluster, make_stage(workers=8))
    assert inside.place.ring.bandwidth == pytest.approx(0.7 * 32e9)
    assert between.place.ring.bandwidth == pytest.approx(0.7 * 40e9 / 8)


@pytest.mark.parametrize(
    "types, keys, asked, says, mend",
    [
        ({"cpu": rented("m5.4xlarge")}, {}, {}, "no node type has GPUs", "workers.gpus=0"),
        ({"gpu": rented("g6.xlarge")}, {}, {}, "wants 1 GPUs and 8 CPUs", "workers.cpus"),
        (
            {"gpu": rented("g6.12xlarge", most=1)},
            {},
            {"wanted": 8},
            "no room for 8 workers of stage stage, only for 4",
            "max_workers",
        ),
        ({"gpu": rented("g6.12xlarge", most=1)}, {"min": 8}, {}, "no room for 8 workers", "max_workers"),
        ({"gpu": rented("g6.12xlarge", most=0)}, {}, {}, "there may be none of it", "larger nodes"),
        ({"gpu": rented("g6.12xlarge")}, {}, {"wanted": 3}, "3 workers cannot share 64 lanes", "1, 2, 4, 8"),
        ({"gpu": rented("g6.12xlarge")}, {}, {"node_type": "gpus"}, "no node type gpus", "head, gpu"),
        (
            {"gpu": rented("g6.12xlarge", most=1)},
            {"teacher_placement": "actor"},
            {"wanted": 4, "teachers": 1},
            "no room for 4 workers of stage stage and its teacher",
            "max_workers",
        ),
    ],
)
def test_what_does_not_fit_is_named(make_cluster, make_stage, types, keys, asked, says, mend):
    with pytest.raises(UserError) as caught:
        layouts(make_cluster(**types), make_stage(**keys), **asked)
    assert says in caught.value.message and mend in caught.value.mend


def test_workers_on_cpus_do_not_rent_gpus(make_cluster, make_stage):
    stage = make_stage(gpus=0.0, cpus=4.0, precision="fp32", workers=4)
    cluster = make_cluster(gpu=rented("g6.12xlarge"), cpu=rented("m5.4xlarge"))
    (found,) = layouts(cluster, stage)
    assert (found.node_type.name, found.place.device.name, found.place.amount) == ("cpu", "vCPU", 4)
    with pytest.raises(UserError, match="all node types have GPUs"):
        layouts(make_cluster(gpu=rented("g6.12xlarge")), stage, node_type="gpu")
