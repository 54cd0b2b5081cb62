"""Channels and tags of an event (docs/channels.md)."""

from typing import Any, ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """Add their columns."""

    dependencies: ClassVar[list[Any]] = [("hooktide", "0002_column_defaults")]
    operations: ClassVar[list[Any]] = [
        migrations.AddField(
            model_name="outbox",
            name="channels",
            field=models.TextField(blank=True, db_default="", default=""),
        ),
        migrations.AddField(
            model_name="outbox",
            name="tags",
            field=models.TextField(blank=True, db_default="", default=""),
        ),
    ]
