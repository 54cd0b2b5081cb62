"""The configuration: projects, their accounts, the accounts' endpoints.

``erasures`` deletes accounts and erases their data.
"""
