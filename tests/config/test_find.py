"""Which file a name means, and files that cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from ray_compt.config import find_chain, load, load_chain
from ray_compt.errors import UserError
from tests.config.files import GOOD


def test_a_path_comes_before_a_shipped_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    assert find_chain("digits").is_absolute()
    (tmp_path / "digits.yaml").write_text(GOOD)
    assert load_chain("digits").name == "small"
    assert find_chain("digits.yaml") == Path("digits.yaml")
    assert find_chain(tmp_path / "digits") == tmp_path / "digits.yaml"


def test_an_installed_package_finds_its_own_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    installed = tmp_path / "ray_compt" / "_chains"
    installed.mkdir(parents=True)
    (installed / "mine.yaml").write_text(GOOD)
    monkeypatch.setattr("ray_compt.config.load._PACKAGE", installed.parent)
    assert find_chain("mine") == installed / "mine.yaml"
    with pytest.raises(UserError, match=r"a shipped chain \(mine\)"):
        find_chain("vit_4")


@pytest.mark.parametrize(
    "name, mend",
    [
        ("vit_44", "did you mean vit_4?"),
        ("zebra", "give a path, or a shipped chain (digits, emoji, emoji_4, vit_3, vit_4, vit_7)"),
        ("chains/vit44.yaml", "did you mean vit_4?"),
        ("", "a shipped chain"),
        ("x" * 5000, "a shipped chain"),
        ("nul\0", "a shipped chain"),
    ],
)
def test_a_file_that_is_not_there(name: str, mend: str):
    with pytest.raises(UserError) as caught:
        find_chain(name)
    assert mend in str(caught.value.mend)


def test_a_folder_is_no_chain_file(tmp_path: Path):
    with pytest.raises(UserError, match="a folder, no chain file"):
        load_chain(tmp_path)


def test_a_file_that_is_no_text(tmp_path: Path):
    (tmp_path / "c.yaml").write_bytes(b"\xff\xfe\x00name")
    with pytest.raises(UserError, match="is no text"):
        load_chain(tmp_path / "c.yaml")


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path):
    (tmp_path / "c.yaml").write_text("\ufeff" + GOOD, encoding="utf-8")
    assert load_chain(tmp_path / "c.yaml").name == "small"


def test_a_file_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    # Removing the permission would not stop a test that runs as root.
    def refuse(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "c.yaml").write_text(GOOD)
    monkeypatch.setattr(load.Path, "open", refuse)
    with pytest.raises(UserError, match="cannot be read: Permission denied"):
        load_chain(tmp_path / "c.yaml")
