"""The processes of a server: one (``single``), or several behind one socket (``supervisor``).

``serve`` is what the command line calls. ``child`` is a process that a supervisor has started, and
``channel`` how the two talk.
"""
