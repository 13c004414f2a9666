from typing import Any

from django.db import migrations, models


def what_was_edited_was_updated_then(apps: Any, schema_editor: Any) -> None:
    messages = apps.get_model("notifications", "Message").objects.using(schema_editor.connection.alias)
    messages.exclude(edited_at=None).update(updated_at=models.F("edited_at"))


class Migration(migrations.Migration):

    dependencies = [
        ("notifications", "0006_after_sending"),
    ]

    operations = [
        migrations.AddField(
            model_name="message",
            name="updated_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.RunPython(what_was_edited_was_updated_then, migrations.RunPython.noop),
    ]
