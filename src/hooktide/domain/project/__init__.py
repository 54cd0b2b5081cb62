"""A project: the configuration of one sending product.

``project`` has its types and rules, ``reading`` reads its file and ``project_file`` writes it.
``schedule`` has the rules for retries, ``retention_days`` those for payloads, and ``portal`` and
``colour`` define how the customers' pages look.
"""
