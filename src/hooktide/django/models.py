"""The outbox, as a model."""

from typing import Any, ClassVar

from django.db import models

from hooktide.outbox.row import TABLE
from hooktide.wire.events import MAX_KEY_LENGTH, MAX_TRANSITION_LENGTH


class Outbox(models.Model):
    """An event waiting for the relay; if ``refused`` has a reason, it was set aside."""

    id = models.BigAutoField(primary_key=True)
    key = models.CharField(max_length=MAX_KEY_LENGTH)
    account = models.TextField()
    type = models.TextField()
    payload = models.TextField()
    occurred_at = models.CharField(max_length=40)
    transition = models.CharField(
        max_length=MAX_TRANSITION_LENGTH, default="", db_default="", blank=True
    )
    test = models.BooleanField(default=False, db_default=False)
    channels = models.TextField(default="", db_default="", blank=True)
    tags = models.TextField(default="", db_default="", blank=True)
    refused = models.TextField(default="", db_default="", blank=True)

    class Meta:
        """What goes with the table."""

        app_label = "hooktide"
        db_table = TABLE
        verbose_name = "event in the outbox"
        verbose_name_plural = "outbox"
        indexes: ClassVar[list[Any]] = [
            models.Index(fields=["id"], condition=models.Q(refused=""), name=f"{TABLE}_waiting")
        ]

    def __str__(self) -> str:
        return f"{self.type} of {self.account}"
