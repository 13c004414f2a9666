"""What is to be reached, and whether it is: computed from the tables that the parts print."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .tables import Read, number, read

SERVERS = ("uvicorn", "daphne")
Tables = Mapping[str, Read]  # by part


@dataclass(frozen=True)
class Target:
    """A row: at most (or at least) so much on each server, and what is shown beside it."""

    what: str
    unit: str
    limits: tuple[float | None, float | None]  # of SERVERS; None: nothing is demanded
    figure: Callable[[Tables, str], float]  # KeyError: it was not measured
    beside: Callable[[Tables], str] = lambda _: ""
    at_least: bool = False

    def row(self, tables: Tables) -> str:
        cells = [self._cell(tables, *pair) for pair in zip(SERVERS, self.limits, strict=True)]
        try:
            beside = self.beside(tables)
        except LookupError:
            beside = "not measured"
        return f"| {self.what} | " + " | ".join(cells) + f" | {beside} |"

    def _cell(self, tables: Tables, server: str, limit: float | None) -> str:
        if limit is None:
            return ""
        try:
            value = self.figure(tables, server)
        except LookupError:
            return "not measured"
        sign, is_met = ("≥", value >= limit) if self.at_least else ("≤", value <= limit)
        text = f"{shown(value)} {self.unit}".rstrip() + f", {sign} {shown(limit)}"
        if is_met:
            return f"{text}: met"
        by = f", {shown(value / limit)} × that" if limit else ""
        return f"{text}: **not met**{by}"


def shown(value: float) -> str:
    return f"{value:.2f}" if value < 10 and value != int(value) else number(value)


def of(part: str, column: str) -> Callable[[Tables, str], float]:
    """The figure of our server whose column begins so."""
    return lambda tables, server: cell(tables, part, f"ours, {server}", column)


def cell(tables: Tables, part: str, row: str, column: str) -> float:
    figures = tables[part][row]
    return figures[next(name for name in [*figures, column] if name.startswith(column))]


def against(column: str, *peers: str) -> Callable[[Tables, str], float]:
    """Our figure of the broadcast, divided by the best (lowest) of these peers'."""

    def ratio(tables: Tables, server: str) -> float:
        best = min(cell(tables, "broadcast", peer, column) for peer in peers)
        return of("broadcast", column)(tables, server) / best

    return ratio


def grown(part: str, column: str) -> Callable[[Tables, str], float]:
    """By how much the last of the columns that speak of this exceeds the first."""

    def difference(tables: Tables, server: str) -> float:
        figures = columns(tables, part, server, column)
        return figures[-1] - figures[0]

    return difference


def most(part: str, column: str) -> Callable[[Tables, str], float]:
    return lambda tables, server: max(columns(tables, part, server, column))


def columns(tables: Tables, part: str, server: str, text: str) -> list[float]:
    figures = tables[part][f"ours, {server}"]
    found = [figures[name] for name in figures if text in name]
    if not found:
        raise LookupError(text)
    return found


def peers(column: str, *names: str) -> Callable[[Tables], str]:
    return lambda tables: ", ".join(
        f"{name} {shown(cell(tables, 'broadcast', name, column))}" for name in names
    )


def herd(beginning: str) -> Callable[[Tables, str], float]:
    """Of the row that begins so."""

    def figure(tables: Tables, server: str) -> float:
        rows = tables["herd"]
        return rows[next((name for name in rows if name.startswith(beginning)), beginning)][server]

    return figure


def lost(tables: Tables, server: str) -> float:
    complete = herd("readers that have all they missed, once")
    return herd("live again within")(tables, server) - complete(tables, server)


def scale(column: str, *beginnings: str) -> Callable[[Tables, str], float]:
    """The sum of these rows."""

    def total(tables: Tables, _: str) -> float:
        rows = tables["scale"]
        found = [[name for name in rows if name.startswith(each)] for each in beginnings]
        return sum(rows[names[0]][column] for names in found)

    return total


def longest(part: str, beginning: str, but: str = "") -> Callable[[Tables, str], float]:
    """Of these rows, but not of those with that in their names."""

    def figure(tables: Tables, _: str) -> float:
        names = [name for name in tables[part] if name.startswith(beginning)]
        found = [tables[part][name]["ms"] for name in names if not (but and but in name)]
        if not found:
            raise LookupError
        return max(found)

    return figure


def acts(tables: Tables, _: str) -> float:
    """Of the first row: the readers who have an inbox."""
    return next(iter(tables["acts"].values()))["all have it read, s"]


