"""What is configured and changes rarely: projects, their accounts, the accounts' endpoints.

``erasures`` removes an account again, with everything that is kept of it.
"""
