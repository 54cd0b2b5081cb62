"""The foundations of a running process.

Settings, logs and metrics; the clocks, background tasks and the cache; secrets sealed at rest,
optional imports, and batched socket writes. Nothing here is specific to webhooks.
"""
