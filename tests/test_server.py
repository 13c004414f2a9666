"""What the tests stand on: a server is the test's own."""

import pytest

from tests.server import PORTS, Server, free_port


def test_a_server_whose_port_is_taken_is_not_mistaken_for_the_one_that_has_it(servers, tmp_path):
    other = servers("daphne")
    mine = Server("daphne", tmp_path / "mine")
    mine.errors.parent.mkdir()
    mine.port, mine.url = other.port, other.url
    with pytest.raises(AssertionError, match=r"did not start:\n[\s\S]*already in use"):
        mine.start()


def test_processes_that_test_side_by_side_share_the_ports_out(monkeypatch):
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "3")
    for number in range(3):
        monkeypatch.setenv("PYTEST_XDIST_WORKER", f"gw{number}")
        assert {(free_port() - PORTS[0]) % 3 for _ in range(20)} == {number}
