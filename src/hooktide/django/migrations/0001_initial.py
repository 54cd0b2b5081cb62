"""The table of the outbox."""

from typing import Any, ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """Make it."""

    initial = True
    dependencies: ClassVar[list[Any]] = []
    operations: ClassVar[list[Any]] = [
        migrations.CreateModel(
            name="Outbox",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("key", models.CharField(max_length=255)),
                ("account", models.TextField()),
                ("type", models.TextField()),
                ("payload", models.TextField()),
                ("occurred_at", models.CharField(max_length=40)),
                ("transition", models.CharField(blank=True, default="", max_length=200)),
                ("test", models.BooleanField(default=False)),
                ("refused", models.TextField(blank=True, default="")),
            ],
            options={
                "db_table": "hooktide_outbox",
                "verbose_name": "event in the outbox",
                "verbose_name_plural": "outbox",
            },
        ),
        migrations.AddIndex(
            model_name="outbox",
            index=models.Index(
                condition=models.Q(("refused", "")), fields=["id"], name="hooktide_outbox_waiting"
            ),
        ),
    ]
