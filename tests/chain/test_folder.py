"""A run folder in an object store opens as one on a disk, and what cannot be reached is one message."""

from __future__ import annotations

import pytest

from ray_compt.chain.bad_samples import BadSamples
from ray_compt.chain.folder import open_run
from ray_compt.config import load_chain
from ray_compt.config.schema import Chain
from ray_compt.data import BadSample
from ray_compt.errors import RefusedError, StorageError, UserError
from ray_compt.storage import open_place
from tests.s3 import S3, always, every, keys

RUN = "s3://bucket/run"


@pytest.fixture(scope="module")
def chain() -> Chain:
    return load_chain("digits")


def test_a_run_in_an_object_store_is_opened_again(s3: S3, chain: Chain) -> None:
    with open_run(RUN, chain) as (folder, ledger):
        assert str(folder.path) == RUN
        ledger.update(ledger.stages[0], state="done", steps=7)
        assert keys(s3, "run") == ["run/chain.yaml", "run/driver.json", "run/ledger.json"]
    with open_run(RUN, chain) as (_, again):
        pass
    assert keys(s3, "run") == ["run/chain.yaml", "run/ledger.json"]
    assert (again.stages[0].state, again.stages[0].steps) == ("done", 7)
    other = chain.model_copy(update={"seed": chain.seed + 1})
    with pytest.raises(UserError, match="seed") as caught, open_run(RUN, other):
        pass
    assert caught.value.where == f"{RUN}/chain.yaml"


@pytest.mark.usefixtures("impatient")
def test_a_flaky_store_opens_too(s3: S3, chain: Chain) -> None:
    s3.plan = every(4, "error", "cut")
    for _ in range(2):
        with open_run(RUN, chain) as (_, again):
            pass
    assert len(again.stages) == len(chain.stages)
    assert s3.done["error"] and s3.done["cut"]


@pytest.mark.usefixtures("impatient")
def test_what_cannot_be_reached_is_a_user_error(
    s3: S3, chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        pytest.raises(RefusedError, match="the bucket does not exist"),
        open_run("s3://no-such-bucket/run", chain),
    ):
        pass
    s3.plan = always("denied")
    with pytest.raises(RefusedError, match="access is denied"), open_run(RUN, chain):
        pass
    s3.plan = always("stall")
    with pytest.raises(StorageError, match="too slow"), open_run(RUN, chain):
        pass
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(StorageError, match="127.0.0.1") as caught, open_run(RUN, chain):
        pass
    assert caught.value.where.startswith(RUN)
    assert caught.value.mend


def test_bad_samples_are_put_when_they_are_stored(s3: S3) -> None:
    place = open_place(f"{RUN}/01-stage")
    bad = BadSamples(place, [BadSample("a", "0.tar", "cut", 2)])
    assert not bad.add(BadSample("a", "0.tar", "cut", 2))
    assert bad.add(BadSample("b", "0.tar", "cut"))
    assert len((place / "bad_samples.jsonl").read_text().splitlines()) == 1
    bad.store()
    assert BadSamples(place, []).count == 3
