"""The provider sandbox: SMS provider, its debtors, scripted faults and a truth log, in one process.

In: the same HTTP requests that the real provider takes, and control calls under `/sandbox`. Out:
the provider's answers, signed webhooks, replies and payments of imaginary debtors, and the truth
log: what really arrived and what was really accepted, the witness that tests trust. It shares no
code with the services, so that one misunderstanding cannot pass on both sides.
"""
