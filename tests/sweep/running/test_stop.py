"""Candidates see what they are asked for, once, and ask no more often than once a second."""

from __future__ import annotations

import pytest

from ray_compt.sweep.running.stop import LOOK_EVERY_S, Pruned, Request, StopBoard, StopLight, Stopped


def test_a_board_asks_one_candidate_or_all() -> None:
    board = StopBoard()
    assert board.asked(0) is None
    board.prune(1)
    assert (board.asked(0), board.asked(1)) == (None, "prune")
    board.stop_all()
    assert (board.asked(0), board.asked(1)) == ("stop", "stop")


@pytest.mark.parametrize("asked, raised", [("prune", Pruned), ("stop", Stopped)])
def test_a_request_is_raised_once(asked: Request, raised: type[BaseException]) -> None:
    light = StopLight(lambda: asked)
    with pytest.raises(raised):
        light.look()
    assert light.raised == asked
    light.look(now=True)


def test_the_board_is_asked_once_a_second_unless_it_matters_now() -> None:
    asked, time = [], [0.0]

    def ask() -> None:
        asked.append(time[0])

    light = StopLight(ask, clock=lambda: time[0])
    for tick in range(9):
        time[0] = tick * LOOK_EVERY_S / 4
        light.look()
    assert asked == [0.0, LOOK_EVERY_S, 2 * LOOK_EVERY_S]
    light.look(now=True)
    assert len(asked) == 4
    assert light.raised is None
