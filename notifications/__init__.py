"""The message center. What other code calls: `from notifications import EVERYONE, send`."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .audience import EVERYONE
    from .publishing import asend, publish_due, send, update, withdraw

__all__ = ["EVERYONE", "asend", "publish_due", "send", "update", "withdraw"]


def __getattr__(name: str) -> Any:
    # Late, because Django imports this package before any model may be imported.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import audience, publishing

    return audience.EVERYONE if name == "EVERYONE" else getattr(publishing, name)
