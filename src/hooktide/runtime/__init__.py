"""What every part of a running process stands on.

Settings, logs and metrics; the clocks, background tasks and the cache; secrets sealed at rest,
optional imports, and batched socket writes. Nothing here knows a webhook.
"""
