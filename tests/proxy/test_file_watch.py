"""Files that change under a server: noticed once they are still, however they were written."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.file_watch import MOST_UNREST, FileWatch, stamp


def watch(*files: Path) -> FileWatch:
    return FileWatch({file: stamp(file) for file in files})


def in_place(file: Path) -> None:
    file.write_text("another text")


def same_size(file: Path) -> None:
    file.write_text("two")
    found = file.stat()
    # Whatever the resolution of the file system's clock.
    os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns + 1))


def renamed(file: Path) -> None:
    beside = file.with_suffix(".swp")
    beside.write_text("two")
    found = file.stat()
    os.utime(beside, ns=(found.st_atime_ns, found.st_mtime_ns))
    beside.replace(file)


def removed(file: Path) -> None:
    file.unlink()


def forbidden(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize("change", [in_place, same_size, renamed, removed, forbidden])
def test_a_change_is_due_when_it_has_been_still(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    file, other = tmp_path / "policy.yaml", tmp_path / "prompt.md"
    file.write_text("one")
    other.write_text("prompt")
    watched = watch(file, other)
    assert [watched.look(), watched.look()] == [False, False]
    change(file)
    assert [watched.look(), watched.look()] == [False, True]
    watched.were_read({file: stamp(file), other: stamp(other)})
    assert [watched.look(), watched.look()] == [False, False]


def test_a_config_map_is_swapped_by_its_links(tmp_path: Path) -> None:
    """As kubelet does it: the file links into `..data`, and that to a folder with a date."""
    for name, text in (("..one", "first"), ("..two", "other")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "policy.yaml").write_text(text)
        os.utime(tmp_path / name / "policy.yaml", ns=(1, 1))
    (tmp_path / "..data").symlink_to("..one")
    file = tmp_path / "policy.yaml"
    file.symlink_to(Path("..data", "policy.yaml"))
    watched = watch(file)
    (tmp_path / "..tmp").symlink_to("..two")
    (tmp_path / "..tmp").replace(tmp_path / "..data")
    assert [watched.look(), watched.look()] == [False, True]
    assert file.read_text() == "other"


def test_what_is_written_bit_by_bit_waits(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("")
    watched = watch(file)
    for _ in range(MOST_UNREST - 1):
        with file.open("a") as writer:
            writer.write("more\n")
        assert not watched.look()
    assert watched.look()


def test_what_never_rests_is_read_all_the_same(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("")
    watched = watch(file)
    due: list[bool] = []
    for _ in range(MOST_UNREST):
        file.write_text(file.read_text() + "more\n")
        due.append(watched.look())
    assert due == [*[False] * (MOST_UNREST - 1), True]


def test_a_change_that_is_taken_back_is_none(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("one")
    aside = file.rename(tmp_path / "aside")
    watched = FileWatch({file: stamp(aside)})
    assert not watched.look()
    aside.rename(file)
    assert [watched.look(), watched.look()] == [False, False]


def test_a_file_that_was_missing_is_noticed_when_it_comes(tmp_path: Path) -> None:
    file = tmp_path / "prompt.md"
    watched = watch(file)
    assert not watched.look()
    file.write_text("Here.")
    assert [watched.look(), watched.look()] == [False, True]


def test_a_change_while_it_was_read_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("one")
    watched = watch(file)
    before = stamp(file)
    file.write_text("longer")
    watched.were_read({file: before})
    assert [watched.look(), watched.look()] == [False, True]


def test_names_that_no_file_can_have_are_no_failure() -> None:
    assert stamp(Path("a\0b")) is None
