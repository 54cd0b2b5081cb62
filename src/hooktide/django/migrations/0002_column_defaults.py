"""Defaults in the database, for rows that an application inserts with SQL (docs/outbox.md)."""

from typing import Any, ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """Give the columns that an ordinary event does not need their defaults."""

    dependencies: ClassVar[list[Any]] = [("hooktide", "0001_initial")]
    operations: ClassVar[list[Any]] = [
        migrations.AlterField(
            model_name="outbox",
            name="transition",
            field=models.CharField(blank=True, db_default="", default="", max_length=200),
        ),
        migrations.AlterField(
            model_name="outbox",
            name="test",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AlterField(
            model_name="outbox",
            name="refused",
            field=models.TextField(blank=True, db_default="", default=""),
        ),
    ]
