"""What people read instead of a webhook: messages in chats, and mail.

``message`` picks a title, a few fields and a link from an event; ``slack``, ``discord`` and
``teams`` write it for their service, ``chat`` knows which of them a URL belongs to, and ``mail``
writes mail.
"""
