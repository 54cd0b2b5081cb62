"""What a server does from time to time by itself: maintenance, retention, counts, probes.

``maintenance`` has the tasks that one process does for all; ``redating``, ``clock_skew``,
``key_file`` and ``write_probe`` follow the world around it, and ``stats_buffer`` adds its counts to the
store.
"""
