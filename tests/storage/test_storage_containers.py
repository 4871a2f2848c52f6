"""Reading members of tars and rows of Parquet files, friendly and hostile ones."""

import io
import os
import random
import tarfile
from pathlib import Path

import pyarrow as pa
import pytest
from drawn_containers import write_dataset, write_tar
from pyarrow import parquet

from storage.records import FileStat
from storage.sources.container_table import ContainerDamaged
from storage.sources.containers import (
    LocationChanged,
    MemberTooLarge,
    is_stamp_of,
    location_is_gone,
    open_container,
    pictures_in_stamp,
    read_bytes,
    read_location,
    stamp_of,
)
from storage.sources.places import FileState, ordinary_file
from storage.sources.tar_members import TarMembers

MOST = 1 << 20


def header(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.type, member.linkname = size, kind, link
    return member.tobuf(tarfile.GNU_FORMAT)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


END = bytes(1024)


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_are_those_that_tarfile_sees(tmp_path: Path, kind: int) -> None:
    long = "/".join(["folder " + "x" * 60, "y" * 80 + ".jpg"])
    names = ["a.jpg", "folder/b.txt", long]
    if kind != tarfile.USTAR_FORMAT:
        names += ["z" * 300 + ".png", "đêm đen.png", os.fsdecode(b"caf\xe9 \xff.png")]
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w", format=kind, encoding="utf-8", errors="surrogateescape") as tar:
        tar.add(tmp_path, "folder", recursive=False)
        for number, name in enumerate(names):
            member = tarfile.TarInfo(name)
            member.size = 700 * number
            tar.addfile(member, io.BytesIO(bytes([number]) * member.size))
    members = TarMembers(path)
    assert members.damage is None
    assert dict(members.sizes) == {name: 700 * number for number, name in enumerate(names)}
    for number, name in enumerate(names):
        assert members.read(name, MOST) == bytes([number]) * 700 * number
    assert read_bytes(tmp_path, "x.tar/folder/b.txt", MOST) == b"\1" * 700


def test_hostile_names_links_and_devices_lead_nowhere(tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"secret")
    blocks = [
        *(header("../secret.png", 3), padded(b"one")),
        *(header("/etc/passwd", 3), padded(b"two")),
        *(header("./plain.png", 5), padded(b"three")),
        header("link.png", 0, tarfile.SYMTYPE, str(secret)),
        header("hard.png", 0, tarfile.LNKTYPE, "../secret.png"),
        header("device.png", 1 << 20, tarfile.CHRTYPE),
        header("pipe.png", 0, tarfile.FIFOTYPE),
        header("..", 0),
    ]
    path = tmp_path / "in" / "x.tar"
    path.parent.mkdir()
    path.write_bytes(b"".join(blocks) + END)
    members = TarMembers(path)
    assert members.damage is None
    expected = {"__/secret.png": 3, "etc/passwd": 3, "plain.png": 5, "__": 0}
    assert dict(members.sizes) == expected
    assert read_bytes(path.parent, "x.tar/__/secret.png", MOST) == b"one"
    for name in ("../secret.png", "link.png", "hard.png", "/etc/passwd"):
        with pytest.raises(FileNotFoundError):
            read_bytes(path.parent, f"x.tar/{name}", MOST)


def test_of_members_of_one_name_the_last_counts(tmp_path: Path) -> None:
    blocks = [header("a", 3), padded(b"old"), header("a", 5), padded(b"newer")]
    (tmp_path / "x.tar").write_bytes(b"".join(blocks) + END)
    assert read_bytes(tmp_path, "x.tar/a", MOST) == b"newer"


@pytest.mark.parametrize(
    ("tail", "words"),
    [
        (header("huge.png", 2 << 30), "within a file"),
        (header("b", 10) + b"short", "within a file"),
        (header("b", 10)[:300], "end mark"),
        (b"", "end mark"),
        (b"\xff" * 512 + END, "no header at byte 1,024"),
        (header("b")[:124] + b"\xff" * 12 + header("b")[136:], "no header"),
        (header("L", 1 << 31, tarfile.GNUTYPE_LONGNAME), "within a file"),
    ],
)
def test_damage_is_named_and_what_stands_before_it_is_read(
    tmp_path: Path, tail: bytes, words: str
) -> None:
    path = tmp_path / "x.tar"
    path.write_bytes(header("a.png", 3) + padded(b"one") + tail)
    members = TarMembers(path)
    assert words in members.damage
    assert list(members.sizes) == ["a.png"]
    assert members.read("a.png", MOST) == b"one"


def test_a_negative_size_does_not_turn_the_walk_around(tmp_path: Path) -> None:
    block = bytearray(header("b.png"))
    block[124:136] = b"\xff" * 10 + (-512 & 0xFFFF).to_bytes(2, "big")  # base 256: -512
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    path = tmp_path / "x.tar"
    path.write_bytes(header("a.png", 3) + padded(b"one") + bytes(block) + END)
    assert "damaged" in TarMembers(path).damage


def test_rubbish_is_listed_to_some_end(tmp_path: Path) -> None:
    """Three hundred tars with bytes overwritten at random: nothing hangs, nothing is raised."""
    whole = write_tar(tmp_path / "w.tar", {f"{n}.png": bytes(700) for n in range(6)}).read_bytes()
    dice = random.Random(7)
    path = tmp_path / "x.tar"
    damaged = 0
    for _ in range(300):
        data = bytearray(whole[: dice.randrange(1, 7000)])
        for _ in range(dice.randrange(6)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        path.write_bytes(data)
        members = TarMembers(path)
        damaged += members.damage is not None
        for name in members.sizes:
            members.read(name, MOST)
    assert damaged > 150


def test_what_is_too_large_is_not_read(tmp_path: Path) -> None:
    write_tar(tmp_path / "x.tar", {"a.png": bytes(1000)})
    write_dataset(tmp_path / "x.parquet", [bytes(1000)])
    (tmp_path / "a.png").write_bytes(bytes(1000))
    for path in ("x.tar/a.png", "x.parquet/0.bin", "a.png"):
        assert len(read_bytes(tmp_path, path, 1000)) == 1000
        with pytest.raises(MemberTooLarge, match="1,000"):
            read_bytes(tmp_path, path, 999)


def test_a_container_that_changed_since_it_was_listed_is_not_read(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "x.tar", {"a.png": b"one"})
    stat = FileStat(1, "x.tar/a.png", 3, stamp_of(ordinary_file(path), 1))
    assert read_location(tmp_path, stat, MOST) == (b"one", stat)
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    with pytest.raises(LocationChanged):
        read_location(tmp_path, stat, MOST)


def test_an_ordinary_file_is_read_as_it_is_now(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"four")
    os.utime(tmp_path / "a.png", ns=(5, 5))
    data, stat = read_location(tmp_path, FileStat(1, "a.png", 3, 1, 9), MOST)
    assert (data, stat) == (b"four", FileStat(1, "a.png", 4, 5, 9))


def test_a_stamp_tells_its_container_and_how_many_pictures_it_had() -> None:
    container = FileState(10_240, 1_700_000_000_123_456_789)
    stamp = stamp_of(container, 10_000)
    assert stamp // 10**9 == 1_700_000_000
    assert pictures_in_stamp(stamp) == 10_000
    assert is_stamp_of(stamp, container)
    assert not is_stamp_of(stamp, container._replace(size_bytes=20_480))
    assert not is_stamp_of(stamp, container._replace(mtime_ns=container.mtime_ns + 1))
    assert pictures_in_stamp(stamp_of(container, 123_456)) == 0


def test_a_member_is_gone_only_if_its_container_is_whole_without_it(tmp_path: Path) -> None:
    root = tmp_path / "root"
    path = write_tar(root / "x.tar", {"a.png": b"one", "b.png": b"two"})
    assert not location_is_gone(root, "x.tar/a.png")
    assert location_is_gone(root, "x.tar/c.png")
    assert location_is_gone(root, "y.tar/a.png")
    path.write_bytes(path.read_bytes()[:700])
    assert not location_is_gone(root, "x.tar/b.png")
    path.unlink()
    assert location_is_gone(root, "x.tar/a.png")
    root.rename(tmp_path / "unplugged")
    assert not location_is_gone(root, "x.tar/a.png")
    assert not location_is_gone(root, "a.png")


def test_rows_are_read_in_any_order(tmp_path: Path) -> None:
    rows = [bytes([number]) * (number + 1) for number in range(50)]
    captions = [f"Nr. {number}" for number in range(50)]
    path = write_dataset(tmp_path / "x.parquet", rows, text=captions)
    container = open_container(path, ordinary_file(path))
    assert [name for name in container.sizes if name.endswith(".bin")] == [
        f"{number:02d}.bin" for number in range(50)
    ]
    order = list(range(50))
    random.Random(3).shuffle(order)
    for number in (*range(50), *order):
        assert container.read(f"{number:02d}.bin", MOST) == rows[number]
        assert container.read(f"{number:02d}.txt", MOST).decode() == captions[number]


def test_a_parquet_file_is_never_held_as_a_whole(tmp_path: Path) -> None:
    """64 MB in row groups of 4 MB."""
    noise = random.Random(1)
    rows = [noise.randbytes(1 << 20) for _ in range(64)]
    rows[0] = b"\xff\xd8\xff" + rows[0]
    path = tmp_path / "x.parquet"
    parquet.write_table(pa.table({"jpg": pa.array(rows)}), path, row_group_size=4)
    before = pa.total_allocated_bytes()
    container = open_container(path, ordinary_file(path))
    most = 0
    for number, row in enumerate(rows):
        assert container.read(f"{number:02d}.jpg", 2 << 20) == row
        most = max(most, pa.total_allocated_bytes() - before)
    assert most < 24 << 20


def test_several_columns_of_pictures_are_folders(tmp_path: Path) -> None:
    starts = {"before": b"\xff\xd8\xff one", "after": b"\x89PNG two"}
    columns = {name: pa.array([data]) for name, data in starts.items()}
    path = tmp_path / "x.parquet"
    parquet.write_table(pa.table({**columns, "hash": pa.array([b"\0\1"])}), path)
    container = open_container(path, ordinary_file(path))
    assert sorted(container.sizes) == ["after/0.png", "before/0.jpg"]
    assert container.read("after/0.png", MOST) == starts["after"]


def test_a_parquet_file_damaged_in_the_middle_says_so(tmp_path: Path) -> None:
    rows = [random.Random(number).randbytes(5000) for number in range(9)]
    path = write_dataset(tmp_path / "x.parquet", rows)
    state = ordinary_file(path)
    container = open_container(path, state)
    assert container.read("0.bin", MOST) == rows[0]
    data = bytearray(path.read_bytes())
    data[20_000:] = bytes(len(data) - 20_000)
    path.write_bytes(data)
    with pytest.raises(ContainerDamaged, match="no Parquet file, or a damaged one"):
        container.read("8.bin", MOST)
