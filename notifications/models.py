"""What is stored, and who may see it.

A `Message` says by its timestamps what is to happen to it (`publish_at`, `expires_at`,
`revised_at`, `withdraw_at`) and what the log says has happened (`published_at`, `expired_at`,
`updated_at`, `withdrawn_at`). Only `publishing` turns the first into the second. Lists and counts
look at the second alone, so a page, a stream and a count never disagree.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, Self

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import EmptyResultSet, FieldDoesNotExist
from django.core.validators import MaxLengthValidator
from django.db import Error, connection, connections, models, router, transaction
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.constants import OnConflict
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from .cursor import Cursor, new_word

TITLE_LENGTH = 200  # characters: one line in a list, also on a phone
BODY_LENGTH = 10_000  # characters: a long page; more belongs behind the link
LINK_LENGTH = 2_000  # characters: what browsers and proxies carry without trouble
IDLE = 2  # s of nothing in a transaction that locks the log, after which the database ends it
KEY_LENGTH = 200  # characters: MariaDB's longest unique text is 768 bytes of index
TO_ONESELF = "to-oneself:"  # begins the key of what a sender has sent to have a look at it
CANARY = "notifications.canary"  # the key of the message that servers send themselves (`canary`)


class ExactField(models.CharField):
    """Text that is the same only if each character is, also on MariaDB, where "K" is "k" and "k "
    unless a column is made otherwise."""

    def db_parameters(self, connection: Any) -> Any:
        found: dict[str, Any] = {**super().db_parameters(connection)}
        if connection.vendor == "mysql":
            exact = "utf8mb4_nopad_bin" if connection.mysql_is_mariadb else "utf8mb4_0900_bin"
            found["collation"] = exact
        return found


class MessageQuerySet(models.QuerySet["Message"]):
    def published(self) -> Self:
        """What has a position in the log, whatever became of it since."""
        return self.filter(position__isnull=False)

    def live(self) -> Self:
        """Published and neither withdrawn nor expired, as far as the log has said so."""
        return self.published().filter(withdrawn_at=None, expired_at=None)

    def of_people(self) -> Self:
        """All but the canary, which is for nobody."""
        # By its primary key, which every index has: of its key the rows would have to be asked.
        return self.exclude(pk__in=self.model._default_manager.filter(key=CANARY).values("pk"))

    def broadcast_since(self, since: Any) -> Self:
        """To everyone, for an account that counts from position `since` (or an expression)."""
        # "in" one value: SQLite uses no index for a condition that is a column alone.
        return self.filter(everyone__in=[True], position__gt=since)

    def named_to(self, user_id: Any) -> Self:
        """Published to this user by name or as a member of a group."""
        return self.published().filter(everyone=False, recipients__user_id=user_id)

    def addressed_to(self, user_id: Any, since: int) -> Self:
        """As `visible_to`, for who holds the user's id and `Inbox.since` already."""
        named = Recipient.objects.filter(message_id=OuterRef("pk"), user_id=user_id)
        return self.filter(
            Q(everyone=True, position__gt=since)
            | (Q(everyone=False, position__isnull=False) & Exists(named))
        )

    def visible_to(self, user: Any) -> Self:
        """What has been published to `user`. The only way to a message on a reader's behalf.

        Withdrawn and expired ones are among them, so that their page can say so; add `.live()`
        for what a list shows.
        """
        return self.addressed_to(user.pk, Inbox.objects.of(user.pk).since)

    def due(self, now: datetime) -> Self:
        """About which the log has something to say by `now`, the oldest first."""
        return self.filter(due_at__lte=now).order_by("due_at", "pk")

    def locked(self, skip: bool = False) -> Self:
        """Locked until the end of the transaction; `skip`: without those that somebody holds.

        Where the database can, such that recipients of a message may be written meanwhile: readers
        do not wait for a sender, and do not make `publish_due` pass by what they read.
        """
        return self.select_for_update(
            skip_locked=skip and connection.features.has_select_for_update_skip_locked,
            no_key=connection.features.has_select_for_no_key_update,
        )


