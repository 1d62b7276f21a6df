"""A reader sees the whole old file or the whole new one, whatever happens while it is written."""

import pytest

from propensity.files import point_link, write_text, written_aside


class InterruptionError(Exception):
    pass


def names(directory):
    return sorted(p.name for p in directory.iterdir())


def test_writes_a_new_file_and_makes_its_directory(tmp_path):
    write_text(tmp_path / "new" / "report.txt", "Grüße\n")
    assert (tmp_path / "new" / "report.txt").read_text(encoding="utf-8") == "Grüße\n"
    assert names(tmp_path / "new") == ["report.txt"]


def test_replaces_a_file(tmp_path):
    target = tmp_path / "report.txt"
    write_text(target, "old")
    write_text(target, "new")
    assert target.read_text() == "new"
    assert names(tmp_path) == ["report.txt"]


def test_the_old_file_is_whole_while_the_new_one_is_written(tmp_path):
    target = tmp_path / "report.txt"
    write_text(target, "old")
    with written_aside(target) as aside:
        aside.write_text("half of the n")
        assert target.read_text() == "old"


def fail_while_writing(target, write):
    with written_aside(target) as aside:
        write(aside)
        raise InterruptionError


def test_an_exception_leaves_the_old_file_and_no_litter(tmp_path):
    target = tmp_path / "report.txt"
    write_text(target, "old")
    with pytest.raises(InterruptionError):
        fail_while_writing(target, lambda aside: aside.write_text("half"))
    assert target.read_text() == "old"
    assert names(tmp_path) == ["report.txt"]


def test_an_exception_leaves_nothing_where_nothing_was(tmp_path):
    with pytest.raises(InterruptionError):
        fail_while_writing(tmp_path / "report.txt", lambda aside: aside.write_text("half"))
    assert names(tmp_path) == []


def write_model(directory, text):
    (directory / "boosters").mkdir(parents=True)
    (directory / "boosters" / "000.txt").write_text(text)


def test_replaces_a_directory_whole(tmp_path):
    target = tmp_path / "model"
    write_model(target, "old")
    (target / "only_in_the_old.txt").write_text("")
    with written_aside(target) as aside:
        write_model(aside, "new")
    assert (target / "boosters" / "000.txt").read_text() == "new"
    assert names(target) == ["boosters"]
    assert names(tmp_path) == ["model"]


def test_an_exception_leaves_the_old_directory_and_no_litter(tmp_path):
    target = tmp_path / "model"
    write_model(target, "old")
    with pytest.raises(InterruptionError):
        fail_while_writing(target, lambda aside: write_model(aside, "half"))
    assert (target / "boosters" / "000.txt").read_text() == "old"
    assert names(tmp_path) == ["model"]


@pytest.mark.parametrize("old", ["file", "directory"])
def test_writing_nothing_is_an_error_and_keeps_what_was_there(tmp_path, old):
    target = tmp_path / "target"
    if old == "file":
        target.write_text("old")
    else:
        write_model(target, "old")
    with pytest.raises(FileNotFoundError), written_aside(target):
        pass
    assert target.read_text() == "old" if old == "file" else (target / "boosters" / "000.txt").read_text() == "old"
    assert names(tmp_path) == ["target"]


def test_a_link_is_pointed_elsewhere_and_what_is_no_link_stays(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
        point_link(tmp_path / "latest", name)
    assert (tmp_path / "latest" / "file").read_text() == "two"
    assert (tmp_path / "one" / "file").read_text() == "one"
    point_link(tmp_path / "one", "two")
    assert (tmp_path / "one" / "file").read_text() == "one"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["latest", "one", "two"]
