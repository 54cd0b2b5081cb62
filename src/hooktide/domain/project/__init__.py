"""A project: the configuration of one sending product.

``project`` has its types and rules and reads its file, ``project_file`` writes that file, and
``portal`` and ``colour`` define how the customers' pages look.
"""