FIRST_TO_LAST, AT_MOST = "first to last reader", "deliveries a second"
KIB, OPENING = "KiB a stream", "CPU to open a stream"
LIMIT = "bare asyncio"  # what all streams of Python have below them

TARGETS = [
    Target(
        "one event to all streams, first to last reader, against bare asyncio", "×", (1.4, 5.0),
        against(FIRST_TO_LAST, LIMIT),
        peers(FIRST_TO_LAST, LIMIT, "sse-starlette, uvicorn", "django-eventstream, uvicorn"),
    ),
    Target(
        "the same, against the faster of Express and nginx + nchan", "×", (1.0, None),
        against(FIRST_TO_LAST, "Express", "nginx + nchan"),
        peers(FIRST_TO_LAST, "Express", "nginx + nchan"),
    ),
    Target(
        "deliveries a second at saturation, against bare asyncio", "×", (0.6, 0.2),
        against(AT_MOST, LIMIT),
        peers(AT_MOST, LIMIT, "nginx + nchan", "Express", "sse-starlette, uvicorn"),
        at_least=True,
    ),
    Target(
        "memory of an idle stream, logged in", "KiB", (20, 32),
        of("broadcast", KIB),
        peers(KIB, "naive, uvicorn", "Express", "sse-starlette, uvicorn"),
    ),
    Target(
        "threads, with all streams more than without", "", (0, 0),
        grown("broadcast", "threads"),
        peers("threads, at all", "naive, uvicorn", "django-eventstream, uvicorn"),
    ),
    Target(
        "database files of SQLite, with all streams more than without", "", (0, 0),
        grown("broadcast", "database files"), peers("database files, at all", "naive, uvicorn"),
    ),
    Target(
        "connections to PostgreSQL, with many streams more than with few", "", (0, 0),
        grown("ours on PostgreSQL", "database connections"),
    ),
    Target(
        "processor time to open a stream, logged in", "ms", (2, 3),
        of("broadcast", OPENING), peers(OPENING, "naive, uvicorn", "django-eventstream, uvicorn"),
    ),
    Target(
        "queries a second on PostgreSQL, idle", "", (5, 5),
        most("ours on PostgreSQL", "queries a second"),
    ),
    Target("idle on SQLite, of a core", "%", (1, 1), of("ours", "idle at 20: CPU")),
    Target("commit to byte on SQLite, p50", "ms", (60, 60), of("ours", "commit to byte: p50")),
    Target("commit to byte on SQLite, p99", "ms", (150, 150), of("ours", "p99")),
    Target(
        "commit to byte on PostgreSQL, p50", "ms", (10, 10),
        of("ours on PostgreSQL", "commit to byte: p50"),
    ),
    Target("commit to byte on PostgreSQL, p99", "ms", (30, 30), of("ours on PostgreSQL", "p99")),
    Target(
        "all streams dropped, until all are live again", "s", (30, 30),
        herd("s until the last of them was"),
    ),
    Target("readers who then lack a message or have one twice", "", (0, 0), lost),
    Target(
        "statements on the log for them", "", (100, 100), herd("of these, statements on the log"),
    ),
    Target(
        "`send` to everyone, a million accounts", "ms", (20, None), scale("ms", "send to everyone"),
    ),
    Target(
        "`send` to a group of 100,000", "ms", (1_000, None), scale("ms", "send to a group of"),
    ),
    Target("10,000 readers mark one broadcast read, sends meanwhile", "s", (10, None), acts),
    Target(
        "page and both counts, 10,000 messages among 10 million rows, database time", "ms",
        (20, None),
        scale("of it database, ms", "heavy reader: page, all"),  # with the counts
    ),
    Target(
        "live count of whom a message would reach, 100,000 accounts, the longest of eight", "ms",
        (100, None), longest("a million messages", "admin: live count, ", but="3,000 people"),
    ),
    Target(
        "until the sender sees a number, exact or about, also with 3,000 names", "ms",
        (100, None), longest("a million messages", "admin: first answer, "),
    ),
    Target(
        "the same with a million accounts", "ms",
        (100, None), longest("scale", "admin: first answer, "),
    ),
]  # fmt: skip


def table(texts: Mapping[str, str]) -> str:
    tables = {part: read(text) for part, text in texts.items()}
    head = "| | " + " | ".join(SERVERS) + " | beside it |\n|---|---|---|---|"
    return "\n".join([head, *(target.row(tables) for target in TARGETS)])
