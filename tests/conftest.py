"""What all tests share."""

import os

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    return nothing_is_skipped_in_ci((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report():
    return nothing_is_skipped_in_ci((yield))


def nothing_is_skipped_in_ci(report):
    """Where everything is installed, a skip is a test that nobody runs, and nobody would know."""
    expected_failure = hasattr(report, "wasxfail")
    if report.skipped and not expected_failure and os.environ.get("CI") == "true":
        *_, reason = report.longrepr if isinstance(report.longrepr, tuple) else [report.longrepr]
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid} was skipped, and CI=true allows no skips: {reason}"
    return report
