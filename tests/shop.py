"""examples/embed: a project of another kind, with users, a base template and colours of its own."""

import os
import subprocess
import sys
from pathlib import Path

from tests.chromium import Reader
from tests.server import ROOT, Server

EXAMPLE = ROOT / "examples" / "embed"
ANA = {"email": "ana@example.com", "password": "tea"}
CREATE = "from shop.models import Customer; Customer.objects.create_user({email!r}, {password!r})"


class Shop(Server):
    """The example, served as its README says, on a database of its own."""

    says_ready = "/login/"

    def __init__(self, folder: Path) -> None:
        self.env = {
            "DJANGO_SETTINGS_MODULE": "shop.settings",
            "PYTHONPATH": os.pathsep.join(map(str, (EXAMPLE, ROOT))),  # or `pip install ../..`
            "SHOP_DATABASE": str(folder / "shop.sqlite3"),
        }
        super().__init__("daphne", folder, "shop.asgi:application", **self.env)

    def manage(self, *args: str) -> str:
        command = [sys.executable, EXAMPLE / "manage.py", *args]
        done = subprocess.run(command, env=os.environ | self.env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def shell(self, code: str) -> None:
        self.manage("shell", "-c", code)


async def sign_in(ana: Reader) -> Reader:
    """By the shop's own form, which is open."""
    await ana.page.get_by_label("Email").fill(ANA["email"])
    await ana.page.get_by_label("Password").fill(ANA["password"])
    await ana.press("Log in")
    await ana.page.wait_for_url(f"{ana.url}/")
    return ana
