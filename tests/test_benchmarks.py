"""The benchmarks conclude from their own tables, and count what is cut into pieces."""

import socket
import threading
import time

import pytest

from benchmarks import tables, targets
from benchmarks.goals import GOALS, Results
from benchmarks.place import HOST
from benchmarks.readers import Readers

PRINTED = """
Some words.

| server | first to last reader, ms | threads, at none | threads, at all |
|---|---:|---:|---:|
| bare asyncio | 100 (90–1,110) | 1 | 1 |
| Express | 180 | 7 | 7 |
| nginx + nchan | 1,150.5 | 2 | 2 |
| ours, uvicorn | 135 (1–2) | 6 | 6 |
| ours, daphne | 600 | 6 | 9 |
"""


def test_what_is_reached_is_computed_from_the_tables():
    concluded = targets.table({"broadcast": PRINTED}).splitlines()
    assert "1.35 ×, ≤ 1.40: met | 6 ×, ≤ 5: **not met**, 1.20 × that" in concluded[2]
    assert "0.75 ×, ≤ 1: met |  | Express 180, nginx + nchan 1,150" in concluded[3]
    assert "| not measured | not measured |" in concluded[4]
    assert "0, ≤ 0: met | 3, ≤ 0: **not met** |" in concluded[6]


ACTS = """
| postgresql, 2 processes | all have it read, s | acts a second |
|---|---:|---:|
| 10,000 readers | 9 | 1,111 |
| 10,000 whose inbox it makes | 17 | 588 |
"""


def test_readers_who_read_have_an_inbox():
    (row,) = [row for row in targets.table({"acts": ACTS}).splitlines() if "mark one" in row]
    assert "| 9 s, ≤ 10: met |" in row


SCALE = """
| | ms | of it database, ms |
|---|---:|---:|
| heavy reader: both counts | 6 | 4.4 |
| heavy reader: page, all | 29 | 18.3 |
| heavy reader: page, all, deep | 26 | 16.3 |
"""


def test_a_page_comes_with_its_counts_which_are_not_counted_twice():
    (row,) = [row for row in targets.table({"scale": SCALE}).splitlines() if "page and" in row]
    assert "| 18.3 ms, ≤ 20: met |" in row


def test_a_table_is_read_as_it_was_written():
    rows = {"one": {"ms": [3.0, 1.0, 2000.0], "s": [7]}, "two": {"s": [0.25]}}
    text = tables.table(rows)
    assert "| one | 3 (1–2,000) | 7 |" in text
    assert tables.read(text) == {"one": {"ms": 3, "s": 7}, "two": {"s": 0.2}}


def test_events_are_counted_though_they_arrive_in_pieces():
    with socket.create_server((HOST, 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                pieces = [b"HTTP/1.1 200 OK\r\n\r\n", b"data: x-1", b"2\n\nda", b"ta: x-12\n\n"]
                for piece in pieces:
                    connection.sendall(piece)
                    time.sleep(0.02)  # so that it is not joined with the next; or it is no test

        thread = threading.Thread(target=serve)
        thread.start()
        with Readers(server.getsockname()[1]) as readers:
            readers.open(["nobody"], b"\r\n\r\n")
            seen = readers.receive(b"x-12", 2)
        thread.join()
    assert sum(count for _, count in seen) == 2


def test_a_reader_that_is_cut_off_is_noticed():
    with socket.create_server((HOST, 0)) as server, Readers(server.getsockname()[1]) as readers:
        readers.connect(b"x")
        server.accept()[0].close()
        with pytest.raises(ConnectionError):
            readers.receive(b"x", 1)


def test_a_goal_is_not_met_before_it_is_measured():
    missing = {goal.row(Results()) for goal in GOALS}
    assert all("not measured" in row and "**not met**" in row for row, _ in missing)
    assert not any(is_met for _, is_met in missing)


@pytest.mark.parametrize(
    ("noted", "verdict"),
    [
        ({"one": 0, "two": 0}, "0 in 2 states | met"),
        ({"one": 0, "two": 3}, "3 in 2 states | **not met**"),
        ({"one": 0, "two": None}, "not measured: in 1 of 2 states | **not met**"),
    ],
)
def test_a_goal_for_all_states_is_measured_in_all_of_them(tmp_path, noted, verdict):
    properties = {
        name: "" if value is None else f'<property name="axe violations" value="{value}"/>'
        for name, value in noted.items()
    }
    cases = "".join(
        f'<testcase classname="tests.test_look" name="test_nobody_is_kept_out[{name}]">'
        f"<properties>{each}</properties></testcase>"
        for name, each in properties.items()
    )
    report = tmp_path / "report.xml"
    report.write_text(f"<testsuite>{cases}</testsuite>")
    results = Results()
    results.read(report)
    (axe,) = (goal for goal in GOALS if goal.what.startswith("axe"))
    assert verdict in axe.row(results)[0]


def test_stories_are_told_when_their_tests_pass(tmp_path):
    report = tmp_path / "report.xml"
    report.write_text(
        '<testsuite><testcase classname="tests.test_keyboard" name="test_one"/>'
        '<testcase classname="tests.test_keyboard" name="test_two"><failure/></testcase>'
        "</testsuite>"
    )
    results = Results()
    results.read(report)
    (keyboard,) = (goal for goal in GOALS if goal.what.startswith("keyboard"))
    assert "1 of 2 tests pass | **not met**" in keyboard.row(results)[0]
