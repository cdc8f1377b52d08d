"""The provider sandbox: providers of every channel, their debtors, scripted faults and a truth log.

In: the same requests and mails that the real providers take, and control calls under `/sandbox`.
Out: their answers and webhooks, replies and payments of imaginary debtors, and one truth log: what
really arrived and what was really accepted, the witness that tests trust. It shares no code with
the services, so that one misunderstanding cannot pass on both sides.
"""
