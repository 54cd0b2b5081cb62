"""Events from a model's signals: whenever an instance is saved or deleted.

    emit_on(
        Invoice,
        created="invoice.created",
        updated="invoice.updated",
        account=lambda invoice: invoice.customer,
        payload=lambda invoice: {"id": invoice.pk, "status": invoice.status},
    )

in ``AppConfig.ready``. Changes that bypass signals (``QuerySet.update``, ``bulk_create``, SQL) emit
nothing, and neither does loading a fixture.
"""

from collections.abc import Callable
from typing import Any

from django.db.models.signals import post_delete, post_save, pre_delete, pre_save

from hooktide.django import check_atomic, emit


def emit_on(
    model: Any,
    *,
    account: Callable[[Any], str],
    payload: Callable[[Any], Any],
    created: str = "",
    updated: str = "",
    deleted: str = "",
) -> None:
    """Emit an event of the given type when an instance was created, updated or deleted.

    A type that is not given emits nothing. Saving outside of ``transaction.atomic`` is refused
    (``TransactionManagementError``) before anything is written.
    """

    def tell(type: str, instance: Any, using: str) -> None:
        if type:
            emit(type, payload(instance), account=account(instance), using=using)

    def before(using: str, raw: bool = False, **_: Any) -> None:
        if not raw:
            check_atomic(using)

    def saved(instance: Any, using: str, **more: Any) -> None:
        if not more["raw"]:
            tell(created if more["created"] else updated, instance, using)

    def removed(instance: Any, using: str, **_: Any) -> None:
        tell(deleted, instance, using)

    name = f"hooktide {model._meta.label}"
    if created or updated:
        pre_save.connect(before, sender=model, weak=False, dispatch_uid=name)
        post_save.connect(saved, sender=model, weak=False, dispatch_uid=name)
    if deleted:
        pre_delete.connect(before, sender=model, weak=False, dispatch_uid=name)
        post_delete.connect(removed, sender=model, weak=False, dispatch_uid=name)
