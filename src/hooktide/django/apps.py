"""The Django app: the model and its migration."""

from django.apps import AppConfig


class HooktideConfig(AppConfig):
    """Hooktide's outbox."""

    name = "hooktide.django"
    label = "hooktide"
    verbose_name = "Hooktide"
    default_auto_field = "django.db.models.BigAutoField"
