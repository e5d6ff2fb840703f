"""Where the student's parameters lie in DeepSpeed's buffers."""

from __future__ import annotations

import pytest

from ray_compt.train.student import ALIGNED, Student, parameter_groups
from tests.train.tiny import MODEL, TEACHER_WIDTH


@pytest.mark.parametrize("map_widths", [(), (TEACHER_WIDTH,)], ids=str)
def test_nothing_lies_behind_a_parameter_of_an_odd_size_but_others(map_widths: tuple[int, ...]) -> None:
    student = Student(MODEL, map_widths, seed=0)
    groups = [group["params"] for group in parameter_groups(student, 0.1)]
    odd = [[parameter.numel() % ALIGNED > 0 for parameter in group] for group in groups]
    assert all(one == sorted(one) for one in odd)
    assert any(map(any, odd))
    found = [parameter for group in groups for parameter in group]
    assert {id(parameter) for parameter in found} == {id(parameter) for parameter in student.parameters()}
    assert len(found) == len(list(student.parameters()))
