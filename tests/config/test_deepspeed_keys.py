"""Which DeepSpeed keys pass, and that the tables know every key of the installed DeepSpeed."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path

import pytest

from ray_compt.config import deepspeed_keys as keys
from ray_compt.config.deepspeed_keys import refused_key


@pytest.mark.parametrize("key", sorted(keys.ALLOWED - {keys.ZERO}))
def test_allowed_keys_pass(key: str):
    assert refused_key({key: {}}) is None


@pytest.mark.parametrize("key", sorted(keys.ALLOWED_ZERO))
def test_allowed_zero_keys_pass(key: str):
    assert refused_key({keys.ZERO: {key: True}}) is None


@pytest.mark.parametrize("key", keys.REFUSED)
def test_refused_keys_say_why(key: str):
    refusal = refused_key({"wall_clock_breakdown": True, key: {}})
    assert refusal is not None
    assert refusal.key == (key,)
    assert refusal.reason.startswith("not handed to DeepSpeed: ")
    assert refusal.mend


@pytest.mark.parametrize("key", keys.REFUSED_ZERO)
def test_refused_zero_keys_say_why(key: str):
    refusal = refused_key({keys.ZERO: {"overlap_comm": True, key: True}})
    assert refusal is not None
    assert refusal.key == (keys.ZERO, key)


@pytest.mark.parametrize(
    "config, key, mend",
    [
        ({"wall_clock_brakedown": True}, ("wall_clock_brakedown",), "did you mean wall_clock_breakdown?"),
        ({keys.ZERO: {"reduce_bucket": 1}}, (keys.ZERO, "reduce_bucket"), "did you mean reduce_bucket_size?"),
        ({"qqq": True}, ("qqq",), "use one of comet"),
        ({"communication_data_type": "bf16"}, ("communication_data_type",), "write fp32"),
    ],
)
def test_unknown_keys_and_values(config: dict[str, object], key: tuple[str, ...], mend: str):
    refusal = refused_key(config)
    assert refusal is not None
    assert refusal.key == key
    assert mend in refusal.mend


def test_communication_in_fp32_passes():
    assert refused_key({"communication_data_type": "fp32"}) is None


def test_no_key_is_both_allowed_and_refused():
    assert not keys.ALLOWED & set(keys.REFUSED)
    assert not keys.ALLOWED_ZERO & set(keys.REFUSED_ZERO)


def test_every_zero_key_of_the_installed_deepspeed_is_decided():
    known = keys.ALLOWED_ZERO | set(keys.REFUSED_ZERO)
    assert zero_keys(source("runtime/zero/config.py")) - known == set()


def test_every_top_key_of_the_installed_deepspeed_is_decided():
    known = keys.ALLOWED | set(keys.REFUSED)
    assert top_keys() - known == set()


def source(name: str) -> str:
    """A file of DeepSpeed, which is not imported: that takes seconds."""
    spec = importlib.util.find_spec("deepspeed")
    assert spec is not None
    assert spec.origin is not None
    return (Path(spec.origin).parent / name).read_text()


def zero_keys(code: str) -> set[str]:
    """Fields of DeepSpeedZeroConfig, by the alias that its documentation uses, and those it has removed."""
    tree = ast.parse(code)
    (model,) = (n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "DeepSpeedZeroConfig")
    found = set()
    for field in model.body:
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            alias = re.search(r"alias=['\"](\w+)['\"]", ast.unparse(field))
            found.add(alias[1] if alias else field.target.id)
    assert len(found) > 30
    return found


def top_keys() -> set[str]:
    """The constants by which DeepSpeedConfig reads its top-level keys, and those that it has removed."""
    code, constants = source("runtime/config.py"), source("runtime/constants.py")
    named = dict(re.findall(r"^([A-Z_]+) = ['\"](\w+)['\"]", constants + code, re.MULTILINE))
    read = set(
        re.findall(r"(?:get_scalar_param\(\s*param_dict,|param_dict\.get\(|param_dict\[)\s*([A-Z_]+)\b", code)
    )
    found = {named[name] for name in read if name in named}
    found |= set(re.findall(r"param_dict(?:\.get\(|\[)['\"](\w+)['\"]", code))
    removed = re.search(r"_REMOVED_TOP_LEVEL_CONFIG_KEYS = (\{.*?^\})", code, re.MULTILINE | re.DOTALL)
    if removed:
        found |= set(re.findall(r"^    \"(\w+)\":", removed[1], re.MULTILINE))
    assert len(found) > 25
    return found
