"""Access control: API keys, people, their sessions, what is recorded of failed logins, and what
a page leaves sealed for the next.
"""
