"""What a server does periodically: maintenance, retention, stats, probes.

``maintenance`` has the tasks that one process runs for all. ``redating``, ``clock_skew``,
``key_file`` and ``write_probe`` watch the process's environment, and ``stats_buffer`` adds its
counts to the store.
"""
