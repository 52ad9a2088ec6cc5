"""Rows of csv files that span lines: text with line breaks is read, and lines that a stray quote joins are named."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kasasagi.tasks.load import DatasetSource, SourceError
from kasasagi.tasks.load.files.csv_rows import csv_form, look_like_rows
from kasasagi.tasks.load.files.locate import locate
from kasasagi.tasks.load.files.opened import RawRow
from kasasagi.tasks.load.files.readers import open_rows

HEADER = ["instruction", "topic"]


def read(folder: Path, text: str, **fields: Any) -> list[RawRow]:
    (folder / "p.csv").write_bytes(text.encode())
    source = DatasetSource(path="p.csv", **fields)
    return list(open_rows(source, locate(source, folder)).rows)


STRAY = [
    ("Why?,a\n{}Why is the sky,b\nName a fruit.,c\nWhat is moss{},d\nHow many?,e\n", "lines 3 to 5", 2),
    ("Why?,a\n{}Why is the sky,b\nWhat is moss{},d\nHow many?,e\nWho?,f\n", "lines 3 to 4", 3),
    ("a,{}b\nc,d{}\nHow many?,e\n", "lines 2 to 3", 1),
    ("a,1\nb,2\n{}c,3\nd,4\n{}e,5\nf,6\n", "lines 4 to 6", 3),
]


@pytest.mark.parametrize(("rows", "where", "left"), STRAY)
def test_lines_that_a_stray_quote_joins_are_named(tmp_path: Path, rows: str, where: str, left: int) -> None:
    found = read(tmp_path, "instruction,topic\n" + rows.replace("{}", '"'))
    [row] = [row for row in found if row.reason]
    assert (row.reason, (row.detail or "").startswith(f"{where}: "), "quote" in (row.detail or "")) == (
        "broken_row",
        True,
        True,
    )
    assert len(found) == left + 1
    assert len(read(tmp_path, "instruction,topic\n" + rows.replace("{}", ""))) == rows.count("\n")


@pytest.mark.parametrize(
    "row",
    [
        '"Dear Sir,\nhow are you, by the way\nfine",mail\n',
        '"Roses are red,\nViolets are blue,\nSugar is sweet",poem\n',
        '"Sum up this table:\na,b\n1,2",math\n',
        '"a,b\nc","mail"\n',
        '"He said ""a,b\nc,d",mail\n',
    ],
)
def test_text_with_line_breaks_is_no_row_of_its_own(tmp_path: Path, row: str) -> None:
    assert [one.reason for one in read(tmp_path, f"instruction,topic\n{row}")] == [None]
    assert [one.reason for one in read(tmp_path, f"instruction,topic\n{row}".replace("\n", "\r\n"))] == [None]


def test_a_file_of_one_column_may_have_any_lines(tmp_path: Path) -> None:
    assert [row.value for row in read(tmp_path, 'instruction\n"Why?\nWho?"\n')] == [{"instruction": "Why?\nWho?"}]


def test_a_header_with_blanks_has_rows_with_blanks(tmp_path: Path) -> None:
    [row] = read(tmp_path, 'instruction, topic\n"Why, a\nWho", b\n')
    assert (row.reason, (row.detail or "").startswith("lines 2 to 3")) == ("broken_row", True)


def test_a_broken_row_over_several_lines_names_them_all(tmp_path: Path) -> None:
    rows = [f"What is {n}?,x" for n in range(8)]
    rows[3], rows[6] = f'"{rows[3]}', f'"{rows[6]}'
    found = read(tmp_path, "instruction,topic\n" + "\n".join(rows))
    [row] = [row for row in found if row.reason]
    assert (row.detail or "").startswith("lines 5 to 8: ")
    assert "close the quote that opens in line 5" in (row.detail or "")
    assert len(found) == 5


PIECE = st.sampled_from(["Why", "川", " ", ",", ", ", "\n", "\r\n", '"', ";", "\t", "1", "?", "'"])
CELL = st.lists(PIECE, max_size=8).map("".join)
TABLE = st.lists(st.tuples(CELL, CELL), min_size=1, max_size=5)


@given(TABLE, st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]), st.sampled_from([",", ";", "\t"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_are_read_as_they_were_written(
    tmp_path: Path, table: list[tuple[str, str]], quoting: Any, delimiter: str
) -> None:
    texts = []
    for row in [HEADER, *table]:
        out = io.StringIO()
        csv.writer(out, quoting=quoting, delimiter=delimiter).writerow(row)
        texts.append(out.getvalue())
    found = read(tmp_path, "".join(texts), delimiter=delimiter)
    assert len(found) == len(table)
    for row, cells, text in zip(found, table, texts[1:], strict=True):
        if row.reason is None:
            assert row.value == dict(zip(HEADER, cells, strict=True))
        else:
            lines = text.replace('"', "").splitlines()
            assert text.count('"') == 2
            assert len(lines) > 1
            assert all(line.count(delimiter) == 1 for line in lines)


def test_lines_of_other_lengths_are_no_rows() -> None:
    assert look_like_rows(['"a,b\n', 'c",d\n'], HEADER, ",")
    assert not look_like_rows(['"a\n', 'c",d\n'], HEADER, ",")
    assert not look_like_rows(['"a,b,c\n', 'c",d\n'], HEADER, ",")
    assert not look_like_rows(["a,b\n"], HEADER, ",")


@pytest.mark.parametrize(
    ("text", "sign"),
    [
        ("instruction^topic\nWhy is the sky blue?^light\nWhy?^\n", "'^'"),
        ("instruction~topic~n\nWhy~light~1\n", "'~'"),
        ("instruction\nWhy ^ and not ~?\n", ""),
        ("a^b\nonly text\n", ""),
    ],
)
def test_a_sign_that_divides_every_line_is_suggested_as_delimiter(tmp_path: Path, text: str, sign: str) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(text, encoding="utf-8")
    source = DatasetSource(path="rows.csv", columns={})
    try:
        csv_form(source, locate(source, tmp_path))
        words = ""
    except SourceError as error:
        words = str(error)
    assert f"set delimiter: {sign}" in words if sign else words == ""
