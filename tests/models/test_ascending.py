from __future__ import annotations

import pytest

from ray_compt.errors import UserError
from ray_compt.models import check_ascending, check_teacher, count_parameters, model_config


@pytest.mark.parametrize("chain", ["TSBL", "SBL", "NTCSMB", ["B", "BL", "L"]])
def test_the_papers_chains_ascend(chain):
    check_ascending([model_config(letter) for letter in chain], list(chain))


def test_descending_names_both_models_and_their_sizes():
    small, large = model_config("T"), model_config("S")
    with pytest.raises(UserError) as caught:
        check_ascending([large, small], ["ViT-S-16", "ViT-T-16"])
    for part in ("ViT-S-16", "ViT-T-16", f"{count_parameters(small):,}", f"{count_parameters(large):,}"):
        assert part in caught.value.message


def test_equal_sizes_are_no_chain(small):
    with pytest.raises(UserError, match="no larger than"):
        check_ascending([small(), small()], ["one", "two"])


OTHER_INPUT = pytest.mark.parametrize(
    "changes, what",
    [
        ({"text__context_length": 16}, "context_length"),
        ({"text__vocab_size": 49500}, "vocab_size"),
        ({"vision__image_size": 64}, "image_size"),
        ({"text__tokenizer_kwargs": {"clean": "canonicalize"}}, "tokenizer_kwargs"),
    ],
)


@OTHER_INPUT
def test_neighbours_read_the_same_input(small, changes, what):
    with pytest.raises(UserError, match=f"{what} of large"):
        check_ascending([small(), small(vision__width=64, **changes)], ["small", "large"])


def test_patch_sizes_may_differ(small):
    check_ascending([small(), small(vision__width=64, vision__patch_size=16)], ["small", "large"])


def test_tokenizer_of_the_hub_is_found_early(small):
    with pytest.raises(UserError, match="Hugging Face hub") as caught:
        check_ascending([small(text__hf_tokenizer_name="bert-base-uncased")], ["mine"])
    assert "mine" in caught.value.where


@OTHER_INPUT
def test_a_teacher_reads_what_its_student_reads(small, changes, what):
    with pytest.raises(UserError, match=f"{what} of the teacher wise is .*, of its student young"):
        check_teacher(small(**changes), "wise", small(vision__width=64), "young")


def test_a_teacher_may_have_any_size_and_embedding(small):
    check_teacher(small(vision__width=16, embed_dim=8, vision__patch_size=16), "wise", small(), "young")