class Message(models.Model):
    """A title, a body, a level and a link, for an audience."""

    class Level(models.TextChoices):
        INFO = "info", _("Info")
        SUCCESS = "success", _("Success")
        WARNING = "warning", _("Warning")
        ERROR = "error", _("Error")

    title = models.CharField(_("title"), max_length=TITLE_LENGTH)
    body = models.TextField(
        _("body"),
        blank=True,
        max_length=BODY_LENGTH,
        validators=[MaxLengthValidator(BODY_LENGTH)],
        help_text=_("Markdown: emphasis, links, lists, code, quotes."),
    )
    html = models.TextField(_("body as HTML"), blank=True, editable=False)
    level = models.CharField(_("level"), max_length=10, choices=Level, default=Level.INFO)
    link = models.CharField(_("link"), max_length=LINK_LENGTH, blank=True)
    sender = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("sender"),
    )
    key = ExactField(
        _("key"), max_length=KEY_LENGTH, unique=True, null=True, blank=True, editable=False
    )

    everyone = models.BooleanField(_("everyone"), default=False)
    groups = models.ManyToManyField(
        "auth.Group", blank=True, related_name="+", verbose_name=_("groups")
    )

    # Instead of the one row that `everyone` is: all accounts are enlisted when it is published, but
    # for those who are left out.
    everyone_but = models.BooleanField(_("everyone but some"), default=False, db_default=False)
    excluded_users = models.ManyToManyField(
        settings.AUTH_USER_MODEL, blank=True, related_name="+", verbose_name=_("people left out")
    )
    excluded_groups = models.ManyToManyField(
        "auth.Group", blank=True, related_name="+", verbose_name=_("groups left out")
    )

    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    # What is to happen. `publish_at` empty is a draft.
    publish_at = models.DateTimeField(_("publish at"), null=True, blank=True)
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)
    revised_at = models.DateTimeField(null=True, editable=False)
    withdraw_at = models.DateTimeField(null=True, editable=False)
    # When the log next has something to say: the one thing `publish_due` looks for.
    due_at = models.DateTimeField(null=True, editable=False, db_index=True)

    # When its text became another, of which readers are told; an end that moves is no edit.
    edited_at = models.DateTimeField(_("edited"), null=True, editable=False)

    # What the log says has happened.
    position = models.BigIntegerField(_("position"), null=True, unique=True, editable=False)
    published_at = models.DateTimeField(_("published"), null=True, editable=False)
    updated_at = models.DateTimeField(null=True, editable=False)
    withdrawn_at = models.DateTimeField(_("withdrawn"), null=True, editable=False)
    expired_at = models.DateTimeField(_("expired"), null=True, editable=False)

    objects = MessageQuerySet.as_manager()

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        permissions = [
            ("send_to_everyone", _("Can send to everyone")),
            ("send_to_groups", _("Can send to groups")),
            ("send_to_users", _("Can send to people by their names")),
            ("withdraw_any", _("Can withdraw messages of others")),
            ("unlimited_sends", _("Can send without a limit an hour")),
            ("view_statistics", _("Can see statistics and the live dashboard")),
            ("end_streams", _("Can end the streams of a user")),
        ]
        # The first two hold all that a count asks: it need not touch the rows, which are long.
        # Lists find their page in them, too, and then read those thirty rows.
        indexes = [
            models.Index(
                fields=["everyone", "position", "withdrawn_at", "expired_at", "id"],
                name="message_broadcasts",
            ),
            # MariaDB, which has no partial indexes, reads the rows by their primary key instead.
            models.Index(
                fields=["id", "position"],
                condition=Q(withdrawn_at=None, expired_at=None),
                name="message_live",
            ),
            # For staff, whose list goes by it, and is chosen from by date.
            models.Index(fields=["created_at", "id"], name="message_by_date"),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def is_over(self) -> bool:
        """Withdrawn or expired: in no list and no count, and for good."""
        return bool(self.withdrawn_at or self.expired_at)

    def next_event(self, now: datetime) -> str | None:
        """What the log has to say of this message by `now` (a `Change.Event`), if anything."""
        if self.is_over or self.published_at is None:
            is_due = self.publish_at is not None and self.publish_at <= now
            return Change.Event.PUBLISHED if is_due and not self.is_over else None
        if self.withdraw_at:
            return Change.Event.WITHDRAWN
        if self.expires_at and self.expires_at <= now:
            return Change.Event.EXPIRED
        if self.revised_at and (self.updated_at is None or self.updated_at < self.revised_at):
            return Change.Event.UPDATED
        return None

    def next_due(self, now: datetime) -> datetime | None:
        """When `next_event` will next be one: what `due_at` must say."""
        if self.is_over:
            return None
        if self.published_at is None:
            return self.publish_at
        return now if self.next_event(now) else self.expires_at


def waits_for_members() -> Any:
    """The condition of messages whose audience is yet to be written: all accounts but some, and the
    members of groups, also of those left out, are those of the moment of publishing."""
    groups = Message.groups.through.objects.filter(message_id=OuterRef("pk"))
    left_out = Message.excluded_groups.through.objects.filter(message_id=OuterRef("pk"))
    members = Q(everyone_but=True) | Exists(groups) | Exists(left_out)
    return Q(published_at=None, everyone=False) & members


class Draft(models.Model):
    """What a member of staff has begun to write: as the form has it, whether it is right or not."""

    # Random, and the key of the message that is made of it: so it is sent once.
    id = models.CharField(primary_key=True, max_length=16, default=new_word, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    data = models.JSONField(default=dict)  # the values of each field, as they were posted
    updated_at = models.DateTimeField(_("saved"), auto_now=True)

    class Meta:
        verbose_name = _("draft")
        verbose_name_plural = _("drafts")
        default_permissions = ()  # its owner's, and nobody else's

    def __str__(self) -> str:
        return self.title

    @property
    def title(self) -> str:
        return next(iter(self.data.get("title", [])), "")

    @property
    def key(self) -> str:
        return f"draft:{self.pk}"


class RecipientManager(models.Manager["Recipient"]):
    def write(self, rows: models.QuerySet[Any, Any], fields: Sequence[str]) -> int:
        """Write a row for each of `rows`, whose columns are `fields`; how many are new.

        By INSERT ... SELECT: 20 times as fast as objects through Python, in constant memory.
        """
        connection = connections[router.db_for_write(Recipient)]
        try:
            select, params = rows.order_by().query.get_compiler(connection.alias).as_sql()
        except EmptyResultSet:
            return 0
        meta, ops = Recipient._meta, connection.ops
        columns: list[Any] = [meta.get_field(name) for name in fields]
        sql = " ".join([
            ops.insert_statement(on_conflict=OnConflict.IGNORE),
            ops.quote_name(meta.db_table),
            "(" + ", ".join(ops.quote_name(field.column) for field in columns) + ")",
            select,
            ops.on_conflict_suffix_sql(columns, OnConflict.IGNORE, [], []),
        ])  # fmt: skip
        with connection.cursor() as cursor:
            cursor.execute(sql, params)
            return max(0, cursor.rowcount)


class Recipient(models.Model):
    """One user and one message: the right to read it, and what the reader did with it.

    For a named audience the row is the right itself; for everyone it is made when there is state
    to keep. Written under the lock of the user's `Inbox`, except when an audience is set up.
    """

    class Via(models.TextChoices):
        NAME = "name", _("by name")
        GROUP = "group", _("as a member of a group")
        EVERYONE = "everyone", _("everyone")

    # No index of their own: each leads one of those below. No constraints, of which a large
    # audience spends as much time on as on half of its rows: Django deletes the rows with their
    # user or message, and one that is written at that very moment is joined to nothing.
    message = models.ForeignKey(
        Message, models.CASCADE, related_name="recipients", db_index=False, db_constraint=False
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    via = models.CharField(max_length=8, choices=Via)
    # Marked unread again, the message is unread, but the first reading stays in the statistics.
    first_read_at = models.DateTimeField(_("first read"), null=True)
    read_at = models.DateTimeField(_("read"), null=True)
    archived_at = models.DateTimeField(_("archived"), null=True)

    objects = RecipientManager()

    class Meta:
        verbose_name = _("recipient")
        verbose_name_plural = _("recipients")
        # In this order: the rows of a large audience are written side by side.
        constraints = [
            models.UniqueConstraint(fields=["message", "user"], name="recipient_once"),
        ]
        # All that lists and counts ask of a user's rows, on each database: the unread, what is
        # not put away, what is, and the broadcasts among them.
        indexes = [
            models.Index(
                fields=["user", "archived_at", "read_at", "message", "via"],
                name="recipient_of_user",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} · {self.message_id}"


class Head(models.Model):
    """The end of the log, in the one row that whoever changes the log locks first."""

    THE_ONE = 1

    id = models.PositiveSmallIntegerField(primary_key=True, default=THE_ONE)
    position = models.BigIntegerField(default=0)
    word = models.CharField(max_length=16, default=new_word)

    def __str__(self) -> str:
        return str(self.cursor)

    @property
    def cursor(self) -> Cursor:
        return Cursor(self.word, self.position)

    @classmethod
    def lock(cls) -> Self:
        """The head, locked until the end of the transaction, on any database."""
        if not connection.features.has_select_for_update:  # SQLite locks by writing, and only so
            cls.objects.filter(pk=cls.THE_ONE).update(position=F("position"))
        return cls.objects.select_for_update().get(pk=cls.THE_ONE)

    @classmethod
    @contextmanager
    def locked(cls, durable: bool = True) -> Iterator[Self]:
        """The head, locked in a transaction that is this block.

        A process that freezes in it (SIGSTOP, a paused machine) would hold up all others for as
        long as it is frozen. So the database ends the transaction of one that is idle for IDLE; it
        gets an error when it wakes. SQLite has no server that could do that.
        """
        mariadb = getattr(connection, "mysql_is_mariadb", False)
        try:
            if mariadb:
                _run(f"SET SESSION idle_write_transaction_timeout = {IDLE}")
            with transaction.atomic(durable=durable):
                if connection.vendor == "postgresql":
                    _run(f"SET LOCAL idle_in_transaction_session_timeout = '{IDLE}s'")
                yield cls.lock()
        finally:
            if mariadb:  # it has no SET LOCAL
                with suppress(Error):
                    _run("SET SESSION idle_write_transaction_timeout = DEFAULT")


def _run(statement: str) -> None:
    with connection.cursor() as sql:
        sql.execute(statement)


class Change(models.Model):
    """A line of the append-only log. It carries no text: that is read from the message."""

    class Event(models.TextChoices):
        PUBLISHED = "published"
        UPDATED = "updated"
        WITHDRAWN = "withdrawn"
        EXPIRED = "expired"

    position = models.BigIntegerField(primary_key=True)
    word = models.CharField(max_length=16)
    # The word of the change before this one. So the row after a cursor says by itself whether the
    # cursor is of this log and nothing is missing between them, also when the cursor's own row has
    # been pruned.
    before = models.CharField(max_length=16)
    event = models.CharField(max_length=9, choices=Event)
    # PROTECT: a message stays while a reader may still be told of it.
    message = models.ForeignKey(Message, models.PROTECT, related_name="changes")
    at = models.DateTimeField()

    class Meta:
        verbose_name = _("change")
        verbose_name_plural = _("changes")

    def __str__(self) -> str:
        return f"{self.cursor} {self.event}"

    @property
    def cursor(self) -> Cursor:
        return Cursor(self.word, self.position)


class InboxManager(models.Manager["Inbox"]):
    def ensure(self, user_ids: Collection[Any]) -> None:
        """Make the rows that are not there yet. Safe from many processes at once."""
        there = set(self.filter(user_id__in=user_ids).values_list("user_id", flat=True))
        if missing := [pk for pk in user_ids if pk not in there]:
            self.make(missing)

    def make(self, user_ids: Collection[Any]) -> None:
        """As `ensure`, for who knows already that they are missing."""
        with connection.cursor() as sql:
            sql.execute(_inboxes(len(user_ids)), [user_key(pk) for pk in user_ids])

    def of(self, user_id: Any) -> "Inbox":
        """The user's row, made when first needed."""
        row = self.filter(user_id=user_id).first()
        if row is None:
            self.make([user_id])
            row = self.get(user_id=user_id)
        return row

    def locked(self, user_id: Any) -> "Inbox":
        """The user's row, locked until the end of the transaction. All that a user does is written
        under it. (SQLite has no row locks: there IMMEDIATE transactions lock more; see checks.)"""
        sql = f"SELECT * FROM {self.model._meta.db_table} WHERE user_id = %s"
        if connection.features.has_select_for_update:
            sql += f" {connection.ops.for_update_sql()}"
        # By hand, for each act begins with it.
        for row in self.raw(sql, [user_key(user_id)]):
            return row
        raise self.model.DoesNotExist


def _inboxes(count: int) -> str:
    """The statement that makes the inboxes of so many accounts, each since the last broadcast that
    was published before the account was. By hand, for a broadcast may bring all of them at once."""
    users: Any = get_user_model()
    since = "0"
    with suppress(FieldDoesNotExist):
        joined: Any = users._meta.get_field("date_joined")
        users = joined.model  # whose table has it: a parent has its child's key
        since = f"""COALESCE((
            SELECT m.position FROM {Message._meta.db_table} m
            WHERE m.everyone = TRUE AND m.published_at < u.{joined.column}
            ORDER BY m.position DESC LIMIT 1), 0)"""
    ops, meta = connection.ops, users._meta
    table, key = ops.quote_name(meta.db_table), f"u.{ops.quote_name(meta.pk.column)}"
    return f"""{ops.insert_statement(OnConflict.IGNORE)} {Inbox._meta.db_table}
            (user_id, since, version, seen, acts, endings)
        SELECT {key}, {since}, 0, 0, '[]', 0 FROM {table} u
        WHERE {key} IN ({", ".join(["%s"] * count)})
        {ops.on_conflict_suffix_sql([], OnConflict.IGNORE, [], [])}"""


def user_key(user_id: Any) -> Any:
    """A user's primary key as SQL by hand takes it."""
    return Inbox._meta.pk.get_db_prep_value(user_id, connection)


class Inbox(models.Model):
    """One row a user. All that the user does is written under this row's lock, and no other."""

    # No constraint: the row outlives its user, or the note that ends the streams of a deleted
    # account would vanish with it.
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        models.DO_NOTHING,
        primary_key=True,
        db_constraint=False,
        related_name="+",
    )
    since = models.BigIntegerField(default=0)
    version = models.BigIntegerField(default=0)
    seen = models.BigIntegerField(default=0)
    acts = models.JSONField(default=list)
    endings = models.BigIntegerField(default=0)
    # The database's clock, so that no two servers' clocks are compared.
    touched_at = models.DateTimeField(db_default=Now(), db_index=True)

    objects = InboxManager()

    class Meta:
        verbose_name = _("inbox")
        verbose_name_plural = _("inboxes")

    def __str__(self) -> str:
        return f"{self.user_id} v{self.version}"


class Process(models.Model):
    """A server process as it sees itself, in one row: see `processes`."""

    id = models.CharField(primary_key=True, max_length=16)
    host = models.CharField(max_length=200)
    pid = models.BigIntegerField()
    # By the database's clock, as all that is compared between processes.
    started_at = models.DateTimeField(db_default=Now())
    reported_at = models.DateTimeField(db_default=Now())
    again_within = models.FloatField()  # s until the next report, if the process lives
    stopped_at = models.DateTimeField(null=True)  # it said good-bye
    streams = models.IntegerField(default=0)
    users = models.IntegerField(default=0)
    hears = models.BooleanField(null=True)  # the doorbell; None: not known yet
    failing = models.CharField(max_length=200, blank=True)  # what the hub tries again and again
    position = models.BigIntegerField(default=0)  # in the log
    canary = models.JSONField(null=True)  # s that the last one took, and when it came
    numbers = models.JSONField(default=dict)  # `Tally.numbers`, since it started
    minutes = models.JSONField(default=list)  # what each of the last minutes added to them
    streamed = models.JSONField(default=dict)  # the last messages: how many streams got each
    watching = models.TextField(blank=True)  # users whose streams are asked for, by a comma
    watched = models.JSONField(default=dict)  # and the answers to what all processes ask

    class Meta:
        verbose_name = _("server process")
        verbose_name_plural = _("live dashboard")  # which is what the admin shows of them
        default_permissions = ()  # `Message` has one for it: view_statistics

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}"
